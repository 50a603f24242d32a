// Package sources opens an extract wherever a force keeps it, as the contract's typed rows: Parquet or CSV, one file or
// a folder of them, on this machine or in a bucket, or a query over PostgreSQL; text by a mapping of the force's own
// columns. What is not Parquet becomes a temporary Parquet file first, so that everything after reads one format.
//
// It must not know the rules, nor Temporal.
package sources

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"harmstack/activities/extract"
	"harmstack/activities/extract/csvmap"
	"harmstack/activities/extract/incremental"
	"harmstack/activities/extract/postgres"
	"harmstack/activities/store"
	"harmstack/activities/store/spill"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/schemas/text"
	"harmstack/schemas/yamlfile"
)

// ErrDeclaration is returned for a declared source that cannot be meant.
var ErrDeclaration = fault.New(fault.BadRequest, "the source's declaration is wrong")

// Declared is a source that a YAML file declares: where the rows come from, how text becomes the contract's columns, and
// which ids of persons were merged.
type Declared struct {
	CSV      string          `yaml:"csv"`     // path, from the YAML file's folder, or URL
	Parquet  string          `yaml:"parquet"` // likewise
	Postgres *postgres.Query `yaml:"postgres"`
	Links    *Links          `yaml:"links"`
	// Incremental asks that only what changed be read of PostgreSQL.
	Incremental *incremental.Declaration `yaml:"incremental"`

	csvmap.Mapping `yaml:",inline"`

	hash string // of the declaration
}

// parse reads and validates a declaration.
func parse(data []byte) (d Declared, err error) {
	file, err := yamlfile.Decode(data, yamlfile.Small, &d)
	if err != nil {
		return d, fmt.Errorf("%w: %w", ErrDeclaration, err)
	}
	err = d.Mapping.Validate()
	given := 0
	for _, is := range []bool{d.CSV != "", d.Parquet != "", d.Postgres != nil} {
		if is {
			given++
		}
	}
	if given != 1 {
		err = errors.Join(err, errors.New("give one of csv, parquet and postgres"))
	}
	if d.Parquet != "" && (d.Encoding != "" || d.Delimiter != "" || len(d.Columns) > 0) {
		err = errors.Join(err, errors.New("encoding, delimiter and columns are of csv and postgres: Parquet tells its own"))
	}
	if d.Links != nil {
		err = errors.Join(err, d.Links.validate(d.Postgres != nil))
	}
	if d.Postgres != nil {
		err = errors.Join(err, d.validatePostgres())
	} else if d.Incremental != nil {
		err = errors.Join(err, yamlfile.Wrong("incremental", "only PostgreSQL can say what changed"))
	}
	d.hash = hashOf(data)
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrDeclaration, file.Place(err))
	}
	return d, err
}

// find tells what a source's name means: a declaration, or files. The zero value of Declared is Parquet, or CSV by the
// contract's own names.
func find(name string) (d Declared, err error) {
	if !isDeclaration(name) {
		return d, nil
	}
	p, err := openPlace(context.Background(), name)
	if err != nil {
		return d, err
	}
	if p.bucket != nil {
		return d, errors.Join(
			fmt.Errorf("%w: a declaration lies on this machine, not in a bucket", extract.ErrNoSource),
			p.close(),
		)
	}
	data, err := yamlfile.Read(p.path, yamlfile.Small)
	if errors.Is(err, yamlfile.ErrTooLarge) {
		return d, fmt.Errorf("%s: %w: %w", p.path, ErrDeclaration, err)
	}
	if err != nil {
		return d, fmt.Errorf("%w: %w", extract.ErrNoSource, err)
	}
	if d, err = parse(data); err != nil {
		return d, fmt.Errorf("%s: %w", p.path, err)
	}
	files := []*string{&d.CSV, &d.Parquet}
	if d.Links != nil {
		files = append(files, &d.Links.File)
	}
	for _, file := range files {
		if *file != "" && !filepath.IsAbs(*file) && !strings.Contains(*file, "://") {
			*file = filepath.Join(filepath.Dir(p.path), *file)
		}
	}
	return d, nil
}

// declared tells whether a YAML file was read.
func (d *Declared) declared() bool { return d.hash != "" }

// file is where the rows lie: what is declared, or else the source itself.
func (d *Declared) file(name string) string { return cmp.Or(d.CSV, d.Parquet, name) }

// Options say with what means a source is read. The zero value will do.
type Options struct {
	Temp     string           // folder of temporary files; empty: the system's
	Progress func(rows int64) // is told the rows of text read so far
	// Threads and Memory are for rows that must be sorted; 0: one a processor, and 128 MiB. Memory bounds the pages of
	// Parquet too.
	Threads int
	Memory  int64
	// AsOf is the night's date, from which a declared window is counted; zero: yesterday.
	AsOf schemas.Date
	// Store keeps what was read, for a source that can tell what changed; nil: all of it is read.
	Store *store.Store
}

