package plugin

import (
	"errors"

	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// Refusal is something that was refused before any activity saw it: a payload in clear, or what a workflow's update
// validator turned down.
type Refusal struct {
	Who string // as whoever asked says; empty: nobody said
	Did string // what was asked for, and of which workflow
	Why error  // which repeats nothing of what was asked
}

// Refusals takes refusals to whoever notes them. What does not fit is dropped: no workflow may wait for that.
type Refusals chan Refusal

// NewRefusals holds as many as the log takes at once.
func NewRefusals() Refusals { return make(Refusals, 64) }

// tell does nothing where nobody takes refusals. It changes nothing that a workflow sees.
//
//workflowcheck:ignore
func (r Refusals) tell(one Refusal) {
	select {
	case r <- one:
	default:
	}
}

// validation tells of updates that validators refuse. They leave no trace in a history, and are not validated again in a
// replay.
type validation struct {
	interceptor.WorkerInterceptorBase
	refused Refusals
}

func (v *validation) InterceptWorkflow(
	_ workflow.Context,
	next interceptor.WorkflowInboundInterceptor,
) interceptor.WorkflowInboundInterceptor {
	in := &validating{refused: v.refused}
	in.Next = next
	return in
}

type validating struct {
	interceptor.WorkflowInboundInterceptorBase
	refused Refusals
}

// claimant is a request in which somebody says who they are.
type claimant interface{ Claimed() string }

func (v *validating) ValidateUpdate(ctx workflow.Context, in *interceptor.UpdateInput) error {
	err := v.Next.ValidateUpdate(ctx, in)
	if err == nil {
		return nil
	}
	r := Refusal{Did: in.Name + " of " + workflow.GetInfo(ctx).WorkflowExecution.ID, Why: errors.New("refused by the workflow")}
	if app := (*temporal.ApplicationError)(nil); errors.As(err, &app) {
		r.Why = errors.New("refused by the workflow: " + app.Type())
	}
	for _, arg := range in.Args {
		if c, ok := arg.(claimant); ok {
			r.Who = c.Claimed()
		}
	}
	v.refused.tell(r)
	return err
}
