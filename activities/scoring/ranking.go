package scoring

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"maps"
	"math"
	"slices"
	"sync"
	"unsafe"

	"harmstack/schemas"
	"harmstack/schemas/reference"
)

// ranking puts suspects in order (section 6, rank): those an engine scored, or those a Ranker is given.
type ranking struct {
	vocabulary *vocabulary
	model      schemas.Model
	slabs      [][]byte
	entries    [][]entry // as they came; then, sorted, range by range
	sums       map[int64]int64
	tops       []top
	sorted     bool
}

// entry is what the order needs of a suspect, without pointers; the rest is encoded in a slab.
type entry struct {
	score, victims, allegations, lastReported int64
	slab, at                                  uint32
	ties                                      int64 // suspects of the same score; set when sorted
}

// ranked is what one goroutine hands to the ranking.
type ranked struct {
	slabs   [][]byte
	entries [][]entry
	sums    map[int64]int64 // suspects by plain sum
	tops    tops
}

const (
	suspectSlab   = 1 << 20
	entriesAtOnce = 16 << 10
)

func newRanking(v *vocabulary, m schemas.Model) *ranking {
	return &ranking{vocabulary: v, model: m, sums: map[int64]int64{}}
}

// Offsets in an encoded suspect.
const (
	atSum        = 0
	atMost       = 8
	atReports    = 16
	atFirst      = 24
	atAbuse      = 32
	atNonRecent  = 40
	atOwner      = 48
	atStatus     = 52
	atAlsoVictim = 53
	atPlaces     = 54 // how many boroughs; they and the id follow
	suspectHead  = atPlaces + 4 + 4
)

// add takes a suspect and its rows; what is kept of them is copied.
func (r *ranking) add(to *ranked, s *suspect, rows []allegation) {
	n := suspectHead + 4*len(s.boroughs) + len(s.id)
	last := len(to.slabs) - 1
	if last < 0 || len(to.slabs[last])+n > cap(to.slabs[last]) {
		to.slabs = append(to.slabs, make([]byte, 0, max(suspectSlab, n)))
		last++
	}
	at := len(to.slabs[last])
	to.slabs[last] = to.slabs[last][:at+n]
	rec := to.slabs[last][at : at+n : at+n]
	le := binary.LittleEndian
	for i, v := range [6]int64{s.sum, s.most, s.reports, s.firstReported, s.domesticAbuse, s.nonRecent} {
		le.PutUint64(rec[8*i:], uint64(v))
	}
	le.PutUint32(rec[atOwner:], s.owner)
	rec[atStatus], rec[atAlsoVictim] = s.status, 0
	if s.alsoVictim {
		rec[atAlsoVictim] = 1
	}
	le.PutUint32(rec[atPlaces:], uint32(len(s.boroughs)))
	le.PutUint32(rec[atPlaces+4:], uint32(len(s.id)))
	for i, b := range s.boroughs {
		le.PutUint32(rec[suspectHead+4*i:], b)
	}
	copy(rec[n-len(s.id):], s.id)

	if k := len(to.entries) - 1; k < 0 || len(to.entries[k]) == entriesAtOnce {
		to.entries = append(to.entries, make([]entry, 0, entriesAtOnce))
	}
	k := len(to.entries) - 1
	to.entries[k] = append(to.entries[k], entry{s.score, s.victims, s.allegations, s.lastReported, uint32(last), uint32(at), 0})
	if to.sums == nil {
		to.sums = map[int64]int64{}
	}
	to.sums[s.sum]++
	if s.allegations >= r.model.MinimumAllegations {
		to.tops.offer(int(r.model.Depth), s, rows)
	}
}

// take collects what one goroutine ranked.
func (r *ranking) take(from *ranked) {
	shift := uint32(len(r.slabs))
	for _, list := range from.entries {
		for i := range list {
			list[i].slab += shift
		}
	}
	r.slabs = append(r.slabs, from.slabs...)
	r.entries = append(r.entries, from.entries...)
	for sum, n := range from.sums {
		r.sums[sum] += n
	}
	r.tops = append(r.tops, from.tops...)
	*from = ranked{}
}

