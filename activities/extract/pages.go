package extract

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"

	"github.com/apache/arrow/go/v16/arrow"
	"github.com/apache/arrow/go/v16/arrow/array"
	"github.com/apache/arrow/go/v16/arrow/bitutil"
	"github.com/apache/arrow/go/v16/arrow/memory"
	"github.com/parquet-go/parquet-go/format"
)

var le = binary.LittleEndian

// ioError is of the file system, not of the file.
type ioError struct{ error }

func (e ioError) Unwrap() error { return e.error }

// window looks at a file piece by piece.
type window struct {
	r   io.ReaderAt
	buf []byte
	at  int64 // of the first byte of buf
}

// windowSize is how much is read at once, unless a page is larger.
const windowSize = 256 << 10

// bytes are those of the file from at on, n of them or a few more, but none from end on.
func (w *window) bytes(at, n, end int64) ([]byte, error) {
	if n = min(n, end-at); at >= w.at && at+n <= w.at+int64(len(w.buf)) {
		return w.buf[at-w.at : min(int64(len(w.buf)), end-w.at)], nil
	}
	size := min(max(n, windowSize), end-at)
	if int64(cap(w.buf)) < size+padding {
		w.buf = make([]byte, size+padding)
	}
	w.buf, w.at = w.buf[:size], at
	read, err := w.r.ReadAt(w.buf, at)
	w.buf = w.buf[:read]
	if int64(read) >= n {
		return w.buf, nil
	}
	if errors.Is(err, io.EOF) {
		return nil, errShort
	}
	return nil, ioError{err}
}

// header decodes the header of a page, and says how long it is.
func (w *window) header(at, end int64) (page *format.PageHeader, length int64, err error) {
	for size := int64(headerSize); ; size *= 16 {
		size = min(size, end-at, maxHeader)
		b, err := w.bytes(at, size, end)
		if err != nil {
			return nil, 0, err
		}
		if page, length = decodeHeader(b[:min(len(b), maxHeader)]); page != nil {
			return page, length, nil
		}
		if size == min(end-at, maxHeader) {
			return nil, 0, errHeader
		}
	}
}

// dictionary is a column chunk's, as the contract has its values. Its memory is never used again for anything else,
// since whoever is fed keeps what it has made of it.
type dictionary struct {
	texts   arrow.Array
	entries int
	int32s  []int32
	states  []uint8 // as of column.wholes
	int64s  []int64
}

// data is a page of data, unpacked.
type data struct {
	rows     int
	encoding format.Encoding
	values   []byte // encoded
	count    int    // of the values that are there
}

// next makes the next page of data the current one; io.EOF after the last. Rows to be skipped are skipped by the page,
// as long as a whole one is.
func (r *reader) next() error {
	for r.at < r.end {
		header, length, err := r.window.header(r.at, r.end)
		if err != nil {
			return err
		}
		at, size := r.at+length, int64(header.CompressedPageSize)
		r.at = at + size
		rows := int64(max(header.DataPageHeader.V.NumValues, header.DataPageHeaderV2.V.NumValues))
		switch {
		case size < 0 || header.UncompressedPageSize < 0 || r.at > r.end:
			return errPageSize
		case header.Type == format.IndexPage:
			continue
		case header.Type != format.DictionaryPage && rows <= r.skip && !leansOnLast(header):
			r.skip -= rows
			continue
		}
		body, err := r.window.bytes(at, size, at+size)
		if err != nil {
			return err
		}
		if header.CRC != 0 && uint32(header.CRC) != crc32.ChecksumIEEE(body) {
			return errors.New("the checksum of a page is wrong")
		}
		switch header.Type {
		case format.DictionaryPage:
			err = r.readDictionary(header, body)
		case format.DataPage, format.DataPageV2:
			var d data
			if d, err = r.unpack(header, body); err == nil {
				err = r.load(d)
			}
			if err == nil && r.row < r.rows {
				return nil
			}
		default:
			err = fmt.Errorf("a page of type %d cannot be read", header.Type)
		}
		if err != nil {
			return err
		}
	}
	return io.EOF
}

// leansOnLast tells whether a page may need the last text of the one before it. Parquet does not allow it, but some
// writers do so.
func leansOnLast(h *format.PageHeader) bool {
	return h.DataPageHeader.V.Encoding == format.DeltaByteArray ||
		h.DataPageHeaderV2.V.Encoding == format.DeltaByteArray
}

