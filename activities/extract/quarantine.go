package extract

import (
	"bufio"
	"bytes"
	"cmp"
	"container/heap"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"sync"
	"unsafe"

	"github.com/apache/arrow/go/v16/arrow"
	"github.com/apache/arrow/go/v16/arrow/array"

	"harmstack/activities/store/rowfile"
	"harmstack/activities/store/spill"
	"harmstack/schemas"
)

// view looks at a string's bytes without copying them.
func view(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// Quarantine gathers the rows that take no part, from many goroutines, as they were read. A whole extract
// may end up here: most of it waits in a temporary file, in runs that are merged in the end. It must be closed.
type Quarantine struct {
	Temp spill.Folder

	mu   sync.Mutex
	rows []schemas.Quarantine // the last ones
	held int                  // bytes of their texts
	file *spill.File
	runs []*spill.Run // of rows in the order of the extract
}

const (
	heldRows  = 8 << 10  // wait in memory
	heldBytes = 16 << 20 // of texts, at most
	readAhead = 8 << 10  // bytes of each run, in the end
)

// fields points to the fields of a row, by column.
func fields(r *schemas.Quarantine) [schemas.OffenceColumns]any {
	return [schemas.OffenceColumns]any{
		schemas.AllegationID: &r.AllegationID, schemas.ReportID: &r.ReportID, schemas.SuspectID: &r.SuspectID,
		schemas.SuspectAge: &r.SuspectAge, schemas.SuspectStatus: &r.SuspectStatus, schemas.OffenceCode: &r.OffenceCode,
		schemas.OffenceClass: &r.OffenceClass, schemas.OffenceURN: &r.OffenceURN, schemas.ReportedAt: &r.ReportedAt,
		schemas.CommittedAt: &r.CommittedAt, schemas.BoroughName: &r.Borough, schemas.VictimID: &r.VictimID,
		schemas.VictimSex: &r.VictimSex, schemas.VictimAge: &r.VictimAge, schemas.DomesticAbuse: &r.DomesticAbuse,
		schemas.Source: &r.Source, schemas.Outcome: &r.Outcome, schemas.UpdatedAt: &r.UpdatedAt, schemas.Handling: &r.Handling,
	}
}

func init() {
	all := fields(new(schemas.Quarantine))
	schemas.MustHaveEvery("extract: fields", func(column int) bool { return all[column] != nil })
}

// Add copies one row of a batch.
func (q *Quarantine) Add(batch arrow.Record, index int, row int64, reason string) error {
	r, size := schemas.Quarantine{Row: row, Reason: reason}, 0
	for i, to := range fields(&r) {
		switch column := batch.Column(i); to := to.(type) {
		case *[]byte:
			*to = textOf(column, index)
			size += len(*to)
		case **int32:
			*to = valueOf(column.(*array.Int32), index, (*array.Int32).Value)
		case **int64:
			*to = valueOf(column.(*array.Timestamp), index, func(c *array.Timestamp, i int) int64 { return int64(c.Value(i)) })
		case **bool:
			*to = valueOf(column.(*array.Boolean), index, (*array.Boolean).Value)
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.rows) == heldRows || q.held+size > heldBytes {
		if err := q.spill(); err != nil {
			return err
		}
	}
	q.rows = append(q.rows, r)
	q.held += size
	return nil
}

// spill moves the rows in memory to the file, as a run.
func (q *Quarantine) spill() (err error) {
	if len(q.rows) == 0 {
		return nil
	}
	if q.file == nil {
		if q.file, err = q.Temp.Create(); err != nil {
			return err
		}
	}
	q.sort()
	run := q.file.NewRun()
	w := bufio.NewWriterSize(run, readAhead)
	var packed []byte
	for i := range q.rows {
		packed = pack(append(packed[:0], 0, 0, 0, 0), &q.rows[i])
		binary.LittleEndian.PutUint32(packed, uint32(len(packed)-lengthBytes))
		if _, err := w.Write(packed); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	q.runs = append(q.runs, run)
	clear(q.rows)
	q.rows, q.held = q.rows[:0], 0
	return nil
}

func (q *Quarantine) sort() {
	slices.SortFunc(q.rows, func(a, b schemas.Quarantine) int { return cmp.Compare(a.Row, b.Row) })
}

// lengthBytes stand in front of a row in the file: how long it is.
const lengthBytes = 4

// Close gives the temporary file back.
func (q *Quarantine) Close() error {
	if q.file == nil {
		return nil
	}
	return q.file.Close()
}

func valueOf[A arrow.Array, T any](col A, i int, value func(A, int) T) *T {
	if col.IsNull(i) {
		return nil
	}
	v := value(col, i)
	return &v
}

func textOf(col arrow.Array, i int) []byte {
	if col.IsNull(i) {
		return nil
	}
	if d, ok := col.(*array.Dictionary); ok {
		return bytes.Clone(view(d.Dictionary().(*array.String).Value(d.GetValueIndex(i))))
	}
	return bytes.Clone(view(col.(*array.String).Value(i)))
}

// Write writes quarantine.parquet: the rows gathered, in the order of the extract.
func (q *Quarantine) Write(w io.Writer) (int64, error) {
	return rowfile.WriteAll(w, func(yield func([]schemas.Quarantine) error) error {
		if q.file == nil {
			q.sort()
			return yield(q.rows)
		}
		if err := q.spill(); err != nil {
			return err
		}
		return q.merge(yield)
	})
}

// merge yields the rows of all runs in order.
func (q *Quarantine) merge(yield func([]schemas.Quarantine) error) error {
	var heads heads
	for _, r := range q.runs {
		h := &head{in: r.Reader()}
		if err := h.next(); err != nil { // a run has a row
			return err
		}
		heads = append(heads, h)
	}
	heap.Init(&heads)
	rows := make([]schemas.Quarantine, 0, BatchRows)
	for len(heads) > 0 {
		rows = append(rows, heads[0].row)
		switch err := heads[0].next(); err {
		case nil:
			heap.Fix(&heads, 0)
		case io.EOF:
			heap.Pop(&heads)
		default:
			return err
		}
		if len(rows) == cap(rows) || len(heads) == 0 {
			if err := yield(rows); err != nil {
				return err
			}
			rows = rows[:0]
		}
	}
	return nil
}

// head is the first row of a run that was not yet taken.
type head struct {
	in  io.Reader
	row schemas.Quarantine
}

// next reads the next row, or returns io.EOF.
func (h *head) next() error {
	var length [lengthBytes]byte
	if _, err := io.ReadFull(h.in, length[:]); err == io.EOF {
		return err
	} else if err != nil {
		return fmt.Errorf("read quarantined rows back: %w", err)
	}
	text := make([]byte, binary.LittleEndian.Uint32(length[:])) // the row's texts are views of it
	if _, err := io.ReadFull(h.in, text); err != nil {
		return fmt.Errorf("read quarantined rows back: %w", err)
	}
	h.row = unpack(text)
	return nil
}

// heads is the heap of a merge.
type heads []*head

func (h heads) Len() int           { return len(h) }
func (h heads) Less(i, j int) bool { return h[i].row.Row < h[j].row.Row }
func (h heads) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *heads) Push(x any)        { *h = append(*h, x.(*head)) }
func (h *heads) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// pack appends a row as it waits in the file: the reason, then every field with a byte or a length of 0 for null.
func pack(b []byte, r *schemas.Quarantine) []byte {
	b = binary.AppendVarint(b, r.Row)
	b = append(binary.AppendUvarint(b, uint64(len(r.Reason))), r.Reason...)
	for _, field := range fields(r) {
		switch v := field.(type) {
		case *[]byte:
			if *v == nil {
				b = append(b, 0)
			} else {
				b = append(binary.AppendUvarint(b, uint64(len(*v))+1), *v...)
			}
		case **int32:
			b = packNumber(b, *v)
		case **int64:
			b = packNumber(b, *v)
		case **bool:
			switch {
			case *v == nil:
				b = append(b, 0)
			case **v:
				b = append(b, 2)
			default:
				b = append(b, 1)
			}
		}
	}
	return b
}

func packNumber[T int32 | int64](b []byte, n *T) []byte {
	if n == nil {
		return append(b, 0)
	}
	return binary.AppendVarint(append(b, 1), int64(*n))
}

// unpack reads what pack wrote; the texts are views of b.
func unpack(b []byte) (r schemas.Quarantine) {
	cut := func(n int) []byte {
		part := b[:n:n]
		b = b[n:]
		return part
	}
	length := func() int {
		n, size := binary.Uvarint(b)
		b = b[size:]
		return int(n)
	}
	number := func() int64 {
		n, size := binary.Varint(b)
		b = b[size:]
		return n
	}
	r.Row = number()
	r.Reason = string(cut(length()))
	for _, field := range fields(&r) {
		there := length()
		if there == 0 {
			continue
		}
		switch v := field.(type) {
		case *[]byte:
			*v = cut(there - 1)
		case **int32:
			*v = new(int32(number()))
		case **int64:
			*v = new(number())
		case **bool:
			*v = new(there == 2)
		}
	}
	return r
}
