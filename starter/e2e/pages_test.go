package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"harmstack/activities/casework"
	"harmstack/schemas"
	"harmstack/starter/desk/idp"
	"harmstack/workflows"
)

// form sends a form of a page as somebody who is signed in, and says where it led.
func (g *gate) form(login, path string, fields url.Values) (int, string) {
	g.d.t.Helper()
	if g.tokens[login] == "" {
		g.tokens[login] = g.people.Token(g.d.t, idp.CLI, login)
	}
	r, err := http.NewRequestWithContext(g.d.t.Context(), "POST", g.url+path, strings.NewReader(fields.Encode()))
	if err != nil {
		g.d.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+g.tokens[login])
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	a, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		g.d.t.Fatal(err)
	}
	a.Body.Close()
	return a.StatusCode, a.Header.Get("Location")
}

// A sergeant acknowledges from the list, notes, closes and hands over on the pages. Each form is sent twice, the second
// time after the first was recorded, and is one event.
func TestATaskingOnThePages(t *testing.T) {
	t.Parallel()
	g := withDesk(t, extract(40))
	d := g.d
	code, body := g.ask("chief", "POST", "/api/v1/nights", `{"as_of": "2026-06-30"}`)
	if code != 200 {
		t.Fatal(body)
	}
	var n workflows.NightResult
	if err := d.client.GetWorkflow(t.Context(), workflows.NightWorkflowID(asOf), "").Get(t.Context(), &n); err != nil {
		t.Fatal(err)
	}
	code, body = g.ask("oscar", "POST", "/api/v1/nights/2026-06-30/decision",
		`{"decision": "approve", "manifest_sha256": "`+n.Manifest.SHA256+`", "reason": "looked at it", "override": "the extract is small"}`)
	if code != 200 {
		t.Fatal(body)
	}
	d.eventually(func() bool { return len(d.taskings()) == 40 })
	var own []string
	for reference, tasking := range d.taskings() {
		if tasking.Team == "Hackney" {
			own = append(own, reference)
		}
	}
	slices.Sort(own)
	if len(own) < 2 {
		t.Fatalf("Hackney has %d taskings", len(own))
	}
	for i, step := range []struct {
		reference, path, do, note, more, next string
	}{
		{own[0], "/teams/hackney", "acknowledge", "", "", "/teams/Hackney"},
		{own[0], "/taskings/" + own[0], "progress", "called at the address", "", "/taskings/" + own[0]},
		{own[0], "/taskings/" + own[0], "outcome", "", "outcome=charged", "/taskings/" + own[0]},
		{own[1], "/taskings/" + own[1], "acknowledge", "", "", "/taskings/" + own[1]},
		{own[1], "/taskings/" + own[1], "transfer", "moved there", "to=Barnet", "/teams/Hackney"},
	} {
		before := d.taskings()[step.reference]
		fields, err := url.ParseQuery(step.more)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{"do": step.do, "note": step.note, "tasking": step.reference, "version": fmt.Sprint(before.Version)} {
			fields.Set(name, value)
		}
		for click := range 2 {
			if code, next := g.form("harry", step.path, fields); code != http.StatusSeeOther || next != step.next {
				t.Errorf("step %d, click %d: %d %s", i+1, click+1, code, next)
			}
			if got := d.taskings()[step.reference].Version; got != before.Version+1 {
				t.Errorf("step %d, click %d: %d events, want %d", i+1, click+1, got, before.Version+1)
			}
		}
	}
	closed, err := casework.History(t.Context(), d.store, own[0])
	if err != nil {
		t.Fatal(err)
	}
	if closed.State != schemas.TaskingClosed || closed.Outcome != "charged" || closed.Events[len(closed.Events)-2].By != "PS Harry Hackney" {
		t.Errorf("%+v", closed)
	}
	if code, _ := g.ask("harry", "GET", "/taskings/"+own[1], ""); code != 404 {
		t.Errorf("Hackney still sees what it handed over: %d", code)
	}
	if code, body := g.ask("barbara", "GET", "/teams/Barnet", ""); code != 200 || !strings.Contains(body, own[1]) || !strings.Contains(body, "Transferred from Hackney to Barnet") {
		t.Errorf("%d %s", code, body)
	}
}
