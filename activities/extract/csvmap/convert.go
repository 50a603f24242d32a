package csvmap

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unsafe"

	"github.com/parquet-go/parquet-go"

	"harmstack/schemas"
	"harmstack/schemas/fault"
)

var (
	// ErrMismatch is returned for text that the mapping does not fit, before its first row is read.
	ErrMismatch = fault.New(fault.SchemaMismatch, "the columns do not follow the contract")
	// ErrDamaged is returned for text that is no CSV, or that is cut short.
	ErrDamaged = fault.New(fault.DamagedArtifact, "the text is damaged")
)

const (
	batchRows = 4096
	groupRows = 256 << 10
	maxRecord = 16 << 20 // bytes of one row: a quote that does not end would take all that follows for one value
)

// Result is what was converted.
type Result struct {
	Rows         int64
	ExtraColumns int // that nobody asked for: they are dropped
	// Near are the columns of the contract that such a column is called nearly like.
	Near []string
	// Absent are the columns of the contract that the text lacks: every value is null.
	Absent []string
	// Unreadable counts values that are neither blank nor what their column holds, and became null, by column. A
	// row in which that may not be is quarantined by the rules.
	Unreadable map[string]int64
}

// Convert reads CSV (RFC 4180, with a header, perhaps gzipped) and writes the contract's Parquet file. It
// streams: memory does not grow with the rows. Equal text gives equal bytes. Errors name line and column and
// never repeat a value.
func Convert(ctx context.Context, in io.Reader, m *Mapping, out io.Writer, progress func(rows int64)) (Result, error) {
	var result Result
	r, limit, header, err := m.open(in)
	if err != nil {
		return result, err
	}
	c := &converter{
		out: parquet.NewGenericWriter[schemas.Offence](
			out,
			parquet.CreatedBy("harmstack", "1", ""),
			parquet.Compression(&parquet.Snappy),
		),
	}
	b, err := m.bind(header)
	if err != nil {
		return result, fmt.Errorf("%w: %w", ErrMismatch, err)
	}
	c.origins, result.ExtraColumns, result.Near = b.origins, b.extra, b.near
	result.Absent = c.absent()
	for i := range c.values {
		c.values[i] = make([]parquet.Value, 0, batchRows)
	}
	c.columns = c.out.ColumnWriters()
	for {
		limit.left = maxRecord
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return result, csvError(err)
		}
		c.add(record)
		if result.Rows++; result.Rows%batchRows == 0 {
			if err := errors.Join(ctx.Err(), c.flush(result.Rows%groupRows == 0)); err != nil {
				return result, err
			}
			if progress != nil {
				progress(result.Rows)
			}
		}
	}
	if err := c.flush(false); err != nil {
		return result, err
	}
	result.Unreadable = c.unreadable
	return result, c.out.Close()
}

// Header reads the names of the columns, the first line, and no further.
func (m *Mapping) Header(in io.Reader) ([]string, error) {
	_, _, header, err := m.open(in)
	return header, err
}

// limited ends a reading that takes too much at once.
type limited struct {
	io.Reader
	left int
}

var errEndless = fmt.Errorf("a row of more than %d MiB", maxRecord>>20)

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errEndless
	}
	n, err := l.Reader.Read(p)
	l.left -= n
	return n, err
}

func (m *Mapping) open(in io.Reader) (r *csv.Reader, limit *limited, header []string, err error) {
	text, err := m.text(in)
	if err != nil {
		return nil, nil, nil, err
	}
	limit = &limited{text, maxRecord}
	r = csv.NewReader(bufio.NewReaderSize(limit, 64<<10))
	r.ReuseRecord = true
	if m.Delimiter != "" {
		r.Comma = []rune(m.Delimiter)[0]
	}
	header, err = r.Read()
	if errors.Is(err, io.EOF) {
		return nil, nil, nil, fmt.Errorf("%w: the text is empty: its first line names the columns", ErrMismatch)
	}
	if err != nil {
		return nil, nil, nil, csvError(err)
	}
	for _, name := range header {
		switch {
		case strings.Contains(name, "\r"):
			return nil, nil, nil, fmt.Errorf("%w: its lines end with CR alone: write them with LF or CRLF", ErrMismatch)
		case strings.Contains(name, "\x00"):
			return nil, nil, nil, fmt.Errorf("%w: it looks like UTF-16: declare the encoding", ErrMismatch)
		}
	}
	return r, limit, header, nil
}

// csvError says where the text is wrong; the library's own text holds no value.
func csvError(err error) error {
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		return fmt.Errorf(
			"%w: line %d: %w: is it cut short, or a quote not doubled?",
			ErrDamaged,
			parse.Line,
			parse.Err,
		)
	}
	if errors.Is(err, errEndless) {
		return fmt.Errorf("%w: %w: is a quote not doubled, or is it no CSV?", ErrDamaged, err)
	}
	var zipped flate.CorruptInputError
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, gzip.ErrHeader) ||
		errors.As(err, &zipped) {
		return fmt.Errorf("%w: it cannot be read to its end: %w", ErrDamaged, err)
	}
	return err
}

// text is the input as UTF-8 without compression or byte order mark.
func (m *Mapping) text(in io.Reader) (io.Reader, error) {
	buffered := bufio.NewReaderSize(in, 1<<20)
	if magic, _ := buffered.Peek(2); string(magic) == "\x1f\x8b" {
		unzipped, err := gzip.NewReader(buffered)
		if err != nil {
			return nil, fmt.Errorf("%w: gzip: %w", ErrDamaged, err)
		}
		buffered = bufio.NewReaderSize(unzipped, 1<<20)
	}
	decoder, err := m.decoder()
	if err != nil {
		return nil, err
	}
	if decoder != nil {
		buffered = bufio.NewReaderSize(decoder.Reader(buffered), 1<<20)
	}
	if mark, _ := buffered.Peek(3); string(mark) == "\ufeff" {
		_, _ = buffered.Discard(3)
	}
	return buffered, nil
}

