package desk

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/encoding/protojson"

	"harmstack/activities/trust/access"
	"harmstack/activities/trust/attest"
	"harmstack/activities/trust/audit"
	"harmstack/starter/desk/idp"
	"harmstack/workflows/plugin"
)

const ui = "https://temporal.example"

func encryption(fill byte, namespace string) plugin.Encryption {
	return plugin.Encryption{
		Keys:      []plugin.Key{{ID: "k" + string(fill), Secret: bytes.Repeat([]byte{fill}, plugin.KeyBytes)}},
		Namespace: namespace,
	}
}

func codecOf(t *testing.T, e plugin.Encryption) converter.PayloadCodec {
	t.Helper()
	c, err := e.Codec()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// encrypted is a payload as it lies in Temporal, as the web UI sends it.
func encrypted(t *testing.T, c converter.PayloadCodec, text string) string {
	t.Helper()
	plain, err := converter.GetDefaultDataConverter().ToPayload(text)
	if err != nil {
		t.Fatal(err)
	}
	payloads := []*commonpb.Payload{plain}
	if c != nil {
		if payloads, err = c.Encode(payloads); err != nil {
			t.Fatal(err)
		}
	}
	body, err := protojson.Marshal(&commonpb.Payloads{Payloads: payloads})
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func decoded(t *testing.T, a answer) string {
	t.Helper()
	var p commonpb.Payloads
	if err := protojson.Unmarshal([]byte(a.body), &p); err != nil || len(p.Payloads) != 1 {
		return ""
	}
	var text string
	if err := converter.GetDefaultDataConverter().FromPayload(p.Payloads[0], &text); err != nil {
		return ""
	}
	return text
}

// The web UI, on its exact origin, is shown what is encrypted for a person whose roles allow it, and each look is noted.
func TestCodec(t *testing.T) {
	t.Parallel()
	p := idp.Shared(t)
	codec := codecOf(t, encryption('a', "force"))
	w := provided(t, p, func(o *Options) { o.Codec, o.UIOrigins = codec, []string{ui} })
	body := encrypted(t, codec, "the officer's words")
	// As the web UI sends them: the access token, which is none of ours, and the identity token beside it.
	as := func(login string) []string {
		return []string{
			"Origin",
			ui,
			"Authorization",
			"Bearer an-access-token",
			"Authorization-Extras",
			p.Token(t, idp.WebUI, login),
			"X-Namespace",
			"force",
		}
	}
	for _, c := range []struct {
		scenario string
		headers  []string
		subject  string // of the entry in the log; empty: none
		code     int
	}{
		{"an analyst in the web UI", as("ann"), "ann", 200},
		{"an officer in the web UI", as("oscar"), "oscar", 200},
		{"an officer by the command line", []string{"Authorization", "Bearer " + p.Token(t, idp.CLI, "oscar")}, "oscar", 200},
		{"an officer in a web UI that sends the identity token alone", []string{"Origin", ui, "Authorization", "Bearer " + p.Token(t, idp.WebUI, "oscar")}, "oscar", 200},
		{"a team", as("harry"), "harry", 403},
		{"the auditor", as("aud"), "aud", 403},
		{"the operator", as("olga"), "olga", 403},
		{"somebody without a role", as("nemo"), "nemo", 403},
		{"nobody", []string{"Origin", ui}, "", 401},
		{"the identity token of another service", []string{"Origin", ui, "Authorization-Extras", p.Token(t, idp.Elsewhere, "oscar")}, "", 401},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			before := w.last().Number
			a := w.ask(w.browser(), "POST", "/codec/decode?preserveStorageRefs=true", body, c.headers...)
			if a.code != c.code || (decoded(t, a) == "the officer's words") != (c.code == 200) {
				t.Errorf("%d %s", a.code, a.body)
			}
			if c.subject == "" {
				if w.last().Number != before {
					t.Errorf("%+v", w.last())
				}
				return
			}
			last := w.last()
			if last.Number != before+1 || last.Actor.Subject != c.subject || (last.Outcome == audit.Done) != (c.code == 200) ||
				!strings.HasPrefix(last.Did, "decode") {
				t.Errorf("%+v", last)
			}
		})
	}
	// What the web UI holds is good for nothing else.
	if a := w.ask(w.browser(), "GET", "/api/v1/me", "", as("oscar")[2:]...); a.code != 401 {
		t.Error(a.code, a.body)
	}
	if strings.Contains(w.logs.String(), "officer's words") {
		t.Error(w.logs.String())
	}
}

