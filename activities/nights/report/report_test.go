package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"io"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"harmstack/schemas"
	"harmstack/schemas/text"
)

func write(t *testing.T, p Page) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, p); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// visible is what a reader sees, with single spaces.
func visible(t *testing.T, page string) string {
	t.Helper()
	var b strings.Builder
	z := html.NewTokenizer(strings.NewReader(page))
	style := false
	for {
		switch z.Next() {
		case html.ErrorToken:
			if z.Err() != io.EOF {
				t.Fatal(z.Err())
			}
			return strings.Join(strings.Fields(b.String()), " ")
		case html.StartTagToken, html.EndTagToken:
			style = z.Token().Data == "style" && !style
			b.WriteByte(' ')
		case html.TextToken:
			if !style {
				b.WriteString(z.Token().Data)
			}
		}
	}
}

func TestWriteIsDeterministic(t *testing.T) {
	p, _ := sample(t, 3000)
	first := write(t, p)
	q, _ := sample(t, 3000)
	if first != write(t, q) {
		t.Error("the same night gives two pages")
	}
	q.Manifest.Revision, q.Manifest.Code, q.Manifest.Inputs[0].URI, q.Manifest.Outputs = 99, "another build", "/elsewhere", nil
	q.Manifest.Previous.Revision = 98
	if first != write(t, q) {
		t.Error("the page holds a revision, a build or a path")
	}
}

// Every tag is closed, in order: the page without its doctype, as strict XML but for the void elements.
func TestWriteIsWellFormed(t *testing.T) {
	full, _ := sample(t, 3000)
	for scenario, p := range map[string]Page{"a full page": full, "nothing at all": {}} {
		page := strings.TrimPrefix(write(t, p), "<!DOCTYPE html>\n")
		d := xml.NewDecoder(strings.NewReader(regexp.MustCompile(`<meta [^>]*`).ReplaceAllString(page, "$0/")))
		d.Entity = xml.HTMLEntity
		for {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", scenario, err)
			}
		}
		if strings.Contains(page, "NaN") || strings.Contains(page, "Inf") || strings.Contains(page, "ZgotmplZ") {
			t.Errorf("%s: a figure that is none", scenario)
		}
	}
}

// The page may run no script and load nothing; its one style is the one that the policy names.
func TestWriteIsSelfContained(t *testing.T) {
	p, _ := sample(t, 3000)
	page := write(t, p)
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var policy, css string
	for n := range root.Descendants() {
		switch n.Data {
		case "script", "link", "img", "iframe", "object", "form", "a", "base":
			t.Errorf("<%s>", n.Data)
		case "style":
			css = n.FirstChild.Data
		}
		for _, a := range n.Attr {
			switch key := strings.ToLower(a.Key); {
			case key == "style", key == "src", key == "href", strings.HasPrefix(key, "on"):
				t.Errorf("<%s %s>", n.Data, key)
			case key == "content" && strings.HasPrefix(a.Val, "default-src"):
				policy = a.Val
			}
		}
	}
	sum := sha256.Sum256([]byte(css))
	if want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'"; policy != want {
		t.Errorf("policy %q, want %q", policy, want)
	}
	if strings.Contains(css, "url(") || strings.Contains(css, "@import") || len(css) < 1000 {
		t.Error("the style loads something, or is missing")
	}
}

