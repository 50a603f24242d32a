package extract

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow/go/v16/arrow"

	"harmstack/schemas"
	words "harmstack/schemas/text"
)

// TextFile is some columns of text of a Parquet file of any writer, beside the extract.
type TextFile struct {
	Rows int64
	// Extra is how many further columns the file has.
	Extra int

	reader  io.ReaderAt
	size    int64
	names   []string
	columns []column
	groups  []textGroup
}

type textGroup struct {
	rows   int64
	chunks []chunk
}

// OpenTexts finds the columns of those names. The error is ErrNotParquet, ErrRowsMismatch or a *SchemaMismatch.
func OpenTexts(r io.ReaderAt, size int64, names []string) (_ *TextFile, err error) {
	defer recovered(&err, ErrNotParquet)
	if err := checkMagic(r, size); err != nil {
		return nil, err
	}
	footer, err := readFooter(r, size)
	if err != nil {
		return nil, err
	}
	found, fields := footer.top()
	f := &TextFile{Extra: len(found) - len(names), reader: r, size: size, names: names}
	wanted := make([]int, len(footer.leaves))
	for i := range wanted {
		wanted[i] = -1
	}
	mismatch := &SchemaMismatch{}
	for i, name := range names {
		at, wrong := schemas.FindColumn(found, name)
		if wrong != "" {
			mismatch.Faults = append(mismatch.Faults, ColumnFault{Column: name, Found: wrong})
			continue
		}
		c, ok := formOf(fields[at].element, schemas.String)
		if !ok || c.kind == nothing {
			mismatch.Faults = append(
				mismatch.Faults,
				ColumnFault{Column: name, Expected: schemas.String.String(), Found: describe(fields[at].element)},
			)
			continue
		}
		wanted[fields[at].leaf] = i
		f.columns = append(f.columns, c)
	}
	if mismatch.Faults != nil {
		return nil, mismatch
	}
	err = footer.eachGroup(wanted, len(names), func(rows int64, chunks []chunk) error {
		for i := range chunks {
			if what := chunks[i].unreadable(); what != "" {
				return &SchemaMismatch{[]ColumnFault{{Column: names[i], Found: what}}}
			}
		}
		if rows < 0 || f.Rows+rows < f.Rows {
			return fmt.Errorf("%w: row group %d promises %s", ErrRowsMismatch, len(f.groups), words.Count(rows, "row"))
		}
		f.Rows += rows
		f.groups = append(f.groups, textGroup{rows, chunks})
		return nil
	})
	if err == nil && f.Rows != footer.rows {
		err = fmt.Errorf("%w: the footer promises %s, its row groups %s", ErrRowsMismatch,
			words.Count(footer.rows, "row"), words.Number(f.Rows))
	}
	return f, err
}

// Each gives the texts of every row, in the order of the names; a null is empty. No page may take more than memory
// bytes; 0: some 2 GiB.
func (f *TextFile) Each(ctx context.Context, memory int64, row func(texts []string) error) (err error) {
	defer recovered(&err, ErrDamaged)
	if memory == 0 {
		memory = defaultPages
	}
	for number := range f.groups {
		if err := f.group(ctx, number, memory, row); err != nil {
			return err
		}
	}
	return nil
}

func (f *TextFile) group(ctx context.Context, number int, memory int64, row func(texts []string) error) error {
	g := &f.groups[number]
	readers := make([]*reader, len(f.columns))
	wrong := func(column int, err error) error {
		return fmt.Errorf("%w: column %s, row group %d: %w", ErrDamaged, f.names[column], number, err)
	}
	for i := range f.columns {
		extent, err := measure(f.reader, f.size, g.chunks[i], 0, g.rows)
		if err != nil {
			return wrong(i, err)
		}
		if extent.most > memory {
			return fmt.Errorf("%w: those of column %s take %d MiB, and there are %d for them: write smaller pages",
				ErrTooLarge, f.names[i], mebibytes(extent.most), memory>>20)
		}
		readers[i] = newReader(f.reader, g.chunks[i], &f.columns[i], 0, memory)
		defer readers[i].close()
	}
	texts := make([]string, len(readers))
	for left := g.rows; left > 0; {
		n := min(left, BatchRows)
		for i, r := range readers {
			some, err := r.left()
			if err != nil {
				return wrong(i, err)
			}
			n = min(n, some)
		}
		taken := make([]arrow.Array, len(readers))
		for i, r := range readers {
			taken[i] = r.take(int(n))
		}
		for at := range int(n) {
			for i := range taken {
				texts[i] = string(textOf(taken[i], at))
			}
			if err := row(texts); err != nil {
				return err
			}
		}
		for _, column := range taken {
			column.Release()
		}
		if left -= n; ctx.Err() != nil {
			return ctx.Err()
		}
	}
	for i, r := range readers {
		if _, err := r.left(); !errors.Is(err, io.EOF) {
			return fmt.Errorf("%w: column %s, row group %d holds more than the rows promised", ErrRowsMismatch, f.names[i], number)
		}
	}
	return nil
}
