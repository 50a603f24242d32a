package digest_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"harmstack/activities/messages/digest"
)

// A probe goes as far as a message would, and sends none.
func TestProbeSMTP(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	for _, c := range []struct {
		scenario string
		offers   digest.TLS
		change   func(*digest.SMTPConfig)
		says     string
	}{
		{"a server that takes mail", digest.STARTTLS, nil, ""},
		{"with a login", digest.STARTTLS, func(c *digest.SMTPConfig) { c.Username, c.Password = "harmstack", "hunter2" }, ""},
		{"encrypted from the first byte", digest.ImplicitTLS, nil, ""},
		{"in plain text", digest.NoTLS, nil, ""},
		{"a server that is down", "", nil, "connection refused"},
		{"a refused login", digest.STARTTLS, func(c *digest.SMTPConfig) { c.Username, c.Password = "harmstack", "wrong" }, "refused for good"},
		{"no TLS where it must be", digest.NoTLS, func(c *digest.SMTPConfig) { c.TLS = digest.STARTTLS }, "STARTTLS"},
		{"a certificate of nobody known", digest.STARTTLS, func(c *digest.SMTPConfig) { c.RootCAs = nil }, "certificate"},
		{"a sender that cannot be read", "", func(c *digest.SMTPConfig) { c.From = "nobody" }, "sender cannot be read"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			s := &server{}
			config := configFor(gone, digest.STARTTLS, nil)
			if c.offers != "" {
				config = start(t, s, c.offers)
			}
			if c.change != nil {
				c.change(&config)
			}
			err := digest.ProbeSMTP(t.Context(), config)
			if (err == nil) != (c.says == "") || err != nil && (!strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "hunter2")) {
				t.Errorf("%v", err)
			}
			if len(s.mails)+s.rcpts+s.datas > 0 {
				t.Error("somebody was written to")
			}
		})
	}
}

func TestProbeOutbox(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ scenario, folder, says string }{
		{"one that is there", dir, ""},
		{"one that can be made", filepath.Join(dir, "a", "b"), ""},
		{"a file", file, "is no folder"},
		{"below a file", filepath.Join(file, "outbox"), "not a directory"},
		{"where nobody writes", "/proc/outbox", "outbox folder"},
	} {
		if err := digest.ProbeOutbox(c.folder); (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.scenario, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("it leaves %v behind: %v", left, err)
	}
	if _, err := os.Stat("/proc/outbox"); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
