package workflows

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"harmstack/activities/decision"
	"harmstack/activities/nights"
	"harmstack/activities/store"
	"harmstack/activities/task"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/schemas/fault"
)

// answer is what became of one update.
type answer struct {
	decision schemas.Decision
	rejected bool
	err      error
	done     bool
}

func (a *answer) Accept()        {}
func (a *answer) Reject(e error) { a.rejected, a.err, a.done = true, e, true }
func (a *answer) Complete(v any, err error) {
	a.done, a.err = true, err
	if d, ok := v.(schemas.Decision); ok {
		a.decision = d
	}
}

func request(n NightResult) schemas.DecisionRequest {
	return schemas.DecisionRequest{Revision: n.Night.Revision, ManifestSHA256: n.Manifest.SHA256, By: "DCI Example", Reason: "looked at all of it"}
}

// decide runs the decision of a night with the updates that steps sends.
func (d *deployment) decide(t *testing.T, n NightResult, steps func(env *testsuite.TestWorkflowEnvironment)) (DecisionResult, error) {
	t.Helper()
	env := d.env(t, n.Decision)
	steps(env)
	env.ExecuteWorkflow(Decision, DecisionParams{*n.Manifest})
	if !env.IsWorkflowCompleted() {
		t.Fatal("the decision did not end")
	}
	var result DecisionResult
	if err := env.GetWorkflowError(); err != nil {
		return result, err
	}
	return result, env.GetWorkflowResult(&result)
}

func (d *deployment) approve(t *testing.T, n NightResult) DecisionResult {
	t.Helper()
	a := &answer{}
	result, err := d.decide(t, n, func(env *testsuite.TestWorkflowEnvironment) {
		env.RegisterDelayedCallback(func() { env.UpdateWorkflow(Approve.Name, "u1", a, request(n)) }, time.Hour)
	})
	if err != nil || a.err != nil {
		t.Fatal(err, a.err)
	}
	return result
}

func TestApprove(t *testing.T) {
	d := newDeployment(t, threeSuspects()...)
	n := d.night(t, "night", schemas.NightRequest{AsOf: asOf})
	result := d.approve(t, n)
	if result.Decision.Decision != schemas.Approved || result.Decision.By != "DCI Example" || result.Decision.Manifest != *n.Manifest {
		t.Errorf("%+v", result.Decision)
	}
	// 32 boroughs and the team for rape; the central desk owns nobody.
	if result.Tasking != (TaskingCount{Sent: 33}) || d.mails(t) != 33 || d.current(t) != "2026-06-30-r1" {
		t.Errorf("%+v, %d mails, current %s", result.Tasking, d.mails(t), d.current(t))
	}
	log, err := audit.Read(t.Context(), d.store)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[audit.Operation]int{}
	for _, e := range log {
		kinds[e.Operation]++
		if e.Did == schemas.Approved && e.Actor.Name != "DCI Example" {
			t.Errorf("%+v", e)
		}
	}
	// The decision, what makes it effective, and three taskings.
	if kinds[audit.Alteration] != 5 || kinds[audit.Disclosure] != 33 || kinds[audit.Collection] != 1 || kinds[audit.Combination] != 1 {
		t.Errorf("%v", kinds)
	}
}

func TestHold(t *testing.T) {
	d := newDeployment(t, threeSuspects()...)
	n := d.night(t, "night", schemas.NightRequest{AsOf: asOf})
	held, late := &answer{}, &answer{}
	result, err := d.decide(t, n, func(env *testsuite.TestWorkflowEnvironment) {
		env.RegisterDelayedCallback(func() { env.UpdateWorkflow(Hold.Name, "u1", held, request(n)) }, time.Hour)
		env.RegisterDelayedCallback(func() { env.UpdateWorkflow(Approve.Name, "u2", late, request(n)) }, time.Hour)
	})
	if err != nil || result.Decision.Decision != schemas.Held || held.err != nil || held.decision.Reason != "looked at all of it" {
		t.Errorf("%+v, %v, %+v", result, err, held)
	}
	if !task.Is(late.err, fault.AlreadyDecided) {
		t.Errorf("%+v", late)
	}
	if d.current(t) != "" || d.mails(t) != 0 {
		t.Error("a held night became current or tasked somebody")
	}
}

