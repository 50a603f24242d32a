package extract

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"sync"
	"unsafe"

	"github.com/apache/arrow/go/v16/arrow"
	"github.com/apache/arrow/go/v16/arrow/array"

	"harmstack/activities/ranking"
	"harmstack/activities/spill"
	"harmstack/schemas"
)

// view looks at a string's bytes without copying them.
func view(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// Quarantine gathers the rows that take no part, from many goroutines, as they were read. A whole extract
// may end up here: most of it waits in a temporary file. It must be closed.
type Quarantine struct {
	Temp spill.Folder

	mu   sync.Mutex
	rows []schemas.Quarantine // the last ones
	file spill.File
	kept []keptRow // where the others stand in the file
	end  int64
}

type keptRow struct {
	row, offset int64
	length      int32
}

// heldRows is how many rows wait in memory.
const heldRows = 8 << 10

// The fields of a row by column, of each type those that have it.
func texts(r *schemas.Quarantine) [schemas.OffenceColumns]*[]byte {
	return [schemas.OffenceColumns]*[]byte{
		schemas.AllegationID: &r.AllegationID, schemas.ReportID: &r.ReportID, schemas.SuspectID: &r.SuspectID,
		schemas.SuspectStatus: &r.SuspectStatus, schemas.OffenceCode: &r.OffenceCode, schemas.OffenceClass: &r.OffenceClass,
		schemas.OffenceURN: &r.OffenceURN, schemas.BoroughName: &r.Borough, schemas.VictimID: &r.VictimID,
		schemas.VictimSex: &r.VictimSex, schemas.Source: &r.Source, schemas.Outcome: &r.Outcome,
	}
}

func ages(r *schemas.Quarantine) [schemas.OffenceColumns]**int32 {
	return [schemas.OffenceColumns]**int32{schemas.SuspectAge: &r.SuspectAge, schemas.VictimAge: &r.VictimAge}
}

func times(r *schemas.Quarantine) [schemas.OffenceColumns]**int64 {
	return [schemas.OffenceColumns]**int64{schemas.ReportedAt: &r.ReportedAt, schemas.CommittedAt: &r.CommittedAt, schemas.UpdatedAt: &r.UpdatedAt}
}

// Add copies one row of a batch.
func (q *Quarantine) Add(batch arrow.Record, index int, row int64, reason string) error {
	r := schemas.Quarantine{Row: row, Reason: reason}
	for i, to := range ages(&r) {
		if to != nil {
			*to = valueOf(batch.Column(i).(*array.Int32), index, (*array.Int32).Value)
		}
	}
	for i, to := range times(&r) {
		if to != nil {
			*to = valueOf(batch.Column(i).(*array.Timestamp), index, func(c *array.Timestamp, i int) int64 { return int64(c.Value(i)) })
		}
	}
	r.DomesticAbuse = valueOf(batch.Column(schemas.DomesticAbuse).(*array.Boolean), index, (*array.Boolean).Value)
	for i, to := range texts(&r) {
		if to != nil {
			*to = textOf(batch.Column(i), index)
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.rows) == heldRows {
		if err := q.spill(); err != nil {
			return err
		}
	}
	q.rows = append(q.rows, r)
	return nil
}

// spill moves the rows in memory to the file.
func (q *Quarantine) spill() (err error) {
	if q.file == nil {
		if q.file, err = q.Temp.Create(); err != nil {
			return err
		}
	}
	var all []byte
	for i := range q.rows {
		at := len(all)
		all = pack(all, &q.rows[i])
		q.kept = append(q.kept, keptRow{q.rows[i].Row, q.end + int64(at), int32(len(all) - at)})
	}
	if _, err := q.file.WriteAt(all, q.end); err != nil {
		return fmt.Errorf("spill quarantined rows: %w", err)
	}
	q.end += int64(len(all))
	q.rows = q.rows[:0]
	return nil
}

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
	total := int64(len(q.rows) + len(q.kept))
	if q.file != nil {
		if err := q.spill(); err != nil {
			return 0, err
		}
	}
	slices.SortFunc(q.rows, func(a, b schemas.Quarantine) int { return cmp.Compare(a.Row, b.Row) })
	slices.SortFunc(q.kept, func(a, b keptRow) int { return cmp.Compare(a.row, b.row) })
	return ranking.WriteAll(w, func(yield func([]schemas.Quarantine) error) error {
		for from := int64(0); from < total; from += BatchRows {
			rows, err := q.between(from, min(from+BatchRows, total))
			if err == nil {
				err = yield(rows)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// between are the rows at those places in the order of the extract.
func (q *Quarantine) between(from, to int64) ([]schemas.Quarantine, error) {
	if q.file == nil {
		return q.rows[from:to], nil
	}
	rows := make([]schemas.Quarantine, to-from)
	for i, k := range q.kept[from:to] {
		text := make([]byte, k.length) // the row's texts are views of it
		if _, err := q.file.ReadAt(text, k.offset); err != nil {
			return nil, fmt.Errorf("read quarantined rows back: %w", err)
		}
		rows[i] = unpack(text)
	}
	return rows, nil
}

// pack appends a row as it waits in the file: the reason, then every field with a byte or a length of 0 for null.
func pack(b []byte, r *schemas.Quarantine) []byte {
	b = binary.AppendVarint(b, r.Row)
	b = append(binary.AppendUvarint(b, uint64(len(r.Reason))), r.Reason...)
	for _, t := range texts(r) {
		switch {
		case t == nil:
		case *t == nil:
			b = append(b, 0)
		default:
			b = append(binary.AppendUvarint(b, uint64(len(*t))+1), *t...)
		}
	}
	for _, n := range ages(r) {
		if n != nil {
			b = packNumber(b, *n)
		}
	}
	for _, n := range times(r) {
		if n != nil {
			b = packNumber(b, *n)
		}
	}
	switch {
	case r.DomesticAbuse == nil:
		return append(b, 0)
	case *r.DomesticAbuse:
		return append(b, 2)
	}
	return append(b, 1)
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
	for _, t := range texts(&r) {
		if t == nil {
			continue
		}
		if n := length(); n > 0 {
			*t = cut(n - 1)
		}
	}
	for _, n := range ages(&r) {
		if n != nil && cut(1)[0] == 1 {
			*n = new(int32)
			**n = int32(number())
		}
	}
	for _, n := range times(&r) {
		if n != nil && cut(1)[0] == 1 {
			*n = new(int64)
			**n = number()
		}
	}
	if d := cut(1)[0]; d != 0 {
		r.DomesticAbuse = new(bool)
		*r.DomesticAbuse = d == 2
	}
	return r
}
