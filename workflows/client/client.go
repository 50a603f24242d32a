// Package client is what starters and workers ask of Temporal for Harmstack: to start a night, an order or a
// revocation, to keep the schedules, to list the runs.
//
// It must not know what a workflow does with it: that is workflows.
package client

import (
	"context"
	"fmt"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"harmstack/schemas"
	"harmstack/workflows"
)

// StartNight starts a night by hand, named by its date. It is an error when that one is running already
// (serviceerror.WorkflowExecutionAlreadyStarted): this request would be lost.
func StartNight(
	ctx context.Context,
	c client.Client,
	d workflows.Deployment,
	taskQueue string,
	r schemas.NightRequest,
) (client.WorkflowRun, error) {
	return c.ExecuteWorkflow(
		ctx,
		alone(
			d.ID(workflows.NightWorkflowID(r.AsOf)),
			taskQueue,
			"The night's stack: extract, check, score, rank, publish",
		),
		workflows.NightlyRun,
		r,
	)
}

// StartRevocation starts to take the approval of a night back. It is an error when one is under way, as by StartNight.
func StartRevocation(
	ctx context.Context,
	c client.Client,
	d workflows.Deployment,
	taskQueue string,
	r schemas.RevokeRequest,
) (client.WorkflowRun, error) {
	summary := fmt.Sprintf("Takes the approval of the night of %s, revision %d, back", r.AsOf, r.Revision)
	return c.ExecuteWorkflow(
		ctx,
		alone(d.ID(workflows.RevokeWorkflowID(r.Night())), taskQueue, summary),
		workflows.Revoke,
		r,
	)
}

// alone are the options of a workflow that must not be taken for another that runs under its id.
func alone(id, taskQueue, summary string) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{ID: id, TaskQueue: taskQueue, StaticSummary: summary,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
		// Or the SDK hands over the run that is there.
		WorkflowExecutionErrorWhenAlreadyStarted: true}
}

// SendOrder gives a night's order to the workflow of its tasking, which is started when it does not run.
// It returns once the order is carried out. Every call is an attempt of its own; what is carried out already is
// known by the night.
func SendOrder(
	c client.Client,
	d workflows.Deployment,
	taskQueue string,
) func(ctx context.Context, o schemas.TaskingOrder) error {
	return func(ctx context.Context, o schemas.TaskingOrder) error {
		handle, err := c.UpdateWithStartWorkflow(ctx, client.UpdateWithStartWorkflowOptions{
			StartWorkflowOperation: c.NewWithStartWorkflowOperation(
				taskingOptions(d, o.Reference, taskQueue),
				workflows.Tasking,
				workflows.TaskingParams{Reference: o.Reference},
			),
			UpdateOptions: client.UpdateWorkflowOptions{
				UpdateName:   workflows.Order.Name,
				UpdateID:     workflows.Attempt(o.Key()),
				Args:         []any{o},
				WaitForStage: client.WorkflowUpdateStageCompleted,
			},
		})
		if err == nil {
			err = handle.Get(ctx, nil)
		}
		return err
	}
}

// ResumeTasking starts the workflow of a tasking when it does not run: after the Temporal service was lost.
func ResumeTasking(ctx context.Context, c client.Client, d workflows.Deployment, taskQueue, reference string) error {
	_, err := c.ExecuteWorkflow(
		ctx,
		taskingOptions(d, reference, taskQueue),
		workflows.Tasking,
		workflows.TaskingParams{Reference: reference},
	)
	return err
}

func taskingOptions(d workflows.Deployment, reference, taskQueue string) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID:                       d.ID(workflows.TaskingWorkflowID(reference)),
		TaskQueue:                taskQueue,
		StaticSummary:            "A tasking, from its issue until the suspect leaves the stack",
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
	}
}

// Occupy notes in the namespace that the ids and the task queue of a deployment are those of a store, and is an error
// when they are another's: the two would take each other's nights and taskings.
//
// The notes are workflows that never begin: an id can be taken once, and the name of a workflow's task queue, which
// here names the store, is readable to all, whatever keys they have. Who gives a deployment up terminates them.
func Occupy(ctx context.Context, c client.Client, d workflows.Deployment, taskQueue, store string) error {
	for _, id := range []string{d.ID("deployment"), "task-queue-" + taskQueue, "task-queue-" + workflows.ComputeQueue(taskQueue)} {
		_, err := c.ExecuteWorkflow(
			ctx,
			client.StartWorkflowOptions{ID: id, TaskQueue: "store-" + store, StartDelay: 100 * 365 * 24 * time.Hour,
				WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
				StaticSummary:            "Keeps these ids and this task queue for one store; does nothing"},
			"Deployment",
		)
		if err != nil {
			return fmt.Errorf("the deployment cannot be noted in the namespace: %w", err)
		}
		found, err := c.DescribeWorkflowExecution(ctx, id, "")
		if err != nil {
			return fmt.Errorf("the deployment cannot be looked up in the namespace: %w", err)
		}
		if queue := found.GetExecutionConfig().GetTaskQueue().GetName(); queue != "store-"+store {
			return fmt.Errorf(
				"another deployment in this namespace, with the store %s, has the same %s (this store is %s): give this one a name of its own by "+
					"HARMSTACK_DEPLOYMENT before it is set up; when the other is no more, terminate the workflow %s",
				queue[min(len("store-"), len(queue)):],
				occupied(id),
				store,
				id,
			)
		}
	}
	return nil
}

func occupied(id string) string {
	if queue, ok := strings.CutPrefix(id, "task-queue-"); ok {
		return "task queue " + queue
	}
	return "name"
}
