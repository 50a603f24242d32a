package extract

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"

	"github.com/apache/arrow/go/v16/arrow"
	"github.com/apache/arrow/go/v16/arrow/array"
	"github.com/apache/arrow/go/v16/arrow/bitutil"
	"github.com/apache/arrow/go/v16/arrow/memory"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding"

	"harmstack/schemas"
)

// allocator makes the few arrays that are not views of a page.
var allocator = memory.NewGoAllocator()

// reader turns the pages of one column chunk into Arrow arrays: views of the page where its layout
// is Arrow's, spread over the nulls where it is not (Parquet stores only the values that are there).
type reader struct {
	kind   kind
	pages  parquet.Pages
	sought bool         // the next page may begin in its middle
	page   parquet.Page // nil before the first

	levels []byte // 1 where a value is there; nil when all are
	rows   int    // of the page
	row    int    // already taken
	value  int    // values already taken

	dictionary arrow.Array // of the current page, when it has one
	of         parquet.Dictionary

	// The values of the current page that are there, by kind, as the contract has them.
	int32s []int32 // numbers, and places in the dictionary
	int64s []int64
	bits   []byte

	// Scratch space: of converted values, and of rows spread over their nulls.
	converted []int64
	narrowed  []int32
	validity  []byte
	wide      []int64
	narrow    []int32
}

func newReader(chunk parquet.ColumnChunk, k kind, from int64) (*reader, error) {
	r := &reader{kind: k, pages: chunk.Pages()}
	if from > 0 {
		r.sought = true
		// Loaded, the index lets the seek skip pages; a file without one is decoded from its start.
		_, _ = chunk.OffsetIndex()
		if err := r.pages.SeekToRow(from); err != nil {
			r.pages.Close()
			return nil, err
		}
	}
	return r, nil
}

func (r *reader) close() {
	parquet.Release(r.page)
	r.page = nil
	r.pages.Close()
}

// left is how many rows of the current page are still to be taken; at the page's end it reads the
// next one, and returns io.EOF after the last.
func (r *reader) left() (int64, error) {
	for r.row == r.rows {
		if r.page != nil {
			parquet.Release(r.page)
			r.page = nil
		}
		page, err := r.pages.ReadPage()
		if err != nil {
			return 0, err
		}
		r.page, r.row, r.value, r.rows = page, 0, 0, int(page.NumValues())
		if page.NumRows() != page.NumValues() {
			return 0, fmt.Errorf("a page of %d rows holds %d values", page.NumRows(), page.NumValues())
		}
		r.levels = nil
		if page.NumNulls() > 0 {
			r.levels = page.DefinitionLevels()
			if len(r.levels) != r.rows {
				return 0, fmt.Errorf("a page of %d rows has %d levels", r.rows, len(r.levels))
			}
		}
		if err := r.load(); err != nil {
			return 0, err
		}
	}
	return int64(r.rows - r.row), nil
}

// load makes the values of a fresh page reachable.
func (r *reader) load() (err error) {
	data := r.page.Data()
	dictionary := r.page.Dictionary()
	if dictionary != nil {
		for entries, indexes := uint32(dictionary.Len()), data.Int32(); len(indexes) > 0; indexes = indexes[1:] {
			if i := uint32(indexes[0]); i >= entries {
				return fmt.Errorf("a page points to entry %d of a dictionary of %d", i, entries)
			}
		}
	}
	switch r.kind {
	case text:
		r.loadText(dictionary)
		if dictionary != nil {
			r.int32s = data.Int32()
		}
	case boolean:
		return r.loadBooleans()
	case int32s:
		r.int32s = plainValues(data, dictionary, (*encoding.Values).Int32)
	case int64s:
		r.int32s = convert(&r.narrowed, plainValues(data, dictionary, (*encoding.Values).Int64), saturate32)
	case timeMillis:
		r.int64s = convert(&r.converted, plainValues(data, dictionary, (*encoding.Values).Int64), millisToMicros)
	case timeMicros:
		r.int64s = plainValues(data, dictionary, (*encoding.Values).Int64)
	case timeNanos:
		r.int64s = convert(&r.converted, plainValues(data, dictionary, (*encoding.Values).Int64), nanosToMicros)
	case timeInt96:
		r.int64s = convert(&r.converted, plainValues(data, dictionary, (*encoding.Values).Int96), int96Micros)
	}
	return nil
}

