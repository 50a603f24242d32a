package desk

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"harmstack/activities/casework"
	"harmstack/activities/casework/teams"
	"harmstack/activities/trust/access"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
)

// teamRows are the pages of teams and taskings, and who may open them.
func (w *world) teamRows() []pageRow {
	hackney, barnet, restricted := "/taskings/"+w.tasking("Hackney"), "/taskings/"+w.tasking("Barnet"), "/taskings/"+w.tasking(teams.RestrictedDesk)
	overseers := []string{"analyst", "officer", "desk"}
	with := func(more ...string) []string { return slices.Concat(overseers, more) }
	return []pageRow{
		{"/teams", "/teams", overseers, 403},
		{"/teams/{team}", "/teams/Hackney", with("hackney", "lead"), 404},
		{"/teams/{team}", "/teams/HACKNEY", with("hackney", "lead"), 404},
		{"/teams/{team}", "/teams/Barnet", with("barnet"), 404},
		{"/teams/{team}", "/teams/tower-hamlets", with("lead"), 404},
		{"/teams/{team}", "/teams/" + url.PathEscape(specialist), with("specialist"), 404},
		{"/teams/{team}", "/teams/" + url.PathEscape(teams.SpecialistDesk), overseers, 404},
		{"/teams/{team}", "/teams/" + url.PathEscape(teams.CentralDesk), overseers, 404},
		{"/teams/{team}", "/teams/" + url.PathEscape(teams.RestrictedDesk), []string{"restricted"}, 404},
		{"/bcus/{bcu}", "/bcus/Central%20East", with("lead"), 404},
		{"/bcus/{bcu}", "/bcus/central-east", with("lead"), 404},
		{"/bcus/{bcu}", "/bcus/North%20West", overseers, 404},
		{"/taskings/{tasking}", hackney, with("hackney", "specialist", "lead"), 404},
		{"/taskings/{tasking}", barnet, with("barnet", "specialist"), 404},
		{"/taskings/{tasking}", restricted, []string{"restricted"}, 404},
		{"/taskings/{tasking}/pack", hackney + "/pack", with("hackney", "specialist", "lead"), 404},
		{"/taskings/{tasking}/pack", barnet + "/pack", with("barnet", "specialist"), 404},
		{"/taskings/{tasking}/pack", restricted + "/pack", []string{"restricted"}, 404},
		{"/meeting", "/meeting", overseers, 403},
		{"/meeting", "/meeting?month=2026-06", overseers, 403},
	}
}

// change writes the next version of a tasking as if something had happened to it.
func (w *world) change(reference string, edit func(t *schemas.Tasking)) {
	w.t.Helper()
	t, err := casework.History(w.t.Context(), w.store, reference)
	if err != nil {
		w.t.Fatal(err)
	}
	e := schemas.TaskingEvent{Number: t.Version + 1, At: w.clock().UTC(), Kind: schemas.EventUpdated, Team: t.Team, Key: "k" + strconv.Itoa(t.Version)}
	t.Version, t.Events = t.Version+1, append(t.Events, e)
	edit(t)
	if err := casework.Save(w.t.Context(), w.store, t); err != nil {
		w.t.Fatal(err)
	}
	w.desk.book.forget()
}

func last(t *schemas.Tasking) *schemas.TaskingEvent { return &t.Events[len(t.Events)-1] }

// under is what a page says below a heading, up to the next of the same level.
func under(body, heading string) string {
	_, rest, _ := strings.Cut(body, "<h2>"+heading)
	rest, _, _ = strings.Cut(rest, "<h2")
	return rest
}

