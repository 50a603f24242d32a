package extract

import (
	"context"
	"fmt"
	"io"
	"path"
	"slices"

	"github.com/apache/arrow/go/v16/arrow"
	"github.com/apache/arrow/go/v16/arrow/array"
	"github.com/klauspost/compress/s2"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/snappy"
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
// extract without rows has one part without rows. progress is told the rows written so far.
//
// Columns are copied side by side, each by a cursor that goes once through the file: a file without a
// page index cannot be entered in the middle of a row group but by decoding it from its start.
func Snapshot(
	ctx context.Context,
	f *File,
	st *store.Store,
	folder string,
	threads int,
	progress func(rows int64),
) ([]schemas.ArtifactRef, error) {
	if _, err := f.plan(ctx, nil, threads); err != nil {
		return nil, err
	}
	c := copier{file: f, threads: max(threads, 1), progress: progress}
	defer c.close()
	parts := make([]schemas.ArtifactRef, max(1, (f.Rows()+partRows-1)/partRows))
	// While one part goes into the store the next is filled.
	writing, ctx := errgroup.WithContext(ctx)
	writing.SetLimit(2)
	for i := range parts {
		from := int64(i) * partRows
		rows := min(partRows, f.Rows()-from)
		empty, full := make(chan *parquet.ConcurrentRowGroupWriter, 2), make(chan *parquet.ConcurrentRowGroupWriter)
		writing.Go(func() (err error) {
			key := path.Join(folder, fmt.Sprintf("part-%05d.parquet", i))
			parts[i], err = st.Write(
				ctx,
				key,
				schemas.OffenceSchema,
				func(w io.Writer) (int64, error) { return rows, commit(ctx, w, empty, full) },
			)
			return err
		})
		if err := c.part(ctx, from, rows, empty, full); err != nil {
			writing.Go(func() error { return err }) // so that what is under way is not taken for whole
			return nil, writing.Wait()
		}
	}
	if err := writing.Wait(); err != nil {
		return nil, err
	}
	err := c.finish()
	f.setUnreadable(&c.lost)
	return parts, err
}

// copier copies a file column by column.
type copier struct {
	file     *File
	threads  int
	progress func(rows int64)
	cursors  [schemas.OffenceColumns]cursor
	lost     losses
	values   [][]parquet.Value // of each thread
}

// columnOrder is the columns by how long they take, the longest first, so that none is left over at the
// end of a row group.
var columnOrder = [schemas.OffenceColumns]int{
	schemas.AllegationID, schemas.ReportID, schemas.SuspectID, schemas.VictimID, schemas.BoroughName, schemas.OffenceURN, schemas.OffenceCode,
	schemas.OffenceClass, schemas.SuspectStatus, schemas.Source, schemas.Outcome, schemas.VictimSex, schemas.CommittedAt, schemas.ReportedAt,
	schemas.UpdatedAt, schemas.SuspectAge, schemas.VictimAge, schemas.DomesticAbuse, schemas.Handling,
}

func init() {
	schemas.MustHaveEvery(
		"extract: columnOrder",
		func(column int) bool { return slices.Contains(columnOrder[:], column) },
	)
}

// fastSnappy compresses half as hard as the library does by itself, in a quarter of the time.
type fastSnappy struct{ snappy.Codec }

func (*fastSnappy) Encode(dst, src []byte) ([]byte, error) { return s2.EncodeSnappy(dst, src), nil }

// part fills the row groups of one part.
func (c *copier) part(
	ctx context.Context,
	from, rows int64,
	empty <-chan *parquet.ConcurrentRowGroupWriter,
	full chan<- *parquet.ConcurrentRowGroupWriter,
) error {
	for done := int64(0); done < rows; done += groupRows {
		var group *parquet.ConcurrentRowGroupWriter
		select {
		case group = <-empty:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := c.fill(ctx, group, min(groupRows, rows-done)); err != nil {
			return err
		}
		select {
		case full <- group:
		case <-ctx.Done():
			return ctx.Err()
		}
		if c.progress != nil {
			c.progress(from + min(done+groupRows, rows))
		}
	}
	close(full)
	return nil
}

// commit writes one part's row groups into a file, in order, until there are no more. Two take turns:
// while one goes into the file the other is filled.
func commit(
	ctx context.Context,
	w io.Writer,
	empty chan<- *parquet.ConcurrentRowGroupWriter,
	full <-chan *parquet.ConcurrentRowGroupWriter,
) error {
	options := []parquet.WriterOption{parquet.CreatedBy("harmstack", "1", ""), parquet.Compression(&fastSnappy{})}
	for _, c := range schemas.Offences {
		if c.Type == schemas.String {
			options = append(
				options,
				parquet.SkipPageBounds(c.Name),
			) // ids and boroughs lie in no order that bounds could help with
		}
	}
	out := parquet.NewGenericWriter[schemas.Offence](w, options...)
	empty <- out.BeginRowGroup()
	empty <- out.BeginRowGroup()
	for {
		select {
		case group, more := <-full:
			if !more {
				return out.Close()
			}
			if _, err := group.Commit(); err != nil {
				return err
			}
			empty <- group // there is room: no more than two
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// fill copies the next rows of every column into a row group.
func (c *copier) fill(ctx context.Context, group *parquet.ConcurrentRowGroupWriter, rows int64) error {
	columns := group.ColumnWriters()
	todo := make(chan int, len(columnOrder))
	for _, column := range columnOrder {
		todo <- column
	}
	close(todo)
	for len(c.values) < c.threads {
		c.values = append(c.values, make([]parquet.Value, BatchRows))
	}
	g, ctx := errgroup.WithContext(ctx)
	for i := range c.threads {
		g.Go(func() (err error) {
			defer recovered(&err, ErrDamaged)
			for column := range todo {
				if err := c.copyColumn(ctx, columns[column], column, rows, c.values[i]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

func (c *copier) copyColumn(
	ctx context.Context,
	to *parquet.ColumnWriter,
	column int,
	rows int64,
	values []parquet.Value,
) error {
	cursor := &c.cursors[column]
	for rows > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		col, err := cursor.take(c.file, column, min(rows, BatchRows))
		if err != nil {
			return err
		}
		n := col.Len()
		fill(values[:n], col)
		_, err = to.WriteRowValues(values[:n])
		col.Release()
		if err != nil {
			return fmt.Errorf("write column %s: %w", schemas.Offences[column].Name, err)
		}
		rows -= int64(n)
	}
	return to.Flush()
}

// finish makes sure that no column holds more rows than the footer promised.
func (c *copier) finish() error {
	for i := range c.cursors {
		if err := c.cursors[i].end(c.file, i); err != nil {
			return err
		}
		c.lost[i].Add(c.cursors[i].lost)
	}
	return nil
}

func (c *copier) close() {
	for i := range c.cursors {
		c.cursors[i].release()
	}
}

// cursor goes through one column of an extract, over its row groups.
type cursor struct {
	begun  bool
	group  int
	row    int64
	reader *reader     // nil in a group that lacks the column
	lost   int64       // values that could not be read, of the row groups before
	null   arrow.Array // of such a group
}

// take returns the next rows, at least one and at most n: a slice of one page.
func (c *cursor) take(f *File, column int, n int64) (arrow.Array, error) {
	for !c.begun || c.row == f.groups[c.group].rows {
		if err := c.next(f, column); err != nil {
			return nil, err
		}
	}
	n = min(n, f.groups[c.group].rows-c.row)
	if c.reader == nil {
		if c.null == nil {
			c.null = array.MakeArrayOfNull(allocator, schemas.OffenceArrow.Field(column).Type, BatchRows)
		}
		c.row += n
		return array.NewSlice(c.null, 0, n), nil
	}
	left, err := c.reader.left()
	if err == nil {
		n = min(n, left)
		c.row += n
		return c.reader.take(int(n)), nil
	}
	return nil, f.pageError(err, column, c.group, f.starts[c.group]+c.row)
}

// next enters the next row group.
func (c *cursor) next(f *File, column int) (err error) {
	if c.begun {
		c.group++
	}
	if c.reader != nil {
		if err := f.exhausted(c.reader, column, c.group-1); err != nil {
			return err
		}
		c.release()
	}
	c.begun, c.row = true, 0
	if f.groups[c.group].columns[column].leaf >= 0 {
		c.reader, err = f.open(c.group, column, 0)
	}
	return err
}

// end makes sure that the row group holds no more.
func (c *cursor) end(f *File, column int) error {
	if c.reader == nil {
		return nil
	}
	err := f.exhausted(c.reader, column, c.group)
	c.release()
	return err
}

// release lets the current row group go.
func (c *cursor) release() {
	if c.reader != nil {
		c.lost += c.reader.lost
		c.reader.close()
		c.reader = nil
	}
}

// fill turns a column of a batch into Parquet values: views of the batch. Rows are not nested, so that a value's
// definition level is all that matters; it is set in place, since to copy a value just made costs ten times as much.
func fill(values []parquet.Value, col arrow.Array) {
	switch col := col.(type) {
	case *array.String:
		for i := range values {
			values[i] = parquet.ByteArrayValue(view(col.Value(i)))
		}
	case *array.Dictionary:
		entries := col.Dictionary().(*array.String)
		if entries.Len() == 0 { // every value is null
			clear(values)
			return
		}
		for i, at := range col.Indices().(*array.Int32).Int32Values() {
			values[i] = parquet.ByteArrayValue(view(entries.Value(int(at))))
		}
	case *array.Int32:
		for i, n := range col.Int32Values() {
			values[i] = parquet.Int32Value(n)
		}
	case *array.Timestamp:
		for i, t := range col.TimestampValues() {
			values[i] = parquet.Int64Value(int64(t))
		}
	case *array.Boolean:
		for i := range values {
			values[i] = parquet.BooleanValue(col.Value(i))
		}
	}
	some := col.NullN() > 0
	for i := range values {
		if some && col.IsNull(i) {
			values[i] = parquet.Value{}
		} else {
			values[i].SetDefinitionLevel(1)
		}
	}
}