func (r *ranking) suspects() (n int64) {
	for _, list := range r.entries {
		n += int64(len(list))
	}
	return n
}

// id is the suspect's id.
func (r *ranking) id(e *entry) []byte {
	rec := r.slabs[e.slab][e.at:]
	from := suspectHead + 4*int(binary.LittleEndian.Uint32(rec[atPlaces:]))
	return rec[from : from+int(binary.LittleEndian.Uint32(rec[atPlaces+4:]))]
}

// before is the order of the ranking.
func (r *ranking) before(a, b *entry) int {
	if c := cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(b.victims, a.victims),
		cmp.Compare(b.allegations, a.allegations), cmp.Compare(b.lastReported, a.lastReported)); c != 0 {
		return c
	}
	return bytes.Compare(r.id(a), r.id(b))
}

// sort settles order, ties and the ranks by sum. The suspects are exchanged into ranges, cut at the
// quantiles of a sample, and each range is sorted alone: the order does not depend on where the cuts fall.
func (r *ranking) sort() {
	if r.sorted {
		return
	}
	r.sorted = true
	cuts := r.cuts()
	ranges := make([][]entry, len(cuts)+1)
	for i := range ranges {
		ranges[i] = make([]entry, 0, min(int(r.suspects()), rangeSuspects*5/4))
	}
	for i, list := range r.entries {
		for _, e := range list {
			at, _ := slices.BinarySearchFunc(cuts, e, func(c, e entry) int { return r.before(&c, &e) })
			ranges[at] = append(ranges[at], e)
		}
		r.entries[i] = nil
	}
	r.entries = ranges
	var wg sync.WaitGroup
	turn := make(chan struct{}, Threads())
	for _, list := range ranges {
		turn <- struct{}{}
		wg.Go(func() {
			slices.SortFunc(list, func(a, b entry) int { return r.before(&a, &b) })
			<-turn
		})
	}
	wg.Wait()
	r.countTies()
	r.rankSums()
}

const (
	rangeSuspects = 64 << 10 // about how many suspects a range holds
	oversampling  = 32
)

// cuts are entries that divide the suspects into ranges of about equal size.
func (r *ranking) cuts() []entry {
	want := int(r.suspects() / rangeSuspects)
	if want == 0 {
		return nil
	}
	var sample []entry
	step := max(1, int(r.suspects())/(want*oversampling))
	n := 0
	for _, list := range r.entries {
		for i := range list {
			if n++; n%step == 0 {
				sample = append(sample, list[i])
			}
		}
	}
	slices.SortFunc(sample, func(a, b entry) int { return r.before(&a, &b) })
	cuts := make([]entry, 0, want)
	for i := 1; i <= want; i++ {
		cuts = append(cuts, sample[i*(len(sample)-1)/(want+1)])
	}
	return cuts
}

// all visits the suspects in order.
func (r *ranking) all(visit func(i int64, e *entry) bool) {
	i := int64(0)
	for _, list := range r.entries {
		for k := range list {
			if !visit(i, &list[k]) {
				return
			}
			i++
		}
	}
}

// countTies tells every suspect how many have the same score. A run may go on in the next range.
func (r *ranking) countTies() {
	var run []*entry
	end := func() {
		for _, e := range run {
			e.ties = int64(len(run))
		}
		run = run[:0]
	}
	r.all(func(_ int64, e *entry) bool {
		if len(run) > 0 && run[0].score != e.score {
			end()
		}
		run = append(run, e)
		return true
	})
	end()
}

// rankSums turns the counts by plain sum into competition ranks.
func (r *ranking) rankSums() {
	rank := int64(1)
	for _, sum := range slices.Backward(slices.Sorted(maps.Keys(r.sums))) {
		n := r.sums[sum]
		r.sums[sum] = rank
		rank += n
	}
}

