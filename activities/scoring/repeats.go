package scoring

import (
	"context"
	"encoding/binary"
	"sync/atomic"

	"github.com/apache/arrow/go/v16/arrow"

	"harmstack/schemas"
)

// Scout reads the allegations' ids, one goroutine's, ahead of the feeders. Few allegations come more
// than once; when it is known which, all other rows go straight to their suspects.
type Scout struct {
	ids     *textColumn
	scatter *scatterer
}

// NewScout returns a scout for one goroutine. It must be closed.
func (e *Engine) NewScout() *Scout {
	return &Scout{ids: &textColumn{}, scatter: newScatterer(e.ids)}
}

// Add takes in the ids of a batch; no other column is looked at. firstRow is as for a feeder's.
func (s *Scout) Add(batch arrow.Record, firstRow int64) error {
	if err := s.ids.load(batch.Column(schemas.AllegationID)); err != nil {
		return err
	}
	le := binary.LittleEndian
	for i := range int(batch.NumRows()) {
		h := hash(s.ids.text(i))
		rec, err := s.scatter.record(bucketOf(h), scoutBytes)
		if err != nil {
			return err
		}
		le.PutUint32(rec, uint32(h>>32))
		le.PutUint64(rec[4:], uint64(firstRow)+uint64(i))
	}
	return nil
}

// scoutBytes is a piece of an id's hash and the row's ordinal.
const scoutBytes = 4 + 8

// Close hands over what the scout still holds.
func (s *Scout) Close() error {
	s.ids.release()
	return s.scatter.close()
}

// rowSet is a set of rows by ordinal.
type rowSet []uint64

func (s rowSet) has(row int64) bool { return s[row/64]&(1<<(row%64)) != 0 }

func (s rowSet) add(row int64) { atomic.OrUint64(&s[row/64], 1<<(row%64)) }

// FindRepeats finds the rows that may share their allegation with another: those whose ids have equal
// hashes. rows is how many there are; every scout must be closed. Without it every row is taken as one.
func (e *Engine) FindRepeats(ctx context.Context, rows int64, threads int) error {
	repeated := make(rowSet, rows/64+1)
	err := eachBucket(ctx, make([]finder, max(threads, 1)), func(f *finder, bucket int) error {
		var err error
		if f.buf, err = e.ids.take(bucket, f.buf); err != nil {
			return err
		}
		f.find(repeated)
		return nil
	})
	e.repeated, e.scouted = repeated, true
	return err
}

// finder is the scratch space of one goroutine.
type finder struct {
	buf   []byte
	slots []scouted
}

type scouted struct {
	hash  uint32
	taken bool
	row   int64
}

func (f *finder) find(repeated rowSet) {
	size := 16
	for size < 2*len(f.buf)/scoutBytes {
		size *= 2
	}
	f.slots = grow(f.slots, size)
	clear(f.slots)
	le := binary.LittleEndian
	for at := 0; at < len(f.buf); at += scoutBytes {
		s := scouted{le.Uint32(f.buf[at:]), true, int64(le.Uint64(f.buf[at+4:]))}
		for i := s.hash & uint32(size-1); ; i = (i + 1) & uint32(size-1) {
			if slot := &f.slots[i]; !slot.taken {
				*slot = s
			} else if slot.hash == s.hash {
				repeated.add(slot.row)
				repeated.add(s.row)
			} else {
				continue
			}
			break
		}
	}
}
