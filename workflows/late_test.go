package workflows

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"harmstack/activities/messages/ledger"
	"harmstack/activities/nights"
	"harmstack/activities/operations"
	"harmstack/activities/task"
	"harmstack/schemas"
	"harmstack/schemas/fault"
)

// scheduled is an environment in which a schedule started the night at that instant.
func (d *deployment) scheduled(t *testing.T, meant, now string) *testsuite.TestWorkflowEnvironment {
	t.Helper()
	env := d.env(t, "night")
	at, err := time.Parse(time.RFC3339, meant)
	started, err2 := time.Parse(time.RFC3339, now)
	if err := errors.Join(err, err2, env.SetTypedSearchAttributesOnStart(temporal.NewSearchAttributes(scheduledStart.ValueSet(at)))); err != nil {
		t.Fatal(err)
	}
	env.SetStartTime(started)
	return env
}

func progressOf(t *testing.T, env *testsuite.TestWorkflowEnvironment) (p NightProgress) {
	t.Helper()
	value, err := env.QueryWorkflow(Progress.Name)
	if err := errors.Join(err, value.Get(&p)); err != nil {
		t.Fatal(err)
	}
	return p
}

// tries counts the activities that are started, by type.
func tries(env *testsuite.TestWorkflowEnvironment) map[string]int {
	count := map[string]int{}
	env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
		count[info.ActivityType.Name]++
	})
	return count
}

// A source that comes two hours late is waited for, and the night goes on by itself. The extract's rows are of the last
// day.
func TestSourceComesLate(t *testing.T) {
	d := newDeployment(t)
	if err := os.Remove(d.extract); err != nil {
		t.Fatal(err)
	}
	env := d.scheduled(t, "2026-07-01T02:30:00Z", "2026-07-01T02:30:00Z")
	stopAtDecision(env)
	ran := tries(env)
	var meanwhile NightProgress
	env.RegisterDelayedCallback(func() {
		meanwhile = progressOf(t, env)
		late := rape("S-1", "Hackney", "2026-06-30", 1)
		late.UpdatedAt = new(asOf.AddDays(1).Start().UnixMicro())
		d.write(t, late)
	}, 2*time.Hour-30*time.Second)
	env.ExecuteWorkflow(NightlyRun, schemas.NightRequest{})
	if err := env.GetWorkflowError(); err != nil {
		t.Fatal(err)
	}
	s := meanwhile.Stages[1]
	if want := "waiting since 03:30 on 1 July, until 09:00 on 1 July: there is no file"; s.Name != "source" || s.State != StageRunning || s.Notes != want {
		t.Errorf("%+v", s)
	}
	if !strings.Contains(meanwhile.Markdown(), "| source | running |  |  | waiting since 03:30") {
		t.Error(meanwhile.Markdown())
	}
	p := progressOf(t, env)
	if s := p.Stages[1]; s.State != StageDone || s.Notes != "came after 2h0m0s" {
		t.Errorf("%+v", s)
	}
	if p.Night.String() != "2026-06-30-r1" || ran["AwaitSource"] < 119 || ran["AwaitSource"] > 121 || ran["LookForSource"] != 1 || ran["Alert"] != 0 {
		t.Errorf("%s, %v", p.Night, ran)
	}
}

// A source that does not come ends the night at nine in London, whatever the clocks do, and one mail goes out.
func TestSourceDoesNotCome(t *testing.T) {
	for _, c := range []struct {
		scenario, meant, ends string
		asOf                  string
	}{
		{"in summer", "2026-07-01T02:30:00Z", "2026-07-01T08:00:00Z", "2026-06-30"},
		{"in winter", "2026-12-01T03:30:00Z", "2026-12-01T09:00:00Z", "2026-11-30"},
		{"the night the clocks go forward", "2026-03-29T02:30:00Z", "2026-03-29T08:00:00Z", "2026-03-28"},
		{"the night the clocks go back", "2026-10-25T03:30:00Z", "2026-10-25T09:00:00Z", "2026-10-24"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			d := newDeployment(t)
			if err := os.Remove(d.extract); err != nil {
				t.Fatal(err)
			}
			env := d.scheduled(t, c.meant, c.meant)
			env.ExecuteWorkflow(NightlyRun, schemas.NightRequest{})
			ended := env.Now()
			err := env.GetWorkflowError()
			if !task.Is(err, fault.SourceLate) || !strings.Contains(err.Error(), "The night of "+c.asOf+" has no source: by 09:00 on ") ||
				!strings.Contains(err.Error(), "there is no file") || !strings.Contains(err.Error(), "starter run --as-of "+c.asOf) {
				t.Error(err)
			}
			if want, _ := time.Parse(time.RFC3339, c.ends); ended.After(want) || want.Sub(ended) > time.Minute {
				t.Errorf("it gave up at %s, want %s", ended, want)
			}
			entries, err := ledger.Read(t.Context(), d.store)
			if err != nil || len(entries) != 1 || entries[0].Kind != operations.KindSourceLate || entries[0].Subject != "night of "+c.asOf || d.mails(t) != 1 {
				t.Errorf("%v, %+v", err, entries)
			}
			if p := progressOf(t, env); p.Stages[len(p.Stages)-1].State != StageFailed || len(p.Stages) != 2 {
				t.Errorf("%+v", p)
			}
			if all, err := nights.List(t.Context(), d.store); err != nil || len(all) != 0 {
				t.Errorf("%v, %v", all, err)
			}
		})
	}
}