// A decision waits for more than a year, and takes the very one it is about.
func TestDecisionWaits(t *testing.T) {
	d := newDeployment(t, threeSuspects()...)
	n := d.night(t, "night", schemas.NightRequest{AsOf: asOf})
	a := &answer{}
	var start time.Time
	result, err := d.decide(t, n, func(env *testsuite.TestWorkflowEnvironment) {
		start = env.Now()
		env.RegisterDelayedCallback(func() { env.UpdateWorkflow(Approve.Name, "u1", a, request(n)) }, 400*24*time.Hour)
	})
	if err != nil || a.err != nil || result.Decision.At.Sub(start) < 400*24*time.Hour {
		t.Errorf("decided at %s: %v, %v", result.Decision.At, err, a.err)
	}
}

func TestRefusedRequests(t *testing.T) {
	d := newDeployment(t, threeSuspects()...)
	n := d.night(t, "night", schemas.NightRequest{AsOf: asOf})
	for i, c := range []struct {
		scenario string
		change   func(*schemas.DecisionRequest)
		kind     string
		says     string
	}{
		{"nobody's name", func(r *schemas.DecisionRequest) { r.By = " " }, fault.BadRequest, "by:"},
		{"no reason", func(r *schemas.DecisionRequest) { r.Reason = "" }, fault.BadRequest, "reason:"},
		{"no revision", func(r *schemas.DecisionRequest) { r.Revision = 0 }, fault.BadRequest, "revision:"},
		{"half a hash", func(r *schemas.DecisionRequest) { r.ManifestSHA256 = r.ManifestSHA256[:32] }, fault.BadRequest, "64 hex digits"},
		{"another revision", func(r *schemas.DecisionRequest) { r.Revision = 2 }, fault.OtherManifest, "night 2026-06-30-r1"},
		{"another manifest", func(r *schemas.DecisionRequest) { r.ManifestSHA256 = strings.Repeat("0", 64) }, fault.OtherManifest, n.Manifest.SHA256},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			bad := &answer{}
			r := request(n)
			c.change(&r)
			env := d.env(t, n.Decision)
			env.RegisterDelayedCallback(func() { env.UpdateWorkflow(Approve.Name, fmt.Sprint("u", i), bad, r) }, time.Hour)
			env.RegisterDelayedCallback(env.CancelWorkflow, 2*time.Hour)
			env.ExecuteWorkflow(Decision, DecisionParams{*n.Manifest})
			if !bad.rejected || !task.Is(bad.err, c.kind) || !strings.Contains(bad.err.Error(), c.says) {
				t.Errorf("%+v", bad)
			}
			if !temporal.IsCanceledError(env.GetWorkflowError()) {
				t.Error(env.GetWorkflowError())
			}
		})
	}
	if decided, err := nights.LoadDecision(t.Context(), d.store, n.Night); err != nil || decided != nil {
		t.Errorf("%+v, %v", decided, err)
	}
}

// Two officers at once: one wins, the other is told what stands.
func TestTwoDecisionsAtOnce(t *testing.T) {
	for _, c := range []struct {
		scenario      string
		first, second string
	}{{"approve, then hold", Approve.Name, Hold.Name}, {"hold, then approve", Hold.Name, Approve.Name}} {
		t.Run(c.scenario, func(t *testing.T) {
			d := newDeployment(t, threeSuspects()...)
			n := d.night(t, "night", schemas.NightRequest{AsOf: asOf})
			won, lost := &answer{}, &answer{}
			result, err := d.decide(t, n, func(env *testsuite.TestWorkflowEnvironment) {
				env.RegisterDelayedCallback(func() {
					env.UpdateWorkflow(c.first, "u1", won, request(n))
					env.UpdateWorkflow(c.second, "u2", lost, request(n))
				}, time.Hour)
			})
			if err != nil || won.err != nil || won.decision != result.Decision {
				t.Fatalf("%v\n%+v\n%+v", err, won, result)
			}
			if !lost.done || !task.Is(lost.err, fault.AlreadyDecided) || !strings.Contains(lost.err.Error(), "a decision is final") {
				t.Errorf("%+v", lost)
			}
			var standing schemas.Decision
			var app *temporal.ApplicationError
			if !errors.As(lost.err, &app) || app.Details(&standing) != nil || standing.Decision != result.Decision.Decision {
				t.Errorf("the answer does not tell what stands: %+v", lost.err)
			}
		})
	}
}

