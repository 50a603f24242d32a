package postgres

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgtype"
	"golang.org/x/sync/errgroup"
)

const (
	maxConnections     = 32
	defaultConnections = 4
	defaultRangeRows   = 500_000
	// sampleRows is of how many rows the keys are looked at to cut ranges that are alike.
	sampleRows = 20_000
)

// Column is a column of a result.
type Column struct {
	Name string
	Type Type
}

// Type is what a column's values are given as.
type Type uint8

// The types that matter here; everything else is Text, as PostgreSQL writes it.
const (
	Text        Type = iota
	Bool             // "t" or "f"
	Timestamptz      // an instant
	Timestamp        // a time of day in no zone
)

// Snapshot is one view of a database: what others change meanwhile is not in it. It is for one goroutine.
type Snapshot struct {
	// Columns of the query, in its order.
	Columns []Column
	// At is the database's time of the snapshot.
	At time.Time

	query Query
	sql   string
	conn  *pgx.Conn
	id    string // for other connections; empty when they cannot have it
	bytes bool   // whether the database orders text by UTF-8's bytes, as Go does
}

// Open begins a snapshot and understands the query, without running it.
func Open(ctx context.Context, q Query) (*Snapshot, error) {
	if err := q.Validate(); err != nil {
		return nil, err
	}
	s := &Snapshot{query: q, sql: bare(q.SQL)}
	conn, err := s.connect(ctx)
	if err != nil {
		return nil, explain(ctx, "connect", err)
	}
	s.conn = conn
	if err := s.begin(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// bare is a statement without what ends it.
func bare(sql string) string { return strings.TrimRight(strings.TrimSpace(sql), "; \n\t") }

// With is another query in the same snapshot, on the same connection: of the two only one may be at work. It ends with
// the snapshot.
func (s *Snapshot) With(ctx context.Context, sql string) (*Snapshot, error) {
	other := *s
	other.sql, other.Columns = bare(sql), nil
	return &other, other.describe(ctx)
}

// Each gives some columns of every row, as text, in no order; a null is blank. A record has as many fields as the query
// has columns, and is valid during the call only.
func (s *Snapshot) Each(ctx context.Context, columns []int, row func(record []string) error) error {
	sel := Selection{Read: columns}
	_, err := s.copy(ctx, s.conn, sel, s.from(sel), row)
	return err
}

func (s *Snapshot) begin(ctx context.Context) error {
	if err := s.set(ctx, s.conn, ""); err != nil {
		return explain(ctx, "begin", err)
	}
	if err := s.conn.QueryRow(ctx, "SELECT pg_export_snapshot()").Scan(&s.id); err != nil {
		if ctx.Err() != nil || s.conn.IsClosed() {
			return explain(ctx, "begin", err)
		}
		// A server that keeps its snapshots to itself is read by one connection.
		if _, err := s.conn.Exec(ctx, "ROLLBACK"); err != nil {
			return explain(ctx, "begin", err)
		}
		if err := s.set(ctx, s.conn, ""); err != nil {
			return explain(ctx, "begin", err)
		}
	}
	var encoding string
	if err := s.conn.QueryRow(ctx, "SELECT now(), current_setting('server_encoding')").Scan(&s.At, &encoding); err != nil {
		return explain(ctx, "begin", err)
	}
	s.At, s.bytes = s.At.UTC(), encoding == "UTF8" || encoding == "SQL_ASCII"
	return s.describe(ctx)
}

// describe asks which columns the query has.
func (s *Snapshot) describe(ctx context.Context) error {
	described, err := s.conn.Prepare(ctx, "", s.sql)
	if err != nil {
		return explain(ctx, "query", err) // with the position in the query itself
	}
	for _, f := range described.Fields {
		s.Columns = append(s.Columns, Column{f.Name, map[uint32]Type{
			pgtype.BoolOID: Bool, pgtype.TimestamptzOID: Timestamptz, pgtype.TimestampOID: Timestamp}[f.DataTypeOID]})
	}
	return nil
}

// MayRead asks whether the user may read what the query names, without running it. Open, which only has the query
// planned, is not told.
func (s *Snapshot) MayRead(ctx context.Context) error {
	_, err := s.conn.Exec(ctx, "EXPLAIN "+s.sql)
	return explain(ctx, "query", err)
}

// connect opens a connection that asks the server to stop when the context ends.
func (s *Snapshot) connect(ctx context.Context) (*pgx.Conn, error) {
	c, err := pgx.ParseConfig(s.query.URL)
	if err != nil {
		return nil, err
	}
	c.ConnectTimeout = 20 * time.Second
	c.DefaultQueryExecMode = pgx.QueryExecModeExec // nothing is kept on the server, for a pool's sake
	c.RuntimeParams["application_name"] = "harmstack"
	c.RuntimeParams["timezone"], c.RuntimeParams["datestyle"], c.RuntimeParams["client_encoding"] = "UTC", "ISO", "UTF8"
	c.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		return pgproto3.NewFrontend(bufio.NewReaderSize(r, 256<<10), w)
	}
	c.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: conn, DeadlineDelay: 2 * time.Second}
	}
	return pgx.ConnectConfig(ctx, c)
}

