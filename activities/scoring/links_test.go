package scoring

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v16/arrow/memory"

	"harmstack/activities/store/spill"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/schemas/reference"
)

// linksOf are links as "from>to", several in a text.
func linksOf(t *testing.T, pairs string) *Links {
	t.Helper()
	l, err := NewLinks(pairsOf(pairs), reference.Default())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func pairsOf(pairs string) (rows []schemas.PersonLink) {
	for _, p := range strings.Split(pairs, ",") {
		from, to, _ := strings.Cut(p, ">")
		rows = append(rows, schemas.PersonLink{PersonID: from, SameAs: to})
	}
	return rows
}

// linked scores rows under the model whose sums are easiest to work out: all, by 10 % more for each further one.
func linked(t *testing.T, links *Links, rows []schemas.Offence, l layout) *Scores {
	t.Helper()
	o := options(t)
	var err error
	if o.Model, err = schemas.LoadModel("rfs-v1"); err != nil {
		t.Fatal(err)
	}
	o.Links = links
	s, err := feed(t, o, rows, l)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// layouts are ways of reading the same rows: text columns as they stand and as dictionaries, with and without a
// prescan.
var layouts = []layout{
	plain,
	{threads: 2, batchRows: 3, dict: func(int) bool { return true }, prescans: true},
	{threads: 1, batchRows: 1000, dict: func(c int) bool { return c == schemas.SuspectID }, prescans: true},
}

// A suspect's rows are those of all ids that were merged into theirs, however long the chain. Worked out on paper: a rape
// of today is 18,250 tenths of a day.
func TestMergedSuspects(t *testing.T) {
	a, b, c, d, e := rape("1", "A"), rape("2", "B"), rape("3", "C"), rape("4", "D"), rape("5", "E")
	one, two, three := int64(18_250_000_000), int64(2*18_250_000_000*11/10), int64(3*18_250_000_000*12/10)
	five := int64(5 * 18_250_000_000 * 14 / 10)
	padded := with(a, func(o *schemas.Offence) { o.SuspectID = ptr("\u00a0A\t") })
	for _, c := range []struct {
		scenario string
		links    string
		rows     []schemas.Offence
		want     map[string]int64 // score by id
		changed  int64
	}{
		{"a link", "A>B", []schemas.Offence{a, b, c}, map[string]int64{"B": two, "C": one}, 1},
		{"a chain of two", "A>B,B>C", []schemas.Offence{a, b, c}, map[string]int64{"C": three}, 2},
		{"a chain of three, its middle first", "B>C,A>B,C>D", []schemas.Offence{a, d}, map[string]int64{"D": two}, 1},
		{"a chain of four", "A>B,B>C,C>D,D>E", []schemas.Offence{a, b, c, d, e}, map[string]int64{"E": five}, 4},
		{"two into one that has no row", "A>Z,B>Z", []schemas.Offence{a, b}, map[string]int64{"Z": two}, 2},
		{"two chains that meet", "A>C,B>C,C>D", []schemas.Offence{a, b, d}, map[string]int64{"D": three}, 2},
		{"of nobody who is there", "K>L", []schemas.Offence{a, b}, map[string]int64{"A": one, "B": one}, 0},
		{"to itself", "A>A", []schemas.Offence{a, b}, map[string]int64{"A": one, "B": one}, 0},
		{"to itself and to another", "A>A,A>B,B>B", []schemas.Offence{a, b}, map[string]int64{"B": two}, 1},
		{"given twice", "A>B,A>B", []schemas.Offence{a, b}, map[string]int64{"B": two}, 1},
		{"white space around ids", " A\t>\u00a0B ", []schemas.Offence{padded, b}, map[string]int64{"B": two}, 1},
		{"another letter case is another id", "a>B", []schemas.Offence{a, b}, map[string]int64{"A": one, "B": one}, 0},
		{"a part of an id is another id", "AA>B", []schemas.Offence{a, b}, map[string]int64{"A": one, "B": one}, 0},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			for _, l := range layouts {
				s := linked(t, linksOf(t, c.links), c.rows, l)
				got := map[string]int64{}
				for _, r := range rankingOf(t, s) {
					got[r.SuspectID] = r.Score
				}
				if !reflect.DeepEqual(got, c.want) || s.Facts.Links.RowsChanged != c.changed {
					t.Errorf("%v, %d rows changed, want %v, %d", got, s.Facts.Links.RowsChanged, c.want, c.changed)
				}
			}
		})
	}
}

