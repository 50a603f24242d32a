package extract

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow/go/v16/arrow"
	"github.com/apache/arrow/go/v16/arrow/array"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"

	"harmstack/activities/store"
	"harmstack/schemas"
)

func ptr[T any](v T) *T { return &v }

// sample makes rows with nulls in every column and few or many distinct values.
func sample(n int) []schemas.Offence {
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(values ...string) *string {
		if i := r.IntN(len(values) + 1); i > 0 {
			return &values[i-1]
		}
		return nil
	}
	rows := make([]schemas.Offence, n)
	for i := range rows {
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro() + r.Int64N(1e13)
		rows[i] = schemas.Offence{
			AllegationID: ptr(fmt.Sprintf("A%d", i)), ReportID: pick(fmt.Sprintf("R%d", i/2)), SuspectID: pick(fmt.Sprintf("S%d", r.IntN(n)), "", " n/k ", "Ω"),
			SuspectAge: ptr(int32(r.IntN(100))), SuspectStatus: pick("at_large", "on_bail"), OffenceCode: pick("019/08", "008/06"), OffenceClass: pick("19C", "8N"),
			OffenceURN: pick("8N.8.1.1"), ReportedAt: ptr(at / 1000 * 1000), CommittedAt: ptr((at - 1e9) / 1000 * 1000), Borough: pick("Camden", "Barnet", "camden"),
			VictimID: pick(fmt.Sprintf("V%d", r.IntN(n))), VictimSex: pick("F", "M"), VictimAge: ptr(int32(r.IntN(90))), DomesticAbuse: ptr(r.IntN(2) == 0),
			Source: pick("victim", "witness"), Outcome: pick("open", "charged"), UpdatedAt: ptr((at + 1e9) / 1000 * 1000),
		}
		row := &rows[i]
		if r.IntN(3) == 0 {
			row.SuspectAge, row.VictimAge, row.DomesticAbuse, row.CommittedAt = nil, nil, nil, nil
		}
		if r.IntN(50) == 0 {
			row.ReportedAt, row.UpdatedAt, row.AllegationID = nil, nil, nil
		}
	}
	return rows
}

