package extract

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// The limits of a footer, far beyond what writers make: 40,000 row groups of the contract's columns take some 150 MiB.
const (
	maxFooter  = 512 << 20
	maxNesting = 32
	maxColumns = 20_000
	signature  = 28 // bytes that follow a footer which is signed but not encrypted
)

var errFooter = fmt.Errorf("%w: its footer cannot be read", ErrNotParquet)

// footer is what a file says of itself, as far as it matters here. It is read by hand, since the decoders of the
// library allocate what a list says that it holds.
type footer struct {
	schema []format.SchemaElement
	leaves []leaf
	rows   int64
	groups []byte // the list of row groups, still encoded
}

// leaf is a column that holds values.
type leaf struct {
	element *format.SchemaElement
	top     bool // not part of another
}

// chunk is where a column of a row group lies.
type chunk struct {
	at, end   int64 // of its pages, in the file
	codec     format.CompressionCodec
	encrypted bool
	elsewhere bool // in another file
}

// readFooter reads the footer of a file whose ends were looked at.
func readFooter(r io.ReaderAt, size int64) (*footer, error) {
	var tail [8]byte
	if _, err := r.ReadAt(tail[:], size-8); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the extract: %w", err)
	}
	length := int64(binary.LittleEndian.Uint32(tail[:]))
	switch {
	case length > size-12:
		return nil, fmt.Errorf("%w: it says that it has %d bytes, the file has %d", errFooter, length, size)
	case length > maxFooter:
		return nil, fmt.Errorf("%w: its footer has %d MiB, %d can be read: write larger row groups",
			ErrNotParquet, length>>20, maxFooter>>20)
	}
	raw := make([]byte, length)
	if _, err := r.ReadAt(raw, size-8-length); err != nil {
		return nil, fmt.Errorf("read the extract: %w", err)
	}
	f, w := &footer{}, walk{raw}
	whole := w.fields(0, func(id int, kind thrift.Type) bool {
		switch {
		case id == 2 && kind == thrift.LIST:
			return f.readSchema(&w)
		case id == 3 && kind == thrift.I64:
			return w.signed(&f.rows)
		case id == 4 && kind == thrift.LIST:
			return w.take(&f.groups, kind, 0)
		}
		return true
	})
	if !whole || len(w.rest) != 0 && len(w.rest) != signature || f.groups == nil {
		return nil, errFooter
	}
	return f, f.readLeaves()
}

// readSchema reads the list of columns, and no more of them than may be.
func (f *footer) readSchema(w *walk) bool {
	size, kind, ok := w.list(1)
	if !ok || kind != thrift.STRUCT || size == 0 {
		return false
	}
	f.schema = nil
	var protocol thrift.CompactProtocol
	for range size {
		var raw []byte
		if !w.take(&raw, kind, 1) {
			return false
		}
		var e format.SchemaElement
		if len(f.schema) <= maxColumns { // more are refused in readLeaves
			if thrift.Unmarshal(&protocol, raw, &e) != nil {
				return false
			}
			f.schema = append(f.schema, e)
		}
	}
	return true
}

