package desk

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"harmstack/activities/casework/teams"
	"harmstack/activities/trust/access"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
)

const nightAddress = "/nights/2026-06-30/r1"

// form sends a form as the page that holds it would: with the token of the session, unless fields have one.
func (w *world) form(b *http.Client, path string, fields ...string) answer {
	w.t.Helper()
	values := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		values.Set(fields[i], fields[i+1])
	}
	if !values.Has("csrf") {
		cookies := b.Jar.Cookies(w.desk.URL)
		r := &http.Request{Header: http.Header{}}
		for _, c := range cookies {
			r.AddCookie(c)
		}
		values.Set("csrf", w.desk.csrf(r))
	}
	return w.ask(b, "POST", path, values.Encode(), "Content-Type", "application/x-www-form-urlencoded")
}

// pageRow is a page and who may open it. Whoever may not gets the status refused, and the log says so.
type pageRow struct {
	route, path string
	may         []string
	refused     int
}

// Every page x every role. Acts are tried by a form of the page with nothing in it, which those who may act are told is
// wrong (400), and everybody else is refused.
func TestEveryPageHasItsRoles(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	all := []string{"analyst", "officer", "hackney", "barnet", "specialist", "desk", "restricted", "auditor", "operator", "lead"}
	rows := slices.Concat([]pageRow{
		{"/{$}", "/", all, 403},
		{"/nights", "/nights", []string{"analyst", "officer", "auditor", "operator"}, 403},
		{"/nights/{as_of}/{revision}", nightAddress, []string{"analyst", "officer", "auditor", "operator"}, 403},
		{"/nights/{as_of}/{revision}/report", nightAddress + "/report", []string{"analyst", "officer"}, 403},
		{"/measures", "/measures", []string{"analyst", "officer", "auditor"}, 403},
		{"/audit", "/audit", []string{"auditor"}, 403},
	}, peopleRows, w.teamRows())
	tried := map[string]bool{}
	for _, c := range rows {
		tried[c.route] = true
		for login, roles := range everyone {
			a := w.ask(w.as(login, roles...), "GET", c.path, "")
			want := c.refused
			switch {
			case slices.Contains(c.may, login):
				want = 200
			case login == "nobody":
				want = 403
			}
			if a.code != want || !strings.Contains(a.body, "</html>") {
				t.Errorf("%s by %s: %d, not %d", c.path, login, a.code, want)
			}
			last := w.last()
			if want != 200 && (last.Outcome != audit.Refused || last.Actor.Subject != login) {
				t.Errorf("%s by %s: the log ends with %+v", c.path, login, last)
			}
			if strings.Contains(a.body, "S-1") || strings.Contains(a.body, word) {
				t.Errorf("%s by %s shows an id or an attestation", c.path, login)
			}
		}
		a := w.ask(w.browser(), "GET", c.path, "")
		if home := c.path == "/"; home && (a.code != 200 || !strings.Contains(a.body, "Sign in")) ||
			!home && (a.code != http.StatusSeeOther || a.header.Get("Location") != "/sign-in?next="+url.QueryEscape(c.path)) {
			t.Errorf("%s by nobody who is signed in: %d %s", c.path, a.code, a.header.Get("Location"))
		}
	}
	for _, p := range pages {
		if !tried[p.path] {
			t.Errorf("%s is not tried", p.path)
		}
	}
}

