package scoring

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v16/arrow"
	"github.com/apache/arrow/go/v16/arrow/array"
	"github.com/apache/arrow/go/v16/arrow/memory"

	"harmstack/activities/store/spill"
	"harmstack/schemas"
	"harmstack/schemas/sweep"
)

// fewNumbers leaves room for so few offences and boroughs that most rows carry their own texts.
func fewNumbers(t *testing.T, n int) {
	before := maxNumbered
	maxNumbered = n
	t.Cleanup(func() { maxNumbered = before })
}

// Whatever finds room in the vocabulary, and in those of the engines that rows are shuffled to, the result is the slow
// reading's.
func TestRowsWithoutNumbersAgreeWithTheSlowReading(t *testing.T) {
	smallRanges(t)
	for _, room := range []int{0, 3, 40} {
		for name, l := range map[string]layout{
			"plain":               {threads: 1, batchRows: 7, dict: func(int) bool { return false }},
			"dictionaries":        {threads: 2, batchRows: 100, dict: func(int) bool { return true }},
			"a prescan, spilling": {threads: 3, batchRows: 64, dict: func(c int) bool { return c%2 == 0 }, memory: 1, shuffle: 9, prescans: true},
		} {
			t.Run(fmt.Sprintf("room for %d, %s", room, name), func(t *testing.T) {
				fewNumbers(t, room)
				o, rows := options(t), random(uint64(room), 1500)
				s, err := feed(t, o, rows, l)
				if err != nil {
					t.Fatal(err)
				}
				slow(o, rows).check(t, o, s.Dispositions, s.Facts, rankingOf(t, s), s.Candidates)
			})
		}
		t.Run(fmt.Sprintf("room for %d, in shards", room), func(t *testing.T) {
			fewNumbers(t, room)
			checkShards(t, options(t), random(uint64(room), 1500), 3)
		})
	}
}

// A row's own texts come out as they were given, trimmed, in its contribution and its suspect's boroughs.
func TestTextsWithoutNumbersStay(t *testing.T) {
	fewNumbers(t, 2)
	long := strings.Repeat("far ", 100) + "away"
	var rows []schemas.Offence
	for i := range 60 {
		r := rape(fmt.Sprintf("A%02d", i), "S")
		r.Borough, r.OffenceURN = ptr(fmt.Sprintf(" place %02d ", i%40)), ptr(fmt.Sprintf("note %d\t", i))
		if i%3 == 0 {
			r.Borough, r.OffenceURN = ptr(" camden"), ptr(long)
		}
		rows = append(rows, r)
	}
	s, err := feed(t, options(t), rows, layout{threads: 1, batchRows: 9, dict: func(c int) bool { return c == schemas.OffenceURN }})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Candidates) != len(rows) {
		t.Fatalf("%d contributions", len(s.Candidates))
	}
	for _, c := range s.Candidates {
		var i int
		if _, err := fmt.Sscanf(c.AllegationID, "A%d", &i); err != nil {
			t.Fatal(err)
		}
		borough, urn := fmt.Sprintf("place %02d", i%40), fmt.Sprintf("note %d", i)
		if i%3 == 0 {
			borough, urn = "Camden", long
		}
		if *c.Borough != borough || *c.OffenceURN != urn || c.OffenceCode != "019/08" || *c.OffenceClass != "19C" {
			t.Errorf("%s: %s, %s %s %s", c.AllegationID, *c.Borough, c.OffenceCode, *c.OffenceClass, *c.OffenceURN)
		}
	}
	got := rankingOf(t, s)[0]
	want := map[string]bool{"Camden": true}
	for i := range 60 {
		if i%3 != 0 {
			want[fmt.Sprintf("place %02d", i%40)] = true
		}
	}
	if len(got.Boroughs) != len(want) || !slices.IsSorted(got.Boroughs) || slices.ContainsFunc(got.Boroughs, func(b string) bool { return !want[b] }) {
		t.Errorf("%d boroughs of %d: %v", len(got.Boroughs), len(want), got.Boroughs)
	}
	if got.OwnerBorough == nil || *got.OwnerBorough != "Camden" {
		t.Errorf("the owner is %v", got.OwnerBorough)
	}
}

