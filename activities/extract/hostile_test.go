package extract

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// allowed is what reading a hostile file of a few kilobytes may allocate in all: far less than any of them promises.
const allowed = 96 << 20

// refuses reads a file to its end and asserts that this fails in words, without a panic and without the memory that the
// file claims.
func refuses(t *testing.T, data []byte, want string) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := scanAll(data, 2)
	runtime.ReadMemStats(&after)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
	if !errors.Is(err, ErrNotParquet) && !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrRowsMismatch) && !errors.Is(err, ErrTooLarge) {
		t.Errorf("an error of no kind: %v", err)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > allowed {
		t.Errorf("%d MiB were allocated for a file of %d bytes", grown>>20, len(data))
	}
}

// footerOf is a file whose footer is as given.
func footerOf(footer []byte) []byte {
	return append(binary.LittleEndian.AppendUint32(append([]byte("PAR1"), footer...), uint32(len(footer))), "PAR1"...)
}

func TestHostileFooters(t *testing.T) {
	good := encode(t, sample(500))
	huge := binary.AppendUvarint(nil, 1<<31-1)
	list := func(field byte, kind thrift.Type, size []byte, then ...byte) []byte {
		return slices.Concat([]byte{field<<4 | byte(thrift.LIST), 0xf0 | byte(kind)}, size, then)
	}
	for scenario, c := range map[string]struct {
		data []byte
		want string
	}{
		"two billion columns":    {footerOf(list(2, thrift.STRUCT, huge)), "its footer cannot be read"},
		"two billion row groups": {footerOf(list(4, thrift.STRUCT, huge)), "its footer cannot be read"},
		"many columns of no bytes": {footerOf(append(slices.Concat([]byte{0x49, 0x1c, 0x19, 0xfc}, binary.AppendUvarint(nil, 5_000_000)), make([]byte, 5_000_010)...)),
			"its footer cannot be read"},
		"a text of two gigabytes": {footerOf(append([]byte{0x68}, huge...)), "its footer cannot be read"},
		"nested without end":      {footerOf(bytes.Repeat([]byte{0x1c}, 1<<20)), "its footer cannot be read"},
		"lists without end":       {footerOf(bytes.Repeat([]byte{0x19}, 1<<20)), "its footer cannot be read"},
		"a footer of a gigabyte":  {append(slices.Clone(good[:len(good)-8]), "\x00\x00\x00\x40PAR1"...), "it says that it has 1073741824 bytes"},
		"row counts that overflow": {withFooter(t, good, func(m *format.FileMetaData) {
			m.RowGroups = append(m.RowGroups, m.RowGroups[0], m.RowGroups[0])
			m.RowGroups[1].NumRows, m.RowGroups[2].NumRows = 1<<62, 1<<62+1<<61
		}), "promises"},
		"a negative row count": {withFooter(t, good, func(m *format.FileMetaData) { m.RowGroups[0].NumRows = -5 }), ""},
		"rows that nobody could hold": {withFooter(t, good, func(m *format.FileMetaData) { m.NumRows, m.RowGroups[0].NumRows = 1<<40, 1<<40 }),
			"ends at row"},
		"a column beyond the file":   {withFooter(t, good, func(m *format.FileMetaData) { m.RowGroups[0].Columns[3].MetaData.TotalCompressedSize = 1 << 40 }), "does not lie within the file"},
		"a column before it":         {withFooter(t, good, func(m *format.FileMetaData) { m.RowGroups[0].Columns[0].MetaData.DataPageOffset = -1 << 40 }), "within the file"},
		"sizes that wrap":            {withFooter(t, good, func(m *format.FileMetaData) { m.RowGroups[0].Columns[0].MetaData.TotalCompressedSize = 1<<63 - 1 }), "within the file"},
		"a row group of no columns":  {withFooter(t, good, func(m *format.FileMetaData) { m.RowGroups[0].Columns = nil }), ""},
		"a schema deeper than it is": {withFooter(t, good, func(m *format.FileMetaData) { m.Schema[0].NumChildren.V = 1 << 30 }), "its footer cannot be read"},
		"a schema nested deep": {withFooter(t, good, func(m *format.FileMetaData) {
			nested := m.Schema[0]
			nested.NumChildren.V = 1
			m.Schema = append(slices.Repeat([]format.SchemaElement{nested}, 100_000), m.Schema...)
		}), ""},
	} {
		t.Run(scenario, func(t *testing.T) { refuses(t, c.data, c.want) })
	}
}