// Each tasking of a team stands below what is to be done about it, whoever looks.
func TestWhatATeamHasToDo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	reference := w.tasking("Hackney")
	hackney, lead, dora := w.as("hackney", access.TeamRole("Hackney")), w.as("lead", access.LeadRole("Central East")), w.as("dora", access.Desk)
	sapphire := w.as("silvia", access.SpecialistRole(specialist))
	acknowledge := `name="do" value="acknowledge"`
	for _, c := range []struct {
		scenario string
		edit     func(*schemas.Tasking)
		heading  string // on the team's page
		button   bool
		lead     string // heading on the page of its BCU; empty: it is not there
		desk     bool   // it is with the specialist desk too
	}{
		{"issued", func(t *schemas.Tasking) { t.State, t.Chase.Lead = schemas.TaskingIssued, w.clock().Add(time.Hour) }, "To acknowledge", true, "", false},
		{"late", func(t *schemas.Tasking) { t.Chase.Lead = w.clock().Add(-time.Hour) }, "Overdue", true, "Not acknowledged in time", false},
		{"escalated", func(t *schemas.Tasking) {
			t.State, t.Chased, last(t).Kind = schemas.TaskingEscalated, 2, schemas.EventLead
		}, "Overdue", true, "Not acknowledged in time", false},
		{"escalated to the desk", func(t *schemas.Tasking) { t.Chased, last(t).Kind = 3, schemas.EventDesk }, "Overdue", true, "Not acknowledged in time", true},
		{"acknowledged", func(t *schemas.Tasking) {
			t.State, last(t).Kind, last(t).By = schemas.TaskingAcknowledged, schemas.EventAcknowledged, "PS Example"
		}, "In hand", false, "Escalated in the last 30 days", false},
		{"in custody", func(t *schemas.Tasking) {
			t.State, t.Watch, t.Chase = schemas.TaskingIssued, true, schemas.TaskingDeadlines{}
		}, "To be watched for release", true, "Escalated in the last 30 days", false},
		{"closed", func(t *schemas.Tasking) {
			t.State, t.Watch, t.Outcome, t.Since = schemas.TaskingClosed, false, "charged", w.clock()
		}, "Closed or stood down", false, "Escalated in the last 30 days", false},
	} {
		w.change(reference, c.edit)
		card := `<li id="` + reference + `">`
		body := w.ask(hackney, "GET", "/teams/Hackney", "").body
		part := under(body, c.heading)
		_, own, _ := strings.Cut(part, card)
		own, _, _ = strings.Cut(own, "</li>")
		if strings.Count(body, card) != 1 || own == "" || strings.Contains(own, acknowledge) != c.button || !strings.Contains(own, "harm days") {
			t.Errorf("%s: %s", c.scenario, body)
		}
		if body := w.ask(sapphire, "GET", "/teams/"+url.PathEscape(specialist), "").body; strings.Count(body, card) != 1 || strings.Contains(body, acknowledge) {
			t.Errorf("%s, the specialist team: %s", c.scenario, body)
		}
		if body := w.ask(lead, "GET", "/teams/Hackney", "").body; strings.Count(body, card) != 1 || strings.Contains(body, acknowledge) {
			t.Errorf("%s, the lead reads of the team: %s", c.scenario, body)
		}
		body = w.ask(lead, "GET", "/bcus/Central%20East", "").body
		if there := c.lead != "" && strings.Contains(under(body, c.lead), card); there != (c.lead != "") || strings.Count(body, card) > 1 ||
			c.lead == "" && strings.Contains(body, card) || strings.Contains(body, acknowledge) {
			t.Errorf("%s, the lead: %s", c.scenario, body)
		}
		body = w.ask(dora, "GET", "/teams/specialist-desk", "").body
		if strings.Contains(body, card) != c.desk || strings.Contains(body, acknowledge) != c.desk {
			t.Errorf("%s, the desk: %s", c.scenario, body)
		}
	}
	w.pass(lately + time.Hour)
	if body := w.ask(hackney, "GET", "/teams/Hackney", "").body; strings.Contains(body, reference) {
		t.Errorf("it is shown for ever: %s", body)
	}
}

