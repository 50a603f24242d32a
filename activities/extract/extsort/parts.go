package extsort

import (
	"context"
	"errors"
	"iter"

	"github.com/apache/arrow/go/v16/arrow"
	"github.com/apache/arrow/go/v16/arrow/array"

	"harmstack/activities/extract"
	"harmstack/schemas"
)

var errEnough = errors.New("enough")

// Records are the rows of a typed file, as they lie in it.
func Records(ctx context.Context, f *extract.File) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		s := &encoder{yield: yield}
		// One goroutine takes the row groups in order.
		err := f.Scan(ctx, 1, 0, func() extract.Sink { return s }, nil)
		if err != nil && !s.enough {
			yield(nil, err)
		}
	}
}

// encoder makes records of batches.
type encoder struct {
	yield  func(Record, error) bool
	enough bool
	buffer []byte
}

// Close has nothing to close.
func (*encoder) Close() error { return nil }

// Add encodes a batch row by row.
func (e *encoder) Add(b arrow.Record, _ int64) error {
	var columns [schemas.OffenceColumns]func(b []byte, i int) []byte
	for i := range columns {
		columns[i] = encoding(b.Column(i))
	}
	for i := range int(b.NumRows()) {
		e.buffer = e.buffer[:0]
		for c := range columns {
			e.buffer = columns[c](e.buffer, i)
		}
		if !e.yield(e.buffer, nil) {
			e.enough = true
			return errEnough
		}
	}
	return nil
}

// encoding appends a column's value.
func encoding(column arrow.Array) func(b []byte, i int) []byte {
	var some func(b []byte, i int) []byte
	switch c := column.(type) {
	case *array.String:
		some = func(b []byte, i int) []byte { return appendText(b, view(c.Value(i))) }
	case *array.Dictionary:
		entries, indexes := c.Dictionary().(*array.String), c.Indices().(*array.Int32).Int32Values()
		some = func(b []byte, i int) []byte { return appendText(b, view(entries.Value(int(indexes[i])))) }
	case *array.Int32:
		some = func(b []byte, i int) []byte { return appendInt32(b, c.Value(i)) }
	case *array.Timestamp:
		some = func(b []byte, i int) []byte { return appendInt64(b, int64(c.Value(i))) }
	case *array.Boolean:
		some = func(b []byte, i int) []byte { return appendBool(b, c.Value(i)) }
	}
	if column.NullN() == 0 {
		return some
	}
	return func(b []byte, i int) []byte {
		if column.IsNull(i) {
			return append(b, 0)
		}
		return some(b, i)
	}
}
