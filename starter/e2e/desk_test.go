package e2e

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	commonpb "go.temporal.io/api/common/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"harmstack/activities/casework/teams"
	"harmstack/activities/nights"
	"harmstack/activities/pipeline"
	"harmstack/activities/store"
	"harmstack/activities/task"
	"harmstack/activities/trust/access"
	"harmstack/activities/trust/attest"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/schemas/reference"
	"harmstack/starter/desk"
	"harmstack/starter/desk/idp"
	"harmstack/workflows"
	flows "harmstack/workflows/client"
)

// gate is a desk that serves a deployment whose workers believe it.
type gate struct {
	d      *deployment
	people *idp.Provider
	url    string
	tokens map[string]string
}

// withDesk deploys where identity is required, under payload keys, with a desk.
func withDesk(t testing.TB, rows []schemas.Offence) *gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	people := idp.Start(t, "0", "http://"+l.Addr().String()+"/sign-in/callback")
	seed := bytes.Repeat([]byte{7}, ed25519.SeedSize)
	public := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	d := deploy(t, rows, "", payloadKeys("k1"), "HARMSTACK_IDENTITY="+schemas.IdentityRequired,
		"HARMSTACK_DESK_KEYS=desk="+base64.StdEncoding.EncodeToString(public))
	signer, err := attest.NewSigner("desk", seed)
	if err != nil {
		t.Fatal(err)
	}
	payloads := d.cfg.Payloads
	payloads.Namespace = "default"
	codec, err := payloads.Codec()
	if err != nil {
		t.Fatal(err)
	}
	model, err := schemas.LoadModel(schemas.DefaultModel)
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{d, people, "http://" + l.Addr().String(), map[string]string{}}
	at, err := url.Parse(g.url)
	if err != nil {
		t.Fatal(err)
	}
	served, err := desk.New(desk.Options{
		URL: at, Provider: &desk.Provider{Issuer: people.Issuer, ClientID: idp.Desk, ClientSecret: idp.DeskSecret, CLI: idp.CLI, Audiences: []string{idp.WebUI}},
		Rules: access.Rules{
			Claim: "groups",
			Groups: map[string][]string{"vawg-analysts": {"analyst"}, "vawg-superintendents": {"officer"},
				"hackney-vawg": {"team:Hackney"}, "barnet-vawg": {"team:Barnet"}, "audit": {"auditor"}},
		},
		Signer: signer, To: flows.Deployment{Client: d.client, Name: d.cfg.Deployment, TaskQueue: d.cfg.TaskQueue, Store: d.store},
		Identity: d.cfg.Identity, Codec: codec, UIOrigins: []string{"http://localhost:8233"}, Teams: func() (*teams.Teams, error) { return teams.Nowhere(), nil },
		Night: func(st *store.Store, m schemas.Manifest) (pipeline.Night, error) {
			return pipeline.Night{
				NightID: m.NightID,
				Store:   d.store,
				Tables:  reference.Default(),
				Model:   model,
				Threads: 1,
				Temp:    d.dir,
			}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- served.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return g
}

// ask sends a call of the API as somebody who is signed in at the command line.
func (g *gate) ask(login, method, path, body string) (int, string) {
	g.d.t.Helper()
	if g.tokens[login] == "" {
		g.tokens[login] = g.people.Token(g.d.t, idp.CLI, login)
	}
	r, err := http.NewRequestWithContext(g.d.t.Context(), method, g.url+path, strings.NewReader(body))
	if err != nil {
		g.d.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+g.tokens[login])
	r.Header.Set("Content-Type", "application/json")
	return send(g.d.t, r)
}

func send(t testing.TB, r *http.Request) (int, string) {
	t.Helper()
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	data, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a.StatusCode, string(data)
}

// A night is started, approved and answered through the desk by people whom a real identity provider names. The same
// sent past the desk, with all the access to Temporal that there is, is refused and recorded nowhere but in the log.
func TestDesk(t *testing.T) {
	t.Parallel()
	g := withDesk(t, extract(40))
	d := g.d
	expect := func(login, method, path, body string, code int, says string) string {
		t.Helper()
		got, answer := g.ask(login, method, path, body)
		if got != code || !strings.Contains(answer, says) {
			t.Fatalf("%s %s by %s: %d, not %d with %q: %s", method, path, login, got, code, says, answer)
		}
		return answer
	}
	night := "/api/v1/nights/" + asOf.String()
	expect("oscar", "POST", "/api/v1/nights", `{"as_of": "2026-06-30"}`, 403, "takes the role analyst")
	expect("chief", "POST", "/api/v1/nights", `{"as_of": "2026-06-30"}`, 200, `"workflow":"night-2026-06-30"`)
	var n workflows.NightResult
	if err := d.client.GetWorkflow(t.Context(), workflows.NightWorkflowID(asOf), "").Get(t.Context(), &n); err != nil {
		t.Fatal(err)
	}
	expect(
		"oscar",
		"GET",
		night,
		"",
		200,
		`"started_by":{"way":"person","name":"Ch Supt Cleo Chief","subject":"chief","verified":"attested"`,
	)

	// Past the desk.
	standing := func() *schemas.Decision {
		t.Helper()
		decision, err := nights.LoadDecision(t.Context(), d.store, n.Night)
		if err != nil {
			t.Fatal(err)
		}
		return decision
	}
	if _, err := workflows.Approve.Call(t.Context(), d.client, n.Decision, "typed", decisionOn(n)); !task.Is(
		err,
		fault.NotAttested,
	) ||
		standing() != nil {
		t.Fatalf("a typed name: %v, %+v", err, standing())
	}
	d.expect("nobody has verified who asks", append([]string{"approve"}, byHand(n)...)...)
	body := func(decision, reason string) string {
		return `{"decision": "` + decision + `", "manifest_sha256": "` + n.Manifest.SHA256 + `", "reason": "` + reason + `", "override": "the extract is small"}`
	}
	// By whom it must not be.
	expect("ann", "POST", night+"/decision", body("approve", "looked at it"), 403, "takes the role officer")
	expect("chief", "POST", night+"/decision", body("approve", "looked at it"), 403, fault.OwnNight)
	expect(
		"oscar",
		"POST",
		night+"/decision",
		strings.Replace(body("approve", "looked at it"), n.Manifest.SHA256, strings.Repeat("0", 64), 1),
		409,
		fault.OtherManifest,
	)
	if standing() != nil {
		t.Fatalf("%+v", standing())
	}
	var approved schemas.Decision
	if err := json.Unmarshal([]byte(expect("oscar", "POST", night+"/decision", body("approve", "looked at it"), 200, "")), &approved); err != nil {
		t.Fatal(err)
	}
	if approved.Decision != schemas.Approved || approved.By != "Supt Oscar Officer" || approved.Subject != "oscar" ||
		approved.Attestation != "" ||
		standing().Attestation == "" {
		t.Fatalf("%+v", approved)
	}
	again := expect("oscar", "POST", night+"/decision", body("approve", "looked at it"), 200, "")
	if !strings.Contains(again, `"subject":"oscar"`) {
		t.Error(again)
	}
	expect("olive", "POST", night+"/decision", body("hold", "not so fast"), 409, fault.AlreadyDecided)

	// Taskings.
	d.eventually(func() bool { return len(d.taskings()) == 40 })
	reference := ""
	for r, tasking := range d.taskings() {
		if tasking.Team == "Hackney" {
			reference = r
		}
	}
	tasking := "/api/v1/taskings/" + reference
	d.eventually(func() bool { code, _ := g.ask("harry", "GET", tasking, ""); return code == 200 })
	typed := schemas.TaskingRequest{Team: "Hackney", By: "PS Harry Hackney"}
	d.eventually(func() bool {
		_, err := workflows.Acknowledge.Call(t.Context(), d.client, workflows.TaskingWorkflowID(reference), "typed", typed)
		return task.Is(err, fault.NotAttested)
	})
	expect("barbara", "POST", tasking+"/acknowledge", `{}`, 404, fault.NoSuchTasking)
	expect("oscar", "POST", tasking+"/acknowledge", `{}`, 403, fault.NotAllowed)
	if state := d.taskings()[reference].State; state != schemas.TaskingIssued {
		t.Fatal(state)
	}
	expect("harry", "POST", tasking+"/acknowledge", `{}`, 200, `"state":"acknowledged"`)
	expect("harry", "POST", tasking+"/acknowledge", `{}`, 409, fault.WrongState)
	// What was attested counts once, whoever sends it again.
	events := d.taskings()[reference].Events
	replayed := typed
	replayed.Attestation = events[len(events)-1].Attestation
	if _, err := workflows.Acknowledge.Call(t.Context(), d.client, workflows.TaskingWorkflowID(reference), "again", replayed); replayed.Attestation == "" ||
		err == nil {
		t.Errorf("%q, %v", replayed.Attestation, err)
	}
	if got := strings.Count(expect("harry", "GET", tasking, "", 200, ""), `"by":"PS Harry Hackney"`); got != 1 {
		t.Errorf("%d acts of PS Harry Hackney", got)
	}

	// What Temporal's web UI shows.
	var payloads *commonpb.Payloads
	for _, e := range d.history(n.Decision, "").Events {
		if started := e.GetWorkflowExecutionStartedEventAttributes(); started != nil {
			payloads = started.Input
		}
	}
	sent, err := protojson.Marshal(payloads)
	if err != nil || bytes.Contains(sent, []byte(base64.StdEncoding.EncodeToString([]byte("manifest"))[:8])) {
		t.Fatalf("%s, %v", sent, err)
	}
	r, err := http.NewRequestWithContext(t.Context(), "POST", g.url+"/codec/decode", bytes.NewReader(sent))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", "http://localhost:8233")
	r.Header.Set("Authorization-Extras", g.people.Token(t, idp.WebUI, "oscar"))
	code, shown := send(t, r)
	var clear commonpb.Payloads
	if err := protojson.Unmarshal([]byte(shown), &clear); err != nil || code != 200 ||
		!strings.Contains(string(clear.Payloads[0].Data), n.Manifest.SHA256) {
		t.Errorf("%d %s, %v", code, shown, err)
	}

	// The approval is taken back.
	expect("ann", "POST", night+"/revocation", `{"reason": "a wrong extract"}`, 403, "takes the role officer")
	expect("olive", "POST", night+"/revocation", `{"reason": "a wrong extract"}`, 200, `"by":"Supt Olive Officer"`)
	expect("oscar", "POST", night+"/decision", body("approve", "looked at it"), 409, fault.Revoked)

	log, err := audit.Read(t.Context(), d.store)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []struct{ subject, did, outcome string }{
		{"oscar", schemas.Approved, audit.Done}, {"ann", access.Approve, audit.Refused}, {"olive", "revoked", audit.Done}, {"", access.Approve, audit.Refused},
	} {
		if !slices.ContainsFunc(log, func(e audit.Entry) bool {
			return e.Actor.Subject == want.subject && strings.Contains(e.Did, want.did) && e.Outcome == want.outcome
		}) {
			t.Errorf("the log does not say %+v", want)
		}
	}
	for _, e := range log {
		if line, err := json.Marshal(e); err != nil || bytes.Contains(line, []byte("marked-")) {
			t.Errorf("%s, %v", line, err)
		}
	}
}
