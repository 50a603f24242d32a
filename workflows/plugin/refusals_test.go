package plugin

import (
	"errors"
	"testing"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
)

type request struct{ By, Note string }

func (r request) Claimed() string { return r.By }

type caller struct{ rejected error }

func (c *caller) Accept()             {}
func (c *caller) Reject(err error)    { c.rejected = err }
func (c *caller) Complete(any, error) {}

// What a validator refuses is told of with who says they asked, of which workflow, and the kind of the refusal: nothing
// of what was asked. Where nobody listens, and where the list is full, the workflow goes on all the same.
func TestRefusalsAreTold(t *testing.T) {
	for _, refused := range []Refusals{NewRefusals(), make(Refusals), nil} {
		var suite testsuite.WorkflowTestSuite
		env := suite.NewTestWorkflowEnvironment()
		env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{&validation{refused: refused}}})
		wrong, fine := &caller{}, &caller{}
		env.RegisterDelayedCallback(func() { env.UpdateWorkflow("approve", "1", wrong, request{"DCI Example", "hunter2"}) }, time.Second)
		env.RegisterDelayedCallback(func() { env.UpdateWorkflow("approve", "2", fine, request{"DCI Example", ""}) }, 2*time.Second)
		env.ExecuteWorkflow(func(ctx workflow.Context) error {
			err := workflow.SetUpdateHandlerWithOptions(ctx, "approve", func(workflow.Context, request) error { return nil },
				workflow.UpdateHandlerOptions{Validator: func(_ workflow.Context, r request) error {
					if r.Note != "" {
						return temporal.NewNonRetryableApplicationError("no "+r.Note, "BadRequest", nil)
					}
					return nil
				}})
			return errors.Join(err, workflow.Sleep(ctx, time.Minute))
		})
		if env.GetWorkflowError() != nil || wrong.rejected == nil || fine.rejected != nil {
			t.Errorf("%v, %v, %v", env.GetWorkflowError(), wrong.rejected, fine.rejected)
		}
		if cap(refused) == 0 {
			continue
		}
		if len(refused) == 0 {
			t.Fatal("nobody is told")
		}
		if r := <-refused; r.Who != "DCI Example" || r.Did != "approve of default-test-workflow-id" ||
			r.Why.Error() != "refused by the workflow: BadRequest" || len(refused) > 0 {
			t.Errorf("%+v, and %d more", r, len(refused))
		}
	}
	refused := NewRefusals()
	c := mustCodecOf(t, Encryption{Keys: []Key{key("k", 1)}, Namespace: "harm", Refused: refused})
	for range 1000 {
		if _, err := c.Decode([]*commonpb.Payload{{Data: []byte(`"hunter2"`)}}); !errors.Is(err, ErrPlain) {
			t.Fatal(err)
		}
	}
	if len(refused) != cap(refused) {
		t.Fatalf("%d are told of", len(refused))
	}
	if r := <-refused; r.Did != "sent a payload in clear" || r.Why != ErrPlain {
		t.Errorf("%+v", r)
	}
}
