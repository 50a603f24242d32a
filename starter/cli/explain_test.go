package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"harmstack/activities/extract"
	"harmstack/activities/nights/casefile"
	"harmstack/activities/pipeline"
	"harmstack/activities/scoring"
	"harmstack/activities/store/rowfile"
	"harmstack/schemas"
	"harmstack/schemas/reference"
)

func changed(o schemas.Offence, change func(*schemas.Offence)) schemas.Offence {
	change(&o)
	return o
}

// aCase is 99 suspects of a rape each today; P, of one today and one a half-life ago, whose victim has withdrawn and is
// the victim of S-07 too; and the victim of the first, whom P accused five days before.
func aCase(asOf schemas.Date) []schemas.Offence {
	rape := func(suspect, id string, age int) schemas.Offence {
		return allegation(asOf, suspect, id, "019/08", "19C", "", age)
	}
	rows := edgeOfTheStack(asOf)
	rows[7].VictimID = new("VP2")
	return append(rows,
		rape("P", "P1", 0),
		changed(rape("P", "P2", 180), func(o *schemas.Offence) { o.Outcome = new("victim_does_not_support") }),
		changed(rape("P", "P3", 10), func(o *schemas.Offence) { o.Source, o.VictimID = new("intelligence"), nil }),
		changed(rape("P", "P4", 20), func(o *schemas.Offence) { o.Outcome = new("no_crime") }),
		changed(rape("VP1", "C1", 5), func(o *schemas.Offence) { o.VictimID = new("P") }),
	)
}

