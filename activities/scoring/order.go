package scoring

import (
	"context"
	"encoding/binary"
	"maps"
	"slices"
	"sync"
	"unsafe"

	"golang.org/x/sync/errgroup"

	"harmstack/activities/scoring/bucket"
	"harmstack/schemas"
)

// order holds scored suspects by ranges of the ranking, each small enough to be sorted alone. Where the
// ranges are cut follows from a sample, and what is written does not depend on it.
type order struct {
	vocabulary *vocabulary
	cuts       []sortKey // the first of each range but the first
	ranges     *bucket.Set
	counts     []int64         // suspects by range
	ties       map[int64]int64 // suspects by score, of the scores at the cuts: a tie may cross them
	sums       map[int64]int64 // suspects by plain sum
}

const maxRanges = 1 << 10

// rangeSuspects is about how many suspects a range holds; tests make it small.
var rangeSuspects int64 = 8 << 10

// newOrder returns an order for about so many suspects, of whom some are given as a sample.
func newOrder(v *vocabulary, s *bucket.Storage, sample []suspect, suspects int64) *order {
	o := &order{vocabulary: v, ties: map[int64]int64{}, sums: map[int64]int64{}}
	slices.SortFunc(sample, func(a, b suspect) int { return a.compare(&b.sortKey) })
	n := int(min(suspects/rangeSuspects, maxRanges-1, int64(len(sample))))
	for i := 1; i <= n; i++ {
		o.cuts = append(o.cuts, sample[i*len(sample)/(n+1)].sortKey)
	}
	for _, c := range o.cuts {
		o.ties[c.score] = 0
	}
	o.ranges = bucket.NewSet(s, n+1)
	o.counts = make([]int64, n+1)
	return o
}

// sorter puts suspects into the ranges of an order, for one goroutine.
type sorter struct {
	order   *order
	scatter *bucket.Scatterer
	counts  []int64
	ties    map[int64]int64
	sums    map[int64]int64
	recent  [1 << 10]recentSum // in front of sums
	scratch []byte
}

type recentSum struct{ sum, suspects int64 }

func (o *order) newSorter() *sorter {
	return &sorter{
		order:   o,
		scatter: bucket.NewScatterer(o.ranges),
		counts:  make([]int64, len(o.counts)),
		ties:    maps.Clone(o.ties),
		sums:    map[int64]int64{},
	}
}

// add copies s into its range.
func (w *sorter) add(s *suspect) error {
	cuts := w.order.cuts
	low, high := 0, len(cuts)
	for low < high {
		mid := (low + high) / 2
		if cut := &cuts[mid]; cut.score > s.score || cut.score == s.score && cut.compare(&s.sortKey) <= 0 {
			low = mid + 1
		} else {
			high = mid
		}
	}
	w.counts[low]++
	if low > 0 && cuts[low-1].score == s.score || low < len(cuts) && cuts[low].score == s.score {
		w.ties[s.score]++
	}
	// Half of the suspects share a few sums.
	if recent := &w.recent[uint64(s.sum)%uint64(len(w.recent))]; recent.sum == s.sum {
		recent.suspects++
	} else {
		w.sums[recent.sum] += recent.suspects
		*recent = recentSum{s.sum, 1}
	}
	w.scratch = s.encode(w.scratch[:0])
	rec, err := w.scatter.Record(low, len(w.scratch))
	if err != nil {
		return err
	}
	copy(rec, w.scratch)
	return nil
}

// close adds what the sorter counted to the order. Sorters are closed one after the other.
func (w *sorter) close() error {
	for i, n := range w.counts {
		w.order.counts[i] += n
	}
	for score, n := range w.ties {
		w.order.ties[score] += n
	}
	for _, r := range w.recent {
		w.sums[r.sum] += r.suspects
	}
	for sum, n := range w.sums {
		if n > 0 {
			w.order.sums[sum] += n
		}
	}
	return w.scatter.Close()
}

func (o *order) suspects() (n int64) {
	for _, c := range o.counts {
		n += c
	}
	return n
}

// entry is a suspect in its range: what nearly always decides, without pointers, and where the rest stands.
type entry struct {
	keys    [3]uint64 // score; victims, then allegations; last report
	run, at uint32
}

func newEntry(run, at int, rec []byte) entry {
	le := binary.LittleEndian
	victims, after := getLength(rec, atSuspectCount)
	allegations, _ := getLength(rec, after)
	return entry{
		keys: [3]uint64{
			le.Uint64(rec[atScore:]),
			uint64(victims)<<32 | uint64(allegations),
			sinceMin(int64(le.Uint64(rec[atLast:]))),
		},
		run: uint32(run),
		at:  uint32(at),
	}
}

// sortByKeys puts the largest first, byte by byte from the least of the last key on: most suspects share their keys'
// high bytes with all of their range, and those cost nothing. spare is as long as the entries; it returns the one of
// the two that is in order.
func sortByKeys(entries, spare []entry) []entry {
	var differ [3]uint64
	for i := range entries {
		for k := range differ {
			differ[k] |= entries[i].keys[k] ^ entries[0].keys[k]
		}
	}
	for k := len(differ) - 1; k >= 0; k-- {
		for shift := 0; shift < 64; shift += 8 {
			if byte(differ[k]>>shift) == 0 {
				continue
			}
			var places [256]int32
			for i := range entries {
				places[byte(entries[i].keys[k]>>shift)]++
			}
			at := int32(0)
			for b := len(places) - 1; b >= 0; b-- {
				places[b], at = at, at+places[b]
			}
			for i := range entries {
				place := &places[byte(entries[i].keys[k]>>shift)]
				spare[*place] = entries[i]
				*place++
			}
			entries, spare = spare, entries
		}
	}
	return entries
}

