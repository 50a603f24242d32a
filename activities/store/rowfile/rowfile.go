// Package rowfile writes rows as Parquet files, a row group at a time, and reads them: ranking.parquet, the stack, its
// contributions and changes, and the suspects that pass from the score stage to the rank stage.
//
// Equal rows give equal bytes: row groups are of a fixed size, and a file holds no time, path or
// revision. The package must not know how the rows came about.
package rowfile

import (
	"context"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"time"
	"unsafe"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
	"golang.org/x/sync/errgroup"

	"harmstack/schemas"
	"harmstack/schemas/text"
)

// RowGroupRows is how many rows a row group of every file holds, but for the last.
const RowGroupRows = 32 << 10

// Writer writes one Parquet file of rows of type T. Row groups are encoded at the same time and follow
// each other in the order of their rows.
type Writer[T any] struct {
	out     io.Writer
	leaves  []leaf
	footer  *format.FileMetaData
	offset  int64
	group   []T // being gathered
	idle    chan *encoder[T]
	before  chan struct{} // closed when the row group before is in the file
	running *errgroup.Group
	ctx     context.Context // ends with the first error
	giveUp  context.CancelFunc
}

// encoder encodes one row group at a time.
type encoder[T any] struct {
	rows  []T
	pages *pages
}

// maxEncoders keeps the memory of a writer within bounds.
const maxEncoders = 4

// magic begins and ends a file.
const magic = "PAR1"

// NewWriter starts a file. Nothing of it is whole before Close; one that is given up must be abandoned instead.
func NewWriter[T any](w io.Writer) *Writer[T] {
	out := &Writer[T]{out: w, before: make(chan struct{})}
	out.leaves, out.footer = layout[T]()
	close(out.before)
	var ctx context.Context
	ctx, out.giveUp = context.WithCancel(context.Background())
	out.running, out.ctx = errgroup.WithContext(ctx)
	out.idle = make(chan *encoder[T], min(runtime.GOMAXPROCS(0), maxEncoders))
	for range cap(out.idle) {
		out.idle <- &encoder[T]{pages: newPages()}
	}
	return out
}

