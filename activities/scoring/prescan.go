package scoring

import (
	"context"
	"encoding/binary"
	"errors"
	"math"
	"sync/atomic"

	"github.com/apache/arrow/go/v16/arrow"

	"harmstack/activities/scoring/bucket"
	"harmstack/schemas"
)

// Prescan reads two columns, one goroutine's, ahead of the ingesters. Few allegations come more than once: when
// it is known which, all other rows go straight to their suspects. And few victims are suspects too: when it is
// known who may be one, the others need not be kept.
type Prescan struct {
	ids, suspects  *textColumn
	links          *Links
	scatter, named *bucket.Scatterer
	rows           bucket.Rows
}

// PrescanColumns are those that a Prescan looks at.
var PrescanColumns = []int{schemas.AllegationID, schemas.SuspectID}

// NewPrescan returns a prescan for one goroutine. It must be closed.
func (e *Engine) NewPrescan() *Prescan {
	return &Prescan{
		ids:      &textColumn{},
		suspects: &textColumn{},
		links:    e.options.Links,
		scatter:  bucket.NewScatterer(e.ids),
		named:    bucket.NewScatterer(e.named),
	}
}

// Add takes in a batch. firstRow is as for an ingester's.
func (s *Prescan) Add(batch arrow.Record, firstRow int64) error {
	if err := s.ids.load(batch.Column(schemas.AllegationID)); err != nil {
		return err
	}
	if err := s.suspects.load(batch.Column(schemas.SuspectID)); err != nil {
		return err
	}
	s.rows.Reset()
	for i := range int(batch.NumRows()) {
		s.rows.Add(i, bucket.Hash(s.ids.text(i)))
	}
	le := binary.LittleEndian
	for _, r := range s.rows.Sorted() {
		rec, err := s.scatter.Record(bucket.Of(r.Hash), prescanBytes)
		if err != nil {
			return err
		}
		le.PutUint32(rec, uint32(r.Hash>>32))
		le.PutUint64(rec[4:], uint64(firstRow+int64(r.Row)))
	}
	s.rows.Reset()
	for i := range int(batch.NumRows()) {
		if suspect := s.links.End(s.suspects.text(i)); len(suspect) > 0 {
			s.rows.Add(i, bucket.Hash(suspect))
		}
	}
	for _, r := range s.rows.Sorted() {
		rec, err := s.named.Record(bucket.Of(r.Hash), namedBytes)
		if err != nil {
			return err
		}
		le.PutUint32(rec, uint32(r.Hash>>32))
	}
	return nil
}

const (
	prescanBytes = 4 + 8 // a piece of an id's hash and the row's ordinal
	namedBytes   = 4     // a piece of a suspect's hash
)

// Close hands over what the prescan still holds.
func (s *Prescan) Close() error {
	s.ids.release()
	s.suspects.release()
	return errors.Join(s.scatter.Close(), s.named.Close())
}

// rowSet is a set of rows by ordinal.
type rowSet []uint64

func (s rowSet) has(row int64) bool { return s[row/64]&(1<<(row%64)) != 0 }

func (s rowSet) add(row int64) { atomic.OrUint64(&s[row/64], 1<<(row%64)) }

// people is a set of people by the hashes of their ids, so many bits for each bucket. It may hold somebody who
// was not added, never the other way round.
type people struct {
	bits  []uint64
	words int // a bucket's; a power of two
}

// newPeople returns a set for about so many, of at most so many bytes.
func newPeople(most, bytes int64) people {
	words := 1
	for 64*int64(words)*bucket.Count < 4*most && 2*8*int64(words)*bucket.Count <= bytes {
		words *= 2
	}
	return people{make([]uint64, words*bucket.Count), words}
}

// place is where the bit of a bucket's hash stands.
func (p people) place(number int, high uint32) (word int, bit uint32) {
	return number*p.words + int(high>>6)&(p.words-1), high % 64
}

// among keeps those of some rows whose people may be in the set. Without a branch: most of the time goes on waiting
// for memory, and so the processor asks for many bits at once.
func (p people) among(rows []bucket.HashedRow) []bucket.HashedRow {
	n := 0
	for _, r := range rows {
		word, bit := p.place(bucket.Of(r.Hash), uint32(r.Hash>>32))
		rows[n] = r
		n += int(p.bits[word] >> bit & 1)
	}
	return rows[:n]
}

// EndPrescan finds the rows that may share their allegation with another, those whose ids have equal hashes,
// and who may be a suspect. rows is how many there are; every prescan must be closed. Without it every row is
// taken as one, and everybody.
func (e *Engine) EndPrescan(ctx context.Context, rows int64, threads int) error {
	repeated := make(rowSet, rows/64+1)
	limit := int64(math.MaxInt64)
	if e.options.Memory > 0 {
		limit = e.options.Memory / 32
	}
	suspects := newPeople(rows, limit)
	err := eachBucket(ctx, make([]finder, max(threads, 1)), func(f *finder, number int) error {
		var err error
		if f.buf, err = e.ids.Take(number, f.buf); err != nil {
			return err
		}
		f.find(repeated)
		if f.buf, err = e.named.Take(number, f.buf); err != nil {
			return err
		}
		for at := 0; at < len(f.buf); at += namedBytes {
			word, bit := suspects.place(number, binary.LittleEndian.Uint32(f.buf[at:]))
			suspects.bits[word] |= 1 << bit
		}
		return nil
	})
	e.repeated, e.mayBeSuspect, e.prescanned = repeated, suspects, true
	return err
}

// finder is the scratch space of one goroutine.
type finder struct {
	buf   []byte
	slots []prescanned
}

type prescanned struct {
	hash  uint32
	taken bool
	row   int64
}

func (f *finder) find(repeated rowSet) {
	size := 16
	for size < 2*len(f.buf)/prescanBytes {
		size *= 2
	}
	f.slots = grow(f.slots, size)
	clear(f.slots)
	le := binary.LittleEndian
	for at := 0; at < len(f.buf); at += prescanBytes {
		s := prescanned{le.Uint32(f.buf[at:]), true, int64(le.Uint64(f.buf[at+4:]))}
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
