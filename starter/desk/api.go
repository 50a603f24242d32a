package desk

import (
	"cmp"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.temporal.io/api/serviceerror"

	"harmstack/activities/casework/teams"
	"harmstack/activities/nights"
	"harmstack/activities/pipeline"
	"harmstack/activities/store"
	"harmstack/activities/trust/access"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/schemas/fault"
)

//go:embed openapi.json
var openAPI []byte

// How large a request may be, and how long an act is waited for.
const (
	maxBody = 64 << 10
	actTime = time.Minute
)

// route is one call of the API. A person must be signed in for each, and have a role that allows one of its acts;
// none: whoever is signed in.
type route struct {
	method, path string
	acts         []string
	do           func(d *Desk, r *http.Request, p Person) (any, error)
}

// everything of a tasking is checked against its team, where the tasking is known.
var routes = []route{
	{"GET", "/api/v1/me", nil, (*Desk).me},
	{"GET", "/api/v1/status", []string{access.Look, access.Audit, access.Operate}, (*Desk).status},
	{"GET", "/api/v1/nights", []string{access.Look, access.Audit, access.Operate}, (*Desk).nights},
	{"POST", "/api/v1/nights", []string{access.Run}, (*Desk).run},
	{"GET", "/api/v1/nights/{night}", []string{access.Look, access.Audit, access.Operate}, (*Desk).night},
	{"POST", "/api/v1/nights/{night}/decision", []string{access.Approve, access.Hold}, (*Desk).decide},
	{"POST", "/api/v1/nights/{night}/revocation", []string{access.Revoke}, (*Desk).revoke},
	{"POST", "/api/v1/nights/{night}/stack", []string{access.Look}, (*Desk).stack},
	{"POST", "/api/v1/nights/{night}/explanation", []string{access.Ask}, (*Desk).explain},
	{"GET", "/api/v1/taskings", nil, (*Desk).taskings},
	{"GET", "/api/v1/taskings/{tasking}", nil, (*Desk).tasking},
	{"POST", "/api/v1/taskings/{tasking}/pack", nil, (*Desk).pack},
	{"POST", "/api/v1/taskings/{tasking}/{act}", nil, (*Desk).answer},
	{"GET", "/api/v1/log", []string{access.Audit}, (*Desk).log},
}

func (d *Desk) apiRoutes(mux *http.ServeMux) {
	for _, t := range routes {
		mux.HandleFunc(t.method+" "+t.path, func(w http.ResponseWriter, r *http.Request) { d.serve(w, r, t) })
	}
	mux.HandleFunc("GET /api/v1/openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(openAPI)
	})
	// What the command line needs before anybody is signed in.
	mux.HandleFunc("GET /api/v1/login", func(w http.ResponseWriter, _ *http.Request) {
		l := Login{Scopes: scopes}
		if d.Provider != nil {
			l.Issuer, l.ClientID = d.Provider.Issuer, d.Provider.CLI
		}
		for _, p := range d.People {
			l.People = append(l.People, p.Subject)
		}
		d.answerWith(w, http.StatusOK, l)
	})
	mux.HandleFunc("/api/", func(w http.ResponseWriter, r *http.Request) {
		d.fail(w, r, fault.Errorf(unknownCall, "there is no such call: /api/v1/openapi.json lists them"))
	})
}

// Login is how the command line signs in: by the device flow of the issuer, or, in a demo, as one of its people.
type Login struct {
	Issuer   string   `json:"issuer,omitempty"`
	ClientID string   `json:"client_id,omitempty"`
	Scopes   []string `json:"scopes,omitempty"`
	People   []string `json:"people,omitempty"`
}

// Kinds of error that the desk has beside those of the domain.
const (
	notSignedIn = "NotSignedIn"
	unknownCall = "UnknownCall"
	otherSite   = "OtherSite"
	tooMuch     = "TooMuch"
	away        = "Away"
)

