package desk

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"harmstack/activities/trust/audit"
	"harmstack/starter/desk/idp"
)

// The command line's identity token is its person's word for as long as it lasts. Nothing else is, and whoever sends it
// is told no more than that.
func TestBearer(t *testing.T) {
	t.Parallel()
	p := idp.Shared(t)
	w := provided(t, p, nil)
	good := p.Token(t, idp.CLI, "oscar")
	parts := strings.Split(good, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	part := func(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }
	altered := part(bytes.Replace(payload, []byte(`"oscar"`), []byte(`"olive"`), 1))
	var head struct {
		KeyID string `json:"kid"`
	}
	if data, err := base64.RawURLEncoding.DecodeString(parts[0]); err != nil || json.Unmarshal(data, &head) != nil {
		t.Fatal(err)
	}
	own, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(alg jose.SignatureAlgorithm, key any, kid string, payload []byte) string {
		s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: kid}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := s.Sign(payload)
		if err != nil {
			t.Fatal(err)
		}
		token, err := signed.CompactSerialize()
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	other := idp.Start(t, "0").Token(t, idp.CLI, "oscar")
	long := bytes.Replace(payload, []byte(p.Issuer), []byte("http://"+strings.Repeat("x", 20_000)), 1)
	for _, c := range []struct {
		scenario, token string
		code            int
		logged          string
	}{
		{"the command line's", good, 200, ""},
		{"the web UI's", p.Token(t, idp.WebUI, "oscar"), 401, "for another service"},
		{"another service's", p.Token(t, idp.Elsewhere, "oscar"), 401, "for another service"},
		{"altered after it was signed", parts[0] + "." + altered + "." + parts[2], 401, "failed to verify signature"},
		{"of the algorithm none", part([]byte(`{"alg":"none"}`)) + "." + altered + ".", 401, "malformed"},
		{"of the algorithm none, in other letters", part([]byte(`{"alg":"nOnE"}`)) + "." + altered + ".", 401, "malformed"},
		{"signed with the desk's secret", sign(jose.HS256, []byte(idp.DeskSecret+strings.Repeat(" ", 32)), head.KeyID, payload), 401, "malformed"},
		{"signed by somebody else", sign(jose.RS256, own, "mine", payload), 401, "failed to verify signature"},
		{"signed by somebody else under the provider's key id", sign(jose.RS256, own, head.KeyID, payload), 401, "failed to verify signature"},
		{"another provider's", other, 401, "oidc: "},
		{"with a long story", sign(jose.RS256, own, head.KeyID, long), 401, ""},
		{"no token", "hunter2", 401, "malformed"},
		{"nothing", "", 401, ""},
		{"somebody without groups", p.Token(t, idp.CLI, "groupless"), 403, ""},
		{"somebody whose groups have no role", p.Token(t, idp.CLI, "nemo"), 403, ""},
		{"somebody with one group, as one text", p.Token(t, idp.CLI, "aud"), 200, ""},
		{"somebody without a name", p.Token(t, idp.CLI, "nameless"), 401, "names nobody"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			before := len(w.logs.String())
			a := w.ask(w.browser(), "GET", "/api/v1/me", "", "Authorization", "Bearer "+c.token)
			logged := w.logs.String()[before:]
			if a.code != c.code || !strings.Contains(logged, c.logged) || strings.Contains(logged, "hunter2") ||
				len(logged) > 1000 {
				t.Errorf("%d %s, and the log says %s", a.code, a.body, logged)
			}
			if a.code == 401 &&
				a.body != `{"kind":"NotSignedIn","message":"you are not signed in, or no longer: sign in again"}`+"\n" {
				t.Errorf("it says more: %s", a.body)
			}
			if last := w.last(); a.code == 403 && (last.Outcome != audit.Refused || last.Why != noRole) {
				t.Errorf("%+v", last)
			}
		})
	}
	if a := w.ask(w.browser(), "GET", "/api/v1/taskings", "", "Authorization", "Bearer "+p.Token(t, idp.CLI, "markup")); a.code != 200 ||
		w.last().Actor.Name != "<script>alert(1)</script>" {
		t.Error(a.code, a.body, w.last())
	}
	if a := w.ask(w.browser(), "GET", "/api/v1/me", "", "Authorization", "bearer "+good); a.code != 200 {
		t.Error("the scheme has no letter case: ", a.code, a.body)
	}
	if a := w.ask(w.as("ann", everyone["analyst"]...), "GET", "/api/v1/me", "", "Authorization", "Basic hunter2"); a.code != 200 {
		t.Error("what a proxy adds is not for the desk: ", a.code, a.body)
	}
	// An hour is as long as the provider lets it last.
	w.pass(59 * time.Minute)
	if a := w.ask(w.browser(), "GET", "/api/v1/me", "", "Authorization", "Bearer "+good); a.code != 200 {
		t.Error(a.code, a.body)
	}
	w.pass(2 * time.Minute)
	if a := w.ask(w.browser(), "GET", "/api/v1/me", "", "Authorization", "Bearer "+good); a.code != 401 ||
		!strings.Contains(w.logs.String(), "expired") {
		t.Error(a.code, a.body)
	}
}

// A provider of which somebody asks again and again for keys that it has not got is not asked by everybody at once, and a
// desk that has its keys does not ask for them with each request.
func TestProviderIsAskedForItsKeysOnce(t *testing.T) {
	t.Parallel()
	p := idp.Shared(t)
	counted := &counter{}
	w := provided(t, p, func(o *Options) { o.Provider.Client = &http.Client{Transport: counted} })
	token := p.Token(t, idp.CLI, "ann")
	for range 5 {
		if a := w.ask(w.browser(), "GET", "/api/v1/me", "", "Authorization", "Bearer "+token); a.code != 200 {
			t.Fatal(a.code, a.body)
		}
	}
	if got := strings.Join(counted.asked, " "); got != "/.well-known/openid-configuration /jwks" {
		t.Errorf("it was asked for %s", got)
	}
}

type counter struct{ asked []string }

func (c *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	c.asked = append(c.asked, r.URL.Path)
	return http.DefaultTransport.RoundTrip(r)
}

// Nobody asks more than one person can.
func TestTooMuch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	ann, oscar := w.as("ann", everyone["analyst"]...), w.as("oscar", everyone["officer"]...)
	for range maxBurst {
		if w.desk.sessions.tooMuch(Person{Subject: "ann"}) {
			t.Fatal("a page of a history is too much")
		}
	}
	if a := w.ask(ann, "GET", "/api/v1/me", ""); a.code != http.StatusTooManyRequests || a.problem().Kind != tooMuch {
		t.Error(a.code, a.body)
	}
	if a := w.ask(oscar, "GET", "/api/v1/me", ""); a.code != 200 {
		t.Error("another person waits too: ", a.code, a.body)
	}
	if w.pass(time.Second); !w.signedIn(ann) {
		t.Error("a second later it is still too much")
	}
}