func (o Options) threads() int {
	if o.Threads > 0 {
		return o.Threads
	}
	return runtime.GOMAXPROCS(0)
}

func (o Options) asOf() schemas.Date {
	if !o.AsOf.IsZero() {
		return o.AsOf
	}
	return schemas.LondonDate(time.Now()).AddDays(-1)
}

// Opened is an open extract.
type Opened struct {
	*extract.Source
	// Reading says how a source that can tell what changed was read; nil for any other.
	Reading *schemas.Reading
	// Links are the person links that the source declares; nil: none.
	Links *ReadLinks

	base *incremental.Base
	name string
}

// Kept tells that the extract is in the store, as these parts: what changes until the next night is laid over them.
func (o *Opened) Kept(ctx context.Context, st *store.Store, parts []schemas.ArtifactRef) error {
	if o.base == nil {
		return nil
	}
	return o.base.Save(ctx, st, o.name, parts)
}

// Open opens the extract of a path or URL: a file, or a folder of Parquet or of CSV files, here or in a bucket; *.yaml
// is a declared one. All files are checked against the contract before the first row is read. Temporary files go with
// Close.
func Open(ctx context.Context, name string, o Options) (*Opened, error) {
	d, err := find(name)
	if err != nil {
		return nil, err
	}
	var links *ReadLinks
	if d.Links != nil && d.Links.File != "" {
		if links, err = d.Links.read(ctx, o); err != nil {
			return nil, err
		}
	}
	if d.Postgres != nil {
		opened, err := d.query(ctx, name, o)
		if err == nil && links != nil {
			opened.Links = links
		}
		return opened, err
	}
	s, err := d.openFiles(ctx, name, o)
	if err != nil {
		return nil, err
	}
	return &Opened{Source: s, Links: links}, nil
}

// Check tells whether a source is there and follows the contract, without reading it.
func Check(ctx context.Context, name string) (found string, err error) {
	d, err := find(name)
	if err != nil {
		return "", err
	}
	links := ""
	if d.Links != nil && d.Links.File != "" {
		if links, err = d.Links.check(ctx); err != nil {
			return "", err
		}
	}
	if d.Postgres == nil {
		found, err := d.checkFiles(ctx, name)
		return found + links, err
	}
	b, err := d.open(ctx, Options{})
	if err != nil {
		return "", err
	}
	defer b.close()
	if err := b.snapshot.MayRead(ctx); err != nil {
		return "", err
	}
	how := ""
	if d.Incremental != nil {
		how = "; only what changed is read, and all of it on " + d.Incremental.Full.String()
	}
	more := text.Count(b.extra, "more is", "more are")
	if b.links != nil {
		links = "; the query of person links has its columns"
	}
	return fmt.Sprintf("the columns follow the contract, %s not read%s%s", more, how, nearNote(b.near)) + d.doubt() + links, nil
}

// doubt is what of the mapping may read less than is meant.
func (d *Declared) doubt() string {
	if doubt := d.Mapping.Doubt(); doubt != "" {
		return "; " + doubt
	}
	return ""
}

// converted is text that has become a typed file.
type converted struct {
	csvmap.Result
	file    *spill.Stream
	parquet *extract.File
}

// textForms are the forms of columns that came as text, in one or several pieces, of which each lacks some.
func textForms(absent ...[]string) map[string]string {
	lacks := map[string]int{}
	for _, names := range absent {
		for _, name := range names {
			lacks[name]++
		}
	}
	forms := map[string]string{}
	for _, column := range schemas.Offences {
		switch lacks[column.Name] {
		case 0:
			forms[column.Name] = extract.Text
		case len(absent):
			forms[column.Name] = extract.Absent
		default:
			forms[column.Name] = extract.Absent + " or " + extract.Text
		}
	}
	return forms
}

// convert turns text into a typed file that has no name.
func (d Declared) convert(
	ctx context.Context,
	text io.Reader,
	temp string,
	progress func(rows int64),
) (*converted, error) {
	f, err := unnamed(temp)
	if err != nil {
		return nil, err
	}
	c := &converted{file: f}
	if c.Result, err = csvmap.Convert(ctx, text, &d.Mapping, f, progress); err == nil {
		_, err = io.Copy(io.Discard, text) // what follows a gzip's end is part of the file
	}
	if err == nil {
		c.parquet, err = extract.Open(f, f.Size())
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return c, nil
}
