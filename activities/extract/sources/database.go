package sources

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync/atomic"
	"time"

	"github.com/parquet-go/parquet-go"

	"harmstack/activities/extract"
	"harmstack/activities/extract/csvmap"
	"harmstack/activities/extract/extsort"
	"harmstack/activities/extract/incremental"
	"harmstack/activities/extract/postgres"
	"harmstack/activities/store/spill"
	"harmstack/schemas"
	"harmstack/schemas/yamlfile"
)

// sortMemory is how much the rows of a database are sorted in, unless less is allowed.
const sortMemory = 128 << 20

// validatePostgres refuses what only text in a file can be, and an allegation_id by which rows cannot be told apart.
func (d *Declared) validatePostgres() error {
	err := d.Postgres.Validate()
	if d.Encoding != "" || d.Delimiter != "" {
		err = errors.Join(err, errors.New("encoding and delimiter are of csv: PostgreSQL tells its own"))
	}
	if c := d.Columns[schemas.Offences[schemas.AllegationID].Name]; c.Constant != "" || len(c.Values) > 0 {
		err = errors.Join(
			err,
			yamlfile.Wrong(
				"columns.allegation_id",
				"rows are read in ranges of it and told apart by it: name the column it comes from, without constant or values",
			),
		)
	}
	if d.Incremental == nil {
		return err
	}
	return errors.Join(err, d.Incremental.Validate())
}

// database is a declared source in one view of its database.
type database struct {
	declared *Declared
	snapshot *postgres.Snapshot
	names    []string
	exact    []bool
	extra    int
	near     []string
	absent   []string
	selected postgres.Selection
	links    *postgres.Snapshot // the query of person links in the same view; nil: there is none
	options  Options

	rows       atomic.Int64
	unreadable []map[string]int64   // of each range
	lost       [][]incremental.Lost // of each range, where they are kept
	seen       func(key uint64)     // is told every allegation; nil: nobody asks
	sorters    []*extsort.Sorter
}

// open begins the view and finds the columns: every mistake in the mapping is found here, before the first row.
func (d *Declared) open(ctx context.Context, o Options) (_ *database, err error) {
	snapshot, err := postgres.Open(ctx, *d.Postgres)
	if err != nil {
		return nil, err
	}
	b := &database{declared: d, snapshot: snapshot, options: o}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	var types []postgres.Type
	for _, c := range snapshot.Columns {
		b.names, types = append(b.names, c.Name), append(types, c.Type)
	}
	if b.extra, b.near, err = d.Mapping.Check(b.names); err != nil {
		return nil, err
	}
	m, err := d.Mapping.Mapper(b.names, nil)
	if err != nil {
		return nil, err
	}
	b.absent = m.Absent()
	b.exact, b.selected.Exact = make([]bool, len(b.names)), map[int]bool{}
	// A text column may serve two of the contract's: it is exact when it may be for both.
	shared := map[int]bool{}
	for i, c := range schemas.Offences {
		f := m.Field(i)
		if f < 0 {
			continue
		}
		exact := c.Type == schemas.Timestamp && d.isInstant(c.Name, types[f])
		if !slices.Contains(b.selected.Read, f) {
			b.selected.Read = append(b.selected.Read, f)
			shared[f] = exact
		}
		shared[f] = shared[f] && exact
		b.exact[f], b.selected.Exact[f] = shared[f], shared[f]
	}
	b.selected.Key = m.Field(schemas.AllegationID)
	if l := d.Links; l != nil && l.Query != "" {
		if b.links, err = snapshot.With(ctx, l.Query); err == nil {
			_, err = l.fields(b.links)
		}
		if err != nil {
			return nil, fmt.Errorf("person links: %w", err)
		}
	}
	if d.Incremental == nil {
		return b, nil
	}
	for _, i := range []int{schemas.UpdatedAt, schemas.ReportedAt} {
		if f := m.Field(i); f < 0 || !b.exact[f] {
			err = errors.Join(
				err,
				fmt.Errorf(
					"incremental: columns.%s must come from one column of PostgreSQL's type timestamptz, or timestamp in UTC, without constant, values or layouts; "+
						"a local time is made one in the query: updated AT TIME ZONE 'Europe/London' AS updated",
					schemas.Offences[i].Name,
				),
			)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDeclaration, err)
	}
	b.selected.Updated = m.Field(schemas.UpdatedAt)
	b.selected.Window, b.selected.Since = new(m.Field(schemas.ReportedAt)), d.Incremental.Since(o.asOf())
	return b, nil
}

