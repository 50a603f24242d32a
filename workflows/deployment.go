package workflows

import (
	"context"
	"fmt"
	"strings"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/workflow"
)

// Deployment is the name of one of several deployments that share a namespace. It stands in the ids of its workflows and
// schedules, and in its task queue. A deployment that has the namespace to itself has none.
type Deployment string

// ID is an id as this deployment has it. A name has no dot, so that no two deployments' ids meet.
func (d Deployment) ID(id string) string {
	if d == "" {
		return id
	}
	return string(d) + "." + id
}

// TaskQueue is where its workers listen when nobody says otherwise.
func (d Deployment) TaskQueue() string { return d.ID(TaskQueue) }

// Interceptor tells the workflows of a worker to which deployment they belong.
func (d Deployment) Interceptor() interceptor.WorkerInterceptor { return &belonging{deployment: d} }

type belonging struct {
	interceptor.WorkerInterceptorBase
	deployment Deployment
}

func (b *belonging) InterceptWorkflow(_ workflow.Context, next interceptor.WorkflowInboundInterceptor) interceptor.WorkflowInboundInterceptor {
	in := &belongingWorkflow{deployment: b.deployment}
	in.Next = next
	return in
}

type belongingWorkflow struct {
	interceptor.WorkflowInboundInterceptorBase
	deployment Deployment
}

type deploymentKey struct{}

func (b *belongingWorkflow) ExecuteWorkflow(ctx workflow.Context, in *interceptor.ExecuteWorkflowInput) (any, error) {
	return b.Next.ExecuteWorkflow(workflow.WithValue(ctx, deploymentKey{}, b.deployment), in)
}

// deploymentOf is the deployment of a running workflow; in a replay without the interceptor, the one without a name.
func deploymentOf(ctx workflow.Context) Deployment {
	d, _ := ctx.Value(deploymentKey{}).(Deployment)
	return d
}

// Occupy notes in the namespace that the ids and the task queue of this deployment are those of a store, and is an error
// when they are another's: the two would take each other's nights and taskings.
//
// The notes are workflows that never begin: an id can be taken once, and the name of a workflow's task queue, which here
// names the store, is readable to all, whatever keys they have. Who gives a deployment up terminates them.
func (d Deployment) Occupy(ctx context.Context, c client.Client, taskQueue, store string) error {
	for _, id := range []string{d.ID("deployment"), "task-queue-" + taskQueue, "task-queue-" + ComputeQueue(taskQueue)} {
		_, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: id, TaskQueue: "store-" + store, StartDelay: 100 * 365 * 24 * time.Hour,
			WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
			StaticSummary:            "Keeps these ids and this task queue for one store; does nothing"}, "Deployment")
		if err != nil {
			return fmt.Errorf("the deployment cannot be noted in the namespace: %w", err)
		}
		found, err := c.DescribeWorkflowExecution(ctx, id, "")
		if err != nil {
			return fmt.Errorf("the deployment cannot be looked up in the namespace: %w", err)
		}
		if queue := found.GetExecutionConfig().GetTaskQueue().GetName(); queue != "store-"+store {
			return fmt.Errorf("another deployment in this namespace, with the store %s, has the same %s (this store is %s): give this one a name of its own by "+
				"HARMSTACK_DEPLOYMENT before it is set up; when the other is no more, terminate the workflow %s",
				queue[min(len("store-"), len(queue)):], occupied(id), store, id)
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
