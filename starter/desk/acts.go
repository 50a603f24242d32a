package desk

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"go.temporal.io/api/serviceerror"

	"harmstack/activities/casework"
	"harmstack/activities/casework/teams"
	"harmstack/activities/messages/pack"
	"harmstack/activities/nights"
	"harmstack/activities/store"
	"harmstack/activities/tasking"
	"harmstack/activities/trust/access"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/workflows"
	flows "harmstack/workflows/client"
)

// DecisionCall is what an officer says of a night, on what they were shown.
type DecisionCall struct {
	Decision string `json:"decision"` // approve or hold
	// ManifestSHA256 names what was shown.
	ManifestSHA256 string `json:"manifest_sha256"`
	Reason         string `json:"reason"`
	Override       string `json:"override,omitempty"`
}

func (d *Desk) decide(r *http.Request, p Person) (any, error) {
	var call DecisionCall
	if err := read(r, &call); err != nil {
		return nil, err
	}
	return d.decided(r, p, call)
}

func (d *Desk) decided(r *http.Request, p Person, call DecisionCall) (*schemas.Decision, error) {
	if call.Decision != access.Approve && call.Decision != access.Hold {
		return nil, fault.New(fault.BadRequest, "decision: give approve or hold")
	}
	m, _, err := d.find(r)
	if err != nil {
		return nil, err
	}
	request := schemas.DecisionRequest{Revision: m.Revision, ManifestSHA256: call.ManifestSHA256, By: p.Name,
		Reason: schemas.TrimSpace(call.Reason), Override: schemas.TrimSpace(call.Override)}
	if err := bad(request.Validate()); err != nil {
		return nil, err
	}
	target := d.To.DecisionID(m.NightID)
	if request.Attestation, err = d.Vouch(p, call.Decision, target, "", request.ManifestSHA256, request); err != nil {
		return nil, err
	}
	decision, unread, err := d.To.Decide(r.Context(), call.Decision, m.NightID, request)
	if unread != nil {
		d.Log.Warn("an answer could not be read, but it is recorded", "error", error(unread))
	}
	if err != nil {
		return nil, err
	}
	return decision.Bare(), nil
}

// RevocationCall takes the approval of a night back.
type RevocationCall struct {
	Reason string `json:"reason"`
}

func (d *Desk) revoke(r *http.Request, p Person) (any, error) {
	var call RevocationCall
	if err := read(r, &call); err != nil {
		return nil, err
	}
	return d.revoked(r, p, call)
}

func (d *Desk) revoked(r *http.Request, p Person, call RevocationCall) (any, error) {
	m, err := d.approved(r)
	if err != nil {
		return nil, err
	}
	request := schemas.RevokeRequest{
		AsOf:     m.AsOf,
		Revision: m.Revision,
		By:       p.Name,
		Reason:   schemas.TrimSpace(call.Reason),
	}
	if err := bad(request.Validate()); err != nil {
		return nil, err
	}
	if request.Attestation, err = d.Vouch(p, access.Revoke, d.To.RevocationID(m), "", "", request); err != nil {
		return nil, err
	}
	run, err := d.To.StartRevocation(r.Context(), request)
	if err != nil {
		return nil, err
	}
	result, err := d.To.Revoked(r.Context(), run)
	if err != nil {
		return nil, err
	}
	result.Revocation.Attestation = ""
	return result, nil
}

// approved is the night whose approval a path means: of a date alone the current one of that date, else its newest
// revision, which then cannot be taken back and is named in the refusal.
func (d *Desk) approved(r *http.Request) (id schemas.NightID, err error) {
	m, _, err := d.find(r)
	if err != nil || strings.Contains(r.PathValue("night"), "-r") {
		return m.NightID, err
	}
	current, err := nights.LoadCurrent(r.Context(), d.To.Store)
	if err == nil && current != nil && current.Manifest.AsOf == m.AsOf {
		return current.Manifest.NightID, nil
	}
	return m.NightID, err
}

// Started is a night that begins.
type Started struct {
	Workflow string       `json:"workflow"`
	AsOf     schemas.Date `json:"as_of"`
}

// NightCall asks for a night: the fields of schemas.NightRequest that a person gives.
type NightCall struct {
	AsOf        schemas.Date `json:"as_of,omitzero"`
	Extract     string       `json:"extract,omitempty"`
	Model       string       `json:"model,omitempty"`
	AcceptDrift string       `json:"accept_drift,omitempty"`
	DryRun      bool         `json:"dry_run,omitempty"`
	Wait        bool         `json:"wait,omitempty"`
	Force       bool         `json:"force,omitempty"`
}

func (d *Desk) run(r *http.Request, p Person) (any, error) {
	var call NightCall
	if err := read(r, &call); err != nil {
		return nil, err
	}
	return d.started(r, p, call)
}

