// Package webhook posts signed events to a party's own system: CloudEvents 1.0 in a JSON body, signed as
// Standard Webhooks asks, so that the receiver can tell who sent it and drop what it has already. To people in Microsoft
// Teams or Slack it posts a message that those services take.
//
// It must not know Temporal, the store or what an event means.
package webhook

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"harmstack/schemas/fault"
)

// Event is one event. ID stays the same however often it is sent: the receiver drops one it knows.
type Event struct {
	ID, Source, Type, Subject string
	Time                      time.Time
	Data                      any
	// Text and Link are all that people are shown in Teams or Slack, instead of the rest: one line, and a page; no link:
	// the line alone. The Data are not sent there.
	Text, Link string
}

// cloudEvent is the event as it stands in the body (CloudEvents 1.0, JSON event format).
type cloudEvent struct {
	SpecVersion     string    `json:"specversion"`
	ID              string    `json:"id"`
	Source          string    `json:"source"`
	Type            string    `json:"type"`
	Subject         string    `json:"subject,omitempty"`
	Time            time.Time `json:"time"`
	DataContentType string    `json:"datacontenttype"`
	Data            any       `json:"data"`
}

// SendError says why an event was not taken. It holds neither the URL nor what the receiver said.
type SendError struct {
	Status int // of the answer; 0: there was none
	// Permanent: the receiver will never take it (3xx, and 4xx but 408, 409, 425 and 429), or it cannot
	// even be asked. Everything else may pass.
	Permanent bool
	// RetryAfter is how long the receiver asks to be left alone, an hour at most; 0 when it does not.
	RetryAfter time.Duration
	cause      string
}

// Kind is the kind of fault: none while trying again may help.
func (e *SendError) Kind() string {
	if e.Permanent {
		return fault.DeliveryRefused
	}
	return ""
}

func (e *SendError) Error() string {
	switch {
	case e.Status == 0:
		return "webhook: " + e.cause
	case !e.Permanent:
		return fmt.Sprintf("webhook: answer %d, try again later", e.Status)
	case e.Status >= 300 && e.Status < 400:
		return fmt.Sprintf("webhook: answer %d, redirects are not followed: give the final URL", e.Status)
	}
	return fmt.Sprintf("webhook: answer %d, refused for good: check the URL and the secret", e.Status)
}

// Sender posts events; any number may go out at a time.
type Sender struct {
	// Not a client: it would follow redirects, and what was meant for one host must not go to another.
	transport *http.Transport
	timeout   time.Duration
}

// NewSender makes a sender that waits so long for a whole answer; 0: 10 s. The environment's proxy is
// used.
func NewSender(timeout time.Duration) *Sender {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	return &Sender{transport, cmp.Or(timeout, 10*time.Second)}
}

// Send posts one event in a format, signed for the moment of sending when there is a secret. Every error is a *SendError;
// once ctx has ended, it is ctx's.
func (s *Sender) Send(ctx context.Context, url string, secret []byte, as Format, e Event) error {
	if err := s.send(ctx, url, secret, as, e); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
	return nil
}

func (s *Sender) send(ctx context.Context, url string, secret []byte, as Format, e Event) *SendError {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	content, contentType := as.body(e)
	body, err := json.Marshal(content)
	if err != nil {
		return &SendError{Permanent: true, cause: "the event cannot be written as JSON"}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return &SendError{Permanent: true, cause: "its URL cannot be read"}
	}
	at := strconv.FormatInt(time.Now().Unix(), 10)
	request.Header.Set("Content-Type", contentType)
	request.Header.Set("webhook-id", e.ID)
	request.Header.Set("webhook-timestamp", at)
	if len(secret) > 0 {
		request.Header.Set("webhook-signature", "v1,"+sign(secret, e.ID, at, body))
	}
	answer, err := s.transport.RoundTrip(request)
	if err != nil {
		return &SendError{cause: "no answer: " + cause(err)}
	}
	_, _ = io.CopyN(io.Discard, answer.Body, 4<<10) // so that the connection can be used again
	_ = answer.Body.Close()
	switch status := answer.StatusCode; {
	case status >= 200 && status < 300:
		return nil
	case status == http.StatusRequestTimeout,
		status == http.StatusConflict,
		status == http.StatusTooEarly,
		status == http.StatusTooManyRequests,
		status >= 500:
		return &SendError{Status: status, RetryAfter: retryAfter(answer.Header.Get("Retry-After"), time.Now())}
	default:
		return &SendError{Status: status, Permanent: true}
	}
}

// maxAfter bounds what a receiver can ask for: an event is tried for three days, and a clock that is wrong must not
// silence it.
const maxAfter = time.Hour

// retryAfter reads the header of that name: seconds, or a date (RFC 9110, section 10.2.3).
func retryAfter(text string, now time.Time) time.Duration {
	wait := time.Duration(0)
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && seconds >= 0 {
		wait = time.Duration(min(seconds, maxAfter.Seconds()) * float64(time.Second))
	} else if at, err := http.ParseTime(text); err == nil {
		wait = at.Sub(now)
	}
	return max(0, min(wait, maxAfter))
}

// cause says in our words what went wrong on the way: the texts of net and crypto/x509 repeat the host,
// those of net/http may repeat what the receiver said.
func cause(err error) string {
	var slow net.Error
	var name *net.DNSError
	var certificate *tls.CertificateVerificationError
	var system syscall.Errno
	switch {
	case errors.As(err, &slow) && slow.Timeout():
		return "it took too long"
	case errors.As(err, &name):
		return "the host's name cannot be resolved"
	case errors.As(err, &certificate):
		return "the certificate is not trusted"
	case errors.As(err, &system):
		return system.Error()
	}
	return "the connection failed"
}

// sign is the signature of Standard Webhooks, version 1.
func sign(secret []byte, id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "%s.%s.%s", id, timestamp, body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