// set begins a transaction, in the snapshot of that name if there is one. The settings are the transaction's own, so
// that they pass through a pool that shares connections by transaction.
func (s *Snapshot) set(ctx context.Context, conn *pgx.Conn, snapshot string) error {
	timeout := cmp.Or(time.Duration(s.query.Timeout), time.Hour)
	sql := "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
	if snapshot != "" {
		sql += "SET TRANSACTION SNAPSHOT " + literal(snapshot) + ";"
	}
	sql += fmt.Sprintf(
		"SET LOCAL lock_timeout = '5s'; SET LOCAL statement_timeout = %d; SET LOCAL idle_in_transaction_session_timeout = '60s';"+
			"SET LOCAL standard_conforming_strings = on; SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO'; SET LOCAL intervalstyle = 'postgres';"+
			"SET LOCAL bytea_output = 'hex'; SET LOCAL extra_float_digits = 1",
		timeout.Milliseconds(),
	)
	_, err := conn.PgConn().Exec(ctx, sql).ReadAll()
	return err
}

// Close ends the snapshot. Nothing was written.
func (s *Snapshot) Close() { closeConn(s.conn) }

func closeConn(conn *pgx.Conn) {
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Second)
	defer stop()
	_ = conn.Close(ctx)
}

// Keep holds an idle snapshot open until it is stopped: servers and firewalls drop connections that say nothing. A
// connection that is gone shows when it is next used.
func (s *Snapshot) Keep(ctx context.Context) (stop func()) { return s.keep(ctx, 10*time.Second) }

func (s *Snapshot) keep(ctx context.Context, every time.Duration) (stop func()) {
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-done:
				return
			case <-ctx.Done():
				return
			case <-time.After(every):
				_, _ = s.conn.Exec(ctx, "SELECT 1")
			}
		}
	}()
	return sync.OnceFunc(func() { close(done); <-stopped })
}

// Selection is which rows and columns of the query are read.
type Selection struct {
	// Key is the column that tells rows apart; a blank one and a null are one.
	Key int
	// Read are the columns that are read; of them Exact are given as instants.
	Read  []int
	Exact map[int]bool

	// Window is a column of time, and Since from when on rows are in it; one without a time is. Nil: all are.
	Window *int
	Since  time.Time
	// Updated is the column of a row's last change; of Stamps and Changed.
	Updated int
}

// name is a column as SQL, in the query's alias q.
func (s *Snapshot) name(column int) string {
	return "q." + pgx.Identifier{s.Columns[column].Name}.Sanitize()
}