// isInstant tells whether a column of the database holds the very instants of the contract's.
func (d *Declared) isInstant(column string, t postgres.Type) bool {
	return t == postgres.Timestamptz && d.Plain(column, true) || t == postgres.Timestamp && d.Plain(column, false)
}

func (b *database) close() {
	for _, s := range b.sorters {
		_ = s.Close()
	}
	b.snapshot.Close()
}

// query opens the result of a declared query.
func (d Declared) query(ctx context.Context, name string, o Options) (*Opened, error) {
	b, err := d.open(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	defer b.close()
	f, err := unnamed(o.Temp)
	if err != nil {
		return nil, err
	}
	var links *ReadLinks
	if b.links != nil {
		links, err = d.Links.query(ctx, name, b.links)
	}
	var opened *Opened
	if err == nil {
		opened, err = b.read(ctx, name, f)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), f.Close())
	}
	opened.Links = links
	return opened, nil
}

// read makes the night's rows into f.
func (b *database) read(ctx context.Context, name string, f *spill.Stream) (*Opened, error) {
	opened := &Opened{}
	var sum extsort.Sum
	var kept []incremental.Lost
	var err error
	if b.declared.Incremental == nil {
		var all iter.Seq2[extsort.Record, error]
		if all, err = b.All(ctx); err == nil {
			sum, err = extsort.Write(ctx, all, f, b.options.threads(), false, b.options.Progress)
		}
	} else {
		view := incremental.Base{Declaration: b.declared.hash, Snapshot: b.snapshot.At, Since: b.selected.Since}
		night := incremental.Night{Declaration: *b.declared.Incremental, AsOf: b.options.asOf(), Source: name, Store: b.options.Store,
			View: view, Threads: b.options.threads(), Progress: b.options.Progress}
		opened.Reading = new(schemas.Reading)
		sum, *opened.Reading, kept, err = night.Read(ctx, b, f)
		view.Newest, view.Rows, view.Lost = sum.Newest, sum.Rows, append(slices.Concat(b.lost...), kept...)
		if view.TooManyLost = len(view.Lost) > incremental.MaxLost; view.TooManyLost {
			view.Lost = nil
		}
		opened.base, opened.name = &view, name
	}
	if err != nil {
		return nil, err
	}
	file, err := extract.Open(f, f.Size())
	if err != nil {
		return nil, err
	}
	ref := schemas.ArtifactRef{
		URI:    name,
		SHA256: sum.SHA256,
		Rows:   sum.Rows,
		Bytes:  sum.Bytes,
		Schema: schemas.OffenceSchema,
	}
	opened.Source = &extract.Source{
		File:       file,
		Extra:      b.extra,
		Near:       b.near,
		Unreadable: b.counted(kept),
		TextForms:  textForms(b.absent),
		Release:    f.Close,
		Reference:  func() (schemas.ArtifactRef, error) { return ref, nil },
	}
	return opened, nil
}

// counted adds up the values that could not be read: of the ranges, and of the rows that stay as they were kept.
func (b *database) counted(kept []incremental.Lost) map[string]int64 {
	all := map[string]int64{}
	for _, m := range b.unreadable {
		for column, n := range m {
			all[column] += n
		}
	}
	for _, l := range kept {
		for i, c := range schemas.Offences {
			if l.Columns>>i&1 == 1 {
				all[c.Name]++
			}
		}
	}
	return all
}