// readLeaves finds the columns that hold values.
func (f *footer) readLeaves() error {
	if len(f.schema) > maxColumns {
		return fmt.Errorf("%w: it has more than %d columns: write fewer of them", ErrNotParquet, maxColumns)
	}
	var open []int32 // children still to come, of each group that the element lies in
	for i := range f.schema {
		e := &f.schema[i]
		if len(open) > maxNesting {
			return fmt.Errorf("%w: its columns are nested more than %d deep", ErrNotParquet, maxNesting)
		}
		if i > 0 && len(open) == 0 {
			return errFooter // more than the root says
		}
		if e.Type.Valid && i > 0 {
			f.leaves = append(f.leaves, leaf{e, len(open) == 1})
		} else if n := e.NumChildren.V; n > 0 {
			open = append(open, n)
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
	if len(open) > 0 {
		return errFooter // fewer than one says
	}
	return nil
}

// eachGroup reads the row groups one after the other: of each how many rows it promises, and where its columns lie. The
// chunks are those of the columns for which wanted says where in the list they go; -1: not wanted.
func (f *footer) eachGroup(wanted []int, chunks int, do func(rows int64, chunks []chunk) error) error {
	w := walk{f.groups}
	size, kind, ok := w.list(1)
	if !ok || kind != thrift.STRUCT && size > 0 {
		return errFooter
	}
	for i := range size {
		rows, columns, found := int64(0), uint64(0), make([]chunk, chunks)
		whole := w.fields(1, func(id int, kind thrift.Type) (ok bool) {
			switch {
			case id == 1 && kind == thrift.LIST:
				columns, ok = readChunks(&w, wanted, found)
				return ok
			case id == 3 && kind == thrift.I64:
				return w.signed(&rows)
			}
			return true
		})
		if !whole {
			return errFooter
		}
		if columns != uint64(len(wanted)) {
			return fmt.Errorf("%w: row group %d has another number of columns: %d, not %d", errFooter, i, columns, len(wanted))
		}
		if err := do(rows, found); err != nil {
			return err
		}
	}
	return nil
}

func readChunks(w *walk, wanted []int, chunks []chunk) (columns uint64, ok bool) {
	columns, kind, ok := w.list(2)
	if !ok || kind != thrift.STRUCT && columns > 0 || columns > uint64(len(wanted)) {
		return columns, false
	}
	for i := range columns {
		if to := wanted[i]; to < 0 {
			ok = w.structure(2)
		} else {
			ok = readChunk(w, &chunks[to])
		}
		if !ok {
			return columns, false
		}
	}
	return columns, true
}

func readChunk(w *walk, c *chunk) bool {
	var data, dictionary, length, codec int64
	ok := w.fields(2, func(id int, kind thrift.Type) bool {
		switch id {
		case 1: // the file in which it lies; empty: this one
			c.elsewhere = len(w.rest) > 0 && w.rest[0] > 0
		case 8, 9: // how it is encrypted, and what hides the rest
			c.encrypted = true
		case 3:
			return kind == thrift.STRUCT && w.fields(3, func(id int, kind thrift.Type) bool {
				switch {
				case id == 4 && kind == thrift.I32:
					return w.signed(&codec)
				case id == 7 && kind == thrift.I64:
					return w.signed(&length)
				case id == 9 && kind == thrift.I64:
					return w.signed(&data)
				case id == 11 && kind == thrift.I64:
					return w.signed(&dictionary)
				}
				return true
			})
		}
		return true
	})
	c.codec, c.at = format.CompressionCodec(codec), data
	if dictionary > 0 && dictionary < data {
		c.at = dictionary
	}
	c.end = c.at + length
	return ok
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

// signed reads a whole number.
func (w *walk) signed(to *int64) bool {
	n, ok := w.number()
	*to = int64(n>>1) ^ -int64(n&1)
	return ok
}

// take goes over a value and keeps its bytes.
func (w *walk) take(to *[]byte, kind thrift.Type, depth int) bool {
	before := w.rest
	ok := w.value(kind, depth)
	*to = before[:len(before)-len(w.rest)]
	return ok
}

func (w *walk) structure(depth int) bool {
	return w.fields(depth, func(int, thrift.Type) bool { return true })
}

// fields names every field of a struct to see, which may read it; what it leaves is skipped.
func (w *walk) fields(depth int, see func(id int, kind thrift.Type) bool) bool {
	id := int64(0)
	for depth < maxNesting && len(w.rest) > 0 {
		field := w.rest[0]
		w.rest = w.rest[1:]
		if field == 0 {
			return true
		}
		if field>>4 != 0 {
			id += int64(field >> 4)
		} else if !w.signed(&id) { // the field's number stands apart
			return false
		}
		kind, before := thrift.Type(field&15), len(w.rest)
		if !see(int(id), kind) {
			return false
		}
		if len(w.rest) == before && kind != thrift.TRUE && kind != thrift.FALSE && !w.value(kind, depth) {
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
		size, kind, ok := w.list(depth + 1)
		for ; ok && size > 0; size-- {
			ok = w.value(kind, depth+1)
		}
		return ok
	case thrift.STRUCT:
		return w.structure(depth + 1)
	}
	return false // a footer has no maps
}

// list reads the head of a list: how many of what kind follow. Each takes a byte at least.
func (w *walk) list(depth int) (size uint64, kind thrift.Type, ok bool) {
	if len(w.rest) == 0 || depth >= maxNesting {
		return 0, 0, false
	}
	size, kind = uint64(w.rest[0]>>4), thrift.Type(w.rest[0]&15)
	w.rest = w.rest[1:]
	if size == 15 {
		if size, ok = w.number(); !ok {
			return 0, 0, false
		}
	}
	return size, kind, size <= uint64(len(w.rest))
}
