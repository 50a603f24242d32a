package desk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/sync/singleflight"

	"harmstack/activities/trust/access"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/schemas/text"
)

// Person is somebody whom the identity provider vouches for.
type Person struct {
	Subject string   `json:"subject"`
	Name    string   `json:"name"`
	Roles   []string `json:"roles"`
}

func (p Person) actor() audit.Actor {
	if p.Subject == "" {
		return audit.Claims("somebody who is not signed in")
	}
	return audit.Actor{Name: p.Name, Verified: audit.Attested, Subject: p.Subject}
}

// Provider is the identity provider, by OpenID Connect. What it offers is read when somebody first signs in, so that
// the desk starts while the provider is away.
type Provider struct {
	Issuer, ClientID, ClientSecret string
	// CLI is the client id of the command line, which signs in by the device flow; empty: it cannot.
	CLI string
	// Audiences are further client ids whose tokens are believed, such as that of Temporal's web UI.
	Audiences []string
	// Client speaks to the provider; nil: the usual one.
	Client *http.Client

	now    func() time.Time
	asking singleflight.Group
	found  atomic.Pointer[found]
}

// found is what the provider offers, and who verifies its tokens by its keys, which are kept until one is not among
// them.
type found struct {
	*oidc.Provider
	verifier *oidc.IDTokenVerifier
}

// providerTime is how long the provider is waited for.
const providerTime = 15 * time.Second

// scopes are what is asked of the provider.
var scopes = []string{oidc.ScopeOpenID, "profile"}

func (p *Provider) context(ctx context.Context) context.Context {
	client := p.Client
	if client == nil {
		client = &http.Client{Timeout: providerTime}
	}
	return oidc.ClientContext(ctx, client)
}

// discover reads what the provider offers, once it answers. Those who come while it is asked wait for the one answer.
func (p *Provider) discover(ctx context.Context) (*found, error) {
	if f := p.found.Load(); f != nil {
		return f, nil
	}
	asked, err, _ := p.asking.Do("", func() (any, error) {
		// Others wait for the answer too, when whoever asked first has gone.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), providerTime)
		defer cancel()
		provider, err := oidc.NewProvider(p.context(ctx), p.Issuer)
		if err != nil {
			return nil, err
		}
		// Whose a token is is checked by verify: there are several clients.
		f := &found{provider, provider.Verifier(&oidc.Config{SkipClientIDCheck: true, Now: p.now})}
		p.found.Store(f)
		return f, nil
	})
	if err != nil {
		return nil, fmt.Errorf("the identity provider does not answer: %w", err)
	}
	return asked.(*found), nil
}

func (p *Provider) flow(found *found, redirect string) *oauth2.Config {
	return &oauth2.Config{
		ClientID:     p.ClientID,
		ClientSecret: p.ClientSecret,
		Endpoint:     found.Endpoint(),
		RedirectURL:  redirect,
		Scopes:       scopes,
	}
}

// errNobody says that a token is none that the desk believes. What is wrong with it is for the log, not for whoever
// sent it.
var errNobody = errors.New("you are not signed in, or no longer: sign in again")

// verify reads an identity token that was issued to one of our clients.
func (p *Provider) verify(
	ctx context.Context,
	token, nonce string,
	clients []string,
	rules access.Rules,
) (person Person, err error) {
	found, err := p.discover(ctx)
	if err != nil {
		return person, err
	}
	id, err := found.verifier.Verify(p.context(ctx), token)
	if err != nil {
		return person, fmt.Errorf("%w (%v)", errNobody, err)
	}
	if !slices.ContainsFunc(id.Audience, func(a string) bool { return slices.Contains(clients, a) }) {
		return person, fmt.Errorf("%w (the token is for another service)", errNobody)
	}
	if nonce != "" && id.Nonce != nonce {
		return person, fmt.Errorf("%w (the token is of another sign-in)", errNobody)
	}
	claims := map[string]any{}
	if err := id.Claims(&claims); err != nil {
		return person, fmt.Errorf("%w (%v)", errNobody, err)
	}
	person = Person{Subject: id.Subject, Name: name(claims), Roles: rules.Roles(groups(claims[rules.Claim]))}
	if person.Subject == "" || person.Name == "" || schemas.CheckText("name", person.Name, schemas.MaxWho) != nil {
		return person, fmt.Errorf("%w (the token names nobody)", errNobody)
	}
	return person, nil
}

// name is what people call the person; what nobody can see in it is written out.
func name(claims map[string]any) string {
	for _, claim := range []string{"name", "preferred_username"} {
		said, _ := claims[claim].(string)
		if said = schemas.TrimSpace(said); said != "" {
			return text.Line(said)
		}
	}
	return ""
}

// groups are those of a claim, which may be one text or a list.
func groups(claim any) (list []string) {
	switch v := claim.(type) {
	case string:
		return []string{v}
	case []any:
		for _, g := range v {
			if name, ok := g.(string); ok {
				list = append(list, name)
			}
		}
	}
	return list
}

// who is the person of a request: by a token of the command line, or by the session's cookie.
func (d *Desk) who(r *http.Request) (Person, error) {
	if token := bearer(r); token != "" {
		return d.holder(r, token, d.Provider.cli())
	}
	cookie, err := r.Cookie(d.cookieName())
	if err != nil {
		return Person{}, errNobody
	}
	person, ok := d.sessions.find(cookie.Value)
	if !ok {
		return Person{}, errNobody
	}
	return person, nil
}

// whoDecodes is the person of a request to the codec endpoint. The web UI, which signs people in itself, sends its
// identity token in a header of its own; what it holds is good for nothing else.
func (d *Desk) whoDecodes(r *http.Request) (Person, error) {
	token := r.Header.Get("Authorization-Extras")
	if token == "" {
		token = bearer(r)
	}
	if token == "" || d.Provider == nil {
		return d.who(r)
	}
	return d.holder(r, token, append(d.Provider.cli(), d.Provider.Audiences...))
}

func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}

// cli is the command line as a client, if it is one.
func (p *Provider) cli() []string {
	if p == nil || p.CLI == "" {
		return nil
	}
	return []string{p.CLI}
}

// holder is the person of an identity token that was issued to one of the clients.
func (d *Desk) holder(r *http.Request, token string, clients []string) (Person, error) {
	if d.Provider == nil {
		return d.demoBearer(token)
	}
	return d.Provider.verify(r.Context(), token, "", clients, d.Rules)
}

// demoBearer is the person of a demo whose subject is given as a token: nobody there has a secret.
func (d *Desk) demoBearer(token string) (Person, error) {
	for _, p := range d.People {
		if p.Subject == token {
			return p, nil
		}
	}
	return Person{}, errNobody
}