func TestWriteShowsWhatMatters(t *testing.T) {
	p, _ := sample(t, 36_000)
	page := visible(t, write(t, p))
	m := p.Manifest
	want := []string{
		"The stack of 30 June 2026", "from reports of 1 July 2025 to 30 June 2026", "identifies; it does not predict",
		"Nobody is on it on police intelligence alone", "until a named officer has approved it",
		"100 suspects on the stack", "36,000 suspects ranked", "since the stack of 29 June 2026",
		"6 entered, 6 left, 86 moved", "8 kept their position", "6 new since 29 June 2026",
		"The cut falls inside a tie: 2 suspects", "3 with the very same score did not", "17 duplicate rows contradicted",
		"44 rows could not be read", "Quarantined, offence_code: not a Home Office code 31", "The cut falls inside a tie yes",
		"taken as null: 23 values of suspect_age", "beyond the contract, dropped 3", "rule “lowest” 311", "by the supplement 1,204",
		"rows read every row of the extract " + text.Number(m.RowsRead), "half after 180 days", "Central desk",
		"outranked still ranked, but others now stand higher 4", "P99990004 2,620.5 no longer scored", "P99990002 2,860.5 aged out",
		m.Edition.SHA256, m.Rules.SHA256, m.Supplement.SHA256, m.Resolutions.SHA256, m.Model.SHA256, m.Inputs[0].SHA256, "input, 214,803 rows",
	}
	for i, n := range m.Dispositions {
		want = append(want, rules[i]+" "+text.Number(n))
	}
	for _, r := range p.Stack {
		want = append(want, r.SuspectID+" "+text.DaysTenth(r.ScoreDays)+" "+text.Days(r.SumDays)+" ("+text.Number(r.SumRank)+")")
	}
	for _, b := range p.Distribution.Scores {
		want = append(want, span(b.From, b.To)+" "+text.Number(b.Suspects))
	}
	for _, o := range p.Distribution.Boroughs {
		want = append(want, o.Name+" "+o.BCU)
	}
	for _, s := range want {
		if !strings.Contains(page, strings.Join(strings.Fields(s), " ")) {
			t.Errorf("the page does not say %q", s)
		}
	}
	for _, c := range p.Contributions {
		if strings.Contains(page, *c.VictimID) {
			t.Fatalf("the page names a victim")
		}
	}
	for _, word := range []string{"/secret/place", "offenders", "risk", "2026-06-30-r", "extract.parquet"} {
		if strings.Contains(page, word) {
			t.Errorf("the page says %q", word)
		}
	}
}

// Three suspects by hand: A (100 days, alone), B and C tied; D left.
func TestWriteByHand(t *testing.T) {
	asOf := schemas.MustDate("2026-06-30")
	at := func(day string) int64 { return schemas.MustDate(day).Start().Add(time.Hour).UnixMicro() }
	rows := []schemas.Ranked{
		{Position: 1, Rank: 1, TieSize: 1, SuspectID: "A", Score: 100e7, ScoreDays: 100, SumDays: 182.5, MaxDays: 182.5, SumRank: 1, Allegations: 1, Reports: 1, Victims: 1,
			FirstReported: at("2026-06-28"), LastReported: at("2026-06-28"), AlsoVictim: true, NonRecent: 1, SuspectStatus: new("in_custody"), Lane: "contained"},
		{Position: 2, Rank: 2, TieSize: 2, SuspectID: "B", Score: 10e7, ScoreDays: 10, SumDays: 10, MaxDays: 9, SumRank: 2, Allegations: 2, Reports: 2, Victims: 1,
			FirstReported: at("2025-08-01"), LastReported: at("2026-06-01"), OwnerBorough: new("Barnet"), OwnerBCU: new("North West"), Boroughs: []string{"Barnet", "Brent"}},
		{Position: 3, Rank: 2, TieSize: 2, SuspectID: "C", Score: 10e7, ScoreDays: 10, SumDays: 7.5, MaxDays: 7.5, SumRank: 3, Allegations: 1, Reports: 1,
			FirstReported: at("2026-01-01"), LastReported: at("2026-01-01"), OwnerBorough: new("Barnet"), OwnerBCU: new("North West"), Boroughs: []string{"Barnet"}},
	}
	d, err := collect(asOf, 3, 2, rows)
	if err != nil {
		t.Fatal(err)
	}
	page := visible(t, write(t, Page{
		Manifest: schemas.Manifest{NightID: schemas.NightID{AsOf: asOf, Revision: 1}, Suspects: 3, RowsRead: 4,
			Dispositions: schemas.Dispositions{schemas.Scored: 4}, Cut: schemas.Cut{Depth: 2, Stack: 2, Score: 10e7, InsideTie: true, TiedIn: 1, TiedOut: 1},
			Previous: &schemas.ManifestRef{NightID: schemas.NightID{AsOf: asOf, Revision: 1}}, Changes: &schemas.ChangeCount{Entered: 1, Moved: 1}},
		Model: schemas.Model{WindowDays: 365, Depth: 2}, Stack: rows[:2], Distribution: d,
		Changes: []schemas.Change{{SuspectID: "A", Kind: schemas.ChangeEntered, Position: new(int64(1))},
			{SuspectID: "B", Kind: schemas.ChangeMoved, Position: new(int64(2)), Previous: new(int64(1))}},
		Contributions: []schemas.Contribution{{SuspectID: "A", VictimID: new("v"), Offence: "Rape", HarmDays: 182.5},
			{SuspectID: "B", VictimID: new("v"), Offence: "Harassment", HarmDays: 1}, {SuspectID: "B", VictimID: new("v"), Offence: "Stalking", HarmDays: 9}},
	}))
	for _, s := range []string{
		"1 victim, counted once", "96.2% of all alleged harm", // 192.5 of 200 days, half to even
		"newest report that counts is 2 days old", "1 suspect is also recorded as a victim (position 1)", "1 suspect is there on one allegation alone (position 1)",
		"1 suspect is there on non-recent allegations only", "1 suspect is owned by no borough", "1 suspect is in custody (position 1)",
		"1 new A 100.0 182.5 (1) 182.5 1 (1) 1 28 Jun 2026 Central desk in custody also a victim non-recent 1 of 1",
		"2 down 1 B 10.0 10 (2) 9 2 (2) 1 1 Jun 2026 Barnet North West tie of 2 1 other borough",
		"2 of the 2 would also be among the first 2 by the plain sum", "share their score with another 2", "The largest tie 2",
		"Rape 1 94.8%", "Stalking 1 4.7%", "Harassment 1 0.52%", "10 to 20 2", "20 to 50 0", "100 to 200 1",
		"the stack (66.7%) 2 96.2%", "the first 50% 2 96.2%", "the first 1% 1 91.2%",
		"Central desk 1 1 182", "Barnet North West 1 2 17", "in the last 7 days 1 33.3%", "7 to 29 days before 1", "180 days before or more 1", "Age of the newest report, days 2",
		"scored counted for a suspect 4 100%", "cleared no crime, or acquitted 0 0%",
	} {
		if !strings.Contains(page, s) {
			t.Errorf("the page does not say %q", s)
		}
	}
}

