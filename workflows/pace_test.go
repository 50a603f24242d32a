package workflows

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/temporal"

	"harmstack/activities/casework"
	"harmstack/activities/casework/teams"
	"harmstack/activities/messages/digest"
	"harmstack/activities/tasking"
	"harmstack/schemas"
	"harmstack/schemas/reference"
)

// declare changes the teams' file.
func (d *deployment) declare(t *testing.T, edits ...string) {
	t.Helper()
	declared := strings.NewReplacer(edits...).Replace(string(teams.Example()))
	if declared == string(teams.Example()) {
		t.Fatalf("%q is not in the file", edits[0])
	}
	d.acts.Tasking.Teams = func() (*teams.Teams, error) {
		return teams.Parse([]byte(declared), func(string) string { return "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 32)) }, reference.Default())
	}
}

// packsTo declares that packs go to the addresses of a domain, by a mailer that takes them and keeps nothing.
func (d *deployment) packsTo(t *testing.T, domain string) {
	t.Helper()
	d.declare(t, "# attachments: packs", "attachments: packs", "# attachment_domains: [met.police.uk]", "attachment_domains: ["+domain+"]")
	d.acts.Tasking.Mailer = taker{}
}

// taker is a mail server that takes everything.
type taker struct{}

func (taker) Send(context.Context, digest.Message) error { return nil }

// collect keeps all that is written to whom, by the local part of the address: subject, text, page and attachments.
func (d *deployment) collect() map[string]string {
	sent := map[string]string{}
	var lock sync.Mutex
	d.acts.Tasking.Mailer = &flaky{Mailer: d.acts.Tasking.Mailer, before: func(m digest.Message) error {
		lock.Lock()
		defer lock.Unlock()
		local, _, _ := strings.Cut(m.To[0].Address, "@")
		sent[local] += fmt.Sprintln(m.Subject, m.Text, m.HTML)
		for _, a := range append(m.Attachments, m.Packs...) {
			sent[local] += fmt.Sprintf("%s %s\n", a.Name, a.Data)
		}
		return nil
	}}
	return sent
}

// queue is one allegation of rape for each of many suspects in Camden, Q-001 reported yesterday and so first, Q-002 the
// day before, and, before them all, a second one for each of ahead.
func queue(many int, ahead ...string) (rows []schemas.Offence) {
	for i := range many {
		rows = append(rows, rape(fmt.Sprintf("Q-%03d", i+1), "Camden", asOf.AddDays(-i-1).String(), 1))
	}
	for _, suspect := range ahead {
		rows = append(rows, rape(suspect, "Barnet", asOf.String(), 1), rape(suspect, "Barnet", asOf.String(), 2))
	}
	return rows
}

// running is each tasking that is there: "Camden issued", or "gone" where the suspect is not tasked any more.
func (d *deployment) running(t *testing.T, suspects ...string) map[string]string {
	t.Helper()
	got := map[string]string{}
	for _, suspect := range suspects {
		c, err := casework.Load(t.Context(), d.store, d.acts.Tasking.Pseudonym(suspect))
		switch {
		case err != nil:
			t.Fatal(err)
		case c == nil:
		case !c.OnStack:
			got[suspect] = "gone"
		default:
			got[suspect] = fmt.Sprintf("%s %s, %s", c.Team, c.State, c.Events[len(c.Events)-1].Kind)
		}
	}
	return got
}

func (d *deployment) wants(t *testing.T, when string, want map[string]string, suspects ...string) {
	t.Helper()
	if got := d.running(t, suspects...); !maps.Equal(got, want) {
		t.Errorf("%s: %q, want %q", when, got, want)
	}
}

// The stack is 100 deep, and who is tasked stays so down to position 105. By hand: night 1 tasks. On night
// 2 one overtakes them all, so that Q-100 is 101st; on night 3 five more do: Q-099 is 105th, Q-100 106th.
func TestStandDownAfter(t *testing.T) {
	d := newDeployment(t, queue(110)...)
	d.declare(t, "# stand_down_after: 120", "stand_down_after: 105")
	letters := d.collect()
	onBail := func(rows []schemas.Offence) []schemas.Offence {
		rows[99].SuspectStatus = new("on_bail")
		return rows
	}
	first := d.night(t, "night-1", schemas.NightRequest{AsOf: asOf})
	d.approve(t, first)
	watched := []string{"Q-099", "Q-100", "Q-101", "N-1", "N-2"}
	issued := "Camden issued, issued"
	d.wants(t, "night 1", map[string]string{"Q-099": issued, "Q-100": issued}, watched...)

	d.write(t, onBail(queue(110, "N-1"))...)
	second := d.night(t, "night-2", schemas.NightRequest{AsOf: asOf.AddDays(1)})
	d.approve(t, second)
	d.wants(t, "night 2", map[string]string{"Q-099": issued, "Q-100": "Camden issued, updated", "N-1": "Barnet issued, issued"}, watched...)
	kept, err := casework.Load(t.Context(), d.store, d.acts.Tasking.Pseudonym("Q-100"))
	if err != nil || kept.Position != 101 || !slices.Equal(kept.Events[1].News, []string{"the suspect's status: on bail, was not known"}) {
		t.Errorf("%+v, %v", kept, err)
	}
	letter := letters["vawg.camden"]
	for _, want := range []string{kept.Reference + "  (below the stack)", "Not on the stack any more, and tasked still: until below position 105."} {
		if !strings.Contains(letter, want) {
			t.Errorf("no %q in\n%s", want, letter)
		}
	}
	in, err := tasking.Pack(t.Context(), d.store, kept)
	if err != nil || len(in.Suspects) != 1 || in.Suspects[0].Ranked.SuspectID != "Q-100" || in.Suspects[0].Below != 105 {
		t.Errorf("%+v, %v", in, err)
	}
	measures, err := tasking.Measure(t.Context(), d.store, asOf.Start())
	if err != nil || measures.Stack != 100 || measures.Open != 101 {
		t.Errorf("%d on the stack, %d open, %v", measures.Stack, measures.Open, err)
	}

	d.write(t, onBail(queue(110, "N-1", "N-2", "N-3", "N-4", "N-5", "N-6"))...)
	third := d.night(t, "night-3", schemas.NightRequest{AsOf: asOf.AddDays(2)})
	d.approve(t, third)
	d.wants(t, "night 3", map[string]string{"Q-099": issued, "Q-100": "gone", "N-1": "Barnet issued, issued", "N-2": "Barnet issued, issued"}, watched...)

	// Taken back, night 3 leaves everything as night 2 wanted it: Q-100 below the stack and tasked, N-2 not.
	if _, err := d.revoke(t, third.Night); err != nil {
		t.Fatal(err)
	}
	d.wants(t, "night 3 taken back", map[string]string{"Q-099": issued, "Q-100": "Camden issued, reopened", "N-1": "Barnet issued, issued", "N-2": "gone"}, watched...)
	// And night 2: Q-100 is on the stack of night 1 again.
	if _, err := d.revoke(t, second.Night); err != nil {
		t.Fatal(err)
	}
	d.wants(t, "night 2 taken back", map[string]string{"Q-099": issued, "Q-100": "Camden issued, updated", "N-1": "gone", "N-2": "gone"}, watched...)
}

// 29 June 2026 is a Monday. New taskings go out with the first approved date of a week alone, all of whose revisions do
// the same; who leaves is told with any night.
func TestWeeklyTaskings(t *testing.T) {
	d := newDeployment(t)
	d.declare(t, "cadence: nightly", "cadence: weekly")
	letters := d.collect()
	everybody := []string{"S-1", "S-2", "S-3", "S-4", "S-5"}
	issued := func(suspects ...string) map[string]string {
		want := map[string]string{}
		for _, s := range suspects {
			want[s] = "Barnet issued, issued"
		}
		return want
	}
	nth := 0
	approve := func(day string, suspects ...string) NightResult {
		t.Helper()
		rows := []schemas.Offence{rape("F", "Croydon", day, 1)} // else the source looks stale
		for _, s := range suspects {
			rows = append(rows, rape(s, "Barnet", "2026-06-20", 1))
		}
		d.write(t, rows...)
		nth++
		n := d.night(t, fmt.Sprint("night-", nth), schemas.NightRequest{AsOf: schemas.MustDate(day)})
		d.approve(t, n)
		return n
	}
	approve("2026-06-26", "S-1")
	approve("2026-06-28", "S-1", "S-2") // a Sunday: the first of its week was the 26th
	d.wants(t, "Sunday", issued("S-1"), everybody...)
	if m, err := tasking.Measure(t.Context(), d.store, asOf.Start()); err != nil || m.Stack != 3 || m.Waiting != 1 || m.Tasked != 2 {
		t.Errorf("%+v, %v", m, err)
	}
	if letter := letters["vawg.barnet"]; !strings.Contains(letter, "1 other suspect of yours on the stack is tasked with the next weekly taskings.") {
		t.Errorf("%s", letter)
	}
	approve("2026-06-30", "S-1", "S-2", "S-3") // a Tuesday: nobody approved Monday
	d.wants(t, "Tuesday", issued("S-1", "S-2", "S-3"), everybody...)
	approve("2026-06-30", "S-1", "S-2", "S-3", "S-4") // its next revision
	d.wants(t, "Tuesday, r2", issued("S-1", "S-2", "S-3", "S-4"), everybody...)
	approve("2026-07-01", "S-2", "S-3", "S-4", "S-5")
	want := issued("S-2", "S-3", "S-4")
	want["S-1"] = "gone"
	d.wants(t, "Wednesday", want, everybody...)
	last := approve("2026-07-02", "S-1", "S-2", "S-3", "S-4", "S-5")
	d.wants(t, "Thursday, S-1 is back on the stack and waits too", want, everybody...)
	if _, err := d.revoke(t, last.Night); err != nil {
		t.Fatal(err)
	}
	d.wants(t, "Thursday taken back", want, everybody...)
	next := approve("2026-07-07", "S-1", "S-2", "S-5")
	want = map[string]string{"S-1": "Barnet issued, reopened", "S-2": "Barnet issued, issued", "S-3": "gone", "S-4": "gone", "S-5": "Barnet issued, issued"}
	d.wants(t, "the Tuesday after", want, everybody...)
	// The night that issued them is taken back: they go, and the next one issues.
	if _, err := d.revoke(t, next.Night); err != nil {
		t.Fatal(err)
	}
	want = map[string]string{"S-1": "gone", "S-2": "Barnet issued, issued", "S-3": "Barnet issued, reopened", "S-4": "Barnet issued, reopened", "S-5": "gone"}
	d.wants(t, "it is taken back", want, everybody...)
	approve("2026-07-08", "S-2", "S-5")
	want = map[string]string{"S-1": "gone", "S-2": "Barnet issued, issued", "S-3": "gone", "S-4": "gone", "S-5": "Barnet issued, reopened"}
	d.wants(t, "Wednesday is the first then", want, everybody...)
}

// The tasking of somebody in custody waits: nobody is chased for a month. From the morning of the release the clock
// runs, and it stops at the next arrest.
func TestReleaseWatch(t *testing.T) {
	d := newDeployment(t)
	day := func(date string, hour int) time.Time {
		return schemas.MustDate(date).Start().Add(time.Duration(hour) * time.Hour)
	}
	env := d.env(t, TaskingWorkflowID(lifeReference))
	env.SetStartTime(day("2026-06-01", 9))
	attributes := []string{}
	env.OnUpsertTypedSearchAttributes(mock.Anything).Return(nil).Run(func(args mock.Arguments) {
		due := "no deadline"
		if at, ok := args.Get(0).(temporal.SearchAttributes).GetTime(AttributeDue); ok {
			due = at.In(schemas.London).Format("Mon 15:04")
		}
		attributes = append(attributes, due)
	})
	var replies []*reply
	order := func(date, order string) {
		at, r := day(date, 9), &reply{}
		o := d.ordered(t, at, schemas.NightID{AsOf: schemas.MustDate(date).AddDays(-1), Revision: 1}, order)
		replies = append(replies, r)
		env.RegisterDelayedCallback(func() { env.UpdateWorkflow(Order.Name, "night-"+date, r, o) }, at.Sub(day("2026-06-01", 9)))
	}
	const facts = `"on_stack": true, "owner": "Hackney", "position": 7, "allegations": ["a1"], "facts": {"allegations": 1, "status": `
	order("2026-06-01", facts+`"in_custody"}, "release_watch": true`)
	order("2026-07-06", facts+`"on_bail"}`)
	order("2026-07-07", facts+`"in_custody"}, "release_watch": true`)
	order("2026-08-03", `"on_stack": false, "reason": "others rank higher now"`)
	env.ExecuteWorkflow(Tasking, TaskingParams{Reference: lifeReference})
	for i, r := range replies {
		if !r.done || r.err != nil {
			t.Errorf("order %d: %+v", i, r)
		}
	}
	c, err := casework.Load(t.Context(), d.store, lifeReference)
	if err != nil || env.GetWorkflowError() != nil {
		t.Fatal(err, env.GetWorkflowError())
	}
	// From Monday 9:00 the team has 4 working hours to the reminder and 8 to the lead.
	want := []string{"Mon 09:00 issued", "Mon 09:00 released", "Mon 13:00 reminded", "Mon 17:00 escalated_to_lead", "Tue 09:00 contained", "Mon 09:00 stood_down"}
	if got := story(c); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if want := []string{"no deadline", "Mon 17:00", "Mon 17:00", "Mon 17:00", "no deadline", "no deadline"}; !slices.Equal(attributes[len(attributes)-len(want):], want) {
		t.Errorf("the deadline to search for: %q", attributes)
	}
	if got := d.addressees(t); !slices.Equal(got, []string{"central-east-lead", "hackney"}) {
		t.Errorf("%q were written to", got)
	}
}

// What the nights order of those in custody, and what the team reads.
func TestNightsOfAReleaseWatch(t *testing.T) {
	d := newDeployment(t)
	letters := d.collect()
	state := func(n int, status string) (*schemas.Tasking, string) {
		t.Helper()
		rows := threeSuspects()
		rows[2].SuspectStatus = &status // S-2 in Hackney
		d.write(t, rows...)
		clear(letters)
		d.approve(t, d.night(t, fmt.Sprint("night-", n), schemas.NightRequest{AsOf: asOf.AddDays(n)}))
		c, err := casework.Load(t.Context(), d.store, d.acts.Tasking.Pseudonym("S-2"))
		if err != nil || c == nil {
			t.Fatal(err)
		}
		return c, letters["hackney"]
	}
	c, letter := state(0, "in_custody")
	if _, due := c.Due(); due || c.State != schemas.TaskingIssued || !c.Watch || !strings.Contains(letter, "Issued: a release watch, without a deadline while in custody") {
		t.Errorf("%+v\n%s", c, letter)
	}
	c, letter = state(1, "on_bail")
	due, ok := c.Due()
	if !ok || c.State != schemas.TaskingIssued || c.Watch || !strings.Contains(letter, c.Reference+"  (released)") ||
		!strings.Contains(letter, "the suspect's status: on bail, was in custody") || !strings.Contains(letter, due.In(schemas.London).Format("15:04")) {
		t.Errorf("%+v\n%s", c, letter)
	}
	c, letter = state(2, "in_custody")
	if _, due := c.Due(); due || !c.Watch || !strings.Contains(letter, "the suspect's status: in custody, was on bail") {
		t.Errorf("%+v\n%s", c, letter)
	}
}

// Whoever was to get a tasking with the week's new ones, and did not because the order failed, gets it with the next
// night on whose stack they are.
func TestOwedTasking(t *testing.T) {
	d := newDeployment(t, threeSuspects()...)
	d.declare(t, "cadence: nightly", "cadence: weekly")
	send := d.acts.Tasking.SendOrder
	unlucky := d.acts.Tasking.Pseudonym("S-3")
	d.acts.Tasking.SendOrder = func(ctx context.Context, o schemas.TaskingOrder) error {
		if o.Reference == unlucky {
			return errors.New("its workflow is away")
		}
		return send(ctx, o)
	}
	d.approve(t, d.night(t, "night-1", schemas.NightRequest{AsOf: asOf}))
	d.wants(t, "Tuesday", map[string]string{"S-1": "Hackney issued, issued", "S-2": "Hackney issued, issued"}, "S-1", "S-2", "S-3", "S-4")
	d.acts.Tasking.SendOrder = send
	d.write(t, append(threeSuspects(), rape("S-4", "Camden", "2026-06-30", 1))...)
	d.approve(t, d.night(t, "night-2", schemas.NightRequest{AsOf: asOf.AddDays(1)}))
	want := map[string]string{"S-1": "Hackney issued, issued", "S-2": "Hackney issued, issued", "S-3": "Barnet issued, issued"}
	d.wants(t, "Wednesday", want, "S-1", "S-2", "S-3", "S-4")
	// Once it is there it is owed no more: who leaves and comes back waits.
	d.write(t, threeSuspects()[:3]...)
	d.approve(t, d.night(t, "night-3", schemas.NightRequest{AsOf: asOf.AddDays(2)}))
	d.write(t, threeSuspects()...)
	d.approve(t, d.night(t, "night-4", schemas.NightRequest{AsOf: asOf.AddDays(3)}))
	want["S-3"] = "gone"
	d.wants(t, "Friday", want, "S-1", "S-2", "S-3", "S-4")
}
