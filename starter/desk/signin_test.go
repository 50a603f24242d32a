package desk

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"harmstack/activities/trust/access"
	"harmstack/activities/trust/attest"
	"harmstack/activities/trust/audit"
	"harmstack/starter/desk/idp"
)

// provided is a world whose people sign in at a provider.
func provided(t *testing.T, p *idp.Provider, change func(o *Options)) *world {
	t.Helper()
	return newWorld(t, func(o *Options) {
		o.Provider.Issuer = p.Issuer
		if change != nil {
			change(o)
		}
	})
}

// begin begins a sign-in and returns where the provider is asked.
func (w *world) begin(b *http.Client, next string) string {
	w.t.Helper()
	a := w.ask(b, "GET", "/sign-in?next="+url.QueryEscape(next), "")
	if a.code != http.StatusFound {
		w.t.Fatalf("%d %s", a.code, a.body)
	}
	return a.header.Get("Location")
}

// back is the path that the provider sends a browser back to, once somebody has said there who they are.
func (w *world) back(p *idp.Provider, page, login string) string {
	w.t.Helper()
	r := p.Login(w.t, p.Browser(w.t), page, login)
	r.Body.Close()
	to, err := r.Location()
	if err != nil || !strings.HasPrefix(to.String(), w.desk.URL.String()+"/sign-in/callback?") {
		w.t.Fatalf("%s to %v, %v", r.Status, to, err)
	}
	return to.RequestURI()
}

func (w *world) signIn(p *idp.Provider, login string) (*http.Client, answer) {
	w.t.Helper()
	b := w.browser()
	return b, w.ask(b, "GET", w.back(p, w.begin(b, "/"), login), "")
}

func (w *world) signedIn(b *http.Client) bool {
	w.t.Helper()
	return w.ask(b, "GET", "/api/v1/me", "").code == http.StatusOK
}

// Somebody signs in, is who the provider says, and signs out.
func TestSignIn(t *testing.T) {
	t.Parallel()
	p := idp.Shared(t)
	w := provided(t, p, nil)
	b := w.browser()
	page := w.begin(b, "/api/v1/me")
	asked, err := url.Parse(page)
	if q := asked.Query(); err != nil || q.Get("code_challenge_method") != "S256" || q.Get("code_challenge") == "" || q.Get("nonce") == "" ||
		q.Get("state") == "" ||
		q.Get("response_type") != "code" ||
		q.Get("redirect_uri") != "https://desk.example/sign-in/callback" {
		t.Fatal(page, err)
	}
	a := w.ask(b, "GET", w.back(p, page, "oscar"), "")
	if a.code != http.StatusSeeOther || a.header.Get("Location") != "/api/v1/me" {
		t.Fatal(a.code, a.header, a.body)
	}
	cookies := a.header.Values("Set-Cookie")
	if len(cookies) != 2 ||
		!strings.HasPrefix(cookies[0], "__Host-harmstack-signin=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax") ||
		!strings.HasPrefix(cookies[1], "__Host-harmstack=") ||
		!strings.HasSuffix(cookies[1], "; Path=/; Max-Age=28800; HttpOnly; Secure; SameSite=Lax") {
		t.Errorf("%q", cookies)
	}
	if last := w.last(); last.Did != "signed in" || last.Actor.Subject != "oscar" ||
		last.Actor.Verified != audit.Attested ||
		last.Outcome != audit.Done {
		t.Errorf("%+v", last)
	}
	me := w.ask(b, "GET", "/api/v1/me", "")
	if me.code != 200 ||
		me.body != `{"subject":"oscar","name":"Supt Oscar Officer","roles":["officer"],"teams":[],"identity":"required"}`+"\n" {
		t.Error(me.code, me.body)
	}
	if home := w.ask(b, "GET", "/", ""); !strings.Contains(home.body, "<span>Supt Oscar Officer</span>") ||
		strings.Contains(home.body, "takes people’s word") {
		t.Error(home.body)
	}
	// The cookie that is taken from the browser opens nothing afterwards.
	kept := b.Jar.Cookies(w.desk.URL)
	if a := w.ask(b, "POST", "/sign-out", ""); a.code != http.StatusSeeOther || w.signedIn(b) {
		t.Error(a.code, a.body)
	}
	b.Jar.SetCookies(w.desk.URL, kept)
	if w.signedIn(b) {
		t.Error("the session goes on after its end")
	}
}

