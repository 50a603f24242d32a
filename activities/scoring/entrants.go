package scoring

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/apache/arrow/go/v16/arrow"

	"harmstack/activities/scoring/bucket"
	"harmstack/schemas"
	"harmstack/schemas/reference"
)

// Entrants finds who would enter the stack if the rows that a night leaves out for one reason counted, without scoring
// everybody again. Only somebody with such a row can be scored otherwise; of those only who could reach the stack even
// if all that is left out of them counted in full, and every allegation with the greatest factor, need be scored. The
// others stand where they stood.
//
// Feed it every row, of EntrantColumns; then hand it the whole ranking by position; then Search for Candidate people
// beside others; then ask Count.
type Entrants struct {
	options Options
	rules   rules
	least   *vocabulary
	recency []int64
	most    float64 // the greatest factor
	// touched are bits of the people who have a row that may be left out: of a city's suspects few share one.
	touched []atomic.Uint64
	// Several people share a slot: then more are scored than need be. leftOut adds up what the rows of a slot's people
	// would count that may be left out, in 1,024ths, rounded up; rows are how many rows of any kind they have; scored is
	// the greatest score of those of them who are touched.
	leftOut []atomic.Int64
	rows    []atomic.Int32
	scored  []int64
	// reach has a bit for each slot of people who could reach the stack.
	reach func() []uint64

	// MostRows is how many rows may be held for those who must be scored again: see Many.
	MostRows int64

	stack  *Stack
	steady []schemas.Ranked // those of the first who are not touched
	places int64            // how many of them take a place
}

// How many bits and slots are kept, powers of two: 24 MiB in all, of which a small night touches little.
const (
	entrantBits  = 1 << 24
	entrantSlots = 1 << 20
)

// boundUnit keeps the sum of an extract's rows in 64 bits.
const boundUnit = 1 << 10

// EntrantColumns are those that decide who may be scored otherwise, and how high.
var EntrantColumns = []int{
	schemas.SuspectID, schemas.OffenceCode, schemas.OffenceClass, schemas.OffenceURN, schemas.ReportedAt,
	schemas.VictimSex, schemas.DomesticAbuse, schemas.Source,
}

// NewEntrants returns one that has seen nobody. Of the options it takes the date, the tables, the model and the links.
func NewEntrants(o Options) *Entrants {
	o.Stability, o.Quarantine, o.Spill, o.Memory, o.Counted = nil, nil, nil, 0, 0
	v := newVocabulary(o.Tables)
	m := &o.Model
	e := &Entrants{
		options:  o,
		rules:    rules{newWindow(o.AsOf, m.WindowDays), v, 0},
		least:    newVocabulary(o.Tables.Least()),
		recency:  m.Recency(),
		most:     float64(m.Frequency(1+m.FrequencyCap)) / schemas.PPM,
		touched:  make([]atomic.Uint64, entrantBits/64),
		leftOut:  make([]atomic.Int64, entrantSlots),
		rows:     make([]atomic.Int32, entrantSlots),
		scored:   make([]int64, entrantSlots),
		MostRows: 250_000,
		stack:    NewStack(*m),
	}
	e.reach = sync.OnceValue(e.reaching)
	return e
}

// EntrantIngester takes the batches of one goroutine into Entrants.
type EntrantIngester struct {
	to *Entrants
	v  *validator
}

// NewIngester returns an ingester for one goroutine. It must be closed.
func (e *Entrants) NewIngester() *EntrantIngester {
	v := newValidator(e.rules.vocabulary)
	v.links = e.options.Links
	return &EntrantIngester{e, v}
}

// Add takes in one batch, as Ingester.Add takes it. Rows that are quarantined, or versions that do not stay, count too:
// they only make a bound greater.
func (f *EntrantIngester) Add(batch arrow.Record, _ int64) error {
	v, e := f.v, f.to
	if err := v.load(batch); err != nil {
		return err
	}
	reported := v.times[schemas.ReportedAt].TimestampValues()
	for i, nobody := range v.nobody {
		code := v.text[schemas.OffenceCode].results[i]
		if nobody || code == null || code == notUTF8 || code == notAllowed { // the last three are quarantined
			continue
		}
		h := bucket.Hash(v.text[schemas.SuspectID].text(i))
		slot := entrantSlot(h)
		e.rows[slot].Add(1)
		sex, source := v.enum(schemas.VictimSex, i), v.enum(schemas.Source, i)
		unsaid := sex == uint8(null) || sex == sexUnknown
		tenths, unscored := f.weight(i, sex, v.domesticAbuse(i))
		if !unsaid && !unscored && source != sourceIntelligence && source != sourcePoliceDetected {
			continue
		}
		e.touched[h%entrantBits/64].Or(1 << (h % 64))
		if e.rules.window.of(int64(reported[i])) != schemas.Scored {
			continue
		}
		if unsaid { // taken as female, another version of the allegation may stand: one that is domestic abuse, perhaps
			for _, domestic := range [...]uint8{0, abuseTrue} {
				asFemale, _ := f.weight(i, sexFemale, domestic)
				tenths = max(tenths, asFemale)
			}
		}
		if tenths > 0 {
			e.leftOut[slot].Add(tenths*e.recency[e.rules.window.age(int64(reported[i]))]/boundUnit + 1)
		}
	}
	return nil
}

