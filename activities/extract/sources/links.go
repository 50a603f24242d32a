package sources

import (
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"harmstack/activities/extract"
	"harmstack/activities/extract/csvmap"
	"harmstack/activities/extract/postgres"
	"harmstack/schemas"
	"harmstack/schemas/text"
	"harmstack/schemas/yamlfile"
)

// Links declare where a source's person links come from (contract, section 3). In YAML a plain text is short for File.
type Links struct {
	File  string `yaml:"file"`  // Parquet or CSV: a path, from the YAML file's folder, or URL
	Query string `yaml:"query"` // or one SELECT, in the same snapshot of the database as the rows
	// Encoding and Delimiter are of CSV, as for the rows.
	Encoding  string `yaml:"encoding"`
	Delimiter string `yaml:"delimiter"`
	// Columns say what person_id and same_as are called there, when they are called otherwise.
	Columns map[string]string `yaml:"columns"`
}

// UnmarshalYAML reads the long form, or a plain text as File.
func (l *Links) UnmarshalYAML(unmarshal func(any) error) error {
	if unmarshal(&l.File) == nil {
		return nil
	}
	type long Links
	return unmarshal((*long)(l))
}

func (l *Links) validate(database bool) (err error) {
	switch {
	case (l.File == "") == (strings.TrimSpace(l.Query) == ""):
		err = yamlfile.Wrong("links", "give either file or query")
	case l.Query != "" && !database:
		err = yamlfile.Wrong("links.query", "there is no database to ask: give a file, or postgres")
	case l.Query != "" && (l.Encoding != "" || l.Delimiter != ""):
		err = yamlfile.Wrong("links.query", "encoding and delimiter are of CSV: PostgreSQL tells its own")
	}
	for _, name := range slices.Sorted(maps.Keys(l.Columns)) {
		if !slices.Contains(schemas.PersonLinkColumns, name) || l.Columns[name] == "" {
			err = errors.Join(err, yamlfile.Wrong("links.columns", "name what person_id and same_as are called there"))
			break
		}
	}
	if mapping := l.mapping(); mapping.Validate() != nil {
		err = errors.Join(err, yamlfile.Wrong("links", "encoding or delimiter is not one that can be read"))
	}
	return err
}

func (l *Links) mapping() *csvmap.Mapping {
	return &csvmap.Mapping{Encoding: l.Encoding, Delimiter: l.Delimiter}
}

// names are what the columns are called there.
func (l *Links) names() []string {
	names := slices.Clone(schemas.PersonLinkColumns)
	for i, name := range names {
		if called := l.Columns[name]; called != "" {
			names[i] = called
		}
	}
	return names
}

// ReadLinks are person links as they were read, in any order.
type ReadLinks struct {
	Rows []schemas.PersonLink
	// Ref names the input. The hash of a query's result is of its rows as CSV without a header, in the order of bytes.
	Ref schemas.ArtifactRef
}

func (r *ReadLinks) add(texts []string) error {
	// Cloned: a text may be a piece of a whole record, or be written over.
	r.Rows = append(r.Rows, schemas.PersonLink{PersonID: strings.Clone(texts[0]), SameAs: strings.Clone(texts[1])})
	return nil
}

// OpenLinks reads the person links of a path or URL: Parquet or CSV, a file or a folder.
func OpenLinks(ctx context.Context, name string, o Options) (*ReadLinks, error) {
	return (&Links{File: name}).read(ctx, o)
}

// read reads the files. All columns are found before the first row is read.
func (l *Links) read(ctx context.Context, options Options) (_ *ReadLinks, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("person links: %w", err)
		}
	}()
	o, err := files(ctx, l.File, options.Temp)
	if err != nil {
		return nil, err
	}
	defer o.close()
	if _, err := l.match(o); err != nil {
		return nil, err
	}
	r := &ReadLinks{}
	for i, f := range o.files {
		in := io.NewSectionReader(f, 0, o.objects[i].size)
		if isText(o.objects[i].name) {
			_, err = l.mapping().Texts(ctx, in, l.names(), r.add)
		} else {
			var file *extract.TextFile
			if file, err = extract.OpenTexts(f, o.objects[i].size, l.names()); err == nil {
				err = file.Each(ctx, options.Memory/2, r.add)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", o.place.title(o.objects[i]), err)
		}
	}
	if err := o.hash(ctx); err != nil {
		return nil, err
	}
	if o.place.bucket == nil {
		if err := o.place.unchanged(ctx, o.objects); err != nil {
			return nil, err
		}
	}
	r.Ref = o.ref(l.File, int64(len(r.Rows)))
	r.Ref.Schema = schemas.PersonLinkSchema
	return r, nil
}

// match finds the columns in every file, and says how many more there are at most.
func (l *Links) match(o *opened) (extra int, err error) {
	for i, f := range o.files {
		var more int
		if isText(o.objects[i].name) {
			var header []string
			if header, err = l.mapping().Header(io.NewSectionReader(f, 0, o.objects[i].size)); err == nil {
				_, err = csvmap.FindTexts(header, l.names())
				more = len(header) - len(schemas.PersonLinkColumns)
			}
		} else {
			var file *extract.TextFile
			if file, err = extract.OpenTexts(f, o.objects[i].size, l.names()); err == nil {
				more = file.Extra
			}
		}
		if err != nil {
			return 0, fmt.Errorf("%s: %w", o.place.title(o.objects[i]), err)
		}
		extra = max(extra, more)
	}
	return extra, nil
}

// check tells whether the files are there and have the columns, without reading them.
func (l *Links) check(ctx context.Context) (found string, err error) {
	o, err := files(ctx, l.File, "")
	if err != nil {
		return "", fmt.Errorf("person links: %w", err)
	}
	extra, err := l.match(o)
	if err = errors.Join(err, o.close()); err != nil {
		return "", fmt.Errorf("person links: %w", err)
	}
	return fmt.Sprintf("; the person links have their columns, %s not read", text.Count(extra, "more is", "more are")), nil
}

// fields finds the columns of the query.
func (l *Links) fields(s *postgres.Snapshot) ([]int, error) {
	var header []string
	for _, c := range s.Columns {
		header = append(header, c.Name)
	}
	return csvmap.FindTexts(header, l.names())
}

// query reads the result of the query.
func (l *Links) query(ctx context.Context, name string, s *postgres.Snapshot) (*ReadLinks, error) {
	fields, err := l.fields(s)
	if err != nil {
		return nil, fmt.Errorf("person links: %w", err)
	}
	r := &ReadLinks{}
	err = s.Each(ctx, fields, func(record []string) error {
		return r.add([]string{record[fields[0]], record[fields[1]]})
	})
	if err != nil {
		return nil, fmt.Errorf("person links: %w", err)
	}
	slices.SortFunc(r.Rows, schemas.PersonLink.Compare)
	sum, size := sha256.New(), counter(0)
	lines := csv.NewWriter(io.MultiWriter(sum, &size))
	for _, row := range r.Rows {
		if err := lines.Write([]string{row.PersonID, row.SameAs}); err != nil {
			return nil, err
		}
	}
	lines.Flush()
	r.Ref = schemas.ArtifactRef{
		URI:    name,
		SHA256: hex.EncodeToString(sum.Sum(nil)),
		Rows:   int64(len(r.Rows)),
		Bytes:  int64(size),
		Schema: schemas.PersonLinkSchema,
	}
	return r, nil
}

// counter counts the bytes that are written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
