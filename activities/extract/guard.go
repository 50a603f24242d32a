package extract

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// The decoder allocates what a file says of itself before it looks whether that is there. So the footer, and the headers
// of a column's pages, are looked at first: what they say must fit into the file, and into these limits, which are far
// beyond what writers make.
const (
	maxFooter   = 32 << 20
	maxHeader   = 1 << 20 // of a page; bounds of long texts stand in it
	maxPage     = 64 << 20
	maxPageRows = 16 << 20
	maxNesting  = 32
	maxColumns  = 20_000
	maxChunks   = 4 << 20
	minChunk    = 24 // bytes that a column chunk takes in a footer, at least
)

// checkFooter makes sure that a footer holds what it announces.
func checkFooter(r io.ReaderAt, size int64) error {
	var tail [8]byte
	if _, err := r.ReadAt(tail[:], size-8); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the extract: %w", err)
	}
	length := int64(binary.LittleEndian.Uint32(tail[:]))
	switch {
	case length > size-12:
		return fmt.Errorf("%w: its footer cannot be read: it says that it has %d bytes, the file has %d", ErrNotParquet, length, size)
	case length > maxFooter:
		return fmt.Errorf("%w: its footer has %d MiB, %d can be read: write larger row groups", ErrNotParquet, length>>20, maxFooter>>20)
	}
	footer := make([]byte, length)
	if _, err := r.ReadAt(footer, size-8-length); err != nil {
		return fmt.Errorf("read the extract: %w", err)
	}
	w := walk{rest: footer}
	if !w.structure(0) {
		return fmt.Errorf("%w: its footer cannot be read", ErrNotParquet)
	}
	var m format.FileMetaData
	var protocol thrift.CompactProtocol
	if err := thrift.NewDecoder(protocol.NewReaderFromBytes(footer)).Decode(&m); err != nil {
		return fmt.Errorf("%w: its footer cannot be read", ErrNotParquet)
	}
	return checkSchema(m.Schema, len(m.RowGroups))
}

// checkSchema refuses a schema that would take memory by its depth or its width: the decoder keeps the whole path of every
// column, and every column's place in every row group.
func checkSchema(schema []format.SchemaElement, rowGroups int) error {
	if len(schema) > maxColumns || len(schema)*rowGroups > maxChunks {
		return fmt.Errorf("%w: it has %d columns in %d row groups: write fewer of them", ErrNotParquet, len(schema), rowGroups)
	}
	var open []int32 // children still to come, of each group that the element lies in
	for _, e := range schema {
		if len(open) > maxNesting {
			return fmt.Errorf("%w: its columns are nested more than %d deep", ErrNotParquet, maxNesting)
		}
		if n := e.NumChildren; n.Valid && n.V > 0 {
			open = append(open, n.V)
			continue
		}
		for len(open) > 0 {
			last := len(open) - 1
			if open[last]--; open[last] > 0 {
				break
			}
			open = open[:last]
		}
	}
	return nil
}

// walk goes through a struct of Thrift's compact protocol without keeping anything of it.
type walk struct{ rest []byte }

func (w *walk) skip(n uint64) bool {
	if n > uint64(len(w.rest)) {
		return false
	}
	w.rest = w.rest[n:]
	return true
}

func (w *walk) number() (n uint64, ok bool) {
	n, size := binary.Uvarint(w.rest)
	return n, size > 0 && w.skip(uint64(size))
}

func (w *walk) structure(depth int) bool {
	for depth < maxNesting && len(w.rest) > 0 {
		field := w.rest[0]
		w.rest = w.rest[1:]
		if field == 0 {
			return true
		}
		if field>>4 == 0 { // the field's number stands apart
			if _, ok := w.number(); !ok {
				return false
			}
		}
		if kind := thrift.Type(field & 15); kind != thrift.TRUE && kind != thrift.FALSE && !w.value(kind, depth) {
			return false
		}
	}
	return false
}

func (w *walk) value(kind thrift.Type, depth int) bool {
	switch kind {
	case thrift.TRUE, thrift.FALSE, thrift.I8:
		return w.skip(1)
	case thrift.I16, thrift.I32, thrift.I64:
		_, ok := w.number()
		return ok
	case thrift.DOUBLE:
		return w.skip(8)
	case thrift.BINARY:
		n, ok := w.number()
		return ok && w.skip(n)
	case thrift.LIST, thrift.SET:
		return w.list(depth + 1)
	case thrift.STRUCT:
		return w.structure(depth + 1)
	}
	return false // a footer has no maps
}