// What a form asks for is refused where the API refuses it, and said above the form with what was typed; whose tasking it
// is not is told that there is none.
func TestFormsOfATasking(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	hackney, barnet := w.tasking("Hackney"), w.tasking("Barnet")
	w.change(hackney, func(t *schemas.Tasking) { t.State = schemas.TaskingAcknowledged })
	version := "3"
	for _, c := range []struct {
		scenario, login, path string
		fields                []string
		code                  int
		says                  string
	}{
		{"another's tasking", "hackney", "/taskings/" + barnet, []string{"do", "acknowledge", "version", "1"}, 404, "there is no such tasking"},
		{"another's tasking in one's own list", "hackney", "/teams/Hackney", []string{"do", "acknowledge", "version", "1", "tasking", barnet}, 404, "there is no such tasking"},
		{"another's list", "hackney", "/teams/Barnet", []string{"do", "acknowledge", "version", "1", "tasking", hackney}, 404, "there is no such team"},
		{"another's pack", "hackney", "/taskings/" + barnet + "/pack", []string{"why", "hunter2"}, 404, "there is no such tasking"},
		{"another's tasking, handed over", "barnet", "/taskings/" + hackney, []string{"do", "transfer", "version", version, "to", "Barnet", "note", "x"}, 404, "there is no such tasking"},
		{"somebody who looks at everything", "officer", "/taskings/" + hackney, []string{"do", "progress", "version", version, "note", "hunter2"}, 403, "do not speak for the team Hackney"},
		{"the lead", "lead", "/taskings/" + hackney, []string{"do", "progress", "version", version, "note", "hunter2"}, 403, "do not speak for the team Hackney"},
		{"the lead as the team", "lead", "/taskings/" + hackney, []string{"do", "progress", "version", version, "note", "hunter2", "team", "Hackney"}, 403, "do not speak for it"},
		{"the specialist team", "specialist", "/taskings/" + hackney, []string{"do", "progress", "version", version, "note", "hunter2", "team", "Hackney"}, 403, "do not speak for it"},
		{"an officer in a meeting", "officer", "/meeting?month=2026-06", []string{"do", "progress", "version", version, "note", "hunter2", "tasking", hackney}, 403, "do not speak for the team Hackney"},
		{"a team in a meeting", "hackney", "/meeting", []string{"do", "progress", "version", version, "note", "hunter2", "tasking", hackney}, 403, "analyst, officer or desk"},
		{"no outcome", "hackney", "/taskings/" + hackney, []string{"do", "outcome", "version", version, "note", "hunter2"}, 400, "outcome: give one of"},
		{"no reason for nothing", "hackney", "/taskings/" + hackney, []string{"do", "outcome", "version", version, "outcome", "no_further_action"}, 400, "note: say why no further action"},
		{"no note", "hackney", "/taskings/" + hackney, []string{"do", "progress", "version", version, "note", " "}, 400, "note: say what has been done"},
		{"a team that is none", "hackney", "/taskings/" + hackney, []string{"do", "transfer", "version", version, "to", "Atlantis", "note", "hunter2"}, 400, "to: there is no team"},
		{"no version", "hackney", "/taskings/" + hackney, []string{"do", "progress", "note", "hunter2"}, 400, "what it was filled in on"},
		{"a version that is none", "hackney", "/taskings/" + hackney, []string{"do", "progress", "version", "-1", "note", "hunter2"}, 400, "what it was filled in on"},
		{"nothing", "hackney", "/taskings/" + hackney, []string{"version", version, "note", "hunter2"}, 400, "choose what to do"},
		{"more than a list does", "hackney", "/teams/Hackney", []string{"do", "outcome", "version", version, "tasking", hackney}, 400, "open it for more"},
		{"another site's", "hackney", "/taskings/" + hackney, []string{"do", "acknowledge", "version", version, "csrf", "x"}, 403, "not of this sign-in"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			before := w.last().Number
			a := w.form(w.as(c.login, everyone[c.login]...), c.path, c.fields...)
			if a.code != c.code || !strings.Contains(a.body, c.says) || !strings.Contains(a.body, `role="alert"`) {
				t.Errorf("%d %s", a.code, a.body)
			}
			if typed := c.code == 400 && slices.Contains(c.fields, "do") && slices.Contains(c.fields, "hunter2"); typed && !strings.Contains(a.body, "hunter2</textarea>") {
				t.Errorf("what was typed is lost: %s", a.body)
			}
			log, err := audit.Read(t.Context(), w.store)
			if err != nil {
				t.Fatal(err)
			}
			refused := slices.ContainsFunc(log, func(e audit.Entry) bool {
				return e.Number > before && e.Outcome == audit.Refused && e.Actor.Subject == c.login
			})
			if want := c.code != 400 && !slices.Contains(c.fields, "csrf"); refused != want {
				t.Errorf("the log says that it was refused: %t, the last entry is %+v", refused, log[len(log)-1])
			}
		})
	}
	if strings.Contains(w.logs.String(), "hunter2") {
		t.Error(w.logs.String())
	}
}

// A second click on what handed a tasking over leads where the first did: the team sees the tasking no longer.
func TestHandedOverTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	reference := w.tasking("Hackney")
	w.change(reference, func(t *schemas.Tasking) {
		t.Team, t.State, last(t).Team, last(t).From = "Barnet", schemas.TaskingTransferred, "Barnet", "Hackney"
		last(t).Kind, last(t).By = schemas.EventTransferred, "Name of harry"
	})
	fields := []string{"do", "transfer", "version", "2", "to", "Barnet", "note", "moved"}
	if a := w.form(w.as("harry", access.TeamRole("Hackney")), "/taskings/"+reference, fields...); a.code != http.StatusSeeOther || a.header.Get("Location") != "/teams/Hackney" {
		t.Errorf("%d %s", a.code, a.body)
	}
	if a := w.form(w.as("hugo", access.TeamRole("Hackney")), "/taskings/"+reference, fields...); a.code != 404 {
		t.Errorf("a colleague learns where it went: %d %s", a.code, a.body)
	}
}