// unpack decompresses a page and reads which of its rows have a value.
func (r *reader) unpack(header *format.PageHeader, body []byte) (d data, err error) {
	plain := int(header.UncompressedPageSize)
	r.levels = nil
	if header.Type == format.DataPage {
		h := &header.DataPageHeader
		if !h.Valid || h.V.NumValues < 0 {
			return d, errHeader
		}
		d.rows, d.encoding = int(h.V.NumValues), h.V.Encoding
		if body, err = r.decompress(body, plain); err != nil || !r.column.optional {
			d.values, d.count = body, d.rows
			return d, err
		}
		if h.V.DefinitionLevelEncoding != format.RLE {
			return d, fmt.Errorf("which values are null is written in the encoding %s, which is not read: "+
				"write the file with a newer program", h.V.DefinitionLevelEncoding)
		}
		if len(body) < 4 || uint64(le.Uint32(body)) > uint64(len(body)-4) {
			return d, errShort
		}
		end := 4 + int(le.Uint32(body))
		err = r.readLevels(d.rows, body[4:end])
		d.values, d.count = body[end:], r.there(d.rows)
		return d, err
	}
	h := &header.DataPageHeaderV2
	repetition, definition := int(h.V.RepetitionLevelsByteLength), int(h.V.DefinitionLevelsByteLength)
	switch {
	case !h.Valid || h.V.NumValues < 0 || h.V.NumNulls < 0 || h.V.NumNulls > h.V.NumValues:
		return d, errHeader
	case h.V.NumRows != h.V.NumValues:
		return d, fmt.Errorf("a page says that it has other rows than values: %d and %d", h.V.NumRows, h.V.NumValues)
	case repetition < 0 || definition < 0 || repetition+definition > len(body) || repetition+definition > plain:
		return d, errLevels
	}
	d.rows, d.encoding, d.count = int(h.V.NumValues), h.V.Encoding, int(h.V.NumValues-h.V.NumNulls)
	if r.column.optional {
		switch {
		case definition > 0:
			err = r.readLevels(d.rows, body[repetition:repetition+definition])
		case d.count == 0:
			r.scratch.levels = grow(r.scratch.levels, d.rows)
			r.levels = r.scratch.levels
			clear(r.levels)
		}
	}
	if r.levels != nil { // what the header says of nulls, some writers take from statistics that they do not keep
		d.count = r.there(d.rows)
	}
	if d.values = body[repetition+definition:]; err == nil && (!h.V.IsCompressed.Valid || h.V.IsCompressed.V) {
		d.values, err = r.decompress(d.values, plain-repetition-definition)
	}
	return d, err
}

// readLevels reads which rows have a value.
func (r *reader) readLevels(rows int, src []byte) error {
	r.scratch.levels = grow(r.scratch.levels, rows)
	r.levels = r.scratch.levels
	return flags(r.levels, src)
}

// there counts the rows that have a value.
func (r *reader) there(rows int) int {
	if r.levels == nil {
		return rows
	}
	n := bitCount(r.levels)
	if n == rows {
		r.levels = nil
	}
	return n
}

func (r *reader) decompress(body []byte, plain int) (_ []byte, err error) {
	if r.codec == format.Uncompressed {
		return body, nil
	}
	if int64(plain) > r.most {
		return nil, errPageSize
	}
	body, err = decompress(r.codec, r.scratch.plain, body, plain)
	if err == nil && cap(body) > cap(r.scratch.plain) {
		r.scratch.plain = body
	}
	return body, err
}

