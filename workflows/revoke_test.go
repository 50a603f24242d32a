package workflows

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/workflow"

	"harmstack/activities/casework"
	"harmstack/activities/task"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/schemas/fault"
)

// revoke takes the approval of a night back, and tells the teams.
func (d *deployment) revoke(t *testing.T, night schemas.NightID) (RevokeResult, error) {
	t.Helper()
	env := d.env(t, RevokeWorkflowID(night))
	var retasked TaskingCount
	env.ExecuteWorkflow(Revoke, schemas.RevokeRequest{AsOf: night.AsOf, Revision: night.Revision, By: " Supt Example ", Reason: "Barnet was missing from the extract."})
	var result RevokeResult
	if err := env.GetWorkflowError(); err != nil {
		return result, err
	}
	if err := env.GetWorkflowResult(&result); err != nil {
		t.Fatal(err)
	}
	// Abandoned, it is no part of the environment above once that has ended.
	env = d.env(t, result.Retask)
	env.ExecuteWorkflow(Retask, RetaskParams{night})
	if err := env.GetWorkflowError(); err != nil {
		t.Fatal(err)
	}
	return result, env.GetWorkflowResult(&retasked)
}

// tasked is each suspect's tasking: its state, where it is and what its last event says.
func (d *deployment) tasked(t *testing.T) map[string]string {
	t.Helper()
	got := map[string]string{}
	for _, suspect := range []string{"S-1", "S-2", "S-3", "S-4"} {
		c, err := casework.Load(t.Context(), d.store, d.acts.Tasking.Pseudonym(suspect))
		if err != nil {
			t.Fatal(err)
		}
		if c != nil {
			e := c.Events[len(c.Events)-1]
			got[suspect] = string(c.State) + " " + c.Team + ", " + e.Kind + ": " + e.Reason
		}
	}
	return got
}

// A names S-1 to S-3, B no longer S-3 but S-4, and S-2 with one allegation more. Taken back, B leaves everything as A
// wanted it.
func TestRevoke(t *testing.T) {
	d := newDeployment(t, threeSuspects()...)
	first := d.night(t, "night-a", schemas.NightRequest{AsOf: asOf.AddDays(-1)})
	d.approve(t, first)
	d.write(t, rape("S-1", "Hackney", "2026-06-30", 1), rape("S-1", "Hackney", "2026-06-20", 2), rape("S-2", "Hackney", "2026-06-29", 1),
		rape("S-2", "Hackney", "2026-06-30", 2), rape("S-4", "Camden", "2026-06-28", 1))
	second := d.night(t, "night-b", schemas.NightRequest{AsOf: asOf})
	d.approve(t, second)
	decided := read(t, d.store, second.Night.Path()+"/"+schemas.DecisionFile)
	if got := d.tasked(t); got["S-3"] != "stood_down Barnet, stood_down: the allegations no longer count (cleared, withdrawn, reclassified, or the suspect has died)" || got["S-4"] != "issued Camden, issued: " {
		t.Fatalf("%q", got)
	}
	before := d.mails(t)

	result, err := d.revoke(t, second.Night)
	if err != nil || result.Current != *first.Manifest || result.Revocation.By != "Supt Example" || d.current(t) != "2026-06-29-r1" {
		t.Fatalf("%+v, %v", result, err)
	}
	why := "the approval of the stack of 30 June 2026, revision 1, was taken back: Barnet was missing from the extract."
	for suspect, want := range map[string]string{
		"S-1": "issued Hackney, updated: " + why, // its second allegation of the 30th is not of the 29th
		"S-2": "issued Hackney, updated: " + why,
		"S-3": "issued Barnet, reopened: " + why,
		"S-4": "stood_down Camden, stood_down: " + why,
	} {
		if got := d.tasked(t)[suspect]; got != want {
			t.Errorf("%s: %s, want %s", suspect, got, want)
		}
	}
	if got := string(read(t, d.store, second.Night.Path()+"/"+schemas.DecisionFile)); got != string(decided) {
		t.Error("the decision was changed")
	}
	if got := string(read(t, d.store, "approvals/000003.json")); got != string(read(t, d.store, schemas.CurrentPath)) || !strings.Contains(got, "Supt Example") {
		t.Errorf("%s", got)
	}
	if sent := d.mails(t) - before; sent != 33 { // 32 boroughs and the team for rape
		t.Errorf("%d digests", sent)
	}
	text := d.newest(t)
	for _, want := range []string{"The approval of the stack of 30 June 2026, revision 1, was taken back on", "Barnet was missing from the extract. The stack below counts again.", "VAWG stack of 29 June 2026"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	log, err := audit.Read(t.Context(), d.store)
	if err != nil || len(log) == 0 {
		t.Fatal(err)
	}
	found := false
	for _, e := range log {
		found = found || e.Did == schemas.Revoked && e.Actor.Name == "Supt Example" && e.On.Night == "2026-06-30-r1" && strings.Contains(e.Why, "the stack of night 2026-06-29-r1 is the approved one again")
	}
	if !found {
		t.Errorf("not in the audit log: %+v", log)
	}

	// What B wanted and had not done yet is too late.
	sent := d.mails(t)
	env := d.env(t, "late")
	env.ExecuteWorkflow(BoroughTasking, BoroughParams{Manifest: *second.Manifest, Team: "Camden"})
	var late struct{ Outcome string }
	if err := env.GetWorkflowResult(&late); err != nil || late.Outcome != "outdated" || d.mails(t) != sent {
		t.Errorf("%+v, %v", late, err)
	}

	// Nobody is left tasked once the only approval is taken back, too.
	if result, err = d.revoke(t, first.Night); err != nil || result.Current != (schemas.ManifestRef{}) || d.current(t) != "" {
		t.Fatalf("%+v, %v", result, err)
	}
	for suspect, got := range d.tasked(t) {
		if !strings.HasPrefix(got, "stood_down") || !strings.Contains(got, "Barnet was missing from the extract.") {
			t.Errorf("%s: %s", suspect, got)
		}
	}
	if text := d.newest(t); !strings.Contains(text, "No VAWG stack is approved") || !strings.Contains(text, "Nobody is tasked until an officer approves one.") {
		t.Errorf("%s", text)
	}

	// The next night tasks them again, though it is older than the one that was taken back.
	third := d.night(t, "night-c", schemas.NightRequest{AsOf: asOf.AddDays(-1)})
	if d.approve(t, third); d.current(t) != "2026-06-29-r2" {
		t.Errorf("current %s", d.current(t))
	}
	if got := d.tasked(t); got["S-1"] != "issued Hackney, reopened: " || got["S-4"] != "issued Camden, reopened: " || got["S-3"][:10] != "stood_down" {
		t.Errorf("%q", got)
	}
}

// newest is the text of a message that was written last.
func (d *deployment) newest(t *testing.T) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(d.outbox, "*.eml"))
	if err != nil {
		t.Fatal(err)
	}
	var newest string
	var at time.Time
	for _, f := range files {
		if info, err := os.Stat(f); err == nil && info.ModTime().After(at) {
			newest, at = f, info.ModTime()
		}
	}
	data, err := os.ReadFile(newest)
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer("=\r\n", "", "\r\n", "\n").Replace(string(data))
}

