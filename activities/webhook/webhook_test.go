package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"testing"
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

func TestSendSignsTheEvent(t *testing.T) {
	var header http.Header
	var body []byte
	url := server(t, func(_ http.ResponseWriter, r *http.Request) {
		header = r.Header
		body, _ = io.ReadAll(r.Body)
	})
	before := time.Now().Unix()
	if err := NewSender(0).Send(t.Context(), url, secret, event); err != nil {
		t.Fatal(err)
	}
	at, err := strconv.ParseInt(header.Get("webhook-timestamp"), 10, 64)
	if err != nil || at < before || at > time.Now().Unix() {
		t.Errorf("timestamp %q", header.Get("webhook-timestamp"))
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("e1." + header.Get("webhook-timestamp") + "." + string(body)))
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); header.Get("webhook-signature") != want || header.Get("webhook-id") != "e1" {
		t.Errorf("signature %q, id %q", header.Get("webhook-signature"), header.Get("webhook-id"))
	}
	if !strings.HasPrefix(header.Get("Content-Type"), "application/cloudevents+json") {
		t.Errorf("content type %q", header.Get("Content-Type"))
	}
	var got map[string]any
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	if want := map[string]any{"specversion": "1.0", "id": "e1", "source": "harmstack", "type": "harmstack.tasking.issued", "subject": "k7qd-2m4x-9w3t-c5hn",
		"time": "2026-07-03T16:00:00Z", "datacontenttype": "application/json", "data": map[string]any{"team": "Hackney"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
}

func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		scenario  string
		answer    http.HandlerFunc
		permanent bool
		says      string
	}{
		{"taken, without content", status(204), false, ""},
		{"gone", status(410), true, "410"},
		{"no such page", status(404), true, "404"},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/taken", http.StatusFound) }, true, "302"},
		{"too many", status(429), false, "429"},
		{"too early", status(425), false, "425"},
		{"broken", status(503), false, "503"},
		{"the line drops", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, false, "no answer"},
		{"silence", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, false, "no answer"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			asked := 0
			url := server(t, func(w http.ResponseWriter, r *http.Request) {
				asked++
				io.Copy(io.Discard, r.Body)
				c.answer(w, r)
			})
			err := NewSender(300*time.Millisecond).Send(t.Context(), url, secret, event)
			var refused *SendError
			switch {
			case c.says == "":
				if err != nil {
					t.Error(err)
				}
			case !errors.As(err, &refused) || refused.Permanent != c.permanent || !strings.Contains(err.Error(), c.says):
				t.Errorf("%v", err)
			case strings.Contains(err.Error(), "hidden-path") || strings.Contains(err.Error(), "127.0.0.1") && c.scenario == "silence":
				t.Errorf("the URL stands in %q", err)
			}
			if asked != 1 {
				t.Errorf("asked %d times", asked)
			}
		})
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	url := server(t, func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		cancel()
		<-r.Context().Done()
	})
	if err := NewSender(0).Send(ctx, url, secret, event); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestUnusable(t *testing.T) {
	var refused *SendError
	for _, err := range []error{
		NewSender(0).Send(t.Context(), "http://a b/hidden-path", secret, event),
		NewSender(0).Send(t.Context(), server(t, status(200)), secret, Event{Data: func() {}}),
	} {
		if !errors.As(err, &refused) || !refused.Permanent || strings.Contains(err.Error(), "hidden-path") {
			t.Error(err)
		}
	}
}
