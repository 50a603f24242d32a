package e2e

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"go.temporal.io/sdk/client"

	"harmstack/activities/nights"
	"harmstack/activities/task"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/workflows"
	flows "harmstack/workflows/client"
)

// line types a command line; the error is what it says when it fails.
func (d *deployment) line(args ...string) (string, error) {
	d.t.Helper()
	out, fault, code := d.starter(args...)
	if code != 0 {
		return out, errors.New(strings.TrimSpace(fault))
	}
	return out, nil
}

// On the night before and on the night itself stacks are approved, and the second is taken back, then the first.
func TestRevoke(t *testing.T) {
	t.Parallel()
	d := deploy(t, changing(2), "")
	nightOf := func(date schemas.Date, rows []schemas.Offence) workflows.NightResult {
		path := filepath.Join(d.dir, "extract.parquet")
		if err := parquet.WriteFile(path+".new", rows); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
		run, err := d.client.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: workflows.NightWorkflowID(date), TaskQueue: workflows.TaskQueue}, workflows.NightlyRun,
			schemas.NightRequest{AsOf: date})
		if err != nil {
			t.Fatal(err)
		}
		var n workflows.NightResult
		if err := run.Get(t.Context(), &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	current := func() string {
		c, err := nights.LoadCurrent(t.Context(), d.store)
		if err != nil {
			t.Fatal(err)
		}
		if c == nil {
			return ""
		}
		return c.Manifest.NightID.String()
	}
	revoke := func(date, want string) {
		t.Helper()
		out, err := d.line("revoke", "--as-of", date, "--by", "Supt Example", "--reason", "two boroughs were missing")
		if err != nil || !strings.Contains(out, want) {
			t.Fatalf("%q, %v", out, err)
		}
		var count workflows.TaskingCount
		id := workflows.RetaskWorkflowID(schemas.NightID{AsOf: schemas.MustDate(date), Revision: 1})
		if err := d.client.GetWorkflow(t.Context(), id, "").Get(t.Context(), &count); err != nil || count.Failed+count.Outdated+count.Unchanged > 0 || count.Sent < 32 {
			t.Errorf("%+v, %v", count, err)
		}
	}

	first := nightOf(asOf, changing(0))
	d.approve(first)
	wanted := map[string]bool{}
	for reference, tasking := range d.taskings() {
		wanted[reference] = tasking.OnStack
	}
	second := nightOf(asOf.AddDays(3), changing(3))
	d.approve(second)
	decided := d.read(second.Night.Path() + "/" + schemas.DecisionFile)
	if out, err := d.line("revoke", "--as-of", "2026-06-30", "--by", "Supt Example", "--reason", "x"); err == nil || !strings.Contains(err.Error(), "night 2026-07-03-r1 was approved after it") {
		t.Errorf("the older one: %q, %v", out, err)
	}
	if current() != "2026-07-03-r1" {
		t.Fatalf("current %s", current())
	}

	revoke("2026-07-03", "The stack of night 2026-06-30-r1 is the current one again")
	if current() != "2026-06-30-r1" || !bytes.Equal(decided, d.read(second.Night.Path()+"/"+schemas.DecisionFile)) || !bytes.Equal(d.read("current.json"), d.read("approvals/000003.json")) {
		t.Errorf("current %s", current())
	}
	downs := 0
	for reference, tasking := range d.taskings() {
		last := tasking.Events[len(tasking.Events)-1]
		if tasking.OnStack != wanted[reference] {
			t.Errorf("%s: on the stack: %v, last %+v", reference, tasking.OnStack, last)
		}
		if !wanted[reference] {
			downs++
			if tasking.State != schemas.TaskingStoodDown || last.Reason != "the approval of the stack of 3 July 2026, revision 1, was taken back: two boroughs were missing" {
				t.Errorf("%s: %s, %q", reference, tasking.State, last.Reason)
			}
		}
	}
	if downs == 0 {
		t.Error("nobody was on the second stack alone: the test shows nothing")
	}
	if _, err := d.line("revoke", "--as-of", "2026-07-03", "--revision", "1", "--by", "Supt Other", "--reason", "x"); err == nil || !strings.Contains(err.Error(), "its approval was taken back on") {
		t.Errorf("revoked twice: %v", err)
	}
	if _, err := d.line("approve", "--as-of", "2026-07-03", "--by", "DCI Example", "--reason", "looked at all of it"); err == nil || !strings.Contains(err.Error(), "was taken back, and that is final") {
		t.Errorf("approved again: %v", err)
	}
	if out, err := d.line("status"); err != nil || !strings.Contains(out, "revoked") || !strings.Contains(out, "approved, current") || !strings.Contains(out, "two boroughs were missing") {
		t.Errorf("%s, %v", out, err)
	}
	if out, err := d.line("stack", "--why", "a test"); err != nil || !strings.Contains(out, "Night of 2026-06-30, revision 1") {
		t.Errorf("%.200s, %v", out, err)
	}

	revoke("2026-06-30", "No stack is approved now")
	if current() != "" {
		t.Errorf("current %s", current())
	}
	for reference, tasking := range d.taskings() {
		if tasking.OnStack || tasking.State.Open() {
			t.Errorf("%s is %s", reference, tasking.State)
		}
	}
	if out, err := d.line("stack", "--why", "a test"); err == nil || !strings.Contains(err.Error(), "no stack is approved") {
		t.Errorf("%.200s, %v", out, err)
	}
	if _, err := audit.Read(t.Context(), d.store); err != nil {
		t.Error(err)
	}

	// The same date again is its next revision, and tasks them all anew.
	third := nightOf(asOf.AddDays(3), changing(3))
	if got := d.approve(third).Tasking; third.Night.Revision != 2 || got.Failed+got.Outdated > 0 || current() != "2026-07-03-r2" {
		t.Errorf("%s: %+v, current %s", third.Night, got, current())
	}
	on := 0
	for _, tasking := range d.taskings() {
		if tasking.OnStack {
			on++
		}
	}
	if on != 100 {
		t.Errorf("%d are tasked", on)
	}
	d.record(os.Getenv("HARMSTACK_RECORD"), map[string][2]string{
		"revoke": {workflows.RevokeWorkflowID(second.Night), ""}, "retask": {workflows.RetaskWorkflowID(second.Night), ""},
		"retask-to-none": {workflows.RetaskWorkflowID(first.Night), ""},
	})
}

