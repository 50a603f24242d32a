package scoring

import (
	"bytes"

	"harmstack/schemas"
)

// table finds the records of equal key in a bucket: open addressing over record numbers, sized for the
// bucket. Equal hashes are told apart by the key itself.
type table struct {
	slots []int32 // record number + 1
	mask  uint64
}

func (t *table) reset(records int) {
	size := 16
	for size < 2*records {
		size *= 2
	}
	if len(t.slots) < size {
		t.slots = make([]int32, size)
	} else {
		t.slots = t.slots[:size]
		clear(t.slots)
	}
	t.mask = uint64(size - 1)
}

// find returns the slot of the record that same accepts, or the free slot where it belongs.
func (t *table) find(hash uint64, same func(record int32) bool) *int32 {
	for at := hash / bucketCount & t.mask; ; at = (at + 1) & t.mask {
		slot := &t.slots[at]
		if *slot == 0 || same(*slot-1) {
			return slot
		}
	}
}

// split notes where the records of a bucket begin.
func split(records []byte, starts []int) []int {
	starts = starts[:0]
	for at := 0; at < len(records); at = next(records, at) {
		starts = append(starts, at)
	}
	return starts
}

// keepLatest settles rule 2 for the allegations of one bucket and passes those that stay to their
// suspects' buckets.
func (e *Engine) keepLatest(t *tally, bucket int) (err error) {
	if t.records, err = e.versions.load(bucket, t.records); err != nil {
		return err
	}
	w := &t.work
	w.starts = split(t.records, w.starts)
	w.table.reset(len(w.starts))
	again := map[int32][]int32{} // further versions by the first one met; few have any
	for i, start := range w.starts {
		rec := t.records[start:]
		id := idOf(rec)
		slot := w.table.find(hashOf(rec), func(r int32) bool { return bytes.Equal(idOf(t.records[w.starts[r]:]), id) })
		if *slot == 0 {
			*slot = int32(i) + 1
		} else {
			again[*slot-1] = append(again[*slot-1], int32(i))
		}
	}
	lost := map[int32]bool{}
	for first, others := range again {
		e.settle(t, append(others, first), lost)
	}
	for i, start := range w.starts {
		if lost[int32(i)] {
			continue
		}
		if err := e.pass(t, t.records[start:]); err != nil {
			return err
		}
	}
	return nil
}

// settle finds the version that stays: the latest, and of several as late the greatest by its values.
func (e *Engine) settle(t *tally, versions []int32, lost map[int32]bool) {
	var best, other allegation
	winner := int32(-1)
	for _, v := range versions {
		other.decode(t.records[t.work.starts[v]:])
		if winner < 0 || other.updated > best.updated || other.updated == best.updated && e.vocabulary.compare(&other, &best) > 0 {
			winner, best = v, other
		}
	}
	for _, v := range versions {
		if v == winner {
			continue
		}
		lost[v] = true
		other.decode(t.records[t.work.starts[v]:])
		if other.updated < best.updated {
			t.dispositions[schemas.Superseded]++
			continue
		}
		t.dispositions[schemas.Duplicate]++
		if e.vocabulary.compare(&other, &best) != 0 {
			t.conflicting++
		}
	}
}

// pass sends a row that stays to its suspect, and to the person its victim is, who may be a suspect.
func (e *Engine) pass(t *tally, rec []byte) error {
	a := &t.work.row
	a.decode(rec)
	if a.disposition == schemas.Scored {
		if err := put(t.scatter, e.seed, a.suspect, a); err != nil {
			return err
		}
	} else {
		t.dispositions[a.disposition]++
	}
	if a.disposition < schemas.NoNamedSuspect || len(a.victim) == 0 {
		return nil
	}
	return putVictim(t.victims, e.seed, a.victim)
}
