package workflows

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"slices"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/testsuite"

	"harmstack/activities/casework"
	"harmstack/activities/nights"
	"harmstack/activities/task"
	"harmstack/activities/trust/access"
	"harmstack/activities/trust/attest"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/schemas/fault"
)

// gate signs as a desk does; required makes a deployment believe it and nobody else.
type gate struct {
	t      *testing.T
	signer *attest.Signer
}

func (d *deployment) required(t *testing.T) gate {
	t.Helper()
	seed := bytes.Repeat([]byte{9}, ed25519.SeedSize)
	signer, err := attest.NewSigner("desk", seed)
	if err != nil {
		t.Fatal(err)
	}
	identity := attest.Identity{Required: true,
		Keys: attest.Keys{"desk": ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)}}
	d.acts.Decision.Identity, d.acts.Tasking.Identity, d.acts.Nightly.Identity = identity, identity, identity
	return gate{t, signer}
}

func (g gate) sign(at time.Time, act, target, subject, name string, request any, manifest string, roles ...access.Role) string {
	g.t.Helper()
	digest, err := attest.Digest(request)
	if err != nil {
		g.t.Fatal(err)
	}
	st := attest.Statement{Subject: subject, Name: name, Act: act, Target: target, Request: digest, Manifest: manifest}
	for _, r := range roles {
		st.Roles = append(st.Roles, string(r))
	}
	token, err := g.signer.Sign(st, at)
	if err != nil {
		g.t.Fatal(err)
	}
	return token
}

func startedAs(by schemas.StartedBy) func(context.Context, string, string) (schemas.StartedBy, error) {
	return func(context.Context, string, string) (schemas.StartedBy, error) { return by, nil }
}

// Where identity is required, a decision is an officer's, verified by the desk for this night and these words. Whatever
// else is sent is refused, recorded nowhere but in the log, and the night waits on.
func TestAttestedDecision(t *testing.T) {
	d := newDeployment(t, threeSuspects()...)
	g := d.required(t)
	n := d.night(t, "night", schemas.NightRequest{AsOf: asOf})
	sent := request(n)
	attested := func(change func(r *schemas.DecisionRequest), roles ...access.Role) schemas.DecisionRequest {
		r := sent
		r.Attestation = g.sign(time.Now(), access.Approve, n.Decision, "u1", r.By, r, n.Manifest.SHA256, roles...)
		change(&r)
		return r
	}
	nothing := func(*schemas.DecisionRequest) {}
	for _, c := range []struct {
		scenario, kind string
		update         string
		request        schemas.DecisionRequest
		says           string
	}{
		{"a name that is typed", fault.NotAttested, Approve.Name, sent, "nobody has verified"},
		{"an analyst", fault.NotAllowed, Approve.Name, attested(nothing, access.Analyst), "takes the role officer"},
		{"other words than were attested", fault.NotAttested, Approve.Name,
			attested(func(r *schemas.DecisionRequest) { r.Reason = "something else" }, access.Officer), "another request"},
		{"another officer's name", fault.NotAttested, Approve.Name,
			attested(func(r *schemas.DecisionRequest) { r.By = "The Commissioner" }, access.Officer), "another request"},
		{"an approval that is used to hold", fault.NotAttested, Hold.Name, attested(nothing, access.Officer), "another act"},
		{"one that was made up", fault.NotAttested, Approve.Name,
			attested(func(r *schemas.DecisionRequest) { r.Attestation = "x.y.z" }, access.Officer), "cannot be read"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			a := &answer{}
			_, err := d.decide(t, n, func(env *testsuite.TestWorkflowEnvironment) {
				env.RegisterDelayedCallback(func() { env.UpdateWorkflow(c.update, "u1", a, c.request) }, time.Hour)
				env.RegisterDelayedCallback(env.CancelWorkflow, 2*time.Hour)
			})
			if err == nil || !task.Is(a.err, c.kind) || !strings.Contains(a.err.Error(), c.says) {
				t.Errorf("%v, the run ended with %v", a.err, err)
			}
			if standing, err := nights.LoadDecision(t.Context(), d.store, n.Night); err != nil || standing != nil {
				t.Errorf("%+v stands, %v", standing, err)
			}
			log, err := audit.Read(t.Context(), d.store)
			if last := log[len(log)-1]; err != nil || last.Outcome != audit.Refused || !strings.Contains(last.Why, c.says) {
				t.Errorf("%+v, %v", last, err)
			}
		})
	}
	a := &answer{}
	result, err := d.decide(t, n, func(env *testsuite.TestWorkflowEnvironment) {
		env.RegisterDelayedCallback(func() { env.UpdateWorkflow(Approve.Name, "u1", a, attested(nothing, access.Officer)) }, time.Hour)
	})
	if err != nil || a.err != nil || result.Decision.Subject != "u1" || result.Decision.Attestation == "" {
		t.Errorf("%+v, %v, %v", result.Decision, err, a.err)
	}
	log, err := audit.Read(t.Context(), d.store)
	i := slices.IndexFunc(log, func(e audit.Entry) bool { return e.Did == schemas.Approved })
	if err != nil || i < 0 || log[i].Actor.Verified != audit.Attested || log[i].Actor.Subject != "u1" || log[i].Actor.Attestation == "" {
		t.Errorf("%+v, %v", log[max(i, 0)], err)
	}
}

