package desk

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"harmstack/activities/casework"
	"harmstack/activities/casework/pseudonym"
	"harmstack/activities/casework/teams"
	"harmstack/activities/decision"
	"harmstack/activities/messages/digest"
	"harmstack/activities/messages/webhook"
	"harmstack/activities/nightly"
	"harmstack/activities/nights/quality"
	"harmstack/activities/pipeline"
	"harmstack/activities/store"
	"harmstack/activities/tasking"
	"harmstack/activities/trust/access"
	"harmstack/activities/trust/attest"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/schemas/reference"
	"harmstack/starter/desk/idp"
	"harmstack/workflows"
	flows "harmstack/workflows/client"
)

const (
	night      = "2026-06-30-r1"
	specialist = "Rape and sexual offences"
)

// word is an attestation as it lies in the store, which no answer may hold.
const word = "the-desks-word"

// rules give the provider's people their roles.
var rules = access.Rules{Claim: "groups", Groups: map[string][]string{
	"vawg-analysts": {
		"analyst",
	}, "vawg-superintendents": {"officer"}, "hackney-vawg": {"team:Hackney"}, "barnet-vawg": {"team:Barnet"},
	"sapphire": {
		"specialist:" + specialist,
	}, "central-desk": {"desk"}, "professional-standards": {"restricted"}, "audit": {"auditor"},
	"platform": {"operator"},
}}

func rape(suspect, victim, borough, reported string, n int) schemas.Offence {
	at, err := time.Parse(time.DateOnly, reported)
	if err != nil {
		panic(err)
	}
	micros := at.Add(12 * time.Hour).UnixMicro()
	return schemas.Offence{
		AllegationID: new(
			fmt.Sprintf("A-%s-%d", suspect, n),
		), ReportID: new(fmt.Sprintf("R-%s-%d", suspect, n)), SuspectID: &suspect,
		SuspectAge: new(int32(30)), OffenceCode: new("019/08"), OffenceClass: new("19C"), ReportedAt: &micros,
		Borough: &borough, VictimID: &victim, VictimSex: new("F"), Source: new("victim"), Outcome: new("open"), UpdatedAt: &micros,
	}
}

// extract has S-1 and S-2 of Hackney, S-3 of Barnet, and S-9, who is restricted: alleged of the victim of S-1 too, and of
// S-2, who is alleged to have harmed S-9 in turn.
func extract() []schemas.Offence {
	rows := []schemas.Offence{
		rape("S-1", "V-1", "Hackney", "2026-06-30", 1), rape("S-1", "V-2", "Hackney", "2026-06-20", 2),
		rape(
			"S-2",
			"V-3",
			"Hackney",
			"2026-06-29",
			1,
		), rape("S-2", "S-9", "Hackney", "2026-06-12", 2), rape("S-3", "V-4", "Barnet", "2026-06-28", 1),
		rape(
			"S-9",
			"V-1",
			"Barnet",
			"2026-06-11",
			1,
		), rape("S-9", "S-2", "Barnet", "2026-06-10", 2), rape("S-9", "V-5", "Barnet", "2026-06-01", 3),
	}
	// One row of theirs is of restricted handling, and does not count.
	last := &rows[len(rows)-1]
	last.Handling, last.Outcome = new(schemas.HandlingRestricted), new(schemas.OutcomeNoCrime)
	return rows
}

// approved is a folder of a store with one night, approved by two officers, and its taskings: made once, for all tests.
var approved = sync.OnceValues(func() (folder string, err error) {
	if temp, err = os.MkdirTemp("", "desk"); err != nil {
		return "", err
	}
	folder = filepath.Join(temp, "store")
	return folder, publish(temp, folder)
})

var temp string // where it lies

func TestMain(m *testing.M) {
	code := m.Run()
	if temp != "" {
		_ = os.RemoveAll(temp)
	}
	os.Exit(code)
}

