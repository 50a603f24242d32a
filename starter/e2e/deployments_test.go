package e2e

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"go.temporal.io/sdk/client"

	"harmstack/activities/casework"
	"harmstack/activities/casework/pseudonym"
	"harmstack/activities/nightly"
	"harmstack/activities/nights"
	"harmstack/activities/nights/quality"
	"harmstack/activities/operations"
	"harmstack/activities/store"
	"harmstack/schemas"
	"harmstack/starter/devserver"
	"harmstack/worker/config"
	"harmstack/worker/service"
	"harmstack/workflows"
	flows "harmstack/workflows/client"
)

// neighbour is a deployment whose worker runs in this process.
func neighbour(t *testing.T, c client.Client, name workflows.Deployment, taskQueue string) (cfg config.Config, start func() error) {
	t.Helper()
	dir := t.TempDir()
	cfg = config.Config{Store: filepath.Join(dir, "store"), Sources: map[string]string{nightly.DefaultSource: filepath.Join(dir, "extract.parquet")},
		Mail: config.OutboxMail(filepath.Join(dir, "outbox")), Checks: quality.Standard(), PseudonymKey: bytes.Repeat([]byte{7}, 32), TempDir: dir, Deployment: name, TaskQueue: taskQueue}
	if err := parquet.WriteFile(cfg.Sources[nightly.DefaultSource], extract(40)); err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(t.Context(), cfg.Store)
	if err == nil {
		_, _, _, err = st.SetUp(t.Context(), string(name), pseudonym.Fingerprint(cfg.PseudonymKey))
	}
	if err != nil {
		t.Fatal(err)
	}
	return cfg, func() error {
		s, err := service.New(t.Context(), c, cfg)
		if err != nil {
			return err
		}
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		t.Cleanup(func() {
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
		return nil
	}
}

// Two deployments with the same suspects and the same key share a namespace: each has its own night, decision and
// taskings. One that has the name or the task queue of another's store does not start.
func TestTwoDeployments(t *testing.T) {
	t.Parallel()
	server, err := devserver.Start(t.Context(), devserver.Options{SearchAttributes: workflows.SearchAttributes()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	c, err := (&config.Config{}).DialTo(client.Options{HostPort: server.Address()}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	north := workflows.Deployment("north")
	var both []config.Config
	for _, name := range []workflows.Deployment{"", north} {
		cfg, start := neighbour(t, c, name, name.TaskQueue())
		if err := start(); err != nil {
			t.Fatal(err)
		}
		both = append(both, cfg)
	}
	for scenario, other := range map[string]struct {
		name      workflows.Deployment
		taskQueue string
		says      string
	}{
		"the same name": {north, "a-queue-of-its-own", "has the same name"}, "no name, as another": {"", "another-queue", "has the same name"},
		"the same task queue": {"south", north.TaskQueue(), "has the same task queue north.harmstack"},
	} {
		if _, start := neighbour(t, c, other.name, other.taskQueue); true {
			if err := start(); err == nil || !strings.Contains(err.Error(), other.says) || !strings.Contains(err.Error(), "HARMSTACK_DEPLOYMENT") {
				t.Errorf("%s: %v", scenario, err)
			}
		}
	}
	if s, err := service.New(t.Context(), c, both[1]); err != nil || s == nil { // a second worker of one
		t.Errorf("a second worker: %v", err)
	}
	var references [][]string
	for _, cfg := range both {
		d := &deployment{t: t, client: c, cfg: cfg}
		if d.store, _, err = store.OpenSetUp(t.Context(), cfg.Store); err != nil {
			t.Fatal(err)
		}
		defer d.store.Close()
		run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: cfg.Deployment.ID(workflows.NightWorkflowID(asOf)), TaskQueue: cfg.TaskQueue},
			workflows.NightlyRun, schemas.NightRequest{AsOf: asOf})
		if err != nil {
			t.Fatal(err)
		}
		var n workflows.NightResult
		if err := run.Get(t.Context(), &n); err != nil {
			t.Fatal(err)
		}
		if want := cfg.Deployment.ID("decision-2026-06-30-r1"); n.Decision != want {
			t.Errorf("the decision is %s, not %s", n.Decision, want)
		}
		if got := d.approve(n).Tasking; got.Failed != 0 || got.Sent == 0 {
			t.Errorf("tasked %+v", got)
		}
		marked, err := casework.Marked(t.Context(), d.store)
		if err != nil || len(marked) != 40 {
			t.Fatalf("%d taskings, %v", len(marked), err)
		}
		for _, reference := range marked {
			if _, err := workflows.TaskingState.Ask(t.Context(), c, cfg.Deployment.ID(workflows.TaskingWorkflowID(reference)), ""); err != nil {
				t.Errorf("a tasking does not run: %v", err)
			}
		}
		references = append(references, marked)
		if all, err := nights.List(t.Context(), d.store); err != nil || len(all) != 1 {
			t.Errorf("%d nights, %v", len(all), err)
		}
		s, err := flows.Scheduling(c, cfg.Deployment, cfg.TaskQueue)(t.Context(), asOf)
		if err != nil || s != (operations.Scheduling{Missing: true}) {
			t.Errorf("%+v, %v", s, err)
		}
		for _, s := range flows.Schedules(cfg.Deployment, cfg.TaskQueue) {
			if _, err := c.ScheduleClient().Create(t.Context(), s.Options); err != nil {
				t.Errorf("schedule %s: %v", s.Options.ID, err)
			}
		}
	}
	if strings.Join(references[0], " ") != strings.Join(references[1], " ") {
		t.Error("they did not have the same pseudonyms, of which the test is")
	}
}