func TestRevokeIsRefused(t *testing.T) {
	d := newDeployment(t, threeSuspects()...)
	first := d.night(t, "night-a", schemas.NightRequest{AsOf: asOf.AddDays(-1)})
	d.approve(t, first)
	second := d.night(t, "night-b", schemas.NightRequest{AsOf: asOf})
	id := second.Night
	for _, c := range []struct {
		scenario string
		request  schemas.RevokeRequest
		kind     string
		says     string
	}{
		{"an empty form", schemas.RevokeRequest{}, fault.BadRequest, "as_of: give the date of the night"},
		{"without a reason", schemas.RevokeRequest{AsOf: id.AsOf, Revision: 1, By: "x", Reason: "\u00a0 "}, fault.BadRequest, "reason: say why"},
		{"a reason beyond all bounds",
			schemas.RevokeRequest{AsOf: id.AsOf, Revision: 1, By: "x", Reason: strings.Repeat("é", 2001)}, fault.BadRequest, "at most 2000 characters"},
		{"a pending night", schemas.RevokeRequest{AsOf: id.AsOf, Revision: 1, By: "x", Reason: "y"}, fault.NotCurrent, "Hold it instead"},
		{"a night that is not there", schemas.RevokeRequest{AsOf: id.AsOf, Revision: 7, By: "x", Reason: "y"}, fault.NotCurrent, "is not published"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			env := d.env(t, "revoke-"+c.scenario)
			env.ExecuteWorkflow(Revoke, c.request)
			if err := env.GetWorkflowError(); !task.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v", err)
			}
		})
	}
	if d.current(t) != "2026-06-29-r1" {
		t.Errorf("current %s", d.current(t))
	}
}

// A revocation that was recorded and not seen to succeed is refused to others, but the teams are told all the same.
func TestRevokedTwice(t *testing.T) {
	d := newDeployment(t, threeSuspects()...)
	n := d.night(t, "night", schemas.NightRequest{AsOf: asOf})
	d.approve(t, n)
	for i, by := range []string{"Supt Example", "Supt Other"} {
		env := d.env(t, RevokeWorkflowID(n.Night))
		retasked := 0
		env.SetOnChildWorkflowStartedListener(func(info *workflow.Info, _ workflow.Context, _ converter.EncodedValues) {
			if info.WorkflowType.Name == "Retask" {
				retasked++
			}
		})
		env.ExecuteWorkflow(Revoke, schemas.RevokeRequest{AsOf: asOf, Revision: 1, By: by, Reason: "the extract was cut off"})
		if err := env.GetWorkflowError(); (i == 0) != (err == nil) || err != nil && (!task.Is(err, fault.Revoked) || strings.Contains(err.Error(), "Supt")) {
			t.Errorf("%s: %v", by, err)
		}
		if retasked != 1 {
			t.Errorf("%s: %d workflows tell the teams", by, retasked)
		}
	}
}
