package workflows

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"harmstack/activities/casework"
	"harmstack/activities/casework/teams"
	"harmstack/activities/messages/ledger"
	"harmstack/activities/task"
	"harmstack/activities/tasking"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/schemas/reference"
)

const lifeReference = "k7qd-2m4x-9w3t-c5hn"

// ordered writes a plan with one order, made at a time, as a night would.
func (d *deployment) ordered(t *testing.T, at time.Time, night schemas.NightID, order string) schemas.TaskingOrder {
	t.Helper()
	plan := fmt.Sprintf(`{"at": %q, "orders": [{"reference": %q, "night": {"as_of": %q, "revision": %d}, %s}]}`,
		at.Format(time.RFC3339), lifeReference, night.AsOf, night.Revision, order)
	o := schemas.TaskingOrder{Night: night, Team: "Hackney", Reference: lifeReference}
	if err := d.store.Replace(t.Context(), "taskings/plans/"+night.String()+"/hackney.json", []byte(plan)); err != nil {
		t.Fatal(err)
	}
	return o
}

// reply is the answer to an update of a tasking.
type reply struct {
	done, rejected bool
	err            error
}

func (r *reply) Accept()                 {}
func (r *reply) Reject(err error)        { r.done, r.rejected, r.err = true, true, err }
func (r *reply) Complete(_ any, e error) { r.done, r.err = true, e }

// life runs a tasking that is issued on a Friday at 17:00 until it is stood down twelve days later, with what
// the people do in between.
func (d *deployment) life(t *testing.T, people func(env *testsuite.TestWorkflowEnvironment, at func(string, func()))) *schemas.Tasking {
	t.Helper()
	friday := time.Date(2026, 7, 3, 17, 0, 0, 0, schemas.London)
	first := d.ordered(t, friday, schemas.NightID{AsOf: schemas.MustDate("2026-07-02"), Revision: 1},
		`"on_stack": true, "owner": "Hackney", "position": 7, "facts": {"allegations": 1, "reports": 1, "victims": 1, "harm_days": 1825}, "allegations": ["a1"]`)
	last := d.ordered(t, friday.AddDate(0, 0, 12), schemas.NightID{AsOf: schemas.MustDate("2026-07-14"), Revision: 1}, `"on_stack": false, "reason": "others rank higher now"`)
	env := d.env(t, TaskingWorkflowID(lifeReference))
	env.SetStartTime(friday)
	at := func(when string, do func()) {
		moment, err := time.ParseInLocation("2006-01-02 15:04", when, schemas.London)
		if err != nil {
			t.Fatal(err)
		}
		env.RegisterDelayedCallback(do, moment.Sub(friday))
	}
	issued, down := &reply{}, &reply{}
	env.RegisterDelayedCallback(func() { env.UpdateWorkflow(Order.Name, "night-1", issued, first) }, 0)
	people(env, at)
	at("2026-07-15 17:00", func() { env.UpdateWorkflow(Order.Name, "night-2", down, last) })
	env.ExecuteWorkflow(Tasking, TaskingParams{Reference: lifeReference})
	if !env.IsWorkflowCompleted() || env.GetWorkflowError() != nil || issued.err != nil || down.err != nil {
		t.Fatal(env.GetWorkflowError(), issued.err, down.err)
	}
	tasking, err := casework.Load(t.Context(), d.store, lifeReference)
	if err != nil || tasking == nil {
		t.Fatal(err)
	}
	return tasking
}

// story is what happened to a tasking and when, in London.
func story(t *schemas.Tasking) (lines []string) {
	for _, e := range t.Events {
		lines = append(lines, e.At.In(schemas.London).Format("Mon 15:04 ")+e.Kind)
	}
	return lines
}

// addressees are the local parts of those who got a mail, in order.
func (d *deployment) addressees(t *testing.T) (to []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(d.outbox, "*.eml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		m, err := mail.ReadMessage(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		local, _, _ := strings.Cut(strings.Trim(m.Header.Get("To"), "<>"), "@")
		to = append(to, local)
	}
	slices.Sort(to)
	return to
}

