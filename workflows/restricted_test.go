package workflows

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	commonpb "go.temporal.io/api/common/v1"
	sdkpb "go.temporal.io/api/sdk/v1"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"harmstack/activities/casework"
	"harmstack/activities/casework/teams"
	"harmstack/activities/messages/ledger"
	"harmstack/activities/task"
	"harmstack/activities/tasking"
	"harmstack/schemas"
	"harmstack/schemas/fault"
)

const professional = "professional.standards" // the desk's address

// restricted marks the first of some rows.
func restricted(rows ...schemas.Offence) []schemas.Offence {
	rows[0].Handling = new(schemas.HandlingRestricted)
	return rows
}

// recorder keeps every payload that a workflow hands to Temporal.
type recorder struct {
	converter.DataConverter
	lock sync.Mutex
	all  strings.Builder
}

func (r *recorder) ToPayload(v any) (*commonpb.Payload, error) {
	p, err := r.DataConverter.ToPayload(v)
	r.keep(p)
	return p, err
}

func (r *recorder) ToPayloads(v ...any) (*commonpb.Payloads, error) {
	p, err := r.DataConverter.ToPayloads(v...)
	r.keep(p.GetPayloads()...)
	return p, err
}

func (r *recorder) keep(payloads ...*commonpb.Payload) {
	r.lock.Lock()
	defer r.lock.Unlock()
	for _, p := range payloads {
		fmt.Fprintf(&r.all, "%s\n", p.GetData())
	}
}

// hooks gives every team that could be told too much a system of its own, and returns what each has heard.
func (d *deployment) hooks(t *testing.T, edits ...string) func(team string) string {
	t.Helper()
	var lock sync.Mutex
	heard := map[string]string{}
	system := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		lock.Lock()
		defer lock.Unlock()
		heard[r.URL.Path] += string(body)
	}))
	t.Cleanup(system.Close)
	for _, mail := range []string{"Hackney VAWG <vawg.hackney", "Central East lead <lead.central-east", "VAWG specialist desk <vawg.specialist", "Professional standards <" + professional} {
		address := `{mail: ["` + mail + `@example.police.uk>"]}`
		_, name, _ := strings.Cut(mail, "<")
		edits = append(edits, address, strings.TrimSuffix(address, "}")+`, webhook: {url: "`+system.URL+"/"+name+`", secret_env: HOOK}}`)
	}
	const sexual = `    mail: ["Rape and sexual offences <sexual.offences@example.police.uk>"]`
	edits = append(edits, sexual, sexual+"\n    webhook: {url: \""+system.URL+`/sexual.offences", secret_env: HOOK}`)
	d.declare(t, edits...)
	return func(team string) string {
		lock.Lock()
		defer lock.Unlock()
		return heard["/"+team]
	}
}

// silent fails when a text that others than the desk see holds one of the words.
func silent(t *testing.T, what, text string, words ...string) {
	t.Helper()
	for _, word := range words {
		if i := strings.Index(text, word); i >= 0 {
			t.Errorf("%s tells of %s: …%s…", what, word, text[max(0, i-80):min(len(text), i+80)])
		}
	}
}

// artefacts is every file of the store that is not the desk's and not the night's own data, by key. (The night's Parquet
// files are what all this is made of; no team gets them.)
func (d *deployment) artefacts(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, key := range d.keys(t, "") {
		if !strings.HasSuffix(key, ".parquet") {
			found[key] = string(read(t, d.store, key))
		}
	}
	return found
}