// nowhere is a client of a Temporal that is away.
func nowhere(t *testing.T) client.Client {
	c, err := client.NewLazyClient(client.Options{HostPort: "127.0.0.1:1", Logger: log.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func who() (*teams.Teams, error) { return teams.Nowhere(), nil }

// publish runs a night and the decision on it as a worker does.
func publish(dir, folder string) error {
	ctx := context.Background()
	path := filepath.Join(dir, "extract.parquet")
	if err := parquet.WriteFile(path, extract()); err != nil {
		return err
	}
	st, err := store.Open(ctx, folder)
	if err != nil {
		return err
	}
	defer st.Close()
	mailer, err := digest.NewOutbox(filepath.Join(dir, "outbox"), "Harmstack <harmstack@example.police.uk>")
	if err != nil {
		return err
	}
	hide, err := pseudonym.New(make([]byte, pseudonym.KeyBytes))
	if err != nil {
		return err
	}
	acts := workflows.Activities{
		Nightly: &nightly.Activities{
			Store:   st,
			Sources: map[string]string{nightly.DefaultSource: path},
			Threads: 1,
			TempDir: dir,
			Code:    "test",
			Checks:  quality.Standard(),
		},
		Decision: &decision.Activities{Store: st},
		Tasking:  &tasking.Activities{Store: st, Mailer: mailer, Hooks: webhook.NewSender(0), Pseudonym: hide, Teams: who},
	}
	acts.Tasking.SendOrder = func(ctx context.Context, o schemas.TaskingOrder) error {
		_, err := acts.Tasking.Apply(ctx, tasking.ApplyParams{Reference: o.Reference, Order: &o})
		return err
	}
	env := func(id string) *testsuite.TestWorkflowEnvironment {
		var suite testsuite.WorkflowTestSuite
		suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
		env := suite.NewTestWorkflowEnvironment()
		env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: id, TaskQueue: workflows.TaskQueue})
		env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute})
		env.SetTestTimeout(2 * time.Minute)
		workflows.Register(env, acts)
		return env
	}
	scored := env("night")
	scored.OnWorkflow(workflows.Decision, mock.Anything, mock.Anything).Return(workflows.DecisionResult{}, nil)
	scored.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil)
	scored.ExecuteWorkflow(workflows.NightlyRun, schemas.NightRequest{AsOf: schemas.MustDate("2026-06-30")})
	var n workflows.NightResult
	if err := scored.GetWorkflowResult(&n); err != nil {
		return err
	}
	decided := env(n.Decision)
	decided.RegisterDelayedCallback(func() {
		decided.UpdateWorkflow(
			workflows.Approve.Name,
			"u1",
			ignored{},
			schemas.DecisionRequest{Revision: 1, ManifestSHA256: n.Manifest.SHA256,
				By: "DCI Example", Reason: "looked at all of it"},
		)
	}, time.Hour)
	decided.ExecuteWorkflow(workflows.Decision, workflows.DecisionParams{Manifest: *n.Manifest})
	if err := decided.GetWorkflowError(); err != nil {
		return err
	}
	// As if a desk had vouched for it, and two officers had overridden a check.
	key := n.Night.Path() + "/" + schemas.DecisionFile
	data, err := st.Read(ctx, key)
	if err != nil {
		return err
	}
	var d schemas.Decision
	if err := json.Unmarshal(data, &d); err != nil {
		return err
	}
	first := d
	first.Attestation, d.Attestation = word, word
	d.First = &first
	if data, err = json.Marshal(d); err != nil {
		return err
	}
	if err := st.Replace(ctx, key, data); err != nil {
		return err
	}
	return casework.All(ctx, st, func(t *schemas.Tasking) error {
		next := *t
		next.Version++
		next.Events = append(
			next.Events,
			schemas.TaskingEvent{Number: next.Version, At: t.Since, Kind: schemas.EventProgress, Team: t.Team, By: "PS Example",
				Key: "k", Attestation: word},
		)
		return casework.Save(ctx, st, &next)
	})
}

type ignored struct{}

func (ignored) Accept()             {}
func (ignored) Reject(error)        {}
func (ignored) Complete(any, error) {}

// world is a desk that serves on https://desk.example, with a store of its own and a clock.
type world struct {
	t      *testing.T
	desk   *Desk
	store  *store.Store
	folder string // of the store
	logs   *logs
	at     string // where it listens

	mu  sync.Mutex
	now time.Time
}

