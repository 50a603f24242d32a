// Package extract reads a force's Parquet extract, from any writer, checks it against the contract and
// feeds it as Arrow batches; and writes it back as the typed parts of a night.
//
// It must not know the rules by which a row counts: a row is passed on as it was read. Files are
// parquet-go's, memory is Arrow's, and this package is where the two meet.
package extract

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"harmstack/schemas"
	words "harmstack/schemas/text"
)

var (
	// ErrNotParquet is returned for a file that is no whole Parquet file: another format, cut short, or
	// with a footer that cannot be read. Ask for the extract again.
	ErrNotParquet = errors.New("not a whole Parquet file")
	// ErrUnfinished is the ErrNotParquet of a file that may still be being written: it is empty, or its end is missing.
	ErrUnfinished = fmt.Errorf("%w", ErrNotParquet)
	// ErrRowsMismatch is returned when a file holds other rows than its footer promises.
	ErrRowsMismatch = errors.New("the rows do not match the file's footer")
	// ErrDamaged is returned when a column cannot be decoded, or its checksum is wrong.
	ErrDamaged = errors.New("damaged data")
)

// SchemaMismatch says which columns of an extract are not the contract's (section 3).
type SchemaMismatch struct{ Faults []ColumnFault }

// ColumnFault is one column that is missing or of a wrong type. File is empty when the extract is one file.
type ColumnFault struct{ File, Column, Expected, Found string }

// namedFaults is how many faults an error names: a folder may hold thousands.
const namedFaults = 20

// Error names the files and columns at fault, in one line.
func (e *SchemaMismatch) Error() string {
	var b strings.Builder
	b.WriteString("SchemaMismatch: the extract does not follow the contract: ")
	for i, f := range e.Faults[:min(len(e.Faults), namedFaults)] {
		if i > 0 {
			b.WriteString("; ")
		}
		if f.File != "" {
			fmt.Fprintf(&b, "%s: ", f.File)
		}
		fmt.Fprintf(&b, "column %s: expected %s, found %s", f.Column, f.Expected, f.Found)
	}
	if more := len(e.Faults) - namedFaults; more > 0 {
		fmt.Fprintf(&b, "; and %d more", more)
	}
	return b.String()
}

// File is an open extract: one file, or several that Join made one.
type File struct {
	groups []rowGroup
	starts []int64 // ordinal of the first row of every row group, and the total
	extra  map[string]bool
	forms  [schemas.OffenceColumns][]string // in which the files hold each column, sorted
}

// rowGroup is a run of rows of one file.
type rowGroup struct {
	parquet.RowGroup
	columns *[schemas.OffenceColumns]column
	file    string // of several; with a colon and a space, for errors
	reader  io.ReaderAt
	size    int64
	footer  *format.RowGroup
	checked *[schemas.OffenceColumns]checked
}

// checked is whether a column's pages were looked at, and what came of it.
type checked struct {
	once sync.Once
	err  error
}

// check looks at the pages of a column before they are read for the first time.
func (g *rowGroup) check(column int) error {
	c := &g.checked[column]
	c.once.Do(func() {
		defer recovered(&c.err, ErrDamaged)
		c.err = checkPages(g.reader, g.size, &g.footer.Columns[g.columns[column].leaf].MetaData, g.footer.NumRows)
	})
	return c.err
}

// column says where a column of the contract stands in the file and how its values become the contract's.
type column struct {
	leaf int // index of the leaf column; -1 when the file has none, and every value is null
	kind kind
}

// kind is a physical form in which a column of the contract may come.
type kind uint8

const (
	text kind = iota
	boolean
	int32s
	int64s
	timeMillis
	timeMicros
	timeNanos
	timeInt96
)

// Open checks a Parquet file of any writer against the contract. The error is ErrNotParquet,
// ErrRowsMismatch or a *SchemaMismatch.
func Open(r io.ReaderAt, size int64) (*File, error) { return OpenNamed("", r, size) }

