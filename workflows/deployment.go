package workflows

import (
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/workflow"
)

// Deployment is the name of one of several deployments that share a namespace. It stands in the ids of its workflows
// and schedules, and in its task queue. A deployment that has the namespace to itself has none.
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

func (b *belonging) InterceptWorkflow(
	_ workflow.Context,
	next interceptor.WorkflowInboundInterceptor,
) interceptor.WorkflowInboundInterceptor {
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
