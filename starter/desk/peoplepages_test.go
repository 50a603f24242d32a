package desk

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"harmstack/activities/casework/teams"
	"harmstack/activities/nights"
	"harmstack/activities/store/rowfile"
	"harmstack/activities/trust/access"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
)

// looking are those who may look.
var looking = []string{"analyst", "officer"}

var peopleRows = []pageRow{
	{"/stack", "/stack", looking, 403},
	{"/nights/{as_of}/{revision}/stack", nightAddress + "/stack", looking, 403},
	{"/nights/{as_of}/{revision}/stack", nightAddress + "/stack?from=2&sort=harm", looking, 403},
	{"/nights/{as_of}/{revision}/stack.csv", nightAddress + "/stack.csv", looking, 403},
	{"/nights/{as_of}/{revision}/stack.parquet", nightAddress + "/stack.parquet", looking, 403},
	{"/nights/{as_of}/{revision}/people/{position}", nightAddress + "/people/1", looking, 403},
	{"/nights/{as_of}/{revision}/changes", nightAddress + "/changes", looking, 403},
	{"/nights/{as_of}/{revision}/changes.csv", nightAddress + "/changes.csv", looking, 403},
	{"/nights/{as_of}/{revision}/changes.parquet", nightAddress + "/changes.parquet", looking, 403},
	{"/search", "/search", looking, 403},
}

// ids are those of the extract; no page, address or log line holds one unless a reason was given.
var ids = regexp.MustCompile(`\b[SVAR]-[0-9]|A-S-`)

// justified is a browser that gave a reason for a page.
func (w *world) justified(login string, roles []access.Role, path string) *http.Client {
	w.t.Helper()
	b := w.as(login, roles...)
	if a := w.form(b, path, "why", "the briefing"); a.code != http.StatusSeeOther || a.header.Get("Location") != path {
		w.t.Fatalf("%s: %d %s %s", path, a.code, a.header.Get("Location"), a.body)
	}
	return b
}

// Without a reason a page shows nobody's id; with one it does, and each look is one entry of the log, which says whose
// reason it was and never whose id. Restricted suspects are counted, and shown to their desk alone.
func TestPagesOfPeople(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	officer, chief := []access.Role{access.Officer}, []access.Role{access.Officer, access.Restricted}
	person := nightAddress + "/people/"
	of := w.positions()
	for _, c := range []struct {
		path, did string
		bare      bool   // it shows something without a reason
		has       string // with one
	}{
		{"/stack", "looked at the stack", true, "S-1"},
		{nightAddress + "/stack", "looked at the stack", true, "S-1"},
		{nightAddress + "/stack?borough=Barnet&lane=free&sort=victims", "looked at the stack", true, "S-3"},
		{nightAddress + "/stack?from=2", "looked at positions 2 to 101", true, "S-3"},
		{nightAddress + "/changes", "looked at the changes since the beginning", true, "S-1"},
		{nightAddress + "/stack.csv?borough=Hackney", "downloaded the stack as csv", false, "S-1"},
		{nightAddress + "/stack.csv?from=1", "downloaded positions 1 to 100 as csv", false, "S-1"},
		{nightAddress + "/stack.parquet", "downloaded the stack as parquet", false, "S-1"},
		{nightAddress + "/changes.csv", "downloaded the changes since the beginning as csv", false, "S-1"},
		{nightAddress + "/changes.parquet", "downloaded the changes since the beginning as parquet", false, "S-1"},
		{person + of["S-1"], "looked at position " + of["S-1"], false, "A-S-1-2"},
	} {
		t.Run(c.path, func(t *testing.T) {
			before := w.last().Number
			a := w.ask(w.as("ann", access.Analyst), "GET", c.path, "")
			if a.code != 200 || ids.MatchString(a.body) || !strings.Contains(a.body, "csrf") {
				t.Errorf("without a reason: %d %s", a.code, a.body)
			}
			last := w.last()
			if c.bare && (last.Number != before+1 || last.Did != c.did+", without ids" || last.Why != "") || !c.bare && last.Number != before {
				t.Errorf("the log ends with %+v", last)
			}
			for _, why := range []string{"", " \t", strings.Repeat("x", schemas.MaxReason+1)} {
				if a := w.form(w.as("ann", access.Analyst), c.path, "why", why); a.code != 400 || ids.MatchString(a.body) {
					t.Errorf("%q: %d %s", why, a.code, a.body)
				}
			}
			b := w.justified("oscar", officer, c.path)
			before = w.last().Number
			a = w.ask(b, "GET", c.path, "")
			if a.code != 200 || !strings.Contains(a.body, c.has) || strings.Contains(a.body, "S-9") {
				t.Errorf("with a reason: %d %s", a.code, a.body)
			}
			last = w.last()
			if last.Number != before+1 || last.Did != c.did || last.Why != "the briefing" || last.Actor.Subject != "oscar" || last.On.Night != night {
				t.Errorf("the log ends with %+v", last)
			}
			operation := audit.Consultation
			if strings.HasPrefix(c.did, "downloaded") {
				operation = audit.Disclosure
			}
			if last.Operation != operation || ids.MatchString(fmt.Sprint(last)) {
				t.Errorf("the log ends with %+v", last)
			}
			if download := a.header.Get("Content-Disposition"); (operation == audit.Disclosure) != strings.HasPrefix(download, `attachment; filename="harmstack-`+night+"-") {
				t.Errorf("it is sent as %q", download)
			}
			a = w.ask(w.justified("chief", chief, c.path), "GET", c.path, "")
			if has := strings.Contains(a.body, "S-9"); a.code != 200 || has != (c.bare && !strings.Contains(c.path, "lane=free&") || strings.Contains(c.path, "people")) &&
				!strings.Contains(c.path, "borough=Barnet") {
				t.Errorf("their desk is shown %t of S-9: %d", has, a.code)
			}
		})
	}
	if a := w.ask(w.as("ann", access.Analyst), "GET", nightAddress+"/stack", ""); !strings.Contains(a.body, "1 suspect is restricted and not shown") ||
		!strings.Contains(a.body, `href="/taskings/`+w.tasking("Hackney")) {
		t.Error(a.body)
	}
	if logs := w.logs.String(); ids.MatchString(logs) {
		t.Error(logs)
	}
}

