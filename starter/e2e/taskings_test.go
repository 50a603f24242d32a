package e2e

import (
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/parquet-go/parquet-go"
	"go.temporal.io/sdk/client"

	"harmstack/activities/casework"
	"harmstack/activities/casework/pseudonym"
	"harmstack/activities/casework/teams"
	"harmstack/activities/messages/ledger"
	"harmstack/activities/nights"
	"harmstack/activities/task"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/schemas/reference"
	"harmstack/schemas/sweep"
	"harmstack/workflows"
)

// hasty gives teams seconds, not hours, to acknowledge.
func hasty(t *testing.T, d *deployment) {
	t.Helper()
	text := string(teams.Example())
	from, to := strings.Index(text, "\nhours:"), strings.Index(text, "\n# The 32 borough")
	text = text[:from] + "\nhours: {every_hour: true}\ndeadlines: {remind: 1s, lead: 1500ms, desk: 2s}\n" + text[to:]
	if err := os.WriteFile(filepath.Join(d.dir, "teams.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// changing is the extract of the i-th night: 130 suspects for a stack of 100, some of whom come late, are
// cleared, age out, are charged, become victims, or turn up in another borough.
func changing(night int) (rows []schemas.Offence) {
	boroughs := []string{"Hackney", "Barnet", "Camden", "Kent", "Croydon"}
	// A report of the night itself, which names nobody: without one the export would look late.
	fresh := new(asOf.AddDays(night).Start().UnixMicro())
	rows = append(rows, schemas.Offence{AllegationID: new("marked-a-fresh"), ReportID: new("marked-r-fresh"), OffenceCode: new("019/08"), OffenceClass: new("19C"),
		ReportedAt: fresh, UpdatedAt: fresh, VictimSex: new("F"), Source: new("victim"), Outcome: new("open")})
	for s := range 130 {
		if s%13 == 0 && night < s/13 {
			continue // not reported yet
		}
		for n := range 1 + s%4 {
			age := s%90 + 20*n // on the first night
			if s%11 == 0 {
				age = 364 - s%8 // out of the window soon
			}
			at := new(asOf.Start().Add(-time.Duration(age)*24*time.Hour + 12*time.Hour).UnixMicro())
			o := schemas.Offence{
				AllegationID: new(fmt.Sprintf("marked-a-%d-%d", s, n)), ReportID: new(fmt.Sprintf("marked-r-%d-%d", s, n)),
				SuspectID: new(fmt.Sprintf("marked-s-%d", s)), OffenceCode: new("019/08"), OffenceClass: new("19C"),
				ReportedAt: at, UpdatedAt: at, Borough: &boroughs[s%5], VictimID: new(fmt.Sprintf("marked-v-%d", n)), VictimSex: new("F"),
				Source: new("victim"), Outcome: new("open"), SuspectStatus: new("at_large"),
			}
			if s%7 == 0 && night >= 3+s%9 {
				o.Outcome = new("no_crime")
			}
			if s%5 == 0 && night >= 4 && n == 0 {
				o.SuspectStatus, o.Outcome = new("on_bail"), new("charged")
			}
			rows = append(rows, o)
		}
		if s%17 == 0 && night >= 2 { // a new allegation elsewhere, which outweighs the others
			at := new(asOf.AddDays(2).Start().Add(time.Hour).UnixMicro())
			for n := range 4 {
				rows = append(rows, schemas.Offence{
					AllegationID: new(fmt.Sprintf("marked-a-%d-new-%d", s, n)), ReportID: new(fmt.Sprintf("marked-r-%d-new", s)),
					SuspectID: new(fmt.Sprintf("marked-s-%d", s)), OffenceCode: new("019/08"), OffenceClass: new("19C"), ReportedAt: at, UpdatedAt: at,
					Borough: &boroughs[(s+1)%5], VictimID: new("marked-v-9"), VictimSex: new("F"), Source: new("victim"), Outcome: new("open"),
				})
			}
		}
	}
	return rows
}

// weather is how many nights the test below simulates, and how often it kills the worker.
func weather() (count, kills int) {
	if sweep.Whole() {
		return 30, 50
	}
	return 3, 2
}

// Nights with a changing stack: every entrant is tasked once, every leaver stood down once, every message in the sink
// stands in the ledger, although the worker is killed at random, a mail server refuses half of what it is offered and
// nights are run twice. The whole sweep has calm nights as well, which come to the same.
func TestManyNights(t *testing.T) {
	t.Parallel()
	count, kills := weather()
	var calm, rough map[string]*schemas.Tasking
	t.Run("both", func(t *testing.T) {
		if sweep.Whole() {
			t.Run("calm", func(t *testing.T) {
				t.Parallel()
				d := deploy(t, changing(0), "")
				hasty(t, d)
				for i := range count {
					d.wholeNight(i)
				}
				calm = d.settled()
				d.checkMembership(calm, count)
				d.checkMessages(calm, count)
			})
		}
		t.Run("rough", func(t *testing.T) {
			t.Parallel()
			d := deploy(t, changing(0), "")
			hasty(t, d)
			d.mail.greylist()
			ctx, stop := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() {
				for range kills {
					select {
					case <-ctx.Done():
						return
					case <-time.After(time.Duration(500+rand.IntN(7000)) * time.Millisecond):
						d.kill()
					}
				}
			})
			for i := range count {
				if i == 2 || i == count-2 {
					d.nightOf(i)
				}
				d.wholeNight(i)
			}
			stop()
			wg.Wait()
			t.Logf("the worker was killed %d times", d.killed())
			rough = d.settled()
			d.checkMembership(rough, count)
			d.checkMessages(rough, count)
		})
	})
	if !sweep.Whole() {
		return
	}
	if len(calm) == 0 || len(calm) != len(rough) {
		t.Fatalf("%d taskings, and %d in rough weather", len(calm), len(rough))
	}
	for reference, want := range calm {
		got := rough[reference]
		if got == nil {
			t.Errorf("tasking %s was lost", reference)
			continue
		}
		if a, b := essence(want), essence(got); !reflect.DeepEqual(a, b) {
			t.Errorf("tasking %s\n is %+v\nwas %+v", reference, b, a)
		}
	}
}

// essence is a tasking without its times, its chase (which depends on them) and the revisions of its nights.
func essence(t *schemas.Tasking) schemas.Tasking {
	e := *t
	e.Version, e.Since, e.Chase, e.Night.Revision, e.Events = 0, time.Time{}, schemas.TaskingDeadlines{}, 0, nil
	for _, event := range t.Events {
		if slices.Contains([]string{schemas.EventReminded, schemas.EventLead, schemas.EventDesk}, event.Kind) {
			continue
		}
		event.Number, event.At, event.Key = 0, time.Time{}, ""
		if event.Night != nil {
			event.Night = &schemas.NightID{AsOf: event.Night.AsOf}
		}
		e.Events = append(e.Events, event)
	}
	return e
}

// wholeNight runs the i-th night, approves it, and lets the teams answer.
func (d *deployment) wholeNight(i int) {
	d.t.Helper()
	d.nightOf(i)
	d.answers()
	d.settled()
}

// nightOf runs the i-th night and approves it.
func (d *deployment) nightOf(i int) {
	d.t.Helper()
	path := filepath.Join(d.dir, "extract.parquet")
	if err := parquet.WriteFile(path+".new", changing(i)); err != nil {
		d.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		d.t.Fatal(err)
	}
	date := asOf.AddDays(i)
	run, err := d.client.ExecuteWorkflow(d.t.Context(), client.StartWorkflowOptions{ID: workflows.NightWorkflowID(date), TaskQueue: workflows.TaskQueue}, workflows.NightlyRun, schemas.NightRequest{AsOf: date})
	if err != nil {
		d.t.Fatal(err)
	}
	var n workflows.NightResult
	if err := run.Get(d.t.Context(), &n); err != nil {
		d.t.Fatal(err)
	}
	if got := d.approve(n).Tasking; got.Failed+got.Outdated > 0 {
		d.t.Errorf("night %d: %+v", i, got)
	}
}

// answers lets the teams do what each always does with a tasking that waits for it: take it on, close it,
// hand it over once, or nothing.
func (d *deployment) answers() {
	d.t.Helper()
	for reference, t := range d.taskings() {
		if !t.State.Unanswered() {
			continue
		}
		h := fnv.New32()
		h.Write([]byte(reference))
		handed := slices.ContainsFunc(t.Events, func(e schemas.TaskingEvent) bool { return e.Kind == schemas.EventTransferred && e.By != "" })
		episode := 0
		for _, e := range t.Events {
			if e.Kind == schemas.EventIssued || e.Kind == schemas.EventReopened || e.Kind == schemas.EventTransferred {
				episode++
			}
		}
		answer := func(u workflows.Update[schemas.TaskingRequest, schemas.Tasking], r schemas.TaskingRequest) {
			r.Team, r.By = t.Team, "PS Example"
			if _, err := u.Call(d.t.Context(), d.client, workflows.TaskingWorkflowID(reference), fmt.Sprintf("%s-%d", u.Name, episode), r); err != nil {
				d.t.Errorf("%s of %s: %v", u.Name, reference, err)
			}
		}
		switch h.Sum32() % 4 {
		case 0:
			answer(workflows.Acknowledge, schemas.TaskingRequest{})
			answer(workflows.Close, schemas.TaskingRequest{Outcome: "disrupted"})
		case 1:
			answer(workflows.Acknowledge, schemas.TaskingRequest{})
		case 2:
			if !handed {
				answer(workflows.Transfer, schemas.TaskingRequest{To: "Bexley", Note: "moved"})
			}
		}
	}
}

// taskings are all there are, by reference.
func (d *deployment) taskings() map[string]*schemas.Tasking {
	d.t.Helper()
	all := map[string]*schemas.Tasking{}
	if err := casework.All(d.t.Context(), d.store, func(t *schemas.Tasking) error {
		all[t.Reference] = t
		return nil
	}); err != nil {
		d.t.Fatal(err)
	}
	return all
}

// settled waits until everybody who does not answer has been chased to the end, and told.
func (d *deployment) settled() (all map[string]*schemas.Tasking) {
	d.t.Helper()
	// An activity that is killed again and again waits longer each time.
	for giveUp := time.Now().Add(6 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		var missing []string
		all = d.taskings()
		for _, t := range all {
			if t.State.Unanswered() && t.Chased < 3 {
				missing = append(missing, fmt.Sprintf("%s is %s, after %d steps", t.Reference, t.State, t.Chased))
			}
			for _, n := range notices(t) {
				missing = append(missing, t.Reference+" "+n)
			}
		}
		entries, err := ledger.Read(d.t.Context(), d.store)
		if err != nil {
			d.t.Fatal(err)
		}
		for _, e := range entries {
			if i := slices.Index(missing, e.Subject+" "+e.Kind+" "+e.Team); i >= 0 && e.State == ledger.Sent {
				missing = slices.Delete(missing, i, i+1)
			}
		}
		if len(missing) == 0 {
			return all
		}
		if time.Now().After(giveUp) {
			d.t.Fatalf("after six minutes there is still missing:\n%s", strings.Join(missing, "\n"))
		}
	}
}

// notices are the messages that the events of a tasking call for, as "kind team".
func notices(t *schemas.Tasking) (want []string) {
	for _, e := range t.Events {
		switch {
		case e.Kind == schemas.EventReminded:
			want = append(want, e.Kind+" "+e.Team)
		case e.Kind == schemas.EventLead:
			lead := map[string]string{"Hackney": "Central East lead", "Barnet": "North West lead", "Camden": "Central North lead", "Croydon": "South Area lead",
				"Bexley": "South East lead", teams.CentralDesk: teams.SpecialistDesk}[e.Team]
			want = append(want, e.Kind+" "+lead)
		case e.Kind == schemas.EventDesk:
			want = append(want, e.Kind+" "+teams.SpecialistDesk)
		case e.Kind == schemas.EventTransferred && e.By != "":
			want = append(want, e.Kind+" "+e.From, e.Kind+" "+e.Team)
		}
	}
	return want
}

// checkMembership holds the comings and goings of the taskings against the stacks themselves.
func (d *deployment) checkMembership(all map[string]*schemas.Tasking, count int) {
	d.t.Helper()
	hide, err := pseudonym.New(d.cfg.PseudonymKey)
	if err != nil {
		d.t.Fatal(err)
	}
	var want, got []string
	before := map[string]bool{}
	ever := map[string]bool{}
	entered, left := 0, 0
	for i := range count {
		m, _, err := nights.LoadManifest(d.t.Context(), d.store, schemas.NightID{AsOf: asOf.AddDays(i), Revision: 1})
		if err != nil {
			d.t.Fatal(err)
		}
		rows, err := nights.ReadFile[schemas.Ranked](d.t.Context(), d.store, m, schemas.StackFile)
		if err != nil {
			d.t.Fatal(err)
		}
		now := map[string]bool{}
		for _, r := range rows {
			now[hide(r.SuspectID)] = true
		}
		for reference := range now {
			if !before[reference] {
				want = append(want, fmt.Sprintf("%s enters on night %d, again: %v", reference, i, ever[reference]))
				ever[reference] = true
				entered++
			}
		}
		for reference := range before {
			if !now[reference] {
				want = append(want, fmt.Sprintf("%s leaves on night %d", reference, i))
				left++
			}
		}
		before = now
	}
	if entered < 101 || left < 3 {
		d.t.Errorf("the stack hardly changes: %d entered, %d left", entered, left)
	}
	for reference, t := range all {
		if t.OnStack != before[reference] {
			d.t.Errorf("tasking %s: on the stack: %v", reference, t.OnStack)
		}
		on := false
		for _, e := range t.Events {
			if e.Night == nil {
				continue
			}
			night := e.Night.AsOf.DaysSince(asOf)
			switch e.Kind {
			case schemas.EventIssued, schemas.EventReturned:
				got = append(got, fmt.Sprintf("%s enters on night %d, again: %v", reference, night, e.Kind == schemas.EventReturned))
				on = true
			case schemas.EventReopened:
				if !on { // else a closed one has a new allegation
					got = append(got, fmt.Sprintf("%s enters on night %d, again: true", reference, night))
					on = true
				}
			case schemas.EventStoodDown, schemas.EventLeft:
				got = append(got, fmt.Sprintf("%s leaves on night %d", reference, night))
				on = false
			}
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		d.t.Errorf("the taskings say\n%s\nthe stacks say\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// checkMessages holds the sink against the ledger, and the ledger against what there was to say: each night a digest
// for each borough, and what the events of the taskings call for.
func (d *deployment) checkMessages(all map[string]*schemas.Tasking, count int) {
	d.t.Helper()
	who, err := teams.Parse(teams.Example(), os.Getenv, reference.Default())
	if err != nil {
		d.t.Fatal(err)
	}
	entries, err := ledger.Read(d.t.Context(), d.store)
	if err != nil {
		d.t.Fatal(err)
	}
	ids := map[string]string{} // and to whom
	digests := map[string]int{}
	var got, want []string
	for _, e := range entries {
		team, ok := who.Find(e.Team)
		if e.State != ledger.Sent || ids[e.ID] != "" || !ok {
			d.t.Errorf("%+v", e)
		}
		ids[e.ID] = team.Mail[0]
		if e.Kind == "digest" {
			date, _, _ := strings.Cut(e.Subject, "-r")
			digests[e.Team+", "+date]++
		} else {
			got = append(got, e.Subject+" "+e.Kind+" "+e.Team)
		}
	}
	for i := range count {
		for _, b := range reference.Default().Boroughs() {
			if what := b.Name + ", night " + asOf.AddDays(i).String(); digests[what] == 0 {
				d.t.Errorf("%s: no digest", what)
			}
		}
	}
	for what, n := range digests {
		if n != 1 {
			d.t.Errorf("%s: %d digests", what, n)
		}
	}
	for subject, t := range all {
		for _, n := range notices(t) {
			want = append(want, subject+" "+n)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		d.t.Errorf("%d notices were sent, %d events called for one", len(got), len(want))
	}
	sink := map[string]string{}
	for to, messages := range d.mail.messages() {
		for _, id := range messages {
			id, _, _ = strings.Cut(strings.Trim(id, "<>"), "@")
			sink[id] = strings.ReplaceAll(to, `"`, "")
		}
	}
	if !maps.Equal(sink, ids) {
		d.t.Errorf("%d messages in the sink, %d in the ledger", len(sink), len(ids))
	}
}

// greylist makes the mail server refuse each message for now when it comes for the first time, which is half
// of what it is offered.
func (p *postbox) greylist() {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := map[string]bool{}
	p.refuse = func(id string) error {
		if !seen[id] {
			seen[id] = true
			return &smtp.SMTPError{Code: 451, Message: "greylisted"}
		}
		return nil
	}
}

// Of two who acknowledge at once, one wins and the other is told so; another team's tasking is out of reach;
// the same answer twice is one.
func TestTwoAnswerAtOnce(t *testing.T) {
	t.Parallel()
	d := deploy(t, changing(0), "")
	d.approve(func() workflows.NightResult { _, n := d.night(schemas.NightRequest{AsOf: asOf}); return n }())
	var hackney *schemas.Tasking
	for _, tasking := range d.taskings() {
		if tasking.Team == "Hackney" && (hackney == nil || tasking.Reference < hackney.Reference) {
			hackney = tasking
		}
	}
	id := workflows.TaskingWorkflowID(hackney.Reference)
	errs := make([]error, 2)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = workflows.Acknowledge.Call(t.Context(), d.client, id, "ack-"+strconv.Itoa(i), schemas.TaskingRequest{Team: "hackney", By: fmt.Sprintf("PS Example %d", i)})
		})
	}
	wg.Wait()
	slices.SortFunc(errs, func(a, b error) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	if errs[0] != nil || !task.Is(errs[1], fault.WrongState) || !strings.Contains(errs[1].Error(), "it has been acknowledged since") || strings.Contains(errs[1].Error(), "PS Example") {
		t.Errorf("%v", errs)
	}
	for _, c := range []struct {
		scenario, want string
		update         workflows.Update[schemas.TaskingRequest, schemas.Tasking]
		request        schemas.TaskingRequest
	}{
		{"another borough", fault.OtherTeam, workflows.Close, schemas.TaskingRequest{Team: "Barnet", By: "PS Example", Outcome: "arrested"}},
		{"nobody", fault.BadRequest, workflows.Close, schemas.TaskingRequest{Team: "Hackney", Outcome: "arrested"}},
		{"no outcome", fault.BadRequest, workflows.Close, schemas.TaskingRequest{Team: "Hackney", By: "PS Example", Outcome: "forgotten"}},
		{"to itself", fault.WrongState, workflows.Transfer, schemas.TaskingRequest{Team: "Hackney", By: "PS Example", To: "Hackney", Note: "moved"}},
		{"to nowhere", fault.BadRequest, workflows.Transfer, schemas.TaskingRequest{Team: "Hackney", By: "PS Example", To: "Kent", Note: "moved"}},
	} {
		if _, err := c.update.Call(t.Context(), d.client, id, c.scenario, c.request); !task.Is(err, c.want) {
			t.Errorf("%s: %v", c.scenario, err)
		}
	}
	before, err := workflows.TaskingState.Ask(t.Context(), d.client, id, "")
	if err != nil || before.State != schemas.TaskingAcknowledged || before.Version != hackney.Version+1 {
		t.Errorf("%+v, %v", before, err)
	}
	closing := schemas.TaskingRequest{Team: "Hackney", By: "PS Example", Outcome: "arrested"}
	for range 2 {
		if got, err := workflows.Close.Call(t.Context(), d.client, id, "close", closing); err != nil || got.State != schemas.TaskingClosed || got.Version != before.Version+1 {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if _, err := workflows.Close.Call(t.Context(), d.client, id, "close again", closing); !task.Is(err, fault.WrongState) {
		t.Error(err)
	}
	if _, err := workflows.Acknowledge.Call(t.Context(), d.client, workflows.TaskingWorkflowID("none"), "x", closing); err == nil {
		t.Error("a tasking that was never issued answers")
	}
}
