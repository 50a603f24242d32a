package extract

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"

	"github.com/apache/arrow/go/v16/arrow"
	"github.com/apache/arrow/go/v16/arrow/array"
	"golang.org/x/sync/errgroup"

	"harmstack/schemas"
	words "harmstack/schemas/text"
)

// BatchRows is the most rows a batch holds: its columns then stay in the processor's cache.
const BatchRows = 16 << 10

// minSplit is the fewest rows worth a task of their own.
const minSplit = 4 * BatchRows

// Sink takes batches, from one goroutine. A batch follows schemas.OffenceArrow, but a string column may
// be a dictionary; all batches cut from one run of pages share the dictionary's array. It is valid only
// during the call. firstRow is the ordinal of its first row in the whole extract.
type Sink interface {
	Add(batch arrow.Record, firstRow int64) error
	Close() error
}

// Scan feeds every row once: row groups in parallel, each goroutine to a Sink of its own, which it
// closes. firstRow is the ordinal of the extract's first row. progress, if not nil, is called from many
// goroutines with the rows fed so far. A file that holds other rows than its footer promises is
// ErrRowsMismatch, one that cannot be decoded ErrDamaged.
func (f *File) Scan(
	ctx context.Context,
	threads int,
	firstRow int64,
	newSink func() Sink,
	progress func(rows int64),
) error {
	return f.scanAll(ctx, threads, firstRow, nil, newSink, progress)
}

// ScanColumns is Scan for a sink that looks at some columns only: all others are null. With nil it looks at all.
func (f *File) ScanColumns(
	ctx context.Context,
	columns []int,
	threads int,
	firstRow int64,
	newSink func() Sink,
	progress func(rows int64),
) error {
	return f.scanAll(ctx, threads, firstRow, columns, newSink, progress)
}

