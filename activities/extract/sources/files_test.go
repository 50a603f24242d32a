package sources

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow/go/v16/arrow"
	"github.com/apache/arrow/go/v16/arrow/array"
	"github.com/parquet-go/parquet-go"
	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"

	"harmstack/activities/extract"
	"harmstack/activities/store"
	"harmstack/activities/store/leaktest"
	"harmstack/schemas"
)

// buckets opens test://name/ as a bucket over the folder of that name below dir.
type buckets struct{ dir string }

func (b buckets) OpenBucketURL(_ context.Context, u *url.URL) (*blob.Bucket, error) {
	return fileblob.OpenBucket(filepath.Join(b.dir, u.Host), nil)
}

var scheme = sync.OnceValue(func() string {
	dir, err := os.MkdirTemp("", "harmstack-buckets-*")
	if err != nil {
		panic(err)
	}
	blob.DefaultURLMux().RegisterBucket("test", buckets{dir})
	return dir
})

// bucket makes an empty bucket, and gives its URL and the folder that it is in truth.
func bucket(t *testing.T) (url, dir string) {
	name := strings.ToLower(strings.NewReplacer("/", "-", "_", "-", ",", "").Replace(t.Name()))
	dir = filepath.Join(scheme(), name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return "test://" + name, dir
}

// offences makes rows whose ids begin with a letter.
func offences(letter string, n int) (rows []schemas.Offence) {
	at := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC).UnixMicro()
	for i := range n {
		id := fmt.Sprintf("%s%04d", letter, i)
		rows = append(rows, schemas.Offence{AllegationID: &id, ReportID: &id, SuspectID: new("S1"), OffenceCode: new("019/08"), ReportedAt: new(at + int64(i)), VictimSex: new("F"),
			VictimAge: new(int32(i % 90)), Source: new("victim"), Outcome: new("open"), UpdatedAt: new(at)})
	}
	return rows
}

// other is the same in another order, with other types, and without some columns.
type other struct {
	Extra        string `parquet:"officer"`
	VictimAge    int64  `parquet:"victim_age"`
	UpdatedAt    int64  `parquet:"updated_at,timestamp(millisecond)"`
	Outcome      string `parquet:"outcome,dict"`
	Source       string `parquet:"source"`
	VictimSex    string `parquet:"victim_sex"`
	ReportedAt   int64  `parquet:"reported_at,timestamp(nanosecond)"`
	OffenceCode  string `parquet:"offence_code,dict"`
	SuspectID    string `parquet:"suspect_id"`
	ReportID     string `parquet:"report_id"`
	AllegationID string `parquet:"allegation_id"`
}

func others(rows []schemas.Offence) (out []other) {
	for _, r := range rows {
		out = append(out, other{"PS Example", int64(*r.VictimAge), *r.UpdatedAt / 1000, *r.Outcome, *r.Source, *r.VictimSex, *r.ReportedAt * 1000, *r.OffenceCode, *r.SuspectID, *r.ReportID, *r.AllegationID})
	}
	return out
}

func write[T any](t *testing.T, path string, rows []T, options ...parquet.WriterOption) {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[T](&b, options...)
	if _, err := w.Write(rows); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	put(t, path, b.String())
}

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func csvOf(rows []schemas.Offence) string {
	var b strings.Builder
	b.WriteString("victim_age,allegation_id,report_id,suspect_id,offence_code,reported_at,victim_sex,source,outcome,updated_at\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "%d,%s,%s,%s,%s,%s,%s,%s,%s,%s\n", *r.VictimAge, *r.AllegationID, *r.ReportID, *r.SuspectID, *r.OffenceCode, time.UnixMicro(*r.ReportedAt).UTC().Format(time.RFC3339Nano),
			*r.VictimSex, *r.Source, *r.Outcome, time.UnixMicro(*r.UpdatedAt).UTC().Format(time.RFC3339Nano))
	}
	return b.String()
}

type ids struct {
	mu   sync.Mutex
	rows map[int64]string
}

func (c *ids) Close() error { return nil }
func (c *ids) Add(b arrow.Record, first int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range int(b.NumRows()) {
		var id string
		switch col := b.Column(schemas.AllegationID).(type) {
		case *array.String:
			id = col.Value(i)
		case *array.Dictionary:
			id = col.Dictionary().(*array.String).Value(col.GetValueIndex(i))
		}
		c.rows[first+int64(i)] = fmt.Sprintf("%s %d %d", strings.Clone(id), b.Column(schemas.ReportedAt).(*array.Timestamp).Value(i), b.Column(schemas.VictimAge).(*array.Int32).Value(i))
	}
	return nil
}

