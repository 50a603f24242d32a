// Package ranking writes and reads what the ranking leaves behind: ranking.parquet, the stack, its
// contributions and changes, and the suspects that pass from the score stage to the rank stage.
//
// Equal rows give equal bytes: row groups are of a fixed size, and a file holds no time, path or
// revision. The package must not know how the rows came about.
package ranking

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"harmstack/schemas"
)

// RowGroupRows is how many rows a row group of every file holds, but for the last.
const RowGroupRows = 128 << 10

// options are the same for every file. The version of the library is left out of created_by: a
// new release must not change the bytes of an old night.
func options() []parquet.WriterOption {
	return []parquet.WriterOption{
		parquet.CreatedBy("harmstack", "1", ""),
		parquet.Compression(&zstd.Codec{Level: zstd.SpeedFastest}),
		parquet.MaxRowsPerRowGroup(RowGroupRows),
		parquet.DataPageStatistics(true),
	}
}

// pieceRows is how many rows go to the library at once. It ends a page only between two pieces, so pieces
// of one size are what makes equal rows equal bytes.
const pieceRows = 8 << 10

// Writer writes one Parquet file of rows of type T.
type Writer[T any] struct {
	parquet *parquet.GenericWriter[T]
	piece   []T
	rows    int64
}

// NewWriter starts a file. Nothing of it is whole before Close.
func NewWriter[T any](w io.Writer) *Writer[T] {
	return &Writer[T]{parquet: parquet.NewGenericWriter[T](w, options()...), piece: make([]T, 0, pieceRows)}
}

// Write appends rows. Their texts must stay as they are until Close.
func (w *Writer[T]) Write(rows []T) error {
	w.rows += int64(len(rows))
	for len(rows) > 0 {
		n := min(len(rows), cap(w.piece)-len(w.piece))
		w.piece, rows = append(w.piece, rows[:n]...), rows[n:]
		if len(w.piece) == cap(w.piece) {
			if err := w.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *Writer[T]) flush() error {
	_, err := w.parquet.Write(w.piece)
	w.piece = w.piece[:0]
	return err
}

// Close ends the file and returns how many rows it holds.
func (w *Writer[T]) Close() (int64, error) {
	if err := w.flush(); err != nil {
		return 0, err
	}
	return w.rows, w.parquet.Close()
}

// WriteAll writes a file of the rows that each yields.
func WriteAll[T any](w io.Writer, each func(yield func([]T) error) error) (int64, error) {
	out := NewWriter[T](w)
	if err := each(out.Write); err != nil {
		return 0, err
	}
	return out.Close()
}

// Read yields the rows of a file that this package wrote, some thousands at a time; they are valid only
// during the call.
func Read[T any](r io.ReaderAt, size int64, yield func([]T) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the file cannot be decoded")
		}
	}()
	f, err := parquet.OpenFile(r, size)
	if err != nil {
		return fmt.Errorf("the file cannot be opened: %w", err)
	}
	in := parquet.NewGenericReader[T](f)
	defer in.Close()
	rows := make([]T, 4096)
	for {
		n, err := in.Read(rows)
		if n > 0 {
			if err := yield(rows[:n]); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		clear(rows)
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
// in UTC, boroughs separated by semicolons, null as nothing.
func WriteCSV(w io.Writer, stack []schemas.Ranked) (int64, error) {
	out := csv.NewWriter(w)
	header := []string{"position", "rank", "tie_size", "suspect_id", "score", "score_days", "sum_days", "max_days", "sum_rank",
		"allegations", "reports", "victims", "first_reported", "last_reported", "owner_borough", "owner_bcu", "boroughs",
		"domestic_abuse", "non_recent", "also_victim", "suspect_status"}
	if err := out.Write(header); err != nil {
		return 0, err
	}
	whole := func(n int64) string { return strconv.FormatInt(n, 10) }
	real := func(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
	at := func(micros int64) string { return time.UnixMicro(micros).UTC().Format(time.RFC3339Nano) }
	for _, r := range stack {
		err := out.Write([]string{whole(r.Position), whole(r.Rank), whole(r.TieSize), cell(r.SuspectID), whole(r.Score),
			real(r.ScoreDays), real(r.SumDays), real(r.MaxDays), whole(r.SumRank), whole(r.Allegations), whole(r.Reports), whole(r.Victims),
			at(r.FirstReported), at(r.LastReported), cell(orEmpty(r.OwnerBorough)), cell(orEmpty(r.OwnerBCU)), cell(strings.Join(r.Boroughs, ";")),
			whole(r.DomesticAbuse), whole(r.NonRecent), strconv.FormatBool(r.AlsoVictim), orEmpty(r.SuspectStatus)})
		if err != nil {
			return 0, err
		}
	}
	out.Flush()
	return int64(len(stack)), out.Error()
}

// cell keeps a spreadsheet from taking a text for a formula.
func cell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
