package extsort

import (
	"bufio"
	"bytes"
	"cmp"
	"container/heap"
	"encoding/binary"
	"fmt"
	"io"
	"iter"
	"slices"

	"harmstack/activities/store/spill"
)

const (
	slabBytes  = 1 << 20
	entryBytes = 16
	minMemory  = 4 * slabBytes
	runBuffer  = 256 << 10
)

// Sorter takes rows in any order and gives them back in the one order. It holds no more than its memory, and spills
// what exceeds it as sorted runs. It is for one goroutine.
type Sorter struct {
	temp   spill.Folder
	memory int64

	slabs [][]byte // records, each after its length
	index []entry
	file  *spill.File
	runs  []*spill.Run
}

// entry is where a record lies; prefix is what its key begins with, for a comparison that needs no look at it.
type entry struct {
	prefix    uint64
	slab, off uint32
}

// NewSorter holds up to so many bytes of memory.
func NewSorter(temp spill.Folder, memory int64) *Sorter {
	return &Sorter{temp: temp, memory: max(memory, minMemory)}
}

// Add takes a copy of a row.
func (s *Sorter) Add(r *Row) error {
	const most = 4 // of a length
	last := len(s.slabs) - 1
	if last < 0 || cap(s.slabs[last])-len(s.slabs[last]) < slabBytes/16 {
		if int64(last+2)*slabBytes+int64(len(s.index))*entryBytes > s.memory {
			if err := s.spill(); err != nil {
				return err
			}
		}
		s.slabs = append(s.slabs, make([]byte, 0, slabBytes))
		last = len(s.slabs) - 1
	}
	slab := s.slabs[last]
	at := len(slab)
	slab = r.AppendTo(append(slab, 0, 0, 0, 0)) // a record larger than the room gets a slab of its own
	size := len(slab) - at - most
	if int64(size) > 1<<30 {
		return fmt.Errorf("a row has %d bytes: no row of an extract is that long", size)
	}
	binary.LittleEndian.PutUint32(slab[at:], uint32(size))
	s.slabs[last] = slab
	s.index = append(s.index, entry{prefix(Record(slab[at+most:]).Key()), uint32(last), uint32(at)})
	return nil
}

// prefix orders as the key's first eight bytes do.
func prefix(key []byte) uint64 {
	var first [8]byte
	copy(first[:], key)
	return binary.BigEndian.Uint64(first[:])
}

func (s *Sorter) at(e entry) Record {
	b := s.slabs[e.slab][e.off:]
	return Record(b[4 : 4+binary.LittleEndian.Uint32(b)])
}

func (s *Sorter) sort() {
	slices.SortFunc(s.index, func(a, b entry) int {
		if a.prefix != b.prefix {
			return cmp.Compare(a.prefix, b.prefix)
		}
		return Compare(s.at(a), s.at(b))
	})
}

// spill writes what is held as a sorted run.
func (s *Sorter) spill() (err error) {
	if s.file == nil {
		if s.file, err = s.temp.Create(); err != nil {
			return err
		}
	}
	s.sort()
	run := s.file.NewRun()
	w := bufio.NewWriterSize(run, runBuffer)
	for _, e := range s.index {
		b := s.slabs[e.slab][e.off:]
		if _, err := w.Write(b[:4+binary.LittleEndian.Uint32(b)]); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	s.runs = append(s.runs, run)
	s.slabs, s.index = nil, s.index[:0]
	return nil
}

// Finish ends the taking: what is sorted now need not be when the rows are asked for, perhaps in another order of
// sorters.
func (s *Sorter) Finish() error {
	if len(s.runs) > 0 && len(s.index) > 0 {
		if err := s.spill(); err != nil {
			return err
		}
		s.index = nil
		return nil
	}
	s.sort()
	return nil
}

// Records are all rows, in order, once Finish was called. A record is valid until the next.
func (s *Sorter) Records() iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		if len(s.runs) == 0 {
			for _, e := range s.index {
				if !yield(s.at(e), nil) {
					return
				}
			}
			return
		}
		var merge runs
		for _, r := range s.runs {
			c := &cursor{r: r.Reader()}
			if more, err := c.next(); err != nil {
				yield(nil, err)
				return
			} else if more {
				merge = append(merge, c)
			}
		}
		heap.Init(&merge)
		for len(merge) > 0 {
			c := merge[0]
			if !yield(c.record, nil) {
				return
			}
			more, err := c.next()
			if err != nil {
				yield(nil, err)
				return
			}
			if more {
				heap.Fix(&merge, 0)
			} else {
				heap.Pop(&merge)
			}
		}
	}
}

// Close gives back what the sorter holds.
func (s *Sorter) Close() error {
	s.slabs, s.index = nil, nil
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}

// cursor reads one run.
type cursor struct {
	r      io.Reader
	record Record
	prefix uint64
}

func (c *cursor) next() (more bool, err error) {
	var length [4]byte
	if _, err := io.ReadFull(c.r, length[:]); err == io.EOF {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("read what was spilled: %w", err)
	}
	c.record = slices.Grow(c.record[:0], int(binary.LittleEndian.Uint32(length[:])))[:binary.LittleEndian.Uint32(length[:])]
	if _, err := io.ReadFull(c.r, c.record); err != nil {
		return false, fmt.Errorf("read what was spilled: %w", err)
	}
	c.prefix = prefix(c.record.Key())
	return true, nil
}

// runs is the heap of a merge.
type runs []*cursor

func (r runs) Len() int { return len(r) }
func (r runs) Less(i, j int) bool {
	if r[i].prefix != r[j].prefix {
		return r[i].prefix < r[j].prefix
	}
	return Compare(r[i].record, r[j].record) < 0
}
func (r runs) Swap(i, j int) { r[i], r[j] = r[j], r[i] }
func (r *runs) Push(x any)   { *r = append(*r, x.(*cursor)) }
func (r *runs) Pop() any {
	last := (*r)[len(*r)-1]
	*r = (*r)[:len(*r)-1]
	return last
}

// Merge lays changed rows over a base, both in order: of an allegation that has a changed row, the base's rows go, and
// so does a row of the base that keep refuses.
func Merge(base, changed iter.Seq2[Record, error], keep func(Record) bool) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		next, stop := iter.Pull2(changed)
		defer stop()
		head, err, more := next()
		var replaced []byte // the allegation whose changed rows were given last
		any := false
		give := func() bool {
			if err != nil {
				yield(nil, err)
				return false
			}
			replaced, any = append(replaced[:0], head.Key()...), true
			if !yield(head, nil) {
				return false
			}
			head, err, more = next()
			return true
		}
		for r, baseErr := range base {
			if baseErr != nil {
				yield(nil, baseErr)
				return
			}
			for more && (err != nil || bytes.Compare(head.Key(), r.Key()) <= 0) {
				if !give() {
					return
				}
			}
			if any && bytes.Equal(replaced, r.Key()) || !keep(r) {
				continue
			}
			if !yield(r, nil) {
				return
			}
		}
		for more {
			if !give() {
				return
			}
		}
	}
}
