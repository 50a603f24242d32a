package desk

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"harmstack/activities/casework/teams"
	"harmstack/activities/trust/access"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
)

// everyone are people by role; nobody has none.
var everyone = map[string][]access.Role{
	"analyst": {
		access.Analyst,
	}, "officer": {access.Officer}, "hackney": {access.TeamRole("Hackney")}, "barnet": {access.TeamRole("Barnet")},
	"specialist": {
		access.SpecialistRole(specialist),
	}, "desk": {access.Desk}, "restricted": {access.Restricted}, "auditor": {access.Auditor},
	"operator": {access.Operator}, "lead": {access.LeadRole("Central East")}, "nobody": {},
}

// Who may do what, of every call. A call that goes through is answered with 200; of an act, which needs a worker, the
// request is one that is understood to be wrong (400) only by those who may do it. Everybody else is refused, and the log
// says so.
func TestEveryCallHasItsRoles(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	all := []string{"analyst", "officer", "hackney", "barnet", "specialist", "desk", "restricted", "auditor", "operator", "lead"}
	why := `{"why": "briefing"}`
	hackney, barnet, restricted := w.tasking("Hackney"), w.tasking("Barnet"), w.tasking(teams.RestrictedDesk)
	answered := map[string]bool{}
	for _, c := range []struct {
		route, path, body string
		may               []string
		code              int // of those who may
		refused           int // of the others
	}{
		{"GET /api/v1/me", "/api/v1/me", "", all, 200, 403},
		{"GET /api/v1/status", "/api/v1/status", "", []string{"analyst", "officer", "auditor", "operator"}, 200, 403},
		{"GET /api/v1/nights", "/api/v1/nights", "", []string{"analyst", "officer", "auditor", "operator"}, 200, 403},
		{"POST /api/v1/nights", "/api/v1/nights", `{"as_of": "2099-01-01"}`, []string{"analyst"}, 400, 403},
		{"GET /api/v1/nights/{night}", "/api/v1/nights/" + night, "", []string{"analyst", "officer", "auditor", "operator"}, 200, 403},
		{"POST /api/v1/nights/{night}/decision", "/api/v1/nights/" + night + "/decision", `{"decision": "approve"}`, []string{"officer"}, 400, 403},
		{"POST /api/v1/nights/{night}/revocation", "/api/v1/nights/" + night + "/revocation", `{"reason": " "}`, []string{"officer"}, 400, 403},
		{"POST /api/v1/nights/{night}/stack", "/api/v1/nights/" + night + "/stack", why, []string{"analyst", "officer"}, 200, 403},
		{"POST /api/v1/nights/{night}/explanation", "/api/v1/nights/" + night + "/explanation", `{"suspect": "S-1", "why": "briefing"}`,
			[]string{"analyst", "officer"}, 200, 403},
		{"GET /api/v1/taskings", "/api/v1/taskings", "", all, 200, 403},
		{"GET /api/v1/taskings/{tasking}", "/api/v1/taskings/" + hackney, "", []string{"analyst", "officer", "desk", "hackney", "specialist", "lead"}, 200, 404},
		{"GET /api/v1/taskings/{tasking}", "/api/v1/taskings/" + barnet, "", []string{"analyst", "officer", "desk", "barnet", "specialist"}, 200, 404},
		{"GET /api/v1/taskings/{tasking}", "/api/v1/taskings/" + restricted, "", []string{"restricted"}, 200, 404},
		{"POST /api/v1/taskings/{tasking}/pack", "/api/v1/taskings/" + hackney + "/pack", why, []string{"analyst", "officer", "desk", "hackney", "specialist", "lead"}, 200, 404},
		{"POST /api/v1/taskings/{tasking}/pack", "/api/v1/taskings/" + restricted + "/pack", why, []string{"restricted"}, 200, 404},
		{"POST /api/v1/taskings/{tasking}/{act}", "/api/v1/taskings/" + restricted + "/outcome", `{}`, []string{"restricted"}, 400, 404},
		{"GET /api/v1/log", "/api/v1/log", "", []string{"auditor"}, 200, 403},
	} {
		answered[c.route] = true
		for login, roles := range everyone {
			a := w.ask(w.as(login, roles...), strings.Fields(c.route)[0], c.path, c.body)
			may, want := slices.Contains(c.may, login), c.refused
			switch {
			case may:
				want = c.code
			case login == "nobody":
				want = 403
			}
			if a.code != want {
				t.Errorf("%s by %s: %d, not %d: %s", c.route, login, a.code, want, a.body)
			}
			if last := w.last(); !may &&
				(last.Outcome != audit.Refused || last.Actor.Subject != login || last.Actor.Verified != audit.Attested) {
				t.Errorf("%s by %s: the log ends with %+v", c.route, login, last)
			}
			if strings.Contains(a.body, word) || strings.Contains(a.body, `"seen"`) {
				t.Errorf("%s by %s: %s", c.route, login, a.body)
			}
		}
		if a := w.ask(w.browser(), strings.Fields(c.route)[0], c.path, c.body); a.code != 401 ||
			a.problem().Kind != notSignedIn ||
			a.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%s by nobody who is signed in: %d %s", c.route, a.code, a.body)
		}
	}
	for _, r := range routes {
		if !answered[r.method+" "+r.path] {
			t.Errorf("%s %s is not tried", r.method, r.path)
		}
	}
}