func encode[T any](t testing.TB, rows []T, options ...parquet.WriterOption) []byte {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[T](&b, options...)
	for chunk := range slices.Chunk(rows, 777) {
		if _, err := w.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// collector gathers rows by ordinal, from all the sinks it made.
type collector struct {
	mu   sync.Mutex
	rows map[int64]string
}

type collectorSink struct{ *collector }

func (c *collector) sink() Sink      { return collectorSink{c} }
func (c collectorSink) Close() error { return nil }
func (c collectorSink) Add(batch arrow.Record, first int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range int(batch.NumRows()) {
		var q Quarantine
		q.Add(batch, i, first+int64(i), "")
		data, err := json.Marshal(q.rows[0])
		if err != nil {
			return err
		}
		if _, twice := c.rows[first+int64(i)]; twice {
			return fmt.Errorf("row %d came twice", first+int64(i))
		}
		c.rows[first+int64(i)] = string(data)
	}
	return nil
}

func scanAll(data []byte, threads int) (map[int64]string, error) {
	f, err := Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	c := &collector{rows: map[int64]string{}}
	err = f.Scan(context.Background(), threads, 0, c.sink, nil)
	return c.rows, err
}

// expected is what a scan of rows must give, built without the reader.
func expected(rows []schemas.Offence) map[int64]string {
	want := map[int64]string{}
	raw := func(s *string) []byte {
		if s == nil {
			return nil
		}
		return []byte(*s)
	}
	for i, r := range rows {
		data, err := json.Marshal(schemas.Quarantine{Row: int64(i), AllegationID: raw(r.AllegationID), ReportID: raw(r.ReportID), SuspectID: raw(r.SuspectID),
			SuspectAge: r.SuspectAge, SuspectStatus: raw(r.SuspectStatus), OffenceCode: raw(r.OffenceCode), OffenceClass: raw(r.OffenceClass), OffenceURN: raw(r.OffenceURN),
			ReportedAt: r.ReportedAt, CommittedAt: r.CommittedAt, Borough: raw(r.Borough), VictimID: raw(r.VictimID), VictimSex: raw(r.VictimSex), VictimAge: r.VictimAge,
			DomesticAbuse: r.DomesticAbuse, Source: raw(r.Source), Outcome: raw(r.Outcome), UpdatedAt: r.UpdatedAt, Handling: raw(r.Handling)})
		if err != nil {
			panic(err)
		}
		want[int64(i)] = string(data)
	}
	return want
}

func compare(t *testing.T, got, want map[int64]string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d rows, want %d", len(got), len(want))
	}
	for row, w := range want {
		if got[row] != w {
			t.Fatalf("row %d:\n got %s\nwant %s", row, got[row], w)
		}
	}
}

// foreign is the same extract as another system writes it: other order, units, widths and columns.
type foreign struct {
	UpdatedAt     *int64             `parquet:"updated_at,optional,timestamp(nanosecond:local),dict"`
	OfficerName   string             `parquet:"officer_name"`
	Outcome       *string            `parquet:"outcome,optional"`
	Source        *string            `parquet:"source,optional"`
	Nested        struct{ A, B int } `parquet:"nested"`
	DomesticAbuse *bool              `parquet:"domestic_abuse,optional"`
	VictimAge     *int64             `parquet:"victim_age,optional,dict"`
	VictimSex     *string            `parquet:"victim_sex,optional"`
	VictimID      *string            `parquet:"victim_id,optional,dict,zstd"`
	Borough       *string            `parquet:"borough,optional,gzip"`
	CommittedAt   *deprecated.Int96  `parquet:"committed_at,optional,dict"`
	ReportedAt    *int64             `parquet:"reported_at,optional,timestamp(millisecond)"`
	OffenceURN    *string            `parquet:"offence_urn,optional"`
	OffenceClass  *string            `parquet:"offence_class,optional"`
	OffenceCode   *string            `parquet:"offence_code,optional"`
	SuspectStatus *string            `parquet:"suspect_status,optional,dict"`
	SuspectAge    *int16             `parquet:"suspect_age,optional,dict"`
	SuspectID     *string            `parquet:"suspect_id,optional,dict"`
	ReportID      *string            `parquet:"report_id,optional,dict,brotli"`
	AllegationID  *string            `parquet:"allegation_id,optional,zstd"`
}

func asForeign(rows []schemas.Offence) []foreign {
	times := func(v *int64, per int64) *int64 {
		if v == nil {
			return nil
		}
		return ptr(*v / 1000 * per)
	}
	out := make([]foreign, len(rows))
	for i, r := range rows {
		f := foreign{UpdatedAt: times(r.UpdatedAt, 1_000_000), OfficerName: "nobody", Source: r.Source, DomesticAbuse: r.DomesticAbuse, VictimSex: r.VictimSex,
			VictimID: r.VictimID, Borough: r.Borough, ReportedAt: times(r.ReportedAt, 1), OffenceURN: r.OffenceURN, OffenceClass: r.OffenceClass, OffenceCode: r.OffenceCode,
			SuspectStatus: r.SuspectStatus, SuspectID: r.SuspectID, ReportID: r.ReportID, AllegationID: r.AllegationID, Outcome: r.Outcome}
		if r.VictimAge != nil {
			f.VictimAge = ptr(int64(*r.VictimAge))
		}
		if r.SuspectAge != nil {
			f.SuspectAge = ptr(int16(*r.SuspectAge))
		}
		if r.CommittedAt != nil {
			const day = 86_400_000_000
			nanos := uint64(*r.CommittedAt%day) * 1000
			f.CommittedAt = &deprecated.Int96{uint32(nanos), uint32(nanos >> 32), uint32(*r.CommittedAt/day + 2_440_588)}
		}
		out[i] = f
	}
	return out
}

// The same rows in many layouts are read as the same rows, by any number of threads.
func TestScanReadsEveryLayout(t *testing.T) {
	t.Parallel()
	rows := sample(20_000)
	want := expected(rows)
	for name, data := range map[string][]byte{
		"one row group":         encode(t, rows),
		"many tiny row groups":  encode(t, rows, parquet.MaxRowsPerRowGroup(333)),
		"tiny pages":            encode(t, rows, parquet.PageBufferSize(700), parquet.DataPageStatistics(true)),
		"first page version":    encode(t, rows, parquet.DataPageVersion(1), parquet.PageBufferSize(5000)),
		"lz4":                   encode(t, rows, parquet.Compression(&parquet.Lz4Raw)),
		"zstd":                  encode(t, rows, parquet.Compression(&parquet.Zstd)),
		"small dictionaries":    encode(t, rows, parquet.DictionaryMaxBytes(2000), parquet.PageBufferSize(3000)), // then plain pages follow
		"another system":        encode(t, asForeign(rows)),
		"another, small groups": encode(t, asForeign(rows), parquet.MaxRowsPerRowGroup(1000), parquet.PageBufferSize(900)),
	} {
		for _, threads := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s, %d threads", name, threads), func(t *testing.T) {
				got, err := scanAll(data, threads)
				if err != nil {
					t.Fatal(err)
				}
				compare(t, got, want)
			})
		}
	}
}

