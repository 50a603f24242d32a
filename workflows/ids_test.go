package workflows

import (
	"testing"
	"time"

	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"

	"harmstack/schemas"
)

func TestIDs(t *testing.T) {
	night := schemas.NightID{AsOf: asOf, Revision: 2}
	for got, want := range map[string]string{
		DecisionWorkflowID(night):                          "decision-2026-06-30-r2",
		NightWorkflowID(asOf):                              "night-2026-06-30",
		BoroughWorkflowID(night, "Kensington and Chelsea"): "borough-2026-06-30-r2-kensington-and-chelsea",
		BoroughWorkflowID(night, "Central desk"):           "borough-2026-06-30-r2-central-desk",
		Deployment("").ID("tasking-x"):                     "tasking-x", // as it was before there were names: histories replay
		Deployment("").TaskQueue():                         "harmstack",
		Deployment("north").ID("tasking-x"):                "north.tasking-x",
		Deployment("north").TaskQueue():                    "north.harmstack",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// What a deployment's workflows start has its name too, so that another in the namespace does not take it for its own.
func TestChildrenHaveTheDeploymentsName(t *testing.T) {
	for name, want := range map[Deployment]string{"": "decision-2026-06-30-r1", "north": "north.decision-2026-06-30-r1"} {
		d := newDeployment(t, threeSuspects()...)
		env := d.env(t, name.ID("night"))
		env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute, Interceptors: []interceptor.WorkerInterceptor{name.Interceptor()}})
		stopAtDecision(env)
		env.ExecuteWorkflow(NightlyRun, schemas.NightRequest{AsOf: asOf})
		var got NightResult
		if err := env.GetWorkflowResult(&got); err != nil || got.Decision != want {
			t.Errorf("%q: the decision is %s, want %s, %v", name, got.Decision, want, err)
		}
	}
}

// Each attempt at the same is an update of its own, so that none is answered with the failure of the one before; what
// it is an attempt at can be told.
func TestAttemptsDiffer(t *testing.T) {
	key := schemas.TaskingOrder{Night: schemas.NightID{AsOf: asOf, Revision: 2}, Team: "Hackney", Reference: "k7qd-2m4x-9w3t-c5hn"}.Key()
	first, second := Attempt(key), Attempt(key)
	if first == second || attempted(first) != key || attempted(second) != key {
		t.Errorf("%s, %s of %s", first, second, key)
	}
}
