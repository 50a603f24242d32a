package e2e

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/workflowservice/v1"

	"harmstack/activities/casework"
	"harmstack/activities/casework/pseudonym"
	"harmstack/activities/casework/teams"
	"harmstack/activities/store/leaktest"
	"harmstack/schemas"
	"harmstack/schemas/reference"
)

const guarded = 15

// guardedRows are those of so many people of restricted handling, every id of whom carries a mark. What says so is, in
// turn: the gravest row, a row that does not count, a word that is none, a row of somebody in custody, one in no borough.
func guardedRows() (rows []schemas.Offence) {
	boroughs := []string{"Hackney", "Barnet", "Camden", "Hackney", "Kent"}
	for s := range guarded {
		for n := range 3 {
			at := new(asOf.AddDays(-s - n).Start().UnixMicro())
			o := schemas.Offence{
				AllegationID: new(fmt.Sprintf("guarded-a-%d-%d", s, n)), ReportID: new(fmt.Sprintf("guarded-r-%d-%d", s, n)),
				SuspectID: new(fmt.Sprintf("guarded-s-%d", s)), OffenceCode: new("019/08"), OffenceClass: new("19C"),
				ReportedAt: at, UpdatedAt: at, Borough: &boroughs[s%5], VictimID: new(fmt.Sprintf("guarded-v-%d-%d", s, n)), VictimSex: new("F"),
				Source: new("victim"), Outcome: new("open"),
			}
			switch {
			case n > 0:
			case s%5 == 1:
				o.Outcome, o.Handling = new("no_crime"), new(schemas.HandlingRestricted)
			case s%5 == 2:
				o.Handling = new("Restricted person")
			case s%5 == 3:
				o.SuspectStatus, o.Handling = new("in_custody"), new(schemas.HandlingRestricted)
			default:
				o.Handling = new(schemas.HandlingRestricted)
			}
			rows = append(rows, o)
		}
	}
	return rows
}