// readDictionary reads a chunk's dictionary. More than one cannot be.
func (r *reader) readDictionary(header *format.PageHeader, body []byte) (err error) {
	h := header.DictionaryPageHeader
	switch {
	case !h.Valid || h.V.NumValues < 0:
		return errHeader
	case r.dictionary != nil:
		return errDictionaries
	case r.column.physical == format.Boolean:
		return r.encodingError(format.RLEDictionary)
	//lint:ignore SA1019 deprecated for writers: files of before hold it
	case h.V.Encoding != format.Plain && h.V.Encoding != format.PlainDictionary:
		return r.encodingError(h.V.Encoding)
	}
	if body, err = r.decompress(body, int(header.UncompressedPageSize)); err != nil {
		return err
	}
	d := &dictionary{entries: int(h.V.NumValues)}
	var offsets []uint32
	if wide := r.column.wide(); wide > 0 && len(body) != wide*d.entries || wide == 0 && len(body)/4 < d.entries {
		return fmt.Errorf("a dictionary says that it has entries beyond its bytes: %d in %d", d.entries, len(body))
	} else if wide == 0 {
		offsets = make([]uint32, d.entries+1)
		if body, err = plainTexts(body, offsets); err != nil {
			return err
		}
	}
	kept := append(make([]byte, 0, len(body)), body...)
	switch {
	case r.column.kind == text:
		d.texts = stringArray(offsets, kept, nil, 0)
	case r.column.kind.isTime():
		d.int64s = r.column.instants(kept, nil)
	default:
		d.int32s, d.states = r.column.wholes(kept, offsets, nil)
	}
	r.dictionary = d
	return nil
}

func (r *reader) encodingError(e format.Encoding) error {
	return fmt.Errorf("values of type %s in the encoding %s are not read: write the column in another, such as PLAIN",
		r.column.physical, e)
}

// load decodes the values of a page.
func (r *reader) load(d data) (err error) {
	r.rows, r.row, r.value, r.indexed, r.unread = d.rows, 0, 0, false, r.unread[:0]
	c, s := r.column, &r.scratch
	wide := c.wide()
	var states []uint8
	switch {
	//lint:ignore SA1019 deprecated for writers: files of before hold it
	case d.encoding == format.RLEDictionary || d.encoding == format.PlainDictionary:
		if r.dictionary == nil && d.count > 0 {
			return errors.New("a page points to a dictionary that is not there")
		} else if r.dictionary == nil {
			r.dictionary = &dictionary{texts: stringArray([]uint32{0}, nil, nil, 0)}
		}
		states, err = r.lookUp(d)
	case c.physical == format.Boolean:
		err = r.loadFlags(d)
	case wide == 0 && c.kind != text: // decimals as texts
		if d.values, err = r.texts(d); err == nil {
			r.int32s, states = c.wholes(d.values, s.offsets, s.int32s)
			s.int32s = r.int32s
		}
	case wide == 0:
		r.bytes, err = r.texts(d)
	default:
		if d.values, err = r.fixed(d, wide); err != nil {
			break
		}
		if c.kind.isTime() {
			if r.int64s = c.instants(d.values, s.int64s); c.kind != timeMicros {
				s.int64s = r.int64s
			}
			break
		}
		if r.int32s, states = c.wholes(d.values, nil, s.int32s); c.kind != int32s {
			s.int32s = r.int32s
		}
	}
	if err != nil {
		return err
	}
	if states != nil {
		r.drop(states)
	}
	if r.skip > 0 { // the page begins before the rows that are asked for
		r.row = int(min(r.skip, int64(r.rows)))
		r.skip -= int64(r.row)
		r.value = r.row
		if r.levels != nil {
			r.value = bitCount(r.levels[:r.row])
		}
	}
	return nil
}

// lookUp takes a page's values from the dictionary. Texts stay where they are: what is kept is their places.
func (r *reader) lookUp(d data) (states []uint8, err error) {
	s, of := &r.scratch, r.dictionary
	s.int32s = grow(s.int32s, d.count)
	if err := indexes(s.int32s, d.values); err != nil {
		return nil, err
	}
	most := uint32(0)
	for _, at := range s.int32s {
		most = max(most, uint32(at))
	}
	if d.count > 0 && int64(most) >= int64(of.entries) {
		return nil, fmt.Errorf("a page points to entry %d of a dictionary of %d", most, of.entries)
	}
	switch {
	case r.column.kind == text:
		r.int32s, r.indexed = s.int32s, true
	case r.column.kind.isTime():
		s.int64s = grow(s.int64s, d.count)
		for i, at := range s.int32s {
			s.int64s[i] = of.int64s[at]
		}
		r.int64s = s.int64s
	default:
		if of.states != nil {
			states = make([]uint8, d.count)
			for i, at := range s.int32s {
				states[i] = of.states[at]
			}
		}
		for i, at := range s.int32s {
			s.int32s[i] = of.int32s[at]
		}
		r.int32s = s.int32s
	}
	return states, nil
}