// On this machine the desk may be reached by plain HTTP: its cookie is not Secure then, and has no __Host-.
func TestCookiesOnThisMachine(t *testing.T) {
	t.Parallel()
	p := idp.Shared(t)
	w := provided(t, p, func(o *Options) { o.URL = &url.URL{Scheme: "http", Host: "localhost:8088"} })
	b, a := w.signIn(p, "ann")
	cookies := a.header.Values("Set-Cookie")
	if len(cookies) != 2 || !strings.HasPrefix(cookies[1], "harmstack=") ||
		!strings.HasSuffix(cookies[1], "; Path=/; Max-Age=28800; HttpOnly; SameSite=Lax") ||
		!w.signedIn(b) ||
		a.header.Get("Strict-Transport-Security") != "" {
		t.Error(a.code, cookies)
	}
	// A name that somebody made to lead here is none of the desk's: its pages would pass for the desk's own.
	r, err := http.NewRequest("GET", "http://localhost:8088/", nil)
	if err != nil {
		t.Fatal(err)
	}
	for host, code := range map[string]int{"localhost:8088": 200, "127.0.0.1:8088": 200, "[::1]:8088": 200, "evil.example:8088": 421, "evil.example": 421, "": 200} {
		r.Host = host
		got, err := b.Do(r)
		if err != nil || got.StatusCode != code {
			t.Errorf("%q: %v, %v", host, got.StatusCode, err)
		}
		got.Body.Close()
	}
}

