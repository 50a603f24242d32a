package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"
	"github.com/parquet-go/parquet-go"
	"go.temporal.io/sdk/client"

	"harmstack/activities/messages/ledger"
	"harmstack/activities/tasking"
	"harmstack/schemas"
	"harmstack/workflows"
	flows "harmstack/workflows/client"
)

// A damaged tasking and a full mailbox of one team keep nobody from the night: the digests go, the decision ends and
// says so. What is mended is carried out, and no address gets a message twice. With HARMSTACK_RECORD the histories are
// written there.
func TestTroubledTeam(t *testing.T) {
	d := deploy(t, changing(0), "")
	text := strings.Replace(string(d.readFile("teams.yaml")), `["Hackney VAWG <vawg.hackney@example.police.uk>"]`, `[one@example.police.uk, two@example.police.uk]`, 1)
	if err := os.WriteFile(filepath.Join(d.dir, "teams.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	d.nightOf(0)
	damaged := ""
	for reference, life := range d.taskings() {
		if life.Team == "Hackney" && (damaged == "" || reference < damaged) {
			damaged = reference
		}
	}
	key := fmt.Sprintf("taskings/cases/%s/000001.json", damaged)
	good := d.read(key)
	if err := d.store.Replace(t.Context(), key, []byte("{")); err != nil {
		t.Fatal(err)
	}
	d.mail.mu.Lock()
	before := d.mail.taken["two@example.police.uk"]
	d.mail.refuseTo = func(address string) error {
		if address == "two@example.police.uk" {
			return &smtp.SMTPError{Code: 452, Message: "the mailbox is full"}
		}
		return nil
	}
	d.mail.mu.Unlock()
	if err := parquet.WriteFile(filepath.Join(d.dir, "extract.parquet"), changing(3)); err != nil {
		t.Fatal(err)
	}
	run, err := d.client.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: workflows.NightWorkflowID(asOf.AddDays(3)), TaskQueue: workflows.TaskQueue},
		workflows.NightlyRun, schemas.NightRequest{AsOf: asOf.AddDays(3)})
	if err != nil {
		t.Fatal(err)
	}
	var n workflows.NightResult
	if err := run.Get(t.Context(), &n); err != nil {
		t.Fatal(err)
	}
	got := d.approve(n).Tasking
	if got.LateOrders != 1 || got.LateAddresses != 1 || got.Failed+got.RefusedAddresses != 0 || got.Sent < 32 {
		t.Errorf("%+v", got)
	}
	taken := func(name string) int {
		d.mail.mu.Lock()
		defer d.mail.mu.Unlock()
		return d.mail.taken[name+"@example.police.uk"]
	}
	if one, two := taken("one"), taken("two"); one != before+1 || two != before {
		t.Errorf("one got %d messages, two %d, both had %d", one, two, before)
	}
	failed, err := tasking.FailedOrders(t.Context(), d.store)
	if err != nil || len(failed) != 1 || failed[0].Reference != damaged || strings.Contains(failed[0].Why, "marked-") {
		t.Errorf("%+v, %v", failed, err)
	}
	// A person mends both.
	if err := d.store.Replace(t.Context(), key, good); err != nil {
		t.Fatal(err)
	}
	d.mail.mu.Lock()
	d.mail.refuseTo = nil
	d.mail.mu.Unlock()
	if done, still, err := tasking.SendAgain(t.Context(), d.store, flows.SendOrder(d.client, "", workflows.TaskQueue)); err != nil || done+len(still) > 1 || len(still) > 0 {
		t.Errorf("%d done, %+v, %v", done, still, err)
	}
	if err := d.client.GetWorkflow(t.Context(), workflows.LateWorkflowID(n.Night, "Hackney"), "").Get(t.Context(), nil); err != nil {
		t.Error(err)
	}
	if one, two := taken("one"), taken("two"); one != before+1 || two != before+1 {
		t.Errorf("one got %d messages, two %d, both had %d", one, two, before)
	}
	entries, err := ledger.Read(t.Context(), d.store)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.State != ledger.Sent || e.Count(ledger.Sent) != len(e.Recipients) {
			t.Errorf("%+v", e)
		}
	}
	d.record(os.Getenv("HARMSTACK_RECORD"), map[string][2]string{"decision-watches-the-teams": {n.Decision, ""},
		"borough-with-late": {workflows.BoroughWorkflowID(n.Night, "Hackney"), ""}, "late": {workflows.LateWorkflowID(n.Night, "Hackney"), ""}})
}

func (d *deployment) readFile(name string) []byte {
	d.t.Helper()
	data, err := os.ReadFile(filepath.Join(d.dir, name))
	if err != nil {
		d.t.Fatal(err)
	}
	return data
}
