package scoring

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"harmstack/activities/store/spill"
)

// Spill lends storage for what does not fit the memory budget. The storage is the engine's alone and
// is given back by Close.
type Spill interface {
	Create() (SpillFile, error)
}

// SpillFile is one piece of lent storage.
type SpillFile = spill.File

const (
	bucketCount = 512     // by hash, so that a bucket of ten million rows fits a processor's cache
	slabBytes   = 8 << 10 // what a goroutine gathers for one bucket before it hands it over
	slabsAtOnce = 512     // are asked of the system
	lengthBytes = 4       // in front of every record: its length, these bytes included
)

// storage is where all buckets of one engine keep their slabs: in memory up to a limit, then in one
// spill file.
type storage struct {
	spill Spill
	limit int64 // of bytes in memory; 0: none
	held  atomic.Int64

	mu   sync.Mutex
	free [][]byte // slabs to be used again
	file SpillFile
	end  int64
}

// buckets hold records. A record is bytes without pointers, so that a hundred million cost the garbage
// collector nothing.
type buckets struct {
	storage *storage
	all     []bucket
}

func newBuckets(s *storage, n int) *buckets { return &buckets{s, make([]bucket, n)} }

// bucket is runs of whole records: in memory, and in the spill file.
type bucket struct {
	mu      sync.Mutex
	slabs   [][]byte
	spilled []piece
	bytes   int
}

type piece struct {
	offset int64
	length int32
}

func (s *storage) get(n int) []byte {
	if n > slabBytes {
		return make([]byte, 0, n)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.free) == 0 {
		chunk := make([]byte, slabsAtOnce*slabBytes)
		for at := 0; at < len(chunk); at += slabBytes {
			s.free = append(s.free, chunk[at:at:at+slabBytes])
		}
	}
	last := len(s.free) - 1
	b := s.free[last]
	s.free = s.free[:last]
	return b[:0]
}

func (s *storage) put(b []byte) {
	if cap(b) != slabBytes {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = append(s.free, b)
}

// trim gives slabs up that nobody will fill.
func (s *storage) trim() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = nil
}

// keep takes a full slab over for a bucket, and decides where it stays.
func (s *storage) keep(data []byte, to *bucket) error {
	n := len(data)
	if s.spill == nil || s.limit == 0 || s.held.Add(int64(cap(data))) <= s.limit {
		to.mu.Lock()
		defer to.mu.Unlock()
		to.slabs = append(to.slabs, data)
		to.bytes += n
		return nil
	}
	s.held.Add(-int64(cap(data)))
	var at []piece
	for rest := data; len(rest) > 0; {
		part := rest[:min(len(rest), math.MaxInt32)]
		file, offset, err := s.reserve(len(part))
		if err == nil {
			_, err = file.WriteAt(part, offset)
		}
		if err != nil {
			return fmt.Errorf("spill %d bytes: %w", n, err)
		}
		at = append(at, piece{offset, int32(len(part))})
		rest = rest[len(part):]
	}
	s.put(data)
	to.mu.Lock()
	defer to.mu.Unlock()
	to.spilled = append(to.spilled, at...)
	to.bytes += n
	return nil
}

func (s *storage) reserve(n int) (SpillFile, int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		file, err := s.spill.Create()
		if err != nil {
			return nil, 0, err
		}
		s.file = file
	}
	offset := s.end
	s.end += int64(n)
	return s.file, offset, nil
}

func (s *storage) close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// scatterer gathers the records of one goroutine into slabs, bucket by bucket.
type scatterer struct {
	to   *buckets
	open [][]byte
}

func newScatterer(to *buckets) *scatterer { return &scatterer{to, make([][]byte, len(to.all))} }

// record returns n bytes at the end of bucket b, all of which must be written before the next call. What lies behind
// them, up to their capacity, may be written too: it is the next record's.
func (w *scatterer) record(b int, n int) ([]byte, error) {
	open := w.open[b]
	if len(open)+n > cap(open) {
		if err := w.flush(b); err != nil {
			return nil, err
		}
		open = w.to.storage.get(n)
	}
	at := len(open)
	open = open[:at+n]
	w.open[b] = open
	return open[at : at+n], nil
}

func (w *scatterer) flush(b int) error {
	data := w.open[b]
	w.open[b] = nil
	if len(data) == 0 {
		return nil
	}
	return w.to.storage.keep(data, &w.to.all[b])
}

// close hands over what is gathered.
func (w *scatterer) close() error {
	for b := range w.open {
		if err := w.flush(b); err != nil {
			return err
		}
	}
	return nil
}

// byBucket puts rows of a batch into the order of their buckets: those of one bucket then go to the same
// place, one after the other.
type byBucket struct {
	rows, ordered []hashedRow
	counts        [bucketCount]int32
}

type hashedRow struct {
	hash uint64
	row  int32
}

func (b *byBucket) reset() { b.rows = b.rows[:0] }

func (b *byBucket) add(row int, hash uint64) {
	b.rows = append(b.rows, hashedRow{hash, int32(row)})
}

func (b *byBucket) sorted() []hashedRow {
	b.ordered = grow(b.ordered, len(b.rows))
	clear(b.counts[:])
	for _, r := range b.rows {
		b.counts[bucketOf(r.hash)]++
	}
	at := int32(0)
	for i, n := range b.counts {
		b.counts[i] = at
		at += n
	}
	for _, r := range b.rows {
		to := &b.counts[bucketOf(r.hash)]
		b.ordered[*to] = r
		*to++
	}
	return b.ordered
}

// read copies a bucket's records into one run of bytes, reusing buf.
func (b *buckets) read(i int, buf []byte) ([]byte, error) {
	src := &b.all[i]
	if cap(buf) < src.bytes {
		buf = make([]byte, 0, src.bytes+src.bytes/8)
	}
	buf = buf[:src.bytes]
	at := 0
	for _, data := range src.slabs {
		at += copy(buf[at:], data)
	}
	return buf, b.storage.readBack(src.spilled, buf[at:])
}

func (s *storage) readBack(spilled []piece, to []byte) error {
	for _, p := range spilled {
		if _, err := s.file.ReadAt(to[:p.length], p.offset); err != nil {
			return fmt.Errorf("read %d spilled bytes back: %w", p.length, err)
		}
		to = to[p.length:]
	}
	return nil
}

// runs are a bucket's records in runs: slabs as they lie in memory, and what was spilled as one.
func (b *buckets) runs(i int) (runs [][]byte, err error) {
	src := &b.all[i]
	n := src.bytes
	for _, data := range src.slabs {
		n -= len(data)
	}
	if n == 0 {
		return src.slabs, nil
	}
	back := make([]byte, n)
	return append(slices.Clone(src.slabs), back), b.storage.readBack(src.spilled, back)
}

// take is read, and gives the bucket's memory back.
func (b *buckets) take(i int, buf []byte) ([]byte, error) {
	buf, err := b.read(i, buf)
	src := &b.all[i]
	for _, data := range src.slabs {
		b.storage.held.Add(-int64(cap(data)))
		b.storage.put(data)
	}
	src.slabs, src.spilled, src.bytes = nil, nil, 0
	return buf, err
}

// next is the offset after the record at at.
func next(records []byte, at int) int {
	return at + int(binary.LittleEndian.Uint32(records[at:]))
}