// check reads a source twice, as a scoring does and as a night does, and compares the rows in order.
func check(t *testing.T, name string, want []schemas.Offence) schemas.ArtifactRef {
	t.Helper()
	s, err := Open(t.Context(), name, Options{Temp: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var lines []string
	for _, r := range want {
		lines = append(lines, fmt.Sprintf("%s %d %d", *r.AllegationID, *r.ReportedAt, *r.VictimAge))
	}
	compare := func(what string, f *extract.File) {
		got := &ids{rows: map[int64]string{}}
		if err := f.Scan(t.Context(), 3, 0, func() extract.Sink { return got }, nil); err != nil {
			t.Fatal(err)
		}
		if len(got.rows) != len(lines) {
			t.Errorf("%s: %d rows, want %d", what, len(got.rows), len(lines))
		}
		for i, line := range lines {
			if got.rows[int64(i)] != line {
				t.Fatalf("%s, row %d: %q, want %q", what, i, got.rows[int64(i)], line)
			}
		}
	}
	compare("scan", s.File)
	st, err := store.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	parts, err := extract.Snapshot(t.Context(), s.File, st, "extract", 2, nil)
	if err != nil || len(parts) != 1 {
		t.Fatal(parts, err)
	}
	a, err := st.Open(t.Context(), parts[0])
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	back, err := extract.Open(a, a.Size())
	if err != nil {
		t.Fatal(err)
	}
	compare("snapshot", back)
	ref, err := s.Ref()
	if err != nil || ref.Rows != int64(len(want)) || ref.URI != name {
		t.Errorf("%+v, %v", ref, err)
	}
	return ref
}

// One file, a folder and a bucket: the same rows in the order of the files' names, whatever lies beside them, each file
// with its own columns, order, types and codec.
func TestFolderAndBucket(t *testing.T) {
	a, b, c, d := offences("A", 300), offences("B", 1), offences("C", 500), offences("D", 70)
	all := slices.Concat(a, b, c, d)
	fill := func(t *testing.T, dir string) {
		write(t, filepath.Join(dir, "in", "2026", "a.snappy.parquet"), a, parquet.Compression(&parquet.Snappy))
		write(t, filepath.Join(dir, "in", "2026", "b.PARQUET"), others(b), parquet.Compression(&parquet.Zstd))
		write(t, filepath.Join(dir, "in", "2026", "empty.parquet"), []schemas.Offence{})
		write(t, filepath.Join(dir, "in", "2027", "01", "c.parquet"), others(c), parquet.MaxRowsPerRowGroup(77))
		write(t, filepath.Join(dir, "in", "2027.parquet"), d)
		for _, beside := range []string{"_SUCCESS", ".hidden.parquet", "2026/._x.parquet", "_old/x.parquet", "2026/.part.crc", "README.txt", "a.parquet.tmp", "_metadata"} {
			put(t, filepath.Join(dir, "in", beside), "not an extract")
		}
		put(t, filepath.Join(dir, "in-other", "x.parquet"), "not of this folder")
	}
	order := slices.Concat(a, b, d, c) // "2027.parquet" comes before "2027/": a dot before a slash
	dir := t.TempDir()
	fill(t, dir)
	var lines string
	var size int64
	for _, name := range []string{"2026/a.snappy.parquet", "2026/b.PARQUET", "2026/empty.parquet", "2027.parquet", "2027/01/c.parquet"} {
		data, err := os.ReadFile(filepath.Join(dir, "in", name))
		if err != nil {
			t.Fatal(err)
		}
		lines += fmt.Sprintf("%x  %s\n", sha256.Sum256(data), name)
		size += int64(len(data))
	}
	url, inBucket := bucket(t)
	fill(t, inBucket)
	for _, name := range []string{filepath.Join(dir, "in"), filepath.Join(dir, "in") + "/", "file://" + dir + "/in", url + "/in/", url + "/in"} {
		t.Run(name, func(t *testing.T) {
			ref := check(t, name, order)
			if want := fmt.Sprintf("%x", sha256.Sum256([]byte(lines))); ref.SHA256 != want || ref.Files != 5 || ref.Bytes != size {
				t.Errorf("%+v, want sha256 %s, %d bytes", ref, want, size)
			}
		})
	}
	if len(all) != len(order) {
		t.Error("rows are missing")
	}
	for _, name := range []string{filepath.Join(dir, "in", "2026", "a.snappy.parquet"), url + "/in/2026/a.snappy.parquet"} {
		data, err := os.ReadFile(filepath.Join(dir, "in", "2026", "a.snappy.parquet"))
		if err != nil {
			t.Fatal(err)
		}
		if ref := check(t, name, a); ref.SHA256 != fmt.Sprintf("%x", sha256.Sum256(data)) || ref.Files != 0 || ref.Bytes != int64(len(data)) {
			t.Errorf("%+v", ref)
		}
	}
}

// CSV files too, each with its own order of columns.
func TestFolderOfCSV(t *testing.T) {
	a, b := offences("A", 30), offences("B", 5000)
	url, dir := bucket(t)
	put(t, filepath.Join(dir, "in", "1.csv"), csvOf(a))
	reordered := strings.NewReplacer("victim_age,allegation_id", "allegation_id,officer").Replace(csvOf(nil)) + "victim_age\n"
	reordered = strings.Replace(reordered, "updated_at\nvictim_age", "updated_at,victim_age", 1)
	for line := range strings.Lines(strings.SplitN(csvOf(b), "\n", 2)[1]) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ",", 3)
		reordered += fields[1] + ",PS Example," + fields[2] + "," + fields[0] + "\n"
	}
	put(t, filepath.Join(dir, "in", "2.csv"), reordered)
	put(t, filepath.Join(dir, "declared.yaml"), "csv: in\n")
	put(t, filepath.Join(dir, "remote.yaml"), "csv: "+url+"/in/\n")
	want := slices.Concat(a, b)
	local := check(t, filepath.Join(dir, "in"), want)
	remote := check(t, url+"/in/", want)
	if local.SHA256 != remote.SHA256 || local.Files != 2 || remote.Bytes != local.Bytes {
		t.Errorf("%+v, %+v", local, remote)
	}
	check(t, url+"/in/1.csv", a)
	check(t, filepath.Join(dir, "declared.yaml"), want)
	check(t, filepath.Join(dir, "remote.yaml"), want)
	put(t, filepath.Join(dir, "in", "3.csv"), "allegation_id,report_id\n")
	if _, err := Open(t.Context(), url+"/in/", Options{}); err == nil || !strings.Contains(err.Error(), "in/3.csv: ") || !strings.Contains(err.Error(), "column suspect_id: expected, found none") {
		t.Error(err)
	}
}

