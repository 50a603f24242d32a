package e2e

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"harmstack/activities/decision"
	"harmstack/activities/nights"
	"harmstack/activities/tasking"
	"harmstack/activities/trust/access"
	"harmstack/activities/trust/attest"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/workflows"
	flows "harmstack/workflows/client"
)

// attacked is a deployment that requires identity and encrypts, and the desk's key, which no attacker has.
type attacked struct {
	*deployment
	signer *attest.Signer
}

func attack(t *testing.T, more ...string) attacked {
	t.Helper()
	seed := bytes.Repeat([]byte{7}, ed25519.SeedSize)
	signer, err := attest.NewSigner("desk", seed)
	if err != nil {
		t.Fatal(err)
	}
	_, public := signer.Public()
	return attacked{deploy(t, extract(40), "", append(more, payloadKeys("k1"), "HARMSTACK_IDENTITY=required",
		"HARMSTACK_DESK_KEYS=desk="+base64.StdEncoding.EncodeToString(public))...), signer}
}

// word is the desk's, on a request of the person called name.
func (a attacked) word(act, target, subject, name, manifest string, request any, roles ...access.Role) string {
	a.t.Helper()
	digest, err := attest.Digest(request)
	if err != nil {
		a.t.Fatal(err)
	}
	st := attest.Statement{Subject: subject, Name: name, Act: act, Target: target, Request: digest, Manifest: manifest}
	for _, r := range roles {
		st.Roles = append(st.Roles, string(r))
	}
	token, err := a.signer.Sign(st, time.Now())
	if err != nil {
		a.t.Fatal(err)
	}
	return token
}

// refusals counts the entries of the log that tell of a refusal in those words.
func (a attacked) refusals(words string) (n int) {
	a.t.Helper()
	log, err := audit.Read(a.t.Context(), a.store)
	if err != nil {
		a.t.Fatal(err)
	}
	for _, e := range log {
		if e.Outcome == audit.Refused && strings.Contains(e.Why, words) {
			n++
		}
	}
	return n
}

func kindOf(err error) string {
	if app := flows.Refusal(err); app != nil {
		return app.Type()
	}
	return ""
}

// Foreign asks a deployment's workers, from a workflow of an attacker's own, to record what nobody allowed.
func Foreign(ctx workflow.Context, queue, activity string, params any) error {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{TaskQueue: queue, StartToCloseTimeout: time.Minute,
		RetryPolicy: &temporal.RetryPolicy{MaximumAttempts: 3}})
	return workflow.ExecuteActivity(ctx, activity, params).Get(ctx, nil)
}

