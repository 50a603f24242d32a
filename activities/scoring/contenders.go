package scoring

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"harmstack/schemas"
	"harmstack/schemas/reference"
)

// Who would be among the first under other models is found in the same pass: each goroutine keeps the first of each
// model among the suspects that it scored. Whoever could not be, whatever the model makes of their harm, costs one
// comparison.

// otherModels are the models that a night is compared with.
type otherModels struct {
	models    []schemas.Model
	recency   [][]int64 // of each
	frequency []int64   // the largest factor of each

	night    *vocabulary
	edition  []int         // by which of the editions each weighs
	editions []*vocabulary // the first is nil: the night's own
}

func newOtherModels(models []schemas.Model, tables *reference.Tables, night *vocabulary) (*otherModels, error) {
	o := &otherModels{models: models, night: night, editions: []*vocabulary{nil}}
	for _, m := range models {
		o.recency = append(o.recency, m.Recency())
		o.frequency = append(o.frequency, m.Frequency(math.MaxInt32))
		if m.Edition == "" {
			o.edition = append(o.edition, 0)
			continue
		}
		under, err := tables.WithEdition(m.Edition, m.EditionTable())
		if err != nil {
			return nil, fmt.Errorf("the edition of model %s: %w", m.Name, err)
		}
		o.edition = append(o.edition, len(o.editions))
		o.editions = append(o.editions, newVocabulary(under))
	}
	return o, nil
}

// contender is somebody who may be among the first of some model, with their score under each.
type contender struct {
	sortKey // its score is unused
	scores  []int64
}

// contenders are the first of each model among those offered.
type contenders struct {
	of    *otherModels
	depth int
	first []lastFirst[*contender] // of each model
	floor []int64                 // tenths of a day, by edition: with less harm in all, somebody is among the first of none
	// By edition: what the rows of one suspect weigh, notWeighed where the edition gives no weight; and the offences that
	// were met, by number.
	tenths [][]int64
	met    []map[uint32]*offence
	parts  []scorePart
	score  []int64
}

// compareUnder is the order of the ranking by a model's score.
func (c *contender) compareUnder(o *contender, model int) int {
	return cmp.Or(-cmp.Compare(c.scores[model], o.scores[model]), c.compare(&o.sortKey))
}

func (o *otherModels) contenders(depth int64) contenders {
	c := contenders{
		of: o, depth: int(depth), score: make([]int64, len(o.models)),
		floor: make([]int64, len(o.editions)), tenths: make([][]int64, len(o.editions)), met: make([]map[uint32]*offence, len(o.editions)),
	}
	for e := range o.editions {
		c.met[e] = map[uint32]*offence{}
	}
	for m := range o.models {
		c.first = append(c.first, lastFirst[*contender]{order: func(a, b *contender) int { return a.compareUnder(b, m) }})
	}
	return c
}

// offer takes in a scored suspect with their rows, of which parts are the tenths.
func (c *contenders) offer(s *suspect, rows []allegation, parts []scorePart) error {
	if len(c.first) == 0 || !c.mayBeFirst(s, rows) {
		return nil
	}
	if err := c.scoreAll(rows, parts); err != nil {
		return err
	}
	this := contender{s.sortKey, c.score}
	this.sortKey.score = 0
	var kept *contender
	for m := range c.first {
		h := &c.first[m]
		if len(h.list) == c.depth && h.list[0].compareUnder(&this, m) <= 0 {
			continue
		}
		if kept == nil {
			kept = &contender{this.sortKey, slices.Clone(c.score)}
			kept.id = bytes.Clone(s.id)
		}
		h.keep(kept, c.depth)
	}
	if kept != nil {
		c.raise()
	}
	return nil
}

// mayBeFirst weighs the rows by every edition, and tells whether their harm is enough by any.
func (c *contenders) mayBeFirst(s *suspect, rows []allegation) bool {
	is := s.sum >= c.floor[0]
	for e := 1; e < len(c.of.editions); e++ {
		sum := int64(0)
		c.tenths[e] = c.tenths[e][:0]
		for i := range rows {
			w := c.weight(e, &rows[i])
			c.tenths[e] = append(c.tenths[e], w)
			sum += max(w, 0)
		}
		is = is || sum >= c.floor[e]
	}
	return is
}

const notWeighed = -1

// weight is what a row weighs by another edition.
func (c *contenders) weight(edition int, a *allegation) int64 {
	o := c.met[edition][a.offence]
	if o == nil {
		weighed := c.of.editions[edition].weigh(c.of.night.offenceOf(a).offenceKey)
		if o = &weighed; a.offence != unnumbered {
			c.met[edition][a.offence] = o
		}
	}
	if w := o.weight(a.sex, a.domesticAbuse); w.Verdict == reference.Weighed {
		return w.Tenths
	}
	return notWeighed
}

