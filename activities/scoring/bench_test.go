package scoring_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"testing"

	"github.com/apache/arrow/go/v16/arrow"

	"harmstack/activities/extract"
	"harmstack/activities/scoring"
	"harmstack/activities/store"
	"harmstack/activities/store/rowfile"
	"harmstack/schemas"
	"harmstack/schemas/reference"
	"harmstack/starter/synthetic"
)

var asOf = schemas.MustDate("2026-06-30")

// data is the extract that the benchmarks read: the file that HARMSTACK_BENCH names, else a synthetic one
// of a million rows.
var data = sync.OnceValue(func() []byte {
	if name := os.Getenv("HARMSTACK_BENCH"); name != "" {
		whole, err := os.ReadFile(name)
		if err != nil {
			panic(err)
		}
		return whole
	}
	var b bytes.Buffer
	if _, err := synthetic.Write(context.Background(), &b, synthetic.Options{AsOf: asOf, Suspects: 340_000, Seed: 1}); err != nil {
		panic(err)
	}
	return b.Bytes()
})

func open(b *testing.B) *extract.File {
	b.Helper()
	f, err := extract.Open(bytes.NewReader(data()), int64(len(data())))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data())))
	b.ReportAllocs()
	return f
}

func perRow(b *testing.B, f *extract.File) {
	b.ReportMetric(float64(f.Rows())*float64(b.N)/b.Elapsed().Seconds()/1e6, "Mrows/s")
}

func engine(b *testing.B) *scoring.Engine {
	b.Helper()
	model, err := schemas.LoadModel(schemas.DefaultModel)
	if err != nil {
		b.Fatal(err)
	}
	e, err := scoring.New(scoring.Options{AsOf: asOf, Tables: reference.Default(), Model: model})
	if err != nil {
		b.Fatal(err)
	}
	return e
}

type blind struct{}

func (blind) Add(arrow.Record, int64) error { return nil }
func (blind) Close() error                  { return nil }

func scan(b *testing.B, f *extract.File, sink func() extract.Sink) {
	b.Helper()
	if err := f.Scan(b.Context(), scoring.Threads(), 0, sink, nil); err != nil {
		b.Fatal(err)
	}
}

func prescan(b *testing.B, f *extract.File, e *scoring.Engine) {
	b.Helper()
	err := f.ScanColumns(b.Context(), scoring.PrescanColumns, scoring.Threads(), 0, func() extract.Sink { return e.NewPrescan() }, nil)
	if err = errors.Join(err, e.EndPrescan(b.Context(), f.Rows(), scoring.Threads())); err != nil {
		b.Fatal(err)
	}
}

// The floor: every column decoded, nothing done with it.
func BenchmarkDecode(b *testing.B) {
	f := open(b)
	for b.Loop() {
		scan(b, f, func() extract.Sink { return blind{} })
	}
	perRow(b, f)
}

// Which allegations come more than once.
func BenchmarkPrescan(b *testing.B) {
	f := open(b)
	for b.Loop() {
		prescan(b, f, engine(b))
	}
	perRow(b, f)
}

// Rows decoded, validated and scattered to their suspects.
func BenchmarkScatter(b *testing.B) {
	f := open(b)
	for b.Loop() {
		b.StopTimer()
		e := engine(b)
		prescan(b, f, e)
		b.StartTimer()
		scan(b, f, func() extract.Sink { return e.NewIngester() })
	}
	perRow(b, f)
}

func fed(b *testing.B, f *extract.File) *scoring.Engine {
	b.Helper()
	e := engine(b)
	prescan(b, f, e)
	scan(b, f, func() extract.Sink { return e.NewIngester() })
	return e
}

// Versions deduplicated, suspects scored and put into ranges of the ranking.
func BenchmarkAggregate(b *testing.B) {
	f := open(b)
	for b.Loop() {
		b.StopTimer()
		e := fed(b, f)
		b.StartTimer()
		if _, err := e.Finish(b.Context(), scoring.Threads()); err != nil {
			b.Fatal(err)
		}
	}
	perRow(b, f)
}

func scored(b *testing.B, f *extract.File) *scoring.Scores {
	b.Helper()
	s, err := fed(b, f).Finish(b.Context(), scoring.Threads())
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// Ranges sorted and suspects placed.
func BenchmarkRank(b *testing.B) {
	f := open(b)
	s := scored(b, f)
	for b.Loop() {
		if err := s.Ranking(b.Context(), func([]schemas.Ranked) error { return nil }); err != nil {
			b.Fatal(err)
		}
	}
	perRow(b, f)
}

// The same, and ranking.parquet encoded.
func BenchmarkWrite(b *testing.B) {
	f := open(b)
	s := scored(b, f)
	for b.Loop() {
		_, err := rowfile.WriteAll(io.Discard, func(yield func([]schemas.Ranked) error) error { return s.Ranking(b.Context(), yield) })
		if err != nil {
			b.Fatal(err)
		}
	}
	perRow(b, f)
}

// The extract copied into typed parts in a folder.
func BenchmarkSnapshot(b *testing.B) {
	f := open(b)
	st, err := store.Open(b.Context(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	for b.Loop() {
		if _, err := extract.Snapshot(b.Context(), f, st, "parts", scoring.Threads(), nil); err != nil {
			b.Fatal(err)
		}
	}
	perRow(b, f)
}
