package rowfile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"math/bits"
	"unsafe"

	"github.com/parquet-go/parquet-go/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"harmstack/schemas/text"
)

// The library takes a value at a time, 24 bytes each, and its dictionaries come out in other runs on other
// processors. A ranking has seventy million values and must be the same bytes anywhere: so the pages of these
// files are made here, from whole columns, of the library's encodings where it has them.

// pages encodes the columns of one row group: of each a dictionary page, where few values recur, and a data page.
type pages struct {
	out     []byte
	columns []format.ColumnChunk

	values     values
	dictionary dictionary
	body       []byte
	compressed []byte
	levels     []byte
	offsets    []uint32
	header     bytes.Buffer
	protocol   thrift.CompactProtocol
	zstd       zstd.Codec
}

func newPages() *pages { return &pages{zstd: zstd.Codec{Level: zstd.SpeedFastest}} }

func (p *pages) reset() { p.out, p.columns = p.out[:0], p.columns[:0] }

// maxPage is how many bytes a page holds at most: sizes are 32 bits, and readers take memory for it at once.
const maxPage = 1 << 30

// encode appends the column whose values are in p.values. Offsets are those in p.out.
func (p *pages) encode(l *leaf) error {
	v := &p.values
	meta := format.ColumnMetaData{Type: l.kind, PathInSchema: l.path, NumValues: int64(v.rows)}
	page := format.DataPageHeaderV2{NumValues: int32(v.rows), NumRows: int32(v.rows)}
	start := len(p.out)
	p.levels = p.levels[:0]
	if l.list {
		p.levels = appendLevels(p.levels, v.repeated)
		page.RepetitionLevelsByteLength = int32(len(p.levels))
	}
	if l.optional {
		there := len(v.numbers) + len(v.texts)
		page.NumValues, page.NumNulls = int32(len(v.defined)), int32(len(v.defined)-there)
		meta.NumValues = int64(page.NumValues)
		p.levels = appendLevels(p.levels, v.defined)
		page.DefinitionLevelsByteLength = int32(len(p.levels)) - page.RepetitionLevelsByteLength
		meta.Encoding = append(meta.Encoding, format.RLE)
	}
	meta.Statistics = statistics(l.kind, v.numbers, int64(page.NumNulls))
	d := &p.dictionary
	switch {
	case l.kind == format.Boolean:
		page.Encoding, p.body = format.Plain, appendBits(p.body[:0], v.numbers)
	case !l.raw && d.number(v):
		p.plain(l.kind, d.numbers, d.texts)
		body, err := p.compress()
		if err != nil {
			return err
		}
		header := format.DictionaryPageHeader{NumValues: int32(d.size()), Encoding: format.Plain}
		if err := p.page(&format.PageHeader{Type: format.DictionaryPage, DictionaryPageHeader: thrift.New(header)}, &meta, body); err != nil {
			return err
		}
		meta.Encoding = append(meta.Encoding, format.Plain)
		meta.DictionaryPageOffset = int64(start)
		page.Encoding, p.body = format.RLEDictionary, d.appendIndexes(p.body[:0])
	case l.delta:
		page.Encoding = format.DeltaBinaryPacked
		var err error
		if p.body, err = new(delta.BinaryPackedEncoding).EncodeInt64(p.body[:0], v.numbers); err != nil {
			return err
		}
	case l.kind == format.ByteArray:
		page.Encoding = format.DeltaLengthByteArray
		if err := p.lengthsAndBytes(v.texts); err != nil {
			return err
		}
	default:
		page.Encoding = format.Plain
		p.plain(l.kind, v.numbers, nil)
	}
	if !l.raw && l.kind != format.Boolean {
		// The same in every row group: there are readers who take the first one's for all.
		meta.Codec = format.Zstd
	}
	body, compressed := p.body, meta.Codec == format.Zstd && page.Encoding != format.RLEDictionary
	if compressed {
		var err error
		if body, err = p.compress(); err != nil {
			return err
		}
	}
	meta.Encoding = append(meta.Encoding, page.Encoding)
	meta.DataPageOffset = int64(len(p.out))
	page.IsCompressed = thrift.New(compressed)
	if err := p.page(&format.PageHeader{Type: format.DataPageV2, DataPageHeaderV2: thrift.New(page)}, &meta, body); err != nil {
		return err
	}
	p.columns = append(p.columns, format.ColumnChunk{MetaData: meta})
	return nil
}

