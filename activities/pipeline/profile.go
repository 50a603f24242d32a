package pipeline

import (
	"sync"
	"time"

	"github.com/apache/arrow/go/v16/arrow"
	"github.com/apache/arrow/go/v16/arrow/array"

	"harmstack/activities/extract"
	"harmstack/schemas"
	"harmstack/schemas/reference"
)

// skew is how far a source's clock may be ahead of this machine's.
const skew = 10 * time.Minute

// profiler gathers what the checks of a night want to know, beside another sink of the same read.
type profiler struct {
	end, now int64 // of the night's date, and of the reading, in microseconds

	tables *reference.Tables

	mu       sync.Mutex
	nulls    [schemas.OffenceColumns]int64
	newest   int64 // report
	changed  int64
	ahead    int64
	unknown  int64
	boroughs [64]int64 // by number, of the 32
	counts   []int64   // of a dictionary's entries
}

func newProfiler(asOf schemas.Date, tables *reference.Tables) *profiler {
	return &profiler{
		end:     asOf.AddDays(1).Start().UnixMicro(),
		now:     time.Now().Add(skew).UnixMicro(),
		tables:  tables,
		newest:  -1 << 63,
		changed: -1 << 63,
	}
}

// beside passes every batch on to sink.
func (p *profiler) beside(sink extract.Sink) extract.Sink {
	return &profiling{
		Sink:     sink,
		into:     p,
		profiler: profiler{end: p.end, now: p.now, tables: p.tables, newest: p.newest, changed: p.changed},
	}
}

type profiling struct {
	extract.Sink
	into *profiler
	profiler
}

func (p *profiling) Add(batch arrow.Record, first int64) error {
	for i := range schemas.OffenceColumns {
		p.nulls[i] += int64(batch.Column(i).NullN())
	}
	p.each(batch.Column(schemas.ReportedAt), func(at int64) {
		if at < p.end && at > p.newest {
			p.newest = at
		}
	})
	p.each(batch.Column(schemas.UpdatedAt), func(at int64) {
		if at > p.now && at < schemas.EndTimestamp {
			p.ahead++
		} else if at > p.changed && at <= p.now {
			p.changed = at
		}
	})
	p.eachText(batch.Column(schemas.OffenceCode), func(text string, rows int64) {
		if code, ok := schemas.NormaliseOffenceCode(schemas.TrimSpace(text)); ok && !p.tables.Knows(code) {
			p.unknown += rows
		}
	})
	p.eachText(batch.Column(schemas.BoroughName), func(text string, rows int64) {
		if i, ok := p.tables.FindBorough(schemas.TrimSpace(text)); ok {
			p.boroughs[i] += rows
		}
	})
	return p.Sink.Add(batch, first)
}

func (*profiling) each(column arrow.Array, do func(at int64)) {
	times, ok := column.(*array.Timestamp)
	if !ok {
		return
	}
	for i, at := range times.TimestampValues() {
		if times.IsValid(i) {
			do(int64(at))
		}
	}
}

// eachText hands over every text of a column with how many rows have it; one that recurs may come once or more often.
func (p *profiling) eachText(column arrow.Array, do func(text string, rows int64)) {
	switch column := column.(type) {
	case *array.Dictionary:
		entries := column.Dictionary().(*array.String)
		p.counts = append(p.counts[:0], make([]int64, entries.Len())...)
		for i, entry := range column.Indices().(*array.Int32).Int32Values() {
			if column.IsValid(i) {
				p.counts[entry]++
			}
		}
		for entry, rows := range p.counts {
			if rows > 0 {
				do(entries.Value(entry), rows)
			}
		}
	case *array.String:
		for i := range column.Len() {
			if column.IsValid(i) {
				do(column.Value(i), 1)
			}
		}
	}
}

// Close adds what this sink saw.
func (p *profiling) Close() error {
	p.into.mu.Lock()
	defer p.into.mu.Unlock()
	for i, n := range p.nulls {
		p.into.nulls[i] += n
	}
	p.into.newest = max(p.into.newest, p.newest)
	p.into.changed = max(p.into.changed, p.changed)
	p.into.ahead += p.ahead
	p.into.unknown += p.unknown
	for i, n := range p.boroughs {
		p.into.boroughs[i] += n
	}
	return p.Sink.Close()
}

func (p *profiler) result() *schemas.Profile {
	r := &schemas.Profile{
		AheadOfClock: p.ahead,
		UnknownCodes: &p.unknown,
		Nulls:        map[string]int64{},
		Boroughs:     map[string]int64{},
	}
	for i, n := range p.nulls {
		if n > 0 {
			r.Nulls[schemas.Offences[i].Name] = n
		}
	}
	for i, b := range p.tables.Boroughs() {
		r.Boroughs[b.Name] = p.boroughs[i]
	}
	if p.changed >= schemas.MinTimestamp {
		r.NewestChange = time.UnixMicro(p.changed).UTC()
	}
	if p.newest >= schemas.MinTimestamp {
		r.NewestReport = schemas.LondonDate(time.UnixMicro(p.newest))
	}
	return r
}
