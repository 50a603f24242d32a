package e2e

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"harmstack/activities/casework"
	"harmstack/activities/store/s3test"
	"harmstack/activities/tasking"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/workflows"
)

// inFullBucket deploys over a bucket that has no room for keys of a prefix while room is false.
func inFullBucket(t *testing.T) (d *deployment, full *atomic.Pointer[string]) {
	t.Helper()
	s3 := s3test.New(t)
	full = new(atomic.Pointer[string])
	s3.Inject(func(_ int, r *http.Request) s3test.Fault {
		if prefix := full.Load(); prefix != nil && r.Method == http.MethodPut && strings.HasPrefix(r.URL.Path, "/harmstack/"+*prefix) {
			return s3test.Full
		}
		return s3test.None
	})
	return deploy(t, extract(40), "", "HARMSTACK_STORE="+s3.URL, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
		"AWS_EC2_METADATA_DISABLED=true"), full
}

// What could not be recorded, because the store had no room, is recorded by the same command line once there is room:
// the officer's decision and every answer of a team. The same words twice do no harm.
func TestTheSameWordsAgain(t *testing.T) {
	t.Parallel()
	d, full := inFullBucket(t)
	_, n := d.night(schemas.NightRequest{AsOf: asOf})
	again := func(prefix string, args ...string) {
		t.Helper()
		full.Store(&prefix)
		for range 2 {
			d.expect("the store is full", args...)
		}
		full.Store(nil)
		// The second click is the same answer, or comes when the first has changed what can be asked.
		clicks := []*typed{d.typing(nil, args...), d.typing(nil, args...)}
		done := 0
		for _, c := range clicks {
			if c.wait() == 0 {
				done++
			} else if !strings.Contains(c.err.String(), "not possible now") && !strings.Contains(c.err.String(), "not your tasking") {
				t.Error(c.err.String())
			}
		}
		if done == 0 {
			t.Errorf("%v: neither click of two succeeded", args)
		}
	}
	approve := append([]string{"approve"}, byHand(n)...)
	again("nights/", approve...)
	if got, err := d.decision(n); err != nil || got.Decision.Decision != schemas.Approved || got.Tasking.Failed != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	d.succeed(approve...) // also when the workflow has ended
	d.expect("a decision is final", append([]string{"hold"}, byHand(n)...)...)
	d.expect("a decision is final", "approve", "--as-of", asOf.String(), "--by", "DCI Other", "--reason", "me too")

	var reference string
	for r, tasking := range d.taskings() {
		if tasking.Team == "Hackney" {
			reference = r
			break
		}
	}
	as := []string{reference, "--team", "Hackney", "--by", "PS Example"}
	again("taskings/", append([]string{"ack"}, as...)...)
	again("taskings/", append([]string{"transfer", "--to", "Bexley", "--note", "moved"}, as...)...)
	as[2] = "Bexley"
	again("taskings/", append([]string{"ack"}, as...)...)
	again("taskings/", append([]string{"outcome", "--outcome", "disrupted"}, as...)...)
	got, err := casework.Load(t.Context(), d.store, reference)
	if err != nil {
		t.Fatal(err)
	}
	story := ""
	for _, e := range got.Events {
		story += e.Kind + " "
	}
	if story != "issued acknowledged transferred acknowledged closed " {
		t.Error(story)
	}
	log, err := audit.Read(t.Context(), d.store)
	counts := map[string]int{}
	for _, e := range log {
		counts[e.Did]++
	}
	if err != nil || counts[schemas.Approved] != 1 {
		t.Errorf("%v, %v", counts, err)
	}
}

// decision waits until a night is decided and its teams are told.
func (d *deployment) decision(n workflows.NightResult) (r workflows.DecisionResult, err error) {
	d.t.Helper()
	return r, d.client.GetWorkflow(d.t.Context(), n.Decision, "").Get(d.t.Context(), &r)
}

// A night's orders, which found the store full, are carried out once there is room: each attempt is an order of its
// own.
func TestOrdersAgain(t *testing.T) {
	t.Parallel()
	d, full := inFullBucket(t)
	_, n := d.night(schemas.NightRequest{AsOf: asOf})
	cases := "taskings/cases/"
	full.Store(&cases)
	d.succeed(append([]string{"approve"}, byHand(n)...)...)
	// What cannot be recorded in its time is noted, and keeps no digest back.
	got, err := d.decision(n)
	if err != nil || got.Tasking.Failed != 0 || got.Tasking.Sent != 34 || got.Tasking.LateOrders != 40 || len(d.taskings()) != 0 {
		t.Errorf("%+v, %v, %d taskings", got, err, len(d.taskings()))
	}
	full.Store(nil)
	d.succeed("tasking", "resume")
	d.eventually(func() bool {
		failed, err := tasking.FailedOrders(t.Context(), d.store)
		return err == nil && len(failed) == 0
	})
	if got := len(d.taskings()); got != 40 {
		t.Errorf("%d taskings", got)
	}
}

// A decision that was ended between its record and the swap makes its stack current when it is started again, and the
// teams who were told are not told twice.
func TestDecisionStartedAgain(t *testing.T) {
	t.Parallel()
	d, full := inFullBucket(t)
	_, n := d.night(schemas.NightRequest{AsOf: asOf})
	approvals := "approvals/"
	full.Store(&approvals)
	approving := d.typing(nil, append([]string{"approve"}, byHand(n)...)...)
	approving.says("swap failed, attempt 1")
	if err := d.client.TerminateWorkflow(t.Context(), n.Decision, "", "by mistake"); err != nil {
		t.Fatal(err)
	}
	if code := approving.wait(); code != 1 || !strings.Contains(approving.err.String(), "did not become current") {
		t.Errorf("exit %d: %s", code, approving.err.String())
	}
	if list := d.succeed("status"); !strings.Contains(list, "approved") {
		t.Error(list)
	}
	full.Store(nil)
	for i := range 2 {
		run, err := d.client.ExecuteWorkflow(t.Context(), d.again(n.Decision), workflows.Decision, workflows.DecisionParams{Manifest: *n.Manifest})
		if err != nil {
			t.Fatal(err)
		}
		var got workflows.DecisionResult
		want := fmt.Sprint(workflows.TaskingCount{Sent: 34})
		if i == 1 {
			want = fmt.Sprint(workflows.TaskingCount{Unchanged: 34})
		}
		if err := run.Get(t.Context(), &got); err != nil || fmt.Sprint(got.Tasking) != want {
			t.Errorf("%+v, %v", got, err)
		}
		d.record(os.Getenv("HARMSTACK_RECORD"), map[string][2]string{"decision-approved-started-again": {run.GetID(), run.GetRunID()}})
	}
	d.succeed(append([]string{"approve"}, byHand(n)...)...)
}
