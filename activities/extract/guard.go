package extract

import (
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	words "harmstack/schemas/text"
)

// The headers of a column's pages are looked at before the first of them is read: what they say must fit into the
// file, and what the pages of all columns take together into memory.
const (
	headerSize = 256     // bytes that most headers fit into
	maxHeader  = 1 << 20 // bounds of long texts stand in it
	rowBytes   = 24      // that a row of a page takes beside its encoded values: its level, its value, its place
)

var (
	errHeader       = errors.New("the header of a page cannot be read")
	errOutside      = errors.New("it does not lie within the file")
	errPageSize     = errors.New("a page says that it is longer than its column")
	errLevels       = errors.New("a page's levels are longer than the page")
	errDictionaries = errors.New("it has more than one dictionary")
	errWidth        = errors.New("a page's values are not as wide as the footer says")
)

// extent is what the pages of a column chunk take.
type extent struct {
	pages int   // of data
	most  int64 // bytes of memory that one page takes at most, and the dictionary with it
}

// measure goes from header to header through a column chunk. rows is what its row group promises.
func measure(r io.ReaderAt, size int64, c chunk, wide int, rows int64) (e extent, err error) {
	if c.at < 4 || c.end < c.at || c.end > size {
		return e, errOutside
	}
	h := headers{r: r}
	dictionary := int64(-1)
	for at := c.at; at < c.end; {
		page, length, err := h.read(at, c.end)
		if err != nil {
			return e, err
		}
		at += length
		compressed, plain := int64(page.CompressedPageSize), int64(page.UncompressedPageSize)
		if compressed < 0 || plain < 0 || compressed > c.end-at {
			return e, errPageSize
		}
		at += compressed
		if page.Type == format.DictionaryPage {
			n := int64(page.DictionaryPageHeader.V.NumValues)
			if wide == 0 {
				wide = 4 // the length of a text
			}
			switch {
			case dictionary >= 0:
				return e, errDictionaries
			case n < 0 || n > plain/int64(wide):
				return e, fmt.Errorf("a dictionary says that it has entries beyond its bytes: %d in %d", n, plain)
			}
			dictionary = 2*plain + compressed + 8*n
			continue
		}
		values := int64(max(page.DataPageHeader.V.NumValues, page.DataPageHeaderV2.V.NumValues))
		v2 := &page.DataPageHeaderV2.V
		levels := int64(v2.DefinitionLevelsByteLength) + int64(v2.RepetitionLevelsByteLength)
		switch {
		case values > rows:
			return e, fmt.Errorf(
				"%w: a page promises %s more than the row group",
				ErrRowsMismatch,
				words.Count(values-rows, "row"),
			)
		case levels > compressed:
			return e, errLevels
		}
		e.pages++
		if c.codec == format.Uncompressed {
			plain = 0
		}
		e.most = max(e.most, compressed+plain+rowBytes*values)
	}
	e.most += max(dictionary, 0)
	return e, nil
}

// headers reads the headers of pages.
type headers struct {
	r      io.ReaderAt
	buffer []byte
}

// read decodes the header at a place, and says how long it is. It reads little at first: most headers have some fifty
// bytes.
func (h *headers) read(at, end int64) (page *format.PageHeader, length int64, err error) {
	for size := int64(headerSize); ; size *= 16 {
		size = min(size, end-at, maxHeader)
		h.buffer = grow(h.buffer, int(size))
		if _, err := h.r.ReadAt(h.buffer, at); err != nil && !errors.Is(err, io.EOF) {
			return nil, 0, ioError{err}
		}
		if page, length = decodeHeader(h.buffer); page != nil {
			return page, length, nil
		}
		if size == min(end-at, maxHeader) {
			return nil, 0, errHeader
		}
	}
}

// decodeHeader decodes a page's header, if the bytes hold all of it.
func decodeHeader(b []byte) (*format.PageHeader, int64) {
	var protocol thrift.CompactProtocol
	page, in := new(format.PageHeader), protocol.NewReaderFromBytes(b)
	if thrift.NewDecoder(in).Decode(page) != nil {
		return nil, 0
	}
	return page, int64(in.BytesRead())
}