// Who waits, and who takes what there is.
func TestWhoWaits(t *testing.T) {
	const summer = "2026-07-01T02:30:00Z"
	for _, c := range []struct {
		scenario   string
		meant, now string // meant empty: started by hand
		request    schemas.NightRequest
		until      string // of the wait; empty: none
		want       string
	}{
		{"by hand", "", "2026-07-01T02:30:00Z", schemas.NightRequest{}, "", fault.SourceNotFound},
		{"by hand, for an old date", "", "2026-07-01T02:30:00Z", schemas.NightRequest{AsOf: asOf.AddDays(-90)}, "", fault.SourceNotFound},
		{"backfilled", summer, "2026-07-02T02:30:00Z", schemas.NightRequest{}, "", fault.SourceNotFound},
		{"scheduled, when the worker was away until noon", summer, "2026-07-01T11:00:00Z", schemas.NightRequest{}, "2026-07-01T11:00:00Z", fault.SourceLate},
		{"asked to wait", "", "2026-07-01T07:30:00Z", schemas.NightRequest{Wait: true}, "2026-07-01T08:00:00Z", fault.SourceLate},
		{"asked to wait after nine: until the next", "", "2026-07-01T08:00:00Z", schemas.NightRequest{Wait: true}, "2026-07-02T08:00:00Z", fault.SourceLate},
		{"asked to wait, for an old date", "", "2026-07-01T02:30:00Z", schemas.NightRequest{AsOf: asOf.AddDays(-90), Wait: true}, "2026-07-01T08:00:00Z", fault.SourceLate},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			d := newDeployment(t)
			if err := os.Remove(d.extract); err != nil {
				t.Fatal(err)
			}
			now, err := time.Parse(time.RFC3339, c.now)
			if err != nil {
				t.Fatal(err)
			}
			env := d.env(t, "night")
			if c.meant != "" {
				env = d.scheduled(t, c.meant, c.now)
			}
			env.SetStartTime(now)
			env.ExecuteWorkflow(NightlyRun, c.request)
			until := now
			if c.until != "" {
				until, _ = time.Parse(time.RFC3339, c.until)
			}
			if early := until.Sub(env.Now()); !task.Is(env.GetWorkflowError(), c.want) || early < -time.Second || early > time.Minute {
				t.Errorf("%s early: %v", early, env.GetWorkflowError())
			}
		})
	}
	t.Run("where nobody wants to", func(t *testing.T) {
		d := newDeployment(t)
		d.acts.Nightly.Checks.Arrival.Until = "off"
		if err := os.Remove(d.extract); err != nil {
			t.Fatal(err)
		}
		env := d.scheduled(t, summer, summer)
		env.ExecuteWorkflow(NightlyRun, schemas.NightRequest{})
		if !task.Is(env.GetWorkflowError(), fault.SourceNotFound) {
			t.Error(env.GetWorkflowError())
		}
	})
}

// What waiting does not mend fails at once, with its own error.
func TestNotLateButWrong(t *testing.T) {
	d := newDeployment(t)
	if err := parquet.WriteFile(d.extract, []struct{ X int64 }{{1}}); err != nil {
		t.Fatal(err)
	}
	env := d.scheduled(t, "2026-07-01T02:30:00Z", "2026-07-01T02:30:00Z")
	ran := tries(env)
	env.ExecuteWorkflow(NightlyRun, schemas.NightRequest{})
	if !task.Is(env.GetWorkflowError(), fault.SchemaMismatch) || ran["AwaitSource"] != 0 {
		t.Errorf("%v, %v", env.GetWorkflowError(), ran)
	}
}