// logs are what the desk's operators read.
type logs struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newWorld(t *testing.T, change func(o *Options)) *world {
	t.Helper()
	folder, err := approved()
	if err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(t.TempDir(), "store")
	if err := os.CopyFS(own, os.DirFS(folder)); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, folder: own, logs: &logs{}, now: time.Now()}
	if w.store, err = store.Open(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.store.Close() })
	signer, err := attest.NewSigner("desk", bytes.Repeat([]byte{9}, ed25519.SeedSize))
	if err != nil {
		t.Fatal(err)
	}
	model, err := schemas.LoadModel(schemas.DefaultModel)
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		URL: &url.URL{
			Scheme: "https",
			Host:   "desk.example",
		}, Provider: &Provider{Issuer: "http://127.0.0.1:1", ClientID: idp.Desk,
			ClientSecret: idp.DeskSecret, CLI: idp.CLI, Audiences: []string{idp.WebUI}}, Rules: rules, Signer: signer,
		To: flows.Deployment{Client: nowhere(t), Store: w.store}, Identity: attest.Identity{Required: true}, Teams: who,
		Night: func(st *store.Store, m schemas.Manifest) (pipeline.Night, error) {
			return pipeline.Night{
				NightID: m.NightID,
				Store:   w.store,
				Tables:  reference.Default(),
				Model:   model,
				Threads: 1,
				Temp:    t.TempDir(),
			}, nil
		},
		Status: func(context.Context) (Status, error) {
			return Status{Nights: []NightLine{}, NotAsked: "no Temporal at " + word}, nil
		},
		Now: w.clock, Log: slog.New(slog.NewTextHandler(w.logs, nil)),
	}
	if change != nil {
		change(&o)
	}
	if w.desk, err = New(o); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(w.desk.Handler())
	if o.URL.Scheme == "https" {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	w.at = server.Listener.Addr().String()
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// browser keeps cookies and shows redirects as they are. To it the desk's name leads to where it listens.
func (w *world) browser() *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // the server's certificate has another name
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if strings.HasPrefix(address, w.desk.URL.Hostname()+":") {
				address = w.at
			}
			var d net.Dialer
			return d.DialContext(ctx, network, address)
		},
	}
	w.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Jar:           jar,
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// as is a browser that a person is signed in with, without a provider.
func (w *world) as(login string, roles ...access.Role) *http.Client {
	p := Person{Subject: login, Name: "Name of " + login}
	for _, r := range roles {
		p.Roles = append(p.Roles, string(r))
	}
	b := w.browser()
	b.Jar.SetCookies(w.desk.URL, []*http.Cookie{w.desk.cookie(w.desk.cookieName(), w.desk.sessions.start(p), sessionTime)})
	return b
}

// answer is one that the desk gave.
type answer struct {
	code   int
	header http.Header
	body   string
}

func (a answer) problem() (p Problem) {
	_ = json.Unmarshal([]byte(a.body), &p)
	return p
}

// ask sends a request. A body goes as JSON; headers come as name and value.
func (w *world) ask(b *http.Client, method, path, body string, headers ...string) answer {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.desk.URL.JoinPath("/").String(), strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if r.URL, err = r.URL.Parse(path); err != nil {
		w.t.Fatal(err)
	}
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	got, err := b.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer got.Body.Close()
	data, err := io.ReadAll(got.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer{got.StatusCode, got.Header, string(data)}
}

// last is the last entry of the audit log.
func (w *world) last() audit.Entry {
	w.t.Helper()
	log, err := audit.Read(w.t.Context(), w.store)
	if err != nil || len(log) == 0 {
		w.t.Fatal(err, len(log))
	}
	return log[len(log)-1]
}

// tasking is the reference of a team's first.
func (w *world) tasking(team string) (reference string) {
	w.t.Helper()
	err := casework.All(w.t.Context(), w.store, func(t *schemas.Tasking) error {
		if t.Team == team && reference == "" {
			reference = t.Reference
		}
		return nil
	})
	if err != nil || reference == "" {
		w.t.Fatalf("%s has no tasking: %v", team, err)
	}
	return reference
}

func listen() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") }
