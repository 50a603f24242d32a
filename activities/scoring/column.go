package scoring

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/apache/arrow/go/v16/arrow"
	"github.com/apache/arrow/go/v16/arrow/array"

	"harmstack/schemas"
)

// textColumn reads one string column of a batch, plain or as a dictionary. Each entry of a dictionary
// is numbered once, for all batches that share it.
//
// numberOf turns a trimmed, valid, non-blank text into a number; a column of ids has none, and keeps texts.
type textColumn struct {
	numberOf func(s string) uint32
	seen     map[string]uint32 // numbered texts of plain pages, as far as there is room

	column arrow.Array // of the batch, when it has numbers

	dictionary arrow.ArrayData // the one that entries and numbers were made of
	entries    [][]byte
	numbers    []uint32
	blank, bad bool // some entry is

	// What load leaves behind, a value a row.
	results []uint32 // of a column with numbers
	offsets []int32  // of texts that are clean as they stand in bytes
	bytes   []byte
	texts   [][]byte // of other texts
	// Some value may be null or blank, or no value of the column at all.
	mayLack, mayFail bool
}

// maxSeen is how many numbered texts are remembered: with more, a column is no column of codes, and to remember does
// not pay.
const maxSeen = 8 << 10

// Results of numbering that are no number of a vocabulary.
const (
	null       = 0              // also unnumbered: see vocabulary
	notAllowed = ^uint32(0)     // no value of the enum, or no Home Office code
	notUTF8    = ^uint32(0) - 1 // not text at all
)

// broken marks a text that is not UTF-8 among the texts.
var broken = []byte{0xff}

// text is the row's text, trimmed; empty for null.
func (c *textColumn) text(row int) []byte {
	if c.offsets != nil {
		return c.bytes[c.offsets[row]:c.offsets[row+1]]
	}
	return c.texts[row]
}

// drop makes a row's text null.
func (c *textColumn) drop(row int) { c.set(row, nil) }

// set gives a row another text.
func (c *textColumn) set(row int, text []byte) {
	if c.offsets != nil {
		n := len(c.offsets) - 1
		c.texts = grow(c.texts, n)
		for i := range n {
			c.texts[i] = c.bytes[c.offsets[i]:c.offsets[i+1]]
		}
		c.offsets = nil
	}
	c.texts[row] = text
}

// load reads the column for every row of the batch.
func (c *textColumn) load(col arrow.Array) error {
	c.column, c.offsets, c.mayLack, c.mayFail = col, nil, true, true
	switch col := col.(type) {
	case *array.String:
		if c.numberOf != nil {
			c.numberPlain(col)
			return nil
		}
		offsets := col.ValueOffsets()
		if len(offsets) == 0 {
			offsets = []int32{0}
		}
		var all []byte
		if b := col.Data().Buffers()[2]; b != nil {
			all = b.Bytes()
		}
		if !c.view(col, all, offsets) {
			c.loadPlain(col, all, offsets)
		}
		return nil
	case *array.Dictionary:
		entries, ok := col.Dictionary().(*array.String)
		indexes, ok32 := col.Indices().(*array.Int32)
		if ok && ok32 {
			c.loadDictionary(col, indexes, entries)
			return nil
		}
	}
	return fmt.Errorf(
		"a text column must be %s or %s, not %s",
		arrow.BinaryTypes.String,
		schemas.ArrowDictionary,
		col.DataType(),
	)
}

// view takes the texts as they stand, when none of them needs a closer look: all bytes are ASCII, no text
// begins or ends with white space or a control character, and no null holds anything.
func (c *textColumn) view(col *array.String, all []byte, offsets []int32) bool {
	if !printable(all[offsets[0]:offsets[len(offsets)-1]]) && !trimmed(all, offsets) {
		return false
	}
	if col.NullN() > 0 {
		for i := range col.Len() {
			if offsets[i] != offsets[i+1] && col.IsNull(i) {
				return false
			}
		}
	}
	c.mayLack, c.mayFail = false, false
	for i := range col.Len() {
		if offsets[i] == offsets[i+1] {
			c.mayLack = true
			break
		}
	}
	c.offsets, c.bytes = offsets, all
	return true
}