// Whoever cancels a wait need not wait for it, and nobody is told that the source is late.
func TestCancelWait(t *testing.T) {
	d := newDeployment(t)
	if err := os.Remove(d.extract); err != nil {
		t.Fatal(err)
	}
	env := d.scheduled(t, "2026-07-01T02:30:00Z", "2026-07-01T02:30:00Z")
	env.RegisterDelayedCallback(env.CancelWorkflow, time.Hour)
	start := env.Now()
	env.ExecuteWorkflow(NightlyRun, schemas.NightRequest{})
	if took := env.Now().Sub(start); !temporal.IsCanceledError(env.GetWorkflowError()) || took > time.Hour+time.Second {
		t.Errorf("after %s: %v", took, env.GetWorkflowError())
	}
	if p := progressOf(t, env); p.Stages[1].State != StageCancelled || d.mails(t) != 0 {
		t.Errorf("%+v, %d mails", p, d.mails(t))
	}
}

// A mail server that is away does not keep the failure back for longer than an hour, and is named in it.
func TestNobodyIsTold(t *testing.T) {
	d := newDeployment(t)
	if err := errors.Join(os.Remove(d.extract), os.RemoveAll(d.outbox), os.WriteFile(filepath.Clean(d.outbox), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	env := d.scheduled(t, "2026-07-01T02:30:00Z", "2026-07-01T02:30:00Z")
	start := env.Now()
	env.ExecuteWorkflow(NightlyRun, schemas.NightRequest{})
	if err := env.GetWorkflowError(); !task.Is(err, fault.SourceLate) || !strings.Contains(err.Error(), "Nobody could be told by mail") {
		t.Error(err)
	}
	if took := env.Now().Sub(start); took > 6*time.Hour+31*time.Minute {
		t.Error(took)
	}
}

// A watch tells of each thing once a day, however often it runs, and says in its details what it found.
func TestWatch(t *testing.T) {
	d := newDeployment(t, threeSuspects()...)
	d.approve(t, d.night(t, "night", schemas.NightRequest{AsOf: asOf}))
	sent := d.mails(t)
	d.acts.Operations.Scheduling = func(context.Context, schemas.Date) (operations.Scheduling, error) {
		return operations.Scheduling{Paused: true}, nil
	}
	watch := func(now string, request WatchRequest) (r WatchResult) {
		t.Helper()
		env := d.env(t, "watch")
		at, err := time.Parse(time.RFC3339, now)
		if err != nil {
			t.Fatal(err)
		}
		env.SetStartTime(at)
		env.ExecuteWorkflow(Watch, request)
		if err := errors.Join(env.GetWorkflowError(), env.GetWorkflowResult(&r)); err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, c := range []struct {
		scenario, now string
		request       WatchRequest
		kinds         string
		mails         int
	}{
		{"the morning after: paused, no more", "2026-07-01T06:30:00Z", WatchRequest{}, operations.KindSchedulePaused, 1},
		{"the next: the night is missing", "2026-07-02T06:30:00Z", WatchRequest{}, "night_missing schedule_paused", 2},
		{"the same again", "2026-07-02T09:30:00Z", WatchRequest{}, "night_missing schedule_paused", 0},
		{"three mornings on: the stack is old", "2026-07-04T06:30:00Z", WatchRequest{}, "night_missing schedule_paused current_old", 3},
		{"asked about a day", "2026-08-04T06:30:00Z", WatchRequest{Day: schemas.MustDate("2026-07-01")}, operations.KindSchedulePaused, 0},
		{"half past midnight in London is the new day", "2026-07-04T23:30:00Z", WatchRequest{}, "night_missing schedule_paused current_old", 3},
	} {
		r := watch(c.now, c.request)
		var kinds []string
		for _, f := range r.Findings {
			kinds = append(kinds, f.Kind)
			if !strings.Contains(r.Markdown(), "| **"+f.Kind+"** | "+f.Text) {
				t.Error(r.Markdown())
			}
		}
		if got := d.mails(t) - sent; strings.Join(kinds, " ") != c.kinds || got != c.mails {
			t.Errorf("%s: %s, %d mails", c.scenario, kinds, got)
		}
		sent = d.mails(t)
	}
	if page := (WatchResult{Day: asOf}).Markdown(); !strings.Contains(page, "All is as it should be.") {
		t.Error(page)
	}
}

// One message that is refused keeps no other back, and the watch says so by failing.
func TestWatchCannotTell(t *testing.T) {
	d := newDeployment(t)
	if err := errors.Join(os.RemoveAll(d.outbox), os.WriteFile(d.outbox, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	env := d.env(t, "watch")
	ran := tries(env)
	env.ExecuteWorkflow(Watch, WatchRequest{})
	if env.GetWorkflowError() == nil || ran["Inspect"] != 1 || ran["Alert"] < 2 {
		t.Errorf("%v, %v", env.GetWorkflowError(), ran)
	}
}
