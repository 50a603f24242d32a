package postgres

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"

	"harmstack/activities/postgres/pgtest"
)

// records are the rows of the text.
func records(t *testing.T, text []byte) [][]string {
	t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// slow is a writer that waits once it has something.
type slow struct {
	bytes.Buffer
	began chan struct{}
	wait  chan struct{}
}

func (s *slow) Write(p []byte) (int, error) {
	if s.Len() == 0 {
		close(s.began)
		<-s.wait
	}
	return s.Buffer.Write(p)
}

func TestCopy(t *testing.T) {
	server := pgtest.Start(t)
	server.Exec(`CREATE TABLE crimes (ref text, at timestamptz, local timestamp, flag boolean, age int, note text);
		INSERT INTO crimes VALUES ('C1', '2026-07-01 09:30:00.123456+01', '2026-07-01 09:30', true, 34, E'two\nlines, "quoted" \\ ünï'), ('C2', NULL, NULL, NULL, NULL, '')`)

	t.Run("the values", func(t *testing.T) {
		var text bytes.Buffer
		rows, err := Copy(t.Context(), Query{URL: server.URL, SQL: "SELECT * FROM crimes ORDER BY ref; "}, &text)
		if want := [][]string{{"ref", "at", "local", "flag", "age", "note"}, {"C1", "2026-07-01 08:30:00.123456+00", "2026-07-01 09:30:00", "t", "34", "two\nlines, \"quoted\" \\ ünï"},
			{"C2", "", "", "", "", ""}}; err != nil || rows != 2 || !reflect.DeepEqual(records(t, text.Bytes()), want) {
			t.Errorf("%d rows, %v: %q", rows, err, records(t, text.Bytes()))
		}
	})

	t.Run("faults", func(t *testing.T) {
		for _, c := range []struct {
			scenario string
			query    Query
			want     string
			refused  bool
		}{
			{"no such column", Query{URL: server.URL, SQL: "SELECT hidden FROM crimes"}, "error 42703 at character 8 of the query (there is no such column)", true},
			{"no such table", Query{URL: server.URL, SQL: "SELECT 1 FROM hidden"}, "42P01", true},
			{"no SQL", Query{URL: server.URL, SQL: "SELEKT"}, "the SQL cannot be read", true},
			{"it writes", Query{URL: server.URL, SQL: "WITH x AS (DELETE FROM crimes RETURNING ref) SELECT * FROM x"}, "", true},
			{"a value in the error", Query{URL: server.URL, SQL: "SELECT ('hidden' || ref)::int FROM crimes"}, "22P02", true},
			{"two statements", Query{URL: server.URL, SQL: "SELECT 1; DROP TABLE crimes"}, "42601", true},
			{"too slow", Query{URL: server.URL, SQL: "SELECT pg_sleep(30)", Timeout: Duration(200 * time.Millisecond)}, "longer than the timeout", false},
			{"no such database", Query{URL: strings.Replace(server.URL, "/postgres?", "/hidden?", 1), SQL: "SELECT 1"}, "there is no such database", true},
			{"no such user", Query{URL: strings.Replace(server.URL, "reader@", "nobody@", 1), SQL: "SELECT 1"}, "the login is refused", true},
			{"nobody there", Query{URL: "postgres://reader@127.0.0.1:1/hidden", SQL: "SELECT 1"}, "PostgreSQL, connect: ", false},
			{"a password", Query{URL: "postgres://reader:hidden@host/db", SQL: "SELECT 1"}, "it holds a password", false},
			{"a password in the query", Query{URL: "postgres://reader@host/db?password=hidden", SQL: "SELECT 1"}, "it holds a password", false},
			{"no query", Query{URL: server.URL}, "give a SELECT", false},
			{"no URL", Query{URL: "host=hidden", SQL: "SELECT 1"}, "give the database as", false},
		} {
			t.Run(c.scenario, func(t *testing.T) {
				_, err := Copy(t.Context(), c.query, io.Discard)
				if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hidden") || errors.Is(err, ErrRefused) != c.refused {
					t.Errorf("%v", err)
				}
			})
		}
		var text bytes.Buffer
		if rows, err := Copy(t.Context(), Query{URL: server.URL, SQL: "SELECT * FROM crimes"}, &text); rows != 2 || err != nil {
			t.Errorf("after all that: %d rows, %v", rows, err)
		}
	})

	server.Exec("CREATE TABLE many AS SELECT i, repeat('x', 200) FROM generate_series(1, 200000) i")
	many := Query{URL: server.URL, SQL: "SELECT * FROM many"}

	t.Run("what others do meanwhile is not seen, and they do not wait", func(t *testing.T) {
		w := &slow{began: make(chan struct{}), wait: make(chan struct{})}
		done := make(chan error)
		var rows int64
		go func() {
			var err error
			rows, err = Copy(t.Context(), many, w)
			done <- err
		}()
		<-w.began
		server.Exec("SET lock_timeout = '1s'; DELETE FROM many WHERE i % 2 = 0; INSERT INTO many VALUES (0, 'new')")
		close(w.wait)
		if err := <-done; err != nil || rows != 200_000 || len(records(t, w.Bytes())) != 200_001 {
			t.Errorf("%d rows, %v", rows, err)
		}
	})

	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(100*time.Millisecond, cancel)
		if _, err := Copy(ctx, Query{URL: server.URL, SQL: "SELECT pg_sleep(30)"}, io.Discard); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})

	t.Run("killed in the middle", func(t *testing.T) {
		w := &slow{began: make(chan struct{}), wait: make(chan struct{})}
		done := make(chan error)
		go func() {
			_, err := Copy(t.Context(), many, w)
			done <- err
		}()
		<-w.began
		server.Kill()
		close(w.wait)
		if err := <-done; err == nil || errors.Is(err, ErrRefused) {
			t.Errorf("a result that broke off: %v", err)
		}
		server.Restart()
		if rows, err := Copy(t.Context(), many, io.Discard); err != nil || rows != 100_001 {
			t.Errorf("after it: %d rows, %v", rows, err)
		}
	})
}

// BenchmarkCopy beside what psql's COPY does with the same query.
func BenchmarkCopy(b *testing.B) {
	server := pgtest.Start(b)
	const rows = 1_000_000
	server.Exec(fmt.Sprintf("CREATE TABLE many AS SELECT i AS a, md5(i::text) AS b, now() AS c, i %% 2 = 0 AS d, repeat('x', 40) AS e FROM generate_series(1, %d) i", rows))
	b.Run("harmstack", func(b *testing.B) {
		for b.Loop() {
			if n, err := Copy(b.Context(), Query{URL: server.URL, SQL: "SELECT * FROM many"}, io.Discard); err != nil || n != rows {
				b.Fatal(n, err)
			}
		}
		b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	})
	b.Run("psql", func(b *testing.B) {
		if _, err := exec.LookPath("psql"); err != nil {
			b.Skip("there is no psql")
		}
		for b.Loop() {
			cmd := exec.Command("psql", server.URL, "-q", "-c", `COPY (SELECT * FROM many) TO STDOUT (FORMAT csv, HEADER)`)
			if err := cmd.Run(); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
	})
}