// OpenNamed is Open for one of several files: name is its name below the extract's folder. A column of the contract that
// only a folder's name holds (borough=Camden/part-0.parquet) is one that the file lacks.
func OpenNamed(name string, r io.ReaderAt, size int64) (_ *File, err error) {
	defer recovered(&err, ErrNotParquet)
	if err := checkMagic(r, size); err != nil {
		return nil, err
	}
	if err := checkFooter(r, size); err != nil {
		return nil, err
	}
	p, err := parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true), parquet.ReadBufferSize(1<<18))
	if err != nil {
		return nil, fmt.Errorf("%w: its footer cannot be read", ErrNotParquet)
	}
	f := &File{starts: []int64{0}}
	total := int64(0)
	for i, g := range p.Metadata().RowGroups {
		if g.NumRows < 0 || total+g.NumRows < total {
			return nil, fmt.Errorf("%w: row group %d promises %s", ErrRowsMismatch, i, words.Count(g.NumRows, "row"))
		}
		total += g.NumRows
		f.starts = append(f.starts, total)
	}
	if total != p.NumRows() {
		return nil, fmt.Errorf("%w: the footer promises %s, its row groups %s", ErrRowsMismatch, words.Count(p.NumRows(), "row"), words.Number(total))
	}
	columns, err := f.match(name, p)
	label := name
	if name != "" {
		label += ": "
	}
	for i, g := range p.RowGroups() {
		f.groups = append(f.groups, rowGroup{RowGroup: g, columns: columns, file: label, reader: r, size: size, footer: &p.Metadata().RowGroups[i],
			checked: &[schemas.OffenceColumns]checked{}})
	}
	return f, err
}

// Join makes one extract of several files, in the order given. Each keeps its own columns, types and codecs.
func Join(files ...*File) *File {
	if len(files) == 1 {
		return files[0]
	}
	all := &File{starts: []int64{0}, extra: map[string]bool{}}
	for _, f := range files {
		for i, g := range f.groups {
			all.groups = append(all.groups, g)
			all.starts = append(all.starts, all.Rows()+f.starts[i+1]-f.starts[i])
		}
		maps.Copy(all.extra, f.extra)
		for i := range f.forms {
			all.forms[i] = append(all.forms[i], f.forms[i]...)
		}
	}
	for i := range all.forms {
		slices.Sort(all.forms[i])
		all.forms[i] = slices.Compact(all.forms[i])
	}
	return all
}

// checkMagic tells the commonest bad files apart before a decoder sees them.
func checkMagic(r io.ReaderAt, size int64) error {
	const magic, encrypted = "PAR1", "PARE"
	if size == 0 {
		return fmt.Errorf("%w: it is empty", ErrUnfinished)
	}
	var head, tail [4]byte
	if size < 12 {
		return fmt.Errorf("%w: it has only %s", ErrUnfinished, words.Count(size, "byte"))
	}
	if _, err := r.ReadAt(head[:], 0); err != nil {
		return fmt.Errorf("read the extract: %w", err)
	}
	if _, err := r.ReadAt(tail[:], size-4); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the extract: %w", err)
	}
	switch {
	case string(head[:]) == encrypted || string(tail[:]) == encrypted:
		return fmt.Errorf("%w: it is encrypted, which is not supported: give a plain file", ErrNotParquet)
	case string(head[:]) != magic:
		return fmt.Errorf("%w: it does not begin as one", ErrNotParquet)
	case !bytes.Equal(head[:], tail[:]):
		return fmt.Errorf("%w: it is cut short, its footer is missing", ErrUnfinished)
	}
	return nil
}

// recovered turns a decoder's panic over a damaged file into an error: what such a file holds must
// never end the process.
func recovered(err *error, kind error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%w: it cannot be decoded", kind)
	}
}

// match finds the contract's columns among a file's.
func (f *File) match(name string, p *parquet.File) (*[schemas.OffenceColumns]column, error) {
	var faults []ColumnFault
	columns := &[schemas.OffenceColumns]column{}
	fields := map[string]parquet.Field{}
	f.extra = map[string]bool{}
	for _, field := range p.Schema().Fields() {
		fields[field.Name()] = field
		f.extra[field.Name()] = true
	}
	for i, c := range schemas.Offences {
		field, found := fields[c.Name]
		if !found {
			columns[i].leaf = -1
			f.forms[i] = []string{Absent}
			switch {
			case strings.Contains("/"+name, "/"+c.Name+"="):
				faults = append(faults, ColumnFault{name, c.Name, c.Type.String(), "it in the folder's name alone: write it into the file"})
			case c.MustExist:
				faults = append(faults, ColumnFault{name, c.Name, c.Type.String(), "no such column"})
			}
			continue
		}
		delete(f.extra, c.Name)
		k, ok := formOf(field, c.Type)
		if !ok {
			faults = append(faults, ColumnFault{name, c.Name, c.Type.String(), describe(field)})
			continue
		}
		f.forms[i] = []string{k.describe(field)}
		leaf, ok := p.Schema().Lookup(c.Name)
		if !ok {
			return nil, fmt.Errorf("%w: column %s has no values", ErrNotParquet, c.Name)
		}
		columns[i] = column{leaf.ColumnIndex, k}
		if isLZ4(p, leaf.ColumnIndex) {
			faults = append(faults, ColumnFault{name, c.Name, "compression by snappy, gzip, zstd, brotli or none", "LZ4"})
		}
	}
	if faults != nil {
		return nil, &SchemaMismatch{faults}
	}
	return columns, nil
}

