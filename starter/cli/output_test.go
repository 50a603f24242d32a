package cli

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/parquet-go/parquet-go"

	"harmstack/activities/casework"
	"harmstack/activities/casework/teams"
	"harmstack/activities/extract"
	"harmstack/activities/messages/digest"
	"harmstack/activities/messages/ledger"
	"harmstack/activities/messages/pack"
	"harmstack/activities/nightly"
	"harmstack/activities/nights"
	"harmstack/activities/nights/quality"
	"harmstack/activities/operations"
	"harmstack/activities/store"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/workflows"
)

// hostile would clear a terminal, forge a line, turn the writing around and be a formula.
const hostile = "\u3000=HYPERLINK(1)\x1b[2J\x1b]0;x\a\r\nFORGED\t\u202e\u2066\u200b"

// oneNight is a folder of `starter score` with one row, one suspect and one victim, and a published, approved night in
// a store that holds the same files and one tasking.
func oneNight(t *testing.T, suspect string) (extract, folder string, url string) {
	t.Helper()
	dir := t.TempDir()
	extract, folder, url = filepath.Join(dir, "extract.parquet"), filepath.Join(dir, "scored"), filepath.Join(dir, "store")
	at := new(time.Date(2026, 6, 30, 9, 0, 0, 0, time.UTC).UnixMicro())
	err := parquet.WriteFile(extract, []schemas.Offence{{AllegationID: new("A" + suspect), ReportID: new("R" + suspect), SuspectID: &suspect, SuspectAge: new(int32(30)),
		OffenceCode: new("019/08"), OffenceClass: new("19C"), ReportedAt: at, UpdatedAt: at, Borough: new("Elsewhere" + suspect), VictimID: new("V" + suspect), VictimSex: new("F"),
		Source: new("victim"), Outcome: new("open")}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := run(t, "score", "--extract", extract, "--as-of", "2026-06-30", "--out", folder); err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(t.Context(), url)
	if err == nil {
		_, _, _, err = st.SetUp(t.Context(), "", "key")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	var m schemas.Manifest
	if err := json.Unmarshal(read(t, folder, schemas.ManifestFile), &m); err != nil {
		t.Fatal(err)
	}
	m.NightID = schemas.NightID{AsOf: schemas.MustDate("2026-06-30"), Revision: 1}
	m.Checks = []schemas.CheckOutcome{{Name: "rows_fell", Level: "warn", Found: "1 row, usually 1 | " + hostile, Failed: true}}
	m.Changes = &schemas.ChangeCount{Entered: 1}
	outputs := m.Outputs
	m.Outputs = nil
	for _, o := range append(outputs, schemas.ArtifactRef{URI: schemas.ChangesFile}) {
		data := []byte{}
		if o.URI != schemas.ChangesFile {
			data = read(t, folder, o.URI)
		}
		ref, err := st.Write(t.Context(), m.Path()+"/"+o.URI, o.Schema, func(w io.Writer) (int64, error) {
			_, err := w.Write(data)
			return o.Rows, err
		})
		if err != nil {
			t.Fatal(err)
		}
		m.Outputs = append(m.Outputs, ref)
	}
	ref, err := nights.Publish(t.Context(), st, m)
	if err == nil {
		err = nights.Decide(t.Context(), st, schemas.Decision{Decision: schemas.Approved, Manifest: ref, By: "DCI " + hostile, Reason: "because " + hostile, At: now()})
	}
	if err == nil {
		err = nights.SwapCurrent(t.Context(), st, m.NightID)
	}
	if err == nil {
		_, err = ledger.Deliver(t.Context(), st, ledger.Entry{ID: "one", Channel: ledger.Mail, Team: "Hackney", Kind: "digest", Subject: hostile}, now,
			func(func(string) bool) ([]string, error) { return nil, io.ErrUnexpectedEOF }, func(error) bool { return true })
		if errors.Is(err, io.ErrUnexpectedEOF) { // what was to be refused
			err = nil
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	tasking := &schemas.Tasking{Reference: "k7qd-2m4x-9w3t-c5hn", Version: 1, State: schemas.TaskingAcknowledged, Since: now(), Team: "Hackney", Position: 1, Night: m.NightID, OnStack: true,
		Facts:  schemas.TaskingFacts{Allegations: 1, Reports: 1, Victims: 1, HarmDays: 1, Status: "on_bail" + hostile},
		Events: []schemas.TaskingEvent{{Number: 1, At: now(), Kind: schemas.EventAcknowledged, Team: "Hackney", By: "PS " + hostile, Reason: hostile, News: []string{"one new allegation" + hostile}, Key: "k"}}}
	if err := casework.Save(t.Context(), st, tasking); err != nil {
		t.Fatal(err)
	}
	return extract, folder, url
}

// lines are the commands that look, and what each prints of the night.
func lines(t *testing.T, extract, folder, url string) map[string]string {
	t.Helper()
	t.Setenv("HARMSTACK_STORE", url)
	out := map[string]string{}
	for _, line := range []string{
		"stack --why x", "stack --csv --why x", "explain #1 --why x", "case #1 --why x", "status", "checks", "lineage 2026-06-30", "diff --why x 2026-06-30 " + folder, "tasking list", "tasking show k7qd-2m4x-9w3t-c5hn", "tasking deliveries",
		"score --extract " + extract + " --as-of 2026-06-30 --out " + t.TempDir(), "extract --extract " + extract + " --out " + t.TempDir(), "teams",
	} {
		text, err := run(t, strings.Fields(line)...)
		if err != nil && !strings.HasPrefix(line, "diff") {
			t.Errorf("%s: %v", line, err)
		}
		out[line] = text
	}
	return out
}

// Values of an extract, of officers and of teams reach the terminal as text alone.
func TestHostileValuesOnTheTerminal(t *testing.T) {
	extract, folder, url := oneNight(t, hostile)
	for line, text := range lines(t, extract, folder, url) {
		for _, r := range text {
			if r != '\n' && unicode.In(r, unicode.Cc, unicode.Cf) && line != "stack --csv --why x" {
				t.Errorf("%s prints %U", line, r)
			}
		}
		if strings.Contains(text, "\nFORGED") && line != "stack --csv --why x" {
			t.Errorf("%s prints a forged line:\n%s", line, text)
		}
		if (line == "stack --why x" || line == "status" || line == "tasking show k7qd-2m4x-9w3t-c5hn") && !strings.Contains(text, `\x1b[2J`) {
			t.Errorf("%s does not show what is there:\n%s", line, text)
		}
		if line == "stack --csv --why x" {
			rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
			if err != nil || len(rows) != 2 {
				t.Fatal(rows, err)
			}
			for _, cell := range rows[1] {
				if rest := strings.TrimLeftFunc(cell, func(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) }); strings.HasPrefix(rest, "=") {
					t.Errorf("a spreadsheet would take %q for a formula", cell)
				}
			}
		}
	}
	for _, file := range []string{filepath.Join(folder, schemas.StackCSVFile)} {
		rows, err := csv.NewReader(bytes.NewReader(read(t, file))).ReadAll()
		if err != nil || !strings.HasPrefix(rows[1][3], "'") {
			t.Errorf("%s: %q, %v", file, rows, err)
		}
	}
	// JSON is for programs: exact.
	text, err := run(t, "stack", "--json", "--why", "x")
	var stack []schemas.Ranked
	if err == nil {
		err = json.Unmarshal([]byte(text), &stack)
	}
	if want := schemas.TrimSpace(hostile); err != nil || len(stack) != 1 || stack[0].SuspectID != want {
		t.Errorf("%q, %v", text, err)
	}
	_, err = run(t, "explain", "x\x1b[2J", "--why", "x")
	if err == nil || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("an error: %q", err)
	}
}

var one = regexp.MustCompile(`(?:^|[^\d,.#/-])1 ([a-z]+)(?: ([a-z]+))?`)

// plurals finds a count of one before a plural: 1 rows, 1 other suspects, 1 row are.
func plurals(text string) (found []string) {
	plural := func(word string) bool {
		switch word {
		case "is", "was", "as", "this", "has", "does", "always", "runs", "makes", "counts", "holds", "adds", "follows":
			return false
		case "are", "were", "have", "children", "people":
			return true
		}
		return strings.HasSuffix(word, "s") && !strings.HasSuffix(word, "ss") && !strings.HasSuffix(word, "us")
	}
	for _, m := range one.FindAllStringSubmatch(text, -1) {
		if plural(m[1]) || plural(m[2]) {
			found = append(found, m[0])
		}
	}
	return found
}

// A night of one row, one suspect and one victim is told in the singular, wherever it is told.
func TestCountsOfOne(t *testing.T) {
	extracted, folder, url := oneNight(t, "S-1")
	texts := lines(t, extracted, folder, url)
	report := regexp.MustCompile(`<[^>]*>|(?s:<style>.*?</style>)`).ReplaceAllString(string(read(t, folder, schemas.ReportFile)), "\n")
	texts["report.html"] = report
	st, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	m, _, err := nights.LoadManifest(t.Context(), st, schemas.NightID{AsOf: schemas.MustDate("2026-06-30"), Revision: 1})
	if err != nil {
		t.Fatal(err)
	}
	stack, err := nights.ReadFile[schemas.Ranked](t.Context(), st, m, schemas.StackFile)
	if err != nil {
		t.Fatal(err)
	}
	contributions, err := nights.ReadFile[schemas.Contribution](t.Context(), st, m, schemas.ContributionsFile)
	if err != nil {
		t.Fatal(err)
	}
	stack[0].TieSize, stack[0].NonRecent, stack[0].DomesticAbuse = 2, 1, 1
	hide := func(string) string { return "k7qd-2m4x-9w3t-c5hn" }
	told, err := digest.Build(digest.Input{Night: m.NightID, Approved: now(), Team: "Hackney", To: []string{"a@example.org"}, Suspects: []digest.Suspect{{Ranked: stack[0], State: "Issued"}},
		Left: []digest.Left{{Reference: "x", Position: 1, Why: "others rank higher now"}}, Cut: schemas.Cut{InsideTie: true, Score: stack[0].Score, TiedIn: 1, TiedOut: 1}, Pseudonym: hide})
	if err != nil {
		t.Fatal(err)
	}
	texts["digest"] = told.Subject + "\n" + told.Text
	packed, err := pack.Text(pack.Input{Team: "Hackney", Night: m.NightID, Approved: now(), Suspects: []pack.Suspect{{Reference: "x", Ranked: stack[0], Contributions: contributions, InTie: true}}})
	if err != nil {
		t.Fatal(err)
	}
	texts["pack"] = string(packed)
	for name, stage := range map[string]interface{ Done() (int64, string) }{
		"extract": nightly.ExtractResult{Parts: make([]schemas.ArtifactRef, 1), ExtraColumns: 1, Reading: &schemas.Reading{Mode: schemas.ReadIncrementally, Changed: 1}},
		"score":   nightly.ScoreResult{RowsRead: 1, Dispositions: m.Dispositions}, "publish": nightly.PublishResult{Changes: *m.Changes},
	} {
		_, texts["stage "+name] = stage.Done()
	}
	progress := workflows.NightProgress{Night: m.NightID, Dispositions: &m.Dispositions, Stages: []workflows.Stage{{Name: "extract", State: workflows.StageDone, Rows: 1, Notes: texts["stage extract"]}}}
	texts["stage table"] = progress.Markdown()
	m.Profile = &schemas.Profile{NewestReport: m.AsOf.AddDays(-1), AheadOfClock: 1, UnknownCodes: new(int64(1)), Boroughs: map[string]int64{}, Nulls: map[string]int64{}}
	for _, c := range quality.Standard().Outcomes(quality.Night{Manifest: m, Before: []schemas.Manifest{m}, Stack: stack}) {
		texts["check "+c.Name] = c.Found
	}
	who := teams.Nowhere()
	order := casework.Order{Reference: "x", Night: m.NightID, OnStack: true, Owner: "Hackney", Facts: schemas.TaskingFacts{Allegations: 1, Reports: 1, Victims: 1, HarmDays: 1}, Allegations: []string{"a"}}
	tasking, err := casework.Apply(nil, casework.Command{Key: "1", At: now(), Order: &order}, who)
	if err != nil {
		t.Fatal(err)
	}
	order.Facts.Allegations, order.Facts.Victims, order.Allegations = 2, 1, []string{"a", "b"}
	if tasking, err = casework.Apply(tasking, casework.Command{Key: "2", At: now(), Order: &order}, who); err != nil {
		t.Fatal(err)
	}
	texts["news"] = strings.Join(tasking.Events[1].News, "\n")
	texts["facts"] = digest.FactsText(tasking.Facts)
	texts["late"] = operations.SourceLate(m.AsOf, now(), "there is no file").Text
	_, err = nights.Encode(schemas.Manifest{NightID: m.NightID, RowsRead: 1})
	texts["an error of counts"] = err.Error()
	entries, err := audit.Read(t.Context(), st)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		texts["audit log"] += e.Did + "\n"
	}
	if _, err = extract.Open(bytes.NewReader([]byte("P")), 1); err == nil {
		t.Fatal("a file of one byte is no extract")
	}
	texts["an error of bytes"] = err.Error()
	for _, name := range []string{"score --extract", "report.html", "digest", "pack", "facts", "stage extract", "check ahead_of_clock", "an error of counts"} {
		found := false
		for where, text := range texts {
			found = found || strings.HasPrefix(where, name) && strings.Contains(text, "1 ")
		}
		if !found {
			t.Errorf("%s says nothing of one: the test shows nothing", name)
		}
	}
	for where, text := range texts {
		for _, found := range plurals(text) {
			t.Errorf("%s says %q", where, found)
		}
	}
}

// Status says who was not told, whom a message did not reach, what was refused and what is late.
func TestStatusTellsOfTrouble(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	err := printMeasures(&out, casework.Measures{Trouble: casework.Trouble{Untold: []string{"Barnet", "Hackney"},
		Unmet: []string{"Westminster (mail server: recipient 2 of 3: reply 550)"}, Refused: []string{"reminded to Brent (550)"}, LateOrders: []string{"k7qd of Bexley (damaged)"}}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"Not told yet of the approved stack: Barnet, Hackney.",
		"Sent, but not to all addresses: Westminster (mail server: recipient 2 of 3: reply 550).", "Refused: reminded to Brent (550).",
		"Not up to date with the approved stack (`starter tasking resume` tries again): k7qd of Bexley (damaged)."} {
		if !strings.Contains(out.String(), "\n"+line+"\n") {
			t.Errorf("%q is not in %s", line, out.String())
		}
	}
}