func (d *Desk) started(r *http.Request, p Person, call NightCall) (any, error) {
	request := schemas.NightRequest{
		AsOf:        call.AsOf,
		Extract:     call.Extract,
		Model:       call.Model,
		AcceptDrift: call.AcceptDrift,
		DryRun:      call.DryRun,
		Wait:        call.Wait,
		Force:       call.Force,
	}
	if models := schemas.ModelNames(); request.Model != "" && !slices.Contains(models, request.Model) {
		return nil, fault.Errorf(
			fault.BadRequest,
			"model: there is none of that name: give one of %s",
			strings.Join(models, ", "),
		)
	}
	if request.AsOf.IsZero() { // by its date, so that the same night is not started twice under two names
		request.AsOf = schemas.LondonDate(d.Now()).AddDays(-1)
	}
	if err := bad(errors.Join(request.Validate(), schemas.CheckAsOf(request.AsOf, d.Now()))); err != nil {
		return nil, err
	}
	target := d.To.Name.ID(workflows.NightWorkflowID(request.AsOf))
	var err error
	if request.Attestation, err = d.Vouch(p, access.Run, target, "", "", request); err != nil {
		return nil, err
	}
	run, err := flows.StartNight(r.Context(), d.To.Client, d.To.Name, d.To.TaskQueue, request)
	var running *serviceerror.WorkflowExecutionAlreadyStarted
	if errors.As(err, &running) {
		return nil, fault.Errorf(
			fault.WrongState,
			"the night is running already, as workflow %s: wait for it, or cancel it in the UI",
			target,
		)
	}
	if err != nil {
		return nil, err
	}
	return Started{run.GetID(), request.AsOf}, nil
}

// everything tells whether a person may look at the taskings of all teams: analysts, officers and the desk. Those of
// restricted suspects are never among them.
func everything(p Person) bool {
	return access.Allows(p.Roles, access.Look, "") == nil || slices.Contains(p.Roles, string(access.Desk))
}

// sees tells whether a person may know of a tasking: those of its team and of the specialist teams that were added, the
// lead of its BCU, and who may look at everything, but of a restricted one its desk alone.
func sees(p Person, t *schemas.Tasking) bool {
	if t.Restricted {
		return access.Speaks(p.Roles, t.Team)
	}
	return everything(p) || access.Speaks(p.Roles, t.Team) || access.Leads(p.Roles, t.BCU) ||
		slices.ContainsFunc(t.Specialists, func(s string) bool { return access.Speaks(p.Roles, s) })
}

// shown is a tasking without what only the store needs.
func shown(t *schemas.Tasking) *schemas.Tasking { return t.Bare() }

// Taskings are those that a person may see. Of the open ones that are restricted and not theirs there is a count.
type Taskings struct {
	Taskings   []*schemas.Tasking `json:"taskings"`
	Restricted int                `json:"restricted"`
	// Unreadable counts those whose files are damaged.
	Unreadable int `json:"unreadable"`
}

// TaskingsOf are the taskings that may be seen, all of them or the open ones. An error that says which cannot be read
// comes with the others.
func TaskingsOf(
	ctx context.Context, st *store.Store, all bool, sees func(*schemas.Tasking) bool,
) (found Taskings, err error) {
	found.Taskings = []*schemas.Tasking{}
	err = casework.All(ctx, st, func(t *schemas.Tasking) error {
		switch {
		case sees(t) && (all || t.State.Open()):
			found.Taskings = append(found.Taskings, t.Bare())
		case t.Restricted && t.State.Open() && !sees(t):
			found.Restricted++
		}
		return nil
	})
	var unreadable *casework.UnreadableError
	if errors.As(err, &unreadable) {
		found.Unreadable = len(unreadable.References)
	}
	return found, err
}

func (d *Desk) taskings(r *http.Request, p Person) (any, error) {
	found, err := TaskingsOf(r.Context(), d.To.Store, r.URL.Query().Get("all") == "true",
		func(t *schemas.Tasking) bool { return sees(p, t) })
	if found.Unreadable > 0 {
		d.Log.Error("taskings cannot be read", "error", err)
		err = nil
	}
	if err != nil {
		return nil, err
	}
	return found, d.note(r.Context(), p, audit.Consultation, "looked at the taskings", audit.Object{}, "", false)
}

// known is the tasking that a path names, when the person may know of it. Whoever may not is told that there is none.
func (d *Desk) known(r *http.Request, p Person) (*schemas.Tasking, error) {
	reference := r.PathValue("tasking")
	none := fault.New(fault.NoSuchTasking, "there is no such tasking, or it is not yours to see")
	if !taskingName.MatchString(reference) {
		return nil, none
	}
	t, err := casework.History(r.Context(), d.To.Store, reference)
	if err != nil {
		return nil, err
	}
	if t == nil {
		return nil, none
	}
	if !sees(p, t) {
		d.refused(r, p, "looked at a tasking", object(r), none)
		return nil, none
	}
	return t, nil
}

func (d *Desk) tasking(r *http.Request, p Person) (any, error) {
	t, err := d.known(r, p)
	if err != nil {
		return nil, err
	}
	return t.Bare(), d.note(r.Context(), p, audit.Consultation, "looked at a tasking", object(r), "", false)
}

