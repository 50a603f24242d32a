package digest_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"harmstack/activities/messages/digest"
)

// server is a mail server on loopback, and the envelope of every message it took.
type server struct {
	rcpt, data func(n int) error // the answer to the n-th of them, from 1; nil: yes
	rcpts      int
	datas      int
	from       string
	to         []string // asked for
	accepted   []string // and taken
	mails      []string
	envelopes  []string // to whom each went
	utf8       bool     // it has SMTPUTF8
	asked      bool     // the last sender asked for it
}

func (s *server) NewSession(*smtp.Conn) (smtp.Session, error) { return &session{s: s}, nil }

type session struct{ s *server }

func (x *session) AuthMechanisms() []string { return []string{sasl.Plain} }
func (x *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "harmstack" || password != "hunter2" {
			return smtp.ErrAuthFailed
		}
		return nil
	}), nil
}
func (x *session) Reset()        {}
func (x *session) Logout() error { return nil }
func (x *session) Mail(from string, o *smtp.MailOptions) error {
	x.s.from, x.s.to, x.s.accepted, x.s.asked = from, nil, nil, o.UTF8
	return nil
}
func (x *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	x.s.rcpts++
	x.s.to = append(x.s.to, to)
	if x.s.rcpt != nil {
		if err := x.s.rcpt(x.s.rcpts); err != nil {
			return err
		}
	}
	x.s.accepted = append(x.s.accepted, to)
	return nil
}
func (x *session) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	x.s.datas++
	if x.s.data != nil {
		if err := x.s.data(x.s.datas); err != nil {
			return err
		}
	}
	x.s.mails = append(x.s.mails, string(data))
	x.s.envelopes = append(x.s.envelopes, strings.Join(x.s.accepted, " "))
	return nil
}

