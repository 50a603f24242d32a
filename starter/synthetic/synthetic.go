// Package synthetic makes an extract in which nobody exists: the shape of a force's year, calibrated to
// published figures, for the demo, for benchmarks and for tests.
//
// The boroughs' offence mix is that of the Metropolitan Police's recorded offences (London Datastore),
// the codes are those of the Cambridge Crime Harm Index.
//
// The world runs on by itself, and an extract is what an export on the morning after as_of sees of it: extracts of
// consecutive dates with the same seed tell one story. Who is in custody on one day is released on a later one, a case
// that is open is closed, two nominals are merged, and updated_at moves along; nothing else changes. People take seats.
// A seat is taken anew every 365 days, each on a day of its own, so that any window of 365 days shows about as many
// suspects as any other. Whoever sits there is made from the seed, the seat and the turn alone, so that any size needs
// little memory and the same seed gives the same rows, and on one machine the same bytes.
//
// Beside what an export has anyway, it holds what is meant to be found: see Planted. The package must not know how rows
// are checked or scored.
package synthetic

import (
	"context"
	"encoding/csv"
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
type Summary struct {
	Rows    int64   `json:"rows"`
	Planted Planted `json:"planted"`
	// Links are the nominals that were merged by then.
	Links []Link `json:"-"`
}

// Link says that two ids are one person's (contract, section 3).
type Link struct {
	PersonID string `parquet:"person_id"`
	SameAs   string `parquet:"same_as"`
}

// Planted counts by kind what an extract holds for somebody to find. Of an allegation that it has in several versions the
// one that stays counts; rows before the window, of which an export has some days, count too.
type Planted map[string]int64

// The kinds. They count allegations unless they say otherwise.
const (
	RestrictedSuspect = "restricted_suspect" // the suspect is an officer, member of staff or protected person
	RestrictedVictim  = "restricted_victim"  // the victim is
	UnknownHandling   = "handling_unknown"   // a handling that is no value of the column, and reads as restricted
	Withdrawn         = "withdrawn"          // the victim does not support the case
	Transferred       = "transferred"        // to another force
	InCustody         = "in_custody"         // people
	OnBail            = "on_bail"            // people
	Released          = "released"           // people who were in custody and are not any more
	PlaceholderSuspect,
	PlaceholderVictim = "placeholder_suspect", "placeholder_victim"
	ClassMissing   = "class_missing" // and the code alone does not say which it is
	URNContradicts = "urn_contradicts_code"
	OutOfRange     = "out_of_range" // values that a nullable column cannot hold
	BoroughAlias   = "borough_alias"
	BoroughUnknown = "borough_unknown"
	OlderStands    = "older_version_stands"
	QuarantinedRow = "quarantined"          // rows
	EarlierVersion = "superseded"           // rows
	Repeated       = "duplicate"            // rows
	AgesDisagree   = "ages_disagree"        // people
	ChildElsewhere = "child_by_another_row" // the age is missing, and another row says that they are a child
	DeadElsewhere  = "dead_by_another_row"  // people
	Counter        = "counter_allegation"   // pairs of allegations, each the other way round
	Merged         = "merged"               // ids that the links replace
)

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
	g := newGenerator(o, mix)
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
	for i := range g.seats {
		g.seat(i)
		if len(g.rows) >= 2*windowRows {
			if err := errors.Join(ctx.Err(), flush(windowRows)); err != nil {
				return s, err
			}
		}
	}
	g.planted[Merged] = int64(len(g.links))
	s.Planted, s.Links = g.planted, g.links
	return s, errors.Join(ctx.Err(), flush(0), out.Close())
}

// WriteLinks writes links as Parquet or as CSV.
func WriteLinks(w io.Writer, links []Link, asCSV bool) error {
	if !asCSV {
		return parquet.Write(w, links, parquet.CreatedBy("harmstack", "1", ""), parquet.Compression(&parquet.Snappy))
	}
	out := csv.NewWriter(w)
	out.Write([]string{"person_id", "same_as"}) // an error stays, for out.Error
	for _, l := range links {
		out.Write([]string{l.PersonID, l.SameAs})
	}
	out.Flush()
	return out.Error()
}
