package workflows

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"

	"harmstack/schemas"
)

// queues notes on which task queue each activity of an environment runs.
func queues(env *testsuite.TestWorkflowEnvironment) func() map[string][]string {
	var mu sync.Mutex
	by := map[string]map[string]bool{}
	env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
		mu.Lock()
		defer mu.Unlock()
		if by[info.TaskQueue] == nil {
			by[info.TaskQueue] = map[string]bool{}
		}
		by[info.TaskQueue][info.ActivityType.Name] = true
	})
	return func() map[string][]string {
		mu.Lock()
		defer mu.Unlock()
		names := map[string][]string{}
		for queue, activities := range by {
			names[queue] = slices.Sorted(maps.Keys(activities))
		}
		return names
	}
}

// What takes long goes where few things run at once, and nothing that somebody waits for does.
func TestOnlyStagesGoToTheComputeQueue(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		scenario        string
		shardRows       int64
		run             func(t *testing.T, d *deployment, env *testsuite.TestWorkflowEnvironment)
		compute, prompt string // the activities that run
	}{
		{"a night", 0, func(t *testing.T, d *deployment, env *testsuite.TestWorkflowEnvironment) {
			stopAtDecision(env)
			env.ExecuteWorkflow(NightlyRun, schemas.NightRequest{AsOf: asOf})
		}, "Check Extract Publish Rank Score", "Claim"},
		{"a night that waits for its source", 0, func(t *testing.T, d *deployment, env *testsuite.TestWorkflowEnvironment) {
			stopAtDecision(env)
			env.ExecuteWorkflow(NightlyRun, schemas.NightRequest{AsOf: asOf, Wait: true})
		}, "Check Extract Publish Rank Score", "Claim LookForSource"},
		{"a large night", 2, func(t *testing.T, d *deployment, env *testsuite.TestWorkflowEnvironment) {
			stopAtDecision(env)
			env.ExecuteWorkflow(NightlyRun, schemas.NightRequest{AsOf: asOf})
		}, "Check Extract Publish Rank Scatter ScoreShard Settle", "Claim"},
		{"a decision", 0, func(t *testing.T, d *deployment, env *testsuite.TestWorkflowEnvironment) {
			n := d.night(t, "night", schemas.NightRequest{AsOf: asOf})
			env.RegisterDelayedCallback(func() { env.UpdateWorkflow(Approve.Name, "u1", &answer{}, request(n)) }, 0)
			env.ExecuteWorkflow(Decision, DecisionParams{*n.Manifest})
		}, "", "Decide Deliver Order Plan Standing Swap"},
		{"the watch", 0, func(t *testing.T, d *deployment, env *testsuite.TestWorkflowEnvironment) {
			env.ExecuteWorkflow(Watch, WatchRequest{})
		}, "", "Alert Inspect"},
		{"retention", 0, func(t *testing.T, d *deployment, env *testsuite.TestWorkflowEnvironment) {
			env.ExecuteWorkflow(Retention, RetentionRequest{})
		}, "Dispose", ""},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			t.Parallel()
			d := newDeployment(t, threeSuspects()...)
			d.acts.Nightly.ShardRows = c.shardRows
			env := d.env(t, "run")
			env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: "run", TaskQueue: "mine"})
			ran := queues(env)
			c.run(t, d, env)
			if err := env.GetWorkflowError(); err != nil {
				t.Fatal(err)
			}
			want := map[string][]string{}
			for queue, names := range map[string]string{"mine": c.prompt, "mine-compute": c.compute} {
				if names != "" {
					want[queue] = strings.Fields(names)
				}
			}
			if got := ran(); !maps.EqualFunc(got, want, slices.Equal) {
				t.Errorf("%v ran, want %v", got, want)
			}
		})
	}
}
