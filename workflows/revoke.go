package workflows

import (
	"errors"
	"fmt"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"harmstack/activities/decision"
	"harmstack/activities/task"
	"harmstack/schemas"
	"harmstack/schemas/fault"
)

// RevokeResult is the revocation, what is approved now, and the workflow by which the taskings follow.
type RevokeResult struct {
	decision.RevokeResult
	Retask string `json:"retask"`
}

// Revoke takes the approval of the current night back, for good: the stack approved before is current again, or none
// is. It ends once that is recorded; the teams are told by a workflow of its own. The same again does no harm.
func Revoke(ctx workflow.Context, request schemas.RevokeRequest) (result RevokeResult, err error) {
	request.By, request.Reason = schemas.TrimSpace(request.By), schemas.TrimSpace(request.Reason)
	if err := request.Validate(); err != nil {
		return result, task.Permanent(fault.BadRequest, err)
	}
	night := request.Night()
	if err := label(ctx, night, AttributeDecision.ValueSet(schemas.Revoked)); err != nil {
		return result, err
	}
	workflow.SetCurrentDetails(ctx, fmt.Sprintf("The approval of night **%s** is being taken back.", night))
	// What has begun is done whole, whoever cancels the wait for it.
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	var acts *decision.Activities
	options := workflow.WithActivityOptions(
		ctx,
		summarised(shortOptions, "take the approval of "+night.String()+" back"),
	)
	err = workflow.ExecuteActivity(options, acts.Revoke, decision.RevokeParams{Request: request, At: workflow.Now(ctx).UTC()}).
		Get(ctx, &result.RevokeResult)
	var app *temporal.ApplicationError
	switch {
	case task.Is(err, fault.Revoked):
		// By an attempt that was not seen to succeed, perhaps: nobody is to be left with a tasking of it.
		if failed := retask(ctx, night); failed != nil {
			return result, failed
		}
		return result, err
	case errors.As(err, &app) && app.NonRetryable():
		return result, err
	case err != nil:
		return result, task.Permanent(fault.NotRecorded, fmt.Errorf(
			"the revocation of night %s could not be recorded in time (%s): look at the store, then give the same command again",
			night,
			reason(err),
		))
	}
	now := "No stack is approved now."
	if result.Current != (schemas.ManifestRef{}) {
		now = fmt.Sprintf("The stack of night **%s** is the approved one again.", result.Current.NightID)
	}
	workflow.SetCurrentDetails(
		ctx,
		fmt.Sprintf("The approval of night **%s** was taken back. %s\n\nWho and why stand in `approvals/%06d.json`.\n",
			night, now, result.Revocation.Number),
	)
	result.Retask = deploymentOf(ctx).ID(RetaskWorkflowID(night))
	return result, retask(ctx, night)
}

// retask starts the workflow by which the taskings follow, and waits only until it has started.
func retask(ctx workflow.Context, revoked schemas.NightID) error {
	ctx = workflow.WithChildOptions(
		ctx,
		childOptions(
			deploymentOf(ctx).ID(RetaskWorkflowID(revoked)),
			"Tells the teams that the approval of night "+revoked.String()+" was taken back",
		),
	)
	err := workflow.ExecuteChildWorkflow(ctx, Retask, RetaskParams{revoked}).GetChildWorkflowExecution().Get(ctx, nil)
	var started *temporal.ChildWorkflowExecutionAlreadyStartedError
	if errors.As(err, &started) {
		return nil
	}
	return err
}

// RetaskParams names the night whose approval was taken back.
type RetaskParams struct {
	Revoked schemas.NightID `json:"revoked"`
}

// Retask makes the taskings follow the stack that is approved since an approval was taken back, or stands all of them
// down when none is. When another was approved since, that one's own tasking does.
func Retask(ctx workflow.Context, p RetaskParams) (TaskingCount, error) {
	if p.Revoked == (schemas.NightID{}) {
		return TaskingCount{}, task.Permanent(
			fault.BadRequest,
			errors.New("revoked: name the night whose approval was taken back"),
		)
	}
	if err := label(ctx, p.Revoked); err != nil {
		return TaskingCount{}, err
	}
	return taskTeams(ctx, schemas.ManifestRef{}, p.Revoked)
}