// positions are those of the suspects of the night.
func (w *world) positions() map[string]string {
	w.t.Helper()
	m, _, err := nights.LoadManifest(w.t.Context(), w.store, schemas.NightID{AsOf: schemas.MustDate("2026-06-30"), Revision: 1})
	if err != nil {
		w.t.Fatal(err)
	}
	rows, err := nights.ReadFile[schemas.Ranked](w.t.Context(), w.store, m, schemas.RankingFile)
	if err != nil {
		w.t.Fatal(err)
	}
	of := map[string]string{}
	for _, r := range rows {
		of[r.SuspectID] = strconv.FormatInt(r.Position, 10)
	}
	return of
}

// A person's page tells all that the command line does, of those whom one may see; whoever is restricted is not there,
// nor is whoever is not, and the log says that somebody was refused.
func TestPersonPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	of := w.positions()
	path := nightAddress + "/people/" + of["S-2"]
	a := w.ask(w.justified("ann", []access.Role{access.Analyst}, path), "GET", path, "")
	for _, want := range []string{"A-S-2-1", "A-S-2-2", "Position " + of["S-2"], "<meter ", "1 day old: counts 99.6 %", "18 days old: counts 93.3 %",
		"age takes them below this night&#39;s cut on 2027-01-01", "Core: among the first under each", `href="/taskings/`} {
		if !strings.Contains(a.body, want) {
			t.Errorf("it misses %s: %s", want, a.body)
		}
	}
	if newest, older := strings.Index(a.body, "A-S-2-1"), strings.Index(a.body, "A-S-2-2"); newest > older {
		t.Error("the timeline is not newest first")
	}
	both := []access.Role{access.Officer, access.Restricted}
	if a := w.ask(w.justified("chief", both, path), "GET", path, ""); !strings.Contains(a.body, "Counter-allegation, with S-9: the allegation by the suspect came first") {
		t.Error(a.body)
	}
	hidden := nightAddress + "/people/" + of["S-9"]
	for _, nobody := range []string{hidden, nightAddress + "/people/99"} {
		b := w.justified("oscar", []access.Role{access.Officer}, nobody)
		if a := w.ask(b, "GET", nobody, ""); a.code != 404 || !strings.Contains(a.body, "nobody stands there") || ids.MatchString(a.body) {
			t.Errorf("%s: %d %s", nobody, a.code, a.body)
		}
		if last := w.last(); last.Outcome != audit.Refused || last.Actor.Subject != "oscar" || last.On.Night != night {
			t.Errorf("the log ends with %+v", last)
		}
	}
	for _, bad := range []string{"0", "-1", "S-1", "hunter2", "99999999999999999999"} {
		if a := w.ask(w.as("ann", access.Analyst), "GET", nightAddress+"/people/"+bad, ""); a.code != 404 || strings.Contains(a.body, "hunter2") {
			t.Errorf("%s: %d %s", bad, a.code, a.body)
		}
	}
	// The ages and what did not count.
	a = w.ask(w.justified("chief", both, hidden), "GET", hidden, "")
	if !strings.Contains(a.body, "<b>cleared</b>: no crime, or acquitted") || !strings.Contains(a.body, "for your desk alone") {
		t.Error(a.body)
	}
}