// Hours count from Monday to Friday, from 8 to 18: a tasking of Friday at 17:00 is reminded of on Monday.
func TestNobodyAnswers(t *testing.T) {
	d := newDeployment(t)
	var states []string
	early, late := &reply{}, &reply{}
	tasking := d.life(t, func(env *testsuite.TestWorkflowEnvironment, at func(string, func())) {
		for _, when := range []string{"2026-07-06 10:59", "2026-07-06 11:01", "2026-07-06 15:01", "2026-07-07 13:01"} {
			at(when, func() {
				value, err := env.QueryWorkflow(TaskingState.Name)
				var now schemas.Tasking
				if err == nil {
					err = value.Get(&now)
				}
				if err != nil {
					t.Error(err)
				}
				states = append(states, fmt.Sprintf("%s, %d steps", now.State, now.Chased))
			})
		}
		desk := schemas.TaskingRequest{Team: "Specialist desk", By: "DS Example"}
		at("2026-07-06 15:02", func() { env.UpdateWorkflow(Acknowledge.Name, "early", early, desk) })
		at("2026-07-08 09:00", func() { env.UpdateWorkflow(Acknowledge.Name, "late", late, desk) })
	})
	if want := []string{"issued, 0 steps", "issued, 1 steps", "escalated, 2 steps", "escalated, 3 steps"}; !slices.Equal(states, want) {
		t.Errorf("%q", states)
	}
	if want := []string{"Fri 17:00 issued", "Mon 11:00 reminded", "Mon 15:00 escalated_to_lead", "Tue 13:00 escalated_to_desk", "Wed 09:00 acknowledged", "Wed 17:00 stood_down"}; !slices.Equal(story(tasking), want) {
		t.Errorf("%q", story(tasking))
	}
	if !task.Is(early.err, fault.OtherTeam) || late.err != nil {
		t.Errorf("the desk, before and after it was told: %v, %v", early.err, late.err)
	}
	if got := d.addressees(t); !slices.Equal(got, []string{"central-east-lead", "hackney", "specialist-desk"}) {
		t.Errorf("%q were written to", got)
	}
	entries, err := ledger.Read(t.Context(), d.store)
	if err != nil || len(entries) != 3 {
		t.Errorf("%+v, %v", entries, err)
	}
}

func TestTeamAnswers(t *testing.T) {
	d := newDeployment(t)
	replies := make([]*reply, 4)
	tasking := d.life(t, func(env *testsuite.TestWorkflowEnvironment, at func(string, func())) {
		for i, c := range []struct {
			when   string
			update Update[schemas.TaskingRequest, schemas.Tasking]
			r      schemas.TaskingRequest
		}{
			{"2026-07-06 09:00", Transfer, schemas.TaskingRequest{Team: "Hackney", By: "PS Example", To: "Barnet", Note: "moved"}},
			{"2026-07-06 10:00", Acknowledge, schemas.TaskingRequest{Team: "Barnet", By: "PS Other"}},
			{"2026-07-07 10:00", Report, schemas.TaskingRequest{Team: "Barnet", By: "PS Other", Note: "arrest planned"}},
			{"2026-07-09 10:00", Close, schemas.TaskingRequest{Team: "Barnet", By: "PS Other", Outcome: "remanded"}},
		} {
			replies[i] = &reply{}
			at(c.when, func() { env.UpdateWorkflow(c.update.Name, fmt.Sprint("u", i), replies[i], c.r) })
		}
	})
	for i, r := range replies {
		if r.err != nil {
			t.Errorf("answer %d: %v", i, r.err)
		}
	}
	if want := []string{"Fri 17:00 issued", "Mon 09:00 transferred", "Mon 10:00 acknowledged", "Tue 10:00 progress", "Thu 10:00 closed", "Wed 17:00 left"}; !slices.Equal(story(tasking), want) {
		t.Errorf("%q", story(tasking))
	}
	if tasking.State != schemas.TaskingClosed || tasking.Outcome != "remanded" || tasking.OnStack || tasking.Team != "Barnet" || tasking.BCU != "North West" {
		t.Errorf("%+v", tasking)
	}
	if got := d.addressees(t); !slices.Equal(got, []string{"barnet", "hackney"}) {
		t.Errorf("%q were written to", got)
	}
}

