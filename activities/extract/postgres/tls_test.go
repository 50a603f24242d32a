package postgres

import (
	"strings"
	"testing"
)

// A password and the rows go only to a server that proves its name, unless it is this machine or somebody says otherwise.
func TestServerMustProveItsName(t *testing.T) {
	for _, name := range []string{"PGSSLMODE", "PGHOST", "PGSERVICE"} {
		t.Setenv(name, "")
	}
	for _, c := range []struct {
		scenario, url, tls string
		taken              bool
	}{
		{"nothing said", "postgres://r@db.example/c", "", false},
		{"none", "postgres://r@db.example/c?sslmode=disable", "", false},
		{"if the server likes", "postgres://r@db.example/c?sslmode=prefer", "", false},
		{"encrypted to anybody", "postgres://r@db.example/c?sslmode=require", "", false},
		{"a name that is not looked at", "postgres://r@db.example/c?sslmode=verify-ca", "", false},
		{"proven", "postgres://r@db.example/c?sslmode=verify-full", "", true},
		{"proven, in words", "postgres://r@db.example/c?sslmode=verify-full", "verified", true},
		{"unproven, in words", "postgres://r@db.example/c", "unverified", true},
		{"a word that is none", "postgres://r@db.example/c?sslmode=verify-full", "no", false},
		{"this machine", "postgres://r@localhost/c", "", true},
		{"its address", "postgres://r@127.0.0.1/c?sslmode=disable", "", true},
		{"its newer address", "postgres://r@[::1]/c", "", true},
		{"its socket", "postgres:///c?host=/var/run/postgresql&user=r", "", true},
		{"a name that begins alike", "postgres://r@localhost.evil.example/c", "", false},
		{"another beside it", "postgres://r@localhost,db.example/c", "", false},
	} {
		err := Query{URL: c.url, SQL: "SELECT 1", TLS: c.tls}.Validate()
		if (err == nil) != c.taken || err != nil && strings.Contains(err.Error(), "example") {
			t.Errorf("%s: %v", c.scenario, err)
		}
	}
}
