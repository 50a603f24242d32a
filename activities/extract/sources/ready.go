package sources

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/apache/arrow/go/v16/arrow"
	"github.com/apache/arrow/go/v16/arrow/array"
	"gocloud.dev/gcerrors"

	"harmstack/activities/extract"
	"harmstack/activities/extract/postgres"
	"harmstack/schemas"
)

// ErrLate is returned for a source that is not there yet, not whole yet, or not of the night. It may come.
var ErrLate = errors.New("the source is late")

const (
	// quiet is how long text, or a folder, stays as it is before it is taken for whole: it has no end by which one
	// could tell.
	quiet = time.Minute
	// skew is how far the source's clock may be ahead of this machine's.
	skew = 10 * time.Minute
)

// Ready tells whether the extract of a date is there: files that are whole and were last written after the date was
// over, or a database that answers; and, in a database or in Parquet on this machine, a newest updated_at no more than
// fresh before the end of that date, when fresh is not 0. The error is ErrLate with the reason, or one that may pass. A
// source that waiting would not mend counts as ready: whoever opens it is told what is wrong with it.
func Ready(ctx context.Context, name string, asOf schemas.Date, fresh time.Duration) error {
	d, err := find(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return late("its declaration is not there")
	case err != nil:
		return nil
	}
	if d.Links != nil && d.Links.File != "" {
		if err := d.Links.ready(ctx); err != nil {
			return err
		}
	}
	if d.Postgres != nil {
		return d.answers(ctx, asOf, fresh)
	}
	if looked, err := written(ctx, d.file(name), d.CSV != "", asOf.AddDays(1).Start()); looked || err != nil {
		return err
	}
	f, err := Open(ctx, name, Options{})
	switch {
	case errors.Is(err, extract.ErrUnfinished), errors.Is(err, ErrChanging):
		return late("it is not whole yet")
	case err != nil:
		return nil
	}
	defer f.Close()
	if fresh == 0 || f.Rows() == 0 {
		return nil
	}
	at := newest{max: -1 << 63, before: time.Now().Add(skew).UnixMicro()}
	if err := f.ScanColumns(ctx, []int{schemas.UpdatedAt}, 2, 0, func() extract.Sink { return &at }, nil); err != nil {
		return ctx.Err() // else damaged, and so for the extract to tell
	}
	return stale(time.UnixMicro(at.max), asOf, fresh)
}

// ready tells whether the files of person links are there and whole, however old: nominals are not merged every day.
func (l *Links) ready(ctx context.Context) error {
	looked, err := written(ctx, l.File, false, time.Time{})
	if err == nil && !looked {
		if _, err = l.check(ctx); errors.Is(err, extract.ErrUnfinished) || errors.Is(err, ErrChanging) {
			return late("person links: they are not whole yet")
		}
		return nil
	}
	if errors.Is(err, ErrLate) {
		return fmt.Errorf("%w (the person links)", err)
	}
	return err
}

// written looks when files were written last, text or not by their names; looked: that is all there is to look at.
func written(ctx context.Context, at string, text bool, since time.Time) (looked bool, err error) {
	p, err := openPlace(ctx, at)
	if err != nil {
		return true, nil
	}
	defer p.close()
	files, err := p.list(ctx)
	switch {
	case errors.Is(err, errEmpty):
		return true, late("there is no file in the folder")
	case errors.Is(err, fs.ErrNotExist), gcerrors.Code(err) == gcerrors.NotFound:
		return true, late("there is no file")
	case errors.Is(err, ErrChanging):
		return true, late("it is still being written")
	case errors.Is(err, extract.ErrNoSource):
		return true, nil
	case err != nil:
		return true, err
	}
	last := slices.MaxFunc(files, func(a, b object) int { return a.written.Compare(b.written) }).written
	text = text || isText(files[0].name)
	switch {
	case last.Before(since):
		return true, late(
			"it was written on %s, before that day was over",
			last.In(schemas.London).Format("2 January 2006 at 15:04"),
		)
	case (text || p.folder) && time.Since(last) < quiet:
		return true, late("it was written to within the last minute, and may not be whole")
	case text,
		p.bucket != nil: // an object of a bucket appears whole; for its newest change it would have to be fetched
		return true, nil
	}
	return false, nil
}

func late(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrLate}, args...)...)
}

// stale judges the newest change in a source.
func stale(newest time.Time, asOf schemas.Date, fresh time.Duration) error {
	if newest.Before(asOf.AddDays(1).Start().Add(-fresh)) {
		return late(
			"its newest change is of %s: is it an earlier export?",
			newest.In(schemas.London).Format("2 January 2006 at 15:04"),
		)
	}
	return nil
}

// newest is the greatest timestamp of a column, of those that a clock can have written. Its feeders share it.
type newest struct {
	mu          sync.Mutex
	max, before int64
}

func (n *newest) Add(batch arrow.Record, _ int64) error {
	times, ok := batch.Column(schemas.UpdatedAt).(*array.Timestamp)
	if !ok {
		return nil
	}
	most := int64(-1 << 63)
	for i, at := range times.TimestampValues() {
		if at := int64(at); at > most && at < n.before && times.IsValid(i) {
			most = at
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.max = max(n.max, most)
	return nil
}

func (*newest) Close() error { return nil }

// answers tells whether the database is there, and its rows of the night.
func (d Declared) answers(ctx context.Context, asOf schemas.Date, fresh time.Duration) error {
	snapshot, err := postgres.Open(ctx, *d.Postgres)
	if err == nil {
		defer snapshot.Close()
	}
	switch {
	case errors.Is(err, postgres.ErrRefused):
		return nil
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return late("%w", err)
	case fresh == 0:
		return nil
	}
	var columns []string
	for _, c := range snapshot.Columns {
		columns = append(columns, schemas.TrimSpace(c.Name))
	}
	if _, _, err := d.Mapping.Check(columns); err != nil {
		return nil
	}
	field := d.Mapping.Field(columns, schemas.UpdatedAt)
	if field < 0 {
		return nil // a constant tells nothing
	}
	value, err := snapshot.Greatest(ctx, field)
	if err != nil {
		if errors.Is(err, postgres.ErrRefused) {
			return nil
		}
		return late("%w", err)
	}
	at, ok := d.Mapping.Timestamp(schemas.UpdatedAt, value)
	if !ok {
		return nil // what it is, the reading of it will tell
	}
	return stale(at, asOf, fresh)
}
