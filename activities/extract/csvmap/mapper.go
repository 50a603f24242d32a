package csvmap

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/parquet-go/parquet-go"

	"harmstack/schemas"
)

// Mapper turns records of text into the contract's values, one by one. It is for one goroutine.
type Mapper struct{ c converter }

// Mapper binds the mapping to a text's columns. A column of which exact is true holds instants in eight
// bytes, big-endian, as microseconds since 1970; only a Plain column may.
func (m *Mapping) Mapper(columns []string, exact []bool) (*Mapper, error) {
	b, err := m.bind(columns)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMismatch, err)
	}
	for i := range b.origins {
		if f := b.origins[i].field; f >= 0 && exact != nil {
			b.origins[i].exact = exact[f]
		}
	}
	return &Mapper{converter{origins: b.origins}}, nil
}

// Field is the text's column that one of the contract's comes from; -1: from none.
func (m *Mapper) Field(column int) int { return m.c.origins[column].field }

// Absent are the columns of the contract that the text lacks: every value is null.
func (m *Mapper) Absent() []string { return m.c.absent() }

// Row makes a record's values, which are views of it. unreadable has the bit 1<<i when column i could not be read.
func (m *Mapper) Row(record []string, values *[schemas.OffenceColumns]parquet.Value) (unreadable uint32) {
	m.c.row = 0
	for i := range values {
		values[i] = m.c.field(i, record)
	}
	return m.c.row
}

// Unreadable counts the values so far that were not what their column holds, by column.
func (m *Mapper) Unreadable() map[string]int64 { return m.c.unreadable }

// Plain tells whether a column's values are taken as they stand in the text: neither constant, nor replaced, nor in a
// layout of their own, nor, unless zoned says that each tells its own time zone, in one that is not UTC.
func (m *Mapping) Plain(column string, zoned bool) bool {
	c, mapped := m.Columns[column]
	return !mapped ||
		c.Constant == "" && len(c.Values) == 0 && len(c.Layouts) == 0 && (zoned || c.zone == nil || c.zone == time.UTC)
}

// exactTime reads the instant of an exact column. The years that text can name are those that are read.
func exactTime(text string) (micros int64, ok bool) {
	if len(text) != 8 {
		return 0, false
	}
	micros = int64(binary.BigEndian.Uint64([]byte(text)))
	return micros, micros >= firstYear && micros < lastYear
}

var (
	firstYear = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	lastYear  = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
)
