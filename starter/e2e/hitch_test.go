package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	enumspb "go.temporal.io/api/enums/v1"

	"harmstack/activities/extract/postgres/pgtest"
	"harmstack/activities/nights"
	"harmstack/activities/operations"
	"harmstack/schemas"
	"harmstack/workflows"
)

// What keeps a night from going on is said by whoever follows it, while it is tried again, and by `status`.
func TestRunSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	run := []string{"run", "--as-of", asOf.String()}
	t.Run("no worker, and then one", func(t *testing.T) {
		d := deploy(t, extract(40), "", noWorker)
		c := d.typing(nil, run...)
		c.says("no worker takes it up: nobody polls the task queue harmstack, start a worker")
		if list := d.succeed("status"); !strings.Contains(list, "nobody polls the task queue harmstack") {
			t.Error(list)
		}
		d.startWorker()
		if code := c.wait(); code != 0 {
			t.Errorf("exit %d: %s", code, c.err.String())
		}
	})
	t.Run("the worker was lost", func(t *testing.T) {
		d := deploy(t, extract(40), "Score:stuck")
		c := d.typing(nil, run...)
		c.says("check    done")
		d.lose()
		c.says("score failed, attempt 1: its worker was lost")
		d.typing(nil, "run", "--as-of", asOf.AddDays(1).String()).says("no worker takes it up: one polled the task queue harmstack last at ")
	})
	t.Run("no search attributes", func(t *testing.T) {
		d := deploy(t, extract(40), "", noAttributes)
		c := d.typing(nil, run...)
		c.says("HarmstackAsOf is not registered: temporal operator search-attribute create")
	})
	t.Run("the store has no room, and then it has", func(t *testing.T) {
		d, full := inFullBucket(t)
		everything := ""
		full.Store(&everything)
		c := d.typing(nil, run...)
		c.says("claim failed, attempt 1: ")
		c.says("the store is full: make room")
		c.says("it is tried again at ")
		full.Store(nil)
		if code := c.wait(); code != 0 {
			t.Errorf("exit %d: %s", code, c.err.String())
		}
	})
	t.Run("the store cannot be written to, and then it can", func(t *testing.T) {
		d := deploy(t, extract(40), "")
		all := filepath.Join(d.dir, "store", "nights")
		if err := os.WriteFile(all, nil, 0o600); err != nil { // in the place of the folder
			t.Fatal(err)
		}
		c := d.typing(nil, run...)
		c.says("claim failed, attempt 1: claiming night 2026-06-30-r1: ")
		c.says("nights: not a directory")
		if err := os.Remove(all); err != nil {
			t.Fatal(err)
		}
		if code := c.wait(); code != 0 {
			t.Errorf("exit %d: %s", code, c.err.String())
		}
	})
	t.Run("no temporary folder, and then there is", func(t *testing.T) {
		temp := filepath.Join(t.TempDir(), "temp")
		d := deploy(t, extract(4000), "", "HARMSTACK_TEMP="+temp, "HARMSTACK_MEMORY=32MiB")
		c := d.typing(nil, run...)
		c.says("score failed, attempt 1: ")
		c.says(temp)
		if err := os.Mkdir(temp, 0o700); err != nil {
			t.Fatal(err)
		}
		if code := c.wait(); code != 0 {
			t.Errorf("exit %d: %s", code, c.err.String())
		}
	})
	t.Run("the database is away, and then refuses", func(t *testing.T) {
		d := deploy(t, extract(40), "", "HARMSTACK_SOURCES=crimes=./crimes.yaml")
		server := pgtest.Start(t)
		server.Kill()
		text := "postgres:\n  url: " + server.URL + "\n  query: SELECT * FROM offences\n"
		if err := os.WriteFile(filepath.Join(d.dir, "crimes.yaml"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c := d.typing(nil, append(run, "--extract", "crimes")...)
		c.says("extract failed, attempt 1: ")
		server.Restart()
		if code := c.wait(); code != 1 || !strings.Contains(c.err.String(), "the night failed: SourceRefused: ") {
			t.Errorf("exit %d: %s", code, c.err.String())
		}
	})
}

// A night that failed is told by mail at once, and stands in the list until another run of its date has ended well; one
// that was terminated is told by the watch.
func TestFailedNights(t *testing.T) {
	t.Parallel()
	d := deploy(t, extract(40), "")
	yesterday := schemas.LondonDate(time.Now()).AddDays(-1)
	args := []string{"run", "--as-of", yesterday.String()}
	d.expect("the night failed: SourceNotFound", append(args, "--extract", "./none.parquet")...)
	d.record(os.Getenv("HARMSTACK_RECORD"), map[string][2]string{"night-failed-and-told": {"night-" + yesterday.String(), ""}})
	const operators = `"Harmstack operations" <harmstack.operations@example.police.uk>`
	if got := d.mail.messages()[operators]; len(got) != 1 {
		t.Errorf("%v", d.mail.messages())
	}
	listed := func(text string) {
		t.Helper()
		d.eventually(func() bool { return strings.Contains(d.succeed("status"), text) }) // known a moment later
	}
	listed("SourceNotFound")
	watch := func() (r workflows.WatchResult) {
		run, err := d.client.ExecuteWorkflow(t.Context(), d.again("watch"), workflows.Watch, workflows.WatchRequest{})
		if err == nil {
			err = run.Get(t.Context(), &r)
		}
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := watch(); r.Findings[0].Kind != operations.KindNightMissing || !strings.Contains(r.Findings[0].Text, "Its last run failed: SourceNotFound") {
		t.Errorf("%+v", r)
	}
	waiting := d.typing(nil, append(args, "--wait", "--extract", "./none.parquet")...)
	waiting.says("waiting since")
	if err := d.client.TerminateWorkflow(t.Context(), "night-"+yesterday.String(), "", "by mistake"); err != nil {
		t.Fatal(err)
	}
	if waiting.wait() != 1 {
		t.Error("a night that was terminated ended well")
	}
	listed("was terminated")
	if r := watch(); !strings.Contains(r.Findings[0].Text, "Its last run was terminated.") {
		t.Errorf("%+v", r)
	}
	d.succeed(args...)
	d.eventually(func() bool { return !strings.Contains(d.succeed("status"), "was terminated") })
	list := d.succeed("status")
	if !strings.Contains(list, "starter approve or hold --as-of "+yesterday.String()) {
		t.Error(list)
	}
	all, err := nights.List(t.Context(), d.store)
	if err != nil || len(all) != 1 {
		t.Fatalf("%v, %v", all, err)
	}
	if err := d.client.TerminateWorkflow(t.Context(), workflows.DecisionWorkflowID(all[0].ID), "", "by mistake"); err != nil {
		t.Fatal(err)
	}
	listed("Nobody can decide night " + all[0].ID.String())
}

// Of the nights of a backfill each is superseded by the next: only the last is pending.
func TestBackfillSaysWhatIsSuperseded(t *testing.T) {
	t.Parallel()
	d := deploy(t, extract(40), "")
	out := d.succeed("backfill", "--from", asOf.String(), "--to", asOf.AddDays(2).String())
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 4 || strings.Count(out, "superseded") != 2 || !strings.HasSuffix(lines[3], nights.Pending) {
		t.Error(out)
	}
	// One that fails ends it, and those before it are told.
	out, fault, code := d.starter("backfill", "--from", asOf.AddDays(3).String(), "--to", asOf.AddDays(4).String(), "--extract", "./none.parquet")
	if code != 1 || out != "" || !strings.Contains(fault, "night of 2026-07-03: the night failed: SourceNotFound") {
		t.Errorf("exit %d: %s%s", code, out, fault)
	}
}

// A tasking whose file is damaged fails instead of spinning; those who look are told, and resume starts it again.
func TestDamagedTasking(t *testing.T) {
	t.Parallel()
	d := deploy(t, extract(40), "")
	_, n := d.night(schemas.NightRequest{AsOf: asOf})
	d.approve(n)
	var reference, team string
	for _, tasking := range d.taskings() {
		reference, team = tasking.Reference, tasking.Team
	}
	key := "taskings/cases/" + reference + "/000001.json"
	whole := d.read(key)
	if err := d.store.Replace(t.Context(), key, []byte("{")); err != nil {
		t.Fatal(err)
	}
	id := workflows.TaskingWorkflowID(reference)
	if err := d.client.TerminateWorkflow(t.Context(), id, "", "the service was lost"); err != nil {
		t.Fatal(err)
	}
	d.succeed("tasking", "resume")
	d.eventually(func() bool {
		described, err := d.client.DescribeWorkflowExecution(t.Context(), id, "")
		return err == nil && described.WorkflowExecutionInfo.Status == enumspb.WORKFLOW_EXECUTION_STATUS_FAILED
	})
	d.record(os.Getenv("HARMSTACK_RECORD"), map[string][2]string{"tasking-damaged": {id, ""}})
	const stopped, unread = "1 tasking on the stack does not run, so that nobody is chased", "1 tasking cannot be read and is not counted"
	d.eventually(func() bool { // the count of those that run is right a moment later
		out := d.succeed("status")
		return strings.Contains(out, stopped) && strings.Contains(out, unread)
	})
	if err := d.store.Replace(t.Context(), key, whole); err != nil {
		t.Fatal(err)
	}
	d.succeed("tasking", "resume")
	d.eventually(func() bool {
		out := d.succeed("status")
		return !strings.Contains(out, stopped) && !strings.Contains(out, unread)
	})
	d.succeed("ack", reference, "--team", team, "--by", "PS Example", "--json")
}
