package webhook

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var (
	secret = []byte("hunter2-hunter2-hunter2-hunter2-")
	event  = Event{ID: "e1", Source: "harmstack", Type: "harmstack.tasking.issued", Subject: "k7qd-2m4x-9w3t-c5hn",
		Time: time.Date(2026, 7, 3, 17, 0, 0, 0, time.FixedZone("BST", 3600)), Data: map[string]any{"team": "Hackney"}}
)

// server answers as told; its address is a secret too.
func server(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	return s.URL + "/hidden-path"
}

// received is a request as it arrived.
type received struct {
	header http.Header
	body   []byte
}

// receiver takes everything.
func receiver(got chan<- received) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- received{r.Header, body}
	}
}

func TestSendSignsTheEvent(t *testing.T) {
	got := make(chan received, 1)
	url := server(t, receiver(got))
	before := time.Now().Unix()
	if err := NewSender(0).Send(t.Context(), url, secret, CloudEvents, event); err != nil {
		t.Fatal(err)
	}
	r := <-got
	checkSigned(t, r, before)
	if r.header.Get("Content-Type") != "application/cloudevents+json" {
		t.Errorf("content type %q", r.header.Get("Content-Type"))
	}
	var body map[string]any
	if err := json.Unmarshal(r.body, &body); err != nil {
		t.Fatal(err)
	}
	if want := map[string]any{"specversion": "1.0", "id": "e1", "source": "harmstack", "type": "harmstack.tasking.issued", "subject": "k7qd-2m4x-9w3t-c5hn",
		"time": "2026-07-03T16:00:00Z", "datacontenttype": "application/json", "data": map[string]any{"team": "Hackney"}}; !reflect.DeepEqual(body, want) {
		t.Errorf("%v", body)
	}
}

func checkSigned(t *testing.T, r received, notBefore int64) {
	t.Helper()
	at, err := strconv.ParseInt(r.header.Get("webhook-timestamp"), 10, 64)
	if err != nil || at < notBefore || at > time.Now().Unix() {
		t.Errorf("timestamp %q", r.header.Get("webhook-timestamp"))
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("e1." + r.header.Get("webhook-timestamp") + "." + string(r.body)))
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); r.header.Get("webhook-signature") != want || r.header.Get("webhook-id") != "e1" {
		t.Errorf("signature %q, id %q", r.header.Get("webhook-signature"), r.header.Get("webhook-id"))
	}
}

// Without the bubble the test would have to wait for the next second.
func TestEachAttemptHasItsOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := make(chan received, 2)
		sender := NewSender(0)
		sender.transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
			near, far := net.Pipe()
			go func() {
				defer far.Close()
				request, err := http.ReadRequest(bufio.NewReader(far))
				if err != nil {
					return
				}
				receiver(got)(nil, request)
				io.WriteString(far, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
			}()
			return near, nil
		}
		for range 2 {
			before := time.Now().Unix()
			if err := sender.Send(t.Context(), "http://hooks.example/", secret, CloudEvents, event); err != nil {
				t.Fatal(err)
			}
			checkSigned(t, <-got, before)
			time.Sleep(time.Hour)
		}
	})
}

func TestSubjectIsOptional(t *testing.T) {
	got := make(chan received, 1)
	without := event
	without.Subject = ""
	if err := NewSender(0).Send(t.Context(), server(t, receiver(got)), secret, CloudEvents, without); err != nil {
		t.Fatal(err)
	}
	if r := <-got; strings.Contains(string(r.body), "subject") { // CloudEvents allows no empty one
		t.Errorf("%s", r.body)
	}
}

func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		scenario  string
		answer    http.HandlerFunc
		status    int
		permanent bool
		says      string // empty: taken
	}{
		{"taken", status(200), 0, false, ""},
		{"taken for later", status(202), 0, false, ""},
		{"taken, without content", status(204), 0, false, ""},
		{"taken, with a long answer", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, strings.Repeat("x", 1<<20)) }, 0, false, ""},
		{"another page", status(304), 304, true, "redirects are not followed"},
		{"a redirect", redirect("/hidden-path/taken"), 307, true, "redirects are not followed"},
		{"a redirect to nowhere", redirect("http://a b:%/said"), 307, true, "redirects are not followed"},
		{"a bad request", status(400), 400, true, "refused for good"},
		{"a wrong secret", status(401), 401, true, "refused for good"},
		{"no such page", status(404), 404, true, "refused for good"},
		{"gone", status(410), 410, true, "refused for good"},
		{"too slow", status(408), 408, false, "try again later"},
		{"a conflict", status(409), 409, false, "try again later"},
		{"too early", status(425), 425, false, "try again later"},
		{"too many", status(429), 429, false, "try again later"},
		{"broken", status(500), 500, false, "try again later"},
		{"unavailable", status(503), 503, false, "try again later"},
		{"the line drops", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, 0, false, "no answer"},
		{"silence", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 0, false, "no answer: it took too long"},
		{"no HTTP", raw("hidden-path said hello\r\n\r\n"), 0, false, "no answer: the connection failed"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			var asked atomic.Int32
			url := server(t, func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				io.Copy(io.Discard, r.Body)
				c.answer(w, r)
			})
			timeout := 10 * time.Second
			if c.scenario == "silence" {
				timeout = 300 * time.Millisecond
			}
			err := NewSender(timeout).Send(t.Context(), url, secret, CloudEvents, event)
			if c.says != "" {
				checkRefused(t, err, c.status, c.permanent, c.says)
			} else if err != nil {
				t.Error(err)
			}
			if n := asked.Load(); n != 1 {
				t.Errorf("asked %d times", n)
			}
		})
	}
}