// Pack is everything about the suspect of a tasking, as a page and as plain text.
type Pack struct {
	HTML string `json:"html"`
	Text string `json:"text"`
}

// PackOf is the pack of a tasking by the approved stack. One that is not on it has none.
func PackOf(ctx context.Context, st *store.Store, t *schemas.Tasking) (p Pack, err error) {
	in, err := tasking.Pack(ctx, st, t)
	if errors.Is(err, casework.ErrNone) {
		return p, fault.Errorf(
			fault.NoSuchTasking,
			"tasking %s is not on the approved stack: packs are made of that alone",
			t.Reference,
		)
	}
	if err != nil {
		return p, err
	}
	html, err := pack.HTML(in)
	if err != nil {
		return p, err
	}
	text, err := pack.Text(in)
	return Pack{string(html), string(text)}, err
}

func (d *Desk) pack(r *http.Request, p Person) (any, error) {
	var asked Reason
	if err := readReason(r, &asked); err != nil {
		return nil, err
	}
	return d.packOf(r, p, asked.Why)
}

func (d *Desk) packOf(r *http.Request, p Person, why string) (*Pack, error) {
	t, err := d.known(r, p)
	if err != nil {
		return nil, err
	}
	found, err := PackOf(r.Context(), d.To.Store, t)
	if err != nil {
		return nil, err
	}
	return &found, d.note(r.Context(), p, audit.Consultation, "looked at the pack", object(r), why, false)
}

// AnswerCall is what a person of a team says of a tasking. Team is needed only of those who speak for several.
type AnswerCall struct {
	Team    string `json:"team,omitempty"`
	Note    string `json:"note,omitempty"`
	Outcome string `json:"outcome,omitempty"`
	To      string `json:"to,omitempty"`
	// Version is the tasking's that was shown when the person answered: the same answer to it, sent twice, is one. 0: the
	// answer is to the tasking as it stands.
	Version int `json:"version,omitempty"`
}

func (d *Desk) answer(r *http.Request, p Person) (any, error) {
	do := r.PathValue("act")
	if !slices.Contains([]string{schemas.DoAcknowledge, schemas.DoProgress, schemas.DoClose, schemas.DoTransfer}, do) {
		return nil, fault.New(unknownCall, "there is no such call: /api/v1/openapi.json lists them")
	}
	var call AnswerCall
	if err := read(r, &call); err != nil {
		return nil, err
	}
	return d.answered(r, p, do, call)
}

func (d *Desk) answered(r *http.Request, p Person, do string, call AnswerCall) (*schemas.Tasking, error) {
	t, err := d.known(r, p)
	if err != nil {
		return nil, err
	}
	request := schemas.TaskingRequest{
		Team:    speaksAs(p, t, call.Team),
		By:      p.Name,
		Note:    schemas.TrimSpace(call.Note),
		Outcome: call.Outcome,
		To:      call.To,
	}
	err = access.Allows(p.Roles, do, request.Team)
	if request.Team == "" {
		err = fault.New(fault.NotAllowed, "team: your roles do not speak for it")
	}
	if err != nil {
		d.refused(r, p, do, object(r), err)
		return nil, err
	}
	if err := bad(request.Validate(do)); err != nil {
		return nil, err
	}
	if call.Version < 0 {
		return nil, fault.New(fault.BadRequest, "version: give that of the tasking as it was shown, or none")
	}
	if do == schemas.DoTransfer {
		known, err := d.Teams()
		if err != nil {
			return nil, err
		}
		if _, ok := known.Find(request.To); !ok {
			return nil, fault.New(fault.BadRequest, "to: there is no team of that name")
		}
	}
	if request.Attestation, err = d.Vouch(p, do, d.To.TaskingID(t.Reference), request.Team, "", request); err != nil {
		return nil, err
	}
	after, unread, err := d.To.Answer(r.Context(), do, t.Reference, request, call.Version)
	if unread != nil {
		d.Log.Warn("an answer could not be read, but it is recorded", "error", error(unread))
	}
	if err != nil {
		return nil, err
	}
	return after.Bare(), nil
}

// speaksAs is for which of their teams a person speaks: as they say, or the one that has the tasking, or, of those who
// act for a team that did not answer, the specialist desk. It is empty when they name one that is not theirs.
func speaksAs(p Person, t *schemas.Tasking, said string) string {
	own := access.Teams(p.Roles)
	if said != "" {
		i := slices.IndexFunc(own, func(team string) bool { return teams.Slug(team) == teams.Slug(said) })
		if i < 0 {
			return ""
		}
		return own[i]
	}
	switch {
	case access.Speaks(p.Roles, t.Team):
		return t.Team
	case slices.Contains(own, teams.SpecialistDesk):
		return teams.SpecialistDesk
	case len(own) > 0:
		return own[0]
	}
	return t.Team
}