// withPages is the file with the pages of one column edited: their headers and their bodies.
func withPages(t *testing.T, data []byte, column int, edit func(page int, h *format.PageHeader, body []byte) []byte) []byte {
	t.Helper()
	return withFooter(t, data, func(*format.FileMetaData) {}, func(before []byte, m *format.FileMetaData) []byte {
		c := &m.RowGroups[0].Columns[column].MetaData
		at := c.DataPageOffset
		if c.DictionaryPageOffset != 0 {
			at = c.DictionaryPageOffset
		}
		end := at + c.TotalCompressedSize
		h := headers{r: bytes.NewReader(data)}
		var protocol thrift.CompactProtocol
		start := int64(len(before))
		c.DataPageOffset = 0
		for page := 0; at < end; page++ {
			header, n, err := h.read(at, end)
			if err != nil {
				t.Fatal(err)
			}
			body := data[at+n : at+n+int64(header.CompressedPageSize)]
			at += n + int64(header.CompressedPageSize)
			header.CRC = 0
			body = edit(page, header, bytes.Clone(body))
			raw, err := thrift.Marshal(&protocol, header)
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case header.Type == format.DictionaryPage:
				c.DictionaryPageOffset = int64(len(before))
			case c.DataPageOffset == 0:
				c.DataPageOffset = int64(len(before))
			}
			before = append(append(before, raw...), body...)
		}
		c.TotalCompressedSize = int64(len(before)) - start
		return before
	})
}

func TestHostilePages(t *testing.T) {
	const allegation, code = 0, 5
	good := encode(t, sample(2000), parquet.Compression(&parquet.Uncompressed))
	old := encode(t, sample(2000), parquet.Compression(&parquet.Uncompressed), parquet.DataPageVersion(1))
	zipped := encode(t, sample(2000), parquet.Compression(&parquet.Gzip))
	for scenario, c := range map[string]struct {
		data   []byte
		column int
		edit   func(page int, h *format.PageHeader, body []byte) []byte
		want   string
	}{
		"a page of two gigabytes": {good, allegation, func(_ int, h *format.PageHeader, b []byte) []byte { h.CompressedPageSize = 1<<31 - 1; return b }, "longer than its column"},
		"one that becomes as much": {zipped, allegation, func(_ int, h *format.PageHeader, b []byte) []byte { h.UncompressedPageSize = 1<<31 - 1; return b },
			"of column allegation_id alone 2049, and there are 2048 for them: write smaller pages"},
		"one that becomes half as much": {zipped, allegation, func(_ int, h *format.PageHeader, b []byte) []byte { h.UncompressedPageSize = 1 << 30; return b },
			"a page cannot become as long as its header says"},
		"a negative size":    {good, allegation, func(_ int, h *format.PageHeader, b []byte) []byte { h.CompressedPageSize = -1; return b }, "allegation_id"},
		"two billion values": {old, allegation, func(_ int, h *format.PageHeader, b []byte) []byte { h.DataPageHeader.V.NumValues = 1<<31 - 1; return b }, "a page promises"},
		"as many, newer": {good, allegation, func(_ int, h *format.PageHeader, b []byte) []byte {
			h.DataPageHeaderV2.V.NumValues, h.DataPageHeaderV2.V.NumRows = 1<<31-1, 1<<31-1
			return b
		}, "a page promises"},
		"levels longer than the page": {good, allegation, func(_ int, h *format.PageHeader, b []byte) []byte {
			h.DataPageHeaderV2.V.DefinitionLevelsByteLength = 1<<31 - 1
			return b
		}, "levels are longer"},
		"an endless dictionary": {good, code, func(page int, h *format.PageHeader, b []byte) []byte {
			if page == 0 {
				h.DictionaryPageHeader.V.NumValues = 1<<31 - 1
			}
			return b
		}, "a dictionary says that it has entries beyond its bytes: 2147483647"},
		"a dictionary after the other": {good, code, func(page int, h *format.PageHeader, b []byte) []byte {
			if page > 0 {
				h.Type, h.DictionaryPageHeader = format.DictionaryPage, thrift.New(format.DictionaryPageHeader{NumValues: 1})
				h.DataPageHeaderV2 = thrift.Null[format.DataPageHeaderV2]{}
			}
			return b
		}, "offence_code"},
	} {
		t.Run(scenario, func(t *testing.T) { refuses(t, withPages(t, c.data, c.column, c.edit), c.want) })
	}
}

// A header whose text says that it is two gigabytes long.
func TestHostilePageHeader(t *testing.T) {
	good := encode(t, sample(2000))
	bad := withFooter(t, good, func(*format.FileMetaData) {}, func(before []byte, m *format.FileMetaData) []byte {
		c := &m.RowGroups[0].Columns[0].MetaData
		c.DataPageOffset, c.DictionaryPageOffset, c.TotalCompressedSize = int64(len(before)), 0, 100
		// type, sizes, then data_page_header: num_values, encodings, statistics with max as a binary of 2 GB
		return append(append(before, 0x15, 0, 0x15, 0xc8, 1, 0x15, 0xc8, 1, 0x2c, 0x15, 2, 0x15, 0, 0x15, 6, 0x15, 6, 0x1c, 0x18, 0xff, 0xff, 0xff, 0xff, 0x07), make([]byte, 100)...)
	})
	refuses(t, bad, "the header of a page cannot be read")
}