// What links do beside the sum.
func TestMergedPeople(t *testing.T) {
	row := rape("1", "A")
	other := func(suspect, victim string, change func(*schemas.Offence)) schemas.Offence {
		return with(rape("2", suspect), func(o *schemas.Offence) {
			o.VictimID = &victim
			if change != nil {
				change(o)
			}
		})
	}
	first := func(do func(schemas.Ranked) any) func([]schemas.Ranked, *Scores) any {
		return func(all []schemas.Ranked, _ *Scores) any { return do(all[0]) }
	}
	victims := first(func(r schemas.Ranked) any { return r.Victims })
	also := first(func(r schemas.Ranked) any { return r.AlsoVictim })
	restricted := first(func(r schemas.Ranked) any { return r.Restricted })
	d := func(of schemas.Disposition) func([]schemas.Ranked, *Scores) any {
		return func(_ []schemas.Ranked, s *Scores) any { return s.Dispositions[of] }
	}
	changed := func(_ []schemas.Ranked, s *Scores) any { return s.Facts.Links.RowsChanged }
	quarantined := with(other("OLD", "V2", nil), func(o *schemas.Offence) { o.Outcome = ptr("lost") })
	older := with(rape("1", "OLD"), func(o *schemas.Offence) { o.UpdatedAt = at("2026-06-30T12:30:00Z") })
	for _, c := range []struct {
		scenario      string
		links         string
		rows          []schemas.Offence
		of            func([]schemas.Ranked, *Scores) any
		without, want any
	}{
		{"two victims are one", "V2>V1", []schemas.Offence{row, other("A", "V2", nil)}, victims, int64(2), int64(1)},
		{"a victim is the suspect of another row", "V9>A", []schemas.Offence{row, other("B", "V9", nil)}, also, false, true},
		{"the suspect's old id is the victim", "OLD>A", []schemas.Offence{row, other("B", "OLD", nil)}, also, false, true},
		{"a suspect known by an old id alone is the victim", "OLD>V9", []schemas.Offence{rape("1", "OLD"), other("B", "V9", func(o *schemas.Offence) {
			o.Source = ptr("intelligence")
		})}, also, false, true},
		{"dead by the old id", "OLD>A", []schemas.Offence{row, rape("3", "B"), other("OLD", "V2", func(o *schemas.Offence) { o.SuspectStatus = ptr("deceased") })},
			d(schemas.SuspectDeceased), int64(1), int64(2)},
		{"a child by the old id", "OLD>A", []schemas.Offence{row, rape("3", "B"), other("OLD", "V2", func(o *schemas.Offence) { o.SuspectAge = ptr(int32(16)) })},
			d(schemas.SuspectUnder18), int64(1), int64(2)},
		{"restricted by the old id", "OLD>A", []schemas.Offence{row, other("OLD", "V2", func(o *schemas.Offence) {
			o.Handling, o.Outcome = ptr("restricted"), ptr("no_crime")
		})}, restricted, false, true},
		{"two versions that differ in the merged id alone are one", "OLD>A", []schemas.Offence{row, rape("1", "OLD")},
			func(_ []schemas.Ranked, s *Scores) any { return s.Facts.Conflicting }, int64(1), int64(0)},
		{"a superseded row counts as changed, for links come first", "OLD>A", []schemas.Offence{row, older}, changed, nil, int64(1)},
		{"a quarantined one does not", "OLD>A,V2>V1", []schemas.Offence{row, quarantined}, changed, nil, int64(0)},
		{"one of which both ids are replaced is one", "OLD>A,V2>V1", []schemas.Offence{row, other("OLD", "V2", nil)}, changed, nil, int64(1)},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			for _, l := range layouts {
				if c.without != nil {
					s := linked(t, nil, c.rows, l)
					if got := c.of(rankingOf(t, s), s); got != c.without || s.Facts.Links != nil {
						t.Errorf("without links %v, want %v", got, c.without)
					}
				}
				s := linked(t, linksOf(t, c.links), c.rows, l)
				if got := c.of(rankingOf(t, s), s); got != c.want {
					t.Errorf("%v, want %v", got, c.want)
				}
			}
		})
	}
}

