// Package bucket holds records by the hash of their key: many goroutines scatter them into buckets, in memory up to a
// limit and then in one spill file, and each bucket is then read as one run of bytes.
//
// A record is bytes that begin with their own length; what else is in it, the package must not know.
package bucket

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"

	"harmstack/activities/store/spill"
)

// Spill lends storage for what does not fit the memory budget. The storage is the engine's alone and
// is given back by Close.
type Spill interface {
	Create() (*spill.File, error)
}

const (
	Count       = 512     // by hash, so that a bucket of ten million rows fits a processor's cache
	slabBytes   = 8 << 10 // what a goroutine gathers for one bucket before it hands it over
	slabsAtOnce = 512     // are asked of the system
	LengthBytes = 4       // in front of every record: its length, these bytes included
)

// Storage is where all buckets of one engine keep their slabs: in memory up to a limit, then in one
// spill file.
type Storage struct {
	spill Spill
	limit int64 // of bytes in memory; 0: none
	held  atomic.Int64

	mu   sync.Mutex
	free [][]byte // slabs to be used again
	file *spill.File
}

// Set is buckets that hold records. A record is bytes without pointers, so that a hundred million cost the garbage
// collector nothing.
type Set struct {
	storage *Storage
	all     []bucket
}

// NewSet returns n empty buckets.
func NewSet(s *Storage, n int) *Set { return &Set{s, make([]bucket, n)} }

// bucket is runs of whole records: in memory, and in the spill file.
type bucket struct {
	mu      sync.Mutex
	slabs   [][]byte
	spilled []spill.Piece
	bytes   int
}

// NewStorage returns storage that keeps limit bytes in memory and puts the rest into a file lent by spill. With no
// spill, or a limit of 0, all stays in memory.
func NewStorage(spill Spill, limit int64) *Storage { return &Storage{spill: spill, limit: limit} }

func (s *Storage) get(n int) []byte {
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

func (s *Storage) put(b []byte) {
	if cap(b) != slabBytes {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = append(s.free, b)
}

// Trim gives slabs up that nobody will fill.
func (s *Storage) Trim() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = nil
}

// keep takes a full slab over for a bucket, and decides where it stays.
func (s *Storage) keep(data []byte, to *bucket) error {
	n := len(data)
	if s.spill == nil || s.limit == 0 || s.held.Add(int64(cap(data))) <= s.limit {
		to.mu.Lock()
		defer to.mu.Unlock()
		to.slabs = append(to.slabs, data)
		to.bytes += n
		return nil
	}
	s.held.Add(-int64(cap(data)))
	file, err := s.lent()
	if err != nil {
		return fmt.Errorf("spill %d bytes: %w", n, err)
	}
	var at []spill.Piece
	for rest := data; len(rest) > 0; {
		part := rest[:min(len(rest), spill.MaxPiece)]
		p, err := file.Put(part)
		if err != nil {
			return err
		}
		at = append(at, p)
		rest = rest[len(part):]
	}
	s.put(data)
	to.mu.Lock()
	defer to.mu.Unlock()
	to.spilled = append(to.spilled, at...)
	to.bytes += n
	return nil
}

func (s *Storage) lent() (_ *spill.File, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		s.file, err = s.spill.Create()
	}
	return s.file, err
}

// Close gives what was lent back.
func (s *Storage) Close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// Scatterer gathers the records of one goroutine into slabs, bucket by bucket.
type Scatterer struct {
	to   *Set
	open [][]byte
}

// NewScatterer returns one for one goroutine.
func NewScatterer(to *Set) *Scatterer { return &Scatterer{to, make([][]byte, len(to.all))} }

// Record returns n bytes at the end of bucket b, all of which must be written before the next call. What lies behind
// them, up to their capacity, may be written too: it is the next record's.
func (w *Scatterer) Record(b int, n int) ([]byte, error) {
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

func (w *Scatterer) flush(b int) error {
	data := w.open[b]
	w.open[b] = nil
	if len(data) == 0 {
		return nil
	}
	return w.to.storage.keep(data, &w.to.all[b])
}

// Close hands over what is gathered.
func (w *Scatterer) Close() error {
	for b := range w.open {
		if err := w.flush(b); err != nil {
			return err
		}
	}
	return nil
}

// Rows puts rows of a batch into the order of their buckets: those of one bucket then go to the same
// place, one after the other.
type Rows struct {
	rows, ordered []HashedRow
	counts        [Count]int32
}

// HashedRow is a row of a batch and the hash of its key.
type HashedRow struct {
	Hash uint64
	Row  int32
}

// Reset begins another batch.
func (b *Rows) Reset() { b.rows = b.rows[:0] }

// Add takes in a row by its hash.
func (b *Rows) Add(row int, hash uint64) {
	b.rows = append(b.rows, HashedRow{hash, int32(row)})
}

// Keep leaves the rows that some are picked of, in place.
func (b *Rows) Keep(pick func([]HashedRow) []HashedRow) { b.rows = pick(b.rows) }

// Sorted returns the rows by bucket; valid until the next call.
func (b *Rows) Sorted() []HashedRow {
	b.ordered = slices.Grow(b.ordered[:0], len(b.rows))[:len(b.rows)]
	clear(b.counts[:])
	for _, r := range b.rows {
		b.counts[Of(r.Hash)]++
	}
	at := int32(0)
	for i, n := range b.counts {
		b.counts[i] = at
		at += n
	}
	for _, r := range b.rows {
		to := &b.counts[Of(r.Hash)]
		b.ordered[*to] = r
		*to++
	}
	return b.ordered
}

// Read copies a bucket's records into one run of bytes, reusing buf.
func (b *Set) Read(i int, buf []byte) ([]byte, error) {
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

func (s *Storage) readBack(spilled []spill.Piece, to []byte) error {
	for _, p := range spilled {
		if err := s.file.Get(to, p); err != nil {
			return err
		}
		to = to[p.Len():]
	}
	return nil
}

// Runs are a bucket's records in runs: slabs as they lie in memory, and what was spilled as one.
func (b *Set) Runs(i int) (runs [][]byte, err error) {
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

// Take is Read, and gives the bucket's memory back.
func (b *Set) Take(i int, buf []byte) ([]byte, error) {
	buf, err := b.Read(i, buf)
	src := &b.all[i]
	for _, data := range src.slabs {
		b.storage.held.Add(-int64(cap(data)))
		b.storage.put(data)
	}
	src.slabs, src.spilled, src.bytes = nil, nil, 0
	return buf, err
}

// Next is the offset after the record at at.
func Next(records []byte, at int) int {
	return at + int(binary.LittleEndian.Uint32(records[at:]))
}

// Hash spreads keys over buckets. It is the same in every process, so that buckets of several workers
// fit together. The low bits choose the bucket, the high ones stand in the record.
func Hash(key []byte) uint64 {
	// Ids are short, and each is hashed three times.
	if n := len(key); n >= 8 && n <= 16 {
		const a, b, c = 0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb // from SplitMix64
		hi, lo := bits.Mul64(binary.LittleEndian.Uint64(key)^a, binary.LittleEndian.Uint64(key[n-8:])^b)
		hi, lo = bits.Mul64(hi^lo^uint64(n), c)
		return hi ^ lo
	}
	return xxhash.Sum64(key)
}

// Of is the bucket of a hash.
func Of(hash uint64) int { return int(hash % Count) }
