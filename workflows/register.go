package workflows

import (
	"go.temporal.io/sdk/worker"

	"harmstack/activities/decision"
	"harmstack/activities/nightly"
	"harmstack/activities/operations"
	"harmstack/activities/retention"
	"harmstack/activities/tasking"
)

// TaskQueue is where the workers of a deployment without a name listen when nobody says otherwise; for stages they listen at its ComputeQueue too.
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

// RegisterWorkflows registers the workflows alone, for a replay.
func RegisterWorkflows(r worker.WorkflowRegistry) {
	r.RegisterWorkflow(NightlyRun)
	r.RegisterWorkflow(Decision)
	r.RegisterWorkflow(Revoke)
	r.RegisterWorkflow(Retask)
	r.RegisterWorkflow(BoroughTasking)
	r.RegisterWorkflow(LateTasking)
	r.RegisterWorkflow(Tasking)
	r.RegisterWorkflow(Watch)
	r.RegisterWorkflow(Retention)
}

// Register registers everything that a worker runs. Both of a deployment's workers know all activities: a build that had one
// queue has sent stages to it.
func Register(r worker.Registry, a Activities) {
	RegisterWorkflows(r)
	RegisterActivities(r, a)
}

// RegisterActivities registers the activities alone, for the worker that computes.
func RegisterActivities(r worker.ActivityRegistry, a Activities) {
	r.RegisterActivity(a.Nightly)
	r.RegisterActivity(a.Decision)
	r.RegisterActivity(a.Tasking)
	r.RegisterActivity(a.Operations)
	r.RegisterActivity(a.Retention)
}