// converter gathers values by column.
type converter struct {
	out        *parquet.GenericWriter[schemas.Offence]
	columns    []*parquet.ColumnWriter
	origins    [schemas.OffenceColumns]origin
	values     [schemas.OffenceColumns][]parquet.Value
	unreadable map[string]int64
	row        uint32 // the columns of the row at hand that could not be read, as bits
}

// absent are the columns of the contract that come from nowhere.
func (c *converter) absent() (names []string) {
	for i, o := range c.origins {
		if o.field < 0 && o.Constant == "" {
			names = append(names, schemas.Offences[i].Name)
		}
	}
	return names
}

func (c *converter) add(record []string) {
	for i := range c.origins {
		c.values[i] = append(c.values[i], c.field(i, record))
	}
}

func (c *converter) field(i int, record []string) parquet.Value {
	o := &c.origins[i]
	text := o.Constant
	if o.field >= 0 {
		text = record[o.field]
	}
	if o.Values != nil {
		if replaced, ok := o.Values[schemas.TrimSpace(text)]; ok {
			text = replaced
		}
	}
	return c.value(i, o, text)
}

func (c *converter) value(column int, o *origin, text string) parquet.Value {
	if text == "" {
		return parquet.Value{}
	}
	kind := schemas.Offences[column].Type
	if kind == schemas.String {
		// The reader makes a new string for each record, which nobody changes.
		return parquet.ByteArrayValue(unsafe.Slice(unsafe.StringData(text), len(text))).Level(0, 1, 0)
	}
	if o.exact {
		if micros, ok := exactTime(text); ok {
			return parquet.Int64Value(micros).Level(0, 1, 0)
		}
		return c.none(column)
	}
	if text = schemas.TrimSpace(text); text == "" {
		return parquet.Value{}
	}
	switch kind {
	case schemas.Int32:
		if n, ok := whole(text); ok {
			return parquet.Int32Value(n).Level(0, 1, 0)
		}
	case schemas.Bool:
		if b, ok := boolean(text); ok {
			return parquet.BooleanValue(b).Level(0, 1, 0)
		}
	case schemas.Timestamp:
		if micros, ok := o.timestamp(text); ok {
			return parquet.Int64Value(micros).Level(0, 1, 0)
		}
	}
	return c.none(column)
}

// none stands for a value that cannot be read.
func (c *converter) none(column int) parquet.Value {
	if c.unreadable == nil {
		c.unreadable = map[string]int64{}
	}
	c.unreadable[schemas.Offences[column].Name]++
	c.row |= 1 << column
	return parquet.Value{}
}

// whole reads a whole number, also with a fraction of zeros: programs that hold numbers as floating-point ones, as
// pandas does when one of a column is null, write 27 as 27.0, and a database a numeric(4,1).
func whole(text string) (int32, bool) {
	digits, fraction, _ := strings.Cut(text, ".")
	n, err := strconv.ParseInt(digits, 10, 32)
	return int32(n), err == nil && strings.Trim(fraction, "0") == ""
}

// boolean reads the usual words, and 1 and 0 as whole does.
func boolean(text string) (value, ok bool) {
	if n, ok := whole(text); ok {
		return n == 1, n == 0 || n == 1
	}
	switch strings.ToLower(text) {
	case "true", "t", "yes", "y":
		return true, true
	case "false", "f", "no", "n":
		return false, true
	}
	return false, false
}

// flush writes the batch, and ends the row group when it is full.
func (c *converter) flush(full bool) error {
	for i, w := range c.columns {
		if _, err := w.WriteRowValues(c.values[i]); err != nil {
			return fmt.Errorf("write column %s: %w", schemas.Offences[i].Name, err)
		}
		c.values[i] = c.values[i][:0]
	}
	if full {
		return c.out.Flush()
	}
	return nil
}

// Texts reads some columns of CSV as they stand, beside the extract: row gets their values in the order of the names,
// valid during the call. extra is how many further columns there are. The mapping's columns mean nothing here.
func (m *Mapping) Texts(ctx context.Context, in io.Reader, names []string, row func(texts []string) error) (extra int, err error) {
	r, limit, header, err := m.open(in)
	if err != nil {
		return 0, err
	}
	fields, err := FindTexts(header, names)
	if err != nil {
		return 0, err
	}
	texts := make([]string, len(fields))
	for rows := 1; ; rows++ {
		limit.left = maxRecord
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return len(header) - len(fields), nil
		}
		if err != nil {
			return 0, csvError(err)
		}
		for i, at := range fields {
			texts[i] = record[at]
		}
		if err := row(texts); err != nil {
			return 0, err
		}
		if rows%batchRows == 0 && ctx.Err() != nil {
			return 0, ctx.Err()
		}
	}
}

// FindTexts finds columns by their names. The error, ErrMismatch, says of each what is wrong.
func FindTexts(header, names []string) (fields []int, err error) {
	trimmed := make([]string, len(header))
	for i, name := range header {
		trimmed[i] = schemas.TrimSpace(name)
	}
	var errs []error
	for _, name := range names {
		at, wrong := schemas.FindColumn(trimmed, name)
		if wrong != "" {
			errs = append(errs, fmt.Errorf("column %s %s", name, wrong))
		}
		fields = append(fields, at)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMismatch, err)
	}
	return fields, nil
}
