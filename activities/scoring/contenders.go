package scoring

import (
	"bytes"
	"cmp"
	"math"
	"math/bits"
	"slices"

	"harmstack/schemas"
)

// Who would be among the first under other models is found in the same pass: each goroutine keeps the first of each
// model among the suspects that it scored. Whoever could not be, whatever the model makes of their harm, costs one
// comparison.

// otherModels are the models that a night is compared with.
type otherModels struct {
	models    []schemas.Model
	recency   [][]int64 // of each
	frequency []int64   // the largest factor of each
}

func newOtherModels(models []schemas.Model) *otherModels {
	o := &otherModels{models: models}
	for _, m := range models {
		o.recency = append(o.recency, m.Recency())
		o.frequency = append(o.frequency, m.Frequency(math.MaxInt32))
	}
	return o
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
	floor int64                   // tenths of a day: with less harm in all, somebody is among the first of none
	parts []scorePart
	score []int64
}

// compareUnder is the order of the ranking by a model's score.
func (c *contender) compareUnder(o *contender, model int) int {
	return cmp.Or(-cmp.Compare(c.scores[model], o.scores[model]), c.compare(&o.sortKey))
}

func (o *otherModels) contenders(depth int64) contenders {
	c := contenders{of: o, depth: int(depth), score: make([]int64, len(o.models))}
	for m := range o.models {
		c.first = append(c.first, lastFirst[*contender]{order: func(a, b *contender) int { return a.compareUnder(b, m) }})
	}
	return c
}

// offer takes in a scored suspect with their rows, of which parts are the tenths.
func (c *contenders) offer(s *suspect, rows []allegation, parts []scorePart) error {
	if s.sum < c.floor || len(c.first) == 0 {
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

// raise finds the least harm with which somebody could be among the first of any model: recency makes no more of it
// than it is, and frequency at most the largest factor.
func (c *contenders) raise() {
	c.floor = math.MaxInt64
	for m := range c.first {
		h := &c.first[m]
		if len(h.list) < c.depth {
			c.floor = 0
			return
		}
		c.floor = min(c.floor, h.list[0].scores[m]/c.of.frequency[m])
	}
}

// scoreAll scores rows under every model.
func (c *contenders) scoreAll(rows []allegation, parts []scorePart) error {
	for m, model := range c.of.models {
		c.parts = append(c.parts[:0], parts...)
		for i := range c.parts {
			p := &c.parts[i]
			p.base = p.tenths * c.of.recency[m][rows[p.row].age]
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
