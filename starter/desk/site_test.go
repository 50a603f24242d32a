package desk

import (
	"net/http"
	"strings"
	"testing"

	"harmstack/activities/pipeline"
	"harmstack/activities/store"
	"harmstack/activities/trust/access"
	"harmstack/schemas"
)

// A page of another site that makes a browser ask, with the session's cookie, is refused before anything is read.
func TestOtherSitesAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	b := w.as("oscar", access.Officer)
	stack := "/api/v1/nights/" + night + "/stack"
	for _, c := range []struct {
		method, path string
		code         int // as the desk's own page
		headers      []string
		refused      bool
	}{
		{"POST", stack, 200, nil, false}, // no browser
		{"POST", stack, 200, []string{"Sec-Fetch-Site", "same-origin", "Origin", "https://desk.example"}, false},
		{"POST", stack, 200, []string{"Origin", "https://desk.example"}, false}, // an old browser
		{"POST", stack, 200, []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, true},
		{"POST", stack, 200, []string{"Sec-Fetch-Site", "same-site", "Origin", "https://temporal.desk.example"}, true},
		{"POST", stack, 200, []string{"Sec-Fetch-Site", "cross-site"}, true},
		{"POST", stack, 200, []string{"Origin", "https://evil.example"}, true},
		{"POST", stack, 200, []string{"Origin", "https://desk.example.evil.example"}, true},
		{"POST", stack, 200, []string{"Origin", "https://desk.example:8443"}, true},
		{"POST", stack, 200, []string{"Origin", "null"}, true},
		{"POST", "/sign-out", 303, []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, true},
		{"POST", "/sign-out", 303, []string{"Origin", "https://evil.example"}, true},
		// A link elsewhere must not make the log say that somebody looked.
		{"GET", "/api/v1/taskings", 200, []string{"Sec-Fetch-Site", "cross-site"}, true},
		{"GET", "/api/v1/taskings", 200, []string{"Sec-Fetch-Site", "same-site"}, true},
		{"GET", "/api/v1/taskings", 200, []string{"Sec-Fetch-Site", "none"}, false}, // typed
		// A link in a mail that is read in a browser opens a page, in a window of its own.
		{"GET", "/", 200, []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, false},
		{"GET", "/", 200, []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"}, true},
		{"GET", "/", 200, []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}, true},
		{"GET", "/", 200, []string{"Sec-Fetch-Site", "cross-site"}, true},
	} {
		before := w.last()
		a := w.ask(b, c.method, c.path, `{"why": "briefing"}`, c.headers...)
		if c.refused &&
			(a.code != http.StatusForbidden || w.last().Number != before.Number || strings.Contains(a.body, "S-1")) ||
			!c.refused && a.code != c.code {
			t.Errorf("%s %s %v: %d %s", c.method, c.path, c.headers, a.code, a.body)
		}
		if a.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%v may read the answer", c.headers)
		}
	}
	if !w.signedIn(b) {
		t.Error("another site signed somebody out")
	}
}

