// Package csvmap turns rows of text (CSV files, what a database writes as CSV) into the typed Parquet extract
// of the contract, and a force's own columns, codes and time zones into the contract's on the way.
//
// It must not know where the text comes from, nor what the rules make of a row: a value that it can read is
// kept exactly, one that it cannot is null.
package csvmap

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"harmstack/schemas"
	"harmstack/schemas/yamlfile"
)

// Mapping says how text becomes the contract's columns. Its zero value takes columns by the contract's names,
// in UTF-8, separated by commas.
type Mapping struct {
	// Encoding of the text: utf-8 (default), windows-1252 or utf-16.
	Encoding string `yaml:"encoding"`
	// Delimiter is one character; empty: a comma.
	Delimiter string `yaml:"delimiter"`
	// Columns by the contract's name. One that is not here is read under its own name, when the text has it.
	Columns map[string]Column `yaml:"columns"`
}

// Column says where one of the contract's columns comes from. In YAML a plain text is short for From.
type Column struct {
	From     string `yaml:"from"`     // the text's column
	Constant string `yaml:"constant"` // the same in every row, instead of From
	// Zone and Layouts (of Go's package time) are for timestamps that are not written as ISO 8601. Every value is tried
	// by the layouts in their order. MST stands for a zone's abbreviation: UTC, GMT, or one that the clocks of Zone
	// bear in the year of the value; any other cannot be read. A time that the clocks skip, or repeat without an
	// abbreviation beside it, is taken as package time does.
	Zone    string   `yaml:"zone"`
	Layouts []string `yaml:"layouts"`
	// Values replaces codes by the contract's; a code that is not in the list stays as it is.
	Values map[string]string `yaml:"values"`

	zone *time.Location
}

// UnmarshalYAML reads the long form, or a plain text as From.
func (c *Column) UnmarshalYAML(unmarshal func(any) error) error {
	if unmarshal(&c.From) == nil {
		return nil
	}
	type long Column
	return unmarshal((*long)(c))
}

// ParseMapping reads and validates a mapping. A field it does not know is an error.
func ParseMapping(data []byte) (*Mapping, error) {
	m := new(Mapping)
	file, err := yamlfile.Decode(data, yamlfile.Small, m)
	if err == nil {
		err = file.Place(m.Validate())
	}
	if err != nil {
		return nil, fmt.Errorf("mapping: %w", err)
	}
	return m, nil
}

// Validate names everything that is wrong with a mapping, whatever text it is for.
func (m *Mapping) Validate() error {
	var errs []error
	fault := func(field, format string, args ...any) { errs = append(errs, yamlfile.Wrong(field, format, args...)) }
	if _, err := m.decoder(); err != nil {
		errs = append(errs, err)
	}
	if n := len([]rune(m.Delimiter)); n > 1 {
		fault("delimiter", "it has %d characters, give one", n)
	}
	for _, name := range slices.Sorted(maps.Keys(m.Columns)) {
		c := m.Columns[name]
		i := slices.IndexFunc(schemas.Offences[:], func(o schemas.Column) bool { return o.Name == name })
		if i < 0 {
			fault("columns."+name, "the contract has no such column")
			continue
		}
		if (c.From == "") == (c.Constant == "") {
			fault("columns."+name, "give either the column it comes from or a constant")
		}
		if schemas.Offences[i].Type != schemas.Timestamp && (c.Zone != "" || len(c.Layouts) > 0) {
			fault("columns."+name, "zone and layouts are for timestamps")
		}
		var err error
		if c.zone, err = time.LoadLocation(c.Zone); err != nil ||
			c.Zone == time.Local.String() { // whatever zone the machine is in
			c.zone = time.UTC
			fault("columns."+name+".zone", "it is no time zone: write it like Europe/London")
		}
		for n, layout := range c.Layouts {
			if doubt := doubtful(layout, c.zone, i == schemas.CommittedAt); doubt != "" {
				fault("columns."+name+".layouts", "number %d of %d %s", n+1, len(c.Layouts), doubt)
			}
		}
		m.Columns[name] = c
		form, o, trial := forms[schemas.Offences[i].Type], origin{Column: c}, converter{}
		unreadable := func(text string) bool {
			return form != "" && schemas.TrimSpace(text) != "" && trial.value(i, &o, text).IsNull()
		}
		if unreadable(c.Constant) {
			fault("columns."+name+".constant", "the column cannot hold it: %s", form)
		}
		if slices.ContainsFunc(slices.Collect(maps.Values(c.Values)), unreadable) {
			fault("columns."+name+".values", "a code becomes what the column cannot hold: %s", form)
		}
	}
	return errors.Join(errs...)
}