// begin makes room for so many ranges.
func (b *database) begin(ranges int) (row func(i int, record []string) error, done func(i int) error, err error) {
	for _, s := range b.sorters {
		_ = s.Close()
	}
	b.rows.Store(0)
	b.sorters, b.unreadable, b.lost = nil, make([]map[string]int64, ranges), make([][]incremental.Lost, ranges)
	memory := int64(sortMemory)
	if b.options.Memory > 0 {
		memory = min(memory, b.options.Memory/4)
	}
	mappers, values := make([]*csvmap.Mapper, ranges), make([]extsort.Row, ranges)
	for i := range ranges {
		if mappers[i], err = b.declared.Mapper(b.names, b.exact); err != nil {
			return nil, nil, err
		}
		b.sorters = append(b.sorters, extsort.NewSorter(spill.Folder(b.options.Temp), memory/int64(ranges)))
	}
	row = func(i int, record []string) error {
		columns := mappers[i].Row(record, (*[schemas.OffenceColumns]parquet.Value)(&values[i]))
		if b.declared.Incremental != nil {
			b.note(i, &values[i], columns)
		}
		if n := b.rows.Add(1); n%4096 == 0 && b.options.Progress != nil {
			b.options.Progress(n)
		}
		return b.sorters[i].Add(&values[i])
	}
	done = func(i int) error {
		b.unreadable[i] = mappers[i].Unreadable()
		return b.sorters[i].Finish()
	}
	return row, done, nil
}

// note keeps what the next night must know of a row of the i-th range.
func (b *database) note(i int, row *extsort.Row, unreadable uint32) {
	if unreadable == 0 && b.seen == nil {
		return
	}
	key := incremental.KeyOf(row[schemas.AllegationID].ByteArray())
	if b.seen != nil {
		b.seen(key)
	}
	if unreadable != 0 && len(b.lost[i]) <= incremental.MaxLost {
		reported := int64(incremental.NeverReported)
		if at := row[schemas.ReportedAt]; !at.IsNull() {
			reported = at.Int64()
		}
		b.lost[i] = append(b.lost[i], incremental.Lost{Key: key, Reported: reported, Columns: unreadable})
	}
}

// All are all rows, in order.
func (b *database) All(ctx context.Context) (iter.Seq2[extsort.Record, error], error) {
	var row func(i int, record []string) error
	var done func(i int) error
	err := b.snapshot.Read(ctx, b.selected, func(ranges int) (err error) {
		row, done, err = b.begin(ranges)
		return err
	}, func(i int, record []string) error { return row(i, record) }, func(i int) error { return done(i) })
	return b.records(), err
}

// records are the rows of the ranges, one after the other.
func (b *database) records() iter.Seq2[extsort.Record, error] {
	return func(yield func(extsort.Record, error) bool) {
		for _, s := range b.sorters {
			for r, err := range s.Records() {
				if !yield(r, err) {
					return
				}
			}
		}
	}
}

// Changed are the rows of the allegations that changed.
func (b *database) Changed(
	ctx context.Context,
	since time.Time,
	seen func(key uint64),
) (iter.Seq2[extsort.Record, error], int64, error) {
	b.seen = seen
	defer func() { b.seen = nil }()
	row, done, err := b.begin(1)
	if err == nil {
		err = b.snapshot.Changed(ctx, b.selected, since, func(record []string) error { return row(0, record) })
	}
	if err == nil {
		err = done(0)
	}
	return b.records(), b.rows.Load(), err
}

// Stamps counts the rows and sums up their versions.
func (b *database) Stamps(ctx context.Context) (int64, string, error) {
	return b.snapshot.Stamps(ctx, b.selected)
}

// Keep keeps the view while nothing is asked of it.
func (b *database) Keep(ctx context.Context) (stop func()) { return b.snapshot.Keep(ctx) }

// readAs counts the ways in which values were ever read: under another, what was kept of earlier nights is not what
// would be read today, and everything is read anew.
const readAs = "2"

// hashOf is of a declaration's text: a change of a comment too means a full reading, which harms nobody.
func hashOf(data []byte) string {
	sum := sha256.Sum256(append(data, readAs...))
	return hex.EncodeToString(sum[:])
}