func convert[T, U any](scratch *[]U, values []T, to func(T) U) []U {
	*scratch = grow(*scratch, len(values))
	for i, v := range values {
		(*scratch)[i] = to(v)
	}
	return *scratch
}

// plainValues are a page's numbers, looked up when the writer made a dictionary of them.
func plainValues[T any](data encoding.Values, dictionary parquet.Dictionary, of func(*encoding.Values) []T) []T {
	if dictionary == nil {
		return of(&data)
	}
	entries := dictionary.Page().Data()
	list, indexes := of(&entries), data.Int32()
	values := make([]T, len(indexes))
	for i, at := range indexes {
		values[i] = list[at]
	}
	return values
}

// loadText wraps the page's dictionary once; pages that share it share the array, so that a scorer
// judges each entry once.
func (r *reader) loadText(d parquet.Dictionary) {
	switch d {
	case nil:
		r.of, r.dictionary = nil, nil
	case r.of:
	default:
		values := d.Page().Data()
		data, offsets := values.ByteArray()
		r.of, r.dictionary = d, stringArray(offsets, data, nil, 0)
	}
}

// stringArray views n+1 offsets and their bytes as strings.
func stringArray(offsets []uint32, data, validity []byte, nulls int) arrow.Array {
	n := max(len(offsets)-1, 0)
	d := array.NewData(arrow.BinaryTypes.String, n, []*memory.Buffer{buffer(validity),
		memory.NewBufferBytes(arrow.Uint32Traits.CastToBytes(offsets)), memory.NewBufferBytes(data)}, nil, nulls, 0)
	defer d.Release()
	return array.NewStringData(d)
}

func buffer(b []byte) *memory.Buffer {
	if b == nil {
		return nil
	}
	return memory.NewBufferBytes(b)
}

// take returns the next n rows of the current page; n is at most what left returned.
func (r *reader) take(n int) (arrow.Array, error) {
	validity, values := r.valid(n)
	first := r.value
	var levels []byte
	if validity != nil {
		levels = r.levels[r.row : r.row+n]
	}
	r.row += n
	r.value += values
	nulls := n - values
	data := r.page.Data()
	switch r.kind {
	case text:
		if r.dictionary != nil {
			return r.dictionaryArray(spread(&r.narrow, r.int32s[first:first+values], levels), validity, nulls), nil
		}
		bytes, offsets := data.ByteArray()
		if len(bytes) > math.MaxInt32 {
			return nil, fmt.Errorf("a page of %d bytes is too large", len(bytes))
		}
		return stringArray(r.spreadOffsets(offsets[first:first+values+1], levels), bytes, validity, nulls), nil
	case boolean:
		return r.booleans(validity, first, n, nulls)
	case int32s, int64s:
		return fixed(arrow.PrimitiveTypes.Int32, spread(&r.narrow, r.int32s[first:first+values], levels), validity, nulls), nil
	}
	return fixed(schemas.ArrowTimestamp, spread(&r.wide, r.int64s[first:first+values], levels), validity, nulls), nil
}

// valid builds the bitmap of the next n rows and counts their values; nil when all are there.
func (r *reader) valid(n int) (bitmap []byte, values int) {
	if r.levels == nil {
		return nil, n
	}
	size := int(bitutil.BytesForBits(int64(n)))
	r.validity = grow(r.validity, size)
	clear(r.validity)
	levels := r.levels[r.row : r.row+n]
	i := 0
	for ; i+8 <= n; i += 8 {
		// Eight bytes of 0 or 1 become eight bits: the product moves byte k to bit k of the highest byte.
		r.validity[i/8] = byte(binary.LittleEndian.Uint64(levels[i:]) & 0x0101010101010101 * 0x0102040810204080 >> 56)
	}
	for ; i < n; i++ {
		r.validity[i/8] |= levels[i] & 1 << (i % 8)
	}
	for _, b := range r.validity {
		values += bits.OnesCount8(b)
	}
	return r.validity, values
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// spread copies the values that are there to the rows they belong to, where a level is 1, and zero to
// the others. Without nulls the values stay where they are.
func spread[T int32 | int64](scratch *[]T, values []T, levels []byte) []T {
	if levels == nil {
		return values
	}
	out := grow(*scratch, len(levels))
	*scratch = out
	if len(values) == 0 {
		clear(out)
		return out
	}
	// Without a branch: nobody can foretell which rows are null.
	next, last := 0, len(values)-1
	for i, level := range levels {
		out[i] = values[min(next, last)] & -T(level)
		next += int(level)
	}
	return out
}

// spreadOffsets gives null rows, where a level is 0, an empty string; the bytes stay where they are.
func (r *reader) spreadOffsets(offsets []uint32, levels []byte) []uint32 {
	if levels == nil {
		return offsets
	}
	r.narrow = grow(r.narrow, len(levels)+1)
	out := arrow.Uint32Traits.CastFromBytes(arrow.Int32Traits.CastToBytes(r.narrow))
	next := 0
	for i, level := range levels {
		out[i] = offsets[next]
		next += int(level)
	}
	out[len(levels)] = offsets[next]
	return out
}

func (r *reader) dictionaryArray(indexes []int32, validity []byte, nulls int) arrow.Array {
	d := array.NewDataWithDictionary(schemas.ArrowDictionary, len(indexes), []*memory.Buffer{buffer(validity),
		memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(indexes))}, nulls, 0, r.dictionary.Data().(*array.Data))
	defer d.Release()
	return array.NewDictionaryData(d)
}

