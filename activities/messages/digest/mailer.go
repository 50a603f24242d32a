package digest

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/mail"
	"net/textproto"
	"slices"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"harmstack/activities/casework/teams"
	"harmstack/schemas/fault"
)

// Mailer sends messages. Sending a message twice is harmless: it has the same Message-ID. A *PartialError says that
// some of its addresses took it.
type Mailer interface {
	Send(ctx context.Context, m Message) error
}

// Hand makes of a message what a ledger calls to send it: each time to those of its addresses that are not done,
// which it returns. Where some get packs and others do not, each get their own.
func Hand(ctx context.Context, mailer Mailer, m Message) func(done func(address string) bool) ([]string, error) {
	return func(done func(address string) bool) ([]string, error) {
		left := m.Leave(done)
		without, with := m.letters()
		if m.Holders() == 0 {
			return left, mailer.Send(ctx, without)
		}
		all := &PartialError{refused: map[string]*SendError{}, to: m.To}
		for _, one := range []Message{without, with} {
			packed := len(one.Packs) > 0
			open := one.Leave(func(address string) bool { return done(address) || m.MayHold(address) != packed })
			if len(open) == 0 {
				continue
			}
			err := mailer.Send(ctx, one)
			if partly := (*PartialError)(nil); errors.As(err, &partly) {
				maps.Copy(all.refused, partly.refused)
			} else if refused := (*SendError)(nil); errors.As(err, &refused) {
				for _, address := range open {
					all.refused[address] = refused
				}
			} else if err != nil {
				return left, err
			}
		}
		return left, all.of(left)
	}
}

// of is the error of those addresses that were tried: nil when all took the message, a *SendError when none did, one
// that may pass before one that will not.
func (e *PartialError) of(tried []string) error {
	if len(e.refused) == 0 {
		return nil
	}
	if len(e.refused) < len(tried) {
		return e
	}
	var worst *SendError
	for _, address := range tried {
		if why := e.refused[address]; worst == nil || worst.Permanent && !why.Permanent {
			worst = why
		}
	}
	return worst
}

// PartialError says that a message was handed over for some of its addresses and not for others.
type PartialError struct {
	refused map[string]*SendError
	to      []*mail.Address // in the message's order
}

// Unmet are the addresses that did not take the message, and why: each a *SendError.
func (e *PartialError) Unmet() map[string]error {
	unmet := map[string]error{}
	for address, why := range e.refused {
		unmet[address] = why
	}
	return unmet
}

// Error names the addresses by their place in the list.
func (e *PartialError) Error() string {
	var why []string
	for _, to := range e.to {
		if r := e.refused[to.Address]; r != nil && !slices.Contains(why, r.Error()) {
			why = append(why, r.Error())
		}
	}
	return "sent, but not to all: " + strings.Join(why, "; ")
}

// SendError says why a message was not sent. It holds no address and no text of the server's, which
// may repeat one.
type SendError struct {
	// Step is what failed: "connect", "sender", "recipient 2 of 3", "message".
	Step string
	// Code is the SMTP reply, 0 when there was none.
	Code int
	// Permanent: the server refused for good (5xx, or it has no way to take the address), so that trying again is no
	// use. Everything else, from greylisting to a lost connection, may pass.
	Permanent bool
	cause     string
}

// Kind is the kind of fault: none while trying again may help.
func (e *SendError) Kind() string {
	if e.Permanent {
		return fault.DeliveryRefused
	}
	return ""
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
	a, err := teams.ParseAddress(from)
	if err != nil {
		return nil, fmt.Errorf("mail: the sender %w", err)
	}
	if teams.NeedsSMTPUTF8(a) {
		return nil, errors.New(
			"mail: the sender has letters beyond ASCII before the @: many servers refuse that, choose another",
		)
	}
	return a, nil
}

