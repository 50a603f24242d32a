package sources

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"harmstack/activities/extract/postgres/pgtest"
	"harmstack/schemas"
)

var asOf = schemas.MustDate("2026-06-30") // its end is 23:00 UTC, midnight in London

func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t
}

// parquetOf is a whole file whose rows were last changed at those instants.
func parquetOf(t *testing.T, changed ...string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.parquet")
	var rows []schemas.Offence
	for _, c := range changed {
		rows = append(rows, schemas.Offence{AllegationID: new("a"), UpdatedAt: new(at(c).UnixMicro())})
	}
	if err := parquet.WriteFile(path, rows); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestReady(t *testing.T) {
	whole := parquetOf(t, "2026-06-01T12:00:00Z", "2026-07-01T02:00:00Z")
	for _, c := range []struct {
		scenario, name string
		content        []byte
		written        string
		fresh          time.Duration
		want           string // of ErrLate; empty: ready
	}{
		{"whole and of the night", "x.parquet", whole, "2026-07-01T02:10:00Z", 12 * time.Hour, ""},
		{"not there", "x.parquet", nil, "", 12 * time.Hour, "there is no file"},
		{"its declaration is not there", "x.yaml", nil, "", 12 * time.Hour, "its declaration is not there"},
		{"declared, and not there", "x.yaml", []byte("csv: gone.csv\n"), "2026-07-01T02:10:00Z", 0, "there is no file"},
		{"begun", "x.parquet", whole[:len(whole)/2], "2026-07-01T02:10:00Z", 0, "not whole yet"},
		{"empty", "x.parquet", []byte{}, "2026-07-01T02:10:00Z", 0, "not whole yet"},
		{"no Parquet at all, which waiting does not mend", "x.parquet", []byte("this is some other format"), "2026-07-01T02:10:00Z", 0, ""},
		{"a declaration that cannot be meant, likewise", "x.yaml", []byte("csv: a\nodd: b\n"), "2026-07-01T02:10:00Z", 0, ""},
		{"written a second before the day was over", "x.parquet", whole, "2026-06-30T22:59:59Z", 0, "it was written on 30 June 2026 at 23:59"},
		{"written as the next began", "x.parquet", whole, "2026-06-30T23:00:00Z", 0, ""},
		{"the export of the night before, sent again", "x.parquet", parquetOf(t, "2026-06-30T02:00:00Z"), "2026-07-01T02:10:00Z", 12 * time.Hour, "its newest change is of 30 June 2026 at 03:00"},
		{"which nobody minds", "x.parquet", parquetOf(t, "2026-06-30T02:00:00Z"), "2026-07-01T02:10:00Z", 0, ""},
		{"changed just late enough", "x.parquet", parquetOf(t, "2026-06-30T11:00:00Z"), "2026-07-01T02:10:00Z", 12 * time.Hour, ""},
		{"a second earlier", "x.parquet", parquetOf(t, "2026-06-30T10:59:59Z"), "2026-07-01T02:10:00Z", 12 * time.Hour, "its newest change"},
		{"a clock in the future tells nothing", "x.parquet", parquetOf(t, "2026-06-30T02:00:00Z", "2200-01-01T00:00:00Z"), "2026-07-01T02:10:00Z", 12 * time.Hour, "its newest change is of 30 June 2026 at 03:00"},
		{"text that has settled", "x.csv", []byte("a,b\n"), "2026-07-01T02:10:00Z", 12 * time.Hour, ""},
		{"text that was just written", "x.csv", []byte("a,b\n"), "now", 12 * time.Hour, "within the last minute"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), c.name)
			if c.content != nil {
				if err := os.WriteFile(path, c.content, 0o600); err != nil {
					t.Fatal(err)
				}
				when := time.Now()
				if c.written != "now" {
					when = at(c.written)
				}
				if err := os.Chtimes(path, when, when); err != nil {
					t.Fatal(err)
				}
			}
			err := Ready(t.Context(), path, asOf, c.fresh)
			if (err == nil) != (c.want == "") || err != nil && (!errors.Is(err, ErrLate) || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("%v", err)
			}
		})
	}
}

// A folder, or the prefix of a bucket, is there once it holds a file and nobody writes to it; its newest file counts.
func TestReadyFolder(t *testing.T) {
	expect := func(name, want string) {
		t.Helper()
		err := Ready(t.Context(), name, asOf, 0)
		if (err == nil) != (want == "") || err != nil && (!errors.Is(err, ErrLate) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", want, err)
		}
	}
	url, dir := bucket(t)
	expect(dir, "there is no file in the folder")
	expect(url, "there is no file in the folder")
	expect(url+"/export.parquet", "there is no file")
	data := parquetOf(t, "2026-07-01T02:00:00Z")
	for name, written := range map[string]string{"a.parquet": "2026-06-01T02:00:00Z", "b.parquet": "2026-06-30T22:59:59Z"} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, data, 0o600), os.Chtimes(path, at(written), at(written))); err != nil {
			t.Fatal(err)
		}
	}
	expect(dir, "it was written on 30 June 2026 at 23:59")
	expect(url, "it was written on 30 June 2026 at 23:59")
	if err := os.WriteFile(filepath.Join(dir, "b.parquet"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	expect(dir, "within the last minute")
	expect(url, "within the last minute")
	expect(url+"/b.parquet", "")
	if err := os.Chtimes(filepath.Join(dir, "b.parquet"), at("2026-07-01T02:10:00Z"), at("2026-07-01T02:10:00Z")); err != nil {
		t.Fatal(err)
	}
	expect(dir, "")
	expect(url, "")
	if err := os.Mkdir(filepath.Join(dir, "_temporary"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "_temporary", "c"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	expect(dir, "still being written")
}

func TestReadyDatabase(t *testing.T) {
	server := pgtest.Start(t)
	server.Exec("CREATE TABLE crimes (id text, changed timestamp)")
	path := filepath.Join(t.TempDir(), "x.yaml")
	declare := func(more string) {
		t.Helper()
		text := "postgres:\n  url: " + server.URL + "\n  query: SELECT id, changed AS \"When changed\" FROM crimes;\n" +
			"columns:\n  {allegation_id: id, report_id: id, suspect_id: id, offence_code: id, victim_sex: id, source: {constant: victim}, outcome: {constant: open},\n" +
			"   reported_at: When changed, updated_at: {" + more + "}}\n"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	expect := func(scenario, want string) {
		t.Helper()
		err := Ready(t.Context(), path, asOf, 12*time.Hour)
		if (err == nil) != (want == "") || err != nil && (!errors.Is(err, ErrLate) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", scenario, err)
		}
	}
	declare("from: When changed")
	expect("without rows, which is for the reading to tell", "")
	server.Exec("INSERT INTO crimes VALUES ('a', '2026-06-30 10:59:59'), ('b', '2026-06-01')")
	expect("a second too early", "its newest change is of 30 June 2026 at 11:59")
	declare("from: When changed, zone: America/New_York")
	expect("which in New York is late enough", "")
	declare("from: When changed")
	server.Exec("INSERT INTO crimes VALUES ('c', '2026-06-30 11:00:00')")
	expect("of the night", "")
	server.Exec("DROP TABLE crimes")
	expect("a query that is refused, which waiting does not mend", "")
	server.Kill()
	expect("a server that is not there", "no connection")
	server.Restart()
}
