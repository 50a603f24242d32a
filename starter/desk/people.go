package desk

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"harmstack/activities/trust/access"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
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

// Provider is the identity provider, by OpenID Connect. What it offers is read when somebody first signs in, so that the
// desk starts while the provider is away.
type Provider struct {
	Issuer, ClientID, ClientSecret string
	// CLI is the client id of the command line, which signs in by the device flow; empty: it cannot.
	CLI string
	// Audiences are further client ids whose tokens are believed, such as that of Temporal's web UI.
	Audiences []string
	// Client speaks to the provider; nil: the usual one.
	Client *http.Client

	mu    sync.Mutex
	found *oidc.Provider
}

// scopes are what is asked of the provider.
var scopes = []string{oidc.ScopeOpenID, "profile"}

func (p *Provider) context(ctx context.Context) context.Context {
	client := p.Client
	if client == nil {
		client = &http.Client{Timeout: 15 * time.Second}
	}
	return oidc.ClientContext(ctx, client)
}

// discover reads what the provider offers, once it answers.
func (p *Provider) discover(ctx context.Context) (*oidc.Provider, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.found == nil {
		// The keys are read later, by the same client, when ctx has ended.
		found, err := oidc.NewProvider(p.context(context.WithoutCancel(ctx)), p.Issuer)
		if err != nil {
			return nil, fmt.Errorf("the identity provider does not answer: %w", err)
		}
		p.found = found
	}
	return p.found, nil
}

func (p *Provider) flow(found *oidc.Provider, redirect string) *oauth2.Config {
	return &oauth2.Config{ClientID: p.ClientID, ClientSecret: p.ClientSecret, Endpoint: found.Endpoint(), RedirectURL: redirect, Scopes: scopes}
}

// errNobody says that a token is none that the desk believes. What is wrong with it is for the log, not for whoever sent
// it.
var errNobody = errors.New("you are not signed in, or no longer: sign in again")

// verify reads an identity token that was issued to one of our clients.
func (p *Provider) verify(ctx context.Context, token, nonce string, clients []string, rules access.Rules) (person Person, err error) {
	found, err := p.discover(ctx)
	if err != nil {
		return person, err
	}
	// Whose it is is checked below: there are several clients.
	id, err := found.VerifierContext(p.context(ctx), &oidc.Config{SkipClientIDCheck: true}).Verify(p.context(ctx), token)
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

// bearers are the clients whose tokens are believed in a request: the command line's, and those of web UIs.
func (p *Provider) bearers() []string {
	if p.CLI == "" {
		return p.Audiences
	}
	return append([]string{p.CLI}, p.Audiences...)
}

// name is what people call the person.
func name(claims map[string]any) string {
	for _, claim := range []string{"name", "preferred_username"} {
		if text, ok := claims[claim].(string); ok && schemas.TrimSpace(text) != "" {
			return schemas.TrimSpace(text)
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
			if text, ok := g.(string); ok {
				list = append(list, text)
			}
		}
	}
	return list
}

// who is the person of a request: by the session's cookie, or by a bearer token.
func (d *Desk) who(r *http.Request) (Person, error) {
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		if d.Provider == nil {
			return d.demoBearer(token)
		}
		return d.Provider.verify(r.Context(), strings.TrimSpace(token), "", d.Provider.bearers(), d.Rules)
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

// demoBearer is the person of a demo whose subject is given as a token: nobody there has a secret.
func (d *Desk) demoBearer(token string) (Person, error) {
	for _, p := range d.People {
		if p.Subject == token {
			return p, nil
		}
	}
	return Person{}, errNobody
}