// A request that is not exactly one JSON object of the call's fields is refused, and what it held is not repeated.
func TestRequestsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ann, oscar := w.as("ann", access.Analyst), w.as("oscar", access.Officer)
	tasking := "/api/v1/taskings/" + w.tasking("Hackney")
	stack, decision := "/api/v1/nights/"+night+"/stack", "/api/v1/nights/"+night+"/decision"
	sha := strings.Repeat("a", 64)
	for _, c := range []struct {
		scenario     string
		by           *http.Client
		path, body   string
		kind, says   string
		contentTypes []string
	}{
		{"unknown field", ann, stack, `{"why": "x", "hunter2": 1}`, "BadRequest", "cannot be read", nil},
		{"two objects", ann, stack, `{"why": "x"}{"why": "hunter2"}`, "BadRequest", "more than one", nil},
		{"more behind it", ann, stack, `{"why": "x"}]hunter2`, "BadRequest", "more than one", nil},
		{"no object", ann, stack, `"hunter2"`, "BadRequest", "cannot be read", nil},
		{"no JSON", ann, stack, `why=hunter2`, "BadRequest", "cannot be read", nil},
		{"nothing", ann, stack, ``, "BadRequest", "cannot be read", nil},
		{"too large", ann, stack, `{"why": "` + strings.Repeat("hunter2", 10_000) + `"}`, "BadRequest", "cannot be read", nil},
		{"too large behind it", ann, stack, `{"why": "x"}` + strings.Repeat(" ", maxBody) + "hunter2", "BadRequest", "more than one", nil},
		{"no content type, a form, text, and nearly JSON", ann, stack, `{"why": "x"}`, "BadRequest", "Content-Type application/json",
			[]string{"", "application/x-www-form-urlencoded", "text/plain", "application/jsonx", "application/json-patch+json", "multipart/form-data"}},
		{"somebody who is not there", ann, "/api/v1/nights/" + night + "/explanation", `{"why": "x", "suspect": "hunter2"}`, "BadRequest", "nobody of that name", nil},
		{"a night that is none", ann, "/api/v1/nights/hunter2/stack", `{"why": "x"}`, "BadRequest", "name a night as", nil},
		{"a date that is none", ann, "/api/v1/nights/2026-06-31/stack", `{"why": "x"}`, "BadRequest", "not a calendar date", nil},
		{"a night that is not there", ann, "/api/v1/nights/2026-06-29/stack", `{"why": "x"}`, "DisposedOf", "is not published", nil},
		{"a revision that is not there", ann, "/api/v1/nights/2026-06-30-r2/stack", `{"why": "x"}`, "DisposedOf", "is not published", nil},
		{"revision none", ann, "/api/v1/nights/2026-06-30-r0/stack", `{"why": "x"}`, "DisposedOf", "is not published", nil},
		{"a tasking that is none", ann, "/api/v1/taskings/hunter2/pack", `{"why": "x"}`, "NoSuchTasking", "no such tasking", nil},
		{"a way out of the store", ann, "/api/v1/taskings/..%2f..%2fhunter2/pack", `{"why": "x"}`, "NoSuchTasking", "no such tasking", nil},
		{"a way out of the nights", ann, "/api/v1/nights/..%2fhunter2/stack", `{"why": "x"}`, "BadRequest", "name a night as", nil},
		{"neither approve nor hold", oscar, decision, `{"decision": "hunter2"}`, "BadRequest", "give approve or hold", nil},
		{"no reason", oscar, decision, `{"decision": "approve", "manifest_sha256": "` + sha + `"}`, "BadRequest", "reason: say why", nil},
		{"another name", oscar, decision, `{"decision": "approve", "manifest_sha256": "` + sha + `", "reason": "x", "by": "hunter2"}`, "BadRequest", "cannot be read", nil},
		{"another's attestation", oscar, decision, `{"decision": "approve", "manifest_sha256": "` + sha + `", "reason": "x", "attestation": "hunter2"}`, "BadRequest", "cannot be read", nil},
		{"two things at once", oscar, decision, `{"decision": "hold"}`, "BadRequest", "reason: say why; manifest_sha256: give", nil},
		{"a model that is none", ann, "/api/v1/nights", `{"model": "hunter2"}`, "BadRequest", "model: there is none of that name", nil},
		{"a model elsewhere", ann, "/api/v1/nights", `{"model": "../models/hunter2"}`, "BadRequest", "model: there is none", nil},
		{"a source with a password", ann, "/api/v1/nights", `{"extract": "https://a:hunter2@b/c"}`, "BadRequest", "holds credentials", nil},
		{"the future", ann, "/api/v1/nights", `{"as_of": "2099-01-01"}`, "BadRequest", "of the future", nil},
		{"an outcome that is none", w.as("h", access.TeamRole("Hackney")), tasking + "/outcome", `{"outcome": "hunter2"}`, "BadRequest", "give one of", nil},
		{"an act that is none", ann, tasking + "/hunter2", `{}`, unknownCall, "no such call", nil},
		{"a call that is none", ann, "/api/v1/hunter2", `{}`, unknownCall, "no such call", nil},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			if c.contentTypes == nil {
				c.contentTypes = []string{"application/json; charset=utf-8"}
			}
			for _, contentType := range c.contentTypes {
				a := w.ask(c.by, "POST", c.path, c.body, "Content-Type", contentType)
				if p := a.problem(); a.code < 400 || a.code > 404 || p.Kind != c.kind || !strings.Contains(p.Message, c.says) ||
					strings.Contains(a.body, "hunter2") ||
					strings.Contains(p.Message, "\n") ||
					a.header.Get("Content-Type") != "application/json" {
					t.Errorf("%s: %d %s", contentType, a.code, a.body)
				}
			}
		})
	}
	if strings.Contains(w.logs.String(), "hunter2") {
		t.Error(w.logs.String())
	}
}