// An officer who decides while a newer night is published: the store says who was first, and an approval
// of a superseded night is refused with words.
func TestApprovingASupersededNight(t *testing.T) {
	d := newDeployment(t, threeSuspects()...)
	n := d.night(t, "night-1", schemas.NightRequest{AsOf: asOf})
	a := &answer{}
	result, err := d.decide(t, n, func(env *testsuite.TestWorkflowEnvironment) {
		env.RegisterDelayedCallback(func() { d.night(t, "night-2", schemas.NightRequest{AsOf: asOf.AddDays(1)}) }, 30*time.Minute)
		env.RegisterDelayedCallback(func() { env.UpdateWorkflow(Approve.Name, "u1", a, request(n)) }, time.Hour)
	})
	if err != nil || result.Decision.Decision != schemas.SupersededBy {
		t.Errorf("%+v, %v", result, err)
	}
	if !task.Is(a.err, fault.AlreadyDecided) || !strings.Contains(a.err.Error(), "superseded by night 2026-07-01-r1") {
		t.Errorf("%v", a.err)
	}
	if d.current(t) != "" || d.mails(t) != 0 {
		t.Error("a superseded night became current or tasked somebody")
	}
}

// A signal ends the wait when the store says so, and changes nothing when it does not.
func TestSupersede(t *testing.T) {
	d := newDeployment(t, threeSuspects()...)
	n := d.night(t, "night-1", schemas.NightRequest{AsOf: asOf})
	result, err := d.decide(t, n, func(env *testsuite.TestWorkflowEnvironment) {
		env.RegisterDelayedCallback(func() { env.SignalWorkflow(Supersede.Name, schemas.NightID{AsOf: asOf, Revision: 9}) }, time.Hour)
		env.RegisterDelayedCallback(func() {
			if env.IsWorkflowCompleted() {
				t.Error("a signal without a record ended the wait")
			}
			d.night(t, "night-2", schemas.NightRequest{AsOf: asOf})
		}, 2*time.Hour)
		env.RegisterDelayedCallback(func() { env.SignalWorkflow(Supersede.Name, schemas.NightID{AsOf: asOf, Revision: 2}) }, 3*time.Hour)
	})
	if err != nil || result.Decision.Decision != schemas.SupersededBy || result.Decision.By != nights.System {
		t.Errorf("%+v, %v", result, err)
	}
}

// A store that is away or full: the officer is told, the night stays pending, and the same decision goes through when the
// store is back, or has room.
func TestDecisionWhileTheStoreIsAway(t *testing.T) {
	for scenario, trouble := range map[string]error{"away": errors.New("the store is away"), "full": task.Waiting(store.ErrFull)} {
		t.Run(scenario, func(t *testing.T) {
			d := newDeployment(t, threeSuspects()...)
			n := d.night(t, "night", schemas.NightRequest{AsOf: asOf})
			first, again := &answer{}, &answer{}
			result, err := d.decide(t, n, func(env *testsuite.TestWorkflowEnvironment) {
				env.OnActivity((*decision.Activities)(nil).Decide, mock.Anything, mock.Anything).Return(func(ctx context.Context, p decision.DecideParams) (decision.DecideResult, error) {
					if trouble != nil {
						return decision.DecideResult{}, trouble
					}
					return d.acts.Decision.Decide(ctx, p)
				})
				env.RegisterDelayedCallback(func() { env.UpdateWorkflow(Hold.Name, "u1", first, request(n)) }, time.Hour)
				env.RegisterDelayedCallback(func() {
					trouble = nil
					env.UpdateWorkflow(Hold.Name, "u2", again, request(n))
				}, 2*time.Hour)
			})
			if !task.Is(first.err, fault.NotRecorded) {
				t.Errorf("%+v", first)
			}
			if err != nil || again.err != nil || result.Decision.Decision != schemas.Held {
				t.Errorf("%+v, %v, %v", result, err, again.err)
			}
		})
	}
}

