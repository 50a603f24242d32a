package scoring

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/apache/arrow/go/v16/arrow/memory"

	"harmstack/schemas"
	"harmstack/schemas/sweep"
)

// engine is a new engine that is closed when the test ends.
func newEngine(t *testing.T, o Options) *Engine {
	t.Helper()
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

// inShards scores rows as several machines would, and returns the scores of each range of suspects and
// what became of all rows.
func inShards(t *testing.T, o Options, rows []schemas.Offence, shards int) (all []*Scores, d schemas.Dispositions, f schemas.Facts) {
	t.Helper()
	add := func(to *map[string]int64, counts map[string]int64) {
		for name, n := range counts {
			if *to == nil {
				*to = map[string]int64{}
			}
			(*to)[name] += n
		}
	}
	byAllegation := make([][]io.Reader, shards)
	for m := range shards {
		e := newEngine(t, o)
		part := rows[len(rows)*m/shards : len(rows)*(m+1)/shards]
		inBatches(t, memory.NewGoAllocator(), part, layout{threads: 2, batchRows: 64, dict: func(c int) bool { return c%2 == 0 }}, func() sink { return e.NewIngester() })
		for r := range shards {
			byAllegation[r] = append(byAllegation[r], shuffled(t, e, r, shards))
		}
		counts := e.Counts()
		d[schemas.Quarantined] += counts.Quarantined()
		add(&f.OutOfRange, counts.OutOfRange)
		add(&f.Placeholders, counts.Placeholders)
		add(&f.QuarantineReasons, counts.QuarantineReasons)
	}
	bySuspect := make([][]io.Reader, shards)
	for r := range shards {
		e := newEngine(t, o)
		receive(t, e, byAllegation[r])
		s, err := e.Deduplicate(t.Context(), 2)
		if err != nil {
			t.Fatal(err)
		}
		d.Add(s.Dispositions)
		f.Conflicting += s.Conflicting
		f.OlderStands += s.OlderStands
		f.BlindSpot.Add(s.BlindSpot)
		for to := range shards {
			bySuspect[to] = append(bySuspect[to], shuffled(t, e, to, shards))
		}
	}
	for r := range shards {
		e := newEngine(t, o)
		receive(t, e, bySuspect[r])
		s, err := e.Finish(t.Context(), 2)
		if err != nil {
			t.Fatal(err)
		}
		d.Add(s.Dispositions)
		f.Lowest += s.Facts.Lowest
		f.Supplement += s.Facts.Supplement
		f.UnknownBoroughs += s.Facts.UnknownBoroughs
		f.URNContradicts += s.Facts.URNContradicts
		add(&f.Resolutions, s.Facts.Resolutions)
		all = append(all, s)
	}
	return all, d, f
}

// checkShards scores rows in shards, ranks them and compares all with the slow reading.
func checkShards(t *testing.T, o Options, rows []schemas.Offence, shards int) {
	t.Helper()
	all, d, f := inShards(t, o, rows, shards)
	sums := map[int64]int64{}
	var readers []SuspectReader
	var candidates []schemas.Contribution
	for _, s := range all {
		for sum, n := range s.Sums() {
			sums[sum] += n
		}
		r := &reader{err: io.EOF}
		if err := s.SuspectRows(t.Context(), func(rows []schemas.Suspect) error {
			r.rows = append(r.rows, slices.Clone(rows)...)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		readers, candidates = append(readers, r), append(candidates, s.Candidates...)
	}
	var got []schemas.Ranked
	if err := Rank(t.Context(), o.Tables, sums, readers, func(rows []schemas.Ranked) error {
		got = append(got, rows...)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	slow(o, rows).check(t, o, d, f, got, candidates)
}

func shuffled(t *testing.T, e *Engine, shard, shards int) io.Reader {
	t.Helper()
	var b bytes.Buffer
	if _, err := e.Shuffle(&b, shard, shards); err != nil {
		t.Fatal(err)
	}
	return &b
}

func receive(t *testing.T, e *Engine, from []io.Reader) {
	t.Helper()
	for _, r := range from {
		if err := e.Receive(r); err != nil {
			t.Fatal(err)
		}
	}
}

// Any number of machines gives what one gives.
func TestShardsAgreeWithTheSlowReading(t *testing.T) {
	smallRanges(t)
	for seed, shards := range map[uint64]int{1: 1, 2: 3, 3: 8} {
		t.Run(fmt.Sprintf("%d shards", shards), func(t *testing.T) {
			checkShards(t, optionsOf(t, seed), random(seed, 2000), shards)
		})
	}
}

// What was shuffled and damaged, or cut short, is an error, and no panic.
func TestReceiveRefusesDamage(t *testing.T) {
	e := newEngine(t, options(t))
	inBatches(t, memory.NewGoAllocator(), random(1, 200), plain, func() sink { return e.NewIngester() })
	whole, err := io.ReadAll(shuffled(t, e, 0, 1))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 5, len(shuffleMagic) + 4, len(shuffleMagic) + 40, len(whole) / 2, len(whole) - 1} {
		if err := newEngine(t, options(t)).Receive(bytes.NewReader(whole[:n])); !errors.Is(err, errShuffle) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
	for at := range whole {
		if at%10 != 0 && !sweep.Whole() {
			continue
		}
		damaged := slices.Clone(whole)
		damaged[at] ^= 0x55
		e := newEngine(t, options(t))
		if e.Receive(bytes.NewReader(damaged)) == nil {
			// A text or a number that is another one: sums find that, where whole files are read.
			_, _ = e.Deduplicate(context.Background(), 1)
		}
		if at > 4000 {
			break
		}
	}
}