// A sign-in that is not the one this browser began, just now and once, is none. What is wrong is for the desk's log.
func TestSignInsThatAreRefused(t *testing.T) {
	t.Parallel()
	p := idp.Shared(t)
	w := provided(t, p, nil)
	stolen := func(begun *http.Client) string { return w.back(p, w.begin(begun, "/"), "oscar") }
	with := func(path, name, value string) string {
		u, err := url.Parse(path)
		if err != nil {
			t.Fatal(err)
		}
		q := u.Query()
		q.Set(name, value)
		u.RawQuery = q.Encode()
		return u.RequestURI()
	}
	for _, c := range []struct {
		scenario string
		path     func(b *http.Client) string
		logged   string
	}{
		{"another browser's answer", func(*http.Client) string { return stolen(w.browser()) }, "this browser began no sign-in"},
		{"another browser's answer, while this one signs in", func(b *http.Client) string {
			w.begin(b, "/")
			return stolen(w.browser())
		}, "not of the sign-in that this browser began"},
		{"another state", func(b *http.Client) string { return with(stolen(b), "state", "hunter2") }, "not of the sign-in"},
		{"no state", func(b *http.Client) string { return with(stolen(b), "state", "") }, "not of the sign-in"},
		{"the answer again", func(b *http.Client) string {
			path := stolen(b)
			if a := w.ask(b, "GET", path, ""); a.code != http.StatusSeeOther {
				t.Error(a.code, a.body)
			}
			w.ask(b, "POST", "/sign-out", "")
			return path
		}, "this browser began no sign-in"},
		{"the answer again, by a browser that kept the cookie", func(b *http.Client) string {
			path := stolen(b)
			kept := b.Jar.Cookies(w.desk.URL)
			w.ask(b, "GET", path, "")
			w.ask(b, "POST", "/sign-out", "")
			b.Jar.SetCookies(w.desk.URL, kept)
			return path
		}, "does not take the code"},
		{"a code that is made up", func(b *http.Client) string { return with(stolen(b), "code", "hunter2") }, "does not take the code"},
		{"another sign-in's code", func(b *http.Client) string {
			u, err := url.Parse(stolen(w.browser()))
			if err != nil {
				t.Fatal(err)
			}
			return with(stolen(b), "code", u.Query().Get("code"))
		}, "does not take the code"},
		{"one that somebody broke off", func(b *http.Client) string {
			u, err := url.Parse(w.begin(b, "/"))
			if err != nil {
				t.Fatal(err)
			}
			return "/sign-in/callback?error=access_denied&error_description=hunter2&state=" + u.Query().Get("state")
		}, "the identity provider refused"},
		{"one that took too long", func(b *http.Client) string {
			path := stolen(b)
			w.pass(signInTime + time.Second)
			return path
		}, "took too long"},
		{"one that began at another desk", func(b *http.Client) string {
			other := provided(t, p, nil)
			there := other.browser()
			path := other.back(p, other.begin(there, "/"), "oscar")
			b.Jar.SetCookies(w.desk.URL, there.Jar.Cookies(w.desk.URL))
			return path
		}, "began at another desk"},
		{"somebody without a name", func(b *http.Client) string { return w.back(p, w.begin(b, "/"), "nameless") }, "names nobody"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			b := w.browser()
			a := w.ask(b, "GET", c.path(b), "")
			if a.code != http.StatusForbidden || !strings.Contains(a.body, "You could not be signed in. Begin again") ||
				w.signedIn(b) {
				t.Errorf("%d %s", a.code, a.body)
			}
			logs := strings.Split(strings.TrimSpace(w.logs.String()), "\n")
			if failed := logs[len(logs)-2]; !strings.Contains(failed, "a sign-in failed") ||
				!strings.Contains(failed, c.logged) ||
				strings.Contains(failed, "hunter2") {
				t.Errorf("the log says %s", failed)
			}
			if strings.Contains(a.body, c.logged) || strings.Contains(a.body, "hunter2") {
				t.Errorf("the page says why: %s", a.body)
			}
		})
	}
	for _, login := range []string{"nemo", "groupless"} {
		b, a := w.signIn(p, login)
		if last := w.last(); a.code != http.StatusForbidden || !strings.Contains(a.body, "none of your groups has a role") || w.signedIn(b) ||
			last.Did != "signed in" ||
			last.Outcome != audit.Refused ||
			last.Actor.Subject != login {
			t.Errorf("%s: %d %s, %+v", login, a.code, a.body, last)
		}
	}
}