// sorted is a range in order.
type sorted struct {
	runs    [][]byte // of encoded suspects
	entries []entry
	asked   byte
}

// askAhead is how many suspects before its own turn one is asked for.
const askAhead = 8

// ask reads a byte of an entry's suspect and leaves it at that: by the time the suspect's turn comes, memory has
// answered.
func (r *sorted) ask(e *entry) { r.asked += r.runs[e.run][e.at] }

// decode reads the suspect of an entry.
func (r *sorted) decode(e *entry, s *suspect) {
	rec := r.runs[e.run][e.at:]
	s.decode(rec[:bucket.Next(rec, 0)])
}

// idleEntries are used again from range to range.
var idleEntries sync.Pool

func entriesFor(n int64) []entry {
	if e, ok := idleEntries.Get().(*[]entry); ok && int64(cap(*e)) >= n {
		return (*e)[:0]
	}
	return make([]entry, 0, n+n/4)
}

func (o *order) sort(i int) (r sorted, err error) {
	if r.runs, err = o.ranges.Runs(i); err != nil {
		return r, err
	}
	if o.counts[i] == 0 {
		return r, nil
	}
	r.entries = entriesFor(o.counts[i])
	for run, records := range r.runs {
		for at := 0; at < len(records); at = bucket.Next(records, at) {
			r.entries = append(r.entries, newEntry(run, at, records[at:]))
		}
	}
	spare := entriesFor(o.counts[i])[:o.counts[i]]
	if in := sortByKeys(r.entries, spare); &in[0] == &spare[0] {
		r.entries, spare = in, r.entries
	}
	idleEntries.Put(&spare)
	var x, y suspect
	for from, to := 0, 0; from < len(r.entries); from = to {
		for to = from + 1; to < len(r.entries) && r.entries[to].keys == r.entries[from].keys; to++ {
		}
		if to-from > 1 {
			slices.SortFunc(r.entries[from:to], func(a, b entry) int {
				r.decode(&a, &x)
				r.decode(&b, &y)
				return x.compare(&y.sortKey)
			})
		}
	}
	return r, nil
}

// each hands over the ranges in order; the next few are sorted meanwhile.
func (o *order) each(ctx context.Context, do func(r sorted) error) error {
	g, ctx := errgroup.WithContext(ctx)
	ahead := make(chan chan sorted, Threads())
	g.Go(func() error {
		defer close(ahead)
		for i := range o.counts {
			ready := make(chan sorted, 1)
			select {
			case ahead <- ready:
			case <-ctx.Done():
				return ctx.Err()
			}
			g.Go(func() error {
				r, err := o.sort(i)
				if err == nil {
					ready <- r
				}
				return err
			})
		}
		return nil
	})
	g.Go(func() error {
		for ready := range ahead {
			select {
			case r := <-ready:
				if err := do(r); err != nil {
					return err
				}
				idleEntries.Put(&r.entries)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	return g.Wait()
}

// batchRows is how many rows a yield hands over at most.
const batchRows = 8 << 10

// Ranking yields all suspects by position, some thousands at a time. The slice is used again after the
// call; the texts in it stay.
func (s *Scores) Ranking(ctx context.Context, yield func([]schemas.Ranked) error) error {
	o := s.order
	p := newRanker(s.tables, o.sums)
	return rows(ctx, o, yield, func(r *sorted, i int, s *schemas.Suspect, row *schemas.Ranked) {
		p.place(s, row, func() int64 {
			if n, ok := o.ties[s.Score]; ok {
				return n
			}
			n := i
			for n < len(r.entries) && r.entries[n].keys[0] == uint64(s.Score) {
				n++
			}
			return int64(n - i)
		})
	})
}

// SuspectRows yields all suspects in the same order for a rank stage of its own. The slice is used again
// after the call; the texts in it stay.
func (s *Scores) SuspectRows(ctx context.Context, yield func([]schemas.Suspect) error) error {
	return rows(ctx, s.order, yield, func(_ *sorted, _ int, s, row *schemas.Suspect) { *row = *s })
}

// rows decodes the suspects in order, turns each into a row and yields the rows in batches.
func rows[T any](
	ctx context.Context,
	o *order,
	yield func([]T) error,
	fill func(r *sorted, i int, s *schemas.Suspect, row *T),
) error {
	batch := make([]T, 0, min(batchRows, o.suspects()))
	var names []string
	flush := func() error {
		err := ctx.Err()
		if err == nil && len(batch) > 0 {
			err = yield(batch)
		}
		batch = batch[:0]
		return err
	}
	var s suspect
	var row schemas.Suspect
	err := o.each(ctx, func(r sorted) error {
		for i := range r.entries {
			if i+askAhead < len(r.entries) {
				r.ask(&r.entries[i+askAhead])
			}
			r.decode(&r.entries[i], &s)
			names = o.vocabulary.row(&s, names, &row)
			batch = batch[:len(batch)+1]
			fill(&r, i, &row, &batch[len(batch)-1])
			if len(batch) == cap(batch) {
				if err := flush(); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}

// text looks at bytes as a string without copying them.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