func (p *pages) compress() (body []byte, err error) {
	p.compressed, err = p.zstd.Encode(p.compressed[:cap(p.compressed)], p.body)
	return p.compressed, err
}

// page appends one page: its header, the levels of a data page, and the body, of which p.body is the form that was not
// compressed.
func (p *pages) page(header *format.PageHeader, meta *format.ColumnMetaData, body []byte) error {
	levels := p.levels
	if header.Type == format.DictionaryPage {
		levels = nil
	}
	if len(levels)+len(p.body) > maxPage {
		return fmt.Errorf(
			"column %s: %s of one page hold more than %d bytes",
			meta.PathInSchema[0],
			text.Count(header.DataPageHeaderV2.V.NumRows, "row"),
			maxPage,
		)
	}
	header.UncompressedPageSize = int32(len(levels) + len(p.body))
	header.CompressedPageSize = int32(len(levels) + len(body))
	header.CRC = int32(crc32.Update(crc32.ChecksumIEEE(levels), crc32.IEEETable, body))
	p.header.Reset()
	if err := thrift.NewEncoder(p.protocol.NewWriter(&p.header)).Encode(header); err != nil {
		return err
	}
	meta.TotalUncompressedSize += int64(p.header.Len()) + int64(header.UncompressedPageSize)
	meta.TotalCompressedSize += int64(p.header.Len()) + int64(header.CompressedPageSize)
	p.out = append(p.out, p.header.Bytes()...)
	p.out = append(p.out, levels...)
	p.out = append(p.out, body...)
	return nil
}

// plain encodes values one after the other.
func (p *pages) plain(kind format.Type, numbers []int64, texts []string) {
	p.body = p.body[:0]
	le := binary.LittleEndian
	switch kind {
	case format.Int32:
		for _, n := range numbers {
			p.body = le.AppendUint32(p.body, uint32(n))
		}
	case format.ByteArray:
		for _, s := range texts {
			p.body = append(le.AppendUint32(p.body, uint32(len(s))), s...)
		}
	default:
		for _, n := range numbers {
			p.body = le.AppendUint64(p.body, uint64(n))
		}
	}
}

// lengthsAndBytes encodes all lengths, then all bytes.
func (p *pages) lengthsAndBytes(texts []string) (err error) {
	all, offsets, end := p.compressed[:0], append(p.offsets[:0], 0), 0
	for _, s := range texts {
		if end += len(s); end > maxPage {
			return fmt.Errorf("the texts of %s have more than %d bytes", text.Count(len(texts), "row"), maxPage)
		}
		all = append(all, s...)
		offsets = append(offsets, uint32(end))
	}
	p.compressed, p.offsets = all, offsets
	p.body, err = new(delta.LengthByteArrayEncoding).EncodeByteArray(p.body[:0], all, offsets)
	return err
}

// statistics are the bounds of numbers, and how many values lack.
func statistics(kind format.Type, numbers []int64, nulls int64) format.Statistics {
	s := format.Statistics{NullCount: nulls}
	if len(numbers) == 0 || kind != format.Int64 && kind != format.Double {
		return s
	}
	low, high := numbers[0], numbers[0]
	if kind == format.Int64 {
		for _, n := range numbers {
			low, high = min(low, n), max(high, n)
		}
	} else {
		least, most := math.Float64frombits(uint64(low)), math.Float64frombits(uint64(high))
		for _, n := range numbers {
			f := math.Float64frombits(uint64(n))
			least, most = min(least, f), max(most, f)
		}
		low, high = int64(math.Float64bits(least)), int64(math.Float64bits(most))
	}
	le := binary.LittleEndian
	s.MinValue, s.MaxValue = le.AppendUint64(nil, uint64(low)), le.AppendUint64(nil, uint64(high))
	return s
}

// appendLevels encodes levels of 0 and 1 as the format's hybrid of runs and packed bits has it: one run when all are
// alike, else packed.
func appendLevels(out, levels []byte) []byte {
	if first := levels[:min(1, len(levels))]; len(bytes.TrimLeft(levels, string(first))) == 0 {
		return append(binary.AppendUvarint(out, uint64(len(levels))<<1), first...)
	}
	out = binary.AppendUvarint(out, uint64(len(levels)+7)/8<<1|1)
	for ; len(levels) >= 8; levels = levels[8:] {
		// Eight bytes of 0 or 1 become eight bits: the product moves byte k to bit k of the highest byte.
		out = append(out, byte(binary.LittleEndian.Uint64(levels)*0x0102040810204080>>56))
	}
	if len(levels) > 0 {
		var last byte
		for i, l := range levels {
			last |= l << i
		}
		out = append(out, last)
	}
	return out
}

