package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"unsafe"

	"github.com/jackc/pgx/v5"

	"harmstack/schemas/text"
)

// copy gives the rows of one statement, record by record: as many fields as the query has columns, blank where one is
// not read or null. A record is valid during the call only. A result that breaks off is an error, never a short
// success.
func (s *Snapshot) copy(
	ctx context.Context,
	conn *pgx.Conn,
	sel Selection,
	from string,
	row func(record []string) error,
) (int64, error) {
	d := &decoder{row: row, record: make([]string, len(s.Columns))}
	var columns []string
	for _, c := range sel.Read {
		name, as := s.name(c), Text
		switch t := s.Columns[c].Type; {
		case t == Bool:
			as = Bool
		case sel.Exact[c]:
			as = t
		default:
			name += "::text"
		}
		columns = append(columns, name)
		d.fields = append(d.fields, field{column: c, as: as})
	}
	tag, err := conn.PgConn().
		CopyTo(ctx, d, "COPY (SELECT "+strings.Join(columns, ", ")+from+") TO STDOUT (FORMAT binary)")
	if d.err != nil {
		return d.rows, d.err
	}
	if err != nil {
		return d.rows, explain(ctx, "read", err)
	}
	if !d.ended || tag.RowsAffected() != d.rows {
		return d.rows, fmt.Errorf("PostgreSQL, read: the result broke off after %s", text.Count(d.rows, "row"))
	}
	return d.rows, nil
}

// exactSize is of an instant in a record: eight bytes, most significant first, of microseconds since 1970. One that
// PostgreSQL calls infinite is written otherwise.
const exactSize = 8

// epoch is 2000, from which PostgreSQL counts, in microseconds since 1970.
const epoch = 946_684_800_000_000

type field struct {
	column int
	as     Type
	exact  [exactSize]byte
}

// decoder reads PostgreSQL's binary copy format as it comes.
type decoder struct {
	row    func(record []string) error
	fields []field
	record []string
	rest   []byte // of a message that ended within a row
	begun  bool
	ended  bool
	rows   int64
	err    error
}

var errFormat = errors.New("PostgreSQL, read: the result is not in the format it should be in")

// Write takes a message.
func (d *decoder) Write(p []byte) (int, error) {
	b := p
	if len(d.rest) > 0 {
		d.rest = append(d.rest, p...)
		b = d.rest
	}
	used, err := d.read(b)
	if err != nil {
		d.err = err
		return 0, err
	}
	d.rest = append(d.rest[:0], b[used:]...)
	return len(p), nil
}

const signature = "PGCOPY\n\xff\r\n\x00"

// read takes as many whole rows as there are.
func (d *decoder) read(b []byte) (used int, err error) {
	if !d.begun {
		const head = len(signature) + 8
		if len(b) < head {
			return 0, nil
		}
		extension := int(binary.BigEndian.Uint32(b[head-4:]))
		if string(b[:len(signature)]) != signature || extension != 0 {
			return 0, errFormat
		}
		d.begun, used = true, head
	}
	for !d.ended {
		n, err := d.tuple(b[used:])
		if err != nil || n == 0 {
			return used, err
		}
		used += n
	}
	return used, nil
}

// tuple takes one row; 0: it is not whole yet.
func (d *decoder) tuple(b []byte) (used int, err error) {
	if len(b) < 2 {
		return 0, nil
	}
	switch int(binary.BigEndian.Uint16(b)) {
	case 0xffff:
		d.ended = true
		return 2, nil
	case len(d.fields):
	default:
		return 0, errFormat
	}
	at := 2
	for i := range d.fields {
		f := &d.fields[i]
		if len(b) < at+4 {
			return 0, nil
		}
		size := int(int32(binary.BigEndian.Uint32(b[at:])))
		at += 4
		if size < 0 {
			d.record[f.column] = ""
			continue
		}
		if len(b) < at+size {
			return 0, nil
		}
		value := b[at : at+size]
		at += size
		switch {
		case f.as == Text:
			d.record[f.column] = unsafe.String(unsafe.SliceData(value), len(value))
		case f.as == Bool && size == 1:
			d.record[f.column] = [2]string{"f", "t"}[value[0]&1]
		case size == exactSize:
			d.record[f.column] = exact(value, &f.exact)
		default:
			return 0, errFormat
		}
	}
	d.rows++
	return at, d.row(d.record)
}

// exact counts from 1970.
func exact(value []byte, to *[exactSize]byte) string {
	micros := int64(binary.BigEndian.Uint64(value))
	if micros == math.MaxInt64 || micros == math.MinInt64 {
		return "inf"
	}
	binary.BigEndian.PutUint64(to[:], uint64(micros+epoch))
	return unsafe.String(&to[0], len(to))
}
