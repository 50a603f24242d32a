package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"harmstack/activities/messages/ledger"
	"harmstack/activities/operations"
	"harmstack/activities/task"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/workflows"
	flows "harmstack/workflows/client"
)

// checksFile is checks by which a wait looks twice a second, until an instant.
func checksFile(t *testing.T, until time.Time) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "checks.yaml")
	text := fmt.Sprintf("history: 7\nsource: {until: %q, fresh: 12h, every: 500ms}\n", until.In(schemas.London).Format(time.TimeOnly))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return "HARMSTACK_CHECKS=" + path
}

// lateNight starts a night of yesterday that waits for a source that is not there.
func (d *deployment) lateNight() client.WorkflowRun {
	d.t.Helper()
	if err := os.Remove(filepath.Join(d.dir, "extract.parquet")); err != nil {
		d.t.Fatal(err)
	}
	run, err := d.client.ExecuteWorkflow(d.t.Context(), client.StartWorkflowOptions{ID: "night-late", TaskQueue: workflows.TaskQueue}, workflows.NightlyRun, schemas.NightRequest{Wait: true})
	if err != nil {
		d.t.Fatal(err)
	}
	d.eventually(func() bool {
		p, err := workflows.Progress.Ask(d.t.Context(), d.client, run.GetID(), run.GetRunID())
		return err == nil && len(p.Stages) == 2 && strings.HasPrefix(p.Stages[1].Notes, "waiting since ")
	})
	return run
}

// The source comes while a night waits, and its worker was killed meanwhile: the night goes on by itself.
func TestSourceComesLate(t *testing.T) {
	t.Parallel()
	d := deploy(t, extract(40), "", checksFile(t, time.Now().Add(time.Hour)))
	run := d.lateNight()
	d.kill()
	rows := extract(40)
	now := time.Now().UnixMicro()
	for i := range rows {
		rows[i].ReportedAt, rows[i].UpdatedAt = new(now-int64(48*time.Hour/time.Microsecond)), &now
	}
	made := filepath.Join(d.dir, "being-written.parquet")
	if err := errors.Join(parquet.WriteFile(made, rows), os.Rename(made, filepath.Join(d.dir, "extract.parquet"))); err != nil {
		t.Fatal(err)
	}
	var n workflows.NightResult
	if err := run.Get(t.Context(), &n); err != nil || n.Manifest == nil || n.Suspects != 40 {
		t.Fatalf("%+v, %v", n, err)
	}
	// However often it looked, the history holds one wait.
	waits := 0
	for _, e := range d.history(run.GetID(), run.GetRunID()).Events {
		if e.GetActivityTaskScheduledEventAttributes().GetActivityType().GetName() == "AwaitSource" {
			waits++
		}
	}
	if waits != 1 {
		t.Errorf("%d waits", waits)
	}
	d.record(os.Getenv("HARMSTACK_RECORD"), map[string][2]string{"night-waits-for-its-source": {run.GetID(), run.GetRunID()}})
}

// The source does not come: one mail, though the worker dies when it has sent it, and a failure that says what to do.
// The watch then finds that the night is missing, and that there is no schedule; a second one says nothing new.
func TestSourceDoesNotCome(t *testing.T) {
	t.Parallel()
	d := deploy(t, extract(40), "Alert:after", checksFile(t, time.Now().Add(40*time.Second)))
	run := d.lateNight()
	ctx, stop := context.WithTimeout(t.Context(), 4*time.Minute) // a machine too slow to start in time would wait until tomorrow
	defer stop()
	if err := run.Get(ctx, nil); !task.Is(err, fault.SourceLate) || !strings.Contains(err.Error(), "there is no file") {
		t.Fatal(err)
	}
	watch := func() (r workflows.WatchResult) {
		run, err := d.client.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: "watch", TaskQueue: workflows.TaskQueue}, workflows.Watch, workflows.WatchRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if err := run.Get(t.Context(), &r); err != nil {
			t.Fatal(err)
		}
		d.record(os.Getenv("HARMSTACK_RECORD"), map[string][2]string{"watch": {run.GetID(), run.GetRunID()}})
		return r
	}
	for range 2 {
		r := watch()
		if len(r.Findings) != 2 || r.Findings[0].Kind != operations.KindNightMissing || r.Findings[1].Kind != operations.KindScheduleMissing {
			t.Errorf("%+v", r)
		}
	}
	if messages := d.mail.messages(); len(messages) != 1 || len(messages[`"Harmstack operations" <harmstack.operations@example.police.uk>`]) != 3 {
		t.Errorf("%v", messages)
	}
	entries, err := ledger.Read(t.Context(), d.store)
	kinds := map[string]int{}
	for _, e := range entries {
		kinds[e.Kind+" "+e.State]++
	}
	if err != nil || len(entries) != 3 || kinds["source_late sent"] != 1 || kinds["night_missing sent"] != 1 || kinds["schedule_missing sent"] != 1 {
		t.Errorf("%v, %v", err, kinds)
	}
	d.record(os.Getenv("HARMSTACK_RECORD"), map[string][2]string{"night-without-its-source": {run.GetID(), run.GetRunID()}})
}

// A paused schedule is seen, and so is a night that still waits; whoever cancels a wait is not kept waiting.
func TestWatchAndCancel(t *testing.T) {
	t.Parallel()
	d := deploy(t, extract(40), "", checksFile(t, time.Now().Add(time.Hour)))
	options := flows.Schedule(workflows.TaskQueue)
	options.Paused = true
	schedule, err := d.client.ScheduleClient().Create(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	defer schedule.Delete(t.Context())
	run := d.lateNight()
	asOf := schemas.LondonDate(time.Now()).AddDays(-1)
	d.eventually(func() bool { // what is searched for is known a moment later
		s, err := flows.Scheduling(d.client, "", workflows.TaskQueue)(t.Context(), asOf)
		return err == nil && s == operations.Scheduling{Paused: true, Stage: "source"}
	})
	start := time.Now()
	if err := d.client.CancelWorkflow(t.Context(), run.GetID(), run.GetRunID()); err != nil {
		t.Fatal(err)
	}
	if err := run.Get(t.Context(), nil); !temporal.IsCanceledError(err) {
		t.Error(err)
	}
	if took := time.Since(start); took > 20*time.Second {
		t.Errorf("it took %s to cancel", took)
	}
	if messages := d.mail.messages(); len(messages) != 0 {
		t.Errorf("%v", messages)
	}
}