// A file large enough to be split inside its row group.
func TestScanSplitsARowGroup(t *testing.T) {
	t.Parallel()
	rows := sample(3 * minSplit)
	data := encode(t, rows)
	f, err := Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	if tasks := f.split(nil, 4); len(tasks) != 3 {
		t.Errorf("%d tasks: %v", len(tasks), tasks)
	}
	got, err := scanAll(data, 4)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, got, expected(rows))
}

func TestTimesOutsideMicroseconds(t *testing.T) {
	type row struct {
		AllegationID string `parquet:"allegation_id"`
		ReportID     string `parquet:"report_id"`
		SuspectID    string `parquet:"suspect_id"`
		OffenceCode  string `parquet:"offence_code"`
		ReportedAt   int64  `parquet:"reported_at,timestamp(nanosecond)"`
		VictimSex    string `parquet:"victim_sex"`
		Source       string `parquet:"source"`
		Outcome      string `parquet:"outcome"`
		UpdatedAt    int64  `parquet:"updated_at,timestamp(millisecond)"`
		SuspectAge   int64  `parquet:"suspect_age"`
	}
	data := encode(t, []row{{ReportedAt: -1, UpdatedAt: 1 << 62, SuspectAge: 1 << 40}, {ReportedAt: 1999, UpdatedAt: -5, SuspectAge: 7}})
	f, err := Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	err = f.Scan(t.Context(), 1, 0, func() Sink {
		return sinkFunc(func(b arrow.Record, _ int64) error {
			reported, updated := b.Column(schemas.ReportedAt).(*array.Timestamp), b.Column(schemas.UpdatedAt).(*array.Timestamp)
			if reported.Value(0) != -1 || reported.Value(1) != 1 {
				t.Errorf("nanoseconds must be floored: %d, %d", reported.Value(0), reported.Value(1))
			}
			if int64(updated.Value(0)) < schemas.EndTimestamp || updated.Value(1) != -5000 {
				t.Errorf("milliseconds: %d, %d", updated.Value(0), updated.Value(1))
			}
			if ages := b.Column(schemas.SuspectAge).(*array.Int32); ages.Value(0) <= schemas.MaxAge || ages.Value(1) != 7 {
				t.Errorf("ages: %d, %d", ages.Value(0), ages.Value(1))
			}
			if b.Column(schemas.VictimAge).NullN() != 2 {
				t.Error("a column that is absent must read as null")
			}
			return nil
		})
	}, nil)
	if err != nil {
		t.Error(err)
	}
}

