package sources

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"harmstack/activities/extract"
	"harmstack/activities/extract/postgres/pgtest"
	"harmstack/activities/store"
	"harmstack/schemas"
)

const offencesTable = `CREATE TABLE offences (allegation_id text, report_id text, suspect_id text, suspect_age int, suspect_status text, offence_code text, offence_class text,
	offence_urn text, reported_at timestamptz, committed_at timestamp, borough text, victim_id text, victim_sex char(3), victim_age int, domestic_abuse boolean,
	source text, outcome text, updated_at timestamptz, officer text)`

func testStore(t *testing.T) *store.Store {
	t.Helper()
	st, err := store.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

func declare(t *testing.T, yaml string, args ...any) Declared {
	t.Helper()
	d, err := parse([]byte(fmt.Sprintf(yaml, args...)))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// extracted makes the parts of a night as the stage does; the reference of the source comes last.
func extracted(ctx context.Context, d Declared, st *store.Store, folder string, o Options) ([]schemas.ArtifactRef, *Opened, error) {
	opened, err := d.query(ctx, "crimes.yaml", o)
	if err != nil {
		return nil, nil, err
	}
	defer opened.Close()
	parts, err := extract.Snapshot(ctx, opened.File, st, folder, 2, nil)
	if err == nil {
		err = opened.Kept(ctx, st, parts)
	}
	if err != nil {
		return nil, nil, err
	}
	ref, err := opened.Ref()
	return append(parts, ref), opened, err
}

func TestDatabaseDeclarations(t *testing.T) {
	const good = "postgres: {url: 'postgres://reader@localhost/crimes', query: SELECT 1}\n"
	for yaml, want := range map[string]string{
		good + "columns: {allegation_id: {constant: x}}":                           "columns.allegation_id: rows are read in ranges of it",
		good + "columns: {allegation_id: {from: x, values: {a: b}}}":               "columns.allegation_id: rows are read in ranges of it",
		good + "encoding: utf-16":                                                  "encoding and delimiter are of csv",
		good + "incremental: {}":                                                   "incremental.full: give the weekday",
		good + "incremental: {full: someday}":                                      "line 2: incremental.full: it is no weekday",
		good + "incremental: {full: sunday, days: 30}":                             "incremental.days: it is 30, give at least 365",
		good + "incremental: {full: sunday, overlap: soon}":                        "line 2: incremental.overlap: it is no length of time",
		good + "incremental: {full: sunday, day: 365}":                             `unknown field "day"`,
		"csv: a.csv\nincremental: {full: sunday}":                                  "incremental: only PostgreSQL can say",
		"postgres: {url: 'postgres://r@localhost/c', query: S, connections: 99}\n": "postgres.connections: it is 99, give 1 to 32",
	} {
		if _, err := parse([]byte(yaml)); !errors.Is(err, ErrDeclaration) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", yaml, err)
		}
	}
	server := pgtest.Start(t)
	server.Exec(offencesTable)
	path := filepath.Join(t.TempDir(), "crimes.yaml")
	for query, want := range map[string]string{
		"SELECT * FROM offences":                                                "",
		"SELECT *, updated_at::text AS u FROM offences":                         "columns.updated_at must come from one column",
		"SELECT *, updated_at AT TIME ZONE 'Europe/London' AS u FROM offences":  "", // in UTC, as far as anybody can tell
		"SELECT *, updated_at AS u FROM offences":                               "",
		"SELECT allegation_id FROM offences":                                    "column report_id: expected, found none",
		"SELECT *, updated_at AS u, reported_at::date AS r FROM offences":       "columns.reported_at must come from one column",
		"SELECT *, updated_at AS u, updated_at AS allegation_id FROM offences ": `column allegation_id is there twice`,
	} {
		yaml := fmt.Sprintf("postgres:\n  url: %q\n  query: %q\nincremental: {full: sunday}\n", server.URL, query)
		columns := []string{}
		if strings.Contains(query, "AS u") {
			columns = append(columns, "updated_at: u")
		}
		if strings.Contains(query, "AS r ") {
			columns = append(columns, "reported_at: r")
		}
		if err := os.WriteFile(path, []byte(yaml+"columns: {"+strings.Join(columns, ", ")+"}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		found, err := Check(t.Context(), path)
		if want == "" && (err != nil || !strings.Contains(found, "only what changed is read, and all of it on Sunday")) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %q, %v", query, found, err)
		}
	}
}

// Thirty nights of a table that changes in every way, over the end of summer time: the parts are those of a full
// reading, whose rows come in another order and by another connection; and a night is read in full when it must be.
func TestThirtyNightsOfChanges(t *testing.T) {
	server := pgtest.Start(t)
	server.Exec(offencesTable)
	random := rand.New(rand.NewPCG(7, 8))
	first := schemas.MustDate("2025-10-10")
	at := func(when time.Time) string { return "'" + when.UTC().Format("2006-01-02 15:04:05.999999") + "Z'" }
	n := 0
	// insert adds a row with another id each time, reported and updated at those times.
	insert := func(id, reported, updated string) string {
		n++
		if id == "" {
			id = fmt.Sprintf("'A%05d'", random.IntN(100_000))
		}
		return fmt.Sprintf("INSERT INTO offences VALUES (%s, 'R%d', 'S%d', %d, 'at_large', '019/08', NULL, NULL, %s, '2025-01-0%d 01:30', 'Hackney', 'V%d', 'F', NULL, %t, 'victim', 'open', %s, 'PS');\n",
			id, n, n%300, n%90, reported, n%9+1, n%500, n%2 == 0, updated)
	}
	// The rows of the first night: over the whole window, some of which leave it each night.
	var sql strings.Builder
	for range 3000 {
		reported := first.Start().Add(-time.Duration(random.Int64N(int64(420 * 24 * time.Hour))))
		sql.WriteString(insert("", at(reported), at(reported.Add(time.Hour))))
	}
	server.Exec(sql.String())
	const yaml = "postgres:\n  url: %q\n  query: %s\nincremental: {full: sunday, days: 370, overlap: 12h}\n%s\n"
	d := declare(t, yaml, server.URL, "SELECT * FROM offences", "")
	d.Postgres.RangeRows = 700
	full := declare(t, yaml, server.URL, "SELECT * FROM offences ORDER BY md5(offences::text)", "")
	full.Postgres.Connections = 1
	st, other := testStore(t), testStore(t)
	for i := range 30 {
		asOf := first.AddDays(i)
		// What happens in the day, after which the night is read.
		day := asOf.Start()
		hour := func(h float64) string { return at(day.Add(time.Duration(h * float64(time.Hour)))) }
		var sql strings.Builder
		for range 20 + random.IntN(20) {
			h := random.Float64() * 24
			sql.WriteString(insert("", hour(h), hour(h)))
		}
		fmt.Fprintf(&sql, "UPDATE offences SET outcome = 'charged', updated_at = %s WHERE report_id = ANY (SELECT report_id FROM offences ORDER BY md5(report_id || %d) LIMIT 25);\n", hour(20), i)
		// Duplicates, other versions and rows without an id.
		fmt.Fprintf(&sql, "INSERT INTO offences SELECT * FROM offences WHERE updated_at = %s LIMIT 3;\n", hour(20))
		sql.WriteString(insert("'A00007'", hour(1), hour(21)) + insert("NULL", hour(2), hour(22)) + insert("''", hour(3), hour(22)) + insert("NULL", "NULL", "NULL"))
		// A change that is committed late, but within the overlap; and one in the hour that comes twice.
		sql.WriteString(insert("", hour(-3), hour(-3)))
		sql.WriteString(insert("", hour(1.5), hour(2.5)))
		want := "incremental"
		switch {
		case i == 0:
			want = "full: first"
		case i == 4: // Tuesday
			sql.WriteString("DELETE FROM offences WHERE ctid = (SELECT ctid FROM offences WHERE reported_at > '2025-06-01' AND updated_at < '2025-10-01' LIMIT 1);\n")
			want = "full: the count differs, by 1 row"
		case i == 7: // Friday
			sql.WriteString(insert("'A3'", hour(-200), hour(-100)))
			want = "full: the count differs, by 1 row"
		case i == 12: // Wednesday
			sql.WriteString("UPDATE offences SET updated_at = updated_at - interval '1 microsecond' WHERE ctid = (SELECT ctid FROM offences WHERE reported_at > '2025-06-01' AND updated_at < '2025-10-01' LIMIT 1);\n")
			want = "full: the rows' versions differ"
		case i == 14: // Friday: one gone, one come, both long ago
			sql.WriteString("DELETE FROM offences WHERE ctid = (SELECT ctid FROM offences WHERE reported_at > '2025-06-01' AND updated_at < '2025-10-01' LIMIT 1);\n")
			sql.WriteString(insert("'A4'", hour(-200), hour(-100)))
			want = "full: the rows' versions differ"
		case i == 18: // Tuesday
			d = declare(t, yaml, server.URL, "SELECT * FROM offences", "# another word\ncolumns: {borough: {from: borough}}")
			d.Postgres.RangeRows = 700
			want = "full: the declaration has changed"
		case i == 20: // Thursday
			if err := st.Delete(t.Context(), fmt.Sprintf("nights/%s/part-00000.parquet", first.AddDays(19))); err != nil {
				t.Fatal(err)
			}
			want = "full: the last snapshot is gone or damaged"
		case i == 23: // Sunday: a row that was changed without a word
			sql.WriteString("UPDATE offences SET borough = 'Barnet' WHERE ctid = (SELECT ctid FROM offences WHERE reported_at > '2025-06-01' AND updated_at < '2025-10-01' LIMIT 1);\n")
			want = "full: Sunday: only what changed would have missed rows"
		case day.Weekday() == time.Sunday:
			want = "full: Sunday: only what changed would have given the same"
		}
		server.Exec(sql.String())
		o := Options{AsOf: asOf, Store: st, Threads: 2}
		parts, opened, err := extracted(t.Context(), d, st, "nights/"+asOf.String(), o)
		if err != nil {
			t.Fatalf("%s: %v", asOf, err)
		}
		if got := opened.Reading.String(); !strings.HasPrefix(got, want) || opened.Reading.Missed != (i == 23) {
			t.Errorf("%s: %q, want %q", asOf, got, want)
		}
		if want == "incremental" && (opened.Reading.Changed < 40 || opened.Reading.Changed > 400) {
			t.Errorf("%s: %d rows changed", asOf, opened.Reading.Changed)
		}
		o.Store = nil
		wanted, _, err := extracted(t.Context(), full, other, "nights/"+asOf.String(), o)
		if err != nil {
			t.Fatalf("%s, in full: %v", asOf, err)
		}
		if !slices.Equal(parts, wanted) || wanted[0].Rows < 2500 {
			t.Errorf("%s (%s): other parts than of a full reading: %+v, %+v", asOf, opened.Reading, parts, wanted)
		}
	}
	// Again, and at once with a night of long ago, and after it: what either leaves is right for the next.
	last := first.AddDays(29)
	again := func(folder string, asOf schemas.Date, want string) {
		t.Helper()
		parts, opened, err := extracted(t.Context(), d, st, folder, Options{AsOf: asOf, Store: st})
		if err != nil {
			t.Error(err)
			return
		}
		if got := opened.Reading.String(); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", folder, got, want)
		}
		wanted, _, err := extracted(t.Context(), full, other, folder, Options{AsOf: asOf})
		if err != nil || !slices.Equal(parts, wanted) {
			t.Errorf("%s: other parts than of a full reading, %v", folder, err)
		}
	}
	again("nights/again", last, "incremental: ")
	again("nights/again", last, "incremental: ") // its own parts are the base, and are replaced
	again("nights/old", first.AddDays(-3), "full: the last snapshot's window begins later")
	again("nights/newer", last.AddDays(2), "incremental: ")
	var both sync.WaitGroup
	for i := range 4 {
		both.Go(func() { again(fmt.Sprintf("nights/both-%d", i), last.AddDays(3), "incremental: ") })
	}
	both.Wait()
	again("nights/after", last.AddDays(4), "incremental: ")
}

// A server that dies in the middle of a reading: an error that a retry may mend, nothing kept, then the same rows.
func TestDatabaseDiesWhileItIsRead(t *testing.T) {
	server := pgtest.Start(t)
	server.Exec(offencesTable + `; INSERT INTO offences (allegation_id, report_id, offence_code, reported_at, source, outcome, updated_at)
		SELECT i, i, '019/08', now(), 'victim', 'open', now() FROM generate_series(1, 60000) i; ANALYZE offences`)
	d := declare(t, "postgres: {url: %q, query: SELECT * FROM offences}\nincremental: {full: sunday}\n", server.URL)
	d.Postgres.RangeRows = 20_000
	st := testStore(t)
	var once sync.Once
	o := Options{Store: st, AsOf: schemas.MustDate("2026-06-30"), Progress: func(int64) { once.Do(server.Kill) }} // a Tuesday
	if _, _, err := extracted(t.Context(), d, st, "night", o); err == nil || !strings.Contains(err.Error(), "PostgreSQL, read: ") || strings.Contains(err.Error(), "refuses") {
		t.Errorf("%v", err)
	}
	if left, err := st.List(t.Context(), ""); err != nil || len(left) > 0 {
		t.Errorf("it left %q, %v", left, err)
	}
	server.Restart()
	if parts, opened, err := extracted(t.Context(), d, st, "night", o); err != nil || parts[0].Rows != 60_000 || opened.Reading.Why != "first" {
		t.Errorf("after it: %v", err)
	}
}

// BenchmarkPostgres reads two million rows beside what psql's COPY does with the same query, and tells the most memory
// that this process ever held.
func BenchmarkPostgres(b *testing.B) {
	server := pgtest.Start(b)
	const rows = 2_000_000
	server.Exec(offencesTable + fmt.Sprintf(`; INSERT INTO offences SELECT 'A' || md5(i::text), 'R' || i, 'S' || i %% 500000, i %% 90, 'at_large', '019/08', '19C', NULL,
		timestamptz '2026-06-30' - i * interval '15 seconds', timestamp '2026-06-30' - i * interval '16 seconds', 'Hackney', 'V' || i %% 700000, 'F', i %% 90, i %% 2 = 0,
		'victim', 'open', timestamptz '2026-06-30' - i * interval '10 seconds', 'PS' FROM generate_series(1, %d) i; ANALYZE offences`, rows))
	const query = "SELECT * FROM offences"
	b.Run("harmstack", func(b *testing.B) {
		d, err := parse([]byte(fmt.Sprintf("postgres: {url: %q, query: %s}", server.URL, query)))
		if err != nil {
			b.Fatal(err)
		}
		for b.Loop() {
			opened, err := d.query(b.Context(), "crimes.yaml", Options{Temp: b.TempDir()})
			if err != nil || opened.Rows() != rows || opened.Close() != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		status, _ := os.ReadFile("/proc/self/status")
		if _, most, ok := strings.Cut(string(status), "VmHWM:"); ok {
			var kib float64
			fmt.Sscan(most, &kib)
			b.ReportMetric(kib/1024, "MiB-peak")
		}
	})
	b.Run("psql", func(b *testing.B) {
		if _, err := exec.LookPath("psql"); err != nil {
			b.Skip("there is no psql")
		}
		for b.Loop() {
			if err := exec.Command("psql", server.URL, "-q", "-c", "COPY ("+query+") TO STDOUT (FORMAT csv, HEADER)").Run(); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	})
}