func (f *File) scanAll(
	ctx context.Context,
	threads int,
	firstRow int64,
	only []int,
	newSink func() Sink,
	progress func(rows int64),
) (err error) {
	threads, err = f.plan(ctx, only, threads)
	if err != nil {
		return err
	}
	tasks := f.split(only, threads)
	queue := make(chan task, len(tasks))
	for _, t := range tasks {
		queue <- t
	}
	close(queue)
	var done atomic.Int64
	var lost losses
	g, ctx := errgroup.WithContext(ctx)
	for range min(threads, max(len(tasks), 1)) {
		g.Go(func() error {
			sink := newSink()
			for t := range queue {
				err := f.scan(ctx, t, only, &lost, func(batch arrow.Record, row int64) error {
					if err := sink.Add(batch, firstRow+row); err != nil {
						return err
					}
					if n := done.Add(batch.NumRows()); progress != nil {
						progress(n)
					}
					return nil
				})
				if err != nil {
					return errors.Join(err, sink.Close())
				}
			}
			return sink.Close()
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if done.Load() != f.Rows() {
		return fmt.Errorf(
			"%w: the footer promises %s, %s read",
			ErrRowsMismatch,
			words.Count(f.Rows(), "row"),
			words.Count(done.Load(), "was", "were"),
		)
	}
	f.setUnreadable(&lost)
	return nil
}

// losses are how many values of each column could not be read.
type losses [schemas.OffenceColumns]atomic.Int64

func (f *File) setUnreadable(lost *losses) {
	for i := range lost {
		if n := lost[i].Load(); n > 0 {
			f.unread[schemas.Offences[i].Name] = n
		}
	}
}

// task is a run of rows of one row group.
type task struct {
	group    int
	from, to int64
}

// split cuts the row groups into tasks, so that a file of few groups still keeps every thread at work. The pages at a
// cut are decoded twice.
func (f *File) split(only []int, threads int) []task {
	var tasks []task
	for i := range f.groups {
		rows, pages := f.groups[i].rows, 0
		for column := range f.groups[i].columns {
			if f.read(i, column, only) {
				extent, _ := f.groups[i].check(column)
				pages = max(pages, extent.pages)
			}
		}
		pieces := int64(1)
		if pages > 1 && len(f.starts) <= 2*threads {
			pieces = max(1, min(int64(2*threads), rows/minSplit))
		}
		for p := range pieces {
			tasks = append(tasks, task{i, rows * p / pieces, rows * (p + 1) / pieces})
		}
	}
	return tasks
}

// read tells whether there is something to be read of a column; only are those that are asked for, nil: all.
func (f *File) read(group, column int, only []int) bool {
	return f.groups[group].columns[column].leaf >= 0 && (only == nil || slices.Contains(only, column))
}

// scan feeds the rows of one task in order. A batch ends where a page of any column ends, so that
// every column of it is a slice of one page.
func (f *File) scan(
	ctx context.Context,
	t task,
	only []int,
	lost *losses,
	add func(arrow.Record, int64) error,
) (err error) {
	defer recovered(&err, ErrDamaged)
	whole := t.to == f.groups[t.group].rows
	var readers [schemas.OffenceColumns]*reader
	for i := range readers {
		if !f.read(t.group, i, only) {
			continue
		}
		r, err := f.open(t.group, i, t.from)
		if err != nil {
			return err
		}
		defer r.close()
		readers[i] = r
	}
	var nulls nulls
	defer nulls.release()
	for row := t.from; row < t.to; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(t.to-row, BatchRows)
		for i, r := range readers {
			if r == nil {
				continue
			}
			left, err := r.left()
			if err != nil {
				return f.pageError(err, i, t.group, f.starts[t.group]+row)
			}
			n = min(n, left)
		}
		columns := make([]arrow.Array, schemas.OffenceColumns)
		fields := make([]arrow.Field, schemas.OffenceColumns)
		for i, r := range readers {
			if r == nil {
				columns[i] = nulls.of(i, int(n))
			} else {
				columns[i] = r.take(int(n))
			}
			fields[i] = arrow.Field{Name: schemas.Offences[i].Name, Type: columns[i].DataType(), Nullable: true}
		}
		batch := array.NewRecord(arrow.NewSchema(fields, nil), columns, n)
		err := add(batch, f.starts[t.group]+row)
		batch.Release()
		for _, c := range columns {
			c.Release()
		}
		if err != nil {
			return err
		}
		row += n
	}
	for i, r := range readers {
		if r == nil {
			continue
		}
		lost[i].Add(r.lost)
		if !whole {
			continue
		}
		if err := f.exhausted(r, i, t.group); err != nil {
			return err
		}
	}
	return nil
}

// open reads a column of a row group from one of its rows on.
func (f *File) open(group, column int, from int64) (*reader, error) {
	g := &f.groups[group]
	if _, err := g.check(column); err != nil {
		return nil, f.columnError(err, column, group)
	}
	return newReader(g.reader, g.chunks[column], &g.columns[column], from, f.limit()), nil
}

// columnError says which column an error is of.
func (f *File) columnError(err error, column, group int) error {
	where := fmt.Sprintf("%scolumn %s, row group %d", f.groups[group].file, schemas.Offences[column].Name, group)
	if errors.As(err, new(ioError)) || errors.Is(err, ErrRowsMismatch) {
		return fmt.Errorf("%s: %w", where, err)
	}
	return fmt.Errorf("%w: %s: %w", ErrDamaged, where, err)
}

// exhausted makes sure that a column of a row group, read to its last row, holds no more.
func (f *File) exhausted(r *reader, column, group int) error {
	_, err := r.left()
	if err == nil {
		return fmt.Errorf(
			"%w: %scolumn %s of row group %d holds more rows than the %d promised",
			ErrRowsMismatch,
			f.groups[group].file,
			schemas.Offences[column].Name,
			group,
			f.groups[group].rows,
		)
	}
	if !errors.Is(err, io.EOF) {
		return f.pageError(err, column, group, f.starts[group+1])
	}
	return nil
}

// nulls are the columns that are not read, made once for as many rows as a batch may hold.
type nulls [schemas.OffenceColumns]arrow.Array

func (l *nulls) of(column, n int) arrow.Array {
	if l[column] == nil {
		l[column] = array.MakeArrayOfNull(allocator, schemas.OffenceArrow.Field(column).Type, BatchRows)
	}
	return array.NewSlice(l[column], 0, int64(n))
}

func (l *nulls) release() {
	for _, a := range l {
		if a != nil {
			a.Release()
		}
	}
}

func (f *File) pageError(err error, column, group int, row int64) error {
	file, name := f.groups[group].file, schemas.Offences[column].Name
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: %scolumn %s of row group %d ends at row %d", ErrRowsMismatch, file, name, group, row)
	}
	if errors.As(err, new(ioError)) {
		return fmt.Errorf("%scolumn %s, row group %d: %w", file, name, group, err)
	}
	return fmt.Errorf("%w: %scolumn %s, row group %d, near row %d: %w", ErrDamaged, file, name, group, row, err)
}