// key is the key as SQL: text, never null, in the order of bytes.
func (s *Snapshot) key(sel Selection) string {
	return fmt.Sprintf(`coalesce(%s::text, '') COLLATE pg_catalog."C"`, s.name(sel.Key))
}

// instant is a column of time as SQL: null where it is none, or one that no text can name.
func (s *Snapshot) instant(column int) string {
	at := s.name(column)
	return fmt.Sprintf(
		"CASE WHEN %s BETWEEN %s AND %s THEN %s END",
		at,
		s.moment(column, firstYear),
		s.moment(column, lastYear),
		at,
	)
}

// from is the query as SQL, with its window.
func (s *Snapshot) from(sel Selection, conditions ...string) string {
	sql := " FROM (" + s.sql + "\n) AS q"
	if sel.Window != nil {
		at := s.name(*sel.Window)
		conditions = append(
			conditions,
			fmt.Sprintf("(%s >= %s OR %s IS NULL)", at, s.moment(*sel.Window, sel.Since), at),
		)
	}
	if len(conditions) > 0 {
		sql += " WHERE " + strings.Join(conditions, " AND ")
	}
	return sql
}

func literal(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// moment is an instant as SQL, of the column's own type so that an index will do: without a zone it is UTC.
func (s *Snapshot) moment(column int, t time.Time) string {
	text := t.UTC().Format("2006-01-02 15:04:05.999999")
	if s.Columns[column].Type == Timestamp {
		return "timestamp " + literal(text)
	}
	return "timestamptz " + literal(text+"+00")
}

// The years that a text of ISO 8601 can name.
var firstYear, lastYear = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)

// Stamps counts the rows and sums up, over all of them in whatever order, the last 60 of the first 64 bits of sha256
// over key, bar and updated in microseconds since 1970: "C1|1751360400000000", without what is null. Two results of
// which both are equal hold the same rows in the same versions, as far as versions are told by updated.
func (s *Snapshot) Stamps(ctx context.Context, sel Selection) (rows int64, sum string, err error) {
	text := fmt.Sprintf(
		"coalesce(%s::text, '') || '|' || coalesce(((extract(epoch FROM %s) * 1000000)::bigint)::text, '')",
		s.name(sel.Key),
		s.instant(sel.Updated),
	)
	sql := "SELECT count(*), coalesce(sum(('x' || encode(substr(sha256(convert_to(" + text + ", 'UTF8')), 1, 8), 'hex'))::bit(64)::bigint & 1152921504606846975), 0)::text"
	err = s.conn.QueryRow(ctx, sql+s.from(sel)).Scan(&rows, &sum)
	return rows, sum, explain(ctx, "count", err)
}

// Greatest is the greatest value of a column, as text; empty: there is none.
func (s *Snapshot) Greatest(ctx context.Context, column int) (text string, err error) {
	err = s.conn.QueryRow(ctx, "SELECT coalesce(max("+s.name(column)+")::text, '')"+s.from(Selection{})).Scan(&text)
	return text, explain(ctx, "newest", err)
}

// Changed gives all rows of the keys that have a row without a time of change, or with one from since on.
func (s *Snapshot) Changed(ctx context.Context, sel Selection, since time.Time, row func(record []string) error) error {
	updated := s.name(sel.Updated)
	keys := "SELECT " + s.key(sel) + s.from(sel, fmt.Sprintf("(%s >= %s OR %s IS NULL OR %s < %s)",
		updated, s.moment(sel.Updated, since), updated, updated, s.moment(sel.Updated, firstYear)))
	_, err := s.copy(ctx, s.conn, sel, s.from(sel, s.key(sel)+" IN ("+keys+")"), row)
	return err
}

