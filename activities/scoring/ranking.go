package scoring

import (
	"bytes"
	"cmp"
	"context"
	"math"
	"slices"
	"unsafe"

	"harmstack/schemas"
	"harmstack/schemas/reference"
)

// ranking puts suspects in order (section 6, rank): those an engine scored, or those a Ranker is given.
type ranking struct {
	vocabulary *vocabulary
	model      schemas.Model
	all        []scored
	sums       []int64 // of every suspect, descending
	tops       []top
	sorted     bool
}

// scored is a suspect in the ranking. It owns its texts.
type scored struct {
	suspect
	ties int64 // suspects of the same score; set when sorted
}

// ranked is what one goroutine hands to the ranking.
type ranked struct {
	all   []scored
	texts arena
	tops  tops
}

// arena holds the ids of many suspects in few allocations.
type arena []byte

func (a *arena) keep(b []byte) []byte {
	if len(*a)+len(b) > cap(*a) {
		*a = make([]byte, 0, max(1<<16, len(b)))
	}
	at := len(*a)
	*a = append(*a, b...)
	return (*a)[at:len(*a):len(*a)]
}

func newRanking(v *vocabulary, m schemas.Model) *ranking {
	return &ranking{vocabulary: v, model: m}
}

// before is the order of the ranking.
func before(a, b *suspect) int {
	return cmp.Or(
		-cmp.Compare(a.score, b.score),
		-cmp.Compare(a.victims, b.victims),
		-cmp.Compare(a.allegations, b.allegations),
		-cmp.Compare(a.lastReported, b.lastReported),
		bytes.Compare(a.id, b.id),
	)
}

// add takes a suspect and its rows; what is kept of them is copied.
func (r *ranking) add(to *ranked, s suspect, rows []allegation) error {
	s.id = to.texts.keep(s.id)
	to.all = append(to.all, scored{suspect: s})
	if s.allegations >= r.model.MinimumAllegations {
		to.tops.offer(int(r.model.Depth), s, rows)
	}
	return nil
}

// take collects what one goroutine ranked.
func (r *ranking) take(from *ranked) {
	r.all = append(r.all, from.all...)
	r.tops = append(r.tops, from.tops...)
	*from = ranked{}
}

func (r *ranking) suspects() int64 { return int64(len(r.all)) }

// sort settles order, ties and the ranks by sum.
func (r *ranking) sort() {
	if r.sorted {
		return
	}
	slices.SortFunc(r.all, func(a, b scored) int { return before(&a.suspect, &b.suspect) })
	for from := 0; from < len(r.all); {
		to := from
		for to < len(r.all) && r.all[to].score == r.all[from].score {
			to++
		}
		for i := from; i < to; i++ {
			r.all[i].ties = int64(to - from)
		}
		from = to
	}
	r.sums = make([]int64, len(r.all))
	for i := range r.all {
		r.sums[i] = r.all[i].sum
	}
	slices.SortFunc(r.sums, func(a, b int64) int { return cmp.Compare(b, a) })
	r.sorted = true
}

// sumRank is the competition rank by the plain sum of days.
func (r *ranking) sumRank(sum int64) int64 {
	at, _ := slices.BinarySearchFunc(r.sums, sum, func(s, target int64) int { return cmp.Compare(target, s) })
	return int64(at) + 1
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
	cut := schemas.Cut{Depth: r.model.Depth}
	var stack []placed
	for i := range r.all {
		s := &r.all[i]
		if s.allegations < r.model.MinimumAllegations {
			continue
		}
		if cut.Stack == cut.Depth {
			if s.score != cut.Score {
				break
			}
			cut.TiedOut++
			continue
		}
		if s.score != cut.Score {
			cut.Score, cut.TiedIn = s.score, 0
		}
		cut.Stack++
		cut.TiedIn++
		stack = append(stack, placed{int64(i) + 1, rows[string(s.id)]})
	}
	cut.InsideTie = cut.TiedOut > 0
	return stack, cut
}

// batchRows is how many rows a yield hands over.
const batchRows = 8 << 10

