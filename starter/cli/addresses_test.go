package cli

import (
	"net"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"harmstack/activities/casework/teams"
	"harmstack/activities/messages/digest"
	"harmstack/schemas/reference"
	"harmstack/worker/config"
)

// An address with letters beyond ASCII before the @ is a fault where the mail server cannot take it, and named by its
// team and place; one with such a host is none, for that goes out in punycode.
func TestDoctorOnAddressesBeyondASCII(t *testing.T) {
	t.Parallel()
	declared := strings.Replace(string(teams.Example()), `["Bexley VAWG <vawg.bexley@example.police.uk>"]`, `[a@bexley-münchen.example, müller@bexley.example]`, 1)
	who, err := teams.Parse([]byte(declared), os.Getenv, reference.Default())
	if err != nil {
		t.Fatal(err)
	}
	wide := beyondASCII(who)
	if !slices.Equal(wide, []string{"Bexley, address 2 of 2"}) {
		t.Fatalf("%q", wide)
	}
	for _, c := range []struct {
		scenario string
		able     bool
		says     string // empty: no fault
	}{
		{"a server without SMTPUTF8", false, "the mail server takes no letters beyond ASCII before the @ (it has no SMTPUTF8): give another address for Bexley, address 2 of 2"},
		{"a server with it", true, ""},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			t.Parallel()
			server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return quietSession{}, nil }))
			server.Domain, server.EnableSMTPUTF8 = "localhost", c.able
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			go server.Serve(listener)
			t.Cleanup(func() { server.Close() })
			address := listener.Addr().(*net.TCPAddr)
			err = examineWide(t.Context(), config.Mail{SMTP: digest.SMTPConfig{Host: "127.0.0.1", Port: address.Port, TLS: digest.NoTLS, From: "harmstack@example.police.uk"}}, wide)
			if c.says == "" && err != nil || c.says != "" && (err == nil || err.Error() != c.says) {
				t.Errorf("%v", err)
			}
		})
	}
	if err := examineWide(t.Context(), config.OutboxMail(t.TempDir()), wide); err != nil {
		t.Errorf("a folder: %v", err)
	}
}

// quietSession takes nothing: the server is only looked at.
type quietSession struct{ smtp.Session }

func (quietSession) Reset()        {}
func (quietSession) Logout() error { return nil }
