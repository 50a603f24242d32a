package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math/big"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"harmstack/activities/extract/postgres/pgtest"
	"harmstack/schemas/yamlfile"
)

// result is what a query gives, by range.
type result struct {
	sync.Mutex
	ranges [][][]string
}

// readAll reads every column of a query as text, but those that are instants.
func readAll(ctx context.Context, q Query, key int, wait func()) (r *result, s *Snapshot, err error) {
	if s, err = Open(ctx, q); err != nil {
		return nil, nil, err
	}
	defer s.Close()
	sel := Selection{Key: key, Exact: map[int]bool{}}
	for i, c := range s.Columns {
		sel.Read = append(sel.Read, i)
		sel.Exact[i] = c.Type == Timestamptz || c.Type == Timestamp
	}
	r = new(result)
	var once sync.Once
	err = s.Read(ctx, sel, func(n int) error {
		r.ranges = make([][][]string, n)
		return nil
	}, func(i int, record []string) error {
		if wait != nil {
			once.Do(wait)
		}
		r.Lock()
		defer r.Unlock()
		var row []string
		for _, f := range record {
			row = append(row, strings.Clone(f))
		}
		r.ranges[i] = append(r.ranges[i], row)
		return nil
	}, func(int) error { return nil })
	return r, s, err
}

func (r *result) rows() (n int) {
	for _, rows := range r.ranges {
		n += len(rows)
	}
	return n
}

// instant is how an exact column's value is written.
func instant(t *testing.T, text string) string {
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return string(binary.BigEndian.AppendUint64(nil, uint64(at.UnixMicro())))
}