// What cannot be meant is told before the first row is read, with file and column.
func TestFaultsOfAFolder(t *testing.T) {
	type short struct {
		AllegationID string `parquet:"allegation_id"`
		ReportedAt   string `parquet:"reported_at"`
	}
	good := offences("A", 10)
	for scenario, c := range map[string]struct {
		fill func(t *testing.T, dir string)
		is   error
		want []string
	}{
		"a file without columns": {func(t *testing.T, dir string) { write(t, filepath.Join(dir, "2", "b.parquet"), []short{{}}) }, nil,
			[]string{"2/b.parquet: column report_id: expected string, found no such column", "2/b.parquet: column reported_at: expected timestamp, found string"}},
		"a file cut short": {func(t *testing.T, dir string) { put(t, filepath.Join(dir, "b.parquet"), "PAR1 and no more") }, extract.ErrNotParquet, []string{"/b.parquet: ", "cut short"}},
		"an empty file":    {func(t *testing.T, dir string) { put(t, filepath.Join(dir, "b.parquet"), "") }, extract.ErrNotParquet, []string{"/b.parquet: ", "empty"}},
		"two kinds":        {func(t *testing.T, dir string) { put(t, filepath.Join(dir, "b.csv"), csvOf(good)) }, extract.ErrNoSource, []string{"both Parquet and CSV"}},
		"nothing":          {func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, "a.parquet")) }, extract.ErrNoSource, []string{"no *.parquet"}},
		"a table with a history": {func(t *testing.T, dir string) { put(t, filepath.Join(dir, "_delta_log", "0.json"), "{}") }, extract.ErrNoSource,
			[]string{"table with a history"}},
		"an export under way": {func(t *testing.T, dir string) { put(t, filepath.Join(dir, "_temporary", "0", "x.parquet"), "PAR1") }, ErrChanging, []string{"_temporary"}},
		"a column in a folder's name": {func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "committed_at=2026", "b.parquet"), others(good))
		}, nil,
			[]string{"column committed_at: expected timestamp, found it in the folder's name alone"}},
	} {
		t.Run(scenario, func(t *testing.T) {
			url, dir := bucket(t)
			write(t, filepath.Join(dir, "a.parquet"), good)
			c.fill(t, dir)
			for _, name := range []string{dir, url} {
				_, err := Open(t.Context(), name, Options{Temp: t.TempDir()})
				var mismatch *extract.SchemaMismatch
				if err == nil || c.is != nil && !errors.Is(err, c.is) || c.is == nil && !errors.As(err, &mismatch) {
					t.Fatalf("%s: %v", name, err)
				}
				for _, want := range c.want {
					if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
						t.Errorf("%q does not say %q in one line", err, want)
					}
				}
			}
		})
	}
	dir := t.TempDir()
	for _, source := range []string{filepath.Join(dir, "none"), "s9://bucket/x", "https://me:hunter2@host/x", "test://none:hunter2@x/"} {
		scheme()
		if _, err := Open(t.Context(), source, Options{}); !errors.Is(err, extract.ErrNoSource) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", source, err)
		}
	}
	if url, _ := bucket(t); true {
		if _, err := Open(t.Context(), url+"/none.parquet", Options{}); !errors.Is(err, extract.ErrNoSource) {
			t.Error(err)
		}
	}
}