func (m *Mapping) decoder() (*encoding.Decoder, error) {
	switch strings.ToLower(m.Encoding) {
	case "", "utf-8":
		return nil, nil
	case "windows-1252":
		return charmap.Windows1252.NewDecoder(), nil
	case "utf-16":
		return unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewDecoder(), nil
	}
	return nil, yamlfile.Wrong("encoding", "it is not known: give utf-8, windows-1252 or utf-16")
}

// forms say how a value is written in a column that is no text.
var forms = map[schemas.ColumnType]string{schemas.Int32: "give a whole number", schemas.Bool: "give true or false",
	schemas.Timestamp: "give a time in one of its layouts, or as ISO 8601 where it has none"}

// origin is where a column of the contract comes from: a field of the record, a constant, or nowhere.
type origin struct {
	Column
	field int  // -1: none
	exact bool // eight bytes, as for Mapper
}

// column is the mapping of one of the contract's columns, whether it was declared or not.
func (m *Mapping) column(name string) (c Column, mapped bool) {
	if c, mapped = m.Columns[name]; !mapped {
		c = Column{From: name}
	}
	if c.zone == nil {
		c.zone = time.UTC
	}
	return c, mapped
}

// Check tells before the first row whether the text's columns follow the contract, how many of them nobody asked for,
// and which of the contract's columns one of those is called nearly like.
func (m *Mapping) Check(columns []string) (extra int, near []string, err error) {
	b, err := m.bind(columns)
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrMismatch, err)
	}
	return b.extra, b.near, err
}

// Field is which of the text's columns one of the contract's comes from; -1: from none.
func (m *Mapping) Field(columns []string, column int) int {
	b, _ := m.bind(columns) // what is wrong, Check tells
	return b.origins[column].field
}

// binding is where the contract's columns come from.
type binding struct {
	origins [schemas.OffenceColumns]origin
	extra   int      // columns that nobody asked for
	near    []string // columns of the contract that one of those is called nearly like
}

// bind finds the columns in a header. The error names every column that is missing, or there twice.
func (m *Mapping) bind(header []string) (b binding, err error) {
	var errs []error
	names, declared := make([]string, len(header)), map[string]string{}
	for i, name := range header {
		names[i] = schemas.TrimSpace(name) // spreadsheets end lines with columns that have none
	}
	for name, c := range m.Columns {
		declared[name] = c.From
	}
	matched := schemas.MatchColumns(names, declared)
	used := map[int]bool{}
	for i, o := range schemas.Offences {
		c, mapped := m.column(o.Name)
		field := matched.Fields[i]
		switch {
		case c.Constant != "":
		case matched.Twice[i] != "":
			errs = append(errs, fmt.Errorf("column %s %s", o.Name, matched.Twice[i]))
		case field >= 0:
			used[field] = true
		case mapped:
			errs = append(errs, fmt.Errorf("column %s: expected in %q, found no such column", o.Name, c.From))
		case o.MustExist && matched.Near[o.Name]:
			errs = append(
				errs,
				fmt.Errorf(
					"column %s: expected, found none but one that is called nearly so: name in the mapping what it comes from",
					o.Name,
				),
			)
		case o.MustExist:
			errs = append(
				errs,
				fmt.Errorf("column %s: expected, found none: name in the mapping what it comes from", o.Name),
			)
		}
		b.origins[i] = origin{Column: c, field: field}
	}
	b.extra, b.near = len(header)-len(used), slices.Sorted(maps.Keys(matched.Near))
	return b, errors.Join(errs...)
}

// Timestamp reads one value of a column of timestamps, as Convert would.
func (m *Mapping) Timestamp(column int, text string) (at time.Time, ok bool) {
	c, _ := m.column(schemas.Offences[column].Name)
	o := origin{Column: c}
	micros, ok := o.timestamp(schemas.TrimSpace(text))
	return time.UnixMicro(micros).UTC(), ok
}