// What is sought leads to its page; who is sought by id stands in no address, and the log holds the reason and the
// position alone. Whoever is not there, or restricted, is refused in the same words.
func TestSearch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	of := w.positions()
	hackney := w.tasking("Hackney")
	person := func(id string) string { return nightAddress + "/people/" + of[id] }
	nobody := "nobody of that name is in the ranking of 2026-06-30, revision 1"
	for _, c := range []struct {
		scenario string
		fields   []string
		code     int
		to, says string
		outcome  string // of the log's last; empty: nothing is noted
	}{
		{"a tasking", []string{"by", "reference", "reference", " " + strings.ToUpper(hackney)}, 303, "/taskings/" + hackney, "", ""},
		{"a tasking that is none", []string{"by", "reference", "reference", "hunter2"}, 404, "", "there is no such tasking", ""},
		{"the restricted desk's", []string{"by", "reference", "reference", w.tasking(teams.RestrictedDesk)}, 404, "", "there is no such tasking", audit.Refused},
		{"a position", []string{"by", "position", "position", "#2"}, 303, nightAddress + "/people/2", "", ""},
		{"no position", []string{"by", "position", "position", "hunter2"}, 400, "", "give a whole number", ""},
		{"an id", []string{"by", "id", "suspect", "S-3", "why", "request of Barnet"}, 303, person("S-3"), "", audit.Done},
		{"an id without a reason", []string{"by", "id", "suspect", "S-3", "why", " "}, 400, "", "why: say why", ""},
		{"no id", []string{"by", "id", "suspect", " ", "why", "x"}, 400, "", "suspect: give the id", ""},
		{"an id that is not there", []string{"by", "id", "suspect", "S-404", "why", "x"}, 400, "", nobody, audit.Refused},
		{"an id that is restricted", []string{"by", "id", "suspect", "S-9", "why", "x"}, 400, "", nobody, audit.Refused},
		{"nothing", nil, 400, "", "choose what to search by", ""},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			b := w.as("ann", access.Analyst)
			before := w.last().Number
			a := w.form(b, "/search", c.fields...)
			if a.code != c.code || a.header.Get("Location") != c.to || !strings.Contains(a.body, c.says) {
				t.Errorf("%d %s %s", a.code, a.header.Get("Location"), a.body)
			}
			last := w.last()
			if c.outcome == "" && last.Number != before || c.outcome != "" && (last.Number != before+1 || last.Outcome != c.outcome) {
				t.Errorf("the log ends with %+v", last)
			}
			if ids.MatchString(last.Did + last.Why + last.On.String()) {
				t.Errorf("the log names somebody: %+v", last)
			}
			if c.outcome == audit.Done { // the reason holds for the page that it leads to
				if a := w.ask(b, "GET", c.to, ""); !strings.Contains(a.body, "A-S-3-1") || w.last().Why != "request of Barnet" {
					t.Errorf("%d %+v", a.code, w.last())
				}
			}
		})
	}
	both := w.as("chief", access.Officer, access.Restricted)
	if a := w.form(both, "/search", "by", "id", "suspect", "S-9", "why", "x"); a.header.Get("Location") != person("S-9") {
		t.Errorf("%d %s", a.code, a.body)
	}
	if logs := w.logs.String(); ids.MatchString(logs) || strings.Contains(logs, "hunter2") {
		t.Error(logs)
	}
}

// What an address asks for and nobody knows is refused, and not repeated.
func TestQueriesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	b := w.as("ann", access.Analyst)
	for _, query := range []string{"/stack?from=0", "/stack?from=hunter2", "/stack?lane=hunter2", "/stack?sort=hunter2", "/changes?against=hunter2",
		"/changes?against=2026-06-29-r1", "/stack.csv?sort=hunter2"} {
		if a := w.ask(b, "GET", nightAddress+query, ""); a.code != 400 || strings.Contains(a.body, "hunter2") {
			t.Errorf("%s: %d %s", query, a.code, a.body)
		}
	}
	if a := w.ask(b, "GET", nightAddress+"/stack?borough=%3Cb%3E", ""); a.code != 200 || strings.Contains(a.body, "<b>") {
		t.Errorf("%d %s", a.code, a.body)
	}
}

