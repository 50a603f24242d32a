package extract

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/apache/arrow/go/v16/arrow"
	"github.com/apache/arrow/go/v16/arrow/array"
	"github.com/parquet-go/parquet-go"
	"golang.org/x/sync/errgroup"

	"harmstack/activities/store"
	"harmstack/schemas"
)

const (
	groupRows = 256 << 10     // of a row group of the snapshot
	partRows  = 4 * groupRows // of a part
)

// Snapshot writes the extract into a folder of the store as typed parts: the contract's columns as they
// were read, every one nullable (section 7). The bytes do not depend on the number of threads. An
// extract without rows has one part without rows. progress is as for Scan.
func Snapshot(ctx context.Context, f *File, st *store.Store, folder string, threads int, progress func(rows int64)) ([]schemas.ArtifactRef, error) {
	var parts []schemas.ArtifactRef
	var done atomic.Int64
	for from := int64(0); from == 0 || from < f.Rows(); from += partRows {
		to := min(from+partRows, f.Rows())
		key := fmt.Sprintf("%s/part-%05d.parquet", folder, len(parts))
		ref, err := st.Write(ctx, key, schemas.OffenceSchema, func(w io.Writer) (int64, error) {
			return to - from, f.writePart(ctx, w, from, to, threads, func(rows int64) {
				if n := done.Add(rows); progress != nil {
					progress(n)
				}
			})
		})
		if err != nil {
			return nil, err
		}
		parts = append(parts, ref)
	}
	if done.Load() != f.Rows() {
		return nil, fmt.Errorf("%w: the footer promises %d rows, %d were read", ErrRowsMismatch, f.Rows(), done.Load())
	}
	return parts, nil
}

// writePart writes some row groups at once and commits them in order.
func (f *File) writePart(ctx context.Context, w io.Writer, from, to int64, threads int, progress func(rows int64)) error {
	out := parquet.NewGenericWriter[schemas.Offence](w,
		parquet.CreatedBy("harmstack", "1", ""),
		parquet.Compression(&parquet.Snappy),
		parquet.SkipPageBounds("allegation_id"), parquet.SkipPageBounds("report_id"), parquet.SkipPageBounds("suspect_id"), parquet.SkipPageBounds("victim_id"))
	g, ctx := errgroup.WithContext(ctx)
	slots := make(chan struct{}, max(threads, 1))
	before := make(chan struct{})
	close(before)
	for start := from; start < to; start += groupRows {
		slots <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		rows, turn, next := out.BeginRowGroup(), before, make(chan struct{})
		before = next
		g.Go(func() error {
			defer func() { <-slots }()
			if err := f.fillGroup(ctx, rows, start, min(start+groupRows, to), progress); err != nil {
				return err
			}
			select {
			case <-turn: // the group before is in the file
			case <-ctx.Done():
				return ctx.Err()
			}
			_, err := rows.Commit()
			close(next)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return out.Close()
}

// fillGroup copies the rows from..to into a row group, column by column.
func (f *File) fillGroup(ctx context.Context, group *parquet.ConcurrentRowGroupWriter, from, to int64, progress func(rows int64)) error {
	columns := group.ColumnWriters()
	values := make([]parquet.Value, BatchRows)
	return f.rows(ctx, from, to, func(batch arrow.Record, _ int64) error {
		for i, w := range columns {
			fill(values[:batch.NumRows()], batch.Column(i), i)
			if _, err := w.WriteRowValues(values[:batch.NumRows()]); err != nil {
				return fmt.Errorf("write column %s: %w", schemas.Offences[i].Name, err)
			}
		}
		progress(batch.NumRows())
		return nil
	})
}

// rows feeds a run of rows in order, over the file's own row groups.
func (f *File) rows(ctx context.Context, from, to int64, add func(arrow.Record, int64) error) error {
	for i := range len(f.starts) - 1 {
		t := task{i, max(from, f.starts[i]) - f.starts[i], min(to, f.starts[i+1]) - f.starts[i]}
		if t.from >= t.to {
			continue
		}
		if err := f.scan(ctx, t, nil, add); err != nil {
			return err
		}
	}
	return nil
}

// fill turns a column of a batch into Parquet values: views of the batch.
func fill(values []parquet.Value, col arrow.Array, column int) {
	var at func(i int) parquet.Value
	switch col := col.(type) {
	case *array.String:
		at = func(i int) parquet.Value { return parquet.ByteArrayValue(view(col.Value(i))) }
	case *array.Dictionary:
		entries := col.Dictionary().(*array.String)
		at = func(i int) parquet.Value { return parquet.ByteArrayValue(view(entries.Value(col.GetValueIndex(i)))) }
	case *array.Int32:
		at = func(i int) parquet.Value { return parquet.Int32Value(col.Value(i)) }
	case *array.Timestamp:
		at = func(i int) parquet.Value { return parquet.Int64Value(int64(col.Value(i))) }
	case *array.Boolean:
		at = func(i int) parquet.Value { return parquet.BooleanValue(col.Value(i)) }
	}
	for i := range values {
		if col.IsNull(i) {
			values[i] = parquet.NullValue().Level(0, 0, column)
		} else {
			values[i] = at(i).Level(0, 1, column)
		}
	}
}