// Whoever has the namespace, and even the payload keys, gets nothing recorded that the desk did not vouch for.
func TestAttacks(t *testing.T) {
	t.Parallel()
	a := attack(t)
	_, n := a.night(schemas.NightRequest{AsOf: asOf})
	officer := schemas.DecisionRequest{Revision: 1, ManifestSHA256: n.Manifest.SHA256, By: "Supt A. Officer", Reason: "looked at all of it"}
	target := a.cfg.Deployment.ID(workflows.DecisionWorkflowID(n.Night))
	undecided := func(t *testing.T) {
		t.Helper()
		if standing, err := nights.LoadDecision(t.Context(), a.store, n.Night); err != nil || standing != nil {
			t.Fatalf("%+v stands, %v", standing, err)
		}
	}
	t.Run("an approval in the Commissioner's name", func(t *testing.T) {
		forged := officer
		forged.By = "Commissioner of Police of the Metropolis"
		_, err := workflows.Approve.Call(t.Context(), a.client, target, workflows.Attempt("forged"), forged)
		if kindOf(err) != fault.NotAttested || a.refusals("nobody has verified") != 1 {
			t.Errorf("%v, %d refusals in the log", err, a.refusals("nobody has verified"))
		}
		undecided(t)
	})
	t.Run("an approval that was attested for other words", func(t *testing.T) {
		altered := officer
		altered.Attestation = a.word(access.Approve, target, "u1", officer.By, officer.ManifestSHA256, officer, access.Officer)
		altered.Reason = "in a hurry"
		_, err := workflows.Approve.Call(t.Context(), a.client, target, workflows.Attempt("altered"), altered)
		if kindOf(err) != fault.NotAttested || a.refusals("another request") != 1 {
			t.Error(err)
		}
		undecided(t)
	})
	t.Run("an approval in clear, without the key", func(t *testing.T) {
		plain, err := client.Dial(client.Options{HostPort: a.address, Logger: quiet})
		if err != nil {
			t.Fatal(err)
		}
		defer plain.Close()
		r := officer
		r.Attestation = a.word(access.Approve, target, "u1", officer.By, officer.ManifestSHA256, officer, access.Officer)
		_, err = workflows.Approve.Call(t.Context(), plain, target, workflows.Attempt("plain"), r)
		if err == nil {
			t.Error("it was taken")
		}
		undecided(t)
		run, err := plain.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: "night-in-clear", TaskQueue: a.cfg.TaskQueue},
			"NightlyRun", schemas.NightRequest{AsOf: asOf.AddDays(-1)})
		if err == nil {
			err = run.Get(t.Context(), nil)
		}
		if err == nil {
			t.Error("a night was run on a request in clear")
		}
		a.eventually(func() bool { return a.refusals("a payload is not encrypted") > 0 })
	})
	t.Run("an approval of another manifest, which no activity sees", func(t *testing.T) {
		other := officer
		other.ManifestSHA256 = strings.Repeat("0", 64)
		_, err := workflows.Approve.Call(t.Context(), a.client, target, workflows.Attempt("other"), other)
		if kindOf(err) != fault.OtherManifest {
			t.Error(err)
		}
		undecided(t)
		a.eventually(func() bool {
			log, err := audit.Read(t.Context(), a.store)
			return err == nil && slices.ContainsFunc(log, func(e audit.Entry) bool {
				return e.Outcome == audit.Refused && e.Did == "approve of "+target && e.Actor == audit.Claims(officer.By) &&
					e.Why == "refused by the workflow: "+fault.OtherManifest
			})
		})
	})
	// An insider with the keys writes a workflow of their own.
	w := worker.New(a.client, "attacker", worker.Options{})
	w.RegisterWorkflow(Foreign)
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	foreign := func(t *testing.T, id, queue, activity string, params any) error {
		t.Helper()
		run, err := a.client.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: id, TaskQueue: "attacker"}, Foreign, queue, activity, params)
		if err != nil {
			t.Fatal(err)
		}
		return run.Get(t.Context(), nil)
	}
	d := schemas.Decision{Decision: schemas.Approved, Manifest: *n.Manifest, By: "Supt A. Officer", Reason: "looked at all of it", At: time.Now()}
	signed := officer
	signed.Attestation = a.word(access.Approve, target, "u1", officer.By, officer.ManifestSHA256, officer, access.Officer)
	for _, c := range []struct {
		scenario, id string
		params       decision.DecideParams
	}{
		{"a foreign workflow that approves", "foreign", decision.DecideParams{Decision: d}},
		{"a foreign workflow with an officer's real word", "foreign-2", decision.DecideParams{Decision: d, Request: signed}},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			if err := foreign(t, c.id, a.cfg.TaskQueue, "Decide", c.params); kindOf(err) != fault.NotAttested {
				t.Error(err)
			}
			undecided(t)
		})
	}
	t.Run("a foreign workflow that takes an approval back", func(t *testing.T) {
		params := decision.RevokeParams{Request: schemas.RevokeRequest{AsOf: asOf, Revision: 1, By: "Supt A. Officer", Reason: "x"}, At: time.Now()}
		if err := foreign(t, "foreign-3", a.cfg.TaskQueue, "Revoke", params); kindOf(err) != fault.NotAttested {
			t.Error(err)
		}
	})
	t.Run("an order to make a stack current that nobody approved", func(t *testing.T) {
		if err := foreign(t, "foreign-4", a.cfg.TaskQueue, "Swap", decision.SwapParams{Night: n.Night}); err == nil {
			t.Error("it was made current")
		}
		if current, err := nights.LoadCurrent(t.Context(), a.store); err != nil || current != nil {
			t.Errorf("%+v, %v", current, err)
		}
	})
	t.Run("an analyst approves", func(t *testing.T) {
		r := officer
		r.Attestation = a.word(access.Approve, target, "u2", officer.By, officer.ManifestSHA256, officer, access.Analyst)
		_, err := workflows.Approve.Call(t.Context(), a.client, target, workflows.Attempt("analyst"), r)
		if kindOf(err) != fault.NotAllowed || a.refusals("takes the role officer") != 1 {
			t.Error(err)
		}
		undecided(t)
	})
	t.Run("whoever started a night approves it", func(t *testing.T) {
		own := schemas.NightRequest{AsOf: asOf.AddDays(1)}
		id := a.cfg.Deployment.ID(workflows.NightWorkflowID(own.AsOf))
		own.Attestation = a.word(access.Run, id, "u1", "A. Nalyst", "", own, access.Analyst)
		run, err := flows.StartNight(t.Context(), a.client, a.cfg.Deployment, a.cfg.TaskQueue, own)
		var result workflows.NightResult
		if err == nil {
			err = run.Get(t.Context(), &result)
		}
		if err != nil {
			t.Fatal(err)
		}
		m, _, err := nights.LoadManifest(t.Context(), a.store, result.Night)
		if err != nil || m.StartedBy.String() != "A. Nalyst, verified" {
			t.Errorf("started by %s, %v", m.StartedBy, err)
		}
		r := schemas.DecisionRequest{Revision: 1, ManifestSHA256: result.Manifest.SHA256, By: "A. Nalyst", Reason: "it is mine"}
		r.Attestation = a.word(access.Approve, result.Decision, "u1", r.By, r.ManifestSHA256, r, access.Officer, access.Analyst)
		_, err = workflows.Approve.Call(t.Context(), a.client, result.Decision, workflows.Attempt("own"), r)
		if kindOf(err) != fault.OwnNight {
			t.Error(err)
		}
		// Another officer may.
		r.By = "Supt A. Officer"
		r.Attestation = ""
		r.Attestation = a.word(access.Approve, result.Decision, "u9", r.By, r.ManifestSHA256, r, access.Officer)
		got, err := workflows.Approve.Call(t.Context(), a.client, result.Decision, workflows.Attempt("other"), r)
		if err != nil || got.Subject != "u9" {
			t.Errorf("%+v, %v", got, err)
		}
	})
	a.eventually(func() bool { return len(a.taskings()) == 40 })
	var reference string
	for r := range a.taskings() {
		reference = max(reference, r)
	}
	mine := a.taskings()[reference]
	request := schemas.TaskingRequest{Team: mine.Team, By: "PS B. Officer"}
	taskingID := a.cfg.Deployment.ID(workflows.TaskingWorkflowID(reference))
	t.Run("a tasking is closed by a name", func(t *testing.T) {
		_, err := workflows.Acknowledge.Call(t.Context(), a.client, taskingID, workflows.Attempt("a1"), request)
		if kindOf(err) != fault.NotAttested {
			t.Error(err)
		}
	})
	t.Run("a borough answers for another", func(t *testing.T) {
		r := request
		other := "Hackney"
		if mine.Team == other {
			other = "Barnet"
		}
		r.Attestation = a.word(schemas.DoAcknowledge, taskingID, "p1", r.By, "", request, access.TeamRole(other))
		_, err := workflows.Acknowledge.Call(t.Context(), a.client, taskingID, workflows.Attempt("a2"), r)
		if kindOf(err) != fault.NotAllowed || a.refusals("do not speak for the team") != 1 {
			t.Error(err)
		}
	})
	t.Run("a foreign workflow closes a tasking", func(t *testing.T) {
		r := request
		r.Outcome = "charged"
		params := tasking.ApplyParams{Reference: reference, Key: "k", At: time.Now(), Do: schemas.DoClose, Request: &r}
		if err := foreign(t, "foreign-5", a.cfg.TaskQueue, "Apply", params); kindOf(err) != fault.NotAttested {
			t.Error(err)
		}
	})
	t.Run("a real answer is sent once more", func(t *testing.T) {
		r := request
		r.Attestation = a.word(schemas.DoAcknowledge, taskingID, "p1", r.By, "", request, access.TeamRole(mine.Team))
		if _, err := workflows.Acknowledge.Call(t.Context(), a.client, taskingID, workflows.Attempt("a3"), r); err != nil {
			t.Fatal(err)
		}
		p := request
		p.Note = "arrest planned"
		p.Attestation = a.word(schemas.DoProgress, taskingID, "p1", p.By, "", schemas.TaskingRequest{Team: p.Team, By: p.By, Note: p.Note}, access.TeamRole(mine.Team))
		if _, err := workflows.Report.Call(t.Context(), a.client, taskingID, workflows.Attempt("a4"), p); err != nil {
			t.Fatal(err)
		}
		_, err := workflows.Report.Call(t.Context(), a.client, taskingID, workflows.Attempt("a5"), p)
		if kindOf(err) != fault.NotAttested || a.refusals("used before") != 1 {
			t.Errorf("the same word counted twice: %v", err)
		}
	})
	for _, c := range []struct {
		scenario string
		request  schemas.NightRequest
		kind     string
	}{
		{"a night of the future", schemas.NightRequest{AsOf: schemas.LondonDate(time.Now()).AddDays(3)}, fault.FutureNight},
		{"a path that climbs out", schemas.NightRequest{AsOf: asOf, Extract: "./../../etc/passwd"}, fault.BadRequest},
		{"the machine's metadata", schemas.NightRequest{AsOf: asOf, Extract: "http://169.254.169.254/latest/meta-data/x.parquet"}, fault.BadRequest},
		{"a bucket of the attacker's", schemas.NightRequest{AsOf: asOf, Extract: "s3://mine/x.parquet?endpoint=http://evil.example"}, fault.BadRequest},
		{"a rogue database", schemas.NightRequest{AsOf: asOf, Extract: "./rogue.yaml"}, fault.BadRequest},
		{"a giant reason", schemas.NightRequest{AsOf: asOf, AcceptDrift: strings.Repeat("x", 100_000)}, fault.BadRequest},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			run, err := a.client.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: "attack-" + strings.ReplaceAll(c.scenario, " ", "-"), TaskQueue: a.cfg.TaskQueue},
				workflows.NightlyRun, c.request)
			if err == nil {
				err = run.Get(t.Context(), nil)
			}
			if kindOf(err) != c.kind {
				t.Error(err)
			}
		})
	}
	t.Run("an extract that somebody made up cannot be approved without two officers", func(t *testing.T) {
		run, err := a.client.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: "made-up", TaskQueue: a.cfg.TaskQueue},
			workflows.NightlyRun, schemas.NightRequest{AsOf: asOf.AddDays(2), Extract: "./extract.parquet"})
		var result workflows.NightResult
		if err == nil {
			err = run.Get(t.Context(), &result)
		}
		if err != nil {
			t.Fatal(err)
		}
		r := schemas.DecisionRequest{Revision: 1, ManifestSHA256: result.Manifest.SHA256, By: "Supt A. Officer", Reason: "looks well"}
		approve := func(subject string, r schemas.DecisionRequest) error {
			r.Attestation = a.word(access.Approve, result.Decision, subject, r.By, r.ManifestSHA256, r, access.Officer)
			_, err := workflows.Approve.Call(context.WithoutCancel(t.Context()), a.client, result.Decision, workflows.Attempt(subject), r)
			return err
		}
		if err := approve("u9", r); kindOf(err) != fault.QualityGateFailed || !strings.Contains(err.Error(), "extract_not_default") {
			t.Error(err)
		}
		r.Override = "it is a copy"
		if err := approve("u9", r); kindOf(err) != fault.SecondOfficer {
			t.Error(err)
		}
		if err := approve("u9", r); kindOf(err) != fault.SecondOfficer {
			t.Errorf("one officer is two: %v", err)
		}
		r.By = "Supt C. Second"
		if err := approve("u10", r); err != nil {
			t.Error(err)
		}
	})
	// What was refused and what was done stands in the log, and who is who.
	log, err := audit.Read(t.Context(), a.store)
	if err != nil || !slices.ContainsFunc(log, func(e audit.Entry) bool { return e.Did == schemas.Approved && e.Actor.Verified == audit.Attested }) {
		t.Errorf("no attested approval in the log, %v", err)
	}
	// Nothing of the histories is in clear.
	for _, id := range []string{target, taskingID} {
		for _, e := range a.history(id, "").Events {
			if text := e.String(); strings.Contains(text, "Supt A. Officer") || strings.Contains(text, "arrest planned") {
				t.Errorf("%s: event %d tells who, or what was said", id, e.GetEventId())
			}
		}
	}
}