// The pack is shown after a reason was given, by a page that may be printed and runs nothing.
func TestThePackAsksWhy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	reference := w.tasking("Barnet")
	path, b := "/taskings/"+reference+"/pack", w.as("barbara", access.TeamRole("Barnet"))
	if a := w.form(b, path, "why", " "); a.code != 400 || !strings.Contains(a.body, "why: say why") {
		t.Error(a.code, a.body)
	}
	if a := w.form(b, path, "why", "the briefing"); a.code != http.StatusSeeOther || a.header.Get("Location") != path {
		t.Fatal(a.code, a.body)
	}
	a := w.ask(b, "GET", path, "")
	if a.code != 200 || !strings.Contains(a.body, "S-3") || !strings.Contains(a.body, "@media print") && !strings.Contains(a.body, "@page") {
		t.Error(a.code, a.body)
	}
	if p := a.header.Get("Content-Security-Policy"); !strings.Contains(p, "style-src 'sha256-") || strings.Contains(p, "unsafe") {
		t.Error(p)
	}
	if last := w.last(); last.Did != "looked at the pack" || last.Why != "the briefing" || last.Actor.Subject != "barbara" || !slices.Equal(last.On.Pseudonyms, []string{reference}) {
		t.Errorf("%+v", last)
	}
	if a := w.ask(w.as("ann", access.Analyst), "GET", path, ""); strings.Contains(a.body, "S-3") {
		t.Error("somebody else is shown it without a reason")
	}
}

// What is looked at is in the log: a team's list, a tasking, a BCU, a briefing. A story is told in words.
func TestLooksOfTeamsAreNoted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	b, reference := w.as("ann", access.Analyst), w.tasking("Hackney")
	for path, want := range map[string]audit.Entry{
		"/teams/hackney":         {Did: "looked at the taskings of a team", On: audit.Object{Team: "Hackney"}},
		"/bcus/central-east":     {Did: "looked at the escalations of a BCU", On: audit.Object{Team: "Central East"}},
		"/taskings/" + reference: {Did: "looked at a tasking", On: audit.Object{Pseudonyms: []string{reference}}},
		"/meeting?month=2026-07": {Did: "looked at the monthly briefing", On: audit.Object{Night: night}},
	} {
		a := w.ask(b, "GET", path, "")
		if got := w.last(); a.code != 200 || got.Did != want.Did || got.On.String() != want.On.String() || got.Outcome != audit.Done || got.Operation != audit.Consultation {
			t.Errorf("%s: %d, %+v", path, a.code, got)
		}
		if strings.HasPrefix(path, "/taskings") && (!strings.Contains(a.body, "Issued to Hackney") || !strings.Contains(a.body, "Progress noted") || !strings.Contains(a.body, "PS Example")) {
			t.Error(a.body)
		}
	}
}