// Ranking yields all suspects by position, some thousands at a time. The rows are valid only during the
// call.
func (s *Scores) Ranking(ctx context.Context, yield func([]schemas.Ranked) error) error {
	return s.ranking.ranking(ctx, yield)
}

func (r *ranking) ranking(ctx context.Context, yield func([]schemas.Ranked) error) error {
	r.sort()
	batch := make([]schemas.Ranked, 0, min(batchRows, len(r.all)))
	rank, score := int64(0), int64(math.MinInt64)
	for i := range r.all {
		s := &r.all[i]
		if s.score != score {
			rank, score = int64(i)+1, s.score
		}
		row := schemas.Ranked{
			Position: int64(i) + 1, Rank: rank, TieSize: s.ties,
			SuspectID: text(s.id), Score: s.score,
			ScoreDays:   float64(s.score) / schemas.ScorePerDay,
			SumDays:     float64(s.sum) / schemas.TenthsPerDay,
			MaxDays:     float64(s.most) / schemas.TenthsPerDay,
			SumRank:     r.sumRank(s.sum),
			Allegations: s.allegations, Reports: s.reports, Victims: s.victims,
			FirstReported: s.firstReported, LastReported: s.lastReported,
			Boroughs:      r.names(s.boroughs),
			DomesticAbuse: s.domesticAbuse, NonRecent: s.nonRecent,
			AlsoVictim: s.alsoVictim, SuspectStatus: statusText(s.status),
		}
		if s.owner != 0 {
			b := r.vocabulary.borough(s.owner)
			row.OwnerBorough, row.OwnerBCU = &b.name, &b.bcu
		}
		if batch = append(batch, row); len(batch) == cap(batch) {
			if err := flush(ctx, &batch, yield); err != nil {
				return err
			}
		}
	}
	return flush(ctx, &batch, yield)
}

func flush[T any](ctx context.Context, batch *[]T, yield func([]T) error) error {
	if err := ctx.Err(); err != nil || len(*batch) == 0 {
		return err
	}
	err := yield(*batch)
	*batch = (*batch)[:0]
	return err
}

// SuspectRows yields all suspects for a rank stage of its own, in an order that is the same for the same
// extract. The rows are valid only during the call.
func (s *Scores) SuspectRows(ctx context.Context, yield func([]schemas.Suspect) error) error {
	r := s.ranking
	r.sort()
	batch := make([]schemas.Suspect, 0, min(batchRows, len(r.all)))
	for i := range r.all {
		s := &r.all[i]
		row := schemas.Suspect{
			SuspectID: text(s.id), Score: s.score, SumTenths: s.sum, MaxTenths: s.most,
			Allegations: s.allegations, Reports: s.reports, Victims: s.victims,
			FirstReported: s.firstReported, LastReported: s.lastReported,
			Boroughs: r.names(s.boroughs), DomesticAbuse: s.domesticAbuse, NonRecent: s.nonRecent,
			AlsoVictim: s.alsoVictim, SuspectStatus: statusText(s.status),
		}
		if s.owner != 0 {
			row.OwnerBorough = &r.vocabulary.borough(s.owner).name
		}
		if batch = append(batch, row); len(batch) == cap(batch) {
			if err := flush(ctx, &batch, yield); err != nil {
				return err
			}
		}
	}
	return flush(ctx, &batch, yield)
}

func (r *ranking) names(numbers []uint32) []string {
	names := make([]string, len(numbers))
	for i, n := range numbers {
		names[i] = r.vocabulary.borough(n).name
	}
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
	for i := range rows {
		row := &rows[i]
		s := suspect{
			id: r.got.texts.keep([]byte(row.SuspectID)), score: row.Score, sum: row.SumTenths, most: row.MaxTenths,
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
		for _, b := range row.Boroughs {
			s.boroughs = append(s.boroughs, v.boroughNumber(b))
		}
		r.got.all = append(r.got.all, scored{suspect: s})
	}
}

// Ranking yields all suspects by position, as Scores.Ranking does.
func (r *Ranker) Ranking(ctx context.Context, yield func([]schemas.Ranked) error) error {
	r.ranking.take(&r.got)
	return r.ranking.ranking(ctx, yield)
}