// weight is the most that a row may weigh, and whether the tables give no single weight for it.
func (f *EntrantIngester) weight(row int, sex, domestic uint8) (tenths int64, unscored bool) {
	v := f.v
	w := v.weighed(row).weight(sex, domestic)
	if w.Verdict != reference.Unscored {
		return w.Tenths, false
	}
	least := f.to.least.weigh(v.offenceKey(row))
	return least.weight(sex, domestic).Tenths, true
}

// Close gives back what the ingester holds.
func (f *EntrantIngester) Close() error {
	f.v.release()
	return nil
}

// entrantSlot is by other bits of the hash than those that touch.
func entrantSlot(hash uint64) uint64 { return hash >> 30 % entrantSlots }

func (e *Entrants) isTouched(hash uint64) bool {
	return e.touched[hash%entrantBits/64].Load()>>(hash%64)&1 != 0
}

// See takes the next rows of the night's ranking, by position.
func (e *Entrants) See(rows []schemas.Ranked) error {
	m := &e.options.Model
	for i := range rows {
		row := &rows[i]
		h := bucket.Hash(view(row.SuspectID))
		if e.isTouched(h) {
			slot := entrantSlot(h)
			e.scored[slot] = max(e.scored[slot], row.Score)
			continue
		}
		if e.places == m.Depth || row.Allegations < m.MinimumAllegations {
			continue
		}
		e.steady = append(e.steady, own(row))
		if m.Custody == schemas.CustodyCounted || row.Lane != schemas.LaneContained {
			e.places++
		}
	}
	return e.stack.Add(rows)
}

// floor is a score that is reached by whoever stands on the stack, or beside it, whatever counts.
func (e *Entrants) floor() int64 {
	if e.places < e.options.Model.Depth {
		return 0
	}
	return e.steady[len(e.steady)-1].Score
}

// Candidate tells of a person, by the id after links, whether they must be scored again. Every row and the whole
// ranking must have been seen.
func (e *Entrants) Candidate(id []byte) bool {
	h := bucket.Hash(id)
	slot := entrantSlot(h)
	return e.reach()[slot/64]>>(slot%64)&1 != 0 && e.isTouched(h)
}

// Many tells that those who must be scored again may have more than MostRows rows, as where nobody says the sex of any
// victim: then all is to be scored again by an engine, which can spill.
func (e *Entrants) Many() bool {
	n := int64(0)
	for slot := range e.rows {
		if e.reach()[slot/64]>>(slot%64)&1 != 0 {
			n += int64(e.rows[slot].Load())
		}
	}
	return n > e.MostRows
}

// reaching finds the slots whose touched people could reach the stack. What they were scored is no less than the sum of
// what counted, so that it and what is left out, all with the greatest factor, is the most that they can be scored.
func (e *Entrants) reaching() []uint64 {
	reach, floor := make([]uint64, entrantSlots/64), float64(e.floor())
	for slot := range e.scored {
		bound := (float64(e.leftOut[slot].Load())*boundUnit + float64(e.scored[slot]+1)) * e.most
		if bound*(1+1e-9)+1 >= floor { // and what rounding may have taken
			reach[slot/64] |= 1 << (slot % 64)
		}
	}
	return reach
}

// Count is how many would be on the stack, or beside it, who are not, if the rows of a disposition counted:
// IntelligenceOnly, PoliceDetected, VictimSexUnknown, with every victim whose sex nobody says taken as female, or
// UnscoredOffence, at the least that an offence may weigh. found has been fed every row.
func (e *Entrants) Count(ctx context.Context, found *Search, reason schemas.Disposition) (enter int64, err error) {
	o := e.options
	if o.Counted = reason; reason == schemas.UnscoredOffence {
		o.Tables = o.Tables.Least()
	}
	all := slices.Clone(e.steady)
	rows, _ := found.ordered()
	_, err = fates(ctx, o, rows, func(s *suspect) {
		if e.Candidate(s.id) {
			status := statusText(s.status)
			all = append(all, schemas.Ranked{
				SuspectID: string(s.id), Score: s.score, Victims: s.victims, Allegations: s.allegations,
				LastReported: s.lastReported, SuspectStatus: status, Lane: schemas.LaneOf(status),
			})
		}
	})
	if err != nil {
		return 0, err
	}
	slices.SortFunc(all, func(a, b schemas.Ranked) int {
		x := sortKey{a.Score, a.Victims, a.Allegations, a.LastReported, view(a.SuspectID)}
		return x.compare(&sortKey{b.Score, b.Victims, b.Allegations, b.LastReported, view(b.SuspectID)})
	})
	top := NewStack(o.Model)
	if err := top.Add(all); err != nil {
		return 0, err
	}
	on := map[string]bool{}
	for _, s := range e.stack.Rows {
		on[s.SuspectID] = true
	}
	for _, s := range top.Rows {
		if !on[s.SuspectID] {
			enter++
		}
	}
	return enter, nil
}