// Only the team that has a tasking answers it. The specialist team that was added sees it, and whoever may look at
// everything does not answer for others; nor does anybody for a team that is not theirs.
func TestWhoAnswersATasking(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	path := "/api/v1/taskings/" + w.tasking("Hackney") + "/"
	for _, c := range []struct {
		login, body string
		code        int
		says        string
	}{
		{"hackney", `{"outcome": "none of them"}`, 400, "outcome: give one of"},
		{"hackney", `{"outcome": "none of them", "team": "HACKNEY"}`, 400, "outcome: give one of"},
		{"hackney", `{"outcome": "charged", "team": "hunter2"}`, 403, "team: your roles do not speak for it"},
		{"officer", `{"outcome": "charged"}`, 403, "do not speak for the team Hackney"},
		{"lead", `{"outcome": "charged"}`, 403, "do not speak for the team Hackney"},
		{"lead", `{"outcome": "charged", "team": "Hackney"}`, 403, "team: your roles do not speak for it"},
		{"officer", `{"outcome": "charged", "team": "Hackney"}`, 403, "team: your roles do not speak for it"},
		{"analyst", `{"outcome": "charged"}`, 403, "do not speak"},
		{"barnet", `{"outcome": "charged", "team": "Hackney"}`, 404, "there is no such tasking"},
		{"nobody", `{"outcome": "charged"}`, 403, "none of the groups"},
	} {
		a := w.ask(w.as(c.login, everyone[c.login]...), "POST", path+"outcome", c.body)
		if a.code != c.code || !strings.Contains(a.body, c.says) || strings.Contains(a.body, "hunter2") {
			t.Errorf("%s %s: %d %s", c.login, c.body, a.code, a.body)
		}
		if last := w.last(); c.code != 400 &&
			(last.Outcome != audit.Refused || last.Actor.Subject != c.login || strings.Contains(last.Why, "hunter2")) {
			t.Errorf("%s: the log ends with %+v", c.login, last)
		}
	}
	for _, c := range []struct{ act, body, says string }{
		{"transfer", `{"to": "hunter2", "note": "moved"}`, "to: there is no team of that name"},
		{"transfer", `{"to": "Barnet"}`, "note: say why"},
		{"progress", `{}`, "note: say what"},
		{"acknowledge", `{"note": "` + strings.Repeat("x", schemas.MaxNote+1) + `"}`, "characters are too many"},
		{"delete", `{}`, "there is no such call"},
	} {
		if a := w.ask(w.as("hackney", access.TeamRole("Hackney")), "POST", path+c.act, c.body); a.code < 400 ||
			a.code > 404 ||
			!strings.Contains(a.body, c.says) ||
			strings.Contains(a.body, "hunter2") {
			t.Errorf("%s %s: %d %s", c.act, c.body, a.code, a.body)
		}
	}
}