// loadBooleans takes the page's packed bits. After a seek they begin anywhere in their first byte, and
// only the page knows where: such a page is read value by value.
func (r *reader) loadBooleans() error {
	if !r.sought {
		data := r.page.Data()
		r.bits = data.Boolean()
		return nil
	}
	r.sought = false
	truths := make([]parquet.Value, r.rows)
	n, err := r.page.Values().ReadValues(truths)
	if n != r.rows {
		return fmt.Errorf("a page of %d rows has %d values: %w", r.rows, n, err)
	}
	r.bits = make([]byte, bitutil.BytesForBits(int64(n)))
	there := 0
	for _, v := range truths {
		if !v.IsNull() {
			bitutil.SetBitTo(r.bits, there, v.Boolean())
			there++
		}
	}
	return nil
}

// booleans spreads the n rows just taken over their nulls.
func (r *reader) booleans(validity []byte, first, n, nulls int) (arrow.Array, error) {
	if values := n - nulls; first+values > 8*len(r.bits) {
		return nil, fmt.Errorf("a page holds %d bits, %d are needed", 8*len(r.bits), first+values)
	}
	out := make([]byte, bitutil.BytesForBits(int64(n)))
	for i := range n {
		if validity != nil && !bitutil.BitIsSet(validity, i) {
			continue
		}
		if bitutil.BitIsSet(r.bits, first) {
			bitutil.SetBit(out, i)
		}
		first++
	}
	d := array.NewData(arrow.FixedWidthTypes.Boolean, n, []*memory.Buffer{buffer(validity), memory.NewBufferBytes(out)}, nil, nulls, 0)
	defer d.Release()
	return array.NewBooleanData(d), nil
}

func fixed[T int32 | int64](t arrow.DataType, values []T, validity []byte, nulls int) arrow.Array {
	var raw []byte
	switch v := any(values).(type) {
	case []int32:
		raw = arrow.Int32Traits.CastToBytes(v)
	case []int64:
		raw = arrow.Int64Traits.CastToBytes(v)
	}
	d := array.NewData(t, len(values), []*memory.Buffer{buffer(validity), memory.NewBufferBytes(raw)}, nil, nulls, 0)
	defer d.Release()
	return array.MakeFromData(d)
}

// saturate32 keeps a wide age out of range rather than let it wrap into one.
func saturate32(v int64) int32 { return int32(max(math.MinInt32, min(math.MaxInt32, v))) }

// millisToMicros saturates: such an instant is out of the contract's range either way.
func millisToMicros(v int64) int64 {
	if v > math.MaxInt64/1000 || v < math.MinInt64/1000 {
		return math.MaxInt64
	}
	return v * 1000
}

// nanosToMicros floors, before 1970 too.
func nanosToMicros(v int64) int64 {
	q := v / 1000
	if v%1000 < 0 {
		q--
	}
	return q
}

// int96Micros reads the old timestamp: nanoseconds of the day, then the Julian day. It saturates, as
// millisToMicros does: a day far out must not wrap into the valid range.
func int96Micros(v deprecated.Int96) int64 {
	const unixEpoch, dayMicros, farOut = 2_440_588, 86_400_000_000, 100_000_000
	nanos := int64(uint64(v[1])<<32 | uint64(v[0]))
	days := int64(int32(v[2])) - unixEpoch
	if days < -farOut || days > farOut {
		return math.MaxInt64
	}
	return days*dayMicros + nanosToMicros(nanos)
}