// How long a receiver asks to be left alone is heeded, for an hour at most; what cannot be read asks for nothing.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 7, 6, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		header string
		want   time.Duration
	}{
		{"", 0}, {"120", 2 * time.Minute}, {"0", 0}, {"-5", 0}, {"soon", 0}, {"NaN", 0}, {"3600", time.Hour},
		{"86400", time.Hour}, {"99999999999999999999999999", time.Hour}, {"Inf", time.Hour},
		{"Mon, 06 Jul 2026 12:01:30 GMT", 90 * time.Second}, {"Monday, 06-Jul-26 12:01:30 GMT", 90 * time.Second}, {"Mon Jul  6 12:01:30 2026", 90 * time.Second},
		{"Mon, 06 Jul 2026 11:00:00 GMT", 0}, {"Fri, 01 Jan 2100 00:00:00 GMT", time.Hour},
	} {
		if got := retryAfter(c.header, now); got != c.want {
			t.Errorf("%q: %s, want %s", c.header, got, c.want)
		}
	}
	for code, want := range map[int]time.Duration{429: 7 * time.Minute, 503: 7 * time.Minute, 500: 7 * time.Minute, 404: 0, 307: 0} {
		url := server(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "420")
			w.WriteHeader(code)
		})
		var refused *SendError
		if err := NewSender(0).Send(t.Context(), url, secret, CloudEvents, event); !errors.As(err, &refused) || refused.Status != code || refused.RetryAfter != want {
			t.Errorf("%d: %+v", code, err)
		}
	}
}

// status answers so, and says what must not be repeated.
func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		io.WriteString(w, "the receiver said hunter2")
	}
}

func redirect(to string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusTemporaryRedirect)
	}
}

func raw(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
			io.WriteString(conn, text)
			conn.Close()
		}
	}
}

func checkRefused(t *testing.T, err error, status int, permanent bool, says string) {
	t.Helper()
	var refused *SendError
	if !errors.As(err, &refused) || refused.Status != status || refused.Permanent != permanent || !strings.Contains(err.Error(), says) {
		t.Fatalf("got %#v", err)
	}
	for _, private := range []string{"hidden-path", "127.0.0.1", "invalid", "http://", "https://", "hunter2", "said", "\n"} {
		if strings.Contains(err.Error(), private) {
			t.Errorf("the error repeats %q: %v", private, err)
		}
	}
}

func TestNoConnection(t *testing.T) {
	t.Run("nobody listens", func(t *testing.T) {
		s := httptest.NewServer(nil)
		s.Close()
		checkRefused(t, NewSender(0).Send(t.Context(), s.URL+"/hidden-path", secret, CloudEvents, event), 0, false, "no answer: ")
	})
	t.Run("an unknown host", func(t *testing.T) {
		sender := NewSender(0)
		sender.transport.Proxy = nil
		sender.transport.DialContext = func(_ context.Context, network, _ string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: network, Err: &net.DNSError{Err: "no such host", Name: "hooks.invalid", IsNotFound: true}}
		}
		checkRefused(t, sender.Send(t.Context(), "https://hooks.invalid/hidden-path", secret, CloudEvents, event), 0, false, "name cannot be resolved")
	})
}

