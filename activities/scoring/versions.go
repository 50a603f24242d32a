package scoring

import (
	"bytes"

	"harmstack/activities/scoring/bucket"
	"harmstack/schemas"
)

// table finds the records of equal key in a bucket: open addressing over record numbers, sized for the
// bucket. Equal hashes are told apart by the key itself.
type table struct {
	slots []slot
	mask  uint32
}

type slot struct {
	hash   uint32
	record int32 // + 1
}

func (t *table) reset(records int) {
	size := 16
	for size < 2*records {
		size *= 2
	}
	t.slots = grow(t.slots, size)
	clear(t.slots)
	t.mask = uint32(size - 1)
}

// find returns the slot of the record that same accepts, or the free slot where it belongs.
func (t *table) find(hash uint32, same func(record int32) bool) *slot {
	for at := hash & t.mask; ; at = (at + 1) & t.mask {
		s := &t.slots[at]
		if s.record == 0 || s.hash == hash && same(s.record-1) {
			s.hash = hash
			return s
		}
	}
}

// split notes where the records of a bucket begin.
func split(records []byte, starts []int) []int {
	starts = starts[:0]
	for at := 0; at < len(records); at = bucket.Next(records, at) {
		starts = append(starts, at)
	}
	return starts
}

// keepLatest applies rule 2 for the allegations of one bucket and passes those that stay to their
// suspects' buckets.
func (e *Engine) keepLatest(t *tally, number int) (err error) {
	if t.records, err = e.versions.Take(number, t.records); err != nil {
		return err
	}
	w := &t.work
	w.starts = split(t.records, w.starts)
	w.table.reset(len(w.starts))
	again := map[int32][]int32{} // further versions by the first one met
	for i, start := range w.starts {
		rec := t.records[start:]
		id := idOf(rec)
		slot := w.table.find(hashOf(rec), func(r int32) bool { return bytes.Equal(idOf(t.records[w.starts[r]:]), id) })
		if slot.record == 0 {
			slot.record = int32(i) + 1
		} else {
			again[slot.record-1] = append(again[slot.record-1], int32(i))
		}
	}
	lost := map[int32]bool{}
	for first, others := range again {
		e.keepOne(t, append(others, first), lost)
	}
	for i, start := range w.starts {
		if lost[int32(i)] || isQuarantined(t.records[start:]) {
			continue
		}
		if err := t.pass.pass(t.records[start:bucket.Next(t.records, start)]); err != nil {
			return err
		}
	}
	return nil
}

// keepOne finds the version that stays: the latest, and of several as late the greatest by its values. One that is
// quarantined and later still leaves a note on it.
func (e *Engine) keepOne(t *tally, versions []int32, lost map[int32]bool) {
	var best, other allegation
	winner, quarantined := int32(-1), int64(noTime)
	for _, v := range versions {
		other.decode(t.records[t.work.starts[v]:])
		if other.disposition == schemas.Quarantined {
			quarantined = max(quarantined, other.updated)
			continue
		}
		if winner < 0 || other.updated > best.updated ||
			other.updated == best.updated && e.vocabulary.compare(&other, &best) > 0 {
			winner, best = v, other
		}
	}
	if winner >= 0 && quarantined > best.updated {
		t.olderStands++
		setOlder(t.records[t.work.starts[winner]:])
	}
	for _, v := range versions {
		other.decode(t.records[t.work.starts[v]:])
		if v == winner || other.disposition == schemas.Quarantined {
			continue
		}
		lost[v] = true
		if other.updated < best.updated {
			t.pass.dispositions[schemas.Superseded]++
			continue
		}
		t.pass.dispositions[schemas.Duplicate]++
		if e.vocabulary.compare(&other, &best) != 0 {
			t.conflicting++
		}
	}
}
