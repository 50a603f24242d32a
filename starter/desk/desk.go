// Package desk is the gate: the one service by which people decide, answer and look (trust, section 1). It signs
// people in by OpenID Connect, knows their roles by access.yaml, and vouches for each act with an attestation that the
// workers verify. Beside the workers it is the only one that holds the store's and Temporal's credentials.
//
// It offers an API (/api/v1, described by openapi.json), a sign-in page, and the codec endpoint by which Temporal's
// web UI shows what is encrypted. It must hold no rules of the domain, and never writes who a suspect is to a log or a URL.
package desk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"
	"time"

	"go.temporal.io/sdk/converter"

	"harmstack/activities/casework"
	"harmstack/activities/casework/teams"
	"harmstack/activities/nights"
	"harmstack/activities/pipeline"
	"harmstack/activities/store"
	"harmstack/activities/trust/access"
	"harmstack/activities/trust/attest"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	flows "harmstack/workflows/client"
)

// Options are what a desk is made of.
type Options struct {
	// URL is where people reach it: https, unless it is on this machine.
	URL *url.URL
	// Provider signs people in; nil: nobody is, but the People of a demo.
	Provider *Provider
	Rules    access.Rules
	Signer   *attest.Signer
	// To is where acts are done.
	To flows.Deployment
	// Identity is the word of the deployment, which every page says when people are who they say they are.
	Identity attest.Identity
	// Codec reads and writes what passes through Temporal; nil: it is in clear.
	Codec converter.PayloadCodec
	// UIOrigins are the exact origins of the web UIs whose pages may ask the codec endpoint.
	UIOrigins []string
	// Namespace is Temporal's, in which the first of the UIs shows the runs; empty: pages do not link there.
	Namespace string
	Teams     func() (*teams.Teams, error)
	// Night has what it takes to explain a night: tables and model as the night had them.
	Night func(st *store.Store, m schemas.Manifest) (pipeline.Night, error)
	// Status finds how nights and taskings stand.
	Status StatusFunc
	// People can be anybody without a password. They exist in a demo alone.
	People []Person
	// DemoToken, in the path of the codec endpoint, stands for the first of the People. It is for a demo alone, whose web
	// UI signs nobody in.
	DemoToken string
	Now       func() time.Time
	Log       *slog.Logger
}

// Desk serves.
type Desk struct {
	Options
	sessions  *sessions
	published recent[[]nights.Night]
	running   recent[[]run]
	measured  recent[casework.Measures]
	book      book
}

// New checks the options: a desk without a provider, or by plain HTTP to other machines, is refused.
func New(o Options) (*Desk, error) {
	switch {
	case o.URL == nil || o.URL.Host == "":
		return nil, errors.New("the desk's URL is missing")
	case !secure(o.URL):
		return nil, errors.New("the desk's URL must be https, unless it is on this machine")
	case o.Signer == nil:
		return nil, errors.New("the desk has no key to vouch with")
	case o.Provider == nil && len(o.People) == 0:
		return nil, errors.New("nobody can sign in: name the identity provider")
	case o.Provider != nil && len(o.People) > 0:
		return nil, errors.New("people without a password are for a demo alone, which has no identity provider")
	case len(o.People) > 0 && !loopback(o.URL.Hostname()):
		return nil, errors.New("people without a password are for a demo alone, which is on this machine")
	case o.DemoToken != "" && len(o.People) == 0:
		return nil, errors.New("a token without a sign-in is for a demo alone")
	}
	for _, u := range o.UIOrigins {
		// A browser says exactly this, and "null" of a page without an origin.
		if parsed, err := url.Parse(u); err != nil || parsed.Host == "" || origin(parsed) != u {
			return nil, errors.New(
				"write the origin of a web UI as a browser sends it, https://temporal.example: no path, no slash at the end",
			)
		}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Provider != nil {
		if issuer, err := url.Parse(o.Provider.Issuer); err != nil || !secure(issuer) {
			return nil, errors.New("the identity provider's URL must be https, unless it is on this machine")
		}
		o.Provider.now = o.Now
	}
	return &Desk{Options: o, sessions: newSessions(o.Now)}, nil
}

// secure tells whether nobody between here and there can listen or answer.
func secure(u *url.URL) bool {
	return u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname())
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Handler answers every request.
func (d *Desk) Handler() http.Handler {
	mux := http.NewServeMux()
	d.signInRoutes(mux)
	d.pageRoutes(mux)
	d.apiRoutes(mux)
	d.codecRoutes(mux)
	// A page of another site can make a browser send the session's cookie, and is refused. The codec endpoint, which other
	// origins may ask, checks them itself.
	guard := http.NewCrossOriginProtection()
	guard.AddInsecureBypassPattern("/codec/")
	return d.headers(d.whole(guard.Handler(mux)))
}

// whole answers also when a part of the desk gives up: the browser would be left with nothing, and nobody would be told.
func (d *Desk) whole(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if gave := recover(); gave != nil && gave != http.ErrAbortHandler {
				d.Log.Error("a part of the desk gave up", "call", r.Pattern, "why", gave, "at", string(debug.Stack()))
				http.Error(w, "This is a fault of the desk, which its log has. Tell those who run Harmstack.", http.StatusInternalServerError)
			} else if gave != nil {
				panic(gave)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// policy lets a page load the desk's own style, script and pictures, ask the desk alone, and be framed by nobody.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// headers say what a browser may do with what is sent: keep nothing, frame nothing, load nothing from elsewhere.
func (d *Desk) headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", policy)
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		if d.URL.Scheme == "https" {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		} else if !loopback((&url.URL{Host: r.Host}).Hostname()) {
			// A page whose name was made to lead to this machine would pass for the desk's own. With TLS it could not.
			http.Error(w, "the desk is not reached by this name: open "+d.URL.String(), http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Serve answers on a listener until ctx ends, and then lets what is under way end.
func (d *Desk) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{
		Handler:           d.Handler(),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      actTime + 30*time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(d.Log.Handler(), slog.LevelWarn),
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		defer cancel()
		stopped <- server.Shutdown(ctx)
	})
	err := server.Serve(l)
	if !stop() {
		err = <-stopped
	}
	return err
}

// Vouch makes the attestation of an act.
func (d *Desk) Vouch(p Person, act, target, team, manifest string, request any) (string, error) {
	digest, err := attest.Digest(request)
	if err != nil {
		return "", err
	}
	st := attest.Statement{Subject: p.Subject, Name: p.Name, Roles: p.Roles, Team: team, Act: act, Target: target,
		Request: digest, Manifest: manifest}
	return d.Signer.Sign(st, d.Now())
}

// note writes what somebody looked at, or was refused, to the log. Who cannot be logged is not shown anything.
func (d *Desk) note(
	ctx context.Context,
	p Person,
	op audit.Operation,
	did string,
	on audit.Object,
	why string,
	refused bool,
) error {
	e := audit.Entry{At: d.Now().UTC(), Operation: op, Actor: p.actor(), Did: did, On: on, Why: why}
	if refused {
		e.Outcome = audit.Refused
	}
	if err := audit.Append(ctx, d.To.Store, e); err != nil {
		return fmt.Errorf("the log cannot be written, so nothing is done: %w", err)
	}
	return nil
}

// origin is the scheme, host and port of a URL as a browser sends them.
func origin(u *url.URL) string { return u.Scheme + "://" + strings.ToLower(u.Host) }