type sinkFunc func(arrow.Record, int64) error

func (f sinkFunc) Add(b arrow.Record, first int64) error { return f(b, first) }
func (f sinkFunc) Close() error                          { return nil }

func TestSchemaMismatch(t *testing.T) {
	type row struct {
		AllegationID int64    `parquet:"allegation_id"`
		ReportID     []string `parquet:"report_id,list"`
		SuspectID    string   `parquet:"suspect_id"`
		SuspectAge   string   `parquet:"suspect_age"`
		OffenceCode  string   `parquet:"offence_code,json"`
		ReportedAt   string   `parquet:"reported_at"`
		VictimSex    string   `parquet:"victim_sex"`
		Source       string   `parquet:"source"`
		Outcome      string   `parquet:"out come"`
		UpdatedAt    int64    `parquet:"updated_at"`
		CommittedAt  int32    `parquet:"committed_at,date"`
	}
	data := encode(t, []row{{}})
	_, err := Open(bytes.NewReader(data), int64(len(data)))
	var mismatch *SchemaMismatch
	if !errors.As(err, &mismatch) {
		t.Fatalf("error %v", err)
	}
	var at []string
	for _, f := range mismatch.Faults {
		at = append(at, f.Column)
	}
	if want := []string{"allegation_id", "report_id", "suspect_age", "offence_code", "reported_at", "committed_at", "outcome", "updated_at"}; !slices.Equal(at, want) {
		t.Errorf("columns %v, want %v", at, want)
	}
	for _, part := range []string{"column outcome: expected string, found no such column, but one that is called nearly so", "column reported_at: expected timestamp, found string", "column report_id: expected string, found a nested column"} {
		if !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error %q does not say %q in one line", err, part)
		}
	}
}

func TestExtraColumnsAreOnlyCounted(t *testing.T) {
	data := encode(t, asForeign(sample(10)))
	f, err := Open(bytes.NewReader(data), int64(len(data)))
	if err != nil || f.ExtraColumns() != 2 || f.Rows() != 10 {
		t.Errorf("%d extra columns, %v", f.ExtraColumns(), err)
	}
}

func TestOpenRefuses(t *testing.T) {
	good := encode(t, sample(1000))
	for scenario, c := range map[string]struct {
		data []byte
		want string
	}{
		"no bytes":          {nil, "it is empty"},
		"a few bytes":       {[]byte("PAR1"), "only 4 bytes"},
		"another format":    {[]byte("allegation_id,report_id\n"), "does not begin as one"},
		"cut short":         {good[:len(good)/2], "cut short"},
		"encrypted":         {append([]byte("PARE"), good[4:]...), "encrypted"},
		"a footer of noise": {append(append([]byte("PAR1"), bytes.Repeat([]byte{0xab}, 100)...), "\x60\x00\x00\x00PAR1"...), "footer cannot be read"},
		"a footer too long": {append(append([]byte("PAR1"), bytes.Repeat([]byte{0xab}, 100)...), "\xff\xff\xff\x7fPAR1"...), "footer cannot be read"},
	} {
		t.Run(scenario, func(t *testing.T) {
			_, err := Open(bytes.NewReader(c.data), int64(len(c.data)))
			if !errors.Is(err, ErrNotParquet) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v does not say %q", err, c.want)
			}
		})
	}
}