// appendBits packs numbers of 0 and 1.
func appendBits(out []byte, numbers []int64) []byte {
	for ; len(numbers) > 0; numbers = numbers[min(8, len(numbers)):] {
		var b byte
		for i, n := range numbers[:min(8, len(numbers))] {
			b |= byte(n) << i
		}
		out = append(out, b)
	}
	return out
}

// dictionary numbers the values of a column in the order in which they come.
type dictionary struct {
	numbers []int64
	texts   []string
	indexes []uint32

	slots [2 * maxEntries]struct {
		number int64
		index  uint32
	} // by number; index + 1
	byText map[string]uint32
	recent [1 << 8]recentText // in front of byText: texts that recur mostly lie at the same place
}

type recentText struct {
	at    *byte
	size  int
	index uint32
}

// maxEntries is how many different values a dictionary holds at most: with more, compressing is about as good.
const maxEntries = 2 << 10

func (d *dictionary) size() int { return len(d.numbers) + len(d.texts) }

// number numbers v, and says no when too many of its values are different.
func (d *dictionary) number(v *values) bool {
	d.numbers, d.texts, d.indexes = d.numbers[:0], d.texts[:0], d.indexes[:0]
	if len(v.texts) > 0 {
		return d.numberTexts(v.texts, min(maxEntries, len(v.texts)/2))
	}
	return d.numberNumbers(v.numbers, min(maxEntries, len(v.numbers)/2))
}

func (d *dictionary) numberNumbers(numbers []int64, most int) bool {
	clear(d.slots[:])
	for i, n := range numbers {
		if i > 0 && n == numbers[i-1] {
			d.indexes = append(d.indexes, d.indexes[i-1])
			continue
		}
		at := uint64(n) * 0x9e3779b97f4a7c15 >> (64 - 12)
		for d.slots[at].index != 0 && d.slots[at].number != n {
			at = (at + 1) % uint64(len(d.slots))
		}
		slot := &d.slots[at]
		if slot.index == 0 {
			if len(d.numbers) == most {
				return false
			}
			d.numbers = append(d.numbers, n)
			slot.number, slot.index = n, uint32(len(d.numbers))
		}
		d.indexes = append(d.indexes, slot.index-1)
	}
	return len(d.numbers) > 0
}

func (d *dictionary) numberTexts(texts []string, most int) bool {
	d.byText = map[string]uint32{}
	clear(d.recent[:])
	for _, s := range texts {
		at := unsafe.StringData(s)
		recent := &d.recent[(uintptr(unsafe.Pointer(at))>>4^uintptr(unsafe.Pointer(at)))%uintptr(len(d.recent))]
		if recent.at == at && recent.size == len(s) && at != nil {
			d.indexes = append(d.indexes, recent.index)
			continue
		}
		index, ok := d.byText[s]
		if !ok {
			if len(d.texts) == most {
				return false
			}
			index = uint32(len(d.texts))
			d.byText[s] = index
			d.texts = append(d.texts, s)
		}
		*recent = recentText{at, len(s), index}
		d.indexes = append(d.indexes, index)
	}
	return true
}

// appendIndexes encodes the values' numbers, as appendLevels does, behind the byte that says their width.
func (d *dictionary) appendIndexes(out []byte) []byte {
	width := max(1, bits.Len(uint(d.size()-1)))
	out = append(out, byte(width))
	if d.size() == 1 {
		return append(binary.AppendUvarint(out, uint64(len(d.indexes))<<1), 0)
	}
	out = binary.AppendUvarint(out, uint64(len(d.indexes)+7)/8<<1|1)
	pending, have := uint64(0), 0
	for _, i := range d.indexes {
		pending |= uint64(i) << have
		if have += width; have >= 32 {
			out = binary.LittleEndian.AppendUint32(out, uint32(pending))
			pending, have = pending>>32, have-32
		}
	}
	have += (8 - len(d.indexes)%8) % 8 * width // the last group is whole
	for ; have > 0; have -= 8 {
		out = append(out, byte(pending))
		pending >>= 8
	}
	return out
}
