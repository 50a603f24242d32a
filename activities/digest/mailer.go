package digest

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/textproto"
	"time"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
)

// Mailer sends messages. Sending a message twice is harmless: it has the same Message-ID.
type Mailer interface {
	Send(ctx context.Context, m Message) error
}

// SendError says why a message was not sent. It holds no address and no text of the server's, which
// may repeat one.
type SendError struct {
	// Step is what failed: "connect", "sender", "recipient 2 of 3", "message".
	Step string
	// Code is the SMTP reply, 0 when there was none.
	Code int
	// Permanent: the server refused for good (5xx), so that trying again is no use. Everything else,
	// from greylisting to a lost connection, may pass.
	Permanent bool
	cause     string
}

func (e *SendError) Error() string {
	if e.Code == 0 {
		return fmt.Sprintf("mail server: %s: %s", e.Step, e.cause)
	}
	kind := "refused for now, try again later"
	if e.Permanent {
		kind = "refused for good: check the address, the sender and the account"
	}
	return fmt.Sprintf("mail server: %s: reply %d, %s", e.Step, e.Code, kind)
}

// TLS is how the connection to the mail server is protected.
type TLS string

const (
	// STARTTLS begins in plain text and must switch; it is the default.
	STARTTLS TLS = "starttls"
	// ImplicitTLS is encrypted from the first byte, mostly on port 465.
	ImplicitTLS TLS = "implicit"
	// NoTLS is plain text, for a relay on the same host. No password is ever sent over it.
	NoTLS TLS = "none"
)

// SMTPConfig says which mail server takes the messages.
type SMTPConfig struct {
	Host string
	Port int    // 0: 587, 465 with ImplicitTLS, 25 with NoTLS
	From string // the sender, "Harmstack <harmstack@example.police.uk>"
	TLS  TLS    // empty: STARTTLS
	// Username and Password log in when Username is set.
	Username, Password string
	// RootCAs are the only authorities trusted; nil means those of the host.
	RootCAs *x509.CertPool
	// Timeout is for connecting, and again for handing a message over. 0: 30 s.
	Timeout time.Duration
}

type smtpMailer struct {
	config SMTPConfig
	from   *mail.Address
}

// NewSMTP checks the configuration; it does not connect.
func NewSMTP(c SMTPConfig) (Mailer, error) {
	from, err := sender(c.From)
	if err != nil {
		return nil, err
	}
	c.TLS = cmp.Or(c.TLS, STARTTLS)
	port, known := map[TLS]int{STARTTLS: 587, ImplicitTLS: 465, NoTLS: 25}[c.TLS]
	c.Port, c.Timeout = cmp.Or(c.Port, port), cmp.Or(c.Timeout, 30*time.Second)
	switch {
	case c.Host == "":
		return nil, errors.New("mail: no server is configured: give its host name")
	case !known:
		return nil, fmt.Errorf("mail: TLS %q is unknown: give starttls, implicit or none", c.TLS)
	case c.Port < 1 || c.Port > 65535:
		return nil, fmt.Errorf("mail: port %d is none: give one from 1 to 65535", c.Port)
	case c.TLS == NoTLS && c.Username != "":
		return nil, errors.New("mail: a password would go over an unencrypted connection: use starttls or implicit")
	case c.Timeout < 0:
		return nil, fmt.Errorf("mail: the time-out is %s: give a positive one", c.Timeout)
	}
	return smtpMailer{c, from}, nil
}

func sender(from string) (*mail.Address, error) {
	a, err := mail.ParseAddress(from)
	if err != nil {
		return nil, errors.New("mail: the sender cannot be read: write name@host or Name <name@host>")
	}
	return a, nil
}

// Send hands the message over to the server for all its recipients or for none. Every error but one of
// the message itself is a *SendError; once ctx has ended, it is ctx's.
func (s smtpMailer) Send(ctx context.Context, m Message) error {
	data, err := m.Bytes(s.from)
	if err != nil {
		return err
	}
	if sendErr := s.send(ctx, m, data); sendErr != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return sendErr
	}
	return nil
}

// ProbeSMTP talks to the mail server as far as can be without a message: it connects, greets, switches to TLS, logs in and names
// the sender, then takes leave. The error is a *SendError, or one of the configuration.
func ProbeSMTP(ctx context.Context, c SMTPConfig) error {
	m, err := NewSMTP(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conversation, failed := m.(smtpMailer).begin(ctx)
	if failed != nil {
		return failed
	}
	_ = conversation.Quit() // it has shown what it would do, and forgets the sender by that
	return nil
}

// begin opens a conversation with the server and names the sender. The connection closes when ctx ends: a server that does not
// answer must not hold up a cancelled call, and go-mail leaves it open when the greeting or the login fails.
func (s smtpMailer) begin(ctx context.Context) (*smtp.Client, *SendError) {
	client, err := gomail.NewClient(s.config.Host, s.options(ctx)...)
	if err != nil {
		return nil, sendError("connect", err)
	}
	conversation, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return nil, sendError("connect", err)
	}
	if err := conversation.UpdateDeadline(s.config.Timeout); err != nil {
		return nil, sendError("connect", err)
	}
	if err := conversation.Mail("<" + s.from.Address + ">"); err != nil {
		return nil, sendError("sender", err)
	}
	return conversation, nil
}

func (s smtpMailer) send(ctx context.Context, m Message, data []byte) *SendError {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conversation, failed := s.begin(ctx)
	if failed != nil {
		return failed
	}
	for i, to := range m.To {
		if err := conversation.Rcpt("<" + to.Address + ">"); err != nil {
			return sendError(fmt.Sprintf("recipient %d of %d", i+1, len(m.To)), err)
		}
	}
	w, err := conversation.Data()
	if err != nil {
		return sendError("message", err)
	}
	if _, err := w.Write(data); err != nil {
		return sendError("message", err)
	}
	if err := w.Close(); err != nil {
		return sendError("message", err)
	}
	_ = conversation.Quit() // the server has taken the message; a lost farewell changes nothing
	return nil
}

func (s smtpMailer) options(ctx context.Context) []gomail.Option {
	config := &tls.Config{ServerName: s.config.Host, RootCAs: s.config.RootCAs, MinVersion: tls.VersionTLS12}
	dial := (&net.Dialer{}).DialContext
	if s.config.TLS == ImplicitTLS {
		dial = (&tls.Dialer{Config: config}).DialContext
	}
	options := []gomail.Option{
		gomail.WithPort(s.config.Port), gomail.WithTimeout(s.config.Timeout), gomail.WithTLSConfig(config),
		// Asked for without need, it makes a later server that lacks it bounce the message.
		gomail.WithoutSMTPUTF8(),
		gomail.WithDialContextFunc(func(dialling context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(dialling, network, address)
			if err == nil {
				context.AfterFunc(ctx, func() { _ = conn.Close() })
			}
			return conn, err
		}),
	}
	switch s.config.TLS {
	case STARTTLS:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	case ImplicitTLS:
		options = append(options, gomail.WithSSL())
	case NoTLS:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	}
	if s.config.Username != "" {
		options = append(options, gomail.WithUsername(s.config.Username), gomail.WithPassword(s.config.Password),
			gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin))
	}
	return options
}

func sendError(step string, err error) *SendError {
	var reply *textproto.Error
	if errors.As(err, &reply) {
		return &SendError{Step: step, Code: reply.Code, Permanent: reply.Code >= 500}
	}
	var odd textproto.ProtocolError
	if errors.As(err, &odd) {
		return &SendError{Step: step, cause: "the server's answer is no SMTP"}
	}
	return &SendError{Step: step, cause: err.Error()}
}