// freeText feeds so many rows, the same but for what each row sets, in plain columns, and returns what of the heap was
// then in use beyond what was before.
func freeText(t *testing.T, e *Engine, rows int, set func(row int, texts map[int]string)) (held int64) {
	t.Helper()
	const batchRows = 16 << 10
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	ordinary := make([]schemas.Offence, batchRows)
	for i := range ordinary {
		ordinary[i] = rape("A", "S")
	}
	model := batch(memory.NewGoAllocator(), ordinary, func(int) bool { return false })
	defer model.Release()
	f := e.NewIngester()
	texts := map[int]string{}
	for from := 0; from < rows; from += batchRows {
		n := min(batchRows, rows-from)
		builders := map[int]*array.StringBuilder{}
		for i := range n {
			set(from+i, texts)
			for column, text := range texts {
				if builders[column] == nil {
					builders[column] = array.NewStringBuilder(memory.NewGoAllocator())
				}
				builders[column].Append(text)
			}
		}
		columns := make([]arrow.Array, schemas.OffenceColumns)
		for i := range columns {
			if b := builders[i]; b != nil {
				columns[i] = b.NewArray()
			} else {
				columns[i] = array.NewSlice(model.Column(i), 0, int64(n))
			}
		}
		if err := f.Add(array.NewRecord(model.Schema(), columns, int64(n)), int64(from)); err != nil {
			t.Fatal(err)
		}
	}
	held = heap() - before
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return held
}

// Millions of different texts where the extract should have codes or boroughs take no more memory than a few.
func TestFreeTextTakesNoMemory(t *testing.T) {
	const most = 48 << 20 // a map of five million takes ten times as much
	engine := func() *Engine {
		o := options(t)
		o.Unique, o.Memory, o.Spill = true, 16<<20, spill.Folder(t.TempDir())
		e, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { e.Close() })
		return e
	}
	t.Run("for the code", func(t *testing.T) {
		rows := 4 << 20
		if !sweep.Whole() {
			rows /= 4
		}
		e := engine()
		held := freeText(t, e, rows, func(row int, texts map[int]string) {
			texts[schemas.OffenceCode] = fmt.Sprintf("what was said, %d", row)
		})
		if held > most {
			t.Errorf("%d MiB are held", held>>20)
		}
		if n := e.Counts().QuarantineReasons["offence_code: not a Home Office code"]; n != int64(rows) {
			t.Errorf("%d of %d rows are quarantined", n, rows)
		}
	})
	t.Run("for class, number and borough", func(t *testing.T) {
		const suspects, each = 256, 1 << 10
		e := engine()
		held := freeText(t, e, suspects*each, func(row int, texts map[int]string) {
			texts[schemas.AllegationID], texts[schemas.SuspectID] = fmt.Sprintf("A%d", row), fmt.Sprintf("S%03d", row%suspects)
			texts[schemas.OffenceClass], texts[schemas.OffenceURN] = fmt.Sprintf("class %d", row), fmt.Sprintf("number %d", row)
			texts[schemas.BoroughName] = fmt.Sprintf("place %07d", row)
			texts[schemas.OffenceCode] = "008/77" // which the code alone weighs: 547.5 days
		})
		if held > most {
			t.Errorf("%d MiB are held", held>>20)
		}
		s, err := e.Finish(t.Context(), 2)
		if err != nil {
			t.Fatal(err)
		}
		ranking := rankingOf(t, s)
		if s.Dispositions[schemas.Scored] != int64(suspects*each) || len(ranking) != suspects {
			t.Fatalf("%d suspects, %v", len(ranking), s.Dispositions)
		}
		for _, r := range ranking {
			var suspect int
			if _, err := fmt.Sscanf(r.SuspectID, "S%d", &suspect); err != nil {
				t.Fatal(err)
			}
			// All reported on the night's date: each weighs 5,475 tenths whole; the first ten count 1.0 to 1.9, which is 14.5,
			// and 1,014 count double: 2,042.5.
			if r.Score != 5475*2_042_500_000 || r.Allegations != int64(each) || r.OwnerBorough != nil || len(r.Boroughs) != each {
				t.Fatalf("%s: score %d, %d allegations, %d boroughs", r.SuspectID, r.Score, r.Allegations, len(r.Boroughs))
			}
			for i, b := range r.Boroughs {
				if b != fmt.Sprintf("place %07d", i*suspects+suspect) {
					t.Fatalf("%s: borough %d is %s", r.SuspectID, i+1, b)
				}
			}
		}
		if !slices.IsSortedFunc(ranking, func(a, b schemas.Ranked) int { return cmp.Compare(a.SuspectID, b.SuspectID) }) {
			t.Error("equal suspects are not in the order of their ids")
		}
	})
}