// large publishes a night of so many suspects, of whom every 60th is restricted and every 7th in custody, and is its
// ranking.
func (w *world) large(date string, n int, id func(i int) string) (address string, all []schemas.Ranked) {
	w.t.Helper()
	ctx := context.Background()
	m := schemas.Manifest{NightID: schemas.NightID{AsOf: schemas.MustDate(date), Revision: 1}, Suspects: int64(n), Cut: schemas.Cut{Depth: 100, Stack: 100}}
	for i := range n {
		row := schemas.Ranked{Position: int64(i + 1), Rank: int64(i + 1), SuspectID: id(i), Score: int64(n - i), ScoreDays: float64(n - i), SumDays: float64(i % 17),
			Victims: int64(i % 5), Boroughs: []string{}, Lane: schemas.LaneFree, Restricted: i%60 == 59}
		if i%7 == 6 {
			row.Lane = schemas.LaneContained
		}
		if i%3 > 0 {
			row.OwnerBorough = new([]string{"", "Barnet", "Hackney"}[i%3])
		}
		all = append(all, row)
	}
	write := func(file, schema string, rows int64, put func(io.Writer) (int64, error)) {
		ref, err := w.store.Write(ctx, m.NightID.Path()+"/"+file, schema, put)
		if err != nil {
			w.t.Fatal(err)
		}
		m.Outputs = append(m.Outputs, ref)
	}
	write(schemas.RankingFile, schemas.RankingSchema, int64(n), func(out io.Writer) (int64, error) {
		return rowfile.WriteAll(out, func(yield func([]schemas.Ranked) error) error { return yield(all) })
	})
	write(schemas.StackFile, schemas.RankingSchema, 100, func(out io.Writer) (int64, error) {
		return rowfile.WriteAll(out, func(yield func([]schemas.Ranked) error) error { return yield(all[:min(100, n)]) })
	})
	var own []schemas.Contribution
	for _, row := range all[:min(100, n)] {
		own = append(own, schemas.Contribution{Position: row.Position, SuspectID: row.SuspectID, AllegationID: "A-" + row.SuspectID,
			HarmDays: row.SumDays, RecencyPPM: schemas.PPM, Base: row.Score})
	}
	write(schemas.ContributionsFile, schemas.ContributionSchema, int64(len(own)), func(out io.Writer) (int64, error) {
		return rowfile.WriteAll(out, func(yield func([]schemas.Contribution) error) error { return yield(own) })
	})
	for _, file := range []string{schemas.QuarantineFile, schemas.StackCSVFile, schemas.ReportFile} {
		write(file, "", 0, func(io.Writer) (int64, error) { return 0, nil })
	}
	write(schemas.ChangesFile, schemas.ChangeSchema, 0, func(out io.Writer) (int64, error) {
		return rowfile.WriteAll(out, func(func([]schemas.Change) error) error { return nil })
	})
	if _, err := nights.Publish(ctx, w.store, m); err != nil {
		w.t.Fatal(err)
	}
	w.desk.published.forget()
	return "/nights/" + date + "/r1", all
}

var onPage = regexp.MustCompile(`aria-label="Position (\d+): why"`)