// A night of the future is refused wherever it is started, and leaves nothing in the store.
func TestANightOfTheFuture(t *testing.T) {
	t.Parallel()
	d := deploy(t, extract(40), "")
	says := "the night of 2036-01-01 is of the future: the last full day in London is "
	for _, args := range [][]string{{"run", "--as-of", "2036-01-01"}, {"backfill", "--from", "2026-06-30", "--to", "2036-01-01"}} {
		if _, err := d.line(args...); err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", args, err)
		}
	}
	run, err := d.client.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: "from-the-form", TaskQueue: workflows.TaskQueue}, workflows.NightlyRun,
		schemas.NightRequest{AsOf: schemas.MustDate("2036-01-01")})
	if err != nil {
		t.Fatal(err)
	}
	if err := run.Get(t.Context(), nil); !task.Is(err, fault.FutureNight) || !strings.Contains(err.Error(), says) {
		t.Errorf("%v", err)
	}
	options := flows.Schedule(workflows.TaskQueue)
	options.Paused = true
	options.Action.(*client.ScheduleWorkflowAction).Args = []any{schemas.NightRequest{AsOf: schemas.MustDate("2036-01-01")}}
	schedule, err := d.client.ScheduleClient().Create(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	defer schedule.Delete(t.Context())
	if err := schedule.Trigger(t.Context(), client.ScheduleTriggerOptions{}); err != nil {
		t.Fatal(err)
	}
	d.eventually(func() bool {
		s, err := schedule.Describe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Info.RecentActions) == 0 {
			return false
		}
		started := s.Info.RecentActions[0].StartWorkflowResult
		if err := d.client.GetWorkflow(t.Context(), started.WorkflowID, started.FirstExecutionRunID).Get(t.Context(), nil); !task.Is(err, fault.FutureNight) {
			t.Errorf("from the schedule: %v", err)
		}
		return true
	})
	if keys, err := d.store.List(t.Context(), "nights/"); err != nil || len(keys) > 0 {
		t.Errorf("%q, %v", keys, err)
	}
}
