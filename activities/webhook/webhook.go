// Package webhook posts signed events to a party's own system: CloudEvents 1.0 in a JSON body, signed as
// Standard Webhooks asks, so that the receiver can tell who sent it and drop what it has already.
//
// It must not know Temporal, the store or what an event means.
package webhook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Event is one event. ID stays the same however often it is sent: the receiver drops one it knows.
type Event struct {
	ID, Source, Type, Subject string
	Time                      time.Time
	Data                      any
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
	// Permanent: the receiver will never take it. Everything else may pass.
	Permanent bool
	cause     string
}

func (e *SendError) Error() string {
	if e.Status == 0 {
		return "webhook: no answer: " + e.cause
	}
	if e.Permanent {
		return fmt.Sprintf("webhook: answer %d, refused for good: check the URL and the secret", e.Status)
	}
	return fmt.Sprintf("webhook: answer %d, try again later", e.Status)
}

// Sender posts events.
type Sender struct{ client *http.Client }

// NewSender makes a sender that waits so long for an answer; 0: 10 s. It follows no redirect: what was
// meant for one host must not go to another.
func NewSender(timeout time.Duration) *Sender {
	if timeout == 0 {
		timeout = 10 * time.Second
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	return &Sender{&http.Client{Timeout: timeout, Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// Send posts one event. Every error is a *SendError; once ctx has ended, it is ctx's.
func (s *Sender) Send(ctx context.Context, to string, secret []byte, e Event) error {
	body, err := json.Marshal(cloudEvent{"1.0", e.ID, e.Source, e.Type, e.Subject, e.Time.UTC(), "application/json", e.Data})
	if err != nil {
		return &SendError{Permanent: true, cause: "the event cannot be written as JSON"}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return &SendError{Permanent: true, cause: "its URL cannot be read"}
	}
	at := strconv.FormatInt(time.Now().Unix(), 10)
	request.Header.Set("Content-Type", "application/cloudevents+json; charset=utf-8")
	request.Header.Set("webhook-id", e.ID)
	request.Header.Set("webhook-timestamp", at)
	request.Header.Set("webhook-signature", "v1,"+sign(secret, e.ID, at, body))
	answer, err := s.client.Do(request)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		var wrapped *url.Error // its text begins with the URL
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return &SendError{cause: err.Error()}
	}
	_, _ = io.CopyN(io.Discard, answer.Body, 4<<10) // so that the connection can be used again
	_ = answer.Body.Close()
	switch status := answer.StatusCode; {
	case status >= 200 && status < 300:
		return nil
	case status == http.StatusRequestTimeout, status == http.StatusConflict, status == http.StatusTooEarly, status == http.StatusTooManyRequests, status >= 500:
		return &SendError{Status: status}
	default:
		return &SendError{Status: status, Permanent: true}
	}
}

// sign is the signature of Standard Webhooks, version 1.
func sign(secret []byte, id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "%s.%s.%s", id, timestamp, body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