// start runs the server and returns how to reach it. encryption is what it offers.
func start(t *testing.T, s *server, encryption digest.TLS) digest.SMTPConfig {
	t.Helper()
	pair, roots := certificate(t)
	backend := smtp.NewServer(s)
	backend.Domain, backend.ErrorLog, backend.EnableSMTPUTF8 = "mail.example", discard{}, s.utf8
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	config := configFor(listener, encryption, roots)
	switch encryption {
	case digest.STARTTLS:
		backend.TLSConfig = pair
	case digest.ImplicitTLS:
		listener = tls.NewListener(listener, pair)
	}
	served := make(chan error, 1)
	go func() { served <- backend.Serve(listener) }()
	t.Cleanup(func() {
		backend.Close()
		listener.Close() // also when the server had no time to begin
		if err := <-served; err != nil && !errors.Is(err, smtp.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	return config
}

type discard struct{}

func (discard) Printf(string, ...any) {}
func (discard) Println(...any)        {}

// certificate borrows the one for 127.0.0.1 that the standard library keeps for its tests.
func certificate(t *testing.T) (*tls.Config, *x509.CertPool) {
	web := httptest.NewTLSServer(nil)
	t.Cleanup(web.Close)
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	return &tls.Config{Certificates: web.TLS.Certificates, MinVersion: tls.VersionTLS12}, roots
}

func configFor(l net.Listener, encryption digest.TLS, roots *x509.CertPool) digest.SMTPConfig {
	host, port, _ := net.SplitHostPort(l.Addr().String())
	number, _ := strconv.Atoi(port)
	return digest.SMTPConfig{
		Host: host, Port: number, From: "Harmstack <harmstack@police.example>", TLS: encryption, RootCAs: roots, Timeout: 10 * time.Second,
	}
}

func mailer(t *testing.T, c digest.SMTPConfig) digest.Mailer {
	t.Helper()
	m, err := digest.NewSMTP(c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestDelivery(t *testing.T) {
	for _, c := range []struct {
		scenario   string
		encryption digest.TLS
		user       string
	}{
		{"STARTTLS and a login", digest.STARTTLS, "harmstack"},
		{"STARTTLS without a login", digest.STARTTLS, ""},
		{"encrypted from the first byte, and a login", digest.ImplicitTLS, "harmstack"},
		{"a relay in plain text", digest.NoTLS, ""},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			s := &server{}
			config := start(t, s, c.encryption)
			config.Username, config.Password = c.user, "hunter2"
			m := build(t, hackney(t))
			for range 2 {
				if err := mailer(t, config).Send(t.Context(), m); err != nil {
					t.Fatal(err)
				}
			}
			if s.from != "harmstack@police.example" || strings.Join(s.to, " ") != "vawg@hackney.example desk@hackney.example" {
				t.Errorf("envelope from %s to %s", s.from, s.to)
			}
			if len(s.mails) != 2 || s.mails[0] != s.mails[1] {
				t.Fatalf("%d messages, or the second is not the bytes of the first", len(s.mails))
			}
			checkReceived(t, m, []byte(s.mails[0]))
		})
	}
}

// Packs go to the addresses of their domains alone; the others get the same message without them. Whoever did not take
// it is asked again with what is theirs.
func TestPacksGoToTheirDomainsAlone(t *testing.T) {
	in := hackney(t)
	in.To, in.PackDomains = []string{"vawg@hackney.example", "desk@elsewhere.example", "lead@hackney.example"}, []string{"hackney.example"}
	m := build(t, in)
	done := map[string]bool{}
	type letter struct {
		to   string
		pack bool
	}
	for _, c := range []struct {
		scenario string
		rcpt     func(int) error
		done     string
		letters  []letter
		unmet    string
	}{
		{"all take it", nil, "", []letter{{"desk@elsewhere.example", false}, {"vawg@hackney.example lead@hackney.example", true}}, ""},
		{"those with packs have it", nil, "vawg@hackney.example lead@hackney.example", []letter{{"desk@elsewhere.example", false}}, ""},
		{"those without have it", nil, "desk@elsewhere.example lead@hackney.example", []letter{{"vawg@hackney.example", true}}, ""},
		{"one of the domain does not", on(2, reply(451)), "", []letter{{"desk@elsewhere.example", false}, {"lead@hackney.example", true}}, "vawg@hackney.example"},
		{"the one of another does not", on(1, reply(550)), "", []letter{{"vawg@hackney.example lead@hackney.example", true}}, "desk@elsewhere.example"},
		{"nobody of the domain does", each(nil, reply(451), reply(550)), "", []letter{{"desk@elsewhere.example", false}}, "vawg@hackney.example lead@hackney.example"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			s := &server{rcpt: c.rcpt}
			clear(done)
			for _, a := range strings.Fields(c.done) {
				done[a] = true
			}
			left, err := digest.Hand(t.Context(), mailer(t, start(t, s, digest.NoTLS)), m)(func(a string) bool { return done[a] })
			var got []letter
			for i, data := range s.mails {
				_, found := parts(t, []byte(data))
				got = append(got, letter{s.envelopes[i], len(found) == 3})
				if strings.Contains(data, "P-100001") != (len(found) == 3) {
					t.Errorf("ids: %s", data)
				}
			}
			if !slices.Equal(got, c.letters) || len(left) != 3-len(done) {
				t.Errorf("%+v, to %q", got, left)
			}
			var unmet []string
			if partly := (*digest.PartialError)(nil); errors.As(err, &partly) {
				for _, a := range left {
					if partly.Unmet()[a] != nil {
						unmet = append(unmet, a)
					}
				}
				if !strings.Contains(err.Error(), " of 3: reply ") {
					t.Errorf("it does not name the place in the list of the team: %v", err)
				}
			} else if err != nil {
				t.Error(err)
			}
			if strings.Join(unmet, " ") != c.unmet {
				t.Errorf("not taken by %q", unmet)
			}
		})
	}
	s := &server{rcpt: each(reply(550), reply(550), reply(451))}
	_, err := digest.Hand(t.Context(), mailer(t, start(t, s, digest.NoTLS)), m)(func(string) bool { return false })
	if refused := (*digest.SendError)(nil); !errors.As(err, &refused) || refused.Permanent {
		t.Errorf("nobody takes it, and one may: %v", err)
	}
}

func reply(code int) error {
	return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{code / 100, 1, 1}, Message: "<desk@hackney.example>: no"}
}

// on answers the n-th with err and every other one with success.
func on(n int, err error) func(int) error {
	return func(i int) error {
		if i == n {
			return err
		}
		return nil
	}
}

// first answers the first n with err and every later one with success.
func first(n int, err error) func(int) error {
	return func(i int) error {
		if i <= n {
			return err
		}
		return nil
	}
}

// each answers the n-th with the n-th of errs, and every later one with success.
func each(errs ...error) func(int) error {
	return func(i int) error {
		if i <= len(errs) {
			return errs[i-1]
		}
		return nil
	}
}

// One address that the server refuses keeps nobody from the others; the next attempt goes to those that are left, with
// the same bytes.
func TestOneOfThree(t *testing.T) {
	for _, c := range []struct {
		scenario string
		code     int
		forGood  bool
	}{
		{"the mailbox does not exist", 550, true},
		{"the mailbox is full", 452, false},
		{"greylisting", 451, false},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			s := &server{rcpt: on(2, reply(c.code))}
			mailer := mailer(t, start(t, s, digest.STARTTLS))
			in := hackney(t)
			in.To = []string{"Hackney VAWG <vawg@hackney.example>", "desk@hackney.example", "night@hackney.example"}
			m := build(t, in)
			err := mailer.Send(t.Context(), m)
			var partly *digest.PartialError
			if !errors.As(err, &partly) || len(partly.Unmet()) != 1 || strings.Contains(err.Error(), "desk@") || strings.Contains(err.Error(), "vawg@") {
				t.Fatalf("got %v", err)
			}
			checkRefused(t, partly.Unmet()["desk@hackney.example"], "recipient 2 of 3", c.code, c.forGood)
			if got := strings.Join(s.accepted, " "); got != "vawg@hackney.example night@hackney.example" || len(s.mails) != 1 {
				t.Fatalf("%d messages, to %s", len(s.mails), got)
			}
			if left := m.Leave(func(address string) bool { return address != "desk@hackney.example" }); len(left) != 1 || left[0] != "desk@hackney.example" {
				t.Fatalf("%q are left", left)
			}
			if err := mailer.Send(t.Context(), m); err != nil || strings.Join(s.accepted, " ") != "desk@hackney.example" {
				t.Errorf("the second attempt: %v, to %s", err, s.accepted)
			}
			if len(s.mails) != 2 || s.mails[0] != s.mails[1] {
				t.Error("the second is not the bytes of the first")
			}
		})
	}
}