// What became null because nobody could read it stands among what to look at, by column, and so does a column that is
// absent.
func TestWriteTellsWhatCouldNotBeRead(t *testing.T) {
	p, _ := sample(t, 200)
	p.Manifest.Facts.OutOfRange = nil
	if page := visible(t, write(t, p)); strings.Contains(page, "taken as null") || strings.Contains(page, "has no column") {
		t.Error("it tells of values that there are not")
	}
	p.Manifest.Facts.Unreadable = map[string]int64{"suspect_age": 1200, "domestic_abuse": 1}
	p.Manifest.Facts.OutOfRange = map[string]int64{"suspect_age": 34, "handling": 2}
	p.Manifest.Form = &schemas.ExtractForm{Columns: map[string]string{"suspect_age": "text", "suspect_status": schemas.FormAbsent, "offence_urn": schemas.FormAbsent}}
	page := visible(t, write(t, p))
	for _, s := range []string{"Could not be read, and taken as null: 1,234 values of suspect_age.", "Could not be read, and taken as null: 1 value of domestic_abuse.",
		"Could not be read, and taken as restricted: 2 values of handling.",
		"The extract has no column suspect_status: nobody was left out as deceased."} {
		if !strings.Contains(page, s) {
			t.Errorf("the page does not say %q", s)
		}
	}
	if strings.Contains(page, "has no column offence_urn") {
		t.Error("it tells of a column that no rule needs")
	}
}