// What explain says, by hand. By rfs-v2 P scores 1,825 x (1 + 0.5 x 1.1) = 2,828.75 days, by rfs-v1 1,825 x (1 + 0.5) x
// 1.1 = 3,011.25, and the cut is at 1,825. Without the rape of today they have 912.5: below the 99 and VP1 (5 days old:
// 1,825 x 0.981 = 1,790.2), above W (547.5): position 101. Without the other they tie with the 99, and P comes before S.
// 1.55 x 2^(-d/180) < 1 from d = 180 x log2(1.55) = 113.8 on: 114 days after 30 June is 22 October; 1.65 so from 130.04
// on: 131 days after it is 8 November.
func TestExplain(t *testing.T) {
	asOf, dir := schemas.MustDate("2026-06-30"), t.TempDir()
	t.Setenv("HARMSTACK_STORE", dir)
	publishNight(t, dir, asOf, aCase(asOf))
	explain := func(name string) (e pipeline.Explanation) {
		t.Helper()
		out, err := run(t, "explain", name, "--as-of", "2026-06-30", "--json", "--why", "a test")
		if err == nil {
			err = json.Unmarshal([]byte(out), &e)
		}
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	days, shown, below := 2828.75, "2,828.8", "2026-10-22"
	if schemas.DefaultModel == "rfs-v1" {
		days, shown, below = 3011.25, "3,011.3", "2026-11-08"
	}
	e := explain("#1")
	if e.Suspect.SuspectID != "P" || e.Suspect.ScoreDays != days || !e.OnStack || len(e.Lacking) > 0 {
		t.Errorf("%+v", e)
	}
	if e.BelowCut == nil || e.BelowCut.String() != below {
		t.Errorf("below the cut on %v", e.BelowCut)
	}
	for i, want := range []struct {
		id      string
		without int64
		leaves  string
	}{{"P1", 101, "2027-06-30"}, {"P2", 1, "2027-01-01"}} {
		c := e.Contributions[i]
		if c.AllegationID != want.id || c.Without == nil || *c.Without != want.without || c.LeavesOn != want.leaves {
			t.Errorf("%+v, without it %v", c.Contribution, c.Without)
		}
	}
	if len(e.Models) == 0 || e.Standing == nil || e.Standing.Standing != schemas.Core {
		t.Errorf("models %v, standing %+v", e.Models, e.Standing)
	}
	what := func(rows []schemas.Case) (list []string) {
		for _, c := range rows {
			list = append(list, *c.AllegationID+" "+c.Role+" "+c.Disposition)
		}
		return list
	}
	if got, want := what(e.Case.Rows), []string{"P2 suspect scored", "P4 suspect cleared", "P3 suspect intelligence_only", "C1 victim scored", "P1 suspect scored"}; !slices.Equal(got, want) {
		t.Errorf("rows %q", got)
	}
	if c := e.Case.Counters; len(c) != 1 || c[0].With != "VP1" || c[0].First != "victim" || !slices.Equal(what(c[0].Rows), []string{"C1 victim scored", "P1 suspect scored"}) {
		t.Errorf("counter-allegations %+v", c)
	}
	if v := e.Case.Victims; len(v) != 1 || v[0].ID != "VP2" || !slices.Equal(v[0].Others, []string{"S-07"}) {
		t.Errorf("shared victims %+v", v)
	}
	if len(e.Case.Reports) > 0 || !slices.Equal(what(e.Case.Withdrawn), []string{"P2 suspect scored"}) {
		t.Errorf("shared reports %+v, withdrawn %q", e.Case.Reports, what(e.Case.Withdrawn))
	}
	// Nobody of the stack: from the rows that the night kept.
	e = explain("#101")
	if e.Suspect.SuspectID != "VP1" || e.OnStack || e.BelowCut != nil || len(e.Contributions) != 1 || e.Contributions[0].Without != nil ||
		len(e.Case.Counters) != 1 || e.Case.Counters[0].First != "suspect" || !slices.Equal(what(e.Case.Rows), []string{"C1 suspect scored", "P1 victim scored"}) {
		t.Errorf("%+v", e)
	}
	testPositions(t, dir)
	for line, want := range map[string][]string{
		"explain P": {"position 1, rank 1, " + shown + " score days from 3,650 harm days.", "On the stack. Also a victim", "below this night's cut on " + below + ".", "#101", "WITHOUT IT",
			"Alleged too, and not counted:", "intelligence only", "cleared", "Counter-allegation, with VP1: the allegation by the suspect came first.",
			"Victim VP2: P2; also alleged of others of the stack: S-07.", "The victim does not support the case: P2."},
		"explain W": {"Not on the stack."},
		"case P":    {"P, position 1, 5 rows", "victim   2026-06-25  C1"},
	} {
		out, err := run(t, append(strings.Fields(line), "--as-of", "2026-06-30", "--why", "a test")...)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range want {
			if !strings.Contains(out, s) {
				t.Errorf("%s does not say %q:\n%s", line, s, out)
			}
		}
	}
	if _, err := run(t, "case", "P", "--as-of", "2026-06-30"); err == nil || !strings.Contains(err.Error(), "--why") {
		t.Errorf("without a reason: %v", err)
	}
	log, err := os.ReadDir(filepath.Join(dir, "audit"))
	if err != nil {
		t.Fatal(err)
	}
	last := read(t, dir, "audit", fmt.Sprintf("%010d.json", len(log)))
	if s := string(last); !strings.Contains(s, `"why":"a test"`) || !strings.Contains(s, "position ") || strings.Contains(s, "VP1") {
		t.Errorf("the log: %s", s)
	}
}

// testPositions shows positions of the ranking of a night that is in the store.
func testPositions(t *testing.T, dir string) {
	t.Helper()
	out, err := run(t, "stack", "--as-of", "2026-06-30", "--from", "101", "--to", "200", "--why", "a test", "--json")
	var list []schemas.Ranked
	if err == nil {
		err = json.Unmarshal([]byte(out), &list)
	}
	if err != nil || len(list) == 0 {
		t.Fatalf("%q, %v", out, err)
	}
	for i, r := range list {
		if r.Position < 101 || r.Position > 200 || r.Restricted || i > 0 && r.Position <= list[i-1].Position {
			t.Errorf("position %d, restricted: %t", r.Position, r.Restricted)
		}
	}
	log, err := os.ReadDir(filepath.Join(dir, "audit"))
	if err != nil {
		t.Fatal(err)
	}
	last := string(read(t, dir, "audit", fmt.Sprintf("%010d.json", len(log))))
	if !strings.Contains(last, `"why":"a test"`) || !strings.Contains(last, "positions 101 to 103") {
		t.Errorf("the log: %s", last)
	}
	out, err = run(t, "stack", "--as-of", "2026-06-30", "--from", "2", "--to", "2", "--why", "a test")
	if row := "\n" + list[0].SuspectID; err != nil || !strings.Contains(out, "\n2 ") || strings.Contains(out, row) {
		t.Errorf("%s, %v", out, err)
	}
	for _, c := range []struct{ flags, want string }{
		{"", "--why"},
		{"--csv", "--why"},
		{"--json --why=", "--why"},
		{"--from 101", "--why"},
		{"--to 3", "--why"},
		{"--from 0 --why x", "positions begin at 1"},
		{"--from 9 --to 8 --why x", "the last is not before the first"},
		{"--from 1000000 --why x", "nobody is there"},
		{"--from 101 --top 5 --why x", "top"},
	} {
		_, err := run(t, append([]string{"stack", "--as-of", "2026-06-30"}, strings.Fields(c.flags)...)...)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("stack %s: %v", c.flags, err)
		}
	}
}

