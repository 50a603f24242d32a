// Package extsort is the external sort of an extract: it puts typed offences into one order that depends on nothing but
// the rows themselves, within a memory budget, and writes them as a Parquet file of the contract. Rows that a database
// gives in any order, by any number of connections, so become equal bytes; and so do rows that were read earlier with
// others merged into them.
//
// The order: by allegation_id, by bytes, those without one first; rows of one allegation by all their values. It must
// not know where the rows come from, nor the rules.
package extsort

import (
	"bytes"
	"encoding/binary"
	"errors"
	"unsafe"

	"github.com/parquet-go/parquet-go"

	"harmstack/schemas"
)

// Row is the values of one offence, in the contract's columns.
type Row [schemas.OffenceColumns]parquet.Value

// Record is a row as bytes: equal rows are equal bytes, and it tells its own length.
type Record []byte

// AppendTo adds the row's record to b.
func (r *Row) AppendTo(b []byte) []byte {
	for i := range r {
		v := &r[i]
		switch kind := schemas.Offences[i].Type; {
		case v.IsNull():
			b = append(b, 0)
		case kind == schemas.String:
			b = appendText(b, v.ByteArray())
		case kind == schemas.Int32:
			b = appendInt32(b, v.Int32())
		case kind == schemas.Bool:
			b = appendBool(b, v.Boolean())
		case kind == schemas.Timestamp:
			b = appendInt64(b, v.Int64())
		}
	}
	return b
}

func appendText(b, text []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))+1), text...)
}
func appendInt32(b []byte, n int32) []byte {
	return binary.LittleEndian.AppendUint32(append(b, 1), uint32(n))
}
func appendInt64(b []byte, n int64) []byte {
	return binary.LittleEndian.AppendUint64(append(b, 1), uint64(n))
}

func appendBool(b []byte, is bool) []byte {
	if is {
		return append(b, 2)
	}
	return append(b, 1)
}

// Key is the allegation_id; nil when there is none.
func (r Record) Key() []byte {
	n, size := binary.Uvarint(r)
	if n == 0 {
		return nil
	}
	return r[size : size+int(n)-1]
}

// Compare orders records.
func Compare(a, b Record) int {
	if c := bytes.Compare(a.Key(), b.Key()); c != 0 {
		return c
	}
	return bytes.Compare(a, b)
}

// Time is the microseconds of a timestamp's column; ok is false for a null.
func (r Record) Time(column int) (micros int64, ok bool) {
	at := 0
	for i := range column {
		at += fieldSize(r[at:], schemas.Offences[i].Type)
	}
	if r[at] == 0 {
		return 0, false
	}
	return int64(binary.LittleEndian.Uint64(r[at+1:])), true
}

func fieldSize(b []byte, kind schemas.ColumnType) int {
	switch {
	case b[0] == 0 || kind == schemas.Bool:
		return 1
	case kind == schemas.Int32:
		return 5
	case kind == schemas.Timestamp:
		return 9
	}
	n, size := binary.Uvarint(b)
	return size + int(n) - 1
}

// decode adds a record's values to the columns, as views of it, and returns the bytes after it.
func decode(b []byte, columns *[schemas.OffenceColumns][]parquet.Value) []byte {
	for i := range columns {
		kind := schemas.Offences[i].Type
		size := fieldSize(b, kind)
		v := parquet.Value{}
		switch {
		case b[0] == 0:
		case kind == schemas.String:
			n, _ := binary.Uvarint(b)
			v = parquet.ByteArrayValue(b[size-int(n)+1:size:size]).Level(0, 1, 0)
		case kind == schemas.Int32:
			v = parquet.Int32Value(int32(binary.LittleEndian.Uint32(b[1:]))).Level(0, 1, 0)
		case kind == schemas.Bool:
			v = parquet.BooleanValue(b[0] == 2).Level(0, 1, 0)
		case kind == schemas.Timestamp:
			v = parquet.Int64Value(int64(binary.LittleEndian.Uint64(b[1:]))).Level(0, 1, 0)
		}
		columns[i] = append(columns[i], v)
		b = b[size:]
	}
	return b
}

// view is a text's bytes, which nobody may change.
func view(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// errOrder would mean that a range gave rows of another.
var errOrder = errors.New("rows came out of order: run it again, and report it if it comes again")