// raise finds the least harm, by each edition, with which somebody could be among the first of any model: recency makes
// no more of it than it is, and frequency at most the largest factor.
func (c *contenders) raise() {
	for e := range c.floor {
		c.floor[e] = math.MaxInt64
	}
	for m := range c.first {
		h, floor := &c.first[m], &c.floor[c.of.edition[m]]
		if len(h.list) < c.depth {
			*floor = 0
			continue
		}
		*floor = min(*floor, h.list[0].scores[m]/c.of.frequency[m])
	}
}

// scoreAll scores rows under every model.
func (c *contenders) scoreAll(rows []allegation, parts []scorePart) error {
	for m, model := range c.of.models {
		c.parts = c.parts[:0]
		for _, p := range parts {
			if e := c.of.edition[m]; e > 0 {
				p.tenths = c.tenths[e][p.row]
			}
			if p.tenths == notWeighed {
				continue
			}
			p.base = p.tenths * c.of.recency[m][rows[p.row].age]
			c.parts = append(c.parts, p)
		}
		score, err := scoreOf(apply(&model, rows, c.parts))
		if err != nil {
			return err
		}
		c.score[m] = score
	}
	return nil
}

// scoreOf is the score of parts that have their factors.
func scoreOf(parts []scorePart) (int64, error) {
	hi, lo := total(parts)
	if hi >= schemas.PPM {
		return 0, ErrOverflow
	}
	score, _ := bits.Div64(hi, lo, schemas.PPM)
	if score > math.MaxInt64 {
		return 0, ErrOverflow
	}
	return int64(score), nil
}

// rows are all contenders, a row a model, by suspect.
func (c *contenders) rows() (list []schemas.Contender) {
	all := map[string]*contender{}
	for _, h := range c.first {
		for _, one := range h.list {
			all[string(one.id)] = one
		}
	}
	for id, one := range all {
		for m, score := range one.scores {
			list = append(list, schemas.Contender{
				SuspectID: id, Victims: one.victims, Allegations: one.allegations, LastReported: one.lastReported,
				Model: int64(m), Score: score,
			})
		}
	}
	slices.SortFunc(list, func(a, b schemas.Contender) int {
		return cmp.Or(cmp.Compare(a.SuspectID, b.SuspectID), cmp.Compare(a.Model, b.Model))
	})
	return list
}

// Standings are who is among the first depth of any of so many models, of all that scorings found, by their positions
// in the night's own ranking once Place has told them.
type Standings struct {
	Rows  []schemas.Standing
	index map[string]int
	left  int
}

// NewStandings gives contenders their positions under each model (contract, section 6, stability).
func NewStandings(models int, depth int64, contenders []schemas.Contender) *Standings {
	s := &Standings{index: map[string]int{}}
	by := make([][]schemas.Contender, models)
	for _, c := range contenders {
		by[c.Model] = append(by[c.Model], c)
	}
	for m, list := range by {
		slices.SortFunc(list, func(a, b schemas.Contender) int {
			x := sortKey{a.Score, a.Victims, a.Allegations, a.LastReported, view(a.SuspectID)}
			return x.compare(&sortKey{b.Score, b.Victims, b.Allegations, b.LastReported, view(b.SuspectID)})
		})
		for i, c := range list[:min(int64(len(list)), depth)] {
			at, ok := s.index[c.SuspectID]
			if !ok {
				at = len(s.Rows)
				s.index[c.SuspectID] = at
				s.Rows = append(s.Rows, schemas.Standing{SuspectID: c.SuspectID, Standing: schemas.Fringe, Positions: make([]*int64, models)})
			}
			row, position := &s.Rows[at], int64(i)+1
			row.Positions[m] = &position
			if row.Models++; row.Models == int64(models) {
				row.Standing = schemas.Core
			}
		}
	}
	s.left = len(s.Rows)
	return s
}

// Place looks for the standings' suspects among the next rows of the ranking.
func (s *Standings) Place(rows []schemas.Ranked) {
	for i := 0; i < len(rows) && s.left > 0; i++ {
		if at, ok := s.index[rows[i].SuspectID]; ok {
			s.Rows[at].Position = rows[i].Position
			s.left--
		}
	}
	if s.left == 0 {
		slices.SortFunc(s.Rows, func(a, b schemas.Standing) int { return cmp.Compare(a.Position, b.Position) })
	}
}

// add takes in what others were offered.
func (c *contenders) add(o *contenders) {
	for m := range c.first {
		for _, one := range o.first[m].list {
			c.first[m].keep(one, c.depth)
		}
	}
}