// A host beyond ASCII goes out in punycode, in the envelope and in the header. A name beyond ASCII goes to servers that
// have SMTPUTF8; at others its owner is refused, and the others get a message that names everybody it is for.
func TestBeyondASCII(t *testing.T) {
	for _, c := range []struct {
		scenario      string
		to            []string
		utf8          bool
		accepted, sum string // the header's To
		asks          bool   // for SMTPUTF8
		refused       string // what becomes of the names beyond ASCII
	}{
		{"the host alone", []string{"VAWG <a@bexley-münchen.example>"}, false, "a@xn--bexley-mnchen-3ob.example", `"VAWG" <a@xn--bexley-mnchen-3ob.example>`, false, ""},
		{"the host alone, at a server that could more", []string{"a@MÜNCHEN.example"}, true, "a@xn--mnchen-3ya.example", "<a@xn--mnchen-3ya.example>", false, ""},
		{"the name, without SMTPUTF8", []string{"müller@bexley.example", "b@bexley.example"}, false, "b@bexley.example", "<b@bexley.example>", false, "müller@bexley.example"},
		{"the name, with SMTPUTF8", []string{"müller@bexley-münchen.example", "b@bexley.example"}, true, "müller@xn--bexley-mnchen-3ob.example b@bexley.example",
			"<müller@xn--bexley-mnchen-3ob.example>,\r\n <b@bexley.example>", true, ""},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			s := &server{utf8: c.utf8}
			in := hackney(t)
			in.To = c.to
			err := mailer(t, start(t, s, digest.STARTTLS)).Send(t.Context(), build(t, in))
			var partly *digest.PartialError
			if errors.As(err, &partly) != (c.refused != "") || c.refused == "" && err != nil {
				t.Fatal(err)
			}
			if c.refused != "" {
				var no *digest.SendError
				if why := partly.Unmet()[c.refused]; !errors.As(why, &no) || !no.Permanent || !strings.Contains(why.Error(), "recipient 1 of 2: the server takes no letters beyond ASCII") {
					t.Error(why)
				}
			}
			if got := strings.Join(s.accepted, " "); got != c.accepted || s.asked != c.asks {
				t.Errorf("to %s, SMTPUTF8 %v", got, s.asked)
			}
			if len(s.mails) != 1 || !strings.Contains(s.mails[0], "\r\nTo: "+c.sum+"\r\n") {
				t.Errorf("%d messages, the first begins %.200q", len(s.mails), strings.Join(s.mails, ""))
			}
		})
	}
	t.Run("nobody is left", func(t *testing.T) {
		s := &server{}
		in := hackney(t)
		in.To = []string{"müller@bexley.example"}
		checkRefused(t, mailer(t, start(t, s, digest.NoTLS)).Send(t.Context(), build(t, in)), "recipient 1 of 1", 0, true)
	})
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		scenario string
		server   server
		change   func(*digest.SMTPConfig)
		step     string
		code     int
		forGood  bool
		retry    bool // a second attempt gets through
	}{
		{"nobody is taken for now", server{rcpt: first(2, reply(451))}, nil, "recipient 1 of 2", 451, false, true},
		{"nobody is known", server{rcpt: first(2, reply(550))}, nil, "recipient 1 of 2", 550, true, true},
		{"one is unknown, the other not taken for now", server{rcpt: each(reply(550), reply(451))}, nil, "recipient 2 of 2", 451, false, true},
		{"the server closes after the first", server{rcpt: on(2, reply(421))}, nil, "recipient 2 of 2", 421, false, true},
		{"the content is refused", server{data: on(1, reply(554))}, nil, "message", 554, true, true},
		{"the disk is full", server{data: on(1, reply(452))}, nil, "message", 452, false, true},
		{"a wrong password", server{}, func(c *digest.SMTPConfig) { c.Password = "wrong" }, "connect", 535, true, false},
		{"a certificate nobody knows", server{}, func(c *digest.SMTPConfig) { c.RootCAs = x509.NewCertPool() }, "connect", 0, false, false},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			s := &c.server
			config := start(t, s, digest.STARTTLS)
			config.Username, config.Password = "harmstack", "hunter2"
			if c.change != nil {
				c.change(&config)
			}
			m := build(t, hackney(t))
			checkRefused(t, mailer(t, config).Send(t.Context(), m), c.step, c.code, c.forGood)
			if len(s.mails) != 0 {
				t.Error("a message was taken")
			}
			err := mailer(t, config).Send(t.Context(), m)
			if (err == nil) != c.retry || len(s.mails) == 1 != c.retry {
				t.Errorf("second attempt: %v, %d messages", err, len(s.mails))
			}
		})
	}
}