func (w *walk) list(depth int) bool {
	if len(w.rest) == 0 || depth >= maxNesting {
		return false
	}
	size, kind := uint64(w.rest[0]>>4), thrift.Type(w.rest[0]&15)
	w.rest = w.rest[1:]
	if size == 15 {
		var ok bool
		if size, ok = w.number(); !ok {
			return false
		}
	}
	least := uint64(1)
	if kind == thrift.STRUCT && depth == 3 { // of a row group: its columns
		least = minChunk
	}
	if size > uint64(len(w.rest))/least {
		return false
	}
	for range size {
		if !w.value(kind, depth) {
			return false
		}
	}
	return true
}

// checkPages goes from header to header through a column chunk. rows is what its row group promises.
func checkPages(r io.ReaderAt, size int64, c *format.ColumnMetaData, rows int64) error {
	at := c.DataPageOffset
	if c.DictionaryPageOffset != 0 {
		at = c.DictionaryPageOffset
	}
	end := at + c.TotalCompressedSize
	if at < 4 || c.TotalCompressedSize < 0 || end < at || end > size {
		return errors.New("it does not lie within the file")
	}
	h := headers{r: r}
	for dictionary := false; at < end; {
		page, length, err := h.read(at, end)
		if err != nil {
			return err
		}
		at += length
		compressed, plain := int64(page.CompressedPageSize), int64(page.UncompressedPageSize)
		switch {
		case compressed < 0 || plain < 0 || compressed > end-at:
			return errors.New("a page says that it is longer than its column")
		case plain > maxPage || compressed > maxPage:
			return fmt.Errorf("a page says that it has %d MiB, %d can be read: write smaller pages, or smaller row groups", max(plain, compressed)>>20, maxPage>>20)
		case page.Type == format.DictionaryPage && dictionary:
			return errors.New("it has more than one dictionary")
		case page.Type == format.DictionaryPage:
			dictionary = true
			if n := int64(page.DictionaryPageHeader.V.NumValues); n < 0 || n > plain/width(c.Type) {
				return fmt.Errorf("a dictionary says that it has %d entries in %d bytes", n, plain)
			}
		}
		for _, n := range []int32{page.DataPageHeader.V.NumValues, page.DataPageHeaderV2.V.NumValues} {
			if int64(n) > rows {
				return fmt.Errorf("%w: a page promises %d rows more than the row group", ErrRowsMismatch, int64(n)-rows)
			}
			if n > maxPageRows {
				return fmt.Errorf("a page says that it has %d rows, %d can be read: write smaller pages, or smaller row groups", n, maxPageRows)
			}
		}
		if v2 := page.DataPageHeaderV2; v2.Valid && v2.V.Encoding == format.Plain && (c.Type == format.Int32 || c.Type == format.Int64 || c.Type == format.Int96) &&
			plain-int64(v2.V.DefinitionLevelsByteLength)-int64(v2.V.RepetitionLevelsByteLength) != width(c.Type)*(int64(v2.V.NumValues)-int64(v2.V.NumNulls)) {
			return errors.New("a page's values are not as wide as the footer says")
		}
		if v2 := page.DataPageHeaderV2; v2.Valid && int64(v2.V.DefinitionLevelsByteLength)+int64(v2.V.RepetitionLevelsByteLength) > compressed {
			return errors.New("a page's levels are longer than the page")
		}
		if !page.DataPageHeaderV2.Valid {
			if err := checkExpansion(io.NewSectionReader(r, at, compressed), c.Codec, compressed, plain); err != nil {
				return err
			}
		} else if levels := int64(page.DataPageHeaderV2.V.DefinitionLevelsByteLength) + int64(page.DataPageHeaderV2.V.RepetitionLevelsByteLength); compressed > levels {
			if isCompressed := page.DataPageHeaderV2.V.IsCompressed; !isCompressed.Valid || isCompressed.V {
				if err := checkExpansion(io.NewSectionReader(r, at+levels, compressed-levels), c.Codec, compressed-levels, plain); err != nil {
					return err
				}
			}
		}
		at += compressed
	}
	return nil
}

// width is the fewest bytes that a value takes in a dictionary.
func width(t format.Type) int64 {
	switch t {
	case format.Int64, format.Double:
		return 8
	case format.Int96:
		return 12
	case format.FixedLenByteArray:
		return 1
	}
	return 4
}