// serve does one call.
func (d *Desk) serve(w http.ResponseWriter, r *http.Request, t route) {
	p, err := d.mayAsk(r, t.method+" "+t.path, t.acts, false)
	if err != nil {
		d.fail(w, r, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), actTime)
	defer cancel()
	r = r.WithContext(ctx)
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	found, err := t.do(d, r, p)
	if err != nil {
		d.fail(w, r, err)
		return
	}
	d.answerWith(w, http.StatusOK, found)
}

// mayAsk is the person of a request who may do what it asks for, one of the acts. Whoever has no role for it is refused,
// which is noted.
func (d *Desk) mayAsk(r *http.Request, call string, acts []string, page bool) (p Person, err error) {
	// That the method changes nothing is not enough: the log would say that the person looked. A link in a mail that is
	// read in a browser is from another site too, and opens a page.
	linked := page && r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" && site != "none" && !linked {
		return p, fault.New(otherSite, "a page of another site asks: open the desk itself")
	}
	p, err = d.who(r)
	switch {
	case errors.Is(err, errNobody):
		d.Log.Info("a request of nobody", "call", call, "why", short(err))
		return p, fault.New(notSignedIn, errNobody.Error())
	case err != nil:
		d.Log.Warn("nobody can be verified", "error", short(err))
		return p, fault.New(away, "the identity provider does not answer: try again in a while")
	case d.sessions.tooMuch(p):
		return p, fault.New(tooMuch, "you ask too much at once: try again in a while")
	case len(p.Roles) == 0:
		err = fault.New(fault.NotAllowed, noRole)
	default:
		err = allowed(p, acts)
	}
	if err != nil {
		did := call
		if len(acts) > 0 {
			did = acts[0]
		}
		d.refused(r, p, did, object(r), err)
	}
	return p, err
}

// allowed refuses whoever has no role that allows one of the acts.
func allowed(p Person, acts []string) (err error) {
	for _, act := range acts {
		refusal := access.Allows(p.Roles, act, "")
		if refusal == nil {
			return nil
		}
		err = cmp.Or(err, refusal) // the first act is what the call is mostly for
	}
	return err
}

// short is an error for the desk's log. What a token says of itself may stand in it, at any length.
func short(err error) string {
	runes := []rune(err.Error())
	return string(runes[:min(len(runes), 300)])
}

// object is what a call is about, as far as its path says.
func object(r *http.Request) audit.Object {
	o := audit.Object{Night: r.PathValue("night")}
	if !nightName.MatchString(o.Night) {
		o.Night = ""
	}
	if t := r.PathValue("tasking"); taskingName.MatchString(t) {
		o.Pseudonyms = []string{t}
	}
	return o
}