func checkRefused(t *testing.T, err error, step string, code int, forGood bool) {
	t.Helper()
	var refused *digest.SendError
	if !errors.As(err, &refused) || refused.Step != step || refused.Code != code || refused.Permanent != forGood {
		t.Fatalf("got %#v", err)
	}
	for _, private := range []string{"vawg@", "desk@", "harmstack@", "hunter2", "P-10000"} {
		if strings.Contains(err.Error(), private) {
			t.Errorf("the error repeats %s: %v", private, err)
		}
	}
}

func TestEncryptionIsNotGivenUp(t *testing.T) {
	s := &server{}
	config := start(t, s, digest.NoTLS)
	config.TLS = digest.STARTTLS
	checkRefused(t, mailer(t, config).Send(t.Context(), build(t, hackney(t))), "connect", 0, false)
	if s.from != "" {
		t.Error("the sender was named over plain text")
	}
}

// scripted serves one connection by hand and closes it at the end.
func scripted(t *testing.T, talk func(net.Conn)) digest.SMTPConfig {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if conn, err := listener.Accept(); err == nil {
			defer conn.Close()
			talk(conn)
		}
	}()
	t.Cleanup(func() { listener.Close(); <-done })
	return configFor(listener, digest.NoTLS, nil)
}

func TestConnectionLost(t *testing.T) {
	for _, c := range []struct{ scenario, last, step string }{
		{"before the greeting", "", "connect"},
		{"after the sender", "MAIL", "sender"},
		{"while the message is handed over", "DATA", "message"},
		{"before the message is confirmed", ".", "message"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			config := scripted(t, func(conn net.Conn) {
				if c.last == "" {
					return
				}
				io.WriteString(conn, "220 mail.example\r\n")
				for r, inData := bufio.NewReader(conn), false; ; {
					line, err := r.ReadString('\n')
					if err != nil || line == c.last+"\r\n" || !inData && strings.HasPrefix(line, c.last) && c.last != "." {
						return
					}
					switch {
					case inData:
					case strings.HasPrefix(line, "DATA"):
						inData = true
						io.WriteString(conn, "354 go on\r\n")
					default:
						io.WriteString(conn, "250 mail.example\r\n")
					}
				}
			})
			checkRefused(t, mailer(t, config).Send(t.Context(), build(t, hackney(t))), c.step, 0, false)
		})
	}
}

