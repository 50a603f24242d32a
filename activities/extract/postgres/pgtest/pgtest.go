// Package pgtest starts a real PostgreSQL for a test, and stops it after. It must not know what the test reads there,
// and nothing but tests may import it.
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Server is a running PostgreSQL.
type Server struct {
	// URL of its database, for a user who needs no password.
	URL string

	t      testing.TB
	bin    string
	data   string
	socket string
	as     *syscall.SysProcAttr
}

// Start makes a database cluster in a temporary folder and starts it, listening on a socket alone. Without a
// PostgreSQL on the machine the test is skipped, unless HARMSTACK_E2E is full, as in CI: then there must be one.
func Start(t testing.TB) *Server {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if path, err := exec.LookPath("initdb"); err == nil {
		found = append(found, path)
	}
	if len(found) == 0 {
		if os.Getenv("HARMSTACK_E2E") == "full" {
			t.Fatal("there is no initdb: install postgresql")
		}
		t.Skip("there is no initdb: install postgresql")
	}
	// A socket's path may not be long.
	folder, err := os.MkdirTemp("/tmp", "pg")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, bin: filepath.Dir(found[len(found)-1]), data: filepath.Join(folder, "data"), socket: folder}
	t.Cleanup(func() {
		if err := s.pgctl("stop", "-m", "immediate"); err != nil {
			t.Log(err)
		}
		os.RemoveAll(folder)
	})
	if os.Geteuid() == 0 {
		s.demote(folder)
	}
	s.run("initdb", "-D", s.data, "-U", "reader", "-A", "trust", "-E", "UTF8", "--locale", "C", "--no-sync")
	s.Restart()
	// For a user who needs no password.
	s.URL = "postgres://reader@/postgres?host=" + folder
	return s
}

// demote makes PostgreSQL run as somebody else, for it refuses to be root.
func (s *Server) demote(folder string) {
	u, err := user.Lookup("postgres")
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			s.t.Fatal(err)
		}
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	if err := errors.Join(err1, err2, os.Chown(folder, int(uid), int(gid))); err != nil {
		s.t.Fatal(err)
	}
	s.as = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}

// Restart starts the server, again after a Kill.
func (s *Server) Restart() {
	s.t.Helper()
	if err := s.pgctl("start", "-w", "-l", filepath.Join(s.socket, "log"), "-o",
		fmt.Sprintf("-c listen_addresses='' -c unix_socket_directories='%s' -c fsync=off -c max_connections=20", s.socket)); err != nil {
		s.t.Fatal(err)
	}
}

// Kill stops the server as a power cut would.
func (s *Server) Kill() {
	s.t.Helper()
	if err := s.pgctl("stop", "-m", "immediate"); err != nil {
		s.t.Fatal(err)
	}
}

// Exec runs SQL statements.
func (s *Server) Exec(sql string) {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), s.URL)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.PgConn().Exec(s.t.Context(), sql).ReadAll(); err != nil {
		s.t.Fatal(err)
	}
}

func (s *Server) pgctl(args ...string) error {
	return s.command("pg_ctl", append([]string{"-D", s.data}, args...)...)
}

func (s *Server) run(name string, args ...string) {
	s.t.Helper()
	if err := s.command(name, args...); err != nil {
		s.t.Fatal(err)
	}
}

func (s *Server) command(name string, args ...string) error {
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.SysProcAttr, cmd.Dir = s.as, "/"
	out := filepath.Join(os.TempDir(), fmt.Sprintf("pgtest-%d.out", os.Getpid()))
	f, err := os.Create(out) // not a pipe, which the server would hold open
	if err != nil {
		return err
	}
	defer os.Remove(out)
	defer f.Close()
	cmd.Stdout, cmd.Stderr = f, f
	if err := cmd.Run(); err != nil {
		said, _ := os.ReadFile(out)
		return fmt.Errorf("%s: %w: %s", name, err, said)
	}
	return nil
}
