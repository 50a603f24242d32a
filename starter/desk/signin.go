package desk

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"
	"unicode"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"harmstack/activities/trust/audit"
)

func (d *Desk) signInRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /sign-in", d.begin)
	mux.HandleFunc("GET /sign-in/callback", d.callback)
	mux.HandleFunc("POST /sign-out", d.signOut)
	if len(d.People) > 0 {
		mux.HandleFunc("POST /demo", d.be)
	}
}

// signIn is what the sign-in page shows.
type signIn struct {
	Notice string
	People []Person // of a demo
}

func (d *Desk) signInPage(w http.ResponseWriter, r *http.Request, code int, notice string) {
	d.render(w, r, Person{}, code, "signin", frame{Title: "Sign in", Page: signIn{notice, d.People}})
}

// begin sends the browser to the identity provider: authorisation code with PKCE, and a state that only this browser
// holds.
func (d *Desk) begin(w http.ResponseWriter, r *http.Request) {
	if d.Provider == nil {
		d.signInPage(w, r, http.StatusOK, "")
		return
	}
	found, err := d.Provider.discover(r.Context())
	if err != nil {
		d.Log.Warn("nobody can sign in", "error", err)
		d.signInPage(w, r, http.StatusServiceUnavailable, "The identity provider does not answer. Try again in a while.")
		return
	}
	p := pending{
		State:    rand.Text(),
		Nonce:    rand.Text(),
		Verifier: oauth2.GenerateVerifier(),
		Next:     local(r.URL.Query().Get("next")),
		Ends:     d.Now().Add(signInTime),
	}
	sealed, err := d.sessions.seal(p)
	if err != nil {
		d.Log.Error("a sign-in cannot begin", "error", err)
		d.signInPage(w, r, http.StatusInternalServerError, "You cannot sign in now. Try again in a while.")
		return
	}
	http.SetCookie(w, d.cookie(d.cookieName()+"-signin", sealed, signInTime))
	flow := d.Provider.flow(found, d.URL.JoinPath("sign-in/callback").String())
	http.Redirect(
		w,
		r,
		flow.AuthCodeURL(p.State, oidc.Nonce(p.Nonce), oauth2.S256ChallengeOption(p.Verifier)),
		http.StatusFound,
	)
}

// maxNext is how long a path may be that a sign-in leads back to: it stands in a cookie.
const maxNext = 1000

// local is a path of the desk itself, so that nobody is sent elsewhere after signing in.
func local(path string) string {
	if len(path) > maxNext || !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") ||
		strings.ContainsFunc(path, func(r rune) bool { return r == '\\' || !unicode.IsPrint(r) }) {
		return "/"
	}
	return path
}

// callback is where the provider sends the browser back to.
func (d *Desk) callback(w http.ResponseWriter, r *http.Request) {
	person, next, err := d.signedIn(r)
	http.SetCookie(w, d.cookie(d.cookieName()+"-signin", "", 0))
	if err != nil {
		d.Log.Warn("a sign-in failed", "error", err)
		d.signInPage(w, r, http.StatusForbidden, "You could not be signed in. Begin again; if it stays so, ask those who run Harmstack.")
		return
	}
	why, refused := "", len(person.Roles) == 0
	if refused {
		why = noRole
	}
	on := audit.Object{Thing: "desk"}
	if err := d.note(r.Context(), person, audit.Consultation, "signed in", on, why, refused); err != nil {
		d.Log.Error("a sign-in was not logged", "error", err)
		d.signInPage(w, r, http.StatusServiceUnavailable, "The log cannot be written, so nobody can sign in. Try again in a while.")
		return
	}
	if refused {
		d.signInPage(w, r, http.StatusForbidden, "You are known, but none of your groups has a role here. Ask those who run Harmstack.")
		return
	}
	d.enter(w, r, person, next)
}

// enter makes a session in place of the browser's earlier one.
func (d *Desk) enter(w http.ResponseWriter, r *http.Request, p Person, next string) {
	if cookie, err := r.Cookie(d.cookieName()); err == nil {
		d.sessions.end(cookie.Value)
	}
	http.SetCookie(w, d.cookie(d.cookieName(), d.sessions.start(p), sessionTime))
	http.Redirect(w, r, next, http.StatusSeeOther)
}

// noRole is why somebody whom the provider knows is refused.
const noRole = "none of the groups that the identity provider names has a role"

// signedIn takes the provider's answer.
func (d *Desk) signedIn(r *http.Request) (person Person, next string, err error) {
	if d.Provider == nil {
		return person, "", errors.New("there is no identity provider")
	}
	q := r.URL.Query()
	cookie, err := r.Cookie(d.cookieName() + "-signin")
	if err != nil {
		return person, "", errors.New("this browser began no sign-in, or finished it before")
	}
	p, ok := d.sessions.unseal(cookie.Value)
	if !ok {
		return person, "", errors.New("the sign-in took too long, or began at another desk")
	}
	if subtle.ConstantTimeCompare([]byte(p.State), []byte(q.Get("state"))) != 1 {
		return person, "", errors.New("the answer is not of the sign-in that this browser began")
	}
	if q.Get("error") != "" {
		return person, "", errors.New("the identity provider refused")
	}
	found, err := d.Provider.discover(r.Context())
	if err != nil {
		return person, "", err
	}
	flow := d.Provider.flow(found, d.URL.JoinPath("sign-in/callback").String())
	token, err := flow.Exchange(d.Provider.context(r.Context()), q.Get("code"), oauth2.VerifierOption(p.Verifier))
	if err != nil {
		return person, "", errors.New("the identity provider does not take the code")
	}
	raw, _ := token.Extra("id_token").(string)
	person, err = d.Provider.verify(r.Context(), raw, p.Nonce, []string{d.Provider.ClientID}, d.Rules)
	return person, p.Next, err
}

func (d *Desk) signOut(w http.ResponseWriter, r *http.Request) {
	if cookie, err := r.Cookie(d.cookieName()); err == nil {
		d.sessions.end(cookie.Value)
	}
	http.SetCookie(w, d.cookie(d.cookieName(), "", 0))
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// be signs a demo's person in.
func (d *Desk) be(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	person, err := d.demoBearer(r.PostFormValue("person"))
	if err != nil {
		d.signInPage(w, r, http.StatusForbidden, "There is no such person.")
		return
	}
	d.enter(w, r, person, "/")
}