func TestScanIsCancelled(t *testing.T) {
	data := encode(t, sample(50_000), parquet.MaxRowsPerRowGroup(1000))
	f, err := Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = f.Scan(ctx, 2, 0, func() Sink { return sinkFunc(func(arrow.Record, int64) error { cancel(); return nil }) }, nil)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestSinkErrorEndsTheScan(t *testing.T) {
	data := encode(t, sample(5000), parquet.MaxRowsPerRowGroup(100))
	f, err := Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	full := errors.New("the disk is full")
	if err := f.Scan(t.Context(), 2, 0, func() Sink { return sinkFunc(func(arrow.Record, int64) error { return full }) }, nil); !errors.Is(err, full) {
		t.Errorf("error %v", err)
	}
}

// The snapshot holds the rows as read, in the same bytes for any number of threads.
func TestSnapshot(t *testing.T) {
	t.Parallel()
	rows := sample(groupRows + 5000)
	f, st := openIn(t, encode(t, asForeign(rows), parquet.MaxRowsPerRowGroup(100_000)))
	var hash string
	for _, threads := range []int{1, 3} {
		parts, err := Snapshot(t.Context(), f, st, fmt.Sprintf("extract-%d", threads), threads, nil)
		if err != nil || len(parts) != 1 || parts[0].Rows != int64(len(rows)) {
			t.Fatalf("%+v, %v", parts, err)
		}
		if hash == "" {
			comparePart(t, st, parts[0], rows)
		} else if hash != parts[0].SHA256 {
			t.Error("another number of threads gave other bytes")
		}
		hash = parts[0].SHA256
	}
}

// A dictionary of which every value is null has no entries.
func TestSnapshotOfNulls(t *testing.T) {
	rows := sample(1000)
	for i := range rows {
		rows[i].OffenceURN, rows[i].OffenceClass, rows[i].Borough, rows[i].VictimID, rows[i].VictimAge, rows[i].DomesticAbuse = nil, nil, nil, nil, nil, nil
	}
	f, st := openIn(t, encode(t, rows))
	parts, err := Snapshot(t.Context(), f, st, "extract", 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	comparePart(t, st, parts[0], rows)
}

// openIn opens an extract, and a store to copy it into.
func openIn(t *testing.T, data []byte) (*File, *store.Store) {
	t.Helper()
	f, err := Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return f, st
}

// comparePart holds a part in the store to the rows that it was made of.
func comparePart(t *testing.T, st *store.Store, part schemas.ArtifactRef, rows []schemas.Offence) {
	t.Helper()
	a, err := st.Open(t.Context(), part)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	back, err := Open(a, a.Size())
	if err != nil || back.ExtraColumns() != 0 {
		t.Fatal(back.ExtraColumns(), err)
	}
	c := &collector{rows: map[int64]string{}}
	if err := back.Scan(t.Context(), 2, 0, c.sink, nil); err != nil {
		t.Fatal(err)
	}
	compare(t, c.rows, expected(rows))
}

func TestSnapshotOfNothing(t *testing.T) {
	f, st := openIn(t, encode(t, []schemas.Offence{}))
	if parts, err := Snapshot(t.Context(), f, st, "extract", 2, nil); err != nil || len(parts) != 1 || parts[0].Rows != 0 {
		t.Errorf("%+v, %v", parts, err)
	}
}

// Rows are quarantined as they were read, in the order of the extract.
func TestQuarantineFile(t *testing.T) {
	rows := sample(300)
	rows[7].SuspectID = ptr("\xff\xfe")
	data := encode(t, rows)
	f, err := Open(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var q Quarantine
	err = f.Scan(t.Context(), 1, 0, func() Sink {
		return sinkFunc(func(b arrow.Record, first int64) error {
			for _, i := range []int{200, 7} {
				q.Add(b, i, first+int64(i), "suspect_id: not UTF-8")
			}
			return nil
		})
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if n, err := q.Write(&b); err != nil || n != 2 {
		t.Fatal(n, err)
	}
	got, err := parquet.Read[schemas.Quarantine](bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil || len(got) != 2 || got[0].Row != 7 || string(got[0].SuspectID) != "\xff\xfe" || got[1].Row != 200 {
		t.Errorf("%+v, %v", got, err)
	}
}
