package scoring

import (
	"bytes"
	"cmp"
	"math"
	"math/bits"
	"slices"

	"harmstack/schemas"
	"harmstack/schemas/reference"
)

// aggregation is the scratch space in which one goroutine works through a bucket.
type aggregation struct {
	table  table
	starts []int
	row    allegation

	next    []int32 // the suspect's next record + 1, by record
	last    []int32 // the suspect's last record, by its first
	victims []bool  // the suspect is a victim too, by its first record
	rows    []allegation
	texts   [][]byte
	places  []place
	names   []uint32
}

// place is a suspect's harm in one borough.
type place struct {
	borough uint32
	base    int64
	latest  int64
}

// aggregate scores the suspects of one bucket.
func (e *Engine) aggregate(t *tally, to *ranking, bucket int) (err error) {
	if t.records, err = e.suspects.load(bucket, t.records); err != nil {
		return err
	}
	if t.marks, err = e.victims.load(bucket, t.marks); err != nil {
		return err
	}
	w := &t.work
	w.starts = split(t.records, w.starts)
	w.table.reset(len(w.starts))
	w.next, w.last, w.victims = grow(w.next, len(w.starts)), grow(w.last, len(w.starts)), grow(w.victims, len(w.starts))
	clear(w.next)
	clear(w.victims)
	find := func(hash uint64, id []byte) *int32 {
		return w.table.find(hash, func(r int32) bool { return bytes.Equal(suspectOf(t.records[w.starts[r]:]), id) })
	}
	for i, start := range w.starts {
		rec := t.records[start:]
		slot := find(hashOf(rec), suspectOf(rec))
		if *slot == 0 {
			*slot = int32(i) + 1
		} else {
			w.next[w.last[*slot-1]] = int32(i) + 1
		}
		w.last[*slot-1] = int32(i)
	}
	for at := 0; at < len(t.marks); {
		end := next(t.marks, at)
		if slot := find(hashOf(t.marks[at:]), t.marks[at+victimHead:end]); *slot != 0 {
			w.victims[*slot-1] = true
		}
		at = end
	}
	for _, slot := range w.table.slots {
		if slot == 0 {
			continue
		}
		first := slot - 1
		w.rows = w.rows[:0]
		for r := slot; r != 0; r = w.next[r-1] {
			w.rows = append(w.rows, allegation{})
			w.rows[len(w.rows)-1].decode(t.records[w.starts[r-1]:])
		}
		if slices.ContainsFunc(w.rows, func(a allegation) bool { return a.status == statusDeceased }) {
			t.dispositions[schemas.SuspectDeceased] += int64(len(w.rows))
			continue
		}
		t.dispositions[schemas.Scored] += int64(len(w.rows))
		s, err := e.score(t, w.rows)
		if err != nil {
			return err
		}
		s.alsoVictim = w.victims[first]
		to.add(&t.ranked, &s, w.rows)
	}
	return nil
}

// suspect is one suspect scored; its texts are views of the bucket.
type suspect struct {
	id                            []byte
	score, sum, most              int64 // sum and most: tenths of a day
	allegations, reports, victims int64
	firstReported, lastReported   int64
	domesticAbuse, nonRecent      int64
	owner                         uint32 // 0: the central desk
	status                        uint8
	alsoVictim                    bool
	boroughs                      []uint32
}

// nonRecent is how long before its report an offence was committed to be non-recent, in microseconds.
const nonRecent = 365 * 24 * 3_600_000_000

// score sums a suspect's rows up (section 6).
func (e *Engine) score(t *tally, rows []allegation) (suspect, error) {
	w := &t.work
	s := suspect{id: rows[0].suspect, allegations: int64(len(rows)), firstReported: math.MaxInt64, lastReported: math.MinInt64}
	w.places = w.places[:0]
	var base int64
	latest := &rows[0]
	for i := range rows {
		a := &rows[i]
		weight := e.vocabulary.offence(a.offence).weight(a.sex)
		switch weight.Rule {
		case reference.ByLowest:
			t.lowest++
		case reference.BySupplement:
			t.supplement++
		}
		part := weight.Tenths * e.recency[a.age]
		if base > math.MaxInt64-part {
			return s, ErrOverflow
		}
		base += part
		s.sum += weight.Tenths
		s.most = max(s.most, weight.Tenths)
		s.firstReported, s.lastReported = min(s.firstReported, a.reported), max(s.lastReported, a.reported)
		if a.domesticAbuse == 2 {
			s.domesticAbuse++
		}
		if a.committed != noTime && a.reported-a.committed > nonRecent {
			s.nonRecent++
		}
		if cmp.Or(cmp.Compare(a.updated, latest.updated), bytes.Compare(a.id, latest.id)) > 0 {
			latest = a
		}
		w.addPlace(a, part)
	}
	s.status = latest.status
	s.reports = w.distinct(rows, func(a *allegation) []byte { return a.report })
	s.victims = w.distinct(rows, func(a *allegation) []byte { return a.victim })
	s.owner, w.names = e.owner(w.places, w.names[:0])
	s.boroughs = w.names
	hi, lo := bits.Mul64(uint64(base), uint64(e.options.Model.Frequency(s.allegations)))
	if hi >= schemas.PPM {
		return s, ErrOverflow
	}
	score, _ := bits.Div64(hi, lo, schemas.PPM)
	if score > math.MaxInt64 {
		return s, ErrOverflow
	}
	s.score = int64(score)
	return s, nil
}

func (w *aggregation) addPlace(a *allegation, part int64) {
	for i := range w.places {
		if p := &w.places[i]; p.borough == a.borough {
			p.base += part
			p.latest = max(p.latest, a.reported)
			return
		}
	}
	w.places = append(w.places, place{a.borough, part, a.reported})
}

// distinct counts the different texts, null not counted.
func (w *aggregation) distinct(rows []allegation, text func(*allegation) []byte) (n int64) {
	w.texts = w.texts[:0]
	for i := range rows {
		if s := text(&rows[i]); len(s) > 0 {
			w.texts = append(w.texts, s)
		}
	}
	slices.SortFunc(w.texts, bytes.Compare)
	for i, s := range w.texts {
		if i == 0 || !bytes.Equal(s, w.texts[i-1]) {
			n++
		}
	}
	return n
}

// owner is the borough of the 32 with the largest base, then the most recent report, then the first
// name. With it come all places, by name, in the slice given.
func (e *Engine) owner(places []place, names []uint32) (owner uint32, _ []uint32) {
	v := e.vocabulary
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Or(-cmp.Compare(a.base, b.base), -cmp.Compare(a.latest, b.latest), cmp.Compare(v.borough(a.borough).name, v.borough(b.borough).name))
	})
	for _, p := range places {
		if owner == 0 && v.borough(p.borough).known {
			owner = p.borough
		}
		if p.borough != 0 {
			names = append(names, p.borough)
		}
	}
	slices.SortFunc(names, func(a, b uint32) int { return cmp.Compare(v.borough(a).name, v.borough(b).name) })
	return owner, names
}