// A trial says so, and who started a night by hand is named with how that is known.
func TestWriteSaysHowFarPeopleAreKnown(t *testing.T) {
	p, _ := sample(t, 2_000)
	by := func(way, verified string) *schemas.StartedBy {
		return &schemas.StartedBy{Way: way, Name: "A. Nalyst", Verified: verified}
	}
	for _, c := range []struct {
		scenario, identity string
		by                 *schemas.StartedBy
		says, saysNot      string
	}{
		{"a trial", schemas.IdentityClaimed, nil, "nobody verifies it", "started by hand"},
		{"a night of the schedule", schemas.IdentityRequired, by(schemas.WaySchedule, schemas.BySystem), "<title>", "started by hand"},
		{"a night through the desk", schemas.IdentityRequired, by(schemas.WayPerson, schemas.ByDesk), "started by hand: by A. Nalyst, verified.", "no real data"},
		{"one from the web UI", schemas.IdentityRequired, by(schemas.WayPerson, schemas.ByClaim), "by A. Nalyst, which nobody has verified.", "no real data"},
		{"one that was reset", schemas.IdentityRequired, by(schemas.WayReset, schemas.ByServer), "by a reset by A. Nalyst, verified.", "no real data"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			p.Manifest.Identity, p.Manifest.StartedBy = c.identity, c.by
			var b bytes.Buffer
			if err := Write(&b, p); err != nil {
				t.Fatal(err)
			}
			if page := b.String(); !strings.Contains(page, c.says) || strings.Contains(page, c.saysNot) {
				t.Errorf("says %q: %t, says %q: %t", c.says, strings.Contains(page, c.says), c.saysNot, strings.Contains(page, c.saysNot))
			}
		})
	}
}

// What could be somebody else's place, or be read otherwise, stands among what to look at; whoever is restricted is a
// number.
func TestWriteTellsWhatToLookAt(t *testing.T) {
	p, _ := sample(t, 2_000)
	p.Manifest.Checks = nil
	hidden := p.Stack[4].SuspectID
	p.Stack[4].Restricted, p.Stack[6].AgesDisagree, p.Stack[7].Withdrawn = true, true, 1
	for _, i := range []int{2, 9} {
		p.Stack[i].Lane, p.Stack[i].SuspectStatus = schemas.LaneContained, new("in_custody")
	}
	p.Manifest.Cut.Contained = 2
	p.Models = 10
	for i, r := range p.Stack[:60] {
		s := schemas.Standing{SuspectID: r.SuspectID, Position: r.Position, Models: 10, Standing: schemas.Core}
		if i == 0 {
			s.Models, s.Standing = 3, schemas.Fringe
		}
		p.Standings = append(p.Standings, s)
	}
	left := schemas.Change{SuspectID: "HIDDEN", Kind: schemas.ChangeLeft, Reason: new(schemas.LeftOutranked), Previous: new(int64(3)), PreviousDays: new(9.0), Restricted: true}
	p.Changes = append(p.Changes, left)
	p.Manifest.Dispositions[schemas.VictimSexUnknown], p.Manifest.Dispositions[schemas.UnscoredOffence] = 7, 90
	f := &p.Manifest.Facts
	f.OlderStands, f.URNContradicts, f.UnknownBoroughs, f.Placeholders = 1, 4, 1, map[string]int64{"suspect_id": 1, "victim_id": 12}
	f.BlindSpot.ByCode = []schemas.LeftOut{
		{Reason: "unscored_offence", Of: "005/28", Rows: 40}, {Reason: "unscored_offence", Of: "008/74", Rows: 30}, {Reason: "unscored_offence", Of: "008/78", Rows: 11},
		{Reason: "unscored_offence", Of: "088/14", Rows: 9}, {Reason: "victim_sex_unknown", Of: "019/08", Rows: 7, Tenths: 127_750}}
	f.BlindSpot.ByBorough = []schemas.LeftOut{{Reason: "unscored_offence", Of: "not given", Rows: 90}, {Reason: "victim_sex_unknown", Of: "Hackney", Rows: 7, Tenths: 127_750}}
	old := visible(t, write(t, p))
	if want := "nobody says 7 12,775 victim_sex"; !strings.Contains(old, want) || strings.Contains(old, "Would enter") {
		t.Errorf("the page of a night that did not ask who would enter does not say %q, or tells who", want)
	}
	f.BlindSpot.Enter = []schemas.WouldEnter{{Reason: "victim_sex_unknown", Suspects: 1_203}, {Reason: "unscored_offence"}, {Reason: "police_detected", NotCounted: "a score does not fit 64 bits"}}
	page := visible(t, write(t, p))
	for _, s := range []string{
		"57 suspects are core: among the first 100 under all of 10 other models", "41 suspects are fringe", "98 suspects on the stack",
		"2 suspects are in custody (positions 3 and 10). They stand beside the stack", "1 suspect is of ages that cannot be one person’s (position 7)",
		"1 suspect is accused by a victim who no longer supports the case (position 8)", "1 suspect is of restricted handling: counted, and not shown here. Nobody is told",
		"How many would enter the stack if rows of police_detected counted could not be found: a score does not fit 64 bits.",
		"7 rows would count if the victim were female, and nobody says: 019/08 (7 rows).", "1 row stands as it was before its latest version", "4 scored rows have a URN",
		"1 scored row is in a place that is none of the boroughs", "1 placeholder stands in suspect_id", "12 placeholders stand in victim_id (such as UNKNOWN) and are nobody",
		"90 rows may describe violence against women and girls, but the tables give no single weight: 005/28 (40 rows), 008/74 (30 rows), 008/78 (11 rows) and 1 other code.",
		"fringe: 3 of 10 models", "fringe: 0 of 10 models", "victim sex unknown it would be violence against women and girls if the victim were female; nobody says 7 12,775 1,203 victim_sex 019/08 (7 rows) Hackney (7 rows)",
		"no single weight follows from the tables 90 – 0 offence_class",
	} {
		if !strings.Contains(page, s) {
			t.Errorf("the page does not say %q", s)
		}
	}
	if strings.Contains(page, hidden) || strings.Contains(page, "HIDDEN") {
		t.Error("the page names somebody of restricted handling")
	}
}