// synthesised is a synthetic extract with further rows, as rows.
func synthesised(t *testing.T, path string, further ...schemas.Offence) []schemas.Offence {
	t.Helper()
	if _, err := run(t, "generate", "--suspects", "3000", "--as-of", "2026-06-30", "--out", path); err != nil {
		t.Fatal(err)
	}
	rows, err := parquet.ReadFile[schemas.Offence](path)
	if err == nil {
		rows = append(rows, further...)
		err = parquet.WriteFile(path, rows)
	}
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// Twenty people of the stack are each accused by somebody whom they accuse: every one of them is found, and who came
// first, and so is what else a look at every pair of rows finds.
func TestTwentyPairs(t *testing.T) {
	asOf, dir := schemas.MustDate("2026-06-30"), t.TempDir()
	var planted []schemas.Offence
	for i := range 20 {
		p, q := fmt.Sprintf("PAIR-%02d", i), fmt.Sprintf("OTHER-%02d", i)
		for k := range 4 {
			planted = append(planted, allegation(asOf, p, fmt.Sprintf("%s-%d", p, k), "019/08", "19C", "", 30+k))
		}
		planted[len(planted)-1].VictimID = &q                                     // 33 days old
		back := allegation(asOf, q, "BACK-"+p, "019/08", "19C", "", 33+1-2*(i%2)) // a day before, or after
		back.VictimID = &p
		planted = append(planted, back)
	}
	path, out := filepath.Join(dir, "x.parquet"), filepath.Join(dir, "out")
	rows := synthesised(t, path, planted...)
	if _, err := run(t, "score", "--extract", path, "--as-of", "2026-06-30", "--out", out); err != nil {
		t.Fatal(err)
	}
	stack, cases := rowsIn[schemas.Ranked](t, filepath.Join(out, schemas.StackFile)), rowsIn[schemas.Case](t, filepath.Join(out, schemas.CasesFile))
	found := map[string]string{}
	for _, r := range stack {
		for _, c := range casefile.Of(r.SuspectID, cases).Counters {
			found[r.SuspectID+" "+c.With] = c.First
		}
	}
	for i := range 20 {
		pair, want := fmt.Sprintf("PAIR-%02d OTHER-%02d", i, i), []string{"victim", "suspect"}[i%2]
		if got, ok := found[pair]; !ok || got != want {
			t.Errorf("%s: %q, want %q", pair, got, want)
		}
		delete(found, pair)
	}
	// Of the synthetic people: every one found is one that two rows make.
	by := map[string]bool{}
	for _, o := range rows {
		if o.SuspectID != nil && o.VictimID != nil {
			by[schemas.TrimSpace(*o.SuspectID)+" "+schemas.TrimSpace(*o.VictimID)] = true
		}
	}
	for pair := range found {
		p, q, _ := strings.Cut(pair, " ")
		if !by[pair] || !by[q+" "+p] {
			t.Errorf("%s is no pair", pair)
		}
	}
}

func rowsIn[T any](t *testing.T, path string) []T {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	all, err := rowfile.ReadAll[T](f, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// The cases of everybody are the whole extract: what became of its rows counts as the manifest does. Each row that names
// somebody is there once for each whom it names, with what it said.
func TestCasesOfEverybody(t *testing.T) {
	dir := t.TempDir()
	path, out := filepath.Join(dir, "x.parquet"), filepath.Join(dir, "out")
	rows := synthesised(t, path)
	if _, err := run(t, "score", "--extract", path, "--as-of", "2026-06-30", "--out", out); err != nil {
		t.Fatal(err)
	}
	var m schemas.Manifest
	if err := json.Unmarshal(read(t, out, schemas.ManifestFile), &m); err != nil {
		t.Fatal(err)
	}
	model, err := schemas.LoadModel(schemas.DefaultModel)
	if err != nil {
		t.Fatal(err)
	}
	tables := reference.Default()
	fates, err := scoring.Fates(t.Context(), scoring.Options{AsOf: m.AsOf, Tables: tables, Model: model}, rows)
	if err != nil {
		t.Fatal(err)
	}
	var counts schemas.Dispositions
	people, naming := map[string]int64{}, 0
	for _, f := range fates {
		counts[f.Disposition]++
		for _, id := range []string{f.Suspect, f.Victim} {
			if id != "" {
				people[id] = 1
				naming++
			}
		}
	}
	if counts != m.Dispositions {
		t.Errorf("%v, the manifest has %v", counts, m.Dispositions)
	}
	in, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	info, _ := in.Stat()
	file, err := extract.Open(in, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	n := pipeline.Night{NightID: m.NightID, Tables: tables, Model: model, Threads: 2}
	cases, _, err := n.Cases(t.Context(), pipeline.File{File: file}, people)
	if err != nil {
		t.Fatal(err)
	}
	if len(cases) != naming {
		t.Errorf("%d rows of cases, %d say who", len(cases), naming)
	}
	for _, c := range cases {
		if o := rows[c.Row]; c.Disposition != fates[c.Row].Disposition.String() || o.AllegationID != nil && *o.AllegationID != *c.AllegationID {
			t.Fatalf("row %d: %+v", c.Row, c)
		}
	}
	// And those of the stack are those of the file.
	want := map[string]int{}
	for _, r := range rowsIn[schemas.Ranked](t, filepath.Join(out, schemas.StackFile)) {
		want[r.SuspectID] = 0
	}
	for _, c := range cases {
		if _, ok := want[c.PersonID]; ok {
			want[c.PersonID]++
		}
	}
	got := map[string]int{}
	for _, c := range rowsIn[schemas.Case](t, filepath.Join(out, schemas.CasesFile)) {
		got[c.PersonID]++
	}
	if !maps.Equal(got, want) {
		t.Errorf("the file has %d people, or other rows of them", len(got))
	}
}