// What a tasking as it stands does not allow leaves no trace in its history; the same answer again is no other one.
func TestRefusedAnswers(t *testing.T) {
	d := newDeployment(t)
	replies := map[string]*reply{}
	tasking := d.life(t, func(env *testsuite.TestWorkflowEnvironment, at func(string, func())) {
		hackney, barnet := schemas.TaskingRequest{Team: "hackney ", By: "PS Example", Outcome: "charged"}, schemas.TaskingRequest{Team: "Barnet", By: "PS Other"}
		answer := func(when, id string, u Update[schemas.TaskingRequest, schemas.Tasking], r schemas.TaskingRequest) {
			name := id + " at " + when
			replies[name] = &reply{}
			at("2026-07-06 "+when, func() { env.UpdateWorkflow(u.Name, id, replies[name], r) })
		}
		answer("09:00", "barnet", Acknowledge, barnet)
		answer("09:01", "early", Close, hackney)
		answer("09:02", "ack", Acknowledge, hackney)
		answer("09:02", "at once", Close, hackney) // the acknowledgement is on its way: it waits its turn
		answer("09:03", "ack", Acknowledge, hackney)
		answer("09:04", "again", Acknowledge, hackney)
		long := hackney
		long.Note = strings.Repeat("é", schemas.MaxNote+1)
		answer("09:05", "long", Close, long)
	})
	for name, want := range map[string]string{"barnet at 09:00": fault.OtherTeam, "early at 09:01": fault.WrongState, "again at 09:04": fault.WrongState,
		"long at 09:05": fault.BadRequest} {
		if r := replies[name]; !r.rejected || !task.Is(r.err, want) {
			t.Errorf("%s: %+v", name, r)
		}
	}
	for _, name := range []string{"ack at 09:02", "at once at 09:02", "ack at 09:03"} {
		if r := replies[name]; !r.done || r.err != nil {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if want := []string{"Fri 17:00 issued", "Mon 09:02 acknowledged", "Mon 09:02 closed", "Wed 17:00 left"}; !slices.Equal(story(tasking), want) {
		t.Errorf("%q", story(tasking))
	}
}

// A mail server that is away keeps nobody from answering, and the message is sent when it is back.
func TestAnswersWhileTheMailIsAway(t *testing.T) {
	d := newDeployment(t)
	mailer := &flaky{Mailer: d.acts.Tasking.Mailer}
	d.acts.Tasking.Mailer = mailer
	acknowledged := &reply{}
	tasking := d.life(t, func(env *testsuite.TestWorkflowEnvironment, at func(string, func())) {
		mailer.before = away(env.Now, time.Date(2026, 7, 6, 11, 15, 0, 0, schemas.London))
		at("2026-07-06 11:05", func() {
			env.UpdateWorkflow(Acknowledge.Name, "u1", acknowledged, schemas.TaskingRequest{Team: "Hackney", By: "PS Example"})
		})
		at("2026-07-06 11:06", func() {
			if !acknowledged.done || len(d.addressees(t)) > 0 {
				t.Error("the answer waits for the mail, or the mail was not away")
			}
		})
	})
	if acknowledged.err != nil || !slices.Contains(story(tasking), "Mon 11:05 acknowledged") {
		t.Errorf("%v, %q", acknowledged.err, story(tasking))
	}
	if got := d.addressees(t); !slices.Equal(got, []string{"hackney"}) {
		t.Errorf("%q were written to", got)
	}
}

// A team's own system is told of every event, signed, once each, however often it fails.
func TestWebhookIsToldOfEverything(t *testing.T) {
	var mu sync.Mutex
	tries, got := map[string]int{}, map[string]string{}
	system := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		id := r.Header.Get("webhook-id")
		if tries[id]++; tries[id] == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		var body struct {
			Type string `json:"type"`
			Data struct {
				State string `json:"state"`
				Due   string `json:"due"`
			} `json:"data"`
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		got[id] = strings.TrimSpace(strings.TrimPrefix(body.Type, "harmstack.tasking.") + ": " + body.Data.State + " " + body.Data.Due)
	}))
	defer system.Close()
	d := newDeployment(t)
	const hackney = `  Hackney: {mail: ["Hackney VAWG <vawg.hackney@example.police.uk>"]`
	declared := strings.Replace(string(teams.Example()), hackney, hackney+`, webhook: {url: "`+system.URL+`", secret_env: HOOK}`, 1)
	d.acts.Tasking.Teams = func() (*teams.Teams, error) {
		return teams.Parse([]byte(declared), func(string) string { return "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 32)) }, reference.Default())
	}
	tasking := d.life(t, func(*testsuite.TestWorkflowEnvironment, func(string, func())) {})
	if want := []string{"escalated_to_desk: escalated 2026-07-06T14:00:00Z", "escalated_to_lead: escalated 2026-07-06T14:00:00Z", "issued: issued 2026-07-06T14:00:00Z",
		"reminded: issued 2026-07-06T14:00:00Z", "stood_down: stood_down"}; !slices.Equal(slices.Sorted(maps.Values(got)), want) {
		t.Errorf("%q", slices.Sorted(maps.Values(got)))
	}
	entries, err := ledger.Read(t.Context(), d.store)
	if err != nil || len(entries) != 3+len(tasking.Events) {
		t.Errorf("%d entries, %v", len(entries), err)
	}
	for _, e := range entries {
		if e.State != ledger.Sent || e.Channel == ledger.Webhook && tries[e.ID] != 2 {
			t.Errorf("%+v after %d tries", e, tries[e.ID])
		}
	}
}

// People in a channel of Slack hear of the tasking's pseudonym and find the desk by a link, and hear nothing else.
func TestAChannelIsTold(t *testing.T) {
	var mu sync.Mutex
	var got []string
	system := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		var body struct{ Text string }
		data, err := io.ReadAll(r.Body)
		if err := errors.Join(err, json.Unmarshal(data, &body)); err != nil {
			t.Error(err)
		}
		if all := string(data); !strings.Contains(all, "https://desk.example/taskings/"+lifeReference+"|") ||
			strings.Contains(all, "Hackney") || strings.Contains(all, "allegations") || r.Header.Get("webhook-signature") != "" {
			t.Errorf("%v: %s", r.Header, data)
		}
		got = append(got, body.Text)
	}))
	defer system.Close()
	d := newDeployment(t)
	const hackney = `  Hackney: {mail: ["Hackney VAWG <vawg.hackney@example.police.uk>"]`
	declared := strings.Replace(string(teams.Example()), hackney, hackney+`, webhook: {url: "`+system.URL+`", format: slack}`, 1)
	d.acts.Tasking.Desk = "https://desk.example"
	d.acts.Tasking.Teams = func() (*teams.Teams, error) { return teams.Parse([]byte(declared), nil, reference.Default()) }
	d.life(t, func(*testsuite.TestWorkflowEnvironment, func(string, func())) {})
	about := "Tasking " + lifeReference
	want := []string{about + " still waits to be acknowledged.", about + " still waits to be acknowledged.", about + " still waits to be acknowledged.",
		about + " waits to be acknowledged.", "There is news of tasking " + lifeReference + "."}
	slices.Sort(got)
	if slices.Sort(want); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// A long life goes on in a new run, which carries over what the tasking is.