// What a browser may do with an answer: keep nothing, frame nothing, run nothing.
func TestHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	b := w.as("markup", access.Analyst)
	for _, path := range []string{"/", "/sign-in", "/sign-in/callback", "/api/v1/me", "/api/v1/openapi.json", "/api/v1/login", "/api/v1/nowhere", "/nowhere"} {
		a := w.ask(b, "GET", path, "")
		for name, want := range map[string]string{
			"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "Strict-Transport-Security": "max-age=31536000",
			"Content-Security-Policy": policy,
		} {
			if got := a.header.Get(name); got != want {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		if strings.Contains(a.body, "<script>") || strings.Contains(a.body, "<style") || strings.Contains(a.body, "style=") ||
			strings.Contains(a.body, " onclick") || strings.Contains(a.body, "javascript:") {
			t.Errorf("%s has a style or a script inline: %s", path, a.body)
		}
	}
	// A name is text, whatever it holds.
	p := Person{Subject: "m", Name: `<script>alert(1)</script>"'`, Roles: []string{"analyst", "team:<b>Hackney</b>"}}
	b.Jar.SetCookies(w.desk.URL, []*http.Cookie{w.desk.cookie(w.desk.cookieName(), w.desk.sessions.start(p), sessionTime)})
	if a := w.ask(b, "GET", "/", ""); strings.Contains(a.body, "<script>") || strings.Contains(a.body, "<b>Hackney") ||
		!strings.Contains(a.body, "<span>&lt;script&gt;alert(1)&lt;/script&gt;") {
		t.Error(a.body)
	}
	if a := w.ask(b, "GET", "/api/v1/me", ""); strings.Contains(a.body, "<script") ||
		a.header.Get("Content-Type") != "application/json" {
		t.Error(a.body)
	}
}

// A name that would break a line of a log or a mail is written out.
func TestName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		claims map[string]any
		want   string
	}{
		{map[string]any{"name": " Oscar\n"}, "Oscar"},
		{map[string]any{"name": "Oscar\r\nBcc: all@example"}, `Oscar\r\nBcc: all@example`},
		{map[string]any{"name": "Oscar \u202eretsim"}, `Oscar \u202eretsim`},
		{map[string]any{"name": " ", "preferred_username": "oscar"}, "oscar"},
		{map[string]any{"name": 7, "preferred_username": []any{"oscar"}}, ""},
		{nil, ""},
	} {
		if got := name(c.claims); got != c.want {
			t.Errorf("%q is called %q", c.claims, got)
		}
	}
}

// What gives up in the middle is answered, and stands in the desk's log.
func TestAFaultOfTheDesk(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.desk.Night = func(*store.Store, schemas.Manifest) (pipeline.Night, error) { panic("no tables") }
	a := w.ask(w.as("ann", access.Analyst), "POST", "/api/v1/nights/"+night+"/explanation", `{"suspect": "S-1", "why": "briefing"}`)
	if a.code != http.StatusInternalServerError || !strings.Contains(a.body, "fault of the desk") || !strings.Contains(w.logs.String(), "no tables") {
		t.Errorf("%d %s\n%s", a.code, a.body, w.logs)
	}
}