// printable tells whether every byte is ASCII and neither a control character nor a space.
func printable(b []byte) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	for len(b) >= 8 {
		// The top bit of a byte stays clear in w, and in w-0x21 unless the byte is below 0x21.
		if w := binary.LittleEndian.Uint64(b); (w|(w-0x21*ones))&tops != 0 {
			return false
		}
		b = b[8:]
	}
	for _, c := range b {
		if c <= ' ' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// trimmed tells whether all texts are ASCII and neither begin nor end with a control character or a space.
func trimmed(all []byte, offsets []int32) bool {
	for i, to := range offsets[1:] {
		if from := offsets[i]; from < to && !edges(all[from], all[to-1]) {
			return false
		}
	}
	return ascii(all[offsets[0]:offsets[len(offsets)-1]])
}

// edges tells whether a text that begins and ends with these bytes needs no trimming.
func edges(first, last byte) bool { return min(first, last) > ' ' }

func ascii(b []byte) bool {
	var bits uint64
	for ; len(b) >= 8; b = b[8:] {
		bits |= binary.LittleEndian.Uint64(b)
	}
	for _, c := range b {
		bits |= uint64(c)
	}
	return bits&0x8080808080808080 == 0
}

func (c *textColumn) loadPlain(col *array.String, all []byte, offsets []int32) {
	n := col.Len()
	c.texts = grow(c.texts, n)
	plain := ascii(all[offsets[0]:offsets[n]])
	for i := range n {
		t := all[offsets[i]:offsets[i+1]:offsets[i+1]]
		switch {
		case len(t) == 0 || col.IsNull(i):
			t = nil
		case !plain || !edges(t[0], t[len(t)-1]):
			t = clean(t)
		}
		c.texts[i] = t
	}
}

func (c *textColumn) numberPlain(col *array.String) {
	n := col.Len()
	c.results = grow(c.results, n)
	for i := range n {
		c.results[i] = null
		if col.IsNull(i) {
			continue
		}
		number, ok := c.seen[col.Value(i)]
		if !ok {
			number = c.number(clean(view(col.Value(i))))
			if len(col.Value(i)) <= maxNumberedText {
				if len(c.seen) == maxSeen {
					clear(c.seen)
				}
				c.seen[strings.Clone(col.Value(i))] = number
			}
		}
		c.results[i] = number
	}
}

func (c *textColumn) loadDictionary(col *array.Dictionary, indexes *array.Int32, entries *array.String) {
	if data := entries.Data(); data != c.dictionary {
		// Held, so that no other dictionary can come to lie at its address.
		data.Retain()
		c.release()
		c.dictionary = data
		c.entries, c.numbers = grow(c.entries, entries.Len()), grow(c.numbers, entries.Len())
		c.blank, c.bad = false, false
		for i := range entries.Len() {
			c.entries[i] = clean(view(entries.Value(i)))
			c.blank = c.blank || len(c.entries[i]) == 0
			c.bad = c.bad || isBroken(c.entries[i])
			if c.numberOf != nil {
				c.numbers[i] = c.number(c.entries[i])
				c.bad = c.bad || c.numbers[i] == notAllowed
			}
		}
	}
	n := col.Len()
	c.mayLack, c.mayFail = c.blank || col.NullN() > 0, c.bad
	if c.numberOf == nil {
		c.texts = grow(c.texts, n)
		for i, at := range indexes.Int32Values() {
			c.texts[i] = nil
			if indexes.IsValid(i) {
				c.texts[i] = c.entries[at]
			}
		}
		return
	}
	c.results = grow(c.results, n)
	if indexes.NullN() == 0 {
		for i, at := range indexes.Int32Values() {
			c.results[i] = c.numbers[at]
		}
		return
	}
	for i, at := range indexes.Int32Values() {
		c.results[i] = null
		if indexes.IsValid(i) {
			c.results[i] = c.numbers[at]
		}
	}
}

func (c *textColumn) number(text []byte) uint32 {
	switch {
	case len(text) == 0:
		return null
	case isBroken(text):
		return notUTF8
	}
	return c.numberOf(string(text))
}

// given is a row's text, trimmed, of a column with numbers: of one that has no number.
func (c *textColumn) given(row int) string {
	if d, ok := c.column.(*array.Dictionary); ok {
		return text(c.entries[d.GetValueIndex(row)])
	}
	return text(clean(view(c.column.(*array.String).Value(row))))
}

// forget gives up what was numbered.
func (c *textColumn) forget() {
	clear(c.seen)
	c.release()
}

// release lets the dictionary go.
func (c *textColumn) release() {
	if c.dictionary != nil {
		c.dictionary.Release()
		c.dictionary = nil
	}
}

// clean trims, and marks what is not UTF-8.
func clean(b []byte) []byte {
	if printable(b) {
		return b
	}
	if !utf8.Valid(b) {
		return broken
	}
	return view(schemas.TrimSpace(text(b)))
}

func isBroken(text []byte) bool { return len(text) == 1 && text[0] == broken[0] }

// view looks at a string's bytes without copying them.
func view(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}
