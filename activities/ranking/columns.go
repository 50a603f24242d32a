package ranking

import (
	"fmt"
	"reflect"
	"unsafe"

	"github.com/parquet-go/parquet-go"
)

// column turns one column of rows into values: one by one through the library's generic writer, a row
// costs three times as much.
type column struct {
	offset uintptr
	fill   filler
}

// columnsOf lists the columns of a row type in the order of its schema. A row is a flat struct of the
// types below; anything else is a mistake of the program.
func columnsOf[T any]() []column {
	t := reflect.TypeFor[T]()
	columns := make([]column, t.NumField())
	for i := range columns {
		f := t.Field(i)
		columns[i] = column{f.Offset, fillers[f.Type]}
		if columns[i].fill == nil {
			panic(fmt.Sprintf("ranking: no column is made of a field of type %s", f.Type))
		}
	}
	return columns
}

// filler makes the values of n rows, of which the first has its field at the pointer and the next stride
// bytes on.
type filler = func(values []parquet.Value, field unsafe.Pointer, stride uintptr, n int) []parquet.Value

var fillers = map[reflect.Type]filler{
	reflect.TypeFor[int64](): func(values []parquet.Value, field unsafe.Pointer, stride uintptr, n int) []parquet.Value {
		values = values[:n]
		for i := range values {
			values[i] = parquet.Int64Value(*(*int64)(field))
			field = unsafe.Add(field, stride)
		}
		return values
	},
	reflect.TypeFor[float64](): func(values []parquet.Value, field unsafe.Pointer, stride uintptr, n int) []parquet.Value {
		values = values[:n]
		for i := range values {
			values[i] = parquet.DoubleValue(*(*float64)(field))
			field = unsafe.Add(field, stride)
		}
		return values
	},
	reflect.TypeFor[bool](): func(values []parquet.Value, field unsafe.Pointer, stride uintptr, n int) []parquet.Value {
		values = values[:n]
		for i := range values {
			values[i] = parquet.BooleanValue(*(*bool)(field))
			field = unsafe.Add(field, stride)
		}
		return values
	},
	reflect.TypeFor[string](): func(values []parquet.Value, field unsafe.Pointer, stride uintptr, n int) []parquet.Value {
		values = values[:n]
		for i := range values {
			values[i] = textValue(*(*string)(field))
			field = unsafe.Add(field, stride)
		}
		return values
	},
	reflect.TypeFor[*int64]():   optional(parquet.Int64Value),
	reflect.TypeFor[*float64](): optional(parquet.DoubleValue),
	reflect.TypeFor[*bool]():    optional(parquet.BooleanValue),
	reflect.TypeFor[*int32]():   optional(parquet.Int32Value),
	reflect.TypeFor[[]byte]():   raw,
	reflect.TypeFor[*string]():  optional(textValue),
	reflect.TypeFor[[]string](): list,
}

func textValue(s string) parquet.Value {
	return parquet.ByteArrayValue(unsafe.Slice(unsafe.StringData(s), len(s)))
}

func optional[V any](value func(V) parquet.Value) filler {
	return func(values []parquet.Value, field unsafe.Pointer, stride uintptr, n int) []parquet.Value {
		values = values[:n]
		for i := range values {
			if v := *(**V)(field); v != nil {
				values[i] = value(*v).Level(0, 1, 0)
			} else {
				values[i] = parquet.Value{}
			}
			field = unsafe.Add(field, stride)
		}
		return values
	}
}

// raw is optional bytes: nil is null, which the library's own writer tells from empty only mostly.
func raw(values []parquet.Value, field unsafe.Pointer, stride uintptr, n int) []parquet.Value {
	values = values[:n]
	for i := range values {
		if b := *(*[]byte)(field); b != nil {
			values[i] = parquet.ByteArrayValue(b).Level(0, 1, 0)
		} else {
			values[i] = parquet.Value{}
		}
		field = unsafe.Add(field, stride)
	}
	return values
}

func list(values []parquet.Value, field unsafe.Pointer, stride uintptr, n int) []parquet.Value {
	for range n {
		texts := *(*[]string)(field)
		if len(texts) == 0 {
			values = append(values, parquet.Value{})
		}
		for i, s := range texts {
			values = append(values, textValue(s).Level(min(i, 1), 1, 0))
		}
		field = unsafe.Add(field, stride)
	}
	return values
}