// Write appends rows. Their texts must stay as they are until Close.
func (w *Writer[T]) Write(rows []T) error {
	for len(rows) > 0 {
		n := min(len(rows), RowGroupRows-len(w.group))
		w.group, rows = append(w.group, rows[:n]...), rows[n:]
		if len(w.group) == RowGroupRows {
			if err := w.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush hands the gathered rows to an encoder.
func (w *Writer[T]) flush() error {
	var e *encoder[T]
	select {
	case e = <-w.idle:
	case <-w.ctx.Done():
		return w.running.Wait()
	}
	e.rows, w.group = w.group, e.rows[:0]
	before, done := w.before, make(chan struct{})
	w.before = done
	w.running.Go(func() error {
		if err := e.encode(w.leaves); err != nil {
			return err
		}
		select {
		case <-before:
		case <-w.ctx.Done():
			return nil // for the reason that another gives
		}
		if err := w.commit(e); err != nil {
			return err
		}
		close(done)
		w.idle <- e
		return nil
	})
	return nil
}

func (e *encoder[T]) encode(leaves []leaf) error {
	var row T
	e.pages.reset()
	for i := range leaves {
		l, v := &leaves[i], &e.pages.values
		v.reset(len(e.rows))
		l.fill(v, unsafe.Add(unsafe.Pointer(unsafe.SliceData(e.rows)), l.offset), unsafe.Sizeof(row), len(e.rows))
		if err := e.pages.encode(l); err != nil {
			return err
		}
	}
	return nil
}

// commit puts an encoded row group into the file, whose footer will name it.
func (w *Writer[T]) commit(e *encoder[T]) error {
	if err := w.begin(); err != nil {
		return err
	}
	group := format.RowGroup{
		NumRows:             int64(len(e.rows)),
		FileOffset:          w.offset,
		TotalCompressedSize: int64(len(e.pages.out)),
		Ordinal:             int16(len(w.footer.RowGroups)),
		Columns:             slices.Clone(e.pages.columns),
	}
	for i := range group.Columns {
		meta := &group.Columns[i].MetaData
		if slices.Contains(meta.Encoding, format.RLEDictionary) {
			meta.DictionaryPageOffset += w.offset
		}
		meta.DataPageOffset += w.offset
		group.TotalByteSize += meta.TotalUncompressedSize
	}
	w.footer.RowGroups = append(w.footer.RowGroups, group)
	w.footer.NumRows += group.NumRows
	return w.write(e.pages.out)
}

// begin writes the start of the file, once.
func (w *Writer[T]) begin() error {
	if w.offset > 0 {
		return nil
	}
	return w.write([]byte(magic))
}

func (w *Writer[T]) write(b []byte) error {
	n, err := w.out.Write(b)
	w.offset += int64(n)
	return err
}

// Close ends the file and returns how many rows it holds.
func (w *Writer[T]) Close() (int64, error) {
	var err error
	if len(w.group) > 0 {
		err = w.flush()
	}
	if err = errors.Join(err, w.running.Wait()); err != nil {
		return 0, err
	}
	if err := w.begin(); err != nil {
		return 0, err
	}
	footer, err := thrift.Marshal(new(thrift.CompactProtocol), w.footer)
	if err != nil {
		return 0, err
	}
	footer = binary.LittleEndian.AppendUint32(footer, uint32(len(footer)))
	return w.footer.NumRows, w.write(append(footer, magic...))
}

// Abandon gives a file up. Like Close, it returns when nothing uses the rows or writes any more; after Close it does
// nothing.
func (w *Writer[T]) Abandon() {
	w.giveUp()
	_ = w.running.Wait() // nobody asks any more
}

// WriteAll writes a file of the rows that each yields. However it ends, nothing uses the rows or writes to w any more.
func WriteAll[T any](w io.Writer, each func(yield func([]T) error) error) (int64, error) {
	out := NewWriter[T](w)
	defer out.Abandon()
	if err := each(out.Write); err != nil {
		return 0, err
	}
	return out.Close()
}

// Reader reads the rows of a file that this package wrote.
type Reader[T any] struct {
	parquet *parquet.GenericReader[T]
	rows    []T
	left    int64 // rows not read yet
}

// NewReader opens a file.
func NewReader[T any](r io.ReaderAt, size int64) (_ *Reader[T], err error) {
	defer recovered(&err)
	f, err := parquet.OpenFile(r, size)
	if err != nil {
		return nil, fmt.Errorf("the file cannot be opened: %w", err)
	}
	left := max(f.NumRows(), 0)
	return &Reader[T]{parquet.NewGenericReader[T](f), make([]T, min(left, 4096)), left}, nil
}

// Read returns the next rows, some thousands at a time, and io.EOF after the last. They are valid until
// the next call.
func (r *Reader[T]) Read() (rows []T, err error) {
	defer recovered(&err)
	if r.left == 0 {
		return nil, io.EOF
	}
	// For each row asked for beyond the last one, the library looks for a further page in each column: that made three
	// rows cost as much as four thousand.
	r.rows = r.rows[:min(r.left, int64(len(r.rows)))]
	clear(r.rows)
	n, err := r.parquet.Read(r.rows)
	if n > 0 {
		r.left -= int64(n)
		return r.rows[:n], nil
	}
	return nil, err
}

// Close releases what reading holds.
func (r *Reader[T]) Close() error { return r.parquet.Close() }

func recovered(err *error) {
	if p := recover(); p != nil {
		*err = errors.New("the file cannot be decoded")
	}
}

// Read yields the rows of a file that this package wrote, some thousands at a time; they are valid only
// during the call.
func Read[T any](r io.ReaderAt, size int64, yield func([]T) error) error {
	in, err := NewReader[T](r, size)
	if err != nil {
		return err
	}
	defer in.Close()
	for {
		rows, err := in.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := yield(rows); err != nil {
			return err
		}
	}
}

// ReadAll returns all rows of a small file.
func ReadAll[T any](r io.ReaderAt, size int64) (all []T, err error) {
	err = Read(r, size, func(rows []T) error {
		all = append(all, rows...)
		return nil
	})
	return all, err
}

// WriteCSV writes the stack for those who open it in a spreadsheet: the columns of stack.parquet, times
// in UTC, boroughs separated by semicolons, null as nothing. Restricted suspects are left out: a sheet is passed
// around, and they are their desk's alone (contract, section 8).
func WriteCSV(w io.Writer, stack []schemas.Ranked) (int64, error) {
	out := csv.NewWriter(w)
	header := []string{
		"position",
		"rank",
		"tie_size",
		"suspect_id",
		"score",
		"score_days",
		"sum_days",
		"max_days",
		"sum_rank",
		"allegations",
		"reports",
		"victims",
		"first_reported",
		"last_reported",
		"owner_borough",
		"owner_bcu",
		"boroughs",
		"domestic_abuse",
		"non_recent",
		"also_victim",
		"suspect_status",
		"lane",
		"ages_disagree",
		"restricted",
		"withdrawn",
	}
	if err := out.Write(header); err != nil {
		return 0, err
	}
	whole := func(n int64) string { return strconv.FormatInt(n, 10) }
	real := func(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
	at := func(micros int64) string { return time.UnixMicro(micros).UTC().Format(time.RFC3339Nano) }
	rows := int64(0)
	for _, r := range stack {
		if r.Restricted {
			continue
		}
		rows++
		err := out.Write([]string{whole(r.Position), whole(r.Rank), whole(r.TieSize), text.Cell(r.SuspectID), whole(r.Score),
			real(r.ScoreDays), real(r.SumDays), real(r.MaxDays), whole(r.SumRank), whole(r.Allegations), whole(r.Reports), whole(r.Victims),
			at(r.FirstReported), at(r.LastReported), text.Cell(orEmpty(r.OwnerBorough)), text.Cell(orEmpty(r.OwnerBCU)), text.Cells(r.Boroughs, ";"),
			whole(r.DomesticAbuse), whole(r.NonRecent), strconv.FormatBool(r.AlsoVictim), text.Cell(orEmpty(r.SuspectStatus)),
			r.Lane, strconv.FormatBool(r.AgesDisagree), strconv.FormatBool(r.Restricted), whole(r.Withdrawn)})
		if err != nil {
			return 0, err
		}
	}
	out.Flush()
	return rows, out.Error()
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
