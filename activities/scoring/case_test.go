package scoring

import (
	"cmp"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/apache/arrow/go/v16/arrow/memory"

	"harmstack/schemas"
)

// find searches rows for people.
func find(t *testing.T, rows []schemas.Offence, l layout, people ...string) ([]schemas.Case, []schemas.Contribution) {
	t.Helper()
	positions := map[string]int64{}
	for i, id := range people {
		positions[id] = int64(i + 1)
	}
	s := NewSearch(options(t), positions)
	for _, pass := range s.Passes() {
		inBatches(t, memory.NewGoAllocator(), rows, l, func() sink { return pass.New() })
	}
	cases, contributions, err := s.Cases(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return cases, contributions
}

// What became of every row, told row by row, counts up to what the engine counts; and what it scores is what puts people
// on its stack.
func TestFatesCountAsTheNight(t *testing.T) {
	for seed := range uint64(6) {
		rows := random(seed, 2000)
		o := options(t)
		o.Model.Depth = 10_000
		s, err := feed(t, o, rows, layout{threads: 2, batchRows: 300, dict: func(c int) bool { return c%2 == 0 }, prescans: seed%2 == 0})
		if err != nil {
			t.Fatal(err)
		}
		fates, err := Fates(t.Context(), o, rows)
		if err != nil {
			t.Fatal(err)
		}
		var counts schemas.Dispositions
		older := int64(0)
		var scored []schemas.Contribution
		for _, f := range fates {
			counts[f.Disposition]++
			if f.OlderStands {
				older++
			}
			if (f.Contribution != nil) != (f.Disposition == schemas.Scored) {
				t.Fatalf("a row that is %s has a contribution: %v", f.Disposition, f.Contribution != nil)
			}
			if f.Contribution != nil {
				scored = append(scored, *f.Contribution)
			}
		}
		if counts != s.Dispositions || older != s.Facts.OlderStands {
			t.Errorf("seed %d: %v, and %d older; the engine has %v, and %d", seed, counts, older, s.Dispositions, s.Facts.OlderStands)
		}
		order := func(a, b schemas.Contribution) int { return cmp.Compare(a.AllegationID, b.AllegationID) }
		want := slices.Clone(s.Candidates)
		slices.SortFunc(want, order)
		slices.SortFunc(scored, order)
		if !reflect.DeepEqual(scored, want) {
			t.Errorf("seed %d: %d contributions, the engine has %d, or others", seed, len(scored), len(want))
		}
	}
}

// Of some people, a search finds the very rows that a look at each row finds, with what became of them in the whole
// extract, in any layout.
func TestSearch(t *testing.T) {
	plainText := func(s *string) string {
		if s == nil || !utf8.ValidString(*s) {
			return ""
		}
		return schemas.TrimSpace(*s)
	}
	for seed := range uint64(4) {
		rows := random(seed, 600)
		fates, err := Fates(t.Context(), options(t), rows)
		if err != nil {
			t.Fatal(err)
		}
		for _, people := range [][]string{{"S1"}, {"S7", "S3", "Élodie-1", "S12", "s4"}, {"V1", "S2"}, {"nobody"}} {
			var want []string
			for at, id := range people {
				for i := range rows {
					for role, column := range map[string]*string{"suspect": rows[i].SuspectID, "victim": rows[i].VictimID} {
						if plainText(column) == id {
							c := fates[i].Contribution
							base := int64(-1)
							if c != nil {
								base = c.Base * c.FrequencyPPM
							}
							want = append(want, fmt.Sprintln(at+1, id, role, i, fates[i].Disposition, fates[i].OlderStands, base))
						}
					}
				}
			}
			for _, l := range []layout{plain, {threads: 4, batchRows: 17, dict: func(c int) bool { return c%3 == 0 }}} {
				cases, contributions := find(t, rows, l, people...)
				var got []string
				scored := 0
				for i := range cases {
					c := &cases[i]
					base := int64(-1)
					if c.Base != nil {
						base = *c.Base * *c.FrequencyPPM
					}
					if c.Counted() && c.Role == schemas.RoleSuspect {
						scored++
					}
					got = append(got, fmt.Sprintln(c.Position, c.PersonID, c.Role, c.Row, c.Disposition, c.OlderStands, base))
					if !slices.IsSortedFunc(cases, compareCases) {
						t.Fatal("the cases are out of order")
					}
				}
				slices.Sort(got)
				slices.Sort(want)
				if !slices.Equal(got, want) {
					t.Errorf("seed %d, %v: %d cases, want %d, or others", seed, people, len(got), len(want))
				}
				if len(contributions) != scored {
					t.Errorf("seed %d, %v: %d contributions, %d scored", seed, people, len(contributions), scored)
				}
			}
		}
	}
}

// What makes a row what it is may stand in rows that do not name who is looked for.
func TestCasesByHand(t *testing.T) {
	is := func(o schemas.Offence, change func(*schemas.Offence)) schemas.Offence { return with(o, change) }
	victim := func(id, suspect, victim string) schemas.Offence {
		return is(rape(id, suspect), func(o *schemas.Offence) { o.VictimID = &victim })
	}
	rows := []schemas.Offence{
		0: victim("A1", "P", "V1"),
		// The counter-allegation, by somebody who is dead by a third row.
		1: victim("A2", "V1", "P"),
		2: is(rape("A3", "V1"), func(o *schemas.Offence) { o.SuspectStatus = ptr("deceased"); o.ReportedAt = at("2020-01-01T12:00:00Z") }),
		// A later version names somebody else: the row that names P is superseded.
		3: victim("A4", "P", "V2"),
		4: is(victim("A4", "Q", "V2"), func(o *schemas.Offence) { o.UpdatedAt = at("2026-07-01T13:00:00Z") }),
		// A later version that cannot be read names nobody: the older stands.
		5: is(victim("A5", " P\u00a0", "unknown"), func(o *schemas.Offence) { o.Outcome = ptr("victim_does_not_support") }),
		6: is(rape("A5", "X"), func(o *schemas.Offence) {
			o.SuspectID, o.Source, o.UpdatedAt = nil, ptr("?"), at("2026-07-01T13:00:00Z")
		}),
		// Nobody is suspected, and of its two versions the one that names P is the older.
		7: is(victim("A6", "not known", "P"), func(o *schemas.Offence) { o.SuspectID = ptr("Not  known") }),
		8: is(rape("A6", "x"), func(o *schemas.Offence) { o.SuspectID, o.UpdatedAt = nil, at("2026-07-01T13:00:00Z") }),
		// No allegation, and so quarantined.
		9: is(victim("", "P", "V3"), func(o *schemas.Offence) { o.AllegationID = nil }),
		// Others.
		10: rape("A9", "Q"),
		// Both at once; and of a child, by another row of the same suspect.
		11: victim("B1", "P", "P"),
		12: victim("B2", "C", "P"),
		13: is(rape("B3", "C"), func(o *schemas.Offence) { o.SuspectAge = ptr(int32(17)) }),
		// The same twice: the first stays.
		14: victim("B4", "P", "V4"),
		15: victim("B4", "P", "V4"),
	}
	var got []string
	cases, contributions := find(t, rows, plain, "P")
	for _, c := range cases {
		other := "-"
		if c.OtherID != nil {
			other = *c.OtherID
		}
		got = append(got, fmt.Sprintln(c.Role, c.Row, c.Disposition, other, c.OlderStands))
	}
	slices.Sort(got)
	want := "suspect 0 scored V1 false\n" +
		"suspect 11 scored P false\n" +
		"suspect 14 scored V4 false\n" +
		"suspect 15 duplicate V4 false\n" +
		"suspect 3 superseded V2 false\n" +
		"suspect 5 scored - true\n" +
		"suspect 9 quarantined V3 false\n" +
		"victim 1 suspect_deceased V1 false\n" +
		"victim 11 scored P false\n" +
		"victim 12 suspect_under_18 C false\n" +
		"victim 7 superseded - false\n"
	if all := strings.Join(got, ""); all != want {
		t.Errorf("got\n%swant\n%s", all, want)
	}
	// Four allegations of a rape today: they count 1, 1.1, 1.2 and 1.3 times, 4.6 times together.
	for i, c := range contributions {
		factor := int64(10+i) * 100_000
		if id := []string{"A1", "A5", "B1", "B4"}[i]; c.AllegationID != id || c.SuspectID != "P" || c.FrequencyPPM != factor ||
			c.Base != 18_250*1_000_000 || math.Abs(c.Share-float64(factor)/4_600_000) > 1e-12 || c.Position != 1 {
			t.Errorf("contribution %+v", c)
		}
	}
	if len(contributions) != 4 || cases[0].AllegationID != nil {
		t.Errorf("%d contributions", len(contributions))
	}
	if given := cases[slices.IndexFunc(cases, func(c schemas.Case) bool { return c.Row == 5 })]; *given.SuspectID != " P\u00a0" || given.PersonID != "P" {
		t.Errorf("the id as given is %q, the person %q", *given.SuspectID, given.PersonID)
	}
}

// Rows are found under every id of a person, and keep the id as given.
func TestCasesFollowLinks(t *testing.T) {
	o := options(t)
	var err error
	if o.Links, err = NewLinks([]schemas.PersonLink{{PersonID: "P-old", SameAs: "P"}, {PersonID: "V-old", SameAs: "V"}}, o.Tables); err != nil {
		t.Fatal(err)
	}
	rows := []schemas.Offence{
		with(rape("A1", "P-old"), func(o *schemas.Offence) { o.VictimID = ptr("V") }),
		with(rape("A2", "V-old"), func(o *schemas.Offence) { o.VictimID = ptr(" P-old") }),
		// Under another id of theirs somebody says that they are dead.
		with(rape("A3", "V"), func(o *schemas.Offence) { o.SuspectStatus = ptr("deceased") }),
	}
	s := NewSearch(o, map[string]int64{"P": 1})
	for _, pass := range s.Passes() {
		inBatches(t, memory.NewGoAllocator(), rows, plain, func() sink { return pass.New() })
	}
	cases, _, err := s.Cases(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, c := range cases {
		got += fmt.Sprintln(c.PersonID, c.Role, *c.OtherID, *c.SuspectID, *c.VictimID, c.Disposition)
	}
	if want := "P suspect V P-old V scored\nP victim V V-old  P-old suspect_deceased\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
