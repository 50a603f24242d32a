// Package incremental reads of a database only what changed since the last snapshot that was kept, lays it over that
// snapshot, and takes the result for a night's extract only when the database itself, in the same view, has as many
// rows of the same versions. At any doubt, and on a set weekday, everything is read. The rows are those of a full read.
//
// It must not know SQL, nor the rules by which a row counts.
package incremental

import (
	"context"
	"errors"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"harmstack/activities/extract/extsort"
	"harmstack/activities/store"
	"harmstack/activities/store/spill"
	"harmstack/schemas"
	"harmstack/schemas/text"
	"harmstack/schemas/yamlfile"
)

// Declaration asks for it.
type Declaration struct {
	// Full is the weekday of whose nights (as_of) everything is read.
	Full Weekday `yaml:"full"`
	// Days is the window: rows reported on the night's date or up to so many days before, less one, are read. 0: 400.
	Days int `yaml:"days"`
	// Overlap is how long before the last snapshot's newest row a change is looked for: a transaction may commit that
	// long after the time that its rows bear. 0: a day.
	Overlap yamlfile.Span `yaml:"overlap"`
}

const (
	defaultDays    = 400
	minDays        = 365 // the score looks back so far
	defaultOverlap = 24 * time.Hour
)

// Weekday is a day of the week by its English name.
type Weekday struct {
	time.Weekday
	given bool
}

// UnmarshalYAML reads sunday or Sunday.
func (w *Weekday) UnmarshalYAML(node ast.Node) error {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if strings.EqualFold(node.GetToken().Value, d.String()) {
			*w = Weekday{d, true}
			return nil
		}
	}
	return yamlfile.At(node, "it is no weekday: write it like sunday")
}

// Validate names what cannot be meant.
func (d Declaration) Validate() error {
	var errs []error
	if !d.Full.given {
		errs = append(
			errs,
			yamlfile.Wrong("incremental.full", "give the weekday on which everything is read, like sunday"),
		)
	}
	if d.Days != 0 && d.Days < minDays {
		errs = append(
			errs,
			yamlfile.Wrong(
				"incremental.days",
				"it is %d, give at least %d: the score looks back a year",
				d.Days,
				minDays,
			),
		)
	}
	return errors.Join(errs...)
}

// Since is the instant from which on a night's rows are reported: the beginning, in London, of the window's first day.
func (d Declaration) Since(asOf schemas.Date) time.Time {
	days := d.Days
	if days == 0 {
		days = defaultDays
	}
	return asOf.AddDays(1 - days).Start().UTC()
}

// Database is one view of the source, with the window applied.
type Database interface {
	// Stamps counts the rows and sums up their versions: see ordered.Sum.
	Stamps(ctx context.Context) (rows int64, sum string, err error)
	// Changed are all rows of each allegation that has one changed at since or after, in order; seen is told each of
	// those.
	Changed(
		ctx context.Context,
		since time.Time,
		seen func(key uint64),
	) (records iter.Seq2[extsort.Record, error], n int64, err error)
	// All are all rows, in order.
	All(ctx context.Context) (iter.Seq2[extsort.Record, error], error)
	// Keep keeps the view while nothing is asked of it.
	Keep(ctx context.Context) (stop func())
}

// Night is one reading of a source.
type Night struct {
	Declaration Declaration
	AsOf        schemas.Date
	// Source names the source, Store keeps its base. Without a store all is read.
	Source string
	Store  *store.Store
	// View says what is read: all but the counts and the parts of the base that it will be.
	View     Base
	Threads  int
	Progress func(rows int64)
}

// Read writes the night's rows into out, and says how they were read and what they come to. lost are those of the rows
// of the last snapshot that the night's were laid over and that are still there.
func (n Night) Read(
	ctx context.Context,
	db Database,
	out *spill.Stream,
) (sum extsort.Sum, how schemas.Reading, lost []Lost, err error) {
	why, weekday := "", n.AsOf.Start().Weekday() == n.Declaration.Full.Weekday
	var merged extsort.Sum
	var changed int64
	if n.Store == nil {
		why = "there is no store to keep a snapshot in"
	} else {
		base, err := load(ctx, n.Store, n.Source)
		if err != nil {
			return sum, how, nil, err
		}
		if why = base.unusable(n.View); why == "" {
			var to io.Writer
			if !weekday {
				to = out
			}
			if merged, changed, lost, why, err = n.merge(ctx, db, base, to); err != nil {
				return sum, how, nil, err
			}
			if why == "" && !weekday {
				return merged, schemas.Reading{Mode: schemas.ReadIncrementally, Changed: changed}, lost, nil
			}
		}
	}
	if err := out.Reset(); err != nil {
		return sum, how, nil, err
	}
	all, err := db.All(ctx)
	if err != nil {
		return sum, how, nil, err
	}
	if sum, err = extsort.Write(ctx, all, out, n.Threads, true, n.Progress); err != nil {
		return sum, how, nil, err
	}
	how = schemas.Reading{Mode: schemas.ReadInFull, Why: why}
	switch {
	case !weekday:
	case why != "":
		how.Why = n.Declaration.Full.String() + ", and " + why
	case merged.SHA256 == sum.SHA256:
		how.Why = n.Declaration.Full.String() + ": only what changed would have given the same"
	default:
		how.Why = n.Declaration.Full.String() + ": only what changed would have missed rows that changed without their updated_at"
		how.Missed = true
	}
	return sum, how, nil, nil
}

// merge lays what changed over the base. doubt says why the result is not to be used; empty: it is proved.
func (n Night) merge(
	ctx context.Context,
	db Database,
	base *Base,
	out io.Writer,
) (sum extsort.Sum, changed int64, lost []Lost, doubt string, err error) {
	rows, stamps, err := db.Stamps(ctx)
	if err != nil {
		return sum, 0, nil, "", err
	}
	// A row from the future must not hide the changes until then.
	from := time.UnixMicro(base.Newest)
	if base.Snapshot.Before(from) {
		from = base.Snapshot
	}
	overlap := time.Duration(n.Declaration.Overlap)
	if overlap == 0 {
		overlap = defaultOverlap
	}
	since := n.View.Since.UnixMicro()
	still := map[uint64][]Lost{}
	for _, l := range base.Lost {
		if l.Reported >= since {
			still[l.Key] = append(still[l.Key], l)
		}
	}
	records, changed, err := db.Changed(ctx, from.Add(-overlap), func(key uint64) { delete(still, key) })
	if err != nil {
		return sum, 0, nil, "", err
	}
	for _, key := range slices.Sorted(maps.Keys(still)) {
		lost = append(lost, still[key]...)
	}
	defer db.Keep(ctx)()
	merged := extsort.Merge(base.records(ctx, n.Store), records, func(r extsort.Record) bool {
		reported, ok := r.Time(schemas.ReportedAt)
		return !ok || reported >= since
	})
	sum, err = extsort.Write(ctx, merged, out, n.Threads, true, n.Progress)
	switch {
	case ctx.Err() != nil:
		return sum, 0, nil, "", ctx.Err()
	case errors.Is(err, errBase):
		return sum, 0, nil, "the last snapshot is gone or damaged", nil
	case err != nil:
		return sum, 0, nil, "", err
	case sum.Rows != rows:
		return sum, 0, nil, "the count differs, by " + text.Count(max(rows-sum.Rows, sum.Rows-rows), "row"), nil
	case sum.Stamps != stamps:
		return sum, 0, nil, "the rows' versions differ", nil
	}
	return sum, changed, lost, "", nil
}
