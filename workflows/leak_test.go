package workflows

import (
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.temporal.io/sdk/testsuite"

	"harmstack/activities/casework/teams"
	"harmstack/activities/operations"
	"harmstack/schemas"
)

// Whatever is mailed over the life of a tasking, and to operations, holds no id of the extract: not in a header, a text, a
// page or a file. It leads to the desk. An outbox thus lies in clear without harm.
func TestMailsHoldNoIDs(t *testing.T) {
	rows := threeSuspects()
	rows[0].Handling = new(schemas.HandlingRestricted)
	d := newDeployment(t, append(rows, rape("S-4", "Barnet", "2026-06-27", 1))...)
	d.acts.Tasking.Desk, d.acts.Operations.Desk = "https://desk.example", "https://desk.example"
	n := d.night(t, "night", schemas.NightRequest{AsOf: asOf})
	d.approve(t, n)
	reference := d.acts.Tasking.Pseudonym("S-3")
	env := d.env(t, TaskingWorkflowID(reference))
	answer := &reply{}
	env.RegisterDelayedCallback(func() {
		env.UpdateWorkflow(Transfer.Name, "u1", answer, schemas.TaskingRequest{Team: "Barnet", By: "PS Example", To: "Hackney", Note: "moved"})
	}, time.Minute)
	// Nobody answers: reminder, lead and specialist desk.
	env.RegisterDelayedCallback(env.CancelWorkflow, 20*24*time.Hour)
	env.ExecuteWorkflow(Tasking, TaskingParams{Reference: reference})
	var suite testsuite.WorkflowTestSuite
	watch := suite.NewTestActivityEnvironment()
	watch.RegisterActivity(d.acts.Operations)
	_, err := watch.ExecuteActivity(d.acts.Operations.Alert, operations.AlertParams{Finding: operations.Finding{Kind: operations.KindDecisionPending,
		About: asOf, At: asOf.Start(), Text: "Nobody has decided.", Do: "An officer looks at it."}})
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(d.outbox, "*.eml"))
	if err != nil || answer.err != nil || len(files) < 33+5 {
		t.Fatalf("%d mails, %v, %v", len(files), err, answer.err)
	}
	id := regexp.MustCompile(`\b[SARV]-S?-?\d`)
	links := map[string]bool{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m, err := mail.ReadMessage(strings.NewReader(string(data)))
		if err != nil {
			t.Fatal(err)
		}
		all := string(data) + spoken(t, m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), m.Body)
		if found := id.FindString(all); found != "" {
			t.Errorf("%s: %q stands in %s", m.Header.Get("Subject"), found, all)
		}
		if strings.Contains(all, "Content-Disposition: attachment") {
			t.Errorf("%s has a file", m.Header.Get("Subject"))
		}
		for _, link := range regexp.MustCompile(`https://desk\.example[^\s"<]*`).FindAllString(all, -1) {
			links[link] = true
		}
	}
	for _, want := range []string{"/teams/Hackney", "/teams/Professional%20standards", "/taskings/" + reference,
		"/taskings/" + d.acts.Tasking.Pseudonym.Restricted("S-1")} {
		if !links["https://desk.example"+want] {
			t.Errorf("no mail leads to %s of %s", want, teams.RestrictedDesk)
		}
	}
}
