package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"go.temporal.io/sdk/testsuite"

	"harmstack/activities/nightly"
	"harmstack/activities/pipeline/compare"
	"harmstack/activities/store"
	"harmstack/schemas"
	"harmstack/schemas/reference"
)

// publishNight runs the stages of a night over rows, by the activities that a worker runs.
func publishNight(t *testing.T, dir string, asOf schemas.Date, rows []schemas.Offence, links ...schemas.PersonLink) {
	t.Helper()
	extract := filepath.Join(t.TempDir(), "extract.parquet")
	if err := parquet.WriteFile(extract, rows); err != nil {
		t.Fatal(err)
	}
	if links != nil {
		merged, yaml := extract+".links.parquet", extract+".yaml"
		err := errors.Join(
			parquet.WriteFile(merged, links),
			os.WriteFile(yaml, []byte("parquet: "+extract+"\nlinks: "+merged+"\n"), 0o600),
		)
		if err != nil {
			t.Fatal(err)
		}
		extract = yaml
	}
	st, err := store.Open(t.Context(), dir)
	if err == nil {
		_, _, _, err = st.SetUp(t.Context(), "", "key")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	a := &nightly.Activities{Store: st, Sources: map[string]string{nightly.DefaultSource: extract}, Threads: 1, TempDir: t.TempDir(), Code: "test"}
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	env.RegisterActivity(a)
	call := func(activity, params, result any) {
		t.Helper()
		value, err := env.ExecuteActivity(activity, params)
		if err == nil {
			err = value.Get(result)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var claimed nightly.ClaimResult
	p := nightly.PublishParams{}
	call(a.Claim, nightly.ClaimParams{AsOf: asOf}, &claimed)
	p.Night = claimed.Night
	call(a.Extract, nightly.ExtractParams{Night: p.Night}, &p.Extracted)
	call(a.Check, nightly.CheckParams{Night: p.Night, Parts: p.Extracted.Parts}, &p.Checked)
	call(a.Score, nightly.ScoreParams{Night: p.Night, Parts: p.Extracted.Parts, Links: p.Extracted.LinksRef(), Quarantined: p.Checked.Quarantine.Rows}, &p.Scored)
	call(a.Rank, nightly.RankParams{Night: p.Night, Shards: p.Scored.Shards, Parts: p.Extracted.Parts, Links: p.Extracted.LinksRef()}, &p.Ranked)
	var published nightly.PublishResult
	call(a.Publish, p, &published)
}

// allegation is a report at noon against a suspect, so many days before asOf.
func allegation(asOf schemas.Date, suspect, id, code, class, urn string, age int) schemas.Offence {
	at := new(asOf.AddDays(-age).Start().UnixMicro() + 12*3600*1e6)
	return schemas.Offence{AllegationID: &id, ReportID: new("R" + id), SuspectID: &suspect, OffenceCode: &code, OffenceClass: &class, OffenceURN: &urn,
		ReportedAt: at, UpdatedAt: at, Borough: new("Hackney"), VictimID: new("V" + id), VictimSex: new("F"), Source: new("victim"), Outcome: new("open")}
}

// A stack of 100: 99 suspects of one rape each (1,825 days), W of a serious wounding (547.5 days) on the edge, X of a
// minor one (19 days) below it. The weights are read off the published table; X's offence is given by its row, since
// the pair of code and class takes the lowest of all its rows.
func edgeOfTheStack(asOf schemas.Date) (rows []schemas.Offence) {
	for i := range 99 {
		rows = append(rows, allegation(asOf, fmt.Sprintf("S-%02d", i), fmt.Sprintf("A-%02d", i), "019/08", "19C", "", 0))
	}
	return append(rows, allegation(asOf, "W", "A-W", "008/01", "8N", "8N.8.1.1", 0), allegation(asOf, "Q", "A-X", "008/01", "8N", "8N.8.1.2", 0))
}

func changesOf(t *testing.T, args ...string) map[string]compare.Change {
	t.Helper()
	out, err := run(t, append([]string{"diff", "--json", "--why", "a test"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	var list []compare.Change
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		t.Fatal(err)
	}
	by := map[string]compare.Change{}
	for _, c := range list {
		by[c.SuspectID] = c
	}
	return by
}

// One weight is changed in the table by hand: that of the serious wounding, to 10 days. W must leave for X, and nothing
// else may change.
func TestDiffUnderAnotherEdition(t *testing.T) {
	asOf, dir, out := schemas.MustDate("2026-06-30"), t.TempDir(), filepath.Join(t.TempDir(), "under-new")
	t.Setenv("HARMSTACK_STORE", dir)
	publishNight(t, dir, asOf, edgeOfTheStack(asOf))
	table, err := reference.Files.ReadFile(reference.EditionFile)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, line := range strings.Split(string(table), "\n") {
		if strings.HasPrefix(line, "8N.8.1.1,") {
			line = strings.Replace(line, ",547.5,", ",10,", 1)
		}
		lines = append(lines, line)
	}
	edition := filepath.Join(t.TempDir(), "cchi-2030.csv")
	if err := os.WriteFile(edition, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	same := filepath.Join(t.TempDir(), "again")
	for _, args := range [][]string{{"--out", same}, {"--out", out, "--edition", edition}} {
		if _, err := run(t, append([]string{"score", "--night", "2026-06-30"}, args...)...); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{schemas.RankingFile, schemas.StackFile, schemas.ContributionsFile, schemas.CasesFile, schemas.QuarantineFile} {
		if !bytes.Equal(read(t, same, file), read(t, dir, "nights/2026-06-30/r1", file)) {
			t.Errorf("%s is another under the same tables", file)
		}
	}
	var m, was schemas.Manifest
	if err := json.Unmarshal(read(t, out, schemas.ManifestFile), &m); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(read(t, dir, "nights/2026-06-30/r1", schemas.ManifestFile), &was); err != nil {
		t.Fatal(err)
	}
	if m.Edition.Name != "cchi-2030" || m.Edition.SHA256 == was.Edition.SHA256 || m.Rules != was.Rules || m.Night == nil || m.Night.NightID != was.NightID ||
		len(m.Inputs) != 1 || !strings.HasSuffix(m.Inputs[0].URI, "nights/2026-06-30/r1/extract/part-00000.parquet") {
		t.Errorf("manifest %+v", m)
	}
	changes := changesOf(t, "2026-06-30", out, "--edition", edition)
	w, x := changes["W"], changes["Q"]
	if w.Kind != schemas.ChangeLeft || *w.Previous != 100 || w.After.Position != 101 || !w.Explained || len(w.Terms) != 1 ||
		w.Terms[0] != (compare.Term{Allegation: "A-W", What: "weight", Before: 547.5, After: 10, Days: -537.5}) || !strings.Contains(w.Why, "weight of A-W: 547.5 -> 10 days") {
		t.Errorf("W: %+v", w)
	}
	if x.Kind != schemas.ChangeEntered || *x.Position != 100 || x.Before.Position != 101 || !x.Explained || len(x.Terms) != 0 ||
		!strings.Contains(x.Why, "others fell; score days 19.0 at 101 -> 19.0 at 100") {
		t.Errorf("X: %+v", x)
	}
	if s := changes["S-07"]; s.Kind != schemas.ChangeStayed || len(changes) != 101 {
		t.Errorf("%d changes, S-07 %+v", len(changes), s)
	}
	// Without the file nobody can know what W's allegation weighs under it.
	if w := changesOf(t, "2026-06-30", out)["W"]; w.Explained || len(w.Terms) != 0 || !strings.Contains(w.Why, "harm days 547.5 -> 10.0") {
		t.Errorf("without the file: %+v", w)
	}
	text, err := run(t, "diff", "2026-06-30", out, "--edition", edition, "--why", "a test")
	for _, part := range []string{"1 entered, 1 left, 0 moved, 99 stayed", "Other edition: cchi-2020 (", "weight of A-W: 547.5 -> 10 days"} {
		if err != nil || !strings.Contains(text, part) {
			t.Errorf("%q is not in %v\n%s", part, err, text)
		}
	}
	for _, c := range []struct{ arg, want string }{{"./nowhere", "is neither a night"}, {"2026-06-30-rx", "is neither a night"}} {
		if _, err := run(t, "diff", "2026-06-30", c.arg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.arg, err)
		}
	}
}

// Whoever is of restricted handling on either night is a number, in words and in JSON.
func TestDiffHidesTheRestricted(t *testing.T) {
	asOf, dir := schemas.MustDate("2026-06-30"), t.TempDir()
	t.Setenv("HARMSTACK_STORE", dir)
	rows := edgeOfTheStack(asOf)
	publishNight(t, dir, asOf, rows)
	rows[5].Handling, rows[3].Outcome = new("restricted"), new("no_crime") // so that everybody below moves
	publishNight(t, dir, asOf.AddDays(1), rows)
	hidden := *rows[5].SuspectID
	for _, more := range [][]string{nil, {"--json"}} {
		out, err := run(t, append([]string{"diff", "2026-06-30", "2026-07-01", "--why", "a test"}, more...)...)
		if err != nil || strings.Contains(out, hidden) || !strings.Contains(out, *rows[6].SuspectID) {
			t.Errorf("%v: %v\n%s", more, err, out)
		}
		if more == nil && !strings.Contains(out, "1 suspect is restricted and not shown.") {
			t.Error(out)
		}
	}
}

// A day later everybody is a day older, X has a second allegation and S-03 is cleared.
func TestDiffOfTwoNights(t *testing.T) {
	asOf, dir := schemas.MustDate("2026-06-30"), t.TempDir()
	t.Setenv("HARMSTACK_STORE", dir)
	rows := edgeOfTheStack(asOf)
	// S-04 has another that leaves the window on the second night: an age of 364 days, and then of 365.
	rows = append(rows, allegation(asOf, "S-04", "A-old", "008/01", "8N", "", 364))
	publishNight(t, dir, asOf, rows)
	rows[3].Outcome = new("no_crime")
	rows = append(rows, allegation(asOf, "Q", "A-X2", "019/08", "19C", "", -1))
	publishNight(t, dir, asOf.AddDays(1), rows)
	before, err := os.ReadDir(filepath.Join(dir, "audit")) // what the nights themselves have in it
	if err != nil {
		t.Fatal(err)
	}
	for _, more := range [][]string{nil, {"--json"}} {
		out, err := run(t, append([]string{"diff", "2026-06-30", "2026-07-01"}, more...)...)
		if err == nil || !strings.Contains(err.Error(), "--why") || out != "" {
			t.Errorf("without a reason: %q, %v", out, err)
		}
	}
	if log, _ := os.ReadDir(filepath.Join(dir, "audit")); len(log) != len(before) {
		t.Errorf("the log of what was not shown: %q", log)
	}
	changes := changesOf(t, "2026-06-30", "2026-07-01")
	for i, night := range []string{"2026-06-30-r1", "2026-07-01-r1"} {
		entry := string(read(t, dir, "audit", fmt.Sprintf("%010d.json", len(before)+i+1)))
		if !strings.Contains(entry, `"why":"a test"`) || !strings.Contains(entry, night) {
			t.Errorf("the log: %s", entry)
		}
	}
	const day = 996157 // round(1,000,000 * 2^(-1/180))
	near := func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }
	if s := changes["S-07"]; len(s.Terms) != 1 || s.Terms[0].What != "age" || s.Terms[0].After != 1 || !near(s.Terms[0].Days, 1825*(day-1e6)/1e6) {
		t.Errorf("S-07: %+v", s)
	}
	x := changes["Q"]
	if x.Kind != schemas.ChangeEntered || x.Before.Position != 101 || len(x.Terms) != 3 || x.Terms[0] != (compare.Term{Allegation: "A-X2", What: "new", Before: 0, After: 1825, Days: 1825}) ||
		x.Terms[1].What != "age" || x.Terms[2] != (compare.Term{What: "frequency", Before: 1, After: 1.001}) {
		t.Errorf("X: %+v", x)
	}
	if s := changes["S-03"]; s.Kind != schemas.ChangeLeft || *s.Reason != schemas.LeftNoScore || s.After != nil || !s.Explained ||
		len(s.Terms) != 1 || s.Terms[0] != (compare.Term{Allegation: "A-03", What: "gone", Before: 1825, After: 0, Days: -1825}) {
		t.Errorf("S-03: %+v", s)
	}
	s := changes["S-04"]
	if len(s.Terms) != 2 || s.Terms[1].What != "aged_out" || s.Terms[1].Before != 19 ||
		!strings.Contains(s.Why, "left the window: A-old, 19 days") {
		t.Errorf("S-04: %+v", s)
	}
}