// An extract that changes while it is read is of no one time.
func TestChangedMeanwhile(t *testing.T) {
	for scenario, change := range map[string]func(t *testing.T, dir string){
		"a file more": func(t *testing.T, dir string) { write(t, filepath.Join(dir, "z.parquet"), offences("Z", 1)) },
		"a file less": func(_ *testing.T, dir string) { os.Remove(filepath.Join(dir, "b.parquet")) },
		"a file written again": func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, "new"), offences("X", 10))
			if err := os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "b.parquet")); err != nil {
				t.Fatal(err)
			}
		},
		"bytes changed in place": func(t *testing.T, dir string) {
			time.Sleep(10 * time.Millisecond) // the file system's clock ticks that slowly
			f, err := os.OpenFile(filepath.Join(dir, "b.parquet"), os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			f.WriteAt([]byte("x"), 100)
			f.Close()
		},
	} {
		t.Run(scenario, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "a.parquet"), offences("A", 10))
			write(t, filepath.Join(dir, "b.parquet"), offences("B", 10))
			s, err := Open(t.Context(), dir, Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if _, err := s.Ref(); err != nil {
				t.Fatal(err)
			}
			change(t, dir)
			if _, err := s.Ref(); !errors.Is(err, ErrChanging) {
				t.Errorf("%v", err)
			}
		})
	}
}

// The forms in which a folder's files hold a column are all told.
func TestForms(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.parquet"), offences("A", 10))
	write(t, filepath.Join(dir, "b.parquet"), others(offences("B", 10)))
	s, err := Open(t.Context(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got := s.Forms()
	for column, want := range map[string]string{"allegation_id": "string", "victim_age": "int32 or int64", "updated_at": "timestamp in ms or timestamp in us",
		"reported_at": "timestamp in ns or timestamp in us", "borough": "absent or string", "domestic_abuse": "absent or bool"} {
		if got[column] != want {
			t.Errorf("%s: %q, want %q", column, got[column], want)
		}
	}
	if len(got) != schemas.OffenceColumns || s.ExtraColumns() != 1 {
		t.Errorf("%v, %d extra", got, s.ExtraColumns())
	}
}

// Objects are fetched into files that have no name, so that nothing is left behind; and a cancelled fetch ends.
func TestNothingIsLeftBehind(t *testing.T) {
	url, dir := bucket(t)
	write(t, filepath.Join(dir, "a.parquet"), offences("A", 10))
	temp := t.TempDir()
	s, err := Open(t.Context(), url, Options{Temp: temp})
	if err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, url, Options{Temp: temp}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// What is fetched from a bucket, and what CSV becomes, waits in files that nobody else can read.
func TestFetchedAndConvertedCannotBeRead(t *testing.T) {
	url, dir := bucket(t)
	rows := offences("A", 20_000)
	put(t, filepath.Join(dir, "in.csv"), csvOf(rows))
	write(t, filepath.Join(dir, "in.parquet"), rows)
	for _, file := range []string{"in.csv", "in.parquet"} {
		temp := t.TempDir()
		opened, err := Open(t.Context(), url+"/"+file, Options{Temp: temp})
		if err != nil {
			t.Fatal(err)
		}
		if size, found := leaktest.OpenFiles(t, temp, "A0000", "A0001", "A1999"); size < 64<<10 || len(found) > 0 {
			t.Errorf("%s: %d bytes, %q found", file, size, found)
		}
		if err := opened.Release(); err != nil {
			t.Error(err)
		}
	}
}