// headers reads the headers of pages.
type headers struct {
	r        io.ReaderAt
	buffer   []byte
	protocol thrift.CompactProtocol
}

// read decodes the header at a place, and says how long it is. It reads little at first: most headers have some fifty bytes.
func (h *headers) read(at, end int64) (page *format.PageHeader, length int64, err error) {
	for size := int64(256); ; size *= 16 {
		size = min(size, end-at, maxHeader)
		h.buffer = slices.Grow(h.buffer[:0], int(size))[:size]
		if _, err := h.r.ReadAt(h.buffer, at); err != nil && !errors.Is(err, io.EOF) {
			return nil, 0, err
		}
		page = new(format.PageHeader)
		in := h.protocol.NewReaderFromBytes(h.buffer)
		if err = thrift.NewDecoder(in).Decode(page); err == nil {
			return page, int64(in.BytesRead()), nil
		}
		if size == min(end-at, maxHeader) {
			return nil, 0, errors.New("the header of a page cannot be read")
		}
	}
}

// checkExpansion makes sure that a compressed page does not grow far beyond what its header says. What cannot grow beyond
// maxPage, whatever it holds, is not looked at.
func checkExpansion(r io.Reader, codec format.CompressionCodec, compressed, plain int64) error {
	const (
		mostByGzip  = 1032 // times as long
		zstdBlock   = 128 << 10
		zstdHeader  = 18
		snappyLimit = binary.MaxVarintLen32
	)
	var text io.Reader
	var err error
	switch codec {
	case format.Snappy:
		var head [snappyLimit]byte
		n, _ := io.ReadFull(r, head[:])
		if says, size := binary.Uvarint(head[:n]); size <= 0 || int64(says) > plain {
			return errors.New("a page is not compressed as its header says")
		}
		return nil
	case format.Gzip:
		if compressed <= maxPage/mostByGzip {
			return nil
		}
		text, err = gzip.NewReader(r)
	case format.Brotli:
		text = brotli.NewReader(r)
	case format.Zstd:
		return checkZstd(bufio.NewReaderSize(r, 64<<10), plain)
	default:
		return nil
	}
	if err == nil {
		var n int64
		if n, err = io.CopyN(io.Discard, text, plain+1); n > plain {
			return errors.New("a page is longer than its header says")
		} else if errors.Is(err, io.EOF) {
			return nil
		}
	}
	return errors.New("a page is not compressed as the footer says")
}

// checkZstd adds up what the blocks can at most become, without decompressing them. A frame that says how long it is is
// held to that by the decoder.
func checkZstd(r *bufio.Reader, plain int64) error {
	const most = 128 << 10 // of a block
	total := int64(0)
	for {
		head, err := r.Peek(zstd.HeaderMaxSize)
		if len(head) == 0 {
			return nil
		}
		var frame zstd.Header
		if frame.Decode(bytes.Clone(head)) != nil || err != nil && !errors.Is(err, io.EOF) {
			return errors.New("a page is not compressed as the footer says")
		}
		if frame.Skippable {
			if _, err := r.Discard(frame.HeaderSize + int(frame.SkippableSize)); err != nil {
				return errors.New("a page is cut short")
			}
			continue
		}
		if frame.WindowSize > maxPage || frame.HasFCS && frame.FrameContentSize > uint64(plain) {
			return errors.New("a page is longer than its header says")
		}
		r.Discard(frame.HeaderSize) //nolint:errcheck // it was peeked at
		blocks := int64(0)
		for last := false; !last; {
			var block [3]byte
			if _, err := io.ReadFull(r, block[:]); err != nil {
				return errors.New("a page is cut short")
			}
			bits := int(block[0]) | int(block[1])<<8 | int(block[2])<<16
			last = bits&1 == 1
			length := bits >> 3
			switch bits >> 1 & 3 {
			case 0:
				blocks += int64(length)
			case 1:
				blocks, length = blocks+int64(length), 1
			case 2:
				blocks += most
			default:
				return errors.New("a page is not compressed as the footer says")
			}
			if _, err := r.Discard(length); err != nil {
				return errors.New("a page is cut short")
			}
		}
		if frame.HasCheckSum {
			r.Discard(4) //nolint:errcheck // the decoder looks at it
		}
		if frame.HasFCS {
			blocks = min(blocks, int64(frame.FrameContentSize))
		}
		if total += blocks; total > max(maxPage, plain) {
			return errors.New("a page is longer than its header says")
		}
	}
}