// What a form asks for is done only for the role that may, by a form that this browser was given; what is refused is said
// above what was typed, which is still there.
func TestFormsOfANight(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ref := regexp.MustCompile(`<code>([0-9a-f]{64})</code>`).FindStringSubmatch(w.ask(w.as("a", access.Officer), "GET", nightAddress, "").body)
	if ref == nil {
		t.Fatal("the page does not say what is decided")
	}
	for _, c := range []struct {
		scenario string
		role     access.Role
		path     string
		fields   []string
		code     int
		says     string
	}{
		{"approving without the role", access.Analyst, nightAddress, []string{"do", "approve", "reason", "hunter2", "manifest_sha256", ref[1]}, 403, "takes the role officer"},
		{"revoking without the role", access.Auditor, nightAddress, []string{"do", "revoke", "reason", "hunter2"}, 403, "takes the role officer"},
		{"another site's form", access.Officer, nightAddress, []string{"do", "approve", "reason", "hunter2", "csrf", "x"}, 403, "not of this sign-in"},
		{"a form without a token", access.Officer, nightAddress, []string{"do", "approve", "reason", "hunter2", "csrf", ""}, 403, "not of this sign-in"},
		{"no reason", access.Officer, nightAddress, []string{"do", "approve", "manifest_sha256", ref[1]}, 400, "reason: say why"},
		{"neither", access.Officer, nightAddress, []string{"do", "x"}, 400, "approve or to hold"},
		{"running without the role", access.Officer, "/nights", []string{"as_of", "2026-06-30"}, 403, "takes the role analyst"},
		{"running the future", access.Analyst, "/nights", []string{"as_of", "2099-01-01"}, 400, "of the future"},
		{"running no date", access.Analyst, "/nights", []string{"as_of", "hunter2"}, 400, "give it as 2026-06-30"},
		{"a look without a reason", access.Analyst, nightAddress + "/report", []string{"why", " "}, 400, "why: say why"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			a := w.form(w.as("p", c.role), c.path, c.fields...)
			if a.code != c.code || !strings.Contains(a.body, c.says) || !strings.Contains(a.body, `role="alert"`) {
				t.Errorf("%d %s", a.code, a.body)
			}
			if slices.Contains(c.fields, "reason") && c.role == access.Officer && !strings.Contains(a.body, "hunter2") {
				// The night is approved, so that there is no form to decide; the one to take it back keeps the words.
				t.Errorf("what was typed is lost: %s", a.body)
			}
			if c.code == 403 && !slices.Contains(c.fields, "csrf") && w.last().Outcome != audit.Refused {
				t.Errorf("the log ends with %+v", w.last())
			}
		})
	}
	if strings.Contains(w.logs.String(), "hunter2") {
		t.Error(w.logs.String())
	}
}

// The report is shown after a reason was given, which the log keeps, for a while and to this browser alone.
func TestTheReportAsksWhy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	b := w.as("ann", access.Analyst)
	path := nightAddress + "/report"
	if a := w.ask(b, "GET", path, ""); !strings.Contains(a.body, "Why do you look at the report") || strings.Contains(a.body, "S-1") {
		t.Error(a.body)
	}
	if a := w.form(b, path, "why", "the briefing"); a.code != http.StatusSeeOther || a.header.Get("Location") != path {
		t.Fatal(a.code, a.body)
	}
	a := w.ask(b, "GET", path, "")
	if a.code != 200 || !strings.Contains(a.body, "S-1") || strings.Contains(a.body, "S-9") {
		t.Error(a.code, a.body)
	}
	if p := a.header.Get("Content-Security-Policy"); !strings.Contains(p, "style-src 'sha256-") || strings.Contains(p, "unsafe") {
		t.Error(p)
	}
	if last := w.last(); last.Did != "read the report" || last.Why != "the briefing" || last.Actor.Subject != "ann" || last.On.Night != night {
		t.Errorf("%+v", last)
	}
	for name, other := range map[string]*http.Client{"another browser": w.as("ann", access.Analyst), "another person": w.as("oscar", access.Officer)} {
		if a := w.ask(other, "GET", path, ""); strings.Contains(a.body, "S-1") {
			t.Errorf("%s is shown it without a reason", name)
		}
	}
	w.pass(whyTime + time.Second)
	if a := w.ask(b, "GET", path, ""); strings.Contains(a.body, "S-1") {
		t.Error("the reason lasts for ever")
	}
}

// What Tonight tells whom: a team its own taskings, those who oversee every night and team.
func TestTonight(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for login, c := range map[string]struct{ has, hasNot []string }{
		"lead":       {[]string{"/teams/Hackney", "/bcus/Central%20East"}, []string{"/teams/Barnet", `href="/teams"`, "/meeting", nightAddress}},
		"hackney":    {[]string{"/teams/Hackney"}, []string{"/teams/Barnet", "Published last", nightAddress}},
		"officer":    {[]string{"/teams/Hackney", "/teams/Barnet", nightAddress, "Temporal does not answer"}, []string{teams.RestrictedDesk}},
		"restricted": {[]string{"/teams/" + url.PathEscape(teams.RestrictedDesk)}, []string{"/teams/Hackney", nightAddress}},
		"auditor":    {[]string{nightAddress}, []string{"/teams/Hackney"}},
	} {
		body := w.ask(w.as(login, everyone[login]...), "GET", "/", "").body
		for _, want := range c.has {
			if !strings.Contains(body, want) {
				t.Errorf("%s misses %s: %s", login, want, body)
			}
		}
		for _, not := range c.hasNot {
			if strings.Contains(body, not) {
				t.Errorf("%s is shown %s", login, not)
			}
		}
	}
}