func TestLongLifeContinues(t *testing.T) {
	d := newDeployment(t)
	friday := time.Date(2026, 7, 3, 17, 0, 0, 0, schemas.London)
	first := d.ordered(t, friday, schemas.NightID{AsOf: schemas.MustDate("2026-07-02"), Revision: 1},
		`"on_stack": true, "owner": "Hackney", "position": 7, "facts": {"allegations": 1}, "allegations": ["a1"]`)
	env := d.env(t, TaskingWorkflowID(lifeReference))
	env.SetStartTime(friday)
	issued, acknowledged := &reply{}, &reply{}
	env.RegisterDelayedCallback(func() { env.UpdateWorkflow(Order.Name, "night-1", issued, first) }, 0)
	env.RegisterDelayedCallback(func() {
		env.SetContinueAsNewSuggested(true)
		env.UpdateWorkflow(Acknowledge.Name, "u1", acknowledged, schemas.TaskingRequest{Team: "Hackney", By: "PS Example"})
	}, time.Hour)
	env.ExecuteWorkflow(Tasking, TaskingParams{Reference: lifeReference})
	var next *workflow.ContinueAsNewError
	if !errors.As(env.GetWorkflowError(), &next) || acknowledged.err != nil || !acknowledged.done {
		t.Fatal(env.GetWorkflowError(), acknowledged)
	}
	var params TaskingParams
	if err := converter.GetDefaultDataConverter().FromPayloads(next.Input, &params); err != nil {
		t.Fatal(err)
	}
	if params.Reference != lifeReference || params.CarriedOver == nil || params.CarriedOver.State != schemas.TaskingAcknowledged || params.CarriedOver.Version != 2 {
		t.Errorf("%+v", params)
	}
	// The new run goes on where the old one was.
	second := d.env(t, TaskingWorkflowID(lifeReference))
	second.SetStartTime(friday.AddDate(0, 0, 1))
	closing, down := &reply{}, &reply{}
	last := d.ordered(t, friday.AddDate(0, 0, 12), schemas.NightID{AsOf: schemas.MustDate("2026-07-14"), Revision: 1}, `"on_stack": false, "reason": "others rank higher now"`)
	second.RegisterDelayedCallback(func() {
		second.UpdateWorkflow(Close.Name, "u2", closing, schemas.TaskingRequest{Team: "Hackney", By: "PS Example", Outcome: "charged"})
	}, time.Hour)
	second.RegisterDelayedCallback(func() { second.UpdateWorkflow(Order.Name, "night-2", down, last) }, 2*time.Hour)
	second.ExecuteWorkflow(Tasking, params)
	if second.GetWorkflowError() != nil || closing.err != nil || down.err != nil {
		t.Error(second.GetWorkflowError(), closing.err, down.err)
	}
}

