package client

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"harmstack/activities/casework"
	"harmstack/activities/nights"
	"harmstack/activities/store"
	"harmstack/activities/trust/access"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/workflows"
)

// Deployment is what an act needs to know of where it is done.
type Deployment struct {
	Client    client.Client
	Name      workflows.Deployment
	TaskQueue string
	Store     *store.Store
}

// Unread is what came of an act whose answer could not be read, though the store says that it was done; nil otherwise.
type Unread error

// verdict is one of the two things that an officer can say of a night.
type verdict struct {
	update workflows.Update[schemas.DecisionRequest, schemas.Decision]
	done   string
}

var verdicts = map[string]verdict{
	access.Approve: {workflows.Approve, schemas.Approved},
	access.Hold:    {workflows.Hold, schemas.Held},
}

// DecisionID is the workflow that waits for the decision on a night.
func (d Deployment) DecisionID(night schemas.NightID) string {
	return d.Name.ID(workflows.DecisionWorkflowID(night))
}

// Decide sends an officer's decision on a night, access.Approve or access.Hold, and returns it as it stands. The same
// decision again changes nothing: a double click does no harm. An error says in one line why it is refused, with its
// kind where the workflow says one, or what keeps it from being recorded.
func (d Deployment) Decide(
	ctx context.Context,
	kind string,
	night schemas.NightID,
	r schemas.DecisionRequest,
) (decision schemas.Decision, unread Unread, err error) {
	// The night's workflow has ended, and would give the first answer to the same words again.
	last, err := nights.LastRecord(ctx, d.Store)
	if err != nil {
		return decision, nil, err
	}
	if last != nil && slices.Contains(last.RevokedNights(), night) {
		return decision, nil, fault.Errorf(fault.Revoked,
			"the approval of night %s was taken back, and that is final: run the night again for another revision", night)
	}
	v := verdicts[kind]
	decision, err = v.update.Call(ctx, d.Client, d.DecisionID(night), workflows.Attempt(kind), r)
	if err == nil {
		return decision, nil, nil
	}
	if app := Refusal(err); app != nil {
		return decision, nil, fault.New(app.Type(), app.Message())
	}
	// There is no answer, or none that can be read. What counts is the store.
	standing, readErr := nights.LoadDecision(ctx, d.Store, night)
	switch {
	case readErr != nil:
		return decision, nil, fmt.Errorf("the decision did not get through (%s), and the store cannot be read: %w", oneLine(err), readErr)
	case standing != nil && standing.Says(v.done, r):
		if !Missing(err) {
			unread = err
		}
		return *standing, unread, d.becameCurrent(ctx, *standing)
	case standing != nil:
		return decision, nil, fault.Errorf(fault.AlreadyDecided, "night %s was %s already, by %s: a decision is final",
			night, standing.Decision, standing.By)
	case Missing(err):
		return decision, nil, fault.Errorf(fault.BadRequest,
			"nothing waits for a decision on night %s, and none is recorded: is this the Temporal it ran on?", night)
	}
	return decision, nil, fmt.Errorf("the decision did not get through: %w", err)
}

// becameCurrent makes sure that what was approved before became the approved stack, or a newer one did.
func (d Deployment) becameCurrent(ctx context.Context, decision schemas.Decision) error {
	if decision.Decision != schemas.Approved {
		return nil
	}
	night := decision.Manifest.NightID
	current, err := nights.LoadCurrent(ctx, d.Store)
	if err == nil && current != nil && slices.Contains(current.RevokedNights(), night) {
		return fmt.Errorf("night %s was approved, and its approval was taken back since", night)
	}
	if err == nil && (current == nil || current.Manifest.Before(night)) {
		err = fmt.Errorf("night %s is approved, but its stack did not become current and nobody is tasked: "+
			"look in the web UI why workflow %s ended, then start it again (see the manual)", night, d.DecisionID(night))
	}
	return err
}

// RevocationID is the workflow that takes the approval of a night back.
func (d Deployment) RevocationID(night schemas.NightID) string {
	return d.Name.ID(workflows.RevokeWorkflowID(night))
}

// StartRevocation starts to take the approval of a night back. It is an error when one is under way, as by StartNight.
func (d Deployment) StartRevocation(ctx context.Context, r schemas.RevokeRequest) (client.WorkflowRun, error) {
	run, err := StartRevocation(ctx, d.Client, d.Name, d.TaskQueue, r)
	var started *serviceerror.WorkflowExecutionAlreadyStarted
	switch {
	case errors.As(err, &started):
		return nil, fmt.Errorf("the approval of night %s is being taken back already, by workflow %s: look there what it waits for",
			r.Night(), d.RevocationID(r.Night()))
	case err != nil:
		return nil, fmt.Errorf("the revocation did not get through: %w", err)
	}
	return run, nil
}

