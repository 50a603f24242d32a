package extract

import (
	"encoding/binary"
	"errors"
	"math/bits"

	"github.com/parquet-go/bitpack"
)

// The encodings of Parquet (https://parquet.apache.org/docs/file-format/data-pages/encodings/), each for exactly as
// many values as a page says that it has. Whatever a page says of itself beyond that takes neither time nor memory.

var (
	errShort = errors.New("a page ends before its last value")
	errLong  = errors.New("a page goes on after its last value")
	errRuns  = errors.New("the runs of a page cannot be read")
	errDelta = errors.New("the differences in a page cannot be read")
)

// stretch is a run of RLE: a value that is repeated, or values that are packed.
type stretch struct {
	count  int    // at least 1, and no more than are still to come
	packed []byte // of packed ones; the bytes behind them may be looked at
	value  uint32
}

// nextRun reads a run of at most left values, each so many bits wide.
func nextRun(src []byte, width uint, left int) (r stretch, rest []byte, err error) {
	for {
		head, n := binary.Uvarint(src)
		if n <= 0 {
			return r, src, errRuns
		}
		src = src[n:]
		if head>>1 == 0 { // a run of nothing
			continue
		}
		count := head >> 1
		if head&1 == 0 {
			size := int(width+7) / 8
			if len(src) < size {
				return r, src, errRuns
			}
			for i := range size {
				r.value |= uint32(src[i]) << (8 * i)
			}
			r.count = int(min(count, uint64(left)))
			return r, src[size:], nil
		}
		// Groups of eight; the last may be cut short by the end of the page.
		r.count = left
		if count < uint64(left+7)/8 {
			r.count = int(count) * 8
		}
		need := (r.count*int(width) + 7) / 8
		if need > len(src) {
			return r, src, errRuns
		}
		r.packed = src[:need]
		return r, src[min(uint64(len(src)), count*uint64(width)):], nil
	}
}

// flags decodes RLE of values of one bit: a byte of 0 or 1 each.
func flags(dst, src []byte) error {
	for len(dst) > 0 {
		r, rest, err := nextRun(src, 1, len(dst))
		if err != nil {
			return err
		}
		if r.packed != nil {
			spreadBits(dst[:r.count], r.packed)
		} else {
			for i := range dst[:r.count] {
				dst[i] = byte(r.value & 1)
			}
		}
		dst, src = dst[r.count:], rest
	}
	return nil
}

// eight has the bits of every byte, as bytes.
var eight = func() (table [256]uint64) {
	for b := range table {
		for i := range 8 {
			table[b] |= uint64(b>>i&1) << (8 * i)
		}
	}
	return table
}()

func spreadBits(dst, packed []byte) {
	i := 0
	for ; i+8 <= len(dst); i += 8 {
		binary.LittleEndian.PutUint64(dst[i:], eight[packed[i/8]])
	}
	for ; i < len(dst); i++ {
		dst[i] = packed[i/8] >> (i % 8) & 1
	}
}

// indexes decodes RLE of places in a dictionary, whose first byte says how wide they are.
func indexes(dst []int32, src []byte) error {
	if len(dst) == 0 {
		return nil
	}
	if len(src) == 0 {
		return errShort
	}
	width := uint(src[0])
	if width > 32 {
		return errRuns
	}
	for src = src[1:]; len(dst) > 0; {
		r, rest, err := nextRun(src, width, len(dst))
		if err != nil {
			return err
		}
		switch {
		case r.packed == nil || width == 0:
			for i := range dst[:r.count] {
				dst[i] = int32(r.value)
			}
		case cap(r.packed) >= len(r.packed)+padding && r.count >= 8:
			whole := r.count &^ 7
			bitpack.Unpack(dst[:whole], r.packed[:whole/8*int(width)+padding], width)
			unpackInto(dst[whole:r.count], r.packed[whole/8*int(width):], width)
		default:
			unpackInto(dst[:r.count], r.packed, width)
		}
		dst, src = dst[r.count:], rest
	}
	return nil
}

// unpackInto reads values of so many bits each, one by one.
func unpackInto[T int32 | int64](dst []T, src []byte, width uint) {
	for i := range dst {
		at, value := uint(i)*width, uint64(0)
		for got := uint(0); got < width; {
			here := min(8-(at+got)%8, width-got)
			value |= uint64(src[(at+got)/8]>>((at+got)%8)) & (1<<here - 1) << got
			got += here
		}
		dst[i] = T(value)
	}
}

// deltas decodes DELTA_BINARY_PACKED: n whole numbers, and what follows them.
func deltas(dst []int64, src []byte, n int) (values []int64, rest []byte, err error) {
	const mostBlock = 1 << 20
	var head [3]uint64 // values of a block, parts of it, values in all
	for i := range head {
		size := 0
		if head[i], size = binary.Uvarint(src); size <= 0 {
			return nil, nil, errDelta
		}
		src = src[size:]
	}
	first, size := binary.Varint(src)
	if size <= 0 || head[0] > mostBlock || head[1] == 0 || head[1] > head[0] || head[0]%(8*head[1]) != 0 {
		return nil, nil, errDelta
	}
	src = src[size:]
	if head[2] != uint64(n) {
		return nil, nil, errors.New("a page holds more or fewer values than it says")
	}
	values = grow(dst, n)
	if n == 0 {
		return values, src, nil
	}
	parts := int(head[1])
	each := int(head[0]) / parts
	values[0] = first
	for i := 1; i < n; {
		least, size := binary.Varint(src)
		if size <= 0 || len(src)-size < parts {
			return nil, nil, errDelta
		}
		widths := src[size : size+parts]
		src = src[size+parts:]
		for _, width := range widths {
			if i == n { // what would follow is not there
				break
			}
			length := each / 8 * int(width)
			if width > 64 || length > len(src) {
				return nil, nil, errDelta
			}
			some := values[i:min(i+each, n)]
			unpackDeltas(some, src[:length], uint(width))
			before := values[i-1]
			for k := range some {
				before += some[k] + least
				some[k] = before
			}
			i += len(some)
			src = src[length:]
		}
	}
	return values, src, nil
}