// Links that cannot be followed are refused, with how many and never which.
func TestLinksRefused(t *testing.T) {
	for _, c := range []struct {
		scenario, links, want string
	}{
		{"a cycle of two", "P1>P2,P2>P1", "1 cycle, of 2 ids in all"},
		{"a cycle of four, and what leads into it", "P1>P2,P2>P3,P3>P4,P4>P1,P5>P1,P6>P5", "1 cycle, of 4 ids in all"},
		{"two cycles", "P1>P2,P2>P1,P3>P4,P4>P5,P5>P3,P6>P7", "2 cycles, of 5 ids in all"},
		{"two targets", "P1>P2,P1>P3", "1 id has more than one target"},
		{"three targets, and two", "P1>P2,P1>P3,P1>P4,P5>P6,P5>P7,P5>P7", "2 ids have more than one target"},
		{"blanks", ">P1,P2> \u00a0,P3>\xff", "3 links lack person_id or same_as"},
		{"a placeholder as the end", "P1>UNKNOWN MALE", "1 link is from or to a placeholder"},
		{"a placeholder as the beginning", "n/k>P1,000>P2", "2 links are from or to a placeholder"},
		{"all at once", "P1>P2,P2>P1,P3>P4,P3>P5,>P6,P7>nobody-1,P8>none", "1 id has more than one target; 1 cycle, of 2 ids in all; 1 link lacks person_id or same_as; 1 link is from"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			_, err := NewLinks(pairsOf(c.links), reference.Default())
			if fault.Kind(err) != fault.PersonLinks || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("%v, want %q", err, c.want)
			}
			for n := range 9 {
				if strings.Contains(err.Error(), fmt.Sprintf("P%d", n)) {
					t.Errorf("an id is named: %v", err)
				}
			}
		})
	}
	if _, err := NewLinks(pairsOf("P1>P2,P2>P1"), reference.Default()); !strings.HasPrefix(err.Error(), "the person links cannot be followed: ") || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
	if l, err := NewLinks(nil, reference.Default()); err != nil || l.Len() != 0 || string(l.End([]byte("P1"))) != "P1" {
		t.Errorf("no links at all: %v", err)
	}
}

// The normal form is one for any order of the input.
func TestLinksInNormalForm(t *testing.T) {
	want := pairsOf("P1>P9,P10>P1,P2>P3,p2>P3")
	for seed := range uint64(20) {
		given := pairsOf("P2>P3,P1> P9,p2>P3,P10>P1,P9>P9,P2\t>P3,P1>P1")
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(given), func(i, j int) { given[i], given[j] = given[j], given[i] })
		l, err := NewLinks(given, reference.Default())
		if err != nil || !slices.Equal(l.Rows(), want) {
			t.Fatalf("%v, %v", l.Rows(), err)
		}
	}
}

// forest makes links between the ids of random, and tells each id's end by going along them one by one.
func forest(seed uint64, n int) (pairs []schemas.PersonLink, end func(id string) string) {
	r := rand.New(rand.NewPCG(seed, 7))
	next := map[string]string{}
	for i := 1; i < n; i++ { // to a lower number, so that no cycle comes about
		if r.IntN(3) > 0 {
			next[fmt.Sprintf("S%d", i)] = fmt.Sprintf("S%d", r.IntN(i))
		}
		if r.IntN(3) == 0 {
			next[fmt.Sprintf("V%d", i)] = fmt.Sprintf("%s%d", []string{"V", "S"}[r.IntN(2)], r.IntN(i))
		}
	}
	next["Élodie-1"] = "S1"
	for from, to := range next {
		pairs = append(pairs, schemas.PersonLink{PersonID: from, SameAs: to})
	}
	return pairs, func(id string) string {
		for next[id] != "" {
			id = next[id]
		}
		return id
	}
}

