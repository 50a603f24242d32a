package workflows

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"harmstack/activities/casework/pseudonym"
	"harmstack/activities/casework/teams"
	"harmstack/activities/decision"
	"harmstack/activities/extract/sources"
	"harmstack/activities/messages/digest"
	"harmstack/activities/messages/webhook"
	"harmstack/activities/nightly"
	"harmstack/activities/nights"
	"harmstack/activities/nights/quality"
	"harmstack/activities/operations"
	"harmstack/activities/retention"
	"harmstack/activities/store"
	"harmstack/activities/tasking"
	"harmstack/schemas"
)

var asOf = schemas.MustDate("2026-06-30")

var quiet = log.NewStructuredLogger(slog.New(slog.DiscardHandler))

// deployment is a real store, extract and outbox in temporary folders.
type deployment struct {
	store   *store.Store
	outbox  string
	extract string
	acts    Activities
}

func newDeployment(t testing.TB, rows ...schemas.Offence) *deployment {
	t.Helper()
	dir := t.TempDir()
	d := &deployment{outbox: filepath.Join(dir, "outbox"), extract: filepath.Join(dir, "extract.parquet")}
	d.write(t, rows...)
	var err error
	if d.store, err = store.Open(t.Context(), filepath.Join(dir, "store")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.store.Close() })
	mailer, err := digest.NewOutbox(d.outbox, "Harmstack <harmstack@example.police.uk>")
	if err != nil {
		t.Fatal(err)
	}
	hide, err := pseudonym.New(make([]byte, pseudonym.KeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	prefixes, err := sources.ParsePrefixes(".,/nowhere," + os.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	d.acts = Activities{
		Nightly:  &nightly.Activities{Store: d.store, Sources: map[string]string{nightly.DefaultSource: d.extract}, Prefixes: prefixes, Threads: 2, TempDir: dir, Code: "test", Checks: quality.Standard()},
		Decision: &decision.Activities{Store: d.store},
		Tasking: &tasking.Activities{Store: d.store, Mailer: mailer, Hooks: webhook.NewSender(0), Pseudonym: hide,
			Teams: func() (*teams.Teams, error) { return teams.Nowhere(), nil }},
	}
	d.acts.Operations = &operations.Activities{Store: d.store, Mailer: mailer, Teams: d.acts.Tasking.Teams, Watch: quality.Standard().Watch}
	d.acts.Retention = &retention.Activities{Store: d.store}
	// Without a server there is no workflow to hand an order to: the tasking itself is the real one.
	d.acts.Tasking.SendOrder = func(ctx context.Context, o schemas.TaskingOrder) error {
		_, err := d.acts.Tasking.Apply(ctx, tasking.ApplyParams{Reference: o.Reference, Order: &o})
		return err
	}
	return d
}

// write replaces the extract.
func (d *deployment) write(t testing.TB, rows ...schemas.Offence) {
	t.Helper()
	if err := parquet.WriteFile(d.extract, rows); err != nil {
		t.Fatal(err)
	}
}

// env is a workflow environment with skipped time over the deployment. Each run has an id of its own,
// as each has its own claim.
func (d *deployment) env(t testing.TB, id string) *testsuite.TestWorkflowEnvironment {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet)
	env := suite.NewTestWorkflowEnvironment()
	env.SetStartWorkflowOptions(client.StartWorkflowOptions{ID: id, TaskQueue: TaskQueue})
	// These two count real time. On a busy machine a goroutine may wait its turn for longer than the second after which
	// the environment, unlike a server, gives a workflow up for good.
	env.SetWorkerOptions(worker.Options{DeadlockDetectionTimeout: time.Minute})
	env.SetTestTimeout(2 * time.Minute)
	Register(env, d.acts)
	return env
}

// stopAtDecision keeps the environment from waiting for an abandoned child, and for the ends of others.
func stopAtDecision(env *testsuite.TestWorkflowEnvironment) {
	env.OnWorkflow(Decision, mock.Anything, mock.Anything).Return(DecisionResult{}, nil)
	env.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, mock.Anything, mock.Anything).Return(nil)
}

// night runs one night and returns what it came to.
func (d *deployment) night(t testing.TB, id string, request schemas.NightRequest) NightResult {
	t.Helper()
	env := d.env(t, id)
	stopAtDecision(env)
	env.ExecuteWorkflow(NightlyRun, request)
	if err := env.GetWorkflowError(); err != nil {
		t.Fatal(err)
	}
	var result NightResult
	if err := env.GetWorkflowResult(&result); err != nil {
		t.Fatal(err)
	}
	return result
}

// current is the night that current.json names, empty when there is none.
func (d *deployment) current(t *testing.T) string {
	t.Helper()
	c, err := nights.LoadCurrent(t.Context(), d.store)
	if err != nil {
		t.Fatal(err)
	}
	if c == nil {
		return ""
	}
	return c.Manifest.NightID.String()
}

// mails counts the messages in the outbox.
func (d *deployment) mails(t *testing.T) int {
	t.Helper()
	files, err := os.ReadDir(d.outbox)
	if err != nil {
		t.Fatal(err)
	}
	return len(files)
}

// rape is an allegation of rape (19C 019/08, 1,825 days) reported at noon of a date.
func rape(suspect, borough, reported string, n int) schemas.Offence {
	at, err := time.Parse(time.DateOnly, reported)
	if err != nil {
		panic(err)
	}
	at = at.Add(12 * time.Hour)
	return schemas.Offence{
		AllegationID: new(fmt.Sprintf("A-%s-%d", suspect, n)), ReportID: new(fmt.Sprintf("R-%s-%d", suspect, n)), SuspectID: &suspect,
		SuspectAge: new(int32(30)), OffenceCode: new("019/08"), OffenceClass: new("19C"), ReportedAt: new(at.UnixMicro()),
		Borough: &borough, VictimID: new(fmt.Sprintf("V-%s-%d", suspect, n)), VictimSex: new("F"),
		Source: new("victim"), Outcome: new("open"), UpdatedAt: new(at.UnixMicro()),
	}
}

// three suspects: S-1 twice in Hackney, S-2 in Hackney, S-3 in Barnet.
func threeSuspects() []schemas.Offence {
	return []schemas.Offence{
		rape("S-1", "Hackney", "2026-06-30", 1), rape("S-1", "Hackney", "2026-06-20", 2),
		rape("S-2", "Hackney", "2026-06-29", 1), rape("S-3", "Barnet", "2026-06-28", 1),
	}
}

func read(t *testing.T, st *store.Store, key string) []byte {
	t.Helper()
	data, err := st.Read(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