// unpackDeltas is unpackInto, faster where the values are narrow.
func unpackDeltas(dst []int64, src []byte, width uint) {
	i := 0
	if width == 0 {
		clear(dst)
		return
	}
	if width <= 56 {
		mask := uint64(1)<<width - 1
		for at := uint(0); i < len(dst) && int(at/8)+8 <= len(src); i, at = i+1, at+width {
			dst[i] = int64(binary.LittleEndian.Uint64(src[at/8:]) >> (at % 8) & mask)
		}
		i &^= 7 // the rest begins with a whole byte
	}
	unpackInto(dst[i:], src[uint(i)/8*width:], width)
}

// lengths decodes n lengths, of which none is negative and which together fit into most.
func lengths(dst []int64, src []byte, n int, most int) (values []int64, rest []byte, sum int, err error) {
	if values, rest, err = deltas(dst, src, n); err != nil {
		return nil, nil, 0, err
	}
	for _, v := range values {
		if v < 0 || v > int64(most-sum) {
			return nil, nil, 0, errors.New("the texts of a page are longer than it can hold")
		}
		sum += int(v)
	}
	return values, rest, sum, nil
}

// plainTexts decodes PLAIN: a length before each text. The texts are moved together, within src.
func plainTexts(src []byte, offsets []uint32) ([]byte, error) {
	at, to := 0, 0
	for i := range len(offsets) - 1 {
		if len(src)-at < 4 {
			return nil, errShort
		}
		size := uint64(binary.LittleEndian.Uint32(src[at:]))
		at += 4
		if size > uint64(len(src)-at) {
			return nil, errShort
		}
		offsets[i] = uint32(to)
		to += copy(src[to:], src[at:at+int(size)])
		at += int(size)
	}
	if at != len(src) {
		return nil, errLong
	}
	offsets[len(offsets)-1] = uint32(to)
	return src[:to], nil
}

// lengthTexts decodes DELTA_LENGTH_BYTE_ARRAY: all lengths, then all texts.
func lengthTexts(src []byte, offsets []uint32, scratch *[]int64) ([]byte, error) {
	n := len(offsets) - 1
	sizes, texts, sum, err := lengths(*scratch, src, n, len(src))
	if err != nil {
		return nil, err
	}
	*scratch = sizes
	if sum != len(texts) {
		return nil, errLong
	}
	fillOffsets(offsets, sizes)
	return texts, nil
}

func fillOffsets(offsets []uint32, sizes []int64) {
	to := uint32(0)
	for i, size := range sizes {
		offsets[i] = to
		to += uint32(size)
	}
	offsets[len(sizes)] = to
}

// prefixTexts decodes DELTA_BYTE_ARRAY: of each text how much of the one before it begins it, then the rest of it;
// before is the last text of the page before. A few bytes can mean many: the texts may take most bytes in all.
func prefixTexts(dst, src []byte, offsets []uint32, before []byte, most int) ([]byte, error) {
	n := len(offsets) - 1
	prefixes, src, kept, err := lengths(nil, src, n, most)
	if err != nil {
		return nil, err
	}
	suffixes, texts, sum, err := lengths(nil, src, n, len(src))
	switch {
	case err != nil:
		return nil, err
	case sum != len(texts):
		return nil, errLong
	case kept+sum > most:
		return nil, errors.New("the texts of a page are longer than it can hold")
	}
	dst = growPage(dst, kept+sum)
	to := 0
	for i, prefix := range prefixes {
		if int(prefix) > len(before) {
			return nil, errors.New("a text begins with more than there is of the one before it")
		}
		from := to
		to += copy(dst[to:], before[:prefix])
		to += copy(dst[to:], texts[:suffixes[i]])
		texts = texts[suffixes[i]:]
		offsets[i], before = uint32(from), dst[from:to]
	}
	offsets[n] = uint32(to)
	return dst, nil
}

// joinStreams decodes BYTE_STREAM_SPLIT: the first bytes of all values, then the second ones, and so on.
func joinStreams(dst, src []byte, width int) []byte {
	dst = growPage(dst, len(src))
	n := len(src) / width
	for k := range width {
		for i, b := range src[k*n : (k+1)*n] {
			dst[i*width+k] = b
		}
	}
	return dst
}

// bitCount is how many of the bytes, each 0 or 1, are 1.
func bitCount(flags []byte) (n int) {
	i := 0
	for ; i+8 <= len(flags); i += 8 {
		n += bits.OnesCount64(binary.LittleEndian.Uint64(flags[i:]))
	}
	for ; i < len(flags); i++ {
		n += int(flags[i])
	}
	return n
}

// packFlags makes bits of bytes, each 0 or 1.
func packFlags(dst, flags []byte) {
	i := 0
	for ; i+8 <= len(flags); i += 8 {
		// Eight bytes become eight bits: the product moves byte k to bit k of the highest byte.
		dst[i/8] = byte(binary.LittleEndian.Uint64(flags[i:]) * 0x0102040810204080 >> 56)
	}
	if i < len(flags) {
		dst[i/8] = 0
	}
	for ; i < len(flags); i++ {
		dst[i/8] |= flags[i] << (i % 8)
	}
}