// S-9 tops the stack, from Hackney, and is restricted; on the second night S-2 of Hackney becomes so too; on the third
// S-9 no longer is. What anybody else than the desk gets tells of neither.
func TestRestricted(t *testing.T) {
	nine := func() []schemas.Offence {
		return []schemas.Offence{rape("S-9", "Hackney", "2026-06-30", 1), rape("S-9", "Hackney", "2026-06-29", 2), rape("S-9", "Barnet", "2026-06-28", 3)}
	}
	d := newDeployment(t, append(restricted(nine()...), threeSuspects()...)...)
	d.acts.Tasking.Mailer = taker{}
	// Nights 2 and 3 issue nothing new. Everybody gets packs, which tell of nobody else's.
	heard := d.hooks(t, "cadence: nightly", "cadence: weekly", "# attachments: packs", "attachments: packs",
		"# attachment_domains: [met.police.uk]", "attachment_domains: [example.police.uk]")
	letters := d.collect()
	hide := d.acts.Tasking.Pseudonym
	secret := hide("restricted\x00S-9") // the desk's reference, by hand
	payloads := &recorder{DataConverter: converter.GetDefaultDataConverter()}
	approve := func(n NightResult) DecisionResult {
		t.Helper()
		a := &answer{}
		result, err := d.decide(t, n, func(env *testsuite.TestWorkflowEnvironment) {
			env.SetDataConverter(payloads)
			env.RegisterDelayedCallback(func() { env.UpdateWorkflow(Approve.Name, "u1", a, request(n)) }, time.Hour)
		})
		if err != nil || a.err != nil {
			t.Fatal(err, a.err)
		}
		return result
	}
	first := d.night(t, "night-1", schemas.NightRequest{AsOf: asOf})
	if got := approve(first).Tasking; got != (TaskingCount{Sent: 34}) { // 32 boroughs, the team for rape, the desk
		t.Errorf("%+v", got)
	}
	words := []string{"S-9", hide("S-9"), secret, "Professional", "estricted"}
	if got := letters[professional]; strings.Count(got, "S-9") < 4 || !strings.Contains(got, secret) || strings.Contains(got, "S-1") || strings.Contains(got, hide("S-9")) ||
		!strings.Contains(got, "Restricted: you alone are told.") || !strings.Contains(got, "A-S-9-3") {
		t.Errorf("the desk got\n%s", got)
	}
	quiet := func(when string, words ...string) {
		t.Helper()
		for to, text := range letters {
			if to != professional {
				silent(t, when+", the mail to "+to, text, words...)
			}
		}
		for _, team := range []string{"vawg.hackney", "lead.central-east", "vawg.specialist", "sexual.offences"} {
			silent(t, when+", the webhook of "+team, heard(team), words...)
		}
	}
	quiet("night 1", words...)
	silent(t, "a history", payloads.all.String(), "S-9", hide("S-9"), secret)
	for key, content := range d.artefacts(t) {
		if strings.HasPrefix(key, "taskings/cases/"+secret) || strings.HasPrefix(key, "taskings/open/"+secret) || strings.Contains(key, "/professional-standards") ||
			strings.HasPrefix(key, "audit/") {
			continue // the desk's own, and the auditor's
		}
		silent(t, key, content, "S-9", hide("S-9"), secret)
		silent(t, "a file's name", key, "S-9", hide("S-9"), secret)
	}
	report := string(read(t, d.store, first.Night.Path()+"/"+schemas.ReportFile))
	if !strings.Contains(report, "1 suspect is of restricted handling: counted, and not shown here. Nobody is told") { // the fixture's stages know no desk
		t.Error("the report says nothing of restricted suspects")
	}

	// The tasking's own workflow: nobody acknowledges, and all steps go to the desk; others find no tasking.
	env := d.env(t, TaskingWorkflowID(secret))
	issued, err := casework.Load(t.Context(), d.store, secret)
	if err != nil || issued == nil || issued.Team != teams.RestrictedDesk || issued.BCU != "" || len(issued.Specialists) > 0 {
		t.Fatalf("%+v, %v", issued, err)
	}
	env.SetStartTime(issued.Since)
	attributes := ""
	env.OnUpsertTypedSearchAttributes(mock.Anything).Return(nil).Run(func(args mock.Arguments) {
		for key, value := range args.Get(0).(temporal.SearchAttributes).GetUntypedValues() {
			attributes += fmt.Sprintf("%s=%v\n", key.GetName(), value)
		}
	})
	replies := map[string]*reply{}
	ask := func(after time.Duration, u Update[schemas.TaskingRequest, schemas.Tasking], r schemas.TaskingRequest) {
		name := u.Name + " by " + r.Team
		replies[name] = &reply{}
		env.RegisterDelayedCallback(func() { env.UpdateWorkflow(u.Name, name, replies[name], r) }, after)
	}
	details := ""
	fortnight := 14 * 24 * time.Hour
	ask(time.Minute, Acknowledge, schemas.TaskingRequest{Team: "Hackney", By: "PS Example"})
	ask(fortnight, Acknowledge, schemas.TaskingRequest{Team: teams.SpecialistDesk, By: "PS Example"})
	ask(fortnight+time.Hour, Transfer, schemas.TaskingRequest{Team: teams.RestrictedDesk, By: "PS Example", To: "Hackney", Note: "theirs"})
	ask(fortnight+2*time.Hour, Acknowledge, schemas.TaskingRequest{Team: teams.RestrictedDesk, By: "DCI Example"})
	env.RegisterDelayedCallback(func() {
		value, err := env.QueryWorkflow("__temporal_workflow_metadata")
		var shown sdkpb.WorkflowMetadata
		if err == nil {
			err = value.Get(&shown)
		}
		if details = shown.GetCurrentDetails(); err != nil || details == "" {
			t.Errorf("no details: %v", err)
		}
	}, fortnight+3*time.Hour)
	env.RegisterDelayedCallback(env.CancelWorkflow, fortnight+4*time.Hour)
	env.ExecuteWorkflow(Tasking, TaskingParams{Reference: secret})
	for name, want := range map[string]string{"acknowledge by Hackney": fault.NoSuchTasking, "acknowledge by Specialist desk": fault.NoSuchTasking,
		"transfer by Professional standards": fault.BadRequest} {
		if err := replies[name].err; !task.Is(err, want) || strings.Contains(err.Error(), "Hackney") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := replies["acknowledge by Professional standards"].err; err != nil {
		t.Error(err)
	}
	chased, err := casework.Load(t.Context(), d.store, secret)
	if want := []string{"issued", "reminded", "escalated_to_lead", "escalated_to_desk", "acknowledged"}; err != nil || !slices.Equal(kinds(chased), want) {
		t.Errorf("%q, %v", kinds(chased), err)
	}
	if got := letters[professional]; strings.Count(got, "Tasking "+secret+", Professional standards") < 3 || strings.Contains(got, "You lead the command") {
		t.Errorf("the desk got\n%s", got)
	}
	if got := heard(professional); strings.Count(got, `"subject":"`+secret) != 5 {
		t.Errorf("the desk's system heard\n%s", got)
	}
	quiet("nobody acknowledges", words...)
	silent(t, "a search attribute", attributes, "S-9", hide("S-9"), secret, "Hackney", "Barnet", "Central East")
	silent(t, "the details", details, "S-9", hide("S-9"), secret, "Hackney", "harm", "osition")
	if !strings.Contains(attributes, "HarmstackTasking=escalated") {
		t.Errorf("attributes %s", attributes)
	}

	// S-2 becomes restricted: Hackney loses the tasking and is not told why.
	d.write(t, append(append(restricted(nine()...), restricted(rape("S-2", "Hackney", "2026-06-29", 1))...), threeSuspects()[0], threeSuspects()[1], threeSuspects()[3])...)
	clear(letters)
	approve(d.night(t, "night-2", schemas.NightRequest{AsOf: asOf.AddDays(1)}))
	if got := d.tasked(t)["S-2"]; got != "stood_down Hackney, stood_down: not on the approved stack any more" {
		t.Error(got)
	}
	quiet("night 2", append(words, hide("restricted\x00S-2"), "S-2")...)
	if !strings.Contains(letters["vawg.hackney"], hide("S-2")+" (was ") || !strings.Contains(letters[professional], hide("restricted\x00S-2")) {
		t.Error("S-2 did not go from Hackney to the desk")
	}

	// S-9 is restricted no longer: a tasking like any other.
	d.write(t, append(nine(), threeSuspects()...)...)
	approve(d.night(t, "night-3", schemas.NightRequest{AsOf: asOf.AddDays(2)}))
	if c, err := casework.Load(t.Context(), d.store, hide("S-9")); err != nil || c == nil || c.Team != "Hackney" || c.State != schemas.TaskingIssued {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err := casework.Load(t.Context(), d.store, secret); err != nil || c.OnStack || c.State != schemas.TaskingStoodDown {
		t.Errorf("%+v, %v", c, err)
	}
	entries, err := ledger.Read(t.Context(), d.store)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Team != teams.RestrictedDesk {
			silent(t, "the ledger", fmt.Sprint(e), secret, "S-9")
		}
	}
}

func kinds(t *schemas.Tasking) (list []string) {
	for _, e := range t.Events {
		list = append(list, e.Kind)
	}
	return list
}

// Without a desk nobody is told, of what becomes restricted later neither, and a tasking that there is stays the desk's.
func TestNoDeskForTheRestricted(t *testing.T) {
	d := newDeployment(t, append(restricted(rape("S-9", "Hackney", "2026-06-30", 1)), threeSuspects()...)...)
	letters := d.collect()
	first := d.night(t, "night-1", schemas.NightRequest{AsOf: asOf})
	d.declare(t, "restricted: {mail", "# restricted: {mail")
	if got := d.approve(t, first).Tasking; got != (TaskingCount{Sent: 33}) {
		t.Errorf("%+v", got)
	}
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet)
	activities := suite.NewTestActivityEnvironment()
	activities.RegisterActivity(d.acts.Tasking.Plan)
	var plan tasking.PlanResult
	value, err := activities.ExecuteActivity(d.acts.Tasking.Plan, tasking.PlanParams{Manifest: *first.Manifest})
	if err == nil {
		err = value.Get(&plan)
	}
	if err != nil || plan.Untold != 1 {
		t.Errorf("%+v, %v", plan, err)
	}
	secret := d.acts.Tasking.Pseudonym("restricted\x00S-9")
	for to, text := range letters {
		silent(t, "the mail to "+to, text, "S-9", secret, d.acts.Tasking.Pseudonym("S-9"))
	}
	if keys := d.keys(t, "taskings/cases/"); len(keys) != 3 {
		t.Errorf("%d taskings", len(keys))
	}
	// The desk is named, and taken out of the file again.
	d.declare(t, "cadence: nightly", "cadence: nightly # as ever")
	d.approve(t, d.night(t, "night-2", schemas.NightRequest{AsOf: asOf.AddDays(1)}))
	d.declare(t, "restricted: {mail", "# restricted: {mail")
	d.approve(t, d.night(t, "night-3", schemas.NightRequest{AsOf: asOf.AddDays(2)}))
	if c, err := casework.Load(t.Context(), d.store, secret); err != nil || c == nil || !c.OnStack || c.Version != 1 {
		t.Errorf("%+v, %v", c, err)
	}
	files, err := filepath.Glob(filepath.Join(d.outbox, "*.eml"))
	if err != nil || len(files) == 0 {
		t.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), secret) && !strings.Contains(string(data), professional) {
			t.Errorf("%s names the tasking", file)
		}
	}
}
