package rowfile

import (
	"fmt"
	"io"
	"math"
	"reflect"
	"unsafe"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// leaf is a column of a file: where its values stand in a row, and how the schema wants them kept.
type leaf struct {
	offset   uintptr
	fill     filler
	kind     format.Type
	path     []string
	optional bool
	list     bool
	delta    bool // whole numbers that hardly change from row to row
	raw      bool // neither numbered nor compressed
}

// values are those of one column in some rows.
type values struct {
	rows    int
	numbers []int64  // whole numbers, the bits of doubles, 0 and 1
	texts   []string // or bytes
	// Of optional columns and of lists, for each place: 1 where a value is.
	defined []byte
	// Of lists: 1 where the value belongs to the same row as the one before.
	repeated []byte
}

func (v *values) reset(rows int) {
	v.rows, v.numbers, v.texts, v.defined, v.repeated = rows, v.numbers[:0], v.texts[:0], v.defined[:0], v.repeated[:0]
}

// layout lists the columns of a row type in the order of its schema, with the footer of a file of no rows. A
// row is a flat struct of the types that have a filler; anything else is a mistake of the program.
func layout[T any]() ([]leaf, *format.FileMetaData) {
	empty := parquet.NewGenericWriter[T](
		io.Discard,
		parquet.CreatedBy("harmstack", "1", ""),
	) // no version: a new release must not change the bytes of an old night
	if err := empty.Close(); err != nil {
		panic(err)
	}
	schema := empty.Schema()
	t := reflect.TypeFor[T]()
	leaves := make([]leaf, t.NumField())
	for i, path := range schema.Columns() {
		f := t.Field(i)
		column, _ := schema.Lookup(path...)
		raw := column.Node.Compression() != nil && column.Node.Compression().CompressionCodec() == format.Uncompressed
		delta := column.Node.Encoding() != nil && column.Node.Encoding().Encoding() == format.DeltaBinaryPacked
		leaves[i] = leaf{
			offset:   f.Offset,
			fill:     fillers[f.Type],
			kind:     format.Type(column.Node.Type().Kind()),
			path:     path,
			optional: column.MaxDefinitionLevel > 0,
			list:     column.MaxRepetitionLevel > 0,
			delta:    delta,
			raw:      raw,
		}
		if leaves[i].fill == nil {
			panic(fmt.Sprintf("ranking: no column is made of a field of type %s", f.Type))
		}
	}
	return leaves, empty.File().Metadata()
}

// filler takes the values of n rows, of which the first has its field at the pointer and the next stride bytes on. No
// pointer is ever made behind the last of them: another allocation may lie there.
type filler = func(v *values, first unsafe.Pointer, stride uintptr, n int)

// fieldOf is the field of a row, as filler has them.
func fieldOf[V any](first unsafe.Pointer, stride uintptr, row int) V {
	return *(*V)(unsafe.Add(first, uintptr(row)*stride))
}

var fillers = map[reflect.Type]filler{
	reflect.TypeFor[int64](): required(func(v *values, n int64) { v.numbers = append(v.numbers, n) }),
	reflect.TypeFor[float64](): required(
		func(v *values, f float64) { v.numbers = append(v.numbers, int64(math.Float64bits(f))) },
	),
	reflect.TypeFor[bool]():   required(func(v *values, b bool) { v.numbers = append(v.numbers, oneIf(b)) }),
	reflect.TypeFor[string](): required(func(v *values, s string) { v.texts = append(v.texts, s) }),
	reflect.TypeFor[*int64](): optional(func(v *values, n int64) { v.numbers = append(v.numbers, n) }),
	reflect.TypeFor[*float64](): optional(
		func(v *values, f float64) { v.numbers = append(v.numbers, int64(math.Float64bits(f))) },
	),
	reflect.TypeFor[*bool]():    optional(func(v *values, b bool) { v.numbers = append(v.numbers, oneIf(b)) }),
	reflect.TypeFor[*int32]():   optional(func(v *values, n int32) { v.numbers = append(v.numbers, int64(n)) }),
	reflect.TypeFor[*string]():  optional(func(v *values, s string) { v.texts = append(v.texts, s) }),
	reflect.TypeFor[[]byte]():   bytesOrNull,
	reflect.TypeFor[[]string](): list,
}

func oneIf(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func required[V any](take func(*values, V)) filler {
	return func(v *values, first unsafe.Pointer, stride uintptr, n int) {
		for i := range n {
			take(v, fieldOf[V](first, stride, i))
		}
	}
}

func optional[V any](take func(*values, V)) filler {
	return func(v *values, first unsafe.Pointer, stride uintptr, n int) {
		for i := range n {
			p := fieldOf[*V](first, stride, i)
			v.defined = append(v.defined, byte(oneIf(p != nil)))
			if p != nil {
				take(v, *p)
			}
		}
	}
}

// bytesOrNull takes nil for null.
func bytesOrNull(v *values, first unsafe.Pointer, stride uintptr, n int) {
	for i := range n {
		b := fieldOf[[]byte](first, stride, i)
		v.defined = append(v.defined, byte(oneIf(b != nil)))
		if b != nil {
			v.texts = append(v.texts, unsafe.String(unsafe.SliceData(b), len(b)))
		}
	}
}

func list(v *values, first unsafe.Pointer, stride uintptr, n int) {
	for row := range n {
		texts := fieldOf[[]string](first, stride, row)
		if len(texts) == 0 {
			v.defined, v.repeated = append(v.defined, 0), append(v.repeated, 0)
		}
		for i := range texts {
			v.defined, v.repeated = append(v.defined, 1), append(v.repeated, byte(min(i, 1)))
		}
		v.texts = append(v.texts, texts...)
	}
}