func TestWriteSaysHowAModelCounts(t *testing.T) {
	for name, want := range map[string]string{
		"rfs-v1": "by how recent it is (half after 180 days) and the whole by how many there are.",
		"rfs-v2": "by how recent it is (half after 180 days), and each further one of a suspect counts more than the one before it.",
	} {
		model, err := schemas.LoadModel(name)
		if err != nil {
			t.Fatal(err)
		}
		if page := visible(t, write(t, Page{Model: model})); !strings.Contains(page, want) {
			t.Errorf("%s: the page does not say %q", name, want)
		}
	}
}

// Restricted suspects are counted and not shown, on this stack and among those who left the one before.
func TestWriteHidesTheRestricted(t *testing.T) {
	p, _ := sample(t, 200)
	left := p.Changes[len(p.Changes)-1].SuspectID
	before := visible(t, write(t, p))
	for _, id := range []string{p.Stack[0].SuspectID, p.Stack[41].SuspectID, left} {
		if !strings.Contains(before, id) {
			t.Fatalf("%s is not shown without being restricted either", id)
		}
	}
	if strings.Contains(before, "restricted handling") {
		t.Error("it tells of restricted suspects that there are not")
	}
	p.Stack = slices.Clone(p.Stack)
	p.Stack[0].Restricted, p.Stack[41].Restricted = true, true
	p.Stack[0].AlsoVictim = true
	p.Changes = slices.Clone(p.Changes)
	p.Changes[len(p.Changes)-1].Restricted = true
	for desk, want := range map[bool]string{true: "The desk for them alone is told.", false: "Nobody is told: the teams’ file names no desk for them (restricted)."} {
		p.RestrictedDesk = desk
		page := visible(t, write(t, p))
		if !strings.Contains(page, "2 suspects are of restricted handling: counted, and not shown here. "+want) {
			t.Errorf("the page does not say %q", want)
		}
		for _, id := range []string{p.Stack[0].SuspectID, p.Stack[41].SuspectID, left} {
			if strings.Contains(page, id) {
				t.Errorf("%s is shown", id)
			}
		}
		if !strings.Contains(page, "100 suspects on the stack") || strings.Contains(page, "position 1)") || strings.Contains(page, "positions 1,") {
			t.Error("the counts, or the positions, are others")
		}
	}
}

func TestWriteEscapes(t *testing.T) {
	p, rows := sample(t, 200)
	const hostile = `"><script>alert(1)</script>&amp;'`
	rows[0].SuspectID, rows[0].OwnerBorough, rows[0].OwnerBCU = hostile, new(hostile), new(hostile)
	p.Contributions[0].Offence = hostile
	p.Changes[len(p.Changes)-1].SuspectID, p.Changes[len(p.Changes)-1].Reason = hostile, new(hostile)
	p.Manifest.Model.Name, p.Manifest.Inputs[0].SHA256 = hostile, hostile
	p.Manifest.Facts.QuarantineReasons[hostile] = 5
	var err error
	if p.Distribution, err = collect(p.Manifest.AsOf, 200, 100, rows); err != nil {
		t.Fatal(err)
	}
	page := write(t, p)
	if strings.Contains(page, "<script") {
		t.Error("a value became a tag")
	}
	if n := strings.Count(visible(t, page), hostile); n < 9 {
		t.Errorf("the values are shown as they are %d times", n)
	}
}

