// Package source opens an extract wherever a force keeps it, as the contract's typed rows: a Parquet file, CSV, or a
// query over PostgreSQL, the latter two by a mapping of the force's own columns. What is not Parquet becomes a
// temporary Parquet file first, so that everything after reads one format.
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
	CSV      string          `yaml:"csv"` // path, from the YAML file's folder
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

// find tells what a source's name means; ok is false for Parquet.
func find(name string) (d Declared, ok bool, err error) {
	path, err := extract.LocalPath(name)
	if err != nil {
		return d, false, err
	}
	lower := strings.ToLower(path)
	switch {
	case strings.HasSuffix(lower, ".csv"), strings.HasSuffix(lower, ".csv.gz"):
		return Declared{CSV: path}, true, nil
	case strings.HasSuffix(lower, ".yaml"), strings.HasSuffix(lower, ".yml"):
		data, err := os.ReadFile(path)
		if err != nil {
			return d, true, fmt.Errorf("%w: %w", extract.ErrNoSource, err)
		}
		if d, err = parse(data); err != nil {
			return d, true, fmt.Errorf("%s: %w", path, err)
		}
		if d.CSV != "" && !filepath.IsAbs(d.CSV) {
			d.CSV = filepath.Join(filepath.Dir(path), d.CSV)
		}
		return d, true, nil
	}
	return d, false, nil
}

// Options say with what means a source is read. The zero value will do.
type Options struct {
	Temp     string           // folder of temporary files; empty: the system's
	Progress func(rows int64) // is told the rows of text read so far
}

// Open opens the extract of a path or file:// URL: *.csv and *.csv.gz, *.yaml for a declared one, anything else as
// Parquet. A temporary file goes with Close.
func Open(ctx context.Context, name string, o Options) (*extract.Source, error) {
	d, ok, err := find(name)
	if err != nil {
		return nil, err
	}
	if !ok {
		return extract.OpenSource(ctx, name)
	}
	f, err := os.CreateTemp(o.Temp, "harmstack-*.parquet") // for its owner only
	if err != nil {
		return nil, fmt.Errorf("a temporary file for the extract: %w", err)
	}
	s, err := d.convert(ctx, name, f, o.Progress)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, errors.Join(err, os.Remove(f.Name()))
	}
	return s, nil
}

// Check tells whether a source is there and follows the contract, without reading it.
func Check(ctx context.Context, name string) (found string, err error) {
	d, ok, err := find(name)
	if err != nil {
		return "", err
	}
	if !ok {
		f, err := extract.OpenSource(ctx, name)
		if err != nil {
			return "", err
		}
		defer f.Close()
		return fmt.Sprintf("%d rows follow the contract", f.Rows()), nil
	}
	var columns []string
	if d.Postgres != nil {
		columns, err = postgres.Columns(ctx, *d.Postgres)
	} else {
		err = d.text(ctx, func(text io.Reader) (err error) {
			columns, err = d.Header(text)
			return err
		})
	}
	if err != nil {
		return "", err
	}
	extra, err := d.Mapping.Check(columns)
	return fmt.Sprintf("the columns follow the contract, %d more are not read", extra), err
}

func (d Declared) convert(ctx context.Context, name string, f *os.File, progress func(rows int64)) (*extract.Source, error) {
	ref := schemas.ArtifactRef{URI: name, Schema: schemas.OffenceSchema}
	sum := &summed{Hash: sha256.New()}
	var result tabular.Result
	err := d.text(ctx, func(text io.Reader) (err error) {
		read := io.TeeReader(text, sum)
		if result, err = tabular.Convert(ctx, read, &d.Mapping, f, progress); err == nil {
			_, err = io.Copy(io.Discard, read) // what follows a gzip's end is part of the file
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	ref.Rows, ref.Bytes, ref.SHA256 = result.Rows, sum.n, hex.EncodeToString(sum.Sum(nil))
	return extract.OpenMade(f.Name(), ref, result.ExtraColumns, result.Unreadable)
}

// text hands the source's text to read.
func (d Declared) text(ctx context.Context, read func(io.Reader) error) error {
	if d.Postgres == nil {
		f, err := os.Open(d.CSV)
		if err != nil {
			return fmt.Errorf("%w: %w", extract.ErrNoSource, err)
		}
		defer f.Close()
		return read(f)
	}
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