// What each person is shown: their own taskings, and a restricted suspect only at their desk, whichever way one asks.
func TestWhoSeesWhom(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for login, want := range map[string]int{"analyst": 3, "officer": 3, "hackney": 2, "lead": 2, "barnet": 1, "specialist": 3, "desk": 3, "restricted": 1, "auditor": 0, "operator": 0} {
		a := w.ask(w.as(login, everyone[login]...), "GET", "/api/v1/taskings", "")
		if got := strings.Count(a.body, `"reference"`); got != want ||
			strings.Contains(a.body, teams.RestrictedDesk) != (login == "restricted") ||
			strings.Contains(a.body, `"restricted":1,`) == (login == "restricted") {
			t.Errorf("%s sees %d taskings: %s", login, got, a.body)
		}
	}
	stack := "/api/v1/nights/" + night + "/stack"
	explain := "/api/v1/nights/2026-06-30/explanation" // of its newest revision
	both := w.as("chief", access.Officer, access.Restricted)
	var whole Stack
	if err := json.Unmarshal([]byte(w.ask(both, "POST", stack, `{"why": "briefing"}`).body), &whole); err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(whole.Rows, func(r schemas.Ranked) bool { return r.SuspectID == "S-9" })
	position := strconv.FormatInt(whole.Rows[i].Position, 10)
	for _, c := range []struct {
		scenario, path, body string
		shows                bool // S-9 to whoever speaks for the desk of restricted suspects
	}{
		{"the stack", stack, `{"why": "briefing"}`, true},
		{"the restricted suspect", explain, `{"suspect": "S-9", "why": "briefing"}`, true},
		{"the restricted suspect by position", explain, `{"suspect": "#` + position + `", "why": "briefing"}`, true},
		{"one whose victim is the same", explain, `{"suspect": "S-1", "why": "briefing"}`, true},
		{"one who alleges something of them", explain, `{"suspect": "S-2", "why": "briefing"}`, true},
		{"another", explain, `{"suspect": "S-3", "why": "briefing"}`, false},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			// S-2 is alleged to have harmed a victim whose id is S-9: that there is such a victim is not restricted.
			a := w.ask(w.as("officer", access.Officer), "POST", c.path, c.body)
			victim := strings.Count(a.body, `"victim_id":"S-9"`) + strings.Count(a.body, `"other_id":"S-9"`)
			if strings.Count(a.body, "S-9") != victim || strings.Contains(a.body, "A-S-9") {
				t.Errorf("an officer reads of S-9: %s", a.body)
			}
			if a := w.ask(both, "POST", c.path, c.body); a.code != 200 || strings.Contains(a.body, "S-9") != c.shows {
				t.Errorf("their desk reads %d %s", a.code, a.body)
			}
		})
	}
	if a := w.ask(w.as("officer", access.Officer), "POST", stack, `{"why": "briefing"}`); !strings.Contains(
		a.body,
		`"restricted":1`,
	) ||
		!strings.Contains(a.body, `"suspect_id":"S-1"`) {
		t.Error(a.body)
	}
}