// Send hands the message over to the server for each of its addresses that the server takes, in one go. Every error but
// one of the message itself is a *SendError when no address has it now, and a *PartialError when some have; once ctx
// has ended, it is ctx's.
func (s smtpMailer) Send(ctx context.Context, m Message) error {
	err := s.send(ctx, m)
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// ProbeSMTP talks to the mail server as far as can be without a message: it connects, greets, switches to TLS, logs in
// and names the sender, then hangs up. The error is a *SendError, or one of the configuration.
func ProbeSMTP(ctx context.Context, c SMTPConfig) error {
	m, err := NewSMTP(c)
	if err != nil {
		return err
	}
	s := m.(smtpMailer)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conversation, failed := s.dial(ctx)
	if failed != nil {
		return failed
	}
	conversation.SkipSMTPUTF8(true)
	if err := conversation.Mail("<" + s.from.Address + ">"); err != nil {
		return sendError("sender", err)
	}
	_ = conversation.Quit() // it has shown what it would do, and forgets the sender by that
	return nil
}

// SMTPUTF8 connects to the server as for a message and tells whether it takes addresses with letters beyond ASCII. The
// error is a *SendError.
func (s smtpMailer) SMTPUTF8(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conversation, failed := s.dial(ctx)
	if failed != nil {
		return false, failed
	}
	able, _ := conversation.Extension("SMTPUTF8")
	_ = conversation.Quit()
	return able, nil
}

func (s smtpMailer) send(ctx context.Context, m Message) error {
	// The connection closes when ctx ends: a server that does not answer must not hold up a cancelled
	// call, and go-mail leaves it open when the greeting or the login fails.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conversation, failed := s.dial(ctx)
	if failed != nil {
		return failed
	}
	// Asked for without need, SMTPUTF8 makes a later server that lacks it bounce the message.
	able, _ := conversation.Extension("SMTPUTF8")
	wide := able && slices.ContainsFunc(m.To, teams.NeedsSMTPUTF8)
	conversation.SkipSMTPUTF8(!wide)
	header := m
	if !wide {
		header.To = slices.DeleteFunc(slices.Clone(m.To), teams.NeedsSMTPUTF8)
	}
	data, err := header.Bytes(s.from)
	if err != nil {
		return err
	}
	if err := conversation.Mail("<" + s.from.Address + ">"); err != nil {
		return sendError("sender", err)
	}
	refused, err := recipients(conversation, m, wide)
	if err != nil {
		return err
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
	if len(refused) > 0 {
		return &PartialError{refused, m.To}
	}
	return nil
}

// dial opens a conversation that closes when ctx ends.
func (s smtpMailer) dial(ctx context.Context) (*smtp.Client, *SendError) {
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
	return conversation, nil
}

// recipients offers the message to each address that is not done. One that the server refuses keeps nobody from the
// others. The error is a *SendError: no address was taken, or there is nobody to talk to any more.
func recipients(conversation *smtp.Client, m Message, wide bool) (refused map[string]*SendError, err error) {
	refused = map[string]*SendError{}
	var worst *SendError // one that may pass, before one that will not
	taken := 0
	for i, to := range m.To {
		if slices.Contains(m.Done, to.Address) {
			continue
		}
		step := fmt.Sprintf("recipient %d of %d", i+1, len(m.To))
		var no *SendError
		if teams.NeedsSMTPUTF8(to) && !wide {
			no = &SendError{
				Step:      step,
				Permanent: true,
				cause:     "the server takes no letters beyond ASCII before the @ (it has no SMTPUTF8)",
			}
		} else if err := conversation.Rcpt("<" + to.Address + ">"); err != nil {
			no = sendError(step, err)
		}
		switch {
		case no == nil:
			taken++
			continue
		case !no.Permanent && (no.Code == 0 || no.Code == 421): // the connection is lost, or the server closes it
			return nil, no
		}
		refused[to.Address] = no
		if worst == nil || worst.Permanent && !no.Permanent {
			worst = no
		}
	}
	switch {
	case taken > 0:
		return refused, nil
	case worst != nil:
		return nil, worst
	}
	return nil, &SendError{Step: "recipient", Permanent: true, cause: "there is no address left to send it to"}
}

func (s smtpMailer) options(ctx context.Context) []gomail.Option {
	config := &tls.Config{ServerName: s.config.Host, RootCAs: s.config.RootCAs, MinVersion: tls.VersionTLS12}
	dial := (&net.Dialer{}).DialContext
	if s.config.TLS == ImplicitTLS {
		dial = (&tls.Dialer{Config: config}).DialContext
	}
	options := []gomail.Option{
		gomail.WithPort(s.config.Port), gomail.WithTimeout(s.config.Timeout), gomail.WithTLSConfig(config),
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
