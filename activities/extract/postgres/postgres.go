// Package postgres reads the result of a query out of a force's PostgreSQL, by several connections in one snapshot,
// without writing anything and without a lock that others would wait for.
//
// It must not know what the columns mean.
package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"harmstack/schemas/fault"
	"harmstack/schemas/yamlfile"
)

// ErrRefused is returned for a query or a login that the database will not take, however often it is asked.
var ErrRefused = fault.New(fault.SourceRefused, "the database refuses")

// Query declares what is read.
type Query struct {
	// URL of the database, as for psql: postgres://reader@host/database. A password stands in PGPASSWORD or
	// in the file that PGPASSFILE names, never here.
	URL string `yaml:"url"`
	// TLS is verified (default) or unverified: whether the server must prove who it is, unless it is on this machine.
	TLS string `yaml:"tls"`
	// SQL is one SELECT.
	SQL string `yaml:"query"`
	// Timeout is how long each statement may take; 0: an hour.
	Timeout yamlfile.Span `yaml:"timeout"`
	// Connections is how many may read a large result at once; 0: up to four.
	Connections int `yaml:"connections"`

	// RangeRows is from how many rows on a range is worth a connection of its own; 0: half a million.
	RangeRows int64 `yaml:"-"`
}

// Validate refuses a query that cannot be meant, without repeating the URL.
func (q Query) Validate() error {
	c, err := pgx.ParseConfig(q.URL)
	switch {
	case q.URL == "" || err != nil || !strings.Contains(q.URL, "://"):
		return yamlfile.Wrong("postgres.url", "give the database as postgres://reader@host/database")
	case strings.TrimSpace(q.SQL) == "":
		return yamlfile.Wrong("postgres.query", "give a SELECT")
	case q.Connections < 0 || q.Connections > maxConnections:
		return yamlfile.Wrong("postgres.connections", "it is %d, give 1 to %d", q.Connections, maxConnections)
	}
	bare, err := pgx.ParseConfig(withoutPassword(q.URL))
	if err != nil || bare.Password != c.Password {
		return yamlfile.Wrong(
			"postgres.url",
			"it holds a password: give it in PGPASSWORD, or in the file that PGPASSFILE names",
		)
	}
	if q.TLS != "" && q.TLS != verified && q.TLS != unverified {
		return yamlfile.Wrong("postgres.tls", "give verified, or unverified where nobody can listen or answer for it")
	}
	if q.TLS != unverified && !proven(c) {
		return yamlfile.Wrong("postgres.url", "the server need not prove who it is: add sslmode=verify-full "+
			"(with sslrootcert for an authority of your own), or say tls: unverified")
	}
	return nil
}

// What Query.TLS may say.
const (
	verified   = "verified"
	unverified = "unverified"
)

// proven tells whether every server that may be spoken to is on this machine, or proves by a certificate that it has
// the name it is called by (sslmode=verify-full).
func proven(c *pgx.ConnConfig) bool {
	safe := func(host string, t *tls.Config) bool {
		ip := net.ParseIP(host)
		return host == "localhost" || ip != nil && ip.IsLoopback() || strings.HasPrefix(host, "/") ||
			t != nil && !t.InsecureSkipVerify
	}
	for _, f := range c.Fallbacks {
		if !safe(f.Host, f.TLSConfig) {
			return false
		}
	}
	return safe(c.Host, c.TLSConfig)
}

// withoutPassword cuts a password out of a URL, in either place where it may stand.
func withoutPassword(url string) string {
	scheme, rest, _ := strings.Cut(url, "://")
	if user, host, ok := strings.Cut(rest, "@"); ok {
		user, _, _ = strings.Cut(user, ":")
		rest = user + "@" + host
	}
	if address, query, ok := strings.Cut(rest, "?"); ok {
		var kept []string
		for _, p := range strings.Split(query, "&") {
			if !strings.HasPrefix(strings.ToLower(p), "password") {
				kept = append(kept, p)
			}
		}
		rest = address + "?" + strings.Join(kept, "&")
	}
	return scheme + "://" + rest
}

// explain says what went wrong without a value of a row, a password or an address in it.
func explain(ctx context.Context, step string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var refused *pgconn.PgError
	if errors.As(err, &refused) {
		text := fmt.Sprintf("PostgreSQL, %s: error %s", step, refused.Code)
		if refused.Position > 0 {
			text += fmt.Sprintf(" at character %d of the query", refused.Position)
		}
		// Class 08: connection; 53: resources; 57: an operator's intervention; 40: a conflict; 55: a lock.
		switch refused.Code[:2] {
		case "08", "53", "57", "40", "55":
			return fmt.Errorf("%s (%s): it may pass", text, meaning(refused.Code))
		}
		return fmt.Errorf("%w: %s (%s)", ErrRefused, text, meaning(refused.Code))
	}
	var network net.Error
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return fmt.Errorf("PostgreSQL, %s: the connection broke off", step)
	case errors.As(err, &network):
		return fmt.Errorf("PostgreSQL, %s: no connection: is the server there?", step)
	}
	return fmt.Errorf("PostgreSQL, %s: it failed", step)
}

// meaning puts the usual errors into words.
func meaning(code string) string {
	switch code {
	case "28P01", "28000":
		return "the login is refused: check the user and PGPASSWORD"
	case "3D000":
		return "there is no such database"
	case "42P01":
		return "there is no such table"
	case "42703":
		return "there is no such column"
	case "42601":
		return "the SQL cannot be read"
	case "42501":
		return "the user may not read that"
	case "25006":
		return "the query writes: only reading is allowed"
	case "57014":
		return "it took longer than the timeout"
	case "57P01", "57P02":
		return "the server was stopped"
	case "55P03":
		return "no lock could be taken within five seconds"
	}
	return "see the PostgreSQL manual, appendix A"
}