// A later revision writes only to the teams whose rows changed.
func TestLaterRevisionWritesOnlyToWhomItConcerns(t *testing.T) {
	d := newDeployment(t, threeSuspects()...)
	if got := d.approve(t, d.night(t, "night-1", schemas.NightRequest{AsOf: asOf})).Tasking; got != (TaskingCount{Sent: 33}) {
		t.Fatalf("%+v", got)
	}
	if got := d.approve(t, d.night(t, "night-2", schemas.NightRequest{AsOf: asOf})).Tasking; got != (TaskingCount{Unchanged: 33}) {
		t.Errorf("the same again: %+v", got)
	}
	// S-4 of nowhere ranks last: only the rows of the central desk and of the team for rape change.
	d.write(t, append(threeSuspects(), rape("S-4", "Kent", "2026-06-01", 1))...)
	if got := d.approve(t, d.night(t, "night-3", schemas.NightRequest{AsOf: asOf})).Tasking; got != (TaskingCount{Sent: 2, Unchanged: 32}) {
		t.Errorf("one more: %+v", got)
	}
	if d.mails(t) != 35 {
		t.Errorf("%d mails", d.mails(t))
	}
}

// A revision that goes back to what an earlier one said is news to the team that was told otherwise in
// between, and another message, since mail systems drop one whose id they know.
func TestRevisionThatGoesBackIsSent(t *testing.T) {
	d := newDeployment(t, threeSuspects()...)
	for i, c := range []struct {
		scenario string
		rows     []schemas.Offence
		want     TaskingCount
	}{
		{"nobody in Camden", threeSuspects(), TaskingCount{Sent: 33}},
		{"S-4 in Camden", append(threeSuspects(), rape("S-4", "Camden", "2026-06-01", 1)), TaskingCount{Sent: 2, Unchanged: 31}},
		{"nobody again", threeSuspects(), TaskingCount{Sent: 2, Unchanged: 31}},
		{"S-4 again", append(threeSuspects(), rape("S-4", "Camden", "2026-06-01", 1)), TaskingCount{Sent: 2, Unchanged: 31}},
	} {
		d.write(t, c.rows...)
		n := d.night(t, fmt.Sprint("night-", i), schemas.NightRequest{AsOf: asOf})
		if got := d.approve(t, n).Tasking; got != c.want {
			t.Errorf("%s: %+v", c.scenario, got)
		}
	}
	if d.mails(t) != 39 {
		t.Errorf("%d mails", d.mails(t))
	}
}

// A night that was superseded between its publication and the start of its decision found nobody to
// tell it so.
func TestSupersededBeforeTheWait(t *testing.T) {
	d := newDeployment(t, threeSuspects()...)
	n := d.night(t, "night-1", schemas.NightRequest{AsOf: asOf})
	d.night(t, "night-2", schemas.NightRequest{AsOf: asOf.AddDays(1)})
	result, err := d.decide(t, n, func(env *testsuite.TestWorkflowEnvironment) {
		env.RegisterDelayedCallback(env.CancelWorkflow, 400*24*time.Hour)
	})
	if err != nil || result.Decision.Decision != schemas.SupersededBy {
		t.Errorf("%+v, %v", result, err)
	}
}

// Whoever cancels the wait while an approval is being recorded comes too late: no night is left approved
// and not current, or current and nobody told.
func TestCancelDuringAnApproval(t *testing.T) {
	d := newDeployment(t, threeSuspects()...)
	n := d.night(t, "night", schemas.NightRequest{AsOf: asOf})
	a := &answer{}
	result, err := d.decide(t, n, func(env *testsuite.TestWorkflowEnvironment) {
		var acts *decision.Activities
		env.OnActivity(acts.Decide, mock.Anything, mock.Anything).Return(func(ctx context.Context, p decision.DecideParams) (decision.DecideResult, error) {
			env.CancelWorkflow()
			return d.acts.Decision.Decide(ctx, p)
		})
		env.RegisterDelayedCallback(func() { env.UpdateWorkflow(Approve.Name, "u1", a, request(n)) }, time.Hour)
	})
	if err != nil || a.err != nil || d.current(t) != n.Night.String() || result.Tasking.Sent != 33 {
		t.Errorf("%+v, %v, %v, current %s", result, err, a.err, d.current(t))
	}
}

