package workflows

import (
	"math"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"harmstack/activities/task"
	"harmstack/schemas/fault"
	"harmstack/schemas/text"
)

// deadWorker is how soon a worker that died is noticed. Heartbeats do not wait for the work, so that a
// slow disk or mail server does not look like one.
const deadWorker = 30 * time.Second

// ComputeQueue is the task queue of what takes long and much memory, beside the one that a deployment has configured.
// Its workers take few tasks at a time, and everything else passes them by: an officer's decision, a delivery, a
// tasking and the watch never wait until a stage of six hours is over.
func ComputeQueue(taskQueue string) string { return taskQueue + "-compute" }

// computing sends the activities of a context to the workers that compute. Where a stage was sent is no part of what a
// replay compares: nights of builds that had one queue go on.
func computing(ctx workflow.Context) workflow.Context {
	return workflow.WithTaskQueue(ctx, ComputeQueue(workflow.GetInfo(ctx).TaskQueueName))
}

// stageOptions suit a stage of a night: minutes to hours of work over files.
var stageOptions = workflow.ActivityOptions{
	StartToCloseTimeout: 6 * time.Hour,
	HeartbeatTimeout:    deadWorker,
	// A night that is not there by the afternoon needs a person: the next one is near.
	ScheduleToCloseTimeout: 12 * time.Hour,
	RetryPolicy: &temporal.RetryPolicy{
		InitialInterval: time.Second, BackoffCoefficient: 2,
		MaximumInterval: 5 * time.Minute, // a store that was away all night is used soon after it is back
	},
	// A cancelled stage stops before the workflow says so: nothing is written after the end.
	WaitForCancellation: true,
}

// shortOptions suit one small read or write while a person waits for the answer.
var shortOptions = workflow.ActivityOptions{
	StartToCloseTimeout: time.Minute,
	HeartbeatTimeout:    deadWorker,
	// Then the person is told, and may try again: nothing is lost by that. A worker that died is noticed before.
	ScheduleToCloseTimeout: 2 * time.Minute,
	RetryPolicy: &temporal.RetryPolicy{
		InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: 15 * time.Second,
	},
}

// waitOptions suit looking again and again for what comes from elsewhere, until a set time: the activity says how soon
// it is tried again. It writes nothing, so that nobody who cancels waits for it.
func waitOptions(until time.Duration) workflow.ActivityOptions {
	return workflow.ActivityOptions{
		StartToCloseTimeout:    time.Hour, // a database is asked for its newest row
		HeartbeatTimeout:       deadWorker,
		ScheduleToCloseTimeout: until,
		// Without a maximum the SDK's test environment gives up after ten.
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval:    time.Minute,
			BackoffCoefficient: 1,
			MaximumAttempts:    math.MaxInt32,
		},
	}
}

// alertOptions suit a message on a failure: the failure itself must not be kept back long for it.
var alertOptions = workflow.ActivityOptions{
	StartToCloseTimeout:    5 * time.Minute,
	HeartbeatTimeout:       deadWorker,
	ScheduleToCloseTimeout: time.Hour,
	RetryPolicy: &temporal.RetryPolicy{
		InitialInterval: time.Second, BackoffCoefficient: 3, MaximumInterval: 10 * time.Minute,
	},
}

// deliveryOptions suit what an approval has promised: making the stack current and telling the teams.
var deliveryOptions = workflow.ActivityOptions{
	StartToCloseTimeout: 5 * time.Minute,
	HeartbeatTimeout:    deadWorker,
	// A mail server may be away over a weekend.
	ScheduleToCloseTimeout: 72 * time.Hour,
	RetryPolicy: &temporal.RetryPolicy{
		InitialInterval: time.Second, BackoffCoefficient: 3,
		MaximumInterval: 15 * time.Minute, // greylisting servers want a pause, and answer within it
	},
}

// ordersOptions suit the comparison of a stack with its taskings, and the orders to those of one team.
var ordersOptions = workflow.ActivityOptions{
	StartToCloseTimeout: time.Hour, // thousands of taskings, a few dozen a second
	HeartbeatTimeout:    deadWorker,
	// As for a delivery: the store, or the file of the teams, may be away over a weekend.
	ScheduleToCloseTimeout: 72 * time.Hour,
	RetryPolicy: &temporal.RetryPolicy{
		InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute,
	},
}

// lateOptions suit what failed once already and nobody waits for: an order to a tasking that is damaged, a mailbox that
// is full.
var lateOptions = workflow.ActivityOptions{
	StartToCloseTimeout: time.Hour,
	HeartbeatTimeout:    deadWorker,
	// As for the rest of the team's tasking; what a person mends after that, `starter tasking resume` carries out.
	ScheduleToCloseTimeout: 72 * time.Hour,
	RetryPolicy: &temporal.RetryPolicy{
		InitialInterval: 15 * time.Second, BackoffCoefficient: 2, MaximumInterval: 15 * time.Minute,
	},
}

// applyOptions suit one step of a tasking: it reads and writes one small file, thousands of times a night,
// and needs no place in the queue behind the stages of a night.
var applyOptions = workflow.LocalActivityOptions{
	StartToCloseTimeout: 20 * time.Second,
	// Then the person is told, and may try again: nothing is lost by that.
	ScheduleToCloseTimeout: time.Minute,
	RetryPolicy: &temporal.RetryPolicy{
		InitialInterval: 200 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 5 * time.Second,
	},
}

// patientOptions suit a look without which nothing can go on: it is taken for as long as that takes, and the history
// holds one activity.
var patientOptions = workflow.ActivityOptions{
	StartToCloseTimeout: time.Minute,
	RetryPolicy: &temporal.RetryPolicy{
		InitialInterval: time.Second, BackoffCoefficient: 2, MaximumInterval: time.Minute,
		MaximumAttempts: math.MaxInt32, // without one the SDK's test environment gives up after ten
	},
}

// childOptions name a child and let it outlive its parent: a decision waits for months, and a digest is
// due even when somebody ends the workflow that asked for it.
func childOptions(id, summary string) workflow.ChildWorkflowOptions {
	return workflow.ChildWorkflowOptions{
		WorkflowID: id, StaticSummary: text.Markdown(summary),
		ParentClosePolicy:     enumspb.PARENT_CLOSE_POLICY_ABANDON,
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY,
	}
}

// summarised gives one activity the line that the UI shows for it.
func summarised(o workflow.ActivityOptions, summary string) workflow.ActivityOptions {
	o.Summary = text.Markdown(summary)
	return o
}

// sealed tells whether a stage met a revision that another run has published.
func sealed(err error) bool { return task.Is(err, fault.RevisionSealed) }