func TestRead(t *testing.T) {
	server := pgtest.Start(t)
	server.Exec(`CREATE TABLE crimes (ref text, at timestamptz, local timestamp, flag boolean, age int, note text);
		INSERT INTO crimes VALUES ('C1', '2026-07-01 09:30:00.123456+01', '2026-07-01 09:30', true, 34, E'two\nlines, "quoted" \\ ünï'), ('C2', NULL, NULL, NULL, NULL, ''),
		('C3', 'infinity', '-infinity', false, NULL, '  ')`)

	t.Run("the values", func(t *testing.T) {
		r, s, err := readAll(t.Context(), Query{URL: server.URL, SQL: "SELECT * FROM crimes ORDER BY ref; "}, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		if want := [][]string{{"C1", instant(t, "2026-07-01T08:30:00.123456Z"), instant(t, "2026-07-01T09:30:00Z"), "t", "34", "two\nlines, \"quoted\" \\ ünï"},
			{"C2", "", "", "", "", ""}, {"C3", "inf", "inf", "f", "", "  "}}; !reflect.DeepEqual(r.ranges, [][][]string{want}) {
			t.Errorf("%q", r.ranges)
		}
		if want := []Column{{"ref", Text}, {"at", Timestamptz}, {"local", Timestamp}, {"flag", Bool}, {"age", Text}, {"note", Text}}; !reflect.DeepEqual(s.Columns, want) {
			t.Errorf("%v", s.Columns)
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
			{"too slow", Query{URL: server.URL, SQL: "SELECT pg_sleep(30)", Timeout: yamlfile.Span(200 * time.Millisecond)}, "longer than the timeout", false},
			{"no such database", Query{URL: strings.Replace(server.URL, "/postgres?", "/hidden?", 1), SQL: "SELECT 1"}, "there is no such database", true},
			{"no such user", Query{URL: strings.Replace(server.URL, "reader@", "nobody@", 1), SQL: "SELECT 1"}, "the login is refused", true},
			{"nobody there", Query{URL: "postgres://reader@127.0.0.1:1/hidden", SQL: "SELECT 1"}, "PostgreSQL, connect: ", false},
			{"a password", Query{URL: "postgres://reader:hidden@host/db", SQL: "SELECT 1"}, "it holds a password", false},
			{"a password in the query", Query{URL: "postgres://reader@host/db?password=hidden", SQL: "SELECT 1"}, "it holds a password", false},
			{"no query", Query{URL: server.URL}, "give a SELECT", false},
			{"no URL", Query{URL: "host=hidden", SQL: "SELECT 1"}, "give the database as", false},
		} {
			t.Run(c.scenario, func(t *testing.T) {
				_, _, err := readAll(t.Context(), c.query, 0, nil)
				if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hidden") || errors.Is(err, ErrRefused) != c.refused {
					t.Errorf("%v", err)
				}
			})
		}
		if r, _, err := readAll(t.Context(), Query{URL: server.URL, SQL: "SELECT * FROM crimes"}, 0, nil); err != nil || r.rows() != 3 {
			t.Errorf("after all that: %v", err)
		}
	})

	server.Exec("CREATE TABLE many AS SELECT i, repeat('x', 200) AS x FROM generate_series(1, 200000) i; ANALYZE many")
	many := Query{URL: server.URL, SQL: "SELECT * FROM many", RangeRows: 30_000}

	t.Run("ranges", func(t *testing.T) {
		r, _, err := readAll(t.Context(), many, 0, nil)
		if err != nil || len(r.ranges) != 4 || r.rows() != 200_000 {
			t.Fatalf("%v: %d ranges", err, len(r.ranges))
		}
		seen, last := map[string]bool{}, ""
		for i, rows := range r.ranges {
			if len(rows) < 40_000 || len(rows) > 60_000 {
				t.Errorf("range %d has %d rows", i, len(rows))
			}
			most := last
			for _, row := range rows {
				if row[0] <= last || seen[row[0]] {
					t.Fatalf("range %d has %s, the one before went to %s", i, row[0], last)
				}
				seen[row[0]], most = true, max(most, row[0])
			}
			last = most
		}
	})

	t.Run("ranges of a key that is null, blank or quoted", func(t *testing.T) {
		r, _, err := readAll(t.Context(), Query{URL: server.URL, RangeRows: 1000,
			SQL: "SELECT CASE WHEN i % 5 = 0 THEN NULL WHEN i % 5 = 1 THEN '' ELSE 'O''Neil\\' || i END AS k FROM many"}, 0, nil)
		if err != nil || len(r.ranges) < 2 || r.rows() != 200_000 {
			t.Fatalf("%v", err)
		}
		for i, rows := range r.ranges {
			for _, row := range rows {
				if row[0] == "" && i > 0 {
					t.Fatal("a row without a key is not in the first range")
				}
			}
		}
	})

	t.Run("no more connections than there are", func(t *testing.T) {
		server.Exec("CREATE ROLE alone LOGIN CONNECTION LIMIT 1; GRANT SELECT ON many TO alone")
		q := many
		q.URL = strings.Replace(q.URL, "reader@", "alone@", 1)
		if r, _, err := readAll(t.Context(), q, 0, nil); err != nil || len(r.ranges) != 4 || r.rows() != 200_000 {
			t.Errorf("%v", err)
		}
	})

	t.Run("without the right to read", func(t *testing.T) {
		q := Query{URL: strings.Replace(server.URL, "reader@", "alone@", 1), SQL: "SELECT * FROM crimes"}
		if _, _, err := readAll(t.Context(), q, 0, nil); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "the user may not read that") {
			t.Error(err)
		}
	})

	t.Run("what others do meanwhile is not seen, and they do not wait", func(t *testing.T) {
		r, _, err := readAll(t.Context(), many, 0, func() {
			server.Exec("SET lock_timeout = '1s'; DELETE FROM many WHERE i % 2 = 0; INSERT INTO many VALUES (0, 'new')")
		})
		if err != nil || r.rows() != 200_000 {
			t.Errorf("%v", err)
		}
	})

	// idle makes sure that the server does nothing for us any more, within seconds.
	idle := func(t *testing.T) {
		t.Helper()
		conn, err := pgx.Connect(t.Context(), server.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(t.Context())
		left := -1
		for range 50 {
			if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'harmstack'").Scan(&left); err != nil {
				t.Fatal(err)
			}
			if left == 0 {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
		t.Errorf("%d connections are left on the server", left)
	}

	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(300*time.Millisecond, cancel)
		start := time.Now()
		_, _, err := readAll(ctx, Query{URL: server.URL, SQL: "SELECT i, pg_sleep(1) AS x FROM many", RangeRows: 1000}, 0, nil)
		if !errors.Is(err, context.Canceled) || time.Since(start) > 10*time.Second {
			t.Errorf("%v after %s", err, time.Since(start))
		}
		idle(t)
	})

	t.Run("a range that takes too long ends the others", func(t *testing.T) {
		// Only the last range sleeps, and only when it is read: not in the sample.
		start := time.Now()
		_, _, err := readAll(t.Context(), Query{URL: server.URL, RangeRows: 30_000, Timeout: yamlfile.Span(3 * time.Second),
			SQL: "SELECT i, CASE WHEN i = 99999 THEN pg_sleep(60)::text END AS x FROM many"}, 0, nil)
		if err == nil || !strings.Contains(err.Error(), "longer than the timeout") || time.Since(start) > 20*time.Second {
			t.Errorf("%v after %s", err, time.Since(start))
		}
		idle(t)
	})

	t.Run("an idle view is kept", func(t *testing.T) {
		s, err := Open(t.Context(), Query{URL: server.URL, SQL: "SELECT * FROM crimes"})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if _, err := s.conn.Exec(t.Context(), "SET LOCAL idle_in_transaction_session_timeout = '700ms'"); err != nil {
			t.Fatal(err)
		}
		stop := s.keep(t.Context(), 200*time.Millisecond)
		time.Sleep(1500 * time.Millisecond)
		stop()
		if rows, _, err := s.Stamps(t.Context(), Selection{Updated: 1}); err != nil || rows != 3 {
			t.Errorf("%d rows, %v", rows, err)
		}
		time.Sleep(1500 * time.Millisecond)
		if _, _, err := s.Stamps(t.Context(), Selection{Updated: 1}); err == nil || errors.Is(err, ErrRefused) {
			t.Errorf("after the server dropped it: %v", err)
		}
	})

	t.Run("killed in the middle", func(t *testing.T) {
		_, _, err := readAll(t.Context(), many, 0, server.Kill)
		if err == nil || errors.Is(err, ErrRefused) || !strings.HasPrefix(err.Error(), "PostgreSQL, read: ") {
			t.Errorf("a result that broke off: %v", err)
		}
		server.Restart()
		if r, _, err := readAll(t.Context(), many, 0, nil); err != nil || r.rows() != 100_001 {
			t.Errorf("after it: %v", err)
		}
	})
}