// Read gives every row once, in ranges of the key, several at a time when there are many rows. All keys of a range are
// less than those of the next, by bytes. begin is told how many ranges there are; row gets the rows of the i-th, and
// done is called at its end. Those two are called by several goroutines, but for one range by one.
func (s *Snapshot) Read(
	ctx context.Context,
	sel Selection,
	begin func(ranges int) error,
	row func(i int, record []string) error,
	done func(i int) error,
) error {
	cuts, err := s.cuts(ctx, sel)
	if err != nil {
		return err
	}
	conditions := make([]string, len(cuts)+1)
	todo := make(chan int, len(conditions))
	for i := range conditions {
		key := fmt.Sprintf(`%s::text COLLATE pg_catalog."C"`, s.name(sel.Key)) // so that an index will do
		switch {
		case len(cuts) == 0:
		case i == 0:
			conditions[i] = fmt.Sprintf("(%s < %s OR %s IS NULL)", key, literal(cuts[i]), key)
		case i == len(cuts):
			conditions[i] = key + " >= " + literal(cuts[i-1])
		default:
			conditions[i] = key + " >= " + literal(cuts[i-1]) + " AND " + key + " < " + literal(cuts[i])
		}
		todo <- i
	}
	close(todo)
	if err := begin(len(conditions)); err != nil {
		return err
	}
	conns := append([]*pgx.Conn{s.conn}, s.others(ctx, len(conditions)-1)...)
	g, ctx := errgroup.WithContext(ctx)
	for n, conn := range conns {
		g.Go(func() error {
			if n > 0 {
				defer closeConn(conn)
			}
			for i := range todo {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				from := s.from(sel)
				if conditions[i] != "" {
					from = s.from(sel, conditions[i])
				}
				if _, err := s.copy(ctx, conn, sel, from, func(record []string) error { return row(i, record) }); err != nil {
					return err
				}
				if err := done(i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// others opens further connections in the same snapshot: as many as the server gives, perhaps none. When a pool
// leads to another server, or a limit is reached, the ranges wait for each other.
func (s *Snapshot) others(ctx context.Context, n int) (conns []*pgx.Conn) {
	for range n {
		conn, err := s.connect(ctx)
		if err != nil {
			return conns
		}
		if err := s.set(ctx, conn, s.id); err != nil {
			closeConn(conn)
			return conns
		}
		conns = append(conns, conn)
	}
	return conns
}

// cuts are the keys at which ranges begin: none for a small result. What they are changes how fast it goes, nothing
// else.
func (s *Snapshot) cuts(ctx context.Context, sel Selection) ([]string, error) {
	most := cmp.Or(s.query.Connections, defaultConnections)
	if s.id == "" || !s.bytes || most == 1 {
		return nil, nil
	}
	var plan []byte
	if err := s.conn.QueryRow(ctx, "EXPLAIN (FORMAT JSON) SELECT"+s.from(sel)).Scan(&plan); err != nil {
		return nil, explain(ctx, "plan", err)
	}
	var planned []struct {
		Plan struct {
			Rows float64 `json:"Plan Rows"`
		}
	}
	if err := json.Unmarshal(plan, &planned); err != nil || len(planned) != 1 {
		return nil, errors.New("PostgreSQL, plan: it cannot be read")
	}
	n := min(most, int(planned[0].Plan.Rows/float64(cmp.Or(s.query.RangeRows, defaultRangeRows)))+1)
	if n <= 1 {
		return nil, nil
	}
	rows, err := s.conn.Query(
		ctx,
		"SELECT "+s.key(sel)+s.from(sel, fmt.Sprintf("random() < %g", sampleRows/planned[0].Plan.Rows)),
	)
	if err != nil {
		return nil, explain(ctx, "sample", err)
	}
	keys, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, explain(ctx, "sample", err)
	}
	slices.Sort(keys)
	var cuts []string
	for i := 1; i < n && len(keys) >= n; i++ {
		cut := keys[len(keys)*i/n]
		if cut != "" && (len(cuts) == 0 || cut != cuts[len(cuts)-1]) {
			cuts = append(cuts, cut)
		}
	}
	return cuts, nil
}
