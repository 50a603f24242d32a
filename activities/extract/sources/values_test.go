package sources

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v16/arrow"
	"github.com/apache/arrow/go/v16/arrow/array"

	"harmstack/activities/extract"
	"harmstack/activities/extract/postgres/pgtest"
	"harmstack/schemas"
)

// people collects what became of the columns that are no text: age, age of the victim, domestic abuse.
type people struct{ rows []string }

func (*people) Close() error { return nil }
func (p *people) Add(b arrow.Record, _ int64) error {
	for i := range int(b.NumRows()) {
		var values []string
		for _, c := range []int{schemas.SuspectAge, schemas.VictimAge, schemas.DomesticAbuse} {
			switch col := b.Column(c); {
			case col.IsNull(i):
				values = append(values, "-")
			case c == schemas.DomesticAbuse:
				values = append(values, fmt.Sprint(col.(*array.Boolean).Value(i)))
			default:
				values = append(values, fmt.Sprint(col.(*array.Int32).Value(i)))
			}
		}
		p.rows = append(p.rows, strings.Join(values, " "))
	}
	return nil
}

// A database may hold a whole number in any type of number, and true in a number too.
func TestNumbersOfADatabase(t *testing.T) {
	server := pgtest.Start(t)
	for _, c := range []struct {
		kind       string
		unreadable map[string]int64
		fraction   string // what becomes of 27.5
	}{
		{"numeric(4,1)", map[string]int64{"suspect_age": 2, "victim_age": 3, "domestic_abuse": 1}, "-"},
		{"numeric", map[string]int64{"suspect_age": 2, "victim_age": 3, "domestic_abuse": 1}, "-"},
		{"float4", map[string]int64{"suspect_age": 2, "victim_age": 3, "domestic_abuse": 1}, "-"},
		{"float8", map[string]int64{"suspect_age": 2, "victim_age": 3, "domestic_abuse": 1}, "-"},
		{"text", map[string]int64{"suspect_age": 2, "victim_age": 3, "domestic_abuse": 1}, "-"},
		{"bigint", map[string]int64{"victim_age": 3, "domestic_abuse": 1}, "28"},
	} {
		server.Exec("DROP TABLE IF EXISTS people; CREATE TABLE people (allegation_id text, suspect_age " + c.kind + ", victim_age float8, domestic_abuse numeric(2,1));" +
			`INSERT INTO people VALUES ('A1', 27, 27, 1), ('A2', NULL, NULL, NULL), ('A3', 27.5::numeric, 0.1, 0.5), ('A4', 0, 1e15, 0)`)
		if c.kind == "bigint" {
			server.Exec("INSERT INTO people VALUES ('A5', 28, 'NaN', 0)")
		} else {
			server.Exec("INSERT INTO people VALUES ('A5', 'NaN', 'NaN', 0)")
		}
		d := declare(t, `
postgres:
  url: %q
  query: SELECT *, allegation_id AS report_id, allegation_id AS suspect_id, '019/08' AS offence_code, now() AS reported_at, 'F' AS victim_sex, 'victim' AS source, 'open' AS outcome, now() AS updated_at FROM people
`, server.URL)
		opened, err := d.query(t.Context(), "people.yaml", Options{Temp: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		var got people
		if err := opened.Scan(t.Context(), 1, 0, func() extract.Sink { return &got }, nil); err != nil {
			t.Fatal(err)
		}
		last := "- - false"
		if c.kind == "bigint" {
			last = "28 - false"
		}
		if want := []string{"27 27 true", "- - -", c.fraction + " - -", "0 - false", last}; !slices.Equal(got.rows, want) {
			t.Errorf("%s: %q, want %q", c.kind, got.rows, want)
		}
		if !maps.Equal(opened.Unreadable, c.unreadable) {
			t.Errorf("%s: %v could not be read, want %v", c.kind, opened.Unreadable, c.unreadable)
		}
		opened.Close()
	}
}

// What could not be read of the rows that a night takes from the last snapshot still counts: they are as null as ever.
func TestUnreadableOfAnEarlierNight(t *testing.T) {
	server := pgtest.Start(t)
	server.Exec(strings.Replace(offencesTable, "suspect_age int", "suspect_age text", 1) + `;
		INSERT INTO offences (allegation_id, report_id, suspect_id, suspect_age, offence_code, reported_at, victim_sex, source, outcome, updated_at)
		SELECT i, i, i, 'unknown', '019/08', '2026-05-01', 'F', 'victim', 'open', '2026-05-01' FROM generate_series(1, 50) i`)
	d := declare(t, "postgres: {url: %q, query: SELECT * FROM offences}\nincremental: {full: sunday}\n", server.URL)
	st := testStore(t)
	for i, c := range []struct {
		sql, mode string
		want      int64
	}{
		{"", "full: first", 50}, // of the night of Tuesday, 2 June 2026
		{"", "incremental", 50},
		{"INSERT INTO offences (allegation_id, report_id, suspect_id, suspect_age, offence_code, reported_at, victim_sex, source, outcome, updated_at) VALUES ('N', 'N', 'N', 'old', '019/08', '2026-06-03', 'F', 'victim', 'open', '2026-06-04 12:00')", "incremental", 51},
		{"UPDATE offences SET suspect_age = '30', updated_at = '2026-06-05 12:00' WHERE report_id IN ('7', '8', 'N')", "incremental", 48},
		{"UPDATE offences SET suspect_age = 'none', domestic_abuse = NULL, updated_at = '2026-06-06 12:00' WHERE report_id = '7'", "incremental", 49},
		{"", "full: Sunday: only what changed would have given the same", 49},
		{"", "incremental", 49},
	} {
		server.Exec(c.sql)
		_, opened, err := extracted(t.Context(), d, st, fmt.Sprint("night-", i), Options{Store: st, AsOf: schemas.MustDate("2026-06-02").AddDays(i)})
		if err != nil {
			t.Fatal(err)
		}
		if got := opened.Unreadable["suspect_age"]; got != c.want || !strings.HasPrefix(opened.Reading.String(), c.mode) {
			t.Errorf("night %d: %d values could not be read, want %d; %s", i, got, c.want, opened.Reading)
		}
	}
}

// A declaration that is no small, flat text is refused before it is parsed, by line and field, and nothing of it is
// told.
func TestHostileDeclarations(t *testing.T) {
	const secret = "hunter2-Passw0rd"
	path := filepath.Join(t.TempDir(), "crimes.yaml")
	for scenario, c := range map[string]struct{ text, want string }{
		"brackets":           {strings.Repeat("[", 200<<10), "it has more than 64 KiB"},
		"fewer brackets":     {"csv: " + strings.Repeat("[", 60<<10), "line 1: it goes deeper than 32 levels"},
		"lists":              {strings.Repeat("- ", 30<<10), "line 1: it goes deeper than 32 levels"},
		"billions of laughs": {"a: &a [x]\nb: &b [*a,*a,*a]\n", "line 1: anchors"},
		"a broken quote":     {"postgres:\n  url: \"postgres://u:" + secret + "@db\n", "line 2: could not find end character"},
		"a password":         {"postgres:\n  url: postgres://u:" + secret + "@db/x\n  query: SELECT 1\n", "line 2: postgres.url: it holds a password"},
		"an unknown field":   {"postgres:\n  url: postgres://u@localhost/x\n  query: SELECT 1\n  password: " + secret, `line 4: unknown field "password"`},
		"a text for fields":  {"csv: a.csv\npostgres: " + secret, "line 2: postgres: fields are needed here"},
		"a text for a time":  {"postgres: {url: 'postgres://u@localhost/x', query: SELECT 1, timeout: " + secret + "}", "line 1: postgres.timeout: it is no length of time"},
		"no such encoding":   {"csv: a.csv\nencoding: " + secret, "line 2: encoding: it is not known"},
		"no such zone":       {"csv: a.csv\ncolumns:\n  reported_at: {from: a, zone: " + secret + "}", "line 3: columns.reported_at.zone: it is no time zone"},
		"no such column":     {"csv: a.csv\ncolumns:\n  " + secret + ": x", "line 3: columns.(hidden): the contract has no such column"},
		"nothing":            {"", "the file is empty"},
	} {
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Open(context.Background(), path, Options{})
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "crimes.yaml: ") || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", scenario, err)
		}
		if took := int64(after.TotalAlloc-before.TotalAlloc) >> 20; took > 64 {
			t.Errorf("%s: it took %d MiB", scenario, took)
		}
	}
	if _, err := Open(context.Background(), path+".none.yaml", Options{}); !errors.Is(err, extract.ErrNoSource) {
		t.Error(err)
	}
}