// An identity token counts in the sign-in for which it was made, to the service for which it was made.
func TestNonce(t *testing.T) {
	t.Parallel()
	p := idp.Shared(t)
	w := provided(t, p, nil)
	found, err := w.desk.Provider.discover(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	flow, verifier := w.desk.Provider.flow(found, "https://desk.example/sign-in/callback"), oauth2.GenerateVerifier()
	u, err := url.Parse(w.back(p, flow.AuthCodeURL("s", oidc.Nonce("n1"), oauth2.S256ChallengeOption(verifier)), "oscar"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := flow.Exchange(t.Context(), u.Query().Get("code"), oauth2.VerifierOption(oauth2.GenerateVerifier())); err == nil {
		t.Error("whoever has the code alone gets something for it")
	}
	token, err := flow.Exchange(t.Context(), u.Query().Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := token.Extra("id_token").(string)
	for _, c := range []struct{ scenario, nonce, client, says string }{
		{"its own", "n1", idp.Desk, ""},
		{"another sign-in's", "n2", idp.Desk, "of another sign-in"},
		{"another service's", "n1", idp.CLI, "for another service"},
	} {
		person, err := w.desk.Provider.verify(t.Context(), raw, c.nonce, []string{c.client}, rules)
		if c.says == "" && (err != nil || person.Subject != "oscar") ||
			c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %+v, %v", c.scenario, person, err)
		}
	}
}

// After signing in nobody is sent away from the desk.
func TestNextStaysAtTheDesk(t *testing.T) {
	t.Parallel()
	for next, want := range map[string]string{
		"/api/v1/me": "/api/v1/me", "/?night=2026-06-30": "/?night=2026-06-30", "": "/", "api": "/",
		"https://evil.example/": "/", "//evil.example": "/", "/\\evil.example": "/", "\\\\evil.example": "/", "/\t/evil.example": "/",
		"/\n/evil.example": "/", "/\r\nSet-Cookie: a=b": "/", "/\x00/evil.example": "/", "javascript:alert(1)": "/", "///evil.example": "/",
		"/" + strings.Repeat("x", maxNext): "/",
	} {
		if got := local(next); got != want {
			t.Errorf("%q leads to %q", next, got)
		}
	}
	p := idp.Shared(t)
	w := provided(t, p, nil)
	for _, next := range []string{"https://evil.example/", "/.//evil.example", "/x/..//evil.example"} {
		b := w.browser()
		a := w.ask(b, "GET", w.back(p, w.begin(b, next), "ann"), "")
		to, err := w.desk.URL.Parse(a.header.Get("Location"))
		if err != nil || to.Host != "desk.example" || a.code != http.StatusSeeOther {
			t.Errorf("%q leads to %s, %v", next, to, err)
		}
	}
}

// A session ends after eight hours, or an hour without a request, and begins anew with each sign-in.
func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	b := w.as("ann", access.Analyst)
	for range 10 {
		if !w.signedIn(b) {
			t.Fatal("the session ended early")
		}
		w.pass(45 * time.Minute)
	}
	w.pass(16 * time.Minute)
	if w.signedIn(b) {
		t.Error("an hour without a request did not end it")
	}
	b = w.as("ann", access.Analyst)
	for range 16 {
		w.pass(30 * time.Minute)
		w.signedIn(b)
	}
	if !w.signedIn(b) {
		t.Error("eight hours are not over")
	}
	if w.pass(time.Second); w.signedIn(b) {
		t.Error("eight hours did not end it")
	}
	for i := range maxSessions {
		w.desk.sessions.open[strconv.Itoa(i)] = session{ends: w.clock().Add(time.Hour), due: w.clock().Add(time.Hour)}
	}
	last := w.desk.sessions.start(Person{Subject: "x"})
	if _, ok := w.desk.sessions.find(last); !ok || len(w.desk.sessions.open) > maxSessions {
		t.Errorf("%d sessions are kept, and the newest is not", len(w.desk.sessions.open))
	}
}

// The desk starts while the provider is away: people are told, and sign in once it is back.
func TestProviderAway(t *testing.T) {
	t.Parallel()
	p := idp.Start(t, "0")
	w := provided(t, p, nil)
	token := p.Token(t, idp.CLI, "ann")
	p.Stop()
	b := w.browser()
	if a := w.ask(b, "GET", "/sign-in", ""); a.code != 503 ||
		!strings.Contains(a.body, "The identity provider does not answer") ||
		strings.Contains(a.body, "127.0.0.1") {
		t.Error(a.code, a.body)
	}
	if a := w.ask(b, "GET", "/api/v1/me", "", "Authorization", "Bearer "+token); a.code != 503 ||
		a.problem().Kind != away {
		t.Error(a.code, a.body)
	}
	if signed := w.as("ann", access.Analyst); !w.signedIn(signed) {
		t.Error("who is signed in is signed out")
	}
	again := idp.Start(t, p.Port())
	if b, a := w.signIn(again, "ann"); !w.signedIn(b) {
		t.Error(a.code, a.body)
	}
	if a := w.ask(b, "GET", "/api/v1/me", "", "Authorization", "Bearer "+token); a.code != 200 {
		t.Error(a.code, a.body)
	}
	// From then on its keys are known: tokens are verified while it is away.
	again.Stop()
	if a := w.ask(b, "GET", "/api/v1/me", "", "Authorization", "Bearer "+token); a.code != 200 {
		t.Error(a.code, a.body)
	}
	path := w.begin(b, "/")
	u, _ := url.Parse(path)
	if a := w.ask(b, "GET", "/sign-in/callback?code=x&state="+u.Query().Get("state"), ""); a.code != http.StatusForbidden ||
		strings.Contains(a.body, "127.0.0.1") {
		t.Error(a.code, a.body)
	}
}

// A desk that could not be one is refused at the start.
func TestNew(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for says, change := range map[string]func(o *Options){
		"URL is missing":                   func(o *Options) { o.URL = &url.URL{} },
		"must be https":                    func(o *Options) { o.URL = &url.URL{Scheme: "http", Host: "desk.example"} },
		"provider's URL must be https":     func(o *Options) { o.Provider = &Provider{Issuer: "http://login.example"} },
		"no key to vouch":                  func(o *Options) { o.Signer = nil },
		"name the identity provider":       func(o *Options) { o.Provider = nil },
		"which has no identity provider":   func(o *Options) { o.People = []Person{{Subject: "x"}} },
		"which is on this machine":         func(o *Options) { o.Provider, o.People = nil, []Person{{Subject: "x"}} },
		"a token without a sign-in":        func(o *Options) { o.DemoToken = "x" },
		"write the origin of a web UI":     func(o *Options) { o.UIOrigins = []string{"https://temporal.example/"} },
		"write the origin of a web UI as ": func(o *Options) { o.UIOrigins = []string{"null"} },
	} {
		o := w.desk.Options
		change(&o)
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}

// In a demo anybody on this machine may be any of its people, who do not exist, and nobody else.
func TestDemo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) {
		o.URL, o.Provider, o.Identity = &url.URL{Scheme: "http", Host: "localhost:8088"}, nil, attest.Identity{}
		o.People = []Person{
			{"ann", "<script>alert(1)</script>", []string{"analyst"}},
			{"oscar", "Oscar", []string{"officer"}},
		}
	})
	b := w.browser()
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	if a := w.ask(b, "POST", "/demo", "person=hunter2", form...); a.code != http.StatusForbidden ||
		strings.Contains(a.body, "hunter2") ||
		w.signedIn(b) {
		t.Error(a.code, a.body)
	}
	if a := w.ask(b, "POST", "/demo", "person=ann", append(form, "Sec-Fetch-Site", "cross-site")...); a.code != http.StatusForbidden ||
		w.signedIn(b) {
		t.Error(a.code, a.body)
	}
	if a := w.ask(b, "POST", "/demo", "person=ann", form...); a.code != http.StatusSeeOther || !w.signedIn(b) {
		t.Error(a.code, a.body)
	}
	if a := w.ask(b, "GET", "/", ""); strings.Contains(a.body, "<script>") ||
		!strings.Contains(a.body, "&lt;script&gt;alert(1)") ||
		!strings.Contains(a.body, "This is a demo") {
		t.Error(a.body)
	}
	if a := w.ask(w.browser(), "GET", "/api/v1/me", "", "Authorization", "Bearer oscar"); a.code != 200 ||
		!strings.Contains(a.body, `"identity":"claimed"`) {
		t.Error(a.code, a.body)
	}
	if a := w.ask(w.browser(), "GET", "/sign-in/callback?code=x&state=y", ""); a.code != http.StatusForbidden {
		t.Error(a.code, a.body)
	}
	if a := w.ask(w.browser(), "GET", "/api/v1/login", ""); a.body != `{"scopes":["openid","profile"],"people":["ann","oscar"]}`+"\n" {
		t.Error(a.body)
	}
}

// Serve answers until it is told to end, and then lets what is under way end.
func TestServe(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options) { o.URL = &url.URL{Scheme: "http", Host: "localhost:8088"} })
	l, err := listen()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.desk.Serve(ctx, l) }()
	r, err := http.Get("http://" + l.Addr().String() + "/")
	if err != nil || r.StatusCode != 200 {
		t.Fatal(r, err)
	}
	r.Body.Close()
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
