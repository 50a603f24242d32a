package rowfile

import (
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
)

// Groups reads a file that this package wrote here and there: some rows of a row group, or one of its columns. A file
// of millions of rows is not read for a hundred of them.
type Groups[T any] struct {
	file    *parquet.File
	columns map[string]int
}

// OpenGroups opens a file. The reader must stay open as long as it is read.
func OpenGroups[T any](r io.ReaderAt, size int64) (_ *Groups[T], err error) {
	defer recovered(&err)
	// The files have neither.
	f, err := parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, fmt.Errorf("the file cannot be opened: %w", err)
	}
	g := &Groups[T]{f, map[string]int{}}
	for i, path := range f.Schema().Columns() {
		g.columns[path[0]] = i
	}
	return g, nil
}

// Len is how many row groups there are.
func (g *Groups[T]) Len() int { return len(g.file.RowGroups()) }

// Rows is how many rows a row group has.
func (g *Groups[T]) Rows(group int) int64 { return g.file.RowGroups()[group].NumRows() }

// Bounds are the least and the greatest of a column of whole numbers in a row group; ok is false where the file does
// not say.
func (g *Groups[T]) Bounds(group int, column string) (low, high int64, ok bool) {
	i, there := g.columns[column]
	if !there {
		return 0, 0, false
	}
	chunk, there := g.file.RowGroups()[group].ColumnChunks()[i].(*parquet.FileColumnChunk)
	if !there || chunk.Type().Kind() != parquet.Int64 {
		return 0, 0, false
	}
	from, to, ok := chunk.Bounds()
	return from.Int64(), to.Int64(), ok
}

// Read is the rows of a row group from one to before another, counted from 0.
func (g *Groups[T]) Read(group int, from, to int64) (rows []T, err error) {
	defer recovered(&err)
	in := parquet.NewGenericRowGroupReader[T](g.file.RowGroups()[group])
	defer in.Close()
	if err := in.SeekToRow(from); err != nil {
		return nil, err
	}
	rows = make([]T, to-from)
	for done := 0; done < len(rows); {
		n, err := in.Read(rows[done:])
		if done += n; n == 0 {
			return nil, fmt.Errorf("row group %d ends early: %w", group, err)
		}
	}
	return rows, nil
}

// Column shows the values of one column of a row group, in the order of its rows, until see has seen enough. A value is
// valid only during the call.
func (g *Groups[T]) Column(group int, column string, see func(row int64, v parquet.Value) (more bool)) (err error) {
	defer recovered(&err)
	i, ok := g.columns[column]
	if !ok {
		return fmt.Errorf("the file has no column %s", column)
	}
	pages := g.file.RowGroups()[group].ColumnChunks()[i].Pages()
	defer pages.Close()
	values, row := make([]parquet.Value, 1024), int64(0)
	for {
		page, err := pages.ReadPage()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		more, err := seePage(page, values, &row, see)
		if err != nil || !more {
			return err
		}
	}
}

func seePage(
	page parquet.Page, values []parquet.Value, row *int64, see func(row int64, v parquet.Value) bool,
) (more bool, err error) {
	defer parquet.Release(page)
	if page.Type().Kind() == parquet.ByteArray && page.Dictionary() == nil && page.NumNulls() == 0 {
		// Value by value the library takes four times as long, and this is how a name is found among millions.
		data := page.Data()
		texts, offsets := data.ByteArray()
		for i := range len(offsets) - 1 {
			if !see(*row, parquet.ByteArrayValue(texts[offsets[i]:offsets[i+1]])) {
				return false, nil
			}
			*row++
		}
		return true, nil
	}
	for in := page.Values(); ; {
		n, err := in.ReadValues(values)
		for _, v := range values[:n] {
			if !see(*row, v) {
				return false, nil
			}
			*row++
		}
		if err == io.EOF || err == nil && n == 0 {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
}
