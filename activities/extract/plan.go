package extract

import (
	"cmp"
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"harmstack/schemas"
	"harmstack/schemas/fault"
)

// ErrTooLarge is returned for an extract whose pages do not fit into memory together. It says what to change.
var ErrTooLarge = fault.New(fault.BadRequest, "the pages of the extract are too large")

// defaultPages is how much the pages that are read at once may take when no limit is set.
const defaultPages = 2 << 30

// Limit says how many bytes of memory there are for everything. Half of them may go to the pages that are read at
// once: one of every column, for every thread. 0: nobody has set a limit.
func (f *File) Limit(memory int64) { f.memory = memory }

// limit is how many bytes the pages may take.
func (f *File) limit() int64 { return cmp.Or(f.memory/2, defaultPages) }

// plan looks at all pages before the first is read, and says how many threads may read at once.
func (f *File) plan(ctx context.Context, only []int, threads int) (int, error) {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(threads, 1))
	for i := range f.groups {
		g.Go(func() error {
			for column := range schemas.OffenceColumns {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				if !f.read(i, column, only) {
					continue
				}
				if _, err := f.groups[i].check(column); err != nil {
					return f.columnError(err, column, i)
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return 0, err
	}
	need, largest, of := int64(0), int64(0), 0
	for column := range schemas.OffenceColumns {
		most := int64(0)
		for i := range f.groups {
			if f.read(i, column, only) {
				extent, _ := f.groups[i].check(column)
				most = max(most, extent.most)
			}
		}
		if need += most; most > largest {
			largest, of = most, column
		}
	}
	if need > f.limit() {
		advice := "write smaller pages or row groups"
		if f.memory > 0 {
			advice = fmt.Sprintf("allow %d MiB (HARMSTACK_MEMORY, or --memory of starter score), or %s",
				mebibytes(2*need), advice)
		}
		return 0, fmt.Errorf("%w: those of all columns take %d MiB at once, "+
			"of column %s alone %d, and there are %d for them: %s",
			ErrTooLarge, mebibytes(need), schemas.Offences[of].Name, mebibytes(largest), f.limit()>>20, advice)
	}
	return max(1, min(threads, int(f.limit()/max(need, 1)))), nil
}

func mebibytes(n int64) int64 { return (n + 1<<20 - 1) >> 20 }
