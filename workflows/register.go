package workflows

import (
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"harmstack/activities/decision"
	"harmstack/activities/nightly"
	"harmstack/activities/operations"
	"harmstack/activities/retention"
	"harmstack/activities/tasking"
)

// TaskQueue is where the workers of a deployment without a name listen when nobody says otherwise; for stages they
// listen at its ComputeQueue too.
const TaskQueue = "harmstack"

// Activities are what a worker runs beside the workflows.
type Activities struct {
	Nightly  *nightly.Activities
	Decision *decision.Activities
	Tasking  *tasking.Activities
	// Operations watches over the nights and tells those who run the system.
	Operations *operations.Activities
	// Retention disposes of what is over its time.
	Retention *retention.Activities
}

// RegisterWorkflows registers the workflows alone, for a replay. Their names are pinned: what a function is called in
// the code may change, what recorded histories and people's schedules call it may not.
func RegisterWorkflows(r worker.WorkflowRegistry) {
	for name, recipe := range map[string]any{
		"NightlyRun":     NightlyRun,
		"Decision":       Decision,
		"Revoke":         Revoke,
		"Retask":         Retask,
		"BoroughTasking": BoroughTasking,
		"LateTasking":    LateTasking,
		"Tasking":        Tasking,
		"Watch":          Watch,
		"Retention":      Retention,
	} {
		r.RegisterWorkflowWithOptions(recipe, workflow.RegisterOptions{Name: name})
	}
}

// Register registers everything that a worker runs. Both of a deployment's workers know all activities: a build that
// had one queue has sent stages to it.
func Register(r worker.Registry, a Activities) {
	RegisterWorkflows(r)
	RegisterActivities(r, a)
}

// RegisterActivities registers the activities alone, for the worker that computes. Their names are pinned as those of
// the workflows are. A replay knows no activities: there the method's own name counts, which is why Settle keeps its
// old one.
func RegisterActivities(r worker.ActivityRegistry, a Activities) {
	for name, act := range map[string]any{
		"LookForSource": a.Nightly.LookForSource,
		"AwaitSource":   a.Nightly.AwaitSource,
		"Claim":         a.Nightly.Claim,
		"Extract":       a.Nightly.Extract,
		"Check":         a.Nightly.Check,
		"Score":         a.Nightly.Score,
		"Scatter":       a.Nightly.Scatter,
		"Settle":        a.Nightly.Settle,
		"ScoreShard":    a.Nightly.ScoreShard,
		"Rank":          a.Nightly.Rank,
		"Publish":       a.Nightly.Publish,
		"Decide":        a.Decision.Decide,
		"Standing":      a.Decision.Standing,
		"Swap":          a.Decision.Swap,
		"Revoke":        a.Decision.Revoke,
		"Plan":          a.Tasking.Plan,
		"Deliver":       a.Tasking.Deliver,
		"Notify":        a.Tasking.Notify,
		"Order":         a.Tasking.Order,
		"Apply":         a.Tasking.Apply,
		"Inspect":       a.Operations.Inspect,
		"Alert":         a.Operations.Alert,
		"Dispose":       a.Retention.Dispose,
	} {
		r.RegisterActivityWithOptions(act, activity.RegisterOptions{Name: name})
	}
}