// Whoever started a night by hand does not approve it; another officer does.
func TestNobodyApprovesTheirOwnNight(t *testing.T) {
	d := newDeployment(t, threeSuspects()...)
	g := d.required(t)
	d.acts.Nightly.Started = startedAs(schemas.StartedBy{Way: schemas.WayPerson, Name: "u1", Subject: "u1", Verified: schemas.ByServer, At: time.Now()})
	n := d.night(t, "night", schemas.NightRequest{AsOf: asOf})
	own, other := &answer{}, &answer{}
	approve := func(subject string) schemas.DecisionRequest {
		r := request(n)
		r.Attestation = g.sign(time.Now(), access.Approve, n.Decision, subject, r.By, r, n.Manifest.SHA256, access.Officer)
		return r
	}
	_, err := d.decide(t, n, func(env *testsuite.TestWorkflowEnvironment) {
		env.RegisterDelayedCallback(func() { env.UpdateWorkflow(Approve.Name, "u1", own, approve("u1")) }, time.Hour)
		env.RegisterDelayedCallback(func() { env.UpdateWorkflow(Approve.Name, "u2", other, approve("u2")) }, 2*time.Hour)
	})
	if err != nil || other.err != nil || !task.Is(own.err, fault.OwnNight) {
		t.Errorf("%v, %v, %v", err, own.err, other.err)
	}
}

// A night that a person starts through the desk is that person's; one whose attestation is for another night does not
// begin.
func TestAttestedNight(t *testing.T) {
	d := newDeployment(t, threeSuspects()...)
	g := d.required(t)
	d.acts.Nightly.Started = startedAs(schemas.StartedBy{Way: schemas.WayPerson, Name: "desk@host", Verified: schemas.ByClaim, At: time.Now()})
	r := schemas.NightRequest{AsOf: asOf}
	for _, c := range []struct {
		scenario, target string
		role             access.Role
		kind             string
	}{
		{"by an analyst", "night", access.Analyst, ""},
		{"by an officer", "night", access.Officer, fault.NotAllowed},
		{"for another night", "night-2026-06-29", access.Analyst, fault.NotAttested},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			asked := r
			asked.Attestation = g.sign(time.Now(), access.Run, c.target, "u7", "A. Nalyst", r, "", c.role)
			env := d.env(t, "night")
			stopAtDecision(env)
			env.ExecuteWorkflow(NightlyRun, asked)
			err := env.GetWorkflowError()
			if c.kind != "" {
				if !task.Is(err, c.kind) {
					t.Error(err)
				}
				return
			}
			var n NightResult
			if err != nil || env.GetWorkflowResult(&n) != nil {
				t.Fatal(err)
			}
			m, _, err := nights.LoadManifest(t.Context(), d.store, n.Night)
			if err != nil || m.StartedBy.String() != "A. Nalyst, verified" || m.StartedBy.Subject != "u7" || m.Identity != schemas.IdentityRequired {
				t.Errorf("%+v, %v", m.StartedBy, err)
			}
		})
	}
}