// Rows with links score as rows in which the ids were replaced by hand, in any layout, and in shards.
func TestLinksAgreeWithReplacedIDs(t *testing.T) {
	smallRanges(t)
	for seed := range uint64(2) {
		rows := random(seed, 1500)
		pairs, end := forest(seed, 400)
		replaced := slices.Clone(rows)
		for i := range replaced {
			for _, id := range []**string{&replaced[i].SuspectID, &replaced[i].VictimID} {
				if *id != nil {
					*id = ptr(end(schemas.TrimSpace(**id)))
				}
			}
		}
		links, err := NewLinks(pairs, reference.Default())
		if err != nil {
			t.Fatal(err)
		}
		plainly := linked(t, nil, replaced, plain)
		want := rankingOf(t, plainly)
		for _, l := range append(slices.Clone(layouts), layout{threads: 3, batchRows: 100, dict: plain.dict, memory: 1 << 20, shuffle: 3, prescans: true}) {
			s := linked(t, links, rows, l)
			same(t, rankingOf(t, s), want)
			if s.Dispositions != plainly.Dispositions || s.Facts.Conflicting != plainly.Facts.Conflicting || !reflect.DeepEqual(s.Facts.Placeholders, plainly.Facts.Placeholders) {
				t.Errorf("%v, %+v\nwant %v, %+v", s.Dispositions, s.Facts, plainly.Dispositions, plainly.Facts)
			}
			if !reflect.DeepEqual(s.Candidates, plainly.Candidates) {
				t.Error("other contributions")
			}
		}
		var changed int64
		score := func(o Options, from []schemas.Offence, received ...*bytes.Buffer) *Engine {
			e, err := New(o)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { e.Close() })
			for _, r := range received {
				if err := e.Receive(r); err != nil {
					t.Fatal(err)
				}
			}
			if from != nil {
				inBatches(t, memory.NewGoAllocator(), from, plain, func() sink { return e.NewIngester() })
			}
			changed += e.Counts().Linked
			return e
		}
		o := options(t)
		o.Model, _ = schemas.LoadModel("rfs-v1")
		withLinks := o
		withLinks.Links = links
		var scattered []*bytes.Buffer
		for _, part := range [][]schemas.Offence{rows[:700], rows[700:]} {
			var b bytes.Buffer
			if _, err := score(withLinks, part).Shuffle(&b, 0, 1); err != nil {
				t.Fatal(err)
			}
			scattered = append(scattered, &b)
		}
		s, err := score(o, nil, scattered...).Finish(t.Context(), 2)
		if err != nil {
			t.Fatal(err)
		}
		same(t, rankingOf(t, s), want)
		if one := linked(t, links, rows, plain).Facts.Links.RowsChanged; changed != one || one == 0 {
			t.Errorf("%d rows changed in shards, %d in one", changed, one)
		}
	}
}

// What links say that they take is what they take.
func TestLinksTellTheirMemory(t *testing.T) {
	const n = 100_000
	given := make([]schemas.PersonLink, n)
	for i := range given {
		given[i] = schemas.PersonLink{PersonID: fmt.Sprintf("P%011d", i), SameAs: fmt.Sprintf("P%011d", n+i/2)}
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.GC() // pools let go at the second
	runtime.ReadMemStats(&before)
	l, err := NewLinks(given, reference.Default())
	if err != nil {
		t.Fatal(err)
	}
	texts := uint64(2 * 16 * n) // the texts are those that were given
	runtime.GC()
	runtime.ReadMemStats(&after)
	took := after.HeapAlloc - before.HeapAlloc + texts
	if told := uint64(l.Bytes()); told < took*9/10 || told > took*11/10 {
		t.Errorf("it says %d bytes, and took %d", told, took)
	}
	if perLink := l.Bytes() / n; perLink > 100 {
		t.Errorf("%d bytes a link", perLink)
	}
	runtime.KeepAlive(given)
	// An engine with so little memory still scores: it spills.
	o := options(t)
	o.Links, o.Memory, o.Spill = l, l.Bytes()/2, spill.Folder(t.TempDir())
	s, err := feed(t, o, random(1, 300), plain)
	if err != nil || s.RowsRead != 300 {
		t.Errorf("%v", err)
	}
}