// isLZ4 tells whether a column is compressed by LZ4, which parquet-go 0.32 decodes into a buffer that it
// then loses when a page shrinks to less than a third. Better refused than guessed at.
func isLZ4(p *parquet.File, leaf int) bool {
	return slices.ContainsFunc(p.Metadata().RowGroups, func(g format.RowGroup) bool {
		codec := g.Columns[leaf].MetaData.Codec
		return codec == format.Lz4 || codec == format.Lz4Raw
	})
}

// Forms of a column beside its types.
const (
	Absent = schemas.FormAbsent // the file lacks it: every value is null
	Text   = "text"             // of CSV and of databases, which became a typed file
)

// describe says in words how a column is held, as far as an operator might want to know that it has changed.
func (k kind) describe(field parquet.Field) string {
	form := [...]string{text: "string", boolean: "bool", int32s: "int32", int64s: "int64", timeMillis: "timestamp in ms", timeMicros: "timestamp in us",
		timeNanos: "timestamp in ns", timeInt96: "timestamp in INT96"}[k]
	if l := field.Type().LogicalType(); l != nil {
		if stamp, ok := l.Value.(*format.TimestampType); ok && !stamp.IsAdjustedToUTC {
			form += ", without a zone"
		}
	}
	return form
}

// Forms is in which physical form the extract holds each column of the contract; of several files, all that occur.
func (f *File) Forms() map[string]string {
	forms := map[string]string{}
	for i, c := range schemas.Offences {
		forms[c.Name] = strings.Join(f.forms[i], " or ")
	}
	return forms
}

// formOf says in which form a field holds a column of type t; ok is false for a wrong type.
func formOf(field parquet.Field, t schemas.ColumnType) (k kind, ok bool) {
	if !field.Leaf() || field.Repeated() {
		return 0, false
	}
	var logical format.LogicalTypeValue
	if l := field.Type().LogicalType(); l != nil {
		logical = l.Value
	}
	physical := field.Type().Kind()
	switch t {
	case schemas.String:
		// Without an annotation it is text all the same: older writers leave it out.
		switch logical.(type) {
		case nil, *format.StringType, *format.EnumType:
			return text, physical == parquet.ByteArray
		}
	case schemas.Bool:
		return boolean, physical == parquet.Boolean
	case schemas.Int32:
		switch logical.(type) {
		case nil, *format.IntType:
			if physical == parquet.Int64 {
				return int64s, true
			}
			return int32s, physical == parquet.Int32
		}
	case schemas.Timestamp:
		stamp, ok := logical.(*format.TimestampType)
		if physical == parquet.Int96 {
			return timeInt96, true
		}
		if !ok || physical != parquet.Int64 {
			return 0, false
		}
		switch stamp.Unit.Value.(type) {
		case *format.MilliSeconds:
			return timeMillis, true
		case *format.MicroSeconds:
			return timeMicros, true
		case *format.NanoSeconds:
			return timeNanos, true
		}
	}
	return 0, false
}

// describe says what a column is, in words for a person.
func describe(field parquet.Field) string {
	switch {
	case !field.Leaf():
		return "a nested column"
	case field.Repeated():
		return "a repeated column"
	}
	name := strings.ToLower(field.Type().String())
	if name == "" {
		name = strings.ToLower(field.Type().Kind().String())
	}
	return name
}

// Rows is the number of rows that the footers promise.
func (f *File) Rows() int64 { return f.starts[len(f.starts)-1] }

// ExtraColumns is the number of columns beyond the contract, which are dropped.
func (f *File) ExtraColumns() int { return len(f.extra) }