// Bombs: pages that become a thousand times what their headers say.
func TestDecompressionBombs(t *testing.T) {
	const plain = 256 << 20
	zeros := make([]byte, 1<<20)
	var zipped bytes.Buffer
	z, _ := gzip.NewWriterLevel(&zipped, gzip.BestCompression)
	for range plain >> 20 {
		z.Write(zeros)
	}
	z.Close()
	var zst bytes.Buffer
	e, _ := zstd.NewWriter(&zst, zstd.WithEncoderConcurrency(1))
	for range plain >> 20 {
		e.Write(zeros)
	}
	e.Close()
	// A frame that says how long it is is held to that by the decoder; but another may follow.
	whole, _ := zstd.NewWriter(nil)
	many := bytes.Repeat(whole.EncodeAll(make([]byte, 4<<20), nil), 500)
	for scenario, c := range map[string]struct {
		codec format.CompressionCodec
		bomb  []byte
	}{
		"gzip": {format.Gzip, zipped.Bytes()}, "zstd": {format.Zstd, zst.Bytes()}, "zstd, many frames": {format.Zstd, many},
		"snappy": {format.Snappy, append(binary.AppendUvarint(nil, plain), zeros[:1000]...)},
	} {
		for _, version := range []int{1, 2} {
			t.Run(scenario, func(t *testing.T) {
				good := encode(t, sample(2000), parquet.Compression(&parquet.Uncompressed), parquet.DataPageVersion(version))
				bad := withPages(t, good, 0, func(_ int, h *format.PageHeader, b []byte) []byte {
					if h.DataPageHeaderV2.Valid {
						b = append(b[:h.DataPageHeaderV2.V.DefinitionLevelsByteLength:h.DataPageHeaderV2.V.DefinitionLevelsByteLength], c.bomb...)
						h.DataPageHeaderV2.V.IsCompressed = thrift.New(true)
					} else {
						b = c.bomb
					}
					h.CompressedPageSize, h.UncompressedPageSize = int32(len(b)), 5<<20
					return b
				})
				bad = withFooter(t, bad, func(m *format.FileMetaData) { m.RowGroups[0].Columns[0].MetaData.Codec = c.codec })
				refuses(t, bad, "a page ")
			})
		}
	}
}

// Mislabelled columns: another codec, another encoding, another type than the bytes have.
func TestMislabelled(t *testing.T) {
	rows := sample(2000)
	for scenario, c := range map[string]struct {
		data []byte
		edit func(*format.FileMetaData)
	}{
		"snappy is not zstd":     {encode(t, rows, parquet.Compression(&parquet.Snappy)), func(m *format.FileMetaData) { setCodec(m, format.Zstd) }},
		"zstd is not snappy":     {encode(t, rows, parquet.Compression(&parquet.Zstd)), func(m *format.FileMetaData) { setCodec(m, format.Snappy) }},
		"gzip is not brotli":     {encode(t, rows, parquet.Compression(&parquet.Gzip)), func(m *format.FileMetaData) { setCodec(m, format.Brotli) }},
		"plain is not gzip":      {encode(t, rows, parquet.Compression(&parquet.Uncompressed)), func(m *format.FileMetaData) { setCodec(m, format.Gzip) }},
		"text is not a time":     {encode(t, rows), func(m *format.FileMetaData) { swap(m, "reported_at", "allegation_id") }},
		"a number is not a time": {encode(t, rows), func(m *format.FileMetaData) { swap(m, "suspect_age", "reported_at") }},
	} {
		t.Run(scenario, func(t *testing.T) {
			data := withFooter(t, c.data, c.edit)
			if _, err := scanAll(data, 2); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrRowsMismatch) && !errors.Is(err, ErrNotParquet) {
				t.Errorf("%v", err)
			}
		})
	}
}

func setCodec(m *format.FileMetaData, codec format.CompressionCodec) {
	for i := range m.RowGroups[0].Columns {
		m.RowGroups[0].Columns[i].MetaData.Codec = codec
	}
}

// swap lets one column point to the pages of another.
func swap(m *format.FileMetaData, a, b string) {
	var at [2]int
	for i, c := range m.RowGroups[0].Columns {
		switch c.MetaData.PathInSchema[0] {
		case a:
			at[0] = i
		case b:
			at[1] = i
		}
	}
	to, from := &m.RowGroups[0].Columns[at[0]].MetaData, m.RowGroups[0].Columns[at[1]].MetaData
	to.DataPageOffset, to.DictionaryPageOffset, to.TotalCompressedSize = from.DataPageOffset, from.DictionaryPageOffset, from.TotalCompressedSize
}