// The briefing of a month counts what was closed in it, names who entered and left by position, and nobody by id.
func TestMeeting(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	hackney, restricted := w.tasking("Hackney"), w.tasking(teams.RestrictedDesk)
	june := time.Date(2026, time.June, 30, 23, 30, 0, 0, schemas.London)
	w.change(hackney, func(t *schemas.Tasking) {
		t.State, last(t).Kind, last(t).Outcome, last(t).At = schemas.TaskingInProgress, schemas.EventClosed, "charged", june
	})
	w.change(w.tasking("Barnet"), func(t *schemas.Tasking) { t.State, t.Watch = schemas.TaskingIssued, true })
	w.pass(old + time.Hour)
	b := w.as("oscar", access.Officer)
	for _, c := range []struct {
		month string
		has   []string
		not   []string
	}{
		{"2026-06", []string{"June 2026", "<dd>charged</dd>", "The stack of Hackney", "The stack of Barnet", "1 suspect of the stack is left out"}, []string{"June 2027"}},
		{"2026-07", []string{"No tasking was closed in it", "/nights/2026-06-30/r1", "No stack was approved both"}, nil},
		{"2026-05", []string{"No stack is approved"}, nil},
	} {
		a := w.ask(b, "GET", "/meeting?month="+c.month, "")
		for _, want := range append(c.has, "to be watched for release <small>1<", "more than 60 days <small>3<", "you speak for none") {
			if !strings.Contains(a.body, want) {
				t.Errorf("%s lacks %q: %s", c.month, want, a.body)
			}
		}
		for _, not := range append(c.not, "S-1", "S-3", "S-9", restricted, teams.RestrictedDesk, "<textarea") {
			if strings.Contains(a.body, not) {
				t.Errorf("%s has %q", c.month, not)
			}
		}
	}
	for _, bad := range []string{"hunter2", "2999-01", "0001-01", "2026-13"} {
		if a := w.ask(b, "GET", "/meeting?month="+bad, ""); a.code != 400 || strings.Contains(a.body, "hunter2") {
			t.Errorf("%s: %d %s", bad, a.code, a.body)
		}
	}
	chief := w.as("chief", access.Officer, access.Restricted)
	if body := w.ask(chief, "GET", "/meeting?month=2026-06", "").body; strings.Contains(body, restricted) {
		t.Errorf("a meeting is told of somebody restricted, by who may know: %s", body)
	}
	// Who speaks for a team that has begun may note.
	both := w.as("dora", access.Desk, access.TeamRole("Hackney"))
	if body := w.ask(both, "GET", "/meeting?month=2026-06", "").body; strings.Count(body, "<textarea") != 1 || !strings.Contains(body, `value="`+hackney+`"`) {
		t.Error(body)
	}
	a := w.form(both, "/meeting?month=2026-06", "do", "progress", "tasking", hackney, "version", "3", "note", strings.Repeat("x", schemas.MaxNote+1), "team", "Hackney")
	if a.code != 400 || !strings.Contains(a.body, "characters are too many") || !strings.Contains(a.body, "xxx</textarea>") {
		t.Error(a.code, a.body)
	}
}

// Who is on one stack alone entered or left, by the position on that stack; nobody who is restricted is named.
func TestEnteredAndLeft(t *testing.T) {
	t.Parallel()
	row := func(position int64, id, borough string, restricted bool) schemas.Ranked {
		r := schemas.Ranked{Position: position, SuspectID: id, Restricted: restricted}
		if borough != "" {
			r.OwnerBorough = &borough
		}
		return r
	}
	before := stack{[]schemas.Ranked{row(1, "a", "Barnet", false), row(2, "b", "Hackney", false), row(3, "c", "", false), row(4, "r", "Barnet", true), row(5, "e", "Barnet", false)},
		map[int64]string{2: "two-before", 3: "three-before", 4: "hidden"}}
	now := stack{[]schemas.Ranked{row(1, "d", "Hackney", false), row(2, "a", "Barnet", false), row(3, "s", "Barnet", true)}, map[int64]string{1: "one-now", 2: "two-now", 3: "hidden"}}
	tasking := func(reference string) *line {
		switch reference {
		case "":
			return nil
		case "hidden":
			t.Error("somebody restricted is looked up")
		case "two-before":
			return &line{Tasking: &schemas.Tasking{Reference: reference, Events: []schemas.TaskingEvent{{Kind: schemas.EventStoodDown, Reason: "withdrawn"}}}}
		}
		return &line{Tasking: &schemas.Tasking{Reference: reference, OnStack: true}}
	}
	m := meetingPage{Earlier: &schemas.NightID{}}
	m.fill(now, before, tasking)
	if want := []moved{{1, "Hackney", "one-now", ""}}; !slices.Equal(m.Entered, want) {
		t.Errorf("entered %+v", m.Entered)
	}
	if want := []moved{{2, "Hackney", "two-before", "withdrawn"}, {3, teams.CentralDesk, "three-before", "below the stack, and still tasked"}, {5, "Barnet", "", notTold}}; !slices.Equal(m.Left, want) {
		t.Errorf("left %+v", m.Left)
	}
	if m.Stack != 2 || m.Restricted != 1 || len(m.Boroughs) != 2 || m.Boroughs[0].Team != "Barnet" || m.Boroughs[0].Rows[0].Tasking.Reference != "two-now" {
		t.Errorf("%+v", m)
	}
	first := meetingPage{}
	if first.fill(now, stack{}, tasking); len(first.Entered)+len(first.Left) > 0 {
		t.Errorf("compared with nothing: %+v", first)
	}
}