// A page asks from an exact origin, or not at all.
func TestCodecOrigins(t *testing.T) {
	t.Parallel()
	codec := codecOf(t, encryption('a', "force"))
	w := newWorld(t, func(o *Options) { o.Codec, o.UIOrigins = codec, []string{ui, "http://localhost:8233"} })
	body := encrypted(t, codec, "the officer's words")
	oscar := w.as("oscar", access.Officer)
	for _, c := range []struct {
		origin, site string
		may          bool
	}{
		{ui, "same-site", true}, {"http://localhost:8233", "", true}, {"https://desk.example", "same-origin", true}, {"", "", true}, {"", "none", true},
		{"null", "", false}, {"https://temporal.example.evil.example", "", false}, {"https://evil-temporal.example", "", false},
		{"https://temporal.example:8443", "", false}, {"http://temporal.example", "", false}, {"https://temporal.example/", "", false},
		{"https://TEMPORAL.example", "", false}, {"http://localhost:8234", "", false}, {"http://localhost", "", false}, {"*", "", false},
		{ui + ", https://evil.example", "", false}, {"", "cross-site", false}, {"", "same-site", false},
	} {
		headers := []string{}
		if c.origin != "" {
			headers = append(headers, "Origin", c.origin)
		}
		if c.site != "" {
			headers = append(headers, "Sec-Fetch-Site", c.site)
		}
		for method, code := range map[string]int{"POST": 200, "OPTIONS": 204} {
			before := w.last().Number
			a := w.ask(oscar, method, "/codec/decode", body, headers...)
			allowed := a.header.Get("Access-Control-Allow-Origin")
			if c.may && (a.code != code || allowed != c.origin || a.header.Get("Vary") != "Origin") ||
				!c.may &&
					(a.code != http.StatusForbidden || allowed != "" || w.last().Number != before || strings.Contains(a.body, c.origin) && c.origin != "") {
				t.Errorf("%s %q %q: %d, allowed %q: %s", method, c.origin, c.site, a.code, allowed, a.body)
			}
		}
	}
	// A link to it makes no browser look, and leaves nothing in the log.
	before := w.last().Number
	if a := w.ask(oscar, "GET", "/codec/decode", ""); a.code != http.StatusMethodNotAllowed || w.last().Number != before {
		t.Error(a.code, a.body, w.last())
	}
}

// What cannot be read is not shown, nor repeated.
func TestCodecRefuses(t *testing.T) {
	t.Parallel()
	codec := codecOf(t, encryption('a', "force"))
	w := newWorld(t, func(o *Options) { o.Codec = codec })
	oscar := w.as("oscar", access.Officer)
	good := encrypted(t, codec, "the officer's words")
	for scenario, body := range map[string]string{
		"in clear":             encrypted(t, nil, "hunter2"),
		"under another key":    encrypted(t, codecOf(t, encryption('b', "force")), "hunter2"),
		"of another namespace": encrypted(t, codecOf(t, encryption('a', "other")), "hunter2"),
		"no payloads":          `{"hunter2": 1}`,
		"no JSON":              `hunter2`,
		"too much":             `{"payloads": [` + strings.Repeat(" ", maxPayloads) + `]}`,
	} {
		before := w.last().Number
		a := w.ask(oscar, "POST", "/codec/decode", body)
		if a.code != http.StatusBadRequest || strings.Contains(a.body, "hunter2") || strings.Contains(a.body, "kb") ||
			w.last().Number != before {
			t.Errorf("%s: %d %s", scenario, a.code, a.body)
		}
	}
	if a := w.ask(oscar, "POST", "/codec/decode", good); decoded(t, a) != "the officer's words" {
		t.Error(a.code, a.body)
	}
	// What is encoded here is what the workers read.
	a := w.ask(oscar, "POST", "/codec/encode", encrypted(t, nil, "a start"))
	if a.code != 200 || strings.Contains(a.body, "a start") || w.last().Did != "encoded" {
		t.Fatal(a.code, a.body, w.last())
	}
	if back := w.ask(oscar, "POST", "/codec/decode", a.body); decoded(t, back) != "a start" {
		t.Error(back.code, back.body)
	}
	without := newWorld(t, nil)
	if a := without.ask(without.as("oscar", access.Officer), "POST", "/codec/decode", good); a.code != http.StatusNotFound {
		t.Error("without keys there is an endpoint: ", a.code, a.body)
	}
}

// The web UI of a demo signs nobody in: it has a path of its own, which nobody can guess.
func TestCodecOfADemo(t *testing.T) {
	t.Parallel()
	codec := codecOf(t, encryption('a', "default"))
	w := newWorld(t, func(o *Options) {
		o.URL, o.Provider, o.Identity = &url.URL{Scheme: "http", Host: "localhost:8088"}, nil, attest.Identity{}
		o.People = []Person{{"ann", "Ann", []string{"analyst"}}, {"harry", "Harry", []string{"team:Hackney"}}}
		o.Codec, o.UIOrigins, o.DemoToken = codec, []string{"http://localhost:8233"}, "secret"
	})
	body := encrypted(t, codec, "the officer's words")
	for _, c := range []struct {
		path, origin, token string
		code                int
	}{
		{"/codec/secret/decode", "http://localhost:8233", "", 200}, {"/codec/secret/decode", "https://evil.example", "", 403},
		{"/codec/decode", "http://localhost:8233", "", 401}, {"/codec/decode", "http://localhost:8233", "ann", 200}, {"/codec/decode", "http://localhost:8233", "harry", 403},
		{"/codec/guess/decode", "http://localhost:8233", "", 404},
	} {
		headers := []string{"Origin", c.origin}
		if c.token != "" {
			headers = append(headers, "Authorization", "Bearer "+c.token)
		}
		if a := w.ask(w.browser(), "POST", c.path, body, headers...); a.code != c.code ||
			(decoded(t, a) != "") != (c.code == 200) {
			t.Errorf("%+v: %d %s", c, a.code, a.body)
		}
	}
}