var (
	nightName   = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}(-r\d{1,6})?$`)
	taskingName = regexp.MustCompile(`^[a-z0-9]{4}(-[a-z0-9]{4}){3}$`)
)

func (d *Desk) answerWith(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		d.Log.Warn("an answer could not be sent", "error", err)
	}
}

// Problem is the body of an answer that is none: the kind of the error (schemas/fault) and what to do, in words.
type Problem struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
}

// status is how HTTP says a kind of error.
var status = map[string]int{
	fault.BadRequest: http.StatusBadRequest, fault.FutureNight: http.StatusBadRequest,
	notSignedIn: http.StatusUnauthorized, otherSite: http.StatusForbidden, tooMuch: http.StatusTooManyRequests,
	away:              http.StatusServiceUnavailable,
	fault.NotAttested: http.StatusForbidden, fault.NotAllowed: http.StatusForbidden, fault.OwnNight: http.StatusForbidden,
	fault.NoSuchTasking: http.StatusNotFound, unknownCall: http.StatusNotFound, fault.DisposedOf: http.StatusNotFound,
	fault.AlreadyDecided: http.StatusConflict, fault.OtherManifest: http.StatusConflict,
	fault.StaleNight: http.StatusConflict, fault.QualityGateFailed: http.StatusConflict,
	fault.SecondOfficer: http.StatusConflict, fault.Overtaken: http.StatusConflict,
	fault.Revoked: http.StatusConflict, fault.NotCurrent: http.StatusConflict, fault.OtherTeam: http.StatusConflict,
	fault.WrongState: http.StatusConflict,
}

// problem says what went wrong, and its status. What has no kind may come from anywhere: it is for the desk's log.
func (d *Desk) problem(r *http.Request, err error) (int, Problem) {
	p := Problem{Kind: fault.Kind(err), Message: strings.ReplaceAll(err.Error(), "\n", "; ")}
	code, ok := status[p.Kind]
	var gone *serviceerror.Unavailable
	switch {
	case ok:
	case errors.As(err, &gone):
		d.Log.Error("Temporal does not answer", "call", r.Pattern, "error", err)
		code, p = http.StatusServiceUnavailable, Problem{
			away,
			"Temporal does not answer: until it is back nothing can be decided or answered. Do the same again then, which does no harm",
		}
	case errors.Is(err, context.DeadlineExceeded):
		code, p = http.StatusGatewayTimeout, Problem{
			away,
			"it was sent and not answered in time: look whether it is done, or do the same again, which does no harm",
		}
	default:
		d.Log.Error("a call failed", "call", r.Pattern, "error", err)
		code = http.StatusServiceUnavailable
		if p.Kind == "" {
			p = Problem{away, "it could not be done now, and nothing is lost: do the same again in a while"}
		}
	}
	return code, p
}

func (d *Desk) fail(w http.ResponseWriter, r *http.Request, err error) {
	code, p := d.problem(r, err)
	if code == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	d.answerWith(w, code, p)
}

// read decodes a request's body, which must have no field that nobody knows: a mistyped one would be lost in silence.
func read(r *http.Request, into any) error {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		return fault.New(fault.BadRequest, "send JSON, with Content-Type application/json")
	}
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		// The text of the error may repeat what was sent.
		return fault.New(fault.BadRequest, "the request cannot be read: see /api/v1/openapi.json for its fields")
	}
	if _, err := decoder.Token(); err != io.EOF {
		return fault.New(fault.BadRequest, "the request is more than one JSON object")
	}
	return nil
}

// bad makes an error of a request one that says so.
func bad(err error) error {
	if err == nil || fault.Kind(err) != "" {
		return err
	}
	return fault.New(fault.BadRequest, err.Error())
}

// Me is who is signed in.
type Me struct {
	Person
	Teams    []string `json:"teams"`
	Identity string   `json:"identity"` // of the deployment: required or claimed
}

func (d *Desk) me(_ *http.Request, p Person) (any, error) {
	return Me{p, append([]string{}, access.Teams(p.Roles)...), d.Identity.Word()}, nil
}

// current is the name by which a path means the approved night.
const current = "current"

// find is the night that a path names: of a date alone, its newest revision.
func (d *Desk) find(r *http.Request) (m schemas.Manifest, ref schemas.ManifestRef, err error) {
	name := r.PathValue("night")
	if name == current {
		now, err := nights.LoadCurrent(r.Context(), d.To.Store)
		if err == nil && now == nil {
			err = fault.New(fault.DisposedOf, "no stack is approved yet: name a night to look at a published one")
		}
		if err != nil {
			return m, ref, err
		}
		name = now.Manifest.NightID.String()
	}
	if !nightName.MatchString(name) {
		return m, ref, fault.New(fault.BadRequest,
			"name a night as 2026-06-30, 2026-06-30-r1 for one of its revisions, or current for the approved one")
	}
	date, revision, _ := strings.Cut(name, "-r")
	id := schemas.NightID{}
	if id.AsOf, err = schemas.ParseDate(date); err != nil {
		return m, ref, bad(err)
	}
	if revision != "" {
		if id.Revision, err = strconv.Atoi(revision); err != nil {
			return m, ref, bad(err)
		}
	} else {
		all, err := nights.List(r.Context(), d.To.Store)
		if err != nil {
			return m, ref, err
		}
		for _, n := range all {
			if n.ID.AsOf == id.AsOf {
				id = n.ID // oldest first
			}
		}
	}
	if id.Revision > 0 {
		m, ref, err = nights.LoadManifest(r.Context(), d.To.Store, id)
	}
	if id.Revision < 1 || errors.Is(err, store.ErrNotFound) {
		return m, ref, fault.Errorf(fault.DisposedOf, "night %s is not published", name)
	}
	return m, ref, err
}

// Night is one published night, without anybody's id.
type Night struct {
	Night          schemas.NightID        `json:"night"`
	Status         string                 `json:"status"`
	ManifestSHA256 string                 `json:"manifest_sha256,omitempty"`
	Checks         []schemas.CheckOutcome `json:"checks,omitempty"`
	Dispositions   *schemas.Dispositions  `json:"dispositions,omitempty"`
	Suspects       int64                  `json:"suspects,omitempty"`
	Cut            *schemas.Cut           `json:"cut,omitempty"`
	StartedBy      *schemas.StartedBy     `json:"started_by,omitempty"`
	Source         string                 `json:"source,omitempty"`
	Decision       *schemas.Decision      `json:"decision,omitempty"`
}

func (d *Desk) nights(r *http.Request, _ Person) (any, error) {
	all, err := nights.List(r.Context(), d.To.Store)
	if err != nil {
		return nil, err
	}
	list := []Night{}
	for _, n := range all {
		list = append(list, Night{Night: n.ID, Status: n.Status})
	}
	return list, nil
}

func (d *Desk) night(r *http.Request, _ Person) (any, error) {
	m, ref, err := d.find(r)
	if err != nil {
		return nil, err
	}
	return d.describe(r.Context(), m, ref)
}

// describe is what a night says of itself.
func (d *Desk) describe(ctx context.Context, m schemas.Manifest, ref schemas.ManifestRef) (*Night, error) {
	n := &Night{
		Night:          m.NightID,
		Status:         nights.Pending,
		ManifestSHA256: ref.SHA256,
		Checks:         m.Checks,
		Dispositions:   &m.Dispositions,
		Suspects:       m.Suspects,
		Cut:            &m.Cut,
		StartedBy:      m.StartedBy,
	}
	if m.Form != nil {
		n.Source = m.Form.Source
	}
	decision, err := nights.LoadDecision(ctx, d.To.Store, m.NightID)
	if err != nil {
		return nil, err
	}
	if n.Decision = decision; decision != nil {
		n.Status = decision.Decision
		bare(decision)
	}
	return n, nil
}

// bare takes the attestations out of a decision: they stay in the store.
func bare(d *schemas.Decision) { d.Bare() }

// Reason is why somebody looks at people by their ids.
type Reason struct {
	Why string `json:"why"`
}

func (r Reason) check() error {
	if schemas.TrimSpace(r.Why) == "" {
		return fault.New(fault.BadRequest, "why: say why you look; it goes into the log")
	}
	return bad(schemas.CheckText("why", r.Why, schemas.MaxReason))
}

// readReason reads a request that shows ids, which must say why.
func readReason(r *http.Request, into interface{ check() error }) error {
	if err := read(r, into); err != nil {
		return err
	}
	return into.check()
}

// StackCall asks for a night's stack, or for other positions of its ranking: from one, to another or to as many as the
// stack is deep.
type StackCall struct {
	Reason
	From int64 `json:"from,omitempty"`
	To   int64 `json:"to,omitempty"`
}

// maxPositions is how many positions one call shows: what the desk answers with is all in its memory.
const maxPositions = 10_000

func (c StackCall) check() error {
	if c.To-c.From >= maxPositions {
		return fault.Errorf(fault.BadRequest, "from %d to %d: ask for at most 10,000 positions at once", c.From, c.To)
	}
	return c.Reason.check()
}

// Stack is a night's stack, or other positions of its ranking, without those who are restricted, whom others see as a
// count.
type Stack struct {
	Night      schemas.NightID  `json:"night"`
	Suspects   int64            `json:"suspects"` // who are ranked
	Cut        schemas.Cut      `json:"cut"`
	Rows       []schemas.Ranked `json:"rows"`
	Restricted int              `json:"restricted"`
}

// StackOf is what a call asks for, of a night, and what the log says of the look. hide leaves out who is restricted.
func StackOf(
	ctx context.Context, st *store.Store, m schemas.Manifest, call StackCall, hide bool,
) (s Stack, did string, err error) {
	s = Stack{Night: m.NightID, Suspects: m.Suspects, Cut: m.Cut, Rows: []schemas.Ranked{}}
	var rows []schemas.Ranked
	if did = "looked at the stack"; call.From == 0 && call.To == 0 {
		rows, err = nights.ReadFile[schemas.Ranked](ctx, st, m, schemas.StackFile)
	} else if rows, err = nights.Positions(ctx, st, m, call.From, call.To); err == nil {
		did = fmt.Sprintf("looked at positions %d to %d", call.From, rows[len(rows)-1].Position)
	}
	for _, row := range rows {
		if row.Restricted && hide {
			s.Restricted++
			continue
		}
		s.Rows = append(s.Rows, row)
	}
	return s, did, err
}

func (d *Desk) stack(r *http.Request, p Person) (any, error) {
	var asked StackCall
	if err := readReason(r, &asked); err != nil {
		return nil, err
	}
	return d.stackOf(r, p, asked)
}

func (d *Desk) stackOf(r *http.Request, p Person, asked StackCall) (*Stack, error) {
	m, _, err := d.find(r)
	if err != nil {
		return nil, err
	}
	s, did, err := StackOf(r.Context(), d.To.Store, m, asked, !access.Speaks(p.Roles, teams.RestrictedDesk))
	if err != nil {
		return nil, err
	}
	return &s, d.note(r.Context(), p, audit.Consultation, did, audit.Object{Night: m.NightID.String()}, asked.Why, false)
}

// Question names one suspect of a night, by id or by #position.
type Question struct {
	Suspect string `json:"suspect"`
	Reason
}

func (d *Desk) explain(r *http.Request, p Person) (any, error) {
	var asked Question
	if err := readReason(r, &asked); err != nil {
		return nil, err
	}
	return d.explained(r, p, asked)
}

func (d *Desk) explained(r *http.Request, p Person, asked Question) (*pipeline.Explanation, error) {
	m, _, err := d.find(r)
	if err != nil {
		return nil, err
	}
	n, err := d.Night(d.To.Store, m)
	if err != nil {
		return nil, err
	}
	n.HideRestricted = !access.Speaks(p.Roles, teams.RestrictedDesk)
	e, err := n.Explain(r.Context(), m, asked.Suspect)
	if fault.Kind(err) == fault.BadRequest { // that somebody is not there is an answer too
		d.refused(r, p, access.Ask, audit.Object{Night: m.NightID.String()}, err)
	}
	if err != nil {
		return nil, err
	}
	did := fmt.Sprintf("looked at position %d", e.Suspect.Position)
	return &e, d.note(r.Context(), p, audit.Consultation, did, audit.Object{Night: m.NightID.String()}, asked.Why, false)
}

func (d *Desk) log(r *http.Request, p Person) (any, error) {
	entries, err := audit.Read(r.Context(), d.To.Store)
	if err != nil {
		return nil, err
	}
	return entries, d.note(r.Context(), p, audit.Consultation, "read the log", audit.Object{Thing: "audit log"}, "", false)
}
