package workflows

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/workflow"

	"harmstack/activities/casework/teams"
	"harmstack/schemas"
)

// What a running workflow can be told and asked.
var (
	// Approve and Hold decide a night, on what the officer was shown. The answer comes once the
	// decision is recorded and, for an approval, the stack is current.
	Approve = Update[schemas.DecisionRequest, schemas.Decision]{"approve"}
	Hold    = Update[schemas.DecisionRequest, schemas.Decision]{"hold"}
	// Supersede tells a pending decision which newer night has taken its place.
	Supersede = Signal[schemas.NightID]{"supersede"}
	// Acknowledge, Report, Close and Transfer are what a person of a team says of a tasking. The answer is the
	// tasking as it stands then.
	Acknowledge = Update[schemas.TaskingRequest, schemas.Tasking]{schemas.DoAcknowledge}
	Report      = Update[schemas.TaskingRequest, schemas.Tasking]{schemas.DoProgress}
	Close       = Update[schemas.TaskingRequest, schemas.Tasking]{schemas.DoClose}
	Transfer    = Update[schemas.TaskingRequest, schemas.Tasking]{schemas.DoTransfer}
	// Order is what an approved night wants of a tasking.
	Order = Update[schemas.TaskingOrder, schemas.Tasking]{"order"}
	// TaskingState asks a tasking where it stands.
	TaskingState = Query[schemas.Tasking]{"tasking"}
	// Progress asks a night how far it is.
	Progress = Query[NightProgress]{"night"}
)

// DecisionWorkflowID names the workflow that waits for the decision on a night.
func DecisionWorkflowID(night schemas.NightID) string { return "decision-" + night.String() }

// ScheduledNightID names the nights that the schedule starts; Temporal adds the time for which each is meant.
const ScheduledNightID = "night"

// NightWorkflowID names a night that is started by hand; the schedule's end in their time instead.
func NightWorkflowID(asOf schemas.Date) string { return ScheduledNightID + "-" + asOf.String() }

// BoroughWorkflowID names the workflow that tells one team of an approved stack.
func BoroughWorkflowID(night schemas.NightID, team string) string {
	return boroughWorkflowID(schemas.Occasion(night, schemas.NightID{}), team)
}

func boroughWorkflowID(occasion, team string) string {
	return fmt.Sprintf("borough-%s-%s", occasion, teams.Slug(team))
}

// LateWorkflowID names the workflow that tries again what of a team's tasking failed.
func LateWorkflowID(night schemas.NightID, team string) string {
	return lateWorkflowID(schemas.Occasion(night, schemas.NightID{}), team)
}

func lateWorkflowID(occasion, team string) string {
	return fmt.Sprintf("late-%s-%s", occasion, teams.Slug(team))
}

// RevokeWorkflowID names the workflow that takes the approval of a night back, RetaskWorkflowID the one by which the
// taskings follow.
func RevokeWorkflowID(night schemas.NightID) string { return "revoke-" + night.String() }

// RetaskWorkflowID : see RevokeWorkflowID.
func RetaskWorkflowID(night schemas.NightID) string { return "retask-" + night.String() }

// TaskingWorkflowID names the workflow of a tasking by its pseudonym.
func TaskingWorkflowID(reference string) string { return "tasking-" + reference }

// teamUpdates are the updates of the teams, always in the same order.
func teamUpdates() []Update[schemas.TaskingRequest, schemas.Tasking] {
	return []Update[schemas.TaskingRequest, schemas.Tasking]{Acknowledge, Report, Close, Transfer}
}

// Update is a request of type P that is answered with an R.
type Update[P, R any] struct{ Name string }

// handle sets the handler and the validator, which refuses a request before it leaves a trace.
func (u Update[P, R]) handle(
	ctx workflow.Context,
	handler func(workflow.Context, P) (R, error),
	validator func(workflow.Context, P) error,
) error {
	return workflow.SetUpdateHandlerWithOptions(
		ctx,
		u.Name,
		handler,
		workflow.UpdateHandlerOptions{Validator: validator},
	)
}

// Attempt is the update id of one attempt at what key names. Each attempt is an update of its own: Temporal answers an
// id that it has seen with the first answer, and the failure of one attempt must not be the answer to the next. That
// the same is not done twice is for what is recorded under the key to see.
func Attempt(key string) string { return key + "." + rand.Text() }

// attempted is the key of an attempt.
func attempted(updateID string) string {
	key, _, _ := strings.Cut(updateID, ".")
	return key
}

// Call sends the update and waits for its answer. The same updateID again, even after the workflow has ended, gives the
// first answer, also when that is a failure (see Attempt); a new one then is serviceerror.NotFound.
func (u Update[P, R]) Call(
	ctx context.Context,
	c client.Client,
	workflowID, updateID string,
	p P,
) (answer R, err error) {
	handle, err := c.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: workflowID, UpdateID: updateID, UpdateName: u.Name, Args: []any{p}, WaitForStage: client.WorkflowUpdateStageCompleted})
	if err != nil {
		return answer, err
	}
	err = handle.Get(ctx, &answer)
	return answer, err
}

// Signal is a message of type P that is not answered.
type Signal[P any] struct{ Name string }

func (s Signal[P]) send(ctx workflow.Context, workflowID string, p P) workflow.Future {
	return workflow.SignalExternalWorkflow(ctx, workflowID, "", s.Name, p)
}

// Query is a question that is answered with an R and changes nothing.
type Query[R any] struct{ Name string }

func (q Query[R]) handle(ctx workflow.Context, answer func() (R, error)) error {
	return workflow.SetQueryHandler(ctx, q.Name, answer)
}

// Ask puts the question to a workflow; an empty runID is its latest run.
func (q Query[R]) Ask(ctx context.Context, c client.Client, workflowID, runID string) (answer R, err error) {
	value, err := c.QueryWorkflow(ctx, workflowID, runID, q.Name)
	if err != nil {
		return answer, err
	}
	err = value.Get(&answer)
	return answer, err
}