// A check that blocks: no approval without an override, which stands in the record; a hold needs none.
func TestBlockedNight(t *testing.T) {
	many := func(suspects int) (rows []schemas.Offence) {
		for s := range suspects {
			rows = append(rows, rape(fmt.Sprintf("S-%d", s), "Hackney", "2026-06-30", 1))
		}
		return rows
	}
	d := newDeployment(t, many(10)...)
	d.approve(t, d.night(t, "night-1", schemas.NightRequest{AsOf: asOf}))
	d.write(t, many(4)...)
	n := d.night(t, "night-2", schemas.NightRequest{AsOf: asOf.AddDays(1)})
	if len(n.Checks) == 0 {
		t.Fatal("the night has no checks")
	}
	refused, first, again, approved := &answer{}, &answer{}, &answer{}, &answer{}
	result, err := d.decide(t, n, func(env *testsuite.TestWorkflowEnvironment) {
		env.RegisterDelayedCallback(func() { env.UpdateWorkflow(Approve.Name, "u1", refused, request(n)) }, time.Hour)
		env.RegisterDelayedCallback(func() {
			r := request(n)
			r.Override = "half of the source is being moved"
			env.UpdateWorkflow(Approve.Name, "u2", first, r)
		}, 2*time.Hour)
		env.RegisterDelayedCallback(func() {
			r := request(n)
			r.Override = "I said so"
			env.UpdateWorkflow(Approve.Name, "u3", again, r)
		}, 3*time.Hour)
		env.RegisterDelayedCallback(func() {
			r := request(n)
			r.By, r.Override = "Supt Second", "half of the source is being moved"
			env.UpdateWorkflow(Approve.Name, "u4", approved, r)
		}, 4*time.Hour)
	})
	for _, a := range []*answer{first, again} {
		if !task.Is(a.err, fault.SecondOfficer) || strings.Contains(a.err.Error(), "moved") {
			t.Errorf("one officer alone overrode the checks: %v", a.err)
		}
	}
	if !task.Is(refused.err, fault.QualityGateFailed) || !strings.Contains(refused.err.Error(), "| rows_fell | **block** | 4 rows, usually 10 | 0.5 |") {
		t.Errorf("%v", refused.err)
	}
	if err != nil || approved.err != nil || d.current(t) != n.Night.String() {
		t.Errorf("%v, %v, current %s", err, approved.err, d.current(t))
	}
	standing, err := nights.LoadDecision(t.Context(), d.store, n.Night)
	if err != nil || standing.Override != "half of the source is being moved" || standing.By != "Supt Second" || standing.First == nil ||
		standing.First.By != "DCI Example" || result.Decision.Override != standing.Override {
		t.Errorf("%+v, %v", standing, err)
	}
	log, err := audit.Read(t.Context(), d.store)
	if i := slices.IndexFunc(log, func(e audit.Entry) bool {
		return e.On.Night == n.Night.String() && e.Did == schemas.Approved && e.Outcome == audit.Done
	}); err != nil || i < 0 ||
		log[i].Why != "looked at all of it; in spite of the checks: half of the source is being moved" {
		t.Errorf("%v, entry %d", err, i)
	}
	// The UI shows what the checks found before the decision, and after it neither the officer nor the words.
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	env.RegisterActivity(d.acts.Decision.Standing)
	value, err := env.ExecuteActivity(d.acts.Decision.Standing, decision.StandingParams{Night: n.Night})
	var found decision.StandingResult
	if err := errors.Join(err, value.Get(&found)); err != nil {
		t.Fatal(err)
	}
	p := pending{manifest: *n.Manifest, checks: found.Checks}
	if page := p.details(nights.Pending); !strings.Contains(page, "**pending**") || !strings.Contains(page, "| rows_fell | **block** | 4 rows, usually 10 | 0.5 |") ||
		!strings.Contains(page, "| quarantined | ok |") || !strings.Contains(page, "asks two officers for an `override`") {
		t.Error(page)
	}
	p.standing = found.Standing
	if page := p.details(schemas.Approved); !strings.Contains(page, "In spite of the checks") || strings.Contains(page, "asks two") || strings.Contains(page, "DCI") || strings.Contains(page, "moved") {
		t.Error(page)
	}
	if page := string(read(t, d.store, n.Night.Path()+"/"+schemas.ReportFile)); !strings.Contains(page, "The check rows_fell failed: 4 rows, usually 10. It blocks an approval") {
		t.Error("the report does not say so")
	}
}
