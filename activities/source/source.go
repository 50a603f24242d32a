// Package source opens an extract wherever a force keeps it, as the contract's typed rows: Parquet or CSV, one file or a
// folder of them, on this machine or in a bucket, or a query over PostgreSQL; text by a mapping of the force's own
// columns. What is not Parquet becomes a temporary Parquet file first, so that everything after reads one format.
//
// It must not know the rules, nor Temporal.
package source

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"

	"harmstack/activities/extract"
	"harmstack/activities/postgres"
	"harmstack/activities/tabular"
	"harmstack/schemas"
)

// ErrDeclaration is returned for a declared source that cannot be meant.
var ErrDeclaration = errors.New("the source's declaration is wrong")

// Declared is a source that a YAML file declares: where the text comes from, and how it becomes the contract's
// columns.
type Declared struct {
	CSV      string          `yaml:"csv"` // path, from the YAML file's folder, or URL
	Postgres *postgres.Query `yaml:"postgres"`

	tabular.Mapping `yaml:",inline"`
}

// parse reads and validates a declaration.
func parse(data []byte) (d Declared, err error) {
	if err := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict()).Decode(&d); err != nil {
		return d, fmt.Errorf("%w: %w", ErrDeclaration, err)
	}
	err = d.Mapping.Validate()
	if (d.CSV == "") == (d.Postgres == nil) {
		err = errors.Join(err, errors.New("give either csv or postgres"))
	}
	if d.Postgres != nil {
		err = errors.Join(err, d.Postgres.Validate())
	}
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrDeclaration, err)
	}
	return d, err
}

// find tells what a source's name means: a declaration, or files. The zero value of Declared is Parquet, or CSV by the
// contract's own names.
func find(name string) (d Declared, err error) {
	lower := strings.ToLower(name)
	if !strings.HasSuffix(lower, ".yaml") && !strings.HasSuffix(lower, ".yml") {
		return d, nil
	}
	p, err := openPlace(context.Background(), name)
	if err != nil {
		return d, err
	}
	if p.bucket != nil {
		return d, errors.Join(fmt.Errorf("%w: a declaration lies on this machine, not in a bucket", extract.ErrNoSource), p.close())
	}
	data, err := os.ReadFile(p.path)
	if err != nil {
		return d, fmt.Errorf("%w: %w", extract.ErrNoSource, err)
	}
	if d, err = parse(data); err != nil {
		return d, fmt.Errorf("%s: %w", p.path, err)
	}
	if d.CSV != "" && !filepath.IsAbs(d.CSV) && !strings.Contains(d.CSV, "://") {
		d.CSV = filepath.Join(filepath.Dir(p.path), d.CSV)
	}
	return d, nil
}

// Options say with what means a source is read. The zero value will do.
type Options struct {
	Temp     string           // folder of temporary files; empty: the system's
	Progress func(rows int64) // is told the rows of text read so far
}

// Open opens the extract of a path or URL: a file, or a folder of Parquet or of CSV files, here or in a bucket; *.yaml is
// a declared one. All files are checked against the contract before the first row is read. Temporary files go with Close.
func Open(ctx context.Context, name string, o Options) (*extract.Source, error) {
	d, err := find(name)
	if err != nil {
		return nil, err
	}
	if d.Postgres == nil {
		return d.openFiles(ctx, name, o)
	}
	ref := schemas.ArtifactRef{URI: name, Schema: schemas.OffenceSchema}
	sum := &summed{Hash: sha256.New()}
	var c *converted
	err = d.query(ctx, func(text io.Reader) (err error) {
		c, err = d.convert(ctx, io.TeeReader(text, sum), o.Temp, o.Progress)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	ref.Rows, ref.Bytes, ref.SHA256 = c.Rows, sum.n, hex.EncodeToString(sum.Sum(nil))
	return &extract.Source{File: c.parquet, Extra: c.ExtraColumns, Unreadable: c.Unreadable,
		Reference: func() (schemas.ArtifactRef, error) { return ref, nil }, Release: c.file.Close}, nil
}

// Check tells whether a source is there and follows the contract, without reading it.
func Check(ctx context.Context, name string) (found string, err error) {
	d, err := find(name)
	if err != nil {
		return "", err
	}
	if d.Postgres == nil {
		return d.checkFiles(ctx, name)
	}
	columns, err := postgres.Columns(ctx, *d.Postgres)
	if err != nil {
		return "", err
	}
	extra, err := d.Mapping.Check(columns)
	return fmt.Sprintf("the columns follow the contract, %d more are not read", extra), err
}

// converted is text that has become a typed file.
type converted struct {
	tabular.Result
	file    *os.File
	parquet *extract.File
}

// convert turns text into a typed file that has no name.
func (d Declared) convert(ctx context.Context, text io.Reader, temp string, progress func(rows int64)) (*converted, error) {
	f, err := unnamed(temp)
	if err != nil {
		return nil, err
	}
	c := &converted{file: f}
	if c.Result, err = tabular.Convert(ctx, text, &d.Mapping, f, progress); err == nil {
		_, err = io.Copy(io.Discard, text) // what follows a gzip's end is part of the file
	}
	if err == nil {
		var size int64
		if size, err = f.Seek(0, io.SeekEnd); err == nil {
			c.parquet, err = extract.Open(f, size)
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return c, nil
}

// query hands the text of the query's result to read.
func (d Declared) query(ctx context.Context, read func(io.Reader) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	from, to := io.Pipe()
	copied := make(chan error, 1)
	go func() {
		whole := bufio.NewWriterSize(to, 1<<20) // the database sends row by row
		_, err := postgres.Copy(ctx, *d.Postgres, whole)
		if err == nil {
			err = whole.Flush()
		}
		copied <- err
		to.CloseWithError(err) // a result that broke off must not look like its end
	}()
	err := read(from)
	stop()
	from.CloseWithError(io.ErrClosedPipe)
	copyErr := <-copied
	if copyErr != nil && (err == nil || errors.Is(err, copyErr)) {
		return copyErr
	}
	return err
}

// summed counts and hashes what is written to it.
type summed struct {
	hash.Hash
	n int64
}

func (s *summed) Write(p []byte) (int, error) {
	s.n += int64(len(p))
	return s.Hash.Write(p)
}