// Revoked waits until a revocation is recorded.
func (d Deployment) Revoked(ctx context.Context, run client.WorkflowRun) (r workflows.RevokeResult, err error) {
	err = run.Get(ctx, &r)
	app := Refusal(err)
	switch {
	case ctx.Err() != nil:
		return r, fmt.Errorf("no longer waiting for workflow %s: it goes on", run.GetID())
	case app != nil:
		return r, fault.New(app.Type(), app.Message())
	case err != nil && Completed(ctx, d.Client, run):
		return r, fmt.Errorf("the approval was taken back, but the answer cannot be read here (%s): `starter status` shows what is approved",
			oneLine(err))
	case err != nil:
		return r, fmt.Errorf("the approval could not be taken back: %w", err)
	}
	return r, nil
}

// TaskingID is the workflow of a tasking.
func (d Deployment) TaskingID(reference string) string {
	return d.Name.ID(workflows.TaskingWorkflowID(reference))
}

// answers are what a team can say of a tasking.
var answers = map[string]workflows.Update[schemas.TaskingRequest, schemas.Tasking]{
	schemas.DoAcknowledge: workflows.Acknowledge, schemas.DoProgress: workflows.Report,
	schemas.DoClose: workflows.Close, schemas.DoTransfer: workflows.Transfer,
}

// Answer sends what a team says of a tasking, one of schemas.Do…, and returns the tasking as it stands then. The same
// answer to the same version of a tasking has the same key, so that a double click does no harm. That version is the one
// that the person was shown; 0: the one that the tasking has now, so that the same words count anew after each event.
func (d Deployment) Answer(
	ctx context.Context,
	do, reference string,
	r schemas.TaskingRequest,
	shown int,
) (t schemas.Tasking, unread Unread, err error) {
	id, key := d.TaskingID(reference), ""
	if t, err = workflows.TaskingState.Ask(ctx, d.Client, id, ""); err == nil {
		words := r
		words.Attestation = "" // each click has one of its own
		sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %q %d", do, reference, words, cmp.Or(shown, t.Version)))
		key = do + "-" + hex.EncodeToString(sum[:8])
		t, err = answers[do].Call(ctx, d.Client, id, workflows.Attempt(key), r)
	}
	var query *serviceerror.QueryFailed
	if app := Refusal(err); app != nil {
		return t, nil, fault.New(app.Type(), app.Message())
	} else if err == nil || errors.As(err, &query) {
		return t, nil, err
	}
	if key != "" {
		// There is no answer, or none that can be read. What counts is the store.
		recorded, readErr := casework.Load(ctx, d.Store, reference)
		if readErr != nil {
			return t, nil, fmt.Errorf("the answer did not get through (%s), and the store cannot be read: %w", oneLine(err), readErr)
		}
		if recorded != nil && slices.ContainsFunc(recorded.Events, func(e schemas.TaskingEvent) bool { return e.Key == key }) {
			return *recorded, err, nil
		}
	}
	if Missing(err) {
		return t, nil, fault.Errorf(fault.NoSuchTasking,
			"tasking %s does not run: it was never issued, or it has left the stack (starter tasking show %s)", reference, reference)
	}
	return t, nil, fmt.Errorf("the answer did not get through: %w", err)
}

// Completed tells whether a run ended well, whatever became of its result on the way here.
func Completed(ctx context.Context, c client.Client, run client.WorkflowRun) bool {
	d, err := c.DescribeWorkflowExecution(ctx, run.GetID(), run.GetRunID())
	return err == nil && d.GetWorkflowExecutionInfo().GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED
}

// Missing tells whether a workflow is not there, or has ended.
func Missing(err error) bool {
	var gone *serviceerror.NotFound
	return errors.As(err, &gone)
}

// Refusal is the failure that a workflow answered with; nil when err is something else, or a failure that cannot be
// read.
func Refusal(err error) *temporal.ApplicationError {
	var app *temporal.ApplicationError
	// The first is the SDK's text in place of one that is encrypted, the second the server's answer for a workflow that
	// ended without one.
	if !errors.As(err, &app) || app.Message() == "Encoded failure" || app.Type() == "AcceptedUpdateCompletedWorkflow" {
		return nil
	}
	return app
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
