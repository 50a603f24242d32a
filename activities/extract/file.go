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

	"github.com/parquet-go/parquet-go/format"

	"harmstack/schemas"
	"harmstack/schemas/fault"
	words "harmstack/schemas/text"
)

var (
	// ErrNotParquet is returned for a file that is no whole Parquet file: another format, cut short, or
	// with a footer that cannot be read. Ask for the extract again.
	ErrNotParquet = fault.New(fault.SchemaMismatch, "not a whole Parquet file")
	// ErrUnfinished is the ErrNotParquet of a file that may still be being written: it is empty, or its end is missing.
	ErrUnfinished = fmt.Errorf("%w", ErrNotParquet)
	// ErrRowsMismatch is returned when a file holds other rows than its footer promises.
	ErrRowsMismatch = fault.New(fault.CountsDoNotReconcile, "the rows do not match the file's footer")
	// ErrDamaged is returned when a column cannot be decoded, or its checksum is wrong.
	ErrDamaged = fault.New(fault.DamagedArtifact, "damaged data")
)

// SchemaMismatch says which columns of an extract are not the contract's (section 3).
type SchemaMismatch struct{ Faults []ColumnFault }

// ColumnFault is one column that is missing or of a wrong type. File is empty when the extract is one file, Expected
// when Found says it all.
type ColumnFault struct{ File, Column, Expected, Found string }

// namedFaults is how many faults an error names: a folder may hold thousands.
const namedFaults = 20

// Kind is the kind of fault.
func (e *SchemaMismatch) Kind() string { return fault.SchemaMismatch }

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
		if f.Expected == "" {
			fmt.Fprintf(&b, "column %s %s", f.Column, f.Found)
		} else {
			fmt.Fprintf(&b, "column %s: expected %s, found %s", f.Column, f.Expected, f.Found)
		}
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
	near   map[string]bool
	forms  [schemas.OffenceColumns][]string // in which the files hold each column, sorted
	memory int64                            // see Limit
	unread map[string]int64
}

// rowGroup is a run of rows of one file.
type rowGroup struct {
	columns *[schemas.OffenceColumns]column
	file    string // of several; with a colon and a space, for errors
	reader  io.ReaderAt
	size    int64
	rows    int64
	chunks  []chunk // of the contract's columns
	checked *[schemas.OffenceColumns]checked
}

// checked is whether a column's pages were looked at, and what came of it.
type checked struct {
	once sync.Once
	extent
	err error
}

// check looks at the pages of a column before they are read for the first time.
func (g *rowGroup) check(column int) (extent, error) {
	c := &g.checked[column]
	c.once.Do(func() {
		defer recovered(&c.err, ErrDamaged)
		c.extent, c.err = measure(g.reader, g.size, g.chunks[column], g.columns[column].wide(), g.rows)
	})
	return c.extent, c.err
}

// column says where a column of the contract stands in the file and how its values become the contract's.
type column struct {
	leaf     int // index of the leaf column; -1 when every value is null: there is none, or it is of type Null
	kind     kind
	physical format.Type
	optional bool
	length   int // bytes of a value of fixed length
	scale    int // digits behind the point of a decimal number
}

// kind is a form in which a column of the contract may come.
type kind uint8

const (
	text kind = iota
	boolean
	int32s
	int64s
	floats
	doubles
	decimals
	timeMillis
	timeMicros
	timeNanos
	timeInt96
	nothing // no value at all
)

func (k kind) isTime() bool { return k >= timeMillis && k <= timeInt96 }

// Open checks a Parquet file of any writer against the contract. The error is ErrNotParquet,
// ErrRowsMismatch or a *SchemaMismatch.
func Open(r io.ReaderAt, size int64) (*File, error) { return OpenNamed("", r, size) }