func TestCollect(t *testing.T) {
	asOf := schemas.MustDate("2026-06-30")
	rows := make([]schemas.Ranked, 1500)
	for i := range rows {
		rows[i] = schemas.Ranked{Position: int64(i + 1), TieSize: 1, SumDays: 0.1, Score: 1, LastReported: asOf.Start().UnixMicro()}
	}
	d, err := collect(asOf, 1500, 10, rows)
	if err != nil {
		t.Fatal(err)
	}
	// 0.1 days each, summed in whole tenths: the first k thousandths are the first floor of 1.5 k, but at least those.
	if d.HarmTenths != 1500 || d.Held[0] != 0 || d.Held[1] != 2 || d.Held[2] != 3 || d.Held[500] != 750 || d.Held[1000] != 1500 || len(d.Head) != 20 || d.NewestAge != 0 {
		t.Errorf("%d, %v, %d", d.HarmTenths, d.Held[:3], len(d.Head))
	}
	for _, c := range []struct {
		scenario string
		suspects int64
		rows     []schemas.Ranked
		want     string
	}{
		{"one is missing", 3, rows[:2], "it holds 2 suspects, it should hold 3"},
		{"one too many", 1, rows[:2], "it holds 2 suspects, it should hold 1"},
		{"nobody", 0, nil, "it holds 0 suspects"},
		{"a gap", 2, []schemas.Ranked{rows[0], rows[2]}, "position 3 comes where 2 belongs"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			if _, err := collect(asOf, c.suspects, 10, c.rows); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
		})
	}
}

// A score on an edge belongs to the bin that begins there.
func TestScoreBins(t *testing.T) {
	for _, c := range []struct {
		score    int64
		from, to float64
	}{
		{0, 0, 0.01}, {99_999, 0, 0.01}, {100_000, 0.01, 0.02}, {9_999_999, 0.5, 1}, {10_000_000, 1, 2}, {20_000_000, 2, 5}, {49_999_999, 2, 5}, {50_000_000, 5, 10},
		{math.MaxInt64, 5e11, math.Inf(1)},
	} {
		d, err := collect(schemas.MustDate("2026-06-30"), 1, 1, []schemas.Ranked{{Position: 1, Score: c.score}})
		if err != nil || len(d.Scores) != 1 || d.Scores[0] != (Bin{c.from, c.to, 1}) {
			t.Errorf("%d: %v, %v", c.score, d.Scores, err)
		}
		page := write(t, Page{Distribution: d, Manifest: schemas.Manifest{Cut: schemas.Cut{Score: c.score}}})
		if strings.Contains(page, "NaN") || strings.Contains(page, "Inf") {
			t.Errorf("%d: the chart holds a figure that is none", c.score)
		}
	}
}

// Person links are told of where there are some: how many, how many rows they changed, their hash, and who was merged.
func TestWriteTellsOfPersonLinks(t *testing.T) {
	p, _ := sample(t, 200)
	without := visible(t, write(t, p))
	p.Manifest.Facts.Links = &schemas.LinkFacts{Links: 1234, RowsChanged: 56}
	p.Manifest.Inputs = append(p.Manifest.Inputs, schemas.ArtifactRef{URI: "/secret/place/merged.csv", SHA256: "fe98", Rows: 1300, Schema: schemas.PersonLinkSchema})
	p.Changes = append(p.Changes, schemas.Change{SuspectID: "OLD", Kind: schemas.ChangeLeft, Reason: new(schemas.LeftMerged), Previous: new(int64(77)), PreviousDays: new(5.0)})
	page := visible(t, write(t, p))
	for _, s := range []string{"Person links of merged ids 1,234", "Rows of which they replaced an id 56", "person links, 1,300 rows fe98", "merged the id was merged into another, which stands for both now 1"} {
		if !strings.Contains(page, s) {
			t.Errorf("the page does not say %q", s)
		}
		if strings.Contains(without, s) || strings.Contains(without, "merged into another") {
			t.Errorf("without links it says %q", s)
		}
	}
}