func TestTLS(t *testing.T) {
	for _, c := range []struct {
		scenario string
		version  uint16 // the server's only one
		trusted  bool
		says     string // empty: taken
	}{
		{"TLS 1.3", tls.VersionTLS13, true, ""},
		{"TLS 1.2", tls.VersionTLS12, true, ""},
		{"TLS 1.1", tls.VersionTLS11, true, "no answer: the connection failed"},
		{"a certificate nobody knows", tls.VersionTLS13, false, "no answer: the certificate is not trusted"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			got := make(chan received, 1)
			s := httptest.NewUnstartedServer(receiver(got))
			s.TLS = &tls.Config{MinVersion: c.version, MaxVersion: c.version}
			s.Config.ErrorLog = log.New(io.Discard, "", 0)
			s.StartTLS()
			defer s.Close()
			sender := NewSender(0)
			sender.transport.TLSClientConfig.RootCAs = x509.NewCertPool()
			if c.trusted {
				sender.transport.TLSClientConfig.RootCAs.AddCert(s.Certificate())
			}
			before := time.Now().Unix()
			err := sender.Send(t.Context(), s.URL+"/hidden-path", secret, CloudEvents, event)
			if c.says != "" {
				checkRefused(t, err, 0, false, c.says)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			checkSigned(t, <-got, before)
		})
	}
}

func TestContextEnds(t *testing.T) {
	t.Run("cancelled before", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := NewSender(0).Send(ctx, server(t, status(200)), secret, CloudEvents, event); err != context.Canceled {
			t.Error(err)
		}
	})
	t.Run("cancelled on the way", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		url := server(t, func(_ http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			cancel()
			<-r.Context().Done()
		})
		if err := NewSender(0).Send(ctx, url, secret, CloudEvents, event); err != context.Canceled {
			t.Error(err)
		}
	})
	t.Run("its deadline", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		url := server(t, func(_ http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		})
		if err := NewSender(0).Send(ctx, url, secret, CloudEvents, event); err != context.DeadlineExceeded {
			t.Error(err)
		}
	})
}

func TestUnusable(t *testing.T) {
	checkRefused(t, NewSender(0).Send(t.Context(), "http://a b/hidden-path", secret, CloudEvents, event), 0, true, "its URL cannot be read")
	checkRefused(t, NewSender(0).Send(t.Context(), server(t, status(200)), secret, CloudEvents, Event{Data: func() {}}), 0, true, "cannot be written as JSON")
}

// People in Teams and Slack are shown one line and a link, in the form that these services take, and nothing of the data.
func TestWhatPeopleAreShown(t *testing.T) {
	e := event
	e.Text, e.Link = "Tasking k7qd waits: <b> & *all*.", "https://desk.example/taskings/k7qd"
	bare := e
	bare.Link = ""
	for _, c := range []struct {
		scenario string
		as       Format
		event    Event
		secret   []byte
		want     string
	}{
		{"Teams", Teams, e, nil, `{"type":"message","attachments":[{"contentType":"application/vnd.microsoft.card.adaptive","contentUrl":null,"content":{
			"$schema":"http://adaptivecards.io/schemas/adaptive-card.json","type":"AdaptiveCard","version":"1.4",
			"body":[{"type":"RichTextBlock","inlines":[{"type":"TextRun","text":"Tasking k7qd waits: <b> & *all*."}]}],
			"actions":[{"type":"Action.OpenUrl","title":"Open the desk","url":"https://desk.example/taskings/k7qd"}]}}]}`},
		{"Teams without a desk", Teams, bare, nil, `{"type":"message","attachments":[{"contentType":"application/vnd.microsoft.card.adaptive","contentUrl":null,"content":{
			"$schema":"http://adaptivecards.io/schemas/adaptive-card.json","type":"AdaptiveCard","version":"1.4",
			"body":[{"type":"RichTextBlock","inlines":[{"type":"TextRun","text":"Tasking k7qd waits: <b> & *all*."}]}]}}]}`},
		{"Slack", Slack, e, secret, `{"text":"Tasking k7qd waits: &lt;b&gt; &amp; *all*.","blocks":[
			{"type":"section","text":{"type":"plain_text","text":"Tasking k7qd waits: <b> & *all*."}},
			{"type":"section","text":{"type":"mrkdwn","text":"<https://desk.example/taskings/k7qd|Open the desk>"}}]}`},
		{"Slack without a desk", Slack, bare, nil, `{"text":"Tasking k7qd waits: &lt;b&gt; &amp; *all*.","blocks":[
			{"type":"section","text":{"type":"plain_text","text":"Tasking k7qd waits: <b> & *all*."}}]}`},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			got := make(chan received, 1)
			if err := NewSender(0).Send(t.Context(), server(t, receiver(got)), c.secret, c.as, c.event); err != nil {
				t.Fatal(err)
			}
			r := <-got
			var is, want any
			if err := errors.Join(json.Unmarshal(r.body, &is), json.Unmarshal([]byte(c.want), &want)); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(is, want) || strings.Contains(string(r.body), "Hackney") {
				t.Errorf("%s", r.body)
			}
			if r.header.Get("Content-Type") != "application/json" || (r.header.Get("webhook-signature") != "") != (c.secret != nil) {
				t.Errorf("%v", r.header)
			}
			if c.secret != nil {
				checkSigned(t, r, 0)
			}
		})
	}
}