// The stamps are those that anybody would compute who reads the definition.
func TestStamps(t *testing.T) {
	server := pgtest.Start(t)
	server.Exec(`CREATE TABLE crimes (ref text, at timestamptz, local timestamp);
		INSERT INTO crimes VALUES ('C1', '2026-07-01 09:30:00.123456+01', '2026-07-01 09:30'), ('C1', '2026-07-01 09:30:00.123456+01', '2026-07-01 09:30'),
		('ünï', NULL, 'infinity'), (NULL, '1969-12-31 23:59:59.9Z', '0044-03-15 BC'), ('', '-infinity', '9999-12-31 23:59:59.999999')`)
	for column, lines := range map[int][]string{
		1: {"C1|1782894600123456", "C1|1782894600123456", "ünï|", "|-100000", "|"},
		2: {"C1|1782898200000000", "C1|1782898200000000", "ünï|", "|", "|253402300799999999"},
	} {
		want := new(big.Int)
		for _, line := range lines {
			sum := sha256.Sum256([]byte(line))
			want.Add(want, new(big.Int).SetUint64(binary.BigEndian.Uint64(sum[:8])&(1<<60-1)))
		}
		s, err := Open(t.Context(), Query{URL: server.URL, SQL: "SELECT * FROM crimes"})
		if err != nil {
			t.Fatal(err)
		}
		rows, sum, err := s.Stamps(t.Context(), Selection{Updated: column})
		if err != nil || rows != 5 || sum != want.String() {
			t.Errorf("column %d: %d rows, %s, %v: want %s", column, rows, sum, err, want)
		}
		s.Close()
	}
}

// Messages may end anywhere.
func TestDecoderTakesAnyMessage(t *testing.T) {
	text := []byte(signature + "\x00\x00\x00\x00\x00\x00\x00\x00")
	var want []string
	for i := range 50 {
		value := strings.Repeat("v", i)
		text = append(binary.BigEndian.AppendUint32(append(text, 0, 1), uint32(len(value))), value...)
		want = append(want, value)
	}
	text = append(text, 0xff, 0xff)
	for size := 1; size < 40; size++ {
		var got []string
		d := &decoder{fields: make([]field, 1), record: make([]string, 1), row: func(r []string) error {
			got = append(got, strings.Clone(r[0]))
			return nil
		}}
		for rest := text; len(rest) > 0; rest = rest[min(size, len(rest)):] {
			if _, err := d.Write(rest[:min(size, len(rest))]); err != nil {
				t.Fatal(err)
			}
		}
		if !d.ended || !reflect.DeepEqual(got, want) {
			t.Fatalf("messages of %d bytes: %d rows", size, len(got))
		}
	}
	for _, wrong := range []string{"PGCOPY\nxx\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00", signature + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07"} {
		if _, err := (&decoder{fields: make([]field, 1), record: make([]string, 1)}).Write([]byte(wrong)); err == nil {
			t.Errorf("%q is taken", wrong)
		}
	}
}
