package extract

import (
	"bytes"
	"cmp"
	"io"
	"slices"
	"sync"
	"unsafe"

	"github.com/apache/arrow/go/v16/arrow"
	"github.com/apache/arrow/go/v16/arrow/array"
	"github.com/parquet-go/parquet-go"

	"harmstack/schemas"
)

// view looks at a string's bytes without copying them.
func view(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// Quarantine gathers the rows that take no part, from many goroutines, as they were read.
type Quarantine struct {
	mu   sync.Mutex
	rows []schemas.Quarantine
}

// Add copies one row of a batch.
func (q *Quarantine) Add(batch arrow.Record, index int, row int64, reason string) {
	r := schemas.Quarantine{Row: row, Reason: reason}
	for i, to := range []**int32{schemas.SuspectAge: &r.SuspectAge, schemas.VictimAge: &r.VictimAge} {
		if to != nil {
			*to = valueOf(batch.Column(i).(*array.Int32), index, (*array.Int32).Value)
		}
	}
	for i, to := range []**int64{schemas.ReportedAt: &r.ReportedAt, schemas.CommittedAt: &r.CommittedAt, schemas.UpdatedAt: &r.UpdatedAt} {
		if to != nil {
			*to = valueOf(batch.Column(i).(*array.Timestamp), index, func(c *array.Timestamp, i int) int64 { return int64(c.Value(i)) })
		}
	}
	r.DomesticAbuse = valueOf(batch.Column(schemas.DomesticAbuse).(*array.Boolean), index, (*array.Boolean).Value)
	for i, to := range []*[]byte{
		schemas.AllegationID: &r.AllegationID, schemas.ReportID: &r.ReportID, schemas.SuspectID: &r.SuspectID,
		schemas.SuspectStatus: &r.SuspectStatus, schemas.OffenceCode: &r.OffenceCode, schemas.OffenceClass: &r.OffenceClass,
		schemas.OffenceURN: &r.OffenceURN, schemas.BoroughName: &r.Borough, schemas.VictimID: &r.VictimID,
		schemas.VictimSex: &r.VictimSex, schemas.Source: &r.Source, schemas.Outcome: &r.Outcome,
	} {
		if to != nil {
			*to = textOf(batch.Column(i), index)
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.rows = append(q.rows, r)
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
	slices.SortFunc(q.rows, func(a, b schemas.Quarantine) int { return cmp.Compare(a.Row, b.Row) })
	out := parquet.NewGenericWriter[schemas.Quarantine](w, parquet.CreatedBy("harmstack", "1", ""), parquet.Compression(&parquet.Snappy))
	if _, err := out.Write(q.rows); err != nil {
		return 0, err
	}
	return int64(len(q.rows)), out.Close()
}
