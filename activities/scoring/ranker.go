package scoring

import (
	"maps"
	"math"
	"slices"
	"unsafe"

	"harmstack/schemas"
	"harmstack/schemas/reference"
)

// ranker gives suspects that come in order their positions and ranks (section 6, rank).
type ranker struct {
	tables                *reference.Tables
	bcus                  map[string]*string // by borough
	owners                [1 << 8]owner      // in front of bcus, by where the name lies
	sumRanks              map[int64]int64
	recent                [1 << 10]recentRank // in front of sumRanks
	position, rank, score int64
	tie                   int64
}

type owner struct {
	borough string
	bcu     *string
}

type recentRank struct{ sum, rank int64 }

// newRanker returns a ranker for suspects of whom so many have each plain sum.
func newRanker(t *reference.Tables, sums map[int64]int64) *ranker {
	p := &ranker{
		tables:   t,
		bcus:     map[string]*string{},
		sumRanks: make(map[int64]int64, len(sums)),
		score:    math.MinInt64,
	}
	for _, b := range t.Boroughs() {
		p.bcus[b.Name] = &b.BCU
	}
	rank := int64(1)
	for _, sum := range slices.Backward(slices.Sorted(maps.Keys(sums))) {
		p.sumRanks[sum] = rank
		rank += sums[sum]
	}
	return p
}

// place fills in the next suspect's row. tieSize is asked how many share its score, when it is the first
// that does.
func (p *ranker) place(s *schemas.Suspect, row *schemas.Ranked, tieSize func() int64) {
	p.position++
	if s.Score != p.score {
		p.score, p.rank, p.tie = s.Score, p.position, tieSize()
	}
	*row = schemas.Ranked{
		Position: p.position, Rank: p.rank, TieSize: p.tie, SuspectID: s.SuspectID, Score: s.Score,
		ScoreDays: float64(s.Score) / schemas.ScorePerDay, SumDays: float64(s.SumTenths) / schemas.TenthsPerDay,
		MaxDays: float64(s.MaxTenths) / schemas.TenthsPerDay, SumRank: p.sumRank(s.SumTenths),
		Allegations: s.Allegations, Reports: s.Reports, Victims: s.Victims,
		FirstReported: s.FirstReported, LastReported: s.LastReported, OwnerBorough: s.OwnerBorough, Boroughs: s.Boroughs,
		DomesticAbuse: s.DomesticAbuse, NonRecent: s.NonRecent, AlsoVictim: s.AlsoVictim, SuspectStatus: s.SuspectStatus,
		Lane: schemas.LaneOf(s.SuspectStatus), AgesDisagree: s.AgesDisagree, Restricted: s.Restricted,
		Withdrawn: s.Withdrawn,
	}
	if s.OwnerBorough != nil {
		name := *s.OwnerBorough
		o := &p.owners[uintptr(unsafe.Pointer(unsafe.StringData(name)))/16%uintptr(len(p.owners))]
		if o.borough != name {
			*o = owner{name, p.bcus[name]}
		}
		row.OwnerBCU = o.bcu
	}
}

func (p *ranker) sumRank(sum int64) int64 {
	r := &p.recent[uint64(sum)%uint64(len(p.recent))]
	if r.sum != sum || r.rank == 0 {
		*r = recentRank{sum, p.sumRanks[sum]}
	}
	return r.rank
}