// loadFlags takes a page's booleans as bits.
func (r *reader) loadFlags(d data) error {
	size := int(bitutil.BytesForBits(int64(d.count)))
	switch d.encoding {
	case format.Plain:
		if len(d.values) < size {
			return errShort
		}
		r.bits = d.values
		return nil
	case format.RLE:
		if d.count == 0 {
			return nil
		}
		if len(d.values) < 4 || uint64(le.Uint32(d.values)) > uint64(len(d.values)-4) {
			return errShort
		}
		s := &r.scratch
		s.flags, s.bits = grow(s.flags, d.count), grow(s.bits, size)
		if err := flags(s.flags, d.values[4:4+le.Uint32(d.values)]); err != nil {
			return err
		}
		packFlags(s.bits, s.flags)
		r.bits = s.bits
		return nil
	}
	return r.encodingError(d.encoding)
}

// texts decodes a page's texts. Their places are in scratch.offsets.
func (r *reader) texts(d data) ([]byte, error) {
	s := &r.scratch
	s.offsets = grow(s.offsets, d.count+1)
	most := min(r.most, math.MaxInt32)
	switch d.encoding {
	case format.Plain:
		return plainTexts(d.values, s.offsets)
	case format.DeltaLengthByteArray:
		return lengthTexts(d.values, s.offsets, &s.int64s)
	case format.DeltaByteArray:
		texts, err := prefixTexts(s.joined, d.values, s.offsets, r.last, int(most))
		if err == nil && d.count > 0 {
			s.joined = texts
			r.last = append(r.last[:0], texts[s.offsets[d.count-1]:]...)
		}
		return texts, err
	}
	return nil, r.encodingError(d.encoding)
}

// fixed decodes a page's values of so many bytes each, one behind the other.
func (r *reader) fixed(d data, wide int) (_ []byte, err error) {
	s, whole := &r.scratch, r.column.physical == format.Int32 || r.column.physical == format.Int64
	switch {
	case d.encoding == format.Plain:
	case d.encoding == format.ByteStreamSplit && r.column.physical != format.Int96:
		if len(d.values) == wide*d.count {
			s.joined = joinStreams(s.joined, d.values, wide)
			d.values = s.joined
		}
	case d.encoding == format.DeltaBinaryPacked && whole:
		var rest []byte
		if s.deltas, rest, err = deltas(s.deltas, d.values, d.count); err != nil {
			return nil, err
		} else if len(rest) > 0 {
			return nil, errLong
		}
		if wide == 8 {
			return arrow.Int64Traits.CastToBytes(s.deltas), nil
		}
		// Differences of 32 bits wrap as those of 64 do.
		s.narrowed = convert(s.narrowed, s.deltas, func(v int64) int32 { return int32(v) })
		return arrow.Int32Traits.CastToBytes(s.narrowed), nil
	case d.encoding == format.DeltaByteArray && r.column.physical == format.FixedLenByteArray:
		if d.values, err = r.texts(d); err != nil {
			return nil, err
		}
		for i := range d.count {
			if s.offsets[i+1]-s.offsets[i] != uint32(wide) {
				return nil, errLong
			}
		}
	default:
		return nil, r.encodingError(d.encoding)
	}
	if len(d.values) != wide*d.count {
		return nil, errWidth
	}
	return d.values, nil
}

// drop makes nulls of values that are no whole numbers.
func (r *reader) drop(states []uint8) {
	levels := grow(r.scratch.levels, r.rows)
	if r.levels == nil {
		for i := range levels {
			levels[i] = 1
		}
	}
	r.scratch.levels, r.levels = levels, levels
	from, to := 0, 0
	for row, there := range levels {
		if there == 0 {
			continue
		}
		if state := states[from]; state == isWhole {
			r.int32s[to] = r.int32s[from]
			to++
		} else {
			levels[row] = 0
			if state == notWhole {
				r.unread = append(r.unread, row)
			}
		}
		from++
	}
	r.int32s = r.int32s[:to]
}

// stringArray views n+1 offsets and their bytes as strings.
func stringArray(offsets []uint32, data, validity []byte, nulls int) arrow.Array {
	n := max(len(offsets)-1, 0)
	d := array.NewData(arrow.BinaryTypes.String, n, []*memory.Buffer{buffer(validity),
		memory.NewBufferBytes(arrow.Uint32Traits.CastToBytes(offsets)), memory.NewBufferBytes(data)}, nil, nulls, 0)
	defer d.Release()
	return array.NewStringData(d)
}
