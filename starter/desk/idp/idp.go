// Package idp runs the identity provider of deploy/oidc for tests, and signs its people in as a browser would. It must
// not know what the desk makes of them.
package idp

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
)

// The clients of the provider.
const (
	Desk       = "harmstack-desk"
	DeskSecret = "a secret of the tests"
	CLI        = "harmstack-cli"
	WebUI      = "temporal-ui"
	Elsewhere  = "elsewhere" // a service that has nothing to do with Harmstack
)

// Provider is a running provider.
type Provider struct {
	Issuer string
	end    func()
}

// Start starts a provider that ends with the test; port 0 is a free one. desk is where the desk takes its answers, beside
// where its own tests have it. The test is skipped where the provider is not
// installed, unless HARMSTACK_E2E is full.
func Start(t testing.TB, port string, desk ...string) *Provider {
	t.Helper()
	p := start(t, port, desk...)
	t.Cleanup(p.Stop)
	return p
}

var shared struct {
	sync.Mutex
	*Provider
}

// Shared is a provider that the tests of a package share, and that ends with them.
func Shared(t testing.TB) *Provider {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.Provider == nil {
		shared.Provider = start(t, "0")
	}
	return shared.Provider
}

func start(t testing.TB, port string, desk ...string) *Provider {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	folder := filepath.Join(filepath.Dir(here), "..", "..", "..", "deploy", "oidc")
	_, err := os.Stat(filepath.Join(folder, "node_modules", "oidc-provider"))
	if err == nil {
		_, err = exec.LookPath("node")
	}
	if err != nil {
		skip := t.Skipf
		if os.Getenv("HARMSTACK_E2E") == "full" {
			skip = t.Fatalf
		}
		skip("no identity provider: npm install --prefix deploy/oidc --no-package-lock (%v)", err)
	}
	cmd := exec.Command("node", append([]string{filepath.Join(folder, "provider.mjs"), port}, desk...)...)
	// It ends when this pipe does: with this process at the latest.
	in, err := cmd.StdinPipe()
	var out io.Reader
	if err == nil {
		out, err = cmd.StdoutPipe()
	}
	var said strings.Builder
	cmd.Stderr = &said
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	p := &Provider{end: func() {
		_ = in.Close()
		_ = cmd.Wait()
	}}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "http://") {
			p.Issuer = lines.Text()
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return p
		}
	}
	p.Stop()
	t.Fatalf("the identity provider does not start: %s", said.String())
	return nil
}

// Stop ends the provider. What it knew of anybody's sign-in is gone.
func (p *Provider) Stop() {
	if p.end != nil {
		p.end()
		p.end = nil
	}
}

// Port is where it listens, for one that takes its place.
func (p *Provider) Port() string {
	u, err := url.Parse(p.Issuer)
	if err != nil {
		panic(err) // it is the provider's own
	}
	return u.Port()
}

// Browser is a client with a cookie jar that follows redirects as far as the provider's own pages.
func (p *Provider) Browser(t testing.TB) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar, CheckRedirect: func(r *http.Request, _ []*http.Request) error {
		if !strings.HasPrefix(r.URL.String(), p.Issuer) {
			return http.ErrUseLastResponse
		}
		return nil
	}}
}

// Login opens a page of the provider that asks who somebody is, types a login, and returns the answer to that: a
// redirect away from the provider, or its last page.
func (p *Provider) Login(t testing.TB, browser *http.Client, page, login string) *http.Response {
	t.Helper()
	r, err := browser.Get(page)
	if err != nil {
		t.Fatal(err)
	}
	return p.form(t, browser, r, url.Values{"prompt": {"login"}, "login": {login}, "password": {"any"}})
}

var (
	action = regexp.MustCompile(`action="([^"]+)"`)
	hidden = regexp.MustCompile(`name="xsrf" value="([^"]+)"`)
)

// form sends the form of a page.
func (p *Provider) form(t testing.TB, browser *http.Client, page *http.Response, fields url.Values) *http.Response {
	t.Helper()
	body, err := io.ReadAll(page.Body)
	page.Body.Close()
	found := action.FindSubmatch(body)
	if err != nil || found == nil {
		t.Fatalf("%s %s has no form: %v\n%s", page.Status, page.Request.URL.Path, err, body)
	}
	if secret := hidden.FindSubmatch(body); secret != nil {
		fields.Set("xsrf", string(secret[1]))
	}
	to, err := page.Request.URL.Parse(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	r, err := browser.PostForm(to.String(), fields)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Confirm lets a device in: somebody opens the page that the device names, says yes, and signs in.
func (p *Provider) Confirm(t testing.TB, page, login string) {
	t.Helper()
	browser := p.Browser(t)
	r, err := browser.Get(page)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(page)
	if err != nil {
		t.Fatal(err)
	}
	// The page with the code filled in sends itself on, by script.
	code := u.Query().Get("user_code")
	r = p.form(t, browser, r, url.Values{"user_code": {code}})
	r = p.form(t, browser, r, url.Values{"user_code": {code}, "confirm": {"yes"}})
	r = p.form(t, browser, r, url.Values{"prompt": {"login"}, "login": {login}, "password": {"any"}})
	body, err := io.ReadAll(r.Body)
	r.Body.Close()
	if err != nil || !strings.Contains(string(body), "Sign-in Success") {
		t.Fatalf("the device is not let in: %v\n%s", err, body)
	}
}

// Token is the identity token of somebody who signs in at a client by the device flow.
func (p *Provider) Token(t testing.TB, client, login string) string {
	t.Helper()
	var begun struct {
		DeviceCode string `json:"device_code"`
		Page       string `json:"verification_uri_complete"`
	}
	var got struct {
		ID string `json:"id_token"`
	}
	err := post(p.Issuer+"/device/auth", url.Values{"client_id": {client}, "scope": {"openid profile"}}, &begun)
	if err == nil {
		p.Confirm(t, begun.Page, login)
		err = post(p.Issuer+"/token", url.Values{"client_id": {client}, "device_code": {begun.DeviceCode},
			"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}}, &got)
	}
	if err != nil || got.ID == "" {
		t.Fatalf("no token: %v", err)
	}
	return got.ID
}

func post(to string, form url.Values, into any) error {
	r, err := http.PostForm(to, form)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if r.StatusCode != http.StatusOK {
		return errors.New(r.Status)
	}
	return json.NewDecoder(r.Body).Decode(into)
}