func TestNoMailServer(t *testing.T) {
	t.Run("another protocol", func(t *testing.T) {
		config := scripted(t, func(conn net.Conn) { io.WriteString(conn, "desk@hackney.example says hello\r\n") })
		checkRefused(t, mailer(t, config).Send(t.Context(), build(t, hackney(t))), "connect", 0, false)
	})
	t.Run("nobody listens", func(t *testing.T) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		config := configFor(listener, digest.NoTLS, nil)
		listener.Close()
		checkRefused(t, mailer(t, config).Send(t.Context(), build(t, hackney(t))), "connect", 0, false)
	})
	t.Run("silence", func(t *testing.T) {
		config := scripted(t, func(conn net.Conn) { io.Copy(io.Discard, conn) })
		config.Timeout = 20 * time.Millisecond
		checkRefused(t, mailer(t, config).Send(t.Context(), build(t, hackney(t))), "connect", 0, false)
	})
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	config := scripted(t, func(conn net.Conn) {
		cancel()
		io.Copy(io.Discard, conn) // says nothing until the client hangs up
	})
	config.Timeout = time.Hour
	if err := mailer(t, config).Send(ctx, build(t, hackney(t))); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestSMTPConfigRefuses(t *testing.T) {
	for _, c := range []struct {
		scenario, want string
		change         func(*digest.SMTPConfig)
	}{
		{"no host", "no server is configured", func(c *digest.SMTPConfig) { c.Host = "" }},
		{"no sender", "sender cannot be read", func(c *digest.SMTPConfig) { c.From = "jane" }},
		{"an encryption that does not exist", `"ssl" is unknown`, func(c *digest.SMTPConfig) { c.TLS = "ssl" }},
		{"a port that does not exist", "70000", func(c *digest.SMTPConfig) { c.Port = 70_000 }},
		{"a password in plain text", "unencrypted", func(c *digest.SMTPConfig) { c.TLS, c.Username = digest.NoTLS, "u" }},
		{"a time-out below nothing", "-1s", func(c *digest.SMTPConfig) { c.Timeout = -time.Second }},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			config := digest.SMTPConfig{Host: "mail.example", From: "a@b.example"}
			c.change(&config)
			if _, err := digest.NewSMTP(config); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "jane") {
				t.Errorf("got %v", err)
			}
		})
	}
}
