// Package pipeline is a night's work without Temporal: an extract is checked, scored, ranked and published, each step a
// function over a store. `starter score` calls them one after the other, the activities of package nightly one each.
//
// It must not know who runs it: retries, heartbeats, reuse and the order of the stages are the callers'.
package pipeline

import (
	"context"
	"fmt"
	"io"
	"path"

	"github.com/apache/arrow/go/v16/arrow"

	"harmstack/activities/extract"
	"harmstack/activities/nights/quality"
	"harmstack/activities/scoring"
	"harmstack/activities/store"
	"harmstack/activities/store/rowfile"
	"harmstack/activities/store/spill"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/schemas/reference"
	"harmstack/schemas/text"
)

// Night is a night at work: what its figures follow from, and where its files go.
type Night struct {
	schemas.NightID
	Store *store.Store
	// Folder is where in the store the outputs go; empty: the store holds this night alone.
	Folder string
	Tables *reference.Tables
	Model  schemas.Model
	// Links replace the ids of suspects and victims; nil: there are none.
	Links *scoring.Links
	// Stability are the models that the stack is compared with; the zero value has none.
	Stability schemas.Stability
	// Checks look at a night before it is published; the zero value has none.
	Checks quality.Checks
	// Threads is how many goroutines work, at least 1. Memory is how many bytes a scoring holds before it spills into
	// Temp, a folder; 0: it never does.
	Threads int
	Memory  int64
	Temp    string
	// RestrictedDesk: somebody is told of restricted suspects, which the report says.
	RestrictedDesk bool
	// HideRestricted: an explanation tells nobody else's case of who is restricted (contract, section 8).
	HideRestricted bool
}

func (n *Night) write(
	ctx context.Context,
	file, schema string,
	write func(io.Writer) (int64, error),
) (schemas.ArtifactRef, error) {
	return n.Store.Write(ctx, path.Join(n.Folder, file), schema, write)
}

// rowsOf writes rows that are in memory.
func rowsOf[T any](rows []T) func(io.Writer) (int64, error) {
	return func(w io.Writer) (int64, error) {
		return rowfile.WriteAll(w, func(yield func([]T) error) error { return yield(rows) })
	}
}

// Source is the typed rows of an extract.
type Source interface {
	// Rows is how many they are.
	Rows() int64
	// Each hands over one file after the other; first is the ordinal of its first row.
	Each(ctx context.Context, do func(f *extract.File, first int64) error) error
}

// File is rows in one open file.
type File struct{ *extract.File }

// Each hands over the one file.
func (f File) Each(_ context.Context, do func(f *extract.File, first int64) error) error {
	return do(f.File, 0)
}

// Parts are rows in files of a store, opened and verified as they are read.
type Parts struct {
	Store *store.Store
	Refs  []schemas.ArtifactRef
}

// KeptParts are the rows that a published night kept, without those of people who were erased since.
func KeptParts(ctx context.Context, st *store.Store, m schemas.Manifest) (Parts, error) {
	p := Parts{Store: st}
	for _, o := range m.Outputs {
		if path.Base(path.Dir(o.URI)) == schemas.ExtractFolder {
			p.Refs = append(p.Refs, o)
		}
	}
	if p.Rows() != m.RowsRead {
		return p, fault.Errorf(
			fault.CountsDoNotReconcile,
			"night %s read %s, its parts hold %s",
			m.NightID,
			text.Count(m.RowsRead, "row"),
			text.Number(p.Rows()),
		)
	}
	for i := range p.Refs {
		var err error
		if p.Refs[i], err = st.Latest(ctx, p.Refs[i]); err != nil {
			return p, err
		}
	}
	return p, nil
}

// Rows is how many rows were written.
func (p Parts) Rows() (n int64) {
	for _, ref := range p.Refs {
		n += ref.Rows
	}
	return n
}

// Each hands over every part. The error is CountsDoNotReconcile when one holds more or fewer rows than were written.
func (p Parts) Each(ctx context.Context, do func(f *extract.File, first int64) error) error {
	first := int64(0)
	for _, ref := range p.Refs {
		if err := p.with(ctx, ref, func(f *extract.File) error { return do(f, first) }); err != nil {
			return err
		}
		first += ref.Rows
	}
	return nil
}

func (p Parts) with(ctx context.Context, ref schemas.ArtifactRef, do func(*extract.File) error) error {
	artifact, err := p.Store.Open(ctx, ref)
	if err != nil {
		return err
	}
	defer artifact.Close()
	f, err := extract.Open(artifact, artifact.Size())
	if err != nil {
		return fmt.Errorf("%s: %w", ref.URI, err)
	}
	if f.Rows() != ref.Rows {
		return fault.Errorf(
			fault.CountsDoNotReconcile,
			"%s holds %s, %s written",
			ref.URI,
			text.Count(f.Rows(), "row"),
			text.Count(ref.Rows, "was", "were"),
		)
	}
	return do(f)
}

// scan feeds every row once, of some columns or, with nil, of all; progress, if any, is told how many were read.
func (n *Night) scan(
	ctx context.Context,
	from Source,
	columns []int,
	newSink func() extract.Sink,
	progress func(rows int64),
) error {
	return from.Each(ctx, func(f *extract.File, first int64) error {
		return f.ScanColumns(ctx, columns, n.Threads, first, newSink, func(done int64) {
			if progress != nil {
				progress(first + done)
			}
		})
	})
}

// setAside copies rows that take no part into a quarantine.
func setAside(bad *extract.Quarantine) func(arrow.Record, int64, []scoring.Quarantined) error {
	return func(batch arrow.Record, firstRow int64, rows []scoring.Quarantined) error {
		for _, q := range rows {
			if err := bad.Add(batch, q.Index, firstRow+int64(q.Index), q.Reason); err != nil {
				return err
			}
		}
		return nil
	}
}

// NewQuarantine is an empty quarantine that waits in the night's folder for temporary files. It must be closed.
func (n *Night) NewQuarantine() *extract.Quarantine {
	return &extract.Quarantine{Temp: spill.Folder(n.Temp)}
}

// WriteQuarantine writes quarantine.parquet.
func (n *Night) WriteQuarantine(ctx context.Context, bad *extract.Quarantine) (schemas.ArtifactRef, error) {
	return n.write(ctx, schemas.QuarantineFile, schemas.QuarantineSchema, bad.Write)
}
