package nightly

import (
	"sync"
	"time"

	"github.com/apache/arrow/go/v16/arrow"
	"github.com/apache/arrow/go/v16/arrow/array"

	"harmstack/activities/extract"
	"harmstack/schemas"
)

// skew is how far a source's clock may be ahead of this machine's.
const skew = 10 * time.Minute

// profiler gathers what the checks of a night want to know, beside another sink of the same read.
type profiler struct {
	end, now int64 // of the night's date, and of the reading, in microseconds

	mu     sync.Mutex
	nulls  [schemas.OffenceColumns]int64
	newest int64
	ahead  int64
}

func newProfiler(asOf schemas.Date) *profiler {
	return &profiler{end: asOf.AddDays(1).Start().UnixMicro(), now: time.Now().Add(skew).UnixMicro(), newest: -1 << 63}
}

// beside passes every batch on to sink.
func (p *profiler) beside(sink extract.Sink) extract.Sink {
	return &profiling{Sink: sink, into: p, profiler: profiler{end: p.end, now: p.now, newest: p.newest}}
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

// Close adds what this sink saw.
func (p *profiling) Close() error {
	p.into.mu.Lock()
	defer p.into.mu.Unlock()
	for i, n := range p.nulls {
		p.into.nulls[i] += n
	}
	p.into.newest = max(p.into.newest, p.newest)
	p.into.ahead += p.ahead
	return p.Sink.Close()
}

func (p *profiler) result() *schemas.Profile {
	r := &schemas.Profile{AheadOfClock: p.ahead, Nulls: map[string]int64{}}
	for i, n := range p.nulls {
		if n > 0 {
			r.Nulls[schemas.Offences[i].Name] = n
		}
	}
	if p.newest >= schemas.MinTimestamp {
		r.NewestReport = schemas.LondonDate(time.UnixMicro(p.newest))
	}
	return r
}