// placed is a suspect of the stack at its position, with the rows that count.
type placed struct {
	position int64
	rows     []allegation
}

// stack cuts the first suspects off and describes the edge.
func (r *ranking) stack() ([]placed, schemas.Cut) {
	r.sort()
	rows := map[string][]allegation{}
	for _, t := range r.tops {
		rows[string(t.id)] = t.rows
	}
	r.tops = nil
	cut := schemas.Cut{Depth: r.model.Depth}
	var stack []placed
	r.all(func(i int64, e *entry) bool {
		if e.allegations < r.model.MinimumAllegations {
			return true
		}
		if cut.Stack == cut.Depth {
			if e.score == cut.Score {
				cut.TiedOut++
			}
			return e.score == cut.Score
		}
		if e.score != cut.Score {
			cut.Score, cut.TiedIn = e.score, 0
		}
		cut.Stack++
		cut.TiedIn++
		stack = append(stack, placed{i + 1, rows[string(r.id(e))]})
		return true
	})
	cut.InsideTie = cut.TiedOut > 0
	return stack, cut
}

// batchRows is how many rows a yield hands over.
const batchRows = 8 << 10

// Ranking yields all suspects by position, some thousands at a time. The slice is used again after the
// call; the texts in it stay.
func (s *Scores) Ranking(ctx context.Context, yield func([]schemas.Ranked) error) error {
	return s.ranking.ranking(ctx, yield)
}

func (r *ranking) ranking(ctx context.Context, yield func([]schemas.Ranked) error) error {
	rank, score := int64(0), int64(math.MinInt64)
	return each(ctx, r, yield, func(i int64, e *entry, s *schemas.Suspect, row *schemas.Ranked) {
		if e.score != score {
			rank, score = i+1, e.score
		}
		*row = schemas.Ranked{
			Position: i + 1, Rank: rank, TieSize: e.ties, SuspectID: s.SuspectID, Score: s.Score,
			ScoreDays: float64(s.Score) / schemas.ScorePerDay, SumDays: float64(s.SumTenths) / schemas.TenthsPerDay,
			MaxDays: float64(s.MaxTenths) / schemas.TenthsPerDay, SumRank: r.sums[s.SumTenths],
			Allegations: s.Allegations, Reports: s.Reports, Victims: s.Victims,
			FirstReported: s.FirstReported, LastReported: s.LastReported, OwnerBorough: s.OwnerBorough, Boroughs: s.Boroughs,
			DomesticAbuse: s.DomesticAbuse, NonRecent: s.NonRecent, AlsoVictim: s.AlsoVictim, SuspectStatus: s.SuspectStatus,
		}
		if owner := r.owner(e); owner != 0 {
			row.OwnerBCU = &r.vocabulary.borough(owner).bcu
		}
	})
}

// SuspectRows yields all suspects for a rank stage of its own, in an order that is the same for the same
// extract. The slice is used again after the call; the texts in it stay.
func (s *Scores) SuspectRows(ctx context.Context, yield func([]schemas.Suspect) error) error {
	return each(ctx, s.ranking, yield, func(_ int64, _ *entry, s, row *schemas.Suspect) { *row = *s })
}

// each decodes the suspects in order, turns each into a row and yields the rows in batches.
func each[T any](ctx context.Context, r *ranking, yield func([]T) error, fill func(i int64, e *entry, s *schemas.Suspect, row *T)) (err error) {
	r.sort()
	batch := make([]T, 0, min(batchRows, r.suspects()))
	var names []string
	flush := func() bool {
		if err = ctx.Err(); err == nil && len(batch) > 0 {
			err = yield(batch)
		}
		batch, names = batch[:0], nil
		return err == nil
	}
	var s schemas.Suspect
	r.all(func(i int64, e *entry) bool {
		names = r.decode(e, &s, names)
		batch = batch[:len(batch)+1]
		fill(i, e, &s, &batch[len(batch)-1])
		return len(batch) < cap(batch) || flush()
	})
	if err == nil {
		flush()
	}
	return err
}