// A worker that dies between a step of the chase and its record leaves an event that nobody was told of. If the
// team's answer comes first then, the step is told all the same.
func TestStepOfADeadWorkerIsTold(t *testing.T) {
	d := newDeployment(t)
	acknowledged := &reply{}
	tasking := d.life(t, func(env *testsuite.TestWorkflowEnvironment, at func(string, func())) {
		at("2026-07-06 10:59", func() {
			// What the dead worker did, a moment before it was due by this one's clock.
			_, err := d.acts.Tasking.Apply(context.Background(), tasking.ApplyParams{Reference: lifeReference, Key: "chase-2", Known: 1, Chase: true,
				At: time.Date(2026, 7, 6, 11, 0, 0, 0, schemas.London)})
			if err != nil {
				t.Error(err)
			}
			env.UpdateWorkflow(Acknowledge.Name, "u1", acknowledged, schemas.TaskingRequest{Team: "Hackney", By: "PS Example"})
		})
	})
	if acknowledged.err != nil || len(tasking.Events) != 4 || tasking.Events[1].Kind != schemas.EventReminded {
		t.Errorf("%v, %q", acknowledged.err, story(tasking))
	}
	if got := d.addressees(t); !slices.Equal(got, []string{"hackney"}) {
		t.Errorf("%q were written to", got)
	}
}

// A worker that dies in the first task of a tasking may have issued and reminded already: the next one finds
// it so, and tells.
func TestFirstTaskOfADeadWorkerIsTold(t *testing.T) {
	d := newDeployment(t)
	tasking := d.life(t, func(env *testsuite.TestWorkflowEnvironment, at func(string, func())) {
		friday := time.Date(2026, 7, 3, 17, 0, 0, 0, schemas.London)
		order := schemas.TaskingOrder{Night: schemas.NightID{AsOf: schemas.MustDate("2026-07-02"), Revision: 1}, Team: "Hackney", Reference: lifeReference}
		for _, p := range []tasking.ApplyParams{{Order: &order, Key: "night-1", At: friday}, {Chase: true, Key: "chase-2", At: friday.Add(70 * time.Hour)}} {
			p.Reference = lifeReference
			if _, err := d.acts.Tasking.Apply(context.Background(), p); err != nil {
				t.Error(err)
			}
		}
		at("2026-07-06 11:30", func() {
			env.UpdateWorkflow(Acknowledge.Name, "u1", &reply{}, schemas.TaskingRequest{Team: "Hackney", By: "PS Example"})
		})
	})
	if len(tasking.Events) != 4 || tasking.Events[1].Kind != schemas.EventReminded || tasking.Events[2].Kind != schemas.EventAcknowledged {
		t.Errorf("%q", story(tasking))
	}
	if got := d.addressees(t); !slices.Equal(got, []string{"hackney"}) {
		t.Errorf("%q were written to", got)
	}
}