// A team's answer is a person's of that team, and each word of the desk counts once.
func TestAttestedAnswer(t *testing.T) {
	d := newDeployment(t, threeSuspects()...)
	d.approve(t, d.night(t, "night", schemas.NightRequest{AsOf: asOf}))
	g := d.required(t)
	references, err := casework.Marked(t.Context(), d.store)
	i := slices.IndexFunc(references, func(r string) bool {
		tasking, err := casework.Load(t.Context(), d.store, r)
		return err == nil && tasking.Team == "Hackney"
	})
	if err != nil || i < 0 {
		t.Fatal(err, references)
	}
	reference := references[i]
	id := TaskingWorkflowID(reference)
	ask := func(at time.Time, do, team string, note string, roles ...access.Role) schemas.TaskingRequest {
		r := schemas.TaskingRequest{Team: team, By: "PS Example", Note: note}
		r.Attestation = g.sign(at, do, id, "p1", r.By, r, "", roles...)
		return r
	}
	now := time.Now()
	other := ask(now, schemas.DoAcknowledge, "Hackney", "", access.TeamRole("Hackney"))
	other.Attestation = g.sign(now, schemas.DoAcknowledge, TaskingWorkflowID("k7qd-2m4x-9w3t-c5hn"), "p1", other.By,
		schemas.TaskingRequest{Team: "Hackney", By: other.By}, "", access.TeamRole("Hackney"))
	typed := schemas.TaskingRequest{Team: "Hackney", By: "PS Example"}
	good := ask(now, schemas.DoAcknowledge, "Hackney", "", access.TeamRole("Hackney"))
	note := ask(now, schemas.DoProgress, "Hackney", "Arrest planned", access.TeamRole("Hackney"))
	type step struct {
		scenario, do, key string
		request           schemas.TaskingRequest
		kind              string // of the refusal; empty: done
	}
	steps := []step{
		{"a name that is typed", schemas.DoAcknowledge, "k1", typed, fault.NotAttested},
		{"a person of another borough", schemas.DoAcknowledge, "k2", ask(now, schemas.DoAcknowledge, "Hackney", "", access.TeamRole("Barnet")), fault.NotAllowed},
		{"an officer", schemas.DoAcknowledge, "k3", ask(now, schemas.DoAcknowledge, "Hackney", "", access.Officer), fault.NotAllowed},
		{"for another tasking", schemas.DoAcknowledge, "k4", other, fault.NotAttested},
		{"from the day before yesterday", schemas.DoAcknowledge, "k5", ask(now.Add(-25*time.Hour), schemas.DoAcknowledge, "Hackney", "", access.TeamRole("Hackney")), fault.NotAttested},
		{"as it should be", schemas.DoAcknowledge, "k6", good, ""},
		{"the same again, by a second click", schemas.DoAcknowledge, "k6", good, ""},
		{"a note", schemas.DoProgress, "k7", note, ""},
		{"the note once more, as something new", schemas.DoProgress, "k8", note, fault.NotAttested},
	}
	env := d.env(t, id)
	answers := make([]*answer, len(steps))
	for i, s := range steps {
		answers[i] = &answer{}
		env.RegisterDelayedCallback(func() { env.UpdateWorkflow(s.do, s.key+"."+s.scenario, answers[i], s.request) }, time.Duration(i+1)*time.Minute)
	}
	env.RegisterDelayedCallback(env.CancelWorkflow, time.Hour)
	env.ExecuteWorkflow(Tasking, TaskingParams{Reference: reference})
	for i, s := range steps {
		if err := answers[i].err; s.kind == "" && err != nil || s.kind != "" && !task.Is(err, s.kind) {
			t.Errorf("%s: %v", s.scenario, err)
		}
	}
	refused := 0
	log, err := audit.Read(t.Context(), d.store)
	for _, e := range log {
		if e.Outcome == audit.Refused {
			refused++
		}
	}
	if err != nil || refused != 6 {
		t.Errorf("%d refusals in the log, %v", refused, err)
	}
}