func (r *ranking) owner(e *entry) uint32 {
	return binary.LittleEndian.Uint32(r.slabs[e.slab][e.at+atOwner:])
}

// decode reads an encoded suspect. The boroughs' names are put behind those of the batch.
func (r *ranking) decode(e *entry, s *schemas.Suspect, names []string) []string {
	rec := r.slabs[e.slab][e.at:]
	le := binary.LittleEndian
	*s = schemas.Suspect{
		SuspectID: text(r.id(e)), Score: e.score, Allegations: e.allegations, Victims: e.victims, LastReported: e.lastReported,
		SumTenths: int64(le.Uint64(rec[atSum:])), MaxTenths: int64(le.Uint64(rec[atMost:])), Reports: int64(le.Uint64(rec[atReports:])),
		FirstReported: int64(le.Uint64(rec[atFirst:])), DomesticAbuse: int64(le.Uint64(rec[atAbuse:])), NonRecent: int64(le.Uint64(rec[atNonRecent:])),
		AlsoVictim: rec[atAlsoVictim] == 1, SuspectStatus: statusText(rec[atStatus]),
	}
	if owner := le.Uint32(rec[atOwner:]); owner != 0 {
		s.OwnerBorough = &r.vocabulary.borough(owner).name
	}
	n := int(le.Uint32(rec[atPlaces:]))
	if cap(names)-len(names) < n {
		names = make([]string, 0, max(n, 2*batchRows))
	}
	from := len(names)
	for i := range n {
		names = append(names, r.vocabulary.borough(le.Uint32(rec[suspectHead+4*i:])).name)
	}
	s.Boroughs = names[from:len(names):len(names)]
	return names
}

func statusText(position uint8) *string {
	if position == 0 {
		return nil
	}
	return &schemas.Offences[schemas.SuspectStatus].Enum[position-1]
}

// text looks at bytes as a string without copying them.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// Ranker is the rank stage alone: it is given scored suspects and puts them in order.
type Ranker struct {
	ranking *ranking
	got     ranked
}

// NewRanker returns an empty ranker.
func NewRanker(t *reference.Tables, m schemas.Model) *Ranker {
	return &Ranker{ranking: newRanking(newVocabulary(t), m)}
}

// Add takes scored suspects; what is kept of them is copied.
func (r *Ranker) Add(rows []schemas.Suspect) {
	v := r.ranking.vocabulary
	var boroughs []uint32
	for i := range rows {
		row := &rows[i]
		s := suspect{
			id: view(row.SuspectID), score: row.Score, sum: row.SumTenths, most: row.MaxTenths,
			allegations: row.Allegations, reports: row.Reports, victims: row.Victims,
			firstReported: row.FirstReported, lastReported: row.LastReported,
			domesticAbuse: row.DomesticAbuse, nonRecent: row.NonRecent, alsoVictim: row.AlsoVictim,
		}
		if row.OwnerBorough != nil {
			s.owner = v.boroughNumber(*row.OwnerBorough)
		}
		if row.SuspectStatus != nil {
			s.status = uint8(enumPosition(schemas.SuspectStatus, *row.SuspectStatus))
		}
		boroughs = boroughs[:0]
		for _, b := range row.Boroughs {
			boroughs = append(boroughs, v.boroughNumber(b))
		}
		s.boroughs = boroughs
		r.ranking.add(&r.got, &s, nil)
	}
}

// Ranking yields all suspects by position, as Scores.Ranking does.
func (r *Ranker) Ranking(ctx context.Context, yield func([]schemas.Ranked) error) error {
	r.ranking.take(&r.got)
	return r.ranking.ranking(ctx, yield)
}