// While Temporal is away everything can be read, and an act is refused with the reason, above what was typed.
func TestTemporalIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	tasking := "/taskings/" + w.tasking("Hackney")
	for _, c := range []struct {
		login, path string
		fields      []string
	}{
		{"hackney", tasking, []string{"do", "transfer", "to", "Barnet", "note", "hunter2", "version", "1"}},
		{"hackney", "/teams/Hackney", []string{"do", "acknowledge", "tasking", w.tasking("Hackney"), "version", "1"}},
		{"officer", nightAddress, []string{"do", "revoke", "reason", "hunter2"}},
		{"analyst", "/nights", []string{"as_of", "2026-06-30"}},
	} {
		b := w.as(c.login, everyone[c.login]...)
		if a := w.ask(b, "GET", c.path, ""); a.code != 200 {
			t.Errorf("%s cannot be read: %d", c.path, a.code)
		}
		a := w.form(b, c.path, c.fields...)
		if a.code != http.StatusServiceUnavailable || !strings.Contains(a.body, "Temporal does not answer: until it is back") {
			t.Errorf("%s: %d %s", c.path, a.code, a.body)
		}
		if slices.Contains(c.fields, "hunter2") && !strings.Contains(a.body, "hunter2") {
			t.Errorf("%s: what was typed is lost", c.path)
		}
	}
}

// The calendar has each day once, below its own weekday, and every revision on its day.
func TestCalendar(t *testing.T) {
	t.Parallel()
	id := func(date string, r int) Night {
		return Night{Night: schemas.NightID{AsOf: schemas.MustDate(date), Revision: r}}
	}
	got := months([]Night{id("2026-06-30", 2), id("2026-06-30", 1), id("2026-06-01", 1), id("2026-03-29", 1)})
	if len(got) != 2 || got[0].Name != "June 2026" || got[1].Name != "March 2026" {
		t.Fatalf("%+v", got)
	}
	// 1 June 2026 is a Monday, 30 June a Tuesday; on 29 March, a Sunday, the clocks go forward.
	if d := got[0].Weeks[0][0]; d.Day != 1 || len(d.Nights) != 1 {
		t.Errorf("%+v", d)
	}
	if d := got[0].Weeks[4][1]; d.Day != 30 || len(d.Nights) != 2 || d.Nights[0].Night.Revision != 1 {
		t.Errorf("%+v", d)
	}
	days := 0
	for _, week := range got[1].Weeks {
		for c, d := range week {
			if d.Day > 0 {
				if days++; d.Day != days {
					t.Errorf("day %d comes as number %d", d.Day, days)
				}
			}
			if d.Day == 29 && (c != 6 || len(d.Nights) != 1) {
				t.Errorf("the 29th is in column %d: %+v", c, d)
			}
		}
	}
	if days != 31 {
		t.Errorf("%d days", days)
	}
}

// The log is read back by parts, and a filter leaves out the rest.
func TestAuditPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.ask(w.as("barnet", everyone["barnet"]...), "GET", "/audit", "") // refused
	b := w.as("aud", access.Auditor)
	a := w.ask(b, "GET", "/audit?refused=yes&who=barnet", "")
	if a.code != 200 || strings.Count(a.body, `<tr><td class="figure">`) != 1 {
		t.Error(a.code, a.body)
	}
	for _, bad := range []string{"before=0", "before=x", "from=hunter2"} {
		if a := w.ask(b, "GET", "/audit?"+bad, ""); a.code != 400 || strings.Contains(a.body, "hunter2") {
			t.Errorf("%s: %d %s", bad, a.code, a.body)
		}
	}
	if a := w.ask(b, "GET", "/audit?before=2", ""); strings.Count(a.body, `<tr><td class="figure">`) != 1 || strings.Contains(a.body, "Older entries") {
		t.Error(a.body)
	}
}
