package extract

import (
	"io"
	"sync"

	"github.com/apache/arrow/go/v16/arrow"
	"github.com/apache/arrow/go/v16/arrow/array"
	"github.com/apache/arrow/go/v16/arrow/bitutil"
	"github.com/apache/arrow/go/v16/arrow/memory"
	"github.com/parquet-go/parquet-go/format"

	"harmstack/schemas"
)

// allocator makes the few arrays that are not views of a page.
var allocator = memory.NewGoAllocator()

// reader turns the pages of one column chunk into Arrow arrays: views of the page where its layout
// is Arrow's, spread over the nulls where it is not (Parquet stores only the values that are there).
type reader struct {
	column     *column
	codec      format.CompressionCodec
	window     window
	at, end    int64 // of the next page, and of the chunk
	skip       int64 // rows before the first that is asked for
	most       int64 // bytes of a page
	dictionary *dictionary
	last       []byte // text of the page before, in the encoding that needs it

	// The current page.
	levels []byte // 1 where a value is there; nil when all are
	rows   int
	row    int   // already taken
	value  int   // values already taken
	unread []int // rows of numbers that are not whole
	lost   int64 // of those taken

	// Its values that are there, by kind, as the contract has them.
	indexed bool    // texts are places in the dictionary
	int32s  []int32 // numbers, and places in the dictionary
	int64s  []int64
	bits    []byte
	bytes   []byte // texts; they begin at scratch.offsets

	scratch scratch
}

// scratch is memory that one page after the other uses.
type scratch struct {
	plain, joined []byte // decompressed, and decoded
	levels        []byte
	offsets       []uint32
	deltas        []int64
	narrowed      []int32
	int32s        []int32
	int64s        []int64
	flags, bits   []byte

	// Of rows spread over their nulls.
	validity []byte
	wide     []int64
	narrow   []int32
}

// readers are closed ones, whose memory is used again.
var readers = sync.Pool{New: func() any { return new(reader) }}

// newReader reads a column chunk from one of its rows on. No page may take more than most bytes.
func newReader(r io.ReaderAt, chunk chunk, c *column, from, most int64) *reader {
	next := readers.Get().(*reader)
	*next = reader{column: c, codec: chunk.codec, at: chunk.at, end: chunk.end, skip: from, most: most,
		window: window{r: r, buf: next.window.buf[:0]}, scratch: next.scratch}
	return next
}

// close lets the memory go: what was taken is no longer valid.
func (r *reader) close() {
	*r = reader{window: window{buf: r.window.buf}, scratch: r.scratch}
	readers.Put(r)
}

// left is how many rows of the current page are still to be taken; at the page's end it reads the
// next one, and returns io.EOF after the last.
func (r *reader) left() (int64, error) {
	for r.row == r.rows {
		if err := r.next(); err != nil {
			return 0, err
		}
	}
	return int64(r.rows - r.row), nil
}

func buffer(b []byte) *memory.Buffer {
	if b == nil {
		return nil
	}
	return memory.NewBufferBytes(b)
}

// take returns the next n rows of the current page; n is at most what left returned.
func (r *reader) take(n int) arrow.Array {
	validity, values := r.valid(n)
	first := r.value
	var levels []byte
	if validity != nil {
		levels = r.levels[r.row : r.row+n]
	}
	r.row += n
	r.value += values
	nulls := n - values
	switch {
	case r.column.kind == text && r.indexed:
		return r.dictionaryArray(spread(&r.scratch.narrow, r.int32s[first:first+values], levels), validity, nulls)
	case r.column.kind == text:
		return stringArray(r.spreadOffsets(r.scratch.offsets[first:first+values+1], levels), r.bytes, validity, nulls)
	case r.column.kind == boolean:
		return r.booleans(validity, first, n, nulls)
	case r.column.kind.isTime():
		return fixed(
			schemas.ArrowTimestamp,
			spread(&r.scratch.wide, r.int64s[first:first+values], levels),
			validity,
			nulls,
		)
	}
	for len(r.unread) > 0 && r.unread[0] < r.row {
		r.unread, r.lost = r.unread[1:], r.lost+1
	}
	return fixed(
		arrow.PrimitiveTypes.Int32,
		spread(&r.scratch.narrow, r.int32s[first:first+values], levels),
		validity,
		nulls,
	)
}

// valid builds the bitmap of the next n rows and counts their values; nil when all are there.
func (r *reader) valid(n int) (bitmap []byte, values int) {
	if r.levels == nil {
		return nil, n
	}
	r.scratch.validity = grow(r.scratch.validity, int(bitutil.BytesForBits(int64(n))))
	levels := r.levels[r.row : r.row+n]
	packFlags(r.scratch.validity, levels)
	return r.scratch.validity, bitCount(levels)
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
	r.scratch.narrow = grow(r.scratch.narrow, len(levels)+1)
	out := arrow.Uint32Traits.CastFromBytes(arrow.Int32Traits.CastToBytes(r.scratch.narrow))
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
		memory.NewBufferBytes(
			arrow.Int32Traits.CastToBytes(indexes),
		)}, nulls, 0, r.dictionary.texts.Data().(*array.Data))
	defer d.Release()
	return array.NewDictionaryData(d)
}

// booleans spreads the n rows just taken over their nulls.
func (r *reader) booleans(validity []byte, first, n, nulls int) arrow.Array {
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
	d := array.NewData(
		arrow.FixedWidthTypes.Boolean,
		n,
		[]*memory.Buffer{buffer(validity), memory.NewBufferBytes(out)},
		nil,
		nulls,
		0,
	)
	defer d.Release()
	return array.NewBooleanData(d)
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