// The pages of a ranking, one after the other as they link, are the ranking: each position once, in order, without those
// who are restricted. A filter and an order change neither who stands there nor what it is counted against.
func TestPagingIsTheRanking(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	address, all := w.large("2026-06-28", 433, func(i int) string { return fmt.Sprintf("P-%04d", i) })
	b := w.as("ann", access.Analyst)
	shown := func(page string) (list []string, later string) {
		t.Helper()
		a := w.ask(b, "GET", page, "")
		if a.code != 200 || strings.Contains(a.body, "P-0") {
			t.Fatalf("%s: %d %s", page, a.code, a.body)
		}
		for _, found := range onPage.FindAllStringSubmatch(a.body, -1) {
			list = append(list, found[1])
		}
		if next := regexp.MustCompile(`href="([^"]*)" rel="next"`).FindStringSubmatch(a.body); next != nil {
			later = strings.ReplaceAll(next[1], "&amp;", "&")
		}
		return list, later
	}
	var want, got []string
	for _, row := range all {
		if !row.Restricted {
			want = append(want, strconv.FormatInt(row.Position, 10))
		}
	}
	pages := 0
	for page := address + "/stack"; page != ""; pages++ {
		var list []string
		list, page = shown(page)
		got = append(got, list...)
	}
	if pages != 5 || !slices.Equal(got, want) {
		t.Errorf("%d pages show %d positions, not %d: %v", pages, len(got), len(want), got)
	}
	var filtered []string
	sorted := slices.Clone(all[100:200])
	slices.SortStableFunc(sorted, func(a, b schemas.Ranked) int { return int(b.Victims - a.Victims) })
	for _, row := range sorted {
		if !row.Restricted && row.Lane == schemas.LaneFree && row.OwnerBorough != nil && *row.OwnerBorough == "Hackney" {
			filtered = append(filtered, strconv.FormatInt(row.Position, 10))
		}
	}
	list, later := shown(address + "/stack?from=101&borough=Hackney&lane=free&sort=victims")
	if !slices.Equal(list, filtered) || later != address+"/stack?borough=Hackney&from=201&lane=free&sort=victims" {
		t.Errorf("%v, not %v; then %s", list, filtered, later)
	}
	if list, _ := shown(address + "/stack?borough=none"); len(list) == 0 || list[0] != "1" {
		t.Errorf("of no borough: %v", list)
	}
	// As a file it is the same people, with cells that a spreadsheet would run quoted.
	path := address + "/stack.csv?from=101&borough=Hackney&lane=free&sort=victims"
	rows, err := csv.NewReader(strings.NewReader(w.ask(w.justified("ann", []access.Role{access.Analyst}, path), "GET", path, "").body)).ReadAll()
	if err != nil || len(rows) != len(filtered)+1 {
		t.Fatal(err, len(rows))
	}
	for i, row := range rows[1:] {
		if row[0] != filtered[i] {
			t.Errorf("row %d is of position %s, not %s", i, row[0], filtered[i])
		}
	}
	parquet := address + "/stack.parquet?from=401"
	data := w.ask(w.justified("ann", []access.Role{access.Analyst}, parquet), "GET", parquet, "").body
	read, err := rowfile.ReadAll[schemas.Ranked](bytes.NewReader([]byte(data)), int64(len(data)))
	if err != nil || len(read) != 32 || read[0].Position != 401 {
		t.Errorf("%v %d", err, len(read))
	}
}

// Between any two nights: who entered, left and moved, with reasons; ids, those of allegations too, only to whoever says
// why.
func TestChangesAgainstAnotherNight(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	before, _ := w.large("2026-06-27", 150, func(i int) string { return fmt.Sprintf("P-%04d", i) })
	// One who would run as a formula enters at the top; everybody else moves down one, and the hundredth leaves.
	after, _ := w.large("2026-06-28", 151, func(i int) string {
		if i == 0 {
			return "=P-new"
		}
		return fmt.Sprintf("P-%04d", i-1)
	})
	path := after + "/changes?against=2026-06-27-r1"
	a := w.ask(w.as("ann", access.Analyst), "GET", path, "")
	for _, want := range []string{"1 entered, ", "1 left, ", "moved, 0 stayed", `href="` + before[:len("/nights/2026-06-27")], "still ranked, but others now stand higher",
		`href="` + after + `/people/101"`, `<option selected>2026-06-27-r1</option>`, "restricted and not shown",
		"new: an allegation, 0 days", "weight of an allegation: 1 -&gt; 2 days"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("it misses %s: %s", want, a.body)
		}
	}
	if strings.Contains(a.body, "P-0") || strings.Contains(a.body, "P-new") || strings.Contains(a.body, "A-") || strings.Contains(a.body, "2026-06-28-r1</option>") {
		t.Error(a.body)
	}
	b := w.justified("oscar", []access.Role{access.Officer}, path)
	if a := w.ask(b, "GET", path, ""); !strings.Contains(a.body, "=P-new") || !strings.Contains(a.body, "P-0099") || !strings.Contains(a.body, "weight of A-P-0001: 1 -&gt; 2 days") || strings.Contains(a.body, "P-0059") ||
		w.last().Did != "looked at the changes since 2026-06-27-r1" {
		t.Errorf("%d %+v", a.code, w.last())
	}
	sheet := after + "/changes.csv?against=2026-06-27-r1"
	a = w.ask(w.justified("oscar", []access.Role{access.Officer, access.Restricted}, sheet), "GET", sheet, "")
	rows, err := csv.NewReader(strings.NewReader(a.body)).ReadAll()
	if err != nil || rows[1][0] != "'=P-new" || strings.Contains(a.body, "P-0059") {
		t.Errorf("%v %s", err, a.body)
	}
	for _, option := range []string{"2026-06-27-r1", "2026-06-28-r1"} {
		if a := w.ask(b, "GET", nightAddress+"/changes", ""); !strings.Contains(a.body, "<option>"+option) {
			t.Errorf("%s cannot be chosen", option)
		}
	}
	if logs, _ := url.QueryUnescape(w.logs.String()); strings.Contains(logs, "P-0") {
		t.Error(logs)
	}
}