// OpenNamed is Open for one of several files: name is its name below the extract's folder. A column of the contract
// that only a folder's name holds (borough=Camden/part-0.parquet) is one that the file lacks.
func OpenNamed(name string, r io.ReaderAt, size int64) (_ *File, err error) {
	defer recovered(&err, ErrNotParquet)
	if err := checkMagic(r, size); err != nil {
		return nil, err
	}
	footer, err := readFooter(r, size)
	if err != nil {
		return nil, err
	}
	f := &File{starts: []int64{0}, unread: map[string]int64{}}
	columns, err := f.match(name, footer)
	if err != nil {
		return nil, err
	}
	label := name
	if name != "" {
		label += ": "
	}
	wanted := make([]int, len(footer.leaves))
	for i := range wanted {
		wanted[i] = -1
	}
	for i, c := range columns {
		if c.leaf >= 0 {
			wanted[c.leaf] = i
		}
	}
	unreadable := map[string][]string{} // what is wrong with the pages of columns, and of which
	err = footer.eachGroup(wanted, len(columns), func(rows int64, chunks []chunk) error {
		if rows < 0 || f.Rows()+rows < rows {
			return fmt.Errorf("%w: row group %d promises %s", ErrRowsMismatch, len(f.groups), words.Count(rows, "row"))
		}
		for i, c := range chunks {
			what, name := c.unreadable(), schemas.Offences[i].Name
			if what != "" && columns[i].leaf >= 0 && !slices.Contains(unreadable[what], name) {
				unreadable[what] = append(unreadable[what], name)
			}
		}
		f.groups = append(
			f.groups,
			rowGroup{columns: columns, file: label, reader: r, size: size, rows: rows, chunks: chunks,
				checked: &[schemas.OffenceColumns]checked{}},
		)
		f.starts = append(f.starts, f.Rows()+rows)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, what := range slices.Sorted(maps.Keys(unreadable)) {
		return nil, &SchemaMismatch{[]ColumnFault{{File: name, Column: theColumns(unreadable[what]), Found: what}}}
	}
	if f.Rows() != footer.rows {
		return nil, fmt.Errorf("%w: the footer promises %s, its row groups %s", ErrRowsMismatch,
			words.Count(footer.rows, "row"), words.Number(f.Rows()))
	}
	return f, nil
}

// unreadable says why the pages of a chunk cannot be read.
func (c *chunk) unreadable() string {
	switch {
	case c.encrypted:
		return "is encrypted: give a file that is not, or one in which the columns of the contract are not"
	case c.elsewhere:
		return "lies in another file than this one: give that one"
	case !readable(c.codec):
		return "is compressed by " + codecName(
			c.codec,
		) + ": write the file with snappy, gzip, zstd, brotli, LZ4_RAW or none"
	}
	return ""
}

// theColumns names one of the columns of which the same is to be said, and counts the others.
func theColumns(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	return names[0] + ", like " + words.Count(len(names)-1, "other") + ","
}

// Join makes one extract of several files, in the order given. Each keeps its own columns, types and codecs.
func Join(files ...*File) *File {
	if len(files) == 1 {
		return files[0]
	}
	all := &File{starts: []int64{0}, extra: map[string]bool{}, near: map[string]bool{}, unread: map[string]int64{}}
	for _, f := range files {
		for i, g := range f.groups {
			all.groups = append(all.groups, g)
			all.starts = append(all.starts, all.Rows()+f.starts[i+1]-f.starts[i])
		}
		maps.Copy(all.extra, f.extra)
		maps.Copy(all.near, f.near)
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
		return fmt.Errorf("%w: it is encrypted: give a file that is not", ErrNotParquet)
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
func (f *File) match(name string, footer *footer) (*[schemas.OffenceColumns]column, error) {
	var faults []ColumnFault
	columns := &[schemas.OffenceColumns]column{}
	names, fields := footer.top()
	matched := schemas.MatchColumns(names, nil)
	f.extra, f.near = map[string]bool{}, map[string]bool{}
	for i, at := range matched.Fields {
		c := &schemas.Offences[i]
		fault := func(expected, found string) { faults = append(faults, ColumnFault{name, c.Name, expected, found}) }
		columns[i].leaf = -1
		switch {
		case matched.Twice[i] != "":
			fault("", matched.Twice[i])
			continue
		case at >= 0:
		case strings.Contains("/"+name, "/"+c.Name+"="):
			fault(c.Type.String(), "it in the folder's name alone: write it into the file")
			continue
		case c.MustExist && matched.Near[c.Name]:
			fault(c.Type.String(), "no such column, but one that is called nearly so")
			continue
		case c.MustExist:
			fault(c.Type.String(), "no such column")
			continue
		default:
			f.forms[i] = []string{Absent}
			continue
		}
		found, ok := formOf(fields[at].element, c.Type)
		switch {
		case !ok:
			fault(c.Type.String(), describe(fields[at].element))
			continue
		case found.kind == nothing && c.NotNull:
			fault(c.Type.String(), "a column without a value (of type Null)")
			continue
		}
		f.forms[i] = []string{found.describe(fields[at].element)}
		if found.leaf = fields[at].leaf; found.kind == nothing {
			found.leaf = -1
		}
		columns[i] = found
	}
	for i, field := range names {
		if !slices.Contains(matched.Fields[:], i) {
			f.extra[field] = true
		}
	}
	maps.Copy(f.near, matched.Near)
	if faults != nil {
		return nil, &SchemaMismatch{faults}
	}
	return columns, nil
}

// Forms of a column beside its types.
const (
	Absent = schemas.FormAbsent // the file lacks it: every value is null
	Text   = "text"             // of CSV and of databases, which became a typed file
	Empty  = schemas.FormEmpty  // of type Null: the writer saw no value by which to know another
)

// Fractional tells whether a form of a whole column may hold numbers that are not whole: some writers choose it, or a
// whole one, by whether a value is missing that day.
func Fractional(form string) bool {
	return form == "float" || form == "double" || strings.HasPrefix(form, "decimal")
}

// describe says in words how a column is held, as far as an operator might want to know that it has changed.
func (c *column) describe(e *format.SchemaElement) string {
	form := [...]string{text: "string", boolean: "bool", int32s: "int32", int64s: "int64", floats: "float", doubles: "double", decimals: "decimal",
		timeMillis: "timestamp in ms", timeMicros: "timestamp in us", timeNanos: "timestamp in ns", timeInt96: "timestamp in INT96", nothing: Empty}[c.kind]
	if stamp, ok := e.LogicalType.Value.(*format.TimestampType); ok && !stamp.IsAdjustedToUTC {
		form += ", without a zone"
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

// Rows is the number of rows that the footers promise.
func (f *File) Rows() int64 { return f.starts[len(f.starts)-1] }

// ExtraColumns is the number of columns beyond the contract, which are dropped.
func (f *File) ExtraColumns() int { return len(f.extra) }

// NearColumns names the columns of the contract that a further column is called nearly like: it was dropped,
// and may have been meant.
func (f *File) NearColumns() []string { return slices.Sorted(maps.Keys(f.near)) }

// Unreadable counts, by column, the values that were no whole numbers and became null. It is filled once everything
// was read.
func (f *File) Unreadable() map[string]int64 { return f.unread }
