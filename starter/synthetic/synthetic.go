// Package synthetic makes an extract in which nobody exists: the shape of a force's year, calibrated to
// published figures, for the demo, for benchmarks and for tests.
//
// The boroughs' offence mix is that of the Metropolitan Police's recorded offences (London Datastore),
// the codes are those of the Cambridge Crime Harm Index. Suspects are made one after the other, each
// from the seed and its own number, so that any size needs little memory and the same seed gives the
// same rows, and on one machine the same bytes. The package must not know how rows are checked or scored.
package synthetic

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"

	"github.com/parquet-go/parquet-go"

	"harmstack/schemas"
	"harmstack/schemas/text"
)

// DefaultSuspects is about how many suspects the Metropolitan Police names in a year.
const DefaultSuspects = 36_000

// Options say what to make.
type Options struct {
	AsOf     schemas.Date
	Suspects int
	Seed     uint64
}

// Summary says what was made.
type Summary struct{ Rows int64 }

const (
	windowRows   = 4096 // rows are shuffled within so many, as an export mixes them
	rowGroupRows = 256 << 10
)

// Write writes one Parquet file of the contract's extract.
func Write(ctx context.Context, w io.Writer, o Options) (s Summary, err error) {
	if o.Suspects < 1 {
		return s, fmt.Errorf(
			"%s: give at least 1",
			text.Count(o.Suspects, "suspect makes no extract", "suspects make no extract"),
		)
	}
	if o.AsOf.IsZero() {
		return s, errors.New("the extract needs a date: give the last full day")
	}
	mix, err := loadMix()
	if err != nil {
		return s, err
	}
	out := parquet.NewGenericWriter[schemas.Offence](
		w,
		parquet.CreatedBy("harmstack", "1", ""),
		parquet.Compression(&parquet.Snappy),
		parquet.MaxRowsPerRowGroup(rowGroupRows),
	)
	g := &generator{options: o, mix: mix, dayStart: starts(o.AsOf)}
	shuffle := rand.New(rand.NewPCG(o.Seed, 1<<63))
	flush := func(keep int) error {
		shuffle.Shuffle(len(g.rows), func(i, j int) { g.rows[i], g.rows[j] = g.rows[j], g.rows[i] })
		n := len(g.rows) - keep
		if _, err := out.Write(g.rows[:n]); err != nil {
			return err
		}
		s.Rows += int64(n)
		g.rows = append(g.rows[:0], g.rows[n:]...)
		return nil
	}
	for i := range o.Suspects {
		g.suspect(i)
		if len(g.rows) >= 2*windowRows {
			if err := errors.Join(ctx.Err(), flush(windowRows)); err != nil {
				return s, err
			}
		}
	}
	return s, errors.Join(ctx.Err(), flush(0), out.Close())
}

// starts are the first instants of the days from a year and a half ago to three days after as_of, by age
// plus daysAhead.
func starts(asOf schemas.Date) []int64 {
	all := make([]int64, daysAhead+550)
	for i := range all {
		all[i] = asOf.AddDays(daysAhead - i).Start().UnixMicro()
	}
	return all
}

const daysAhead = 3