// Fifteen people of restricted handling in one night, whom nobody acknowledges in time: the desk gets them all, and no
// borough, lead, specialist team, history, search attribute, log, metric, event or file beside the desk's own and the
// night's rows has a trace of one.
func TestRestrictedPeopleLeaveNoTrace(t *testing.T) {
	t.Parallel()
	log, events := filepath.Join(t.TempDir(), "log"), filepath.Join(t.TempDir(), "events.ndjson")
	port, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port.Close()
	rows := append(extract(24), guardedRows()...)
	for i := range rows {
		if rows[i].Handling == nil {
			rows[i].Handling = new("normal") // or the words that are none would be too many of those that are there
		}
	}
	d := deploy(t, rows, "", "E2E_LOG="+log, "HARMSTACK_METRICS="+port.Addr().String(), "HARMSTACK_LINEAGE=file://"+events)
	hasty(t, d)
	d.mail.greylist() // trouble makes a log talk
	hide, err := pseudonym.New(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	secrets, words := map[string]bool{}, []string{"guarded-"}
	for s := range guarded {
		id := fmt.Sprintf("guarded-s-%d", s)
		secrets[hide.Restricted(id)] = true
		words = append(words, hide(id), hide.Restricted(id))
	}
	ids := words[:1]
	for i := 1; i < len(words); i += 2 {
		ids = append(ids[:len(ids):len(ids)], words[i]) // what a borough would call them
	}
	silent := func(place, text string, words []string, has string) {
		t.Helper()
		if found := leaktest.Found([]byte(text), words...); len(found) > 0 {
			t.Errorf("%s tells of %q", place, found)
		}
		if !strings.Contains(text, has) {
			t.Errorf("%s is not what it should be: %.2000s", place, text)
		}
	}

	_, n := d.night(schemas.NightRequest{AsOf: asOf})
	if got := d.approve(n).Tasking; got.Failed > 0 || got.Sent < 34 {
		t.Errorf("%+v", got)
	}
	mine := func(reference string) (desk, escalated bool) {
		tasking, err := casework.History(t.Context(), d.store, reference)
		if err != nil || tasking == nil {
			t.Fatalf("%s: %v", reference, err)
		}
		for _, e := range tasking.Events {
			escalated = escalated || e.Kind == schemas.EventDesk
		}
		return tasking.Team == teams.RestrictedDesk, escalated || tasking.Watch // which has no deadline
	}
	d.eventually(func() bool {
		for reference := range d.taskings() {
			if _, escalated := mine(reference); !escalated {
				return false
			}
		}
		return len(d.taskings()) == 24+guarded
	})
	for reference := range d.taskings() {
		if desk, _ := mine(reference); desk != secrets[reference] {
			t.Errorf("with the desk: %v", desk)
		}
	}

	// Everything that Temporal keeps, payloads and all.
	listed, err := d.client.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{PageSize: 1000})
	if err != nil {
		t.Fatal(err)
	}
	histories := 0
	for _, e := range listed.Executions {
		id := e.Execution.WorkflowId
		raw := string(marshal(t, d.history(id, e.Execution.RunId), nil))
		readable := string(marshal(t, d.history(id, e.Execution.RunId), map[string]any{commonpb.EnablePayloadShorthandMetadataKey: true}))
		of := strings.TrimPrefix(id, "tasking-")
		if secrets[of] || strings.HasSuffix(id, "-professional-standards") { // its own, which nothing else is in
			silent("the history of the desk's", raw+readable+e.String(), ids, "")
			for _, borough := range reference.Default().Boroughs() {
				silent("what is shown of the desk's", id+e.SearchAttributes.String()+e.Memo.String(), []string{borough.Name, teams.Slug(borough.Name)}, "")
			}
		} else {
			silent("the history of "+id, raw+readable+e.String(), words, "")
		}
		silent("a search attribute", e.SearchAttributes.String(), words, "")
		histories++
	}
	if histories < 24+guarded+34 {
		t.Errorf("%d histories", histories)
	}

	answer, err := http.Get("http://" + port.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	metrics, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	silent("the metrics", string(metrics), words, "harmstack_")
	told, err := os.ReadFile(events)
	if err != nil {
		t.Fatal(err)
	}
	silent("the lineage", string(told), words, "ranking.parquet")
	logged, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	silent("the log", string(logged), ids, "refused for now")
	for line := range strings.Lines(string(logged)) { // a workflow's id may stand there, and where it is from not beside it
		if len(leaktest.Found([]byte(line), words...)) > 0 {
			for _, borough := range reference.Default().Boroughs() {
				silent("a line of the log", line, []string{borough.Name, teams.Slug(borough.Name)}, "")
			}
		}
	}

	d.mail.mu.Lock()
	texts := maps.Clone(d.mail.texts)
	d.mail.mu.Unlock()
	const desk = "professional.standards@example.police.uk"
	for to, text := range texts {
		if to != desk {
			silent("the mail to "+to, text, append([]string{"Professional", "estricted"}, words...), "")
		}
	}
	if got := texts["vawg.hackney@example.police.uk"]; len(got) < 2000 {
		t.Errorf("Hackney got %s", got)
	}
	for s := range guarded {
		if len(leaktest.Found([]byte(texts[desk]), hide.Restricted(fmt.Sprintf("guarded-s-%d", s)))) == 0 {
			t.Errorf("the desk was not told of number %d", s)
		}
	}

	// The store: by name and by content, but for the night's own rows, of which all is made, and what is the desk's.
	keys, err := d.store.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	plans := 0
	for _, key := range keys {
		rows, ours := strings.HasSuffix(key, ".parquet"), strings.Contains(key, "/professional-standards")
		for secret := range secrets {
			ours = ours || strings.HasPrefix(key, casework.CasesFolder+secret) || strings.HasPrefix(key, casework.OpenFolder+secret)
		}
		if strings.HasPrefix(key, "deliveries/") && strings.Contains(string(d.read(key)), teams.RestrictedDesk) {
			ours = true
		}
		switch {
		case ours:
			silent("a file's name", key, ids, "")
		case strings.HasPrefix(key, "audit/"): // for the auditor, by pseudonym
			silent(key, string(d.read(key)), ids, "")
		case rows:
			silent("a file's name", key, words, "")
		default:
			silent("a file's name", key, words, "")
			silent(key, string(d.read(key)), words, "")
			if strings.HasPrefix(key, "taskings/plans/") {
				plans++
			}
		}
	}
	if plans < 33 {
		t.Errorf("%d plans", plans)
	}
	report := string(d.read(n.Night.Path() + "/" + schemas.ReportFile))
	if !strings.Contains(report, "15 suspects are of restricted handling") {
		t.Error("the report does not count them")
	}
	for _, args := range [][]string{{"stack", "--why", "a look"}, {"stack", "--csv", "--why", "a look"}, {"stack", "--json", "--why", "a look"}, {"status"},
		{"tasking", "list"}, {"tasking", "list", "--all", "--json"}, {"tasking", "list", "--team", "hackney"}, {"lineage", asOf.String()}} {
		silent(fmt.Sprint(args), d.succeed(args...), words, "")
	}
}