// Ids are shown to those who say why, and the log says to whom and why. It never says whose.
func TestLookingIsNoted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ann := w.as("ann", access.Analyst)
	reference := w.tasking("Barnet")
	for _, c := range []struct {
		path, rest, did string
	}{
		{"/api/v1/nights/" + night + "/stack", ``, "looked at the stack"},
		{"/api/v1/nights/current/stack", `, "from": 1, "to": 4`, "looked at positions 1 to 4"},
		{"/api/v1/nights/" + night + "/explanation", `, "suspect": "S-3"`, "looked at position"},
		{"/api/v1/taskings/" + reference + "/pack", ``, "looked at the pack"},
	} {
		for _, why := range []string{`{"why": ""` + c.rest + `}`, `{"why": " \t"` + c.rest + `}`, `{"why": "` + strings.Repeat("x", schemas.MaxReason+1) + `"` + c.rest + `}`} {
			if a := w.ask(ann, "POST", c.path, why); a.code != 400 || !strings.Contains(a.body, "why: ") ||
				strings.Contains(a.body, "S-3") {
				t.Errorf("%s: %d %s", c.path, a.code, a.body)
			}
		}
		if a := w.ask(ann, "POST", c.path, `{"why": "request of Barnet"`+c.rest+`}`); a.code != 200 ||
			!strings.Contains(a.body, "S-3") {
			t.Errorf("%s: %d %s", c.path, a.code, a.body)
		}
		if last := w.last(); !strings.HasPrefix(last.Did, c.did) || last.Why != "request of Barnet" ||
			last.Actor.Subject != "ann" ||
			last.Operation != audit.Consultation ||
			last.Outcome != audit.Done {
			t.Errorf("%+v", last)
		}
	}
	for _, c := range []struct{ positions, says string }{
		{`"from": 1, "to": 10001`, "at most 10,000 positions"}, {`"from": -5`, "positions begin at 1"}, {`"from": 3, "to": 2`, "positions begin at 1"},
		{`"from": 1000`, "nobody is there"},
	} {
		if a := w.ask(ann, "POST", "/api/v1/nights/current/stack", `{"why": "x", `+c.positions+`}`); a.code != 400 ||
			!strings.Contains(a.body, c.says) {
			t.Errorf("%s: %d %s", c.positions, a.code, a.body)
		}
	}
	// That somebody is not there is an answer too.
	if a := w.ask(ann, "POST", "/api/v1/nights/"+night+"/explanation", `{"why": "briefing", "suspect": "S-404"}`); a.code != 400 ||
		w.last().Did != "explain" ||
		w.last().Outcome != audit.Refused ||
		strings.Contains(w.last().Why, "S-404") {
		t.Errorf("%d %s, %+v", a.code, a.body, w.last())
	}
	if a := w.ask(w.as("aud", access.Auditor), "GET", "/api/v1/log", ""); a.code != 200 ||
		strings.Contains(a.body, "S-3") ||
		!strings.Contains(a.body, "request of Barnet") {
		t.Error(a.code, a.body)
	}
	if strings.Contains(w.logs.String(), "S-3") || strings.Contains(w.logs.String(), "request of Barnet") {
		t.Error(w.logs.String())
	}
}

// Who cannot be logged is shown nothing.
func TestNothingIsShownUnlogged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	hackney := w.tasking("Hackney")
	if err := os.RemoveAll(filepath.Join(w.folder, "audit")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.folder, "audit"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ann := w.as("ann", access.Analyst)
	for _, c := range []struct{ method, path, body string }{
		{"GET", "/api/v1/taskings", ""}, {"GET", "/api/v1/taskings/" + hackney, ""},
		{"POST", "/api/v1/taskings/" + hackney + "/pack", `{"why": "briefing"}`},
		{"POST", "/api/v1/nights/" + night + "/stack", `{"why": "briefing"}`},
		{"POST", "/api/v1/nights/" + night + "/explanation", `{"suspect": "S-3", "why": "briefing"}`},
	} {
		if a := w.ask(ann, c.method, c.path, c.body); a.code != 503 || a.problem().Kind != away ||
			strings.Contains(a.body, "S-3") ||
			strings.Contains(a.body, hackney) ||
			strings.Contains(a.body, w.folder) {
			t.Errorf("%s: %d %s", c.path, a.code, a.body)
		}
	}
}
