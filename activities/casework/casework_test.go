package casework

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"harmstack/activities/casework/teams"
	"harmstack/schemas"
)

var (
	who    = teams.Nowhere()
	monday = time.Date(2026, 7, 6, 9, 0, 0, 0, schemas.London)
)

func night(day int) schemas.NightID {
	return schemas.NightID{AsOf: schemas.MustDate("2026-07-05").AddDays(day), Revision: 1}
}

// facts of a suspect with two allegations.
func facts() schemas.TaskingFacts {
	return schemas.TaskingFacts{Allegations: 2, Reports: 2, Victims: 1, HarmDays: 1825, Status: "at_large", Boroughs: []string{"Hackney"}}
}

// onStack is the order of a night on whose stack the suspect is.
func onStack(day int, change ...func(*Order)) *Order {
	o := &Order{Reference: "k7qd", Night: night(day), OnStack: true, Owner: "Hackney", Position: 7, Facts: facts(), Specialists: []string{"Domestic abuse"}, Allegations: []string{"a1", "a2"}}
	for _, c := range change {
		c(o)
	}
	return o
}

func offStack(day int) *Order {
	return &Order{Reference: "k7qd", Night: night(day), Reason: "others rank higher now"}
}

// step is one command, and what it must come to.
type step struct {
	order *Order
	do    string
	r     schemas.TaskingRequest
	chase time.Duration // since Monday
	want  string        // "state kind" of the last event, or an error's text
}

func asTeam(team string) schemas.TaskingRequest {
	return schemas.TaskingRequest{Team: team, By: "PS Example", Note: "because", Outcome: "arrested", To: "Barnet"}
}

// play does the steps one after the other and returns what is left. No command may change the tasking that it
// is given.
func play(t *testing.T, steps ...step) *schemas.Tasking {
	t.Helper()
	var tasking *schemas.Tasking
	for i, s := range steps {
		c := Command{Key: fmt.Sprint("step ", i), At: monday.Add(time.Duration(i) * time.Minute), Order: s.order, Do: s.do}
		if s.do != "" {
			c.Request = &s.r
		}
		if s.chase > 0 {
			c.Chase, c.At = true, monday.Add(s.chase)
		}
		var before schemas.Tasking
		if tasking != nil {
			before = *tasking
			before.Events, before.Seen = slices.Clone(tasking.Events), slices.Clone(tasking.Seen)
		}
		next, err := Apply(tasking, c, who)
		if tasking != nil && !reflect.DeepEqual(before, *tasking) {
			t.Fatalf("step %d changed what it was given", i)
		}
		got := "nothing"
		switch {
		case err != nil:
			got, next = err.Error(), tasking
			if !strings.Contains(got, s.want) || s.want == "" || strings.Contains(got, "Example") {
				t.Fatalf("step %d: %q, want %q", i, got, s.want)
			}
			continue
		case next == nil:
		case tasking == nil || next.Version > tasking.Version:
			e := next.Events[len(next.Events)-1]
			got = fmt.Sprintf("%s %s", next.State, e.Kind)
			again, err := Apply(next, c, who)
			if err != nil || again.Version != next.Version {
				t.Fatalf("step %d a second time: version %d, %v", i, again.Version, err)
			}
		}
		if got != s.want {
			t.Fatalf("step %d: %q, want %q", i, got, s.want)
		}
		tasking = next
	}
	return tasking
}

var issue = step{order: onStack(0), want: "issued issued"}

func do(do, team, want string) step { return step{do: do, r: asTeam(team), want: want} }

// Who may ask what in which state, by hand from the contract.
func TestEveryRequestInEveryState(t *testing.T) {
	const ack, progress, closing, transfer = schemas.DoAcknowledge, schemas.DoProgress, schemas.DoClose, schemas.DoTransfer
	late, firstly := "not possible now", "acknowledge it first"
	states := map[string][]step{
		"issued":       {issue},
		"transferred":  {issue, {order: onStack(1, func(o *Order) { o.Owner = "Camden" }), want: "transferred transferred"}, {order: onStack(2), want: "transferred transferred"}},
		"escalated":    {issue, {chase: 4 * time.Hour, want: "issued reminded"}, {chase: 8 * time.Hour, want: "escalated escalated_to_lead"}},
		"acknowledged": {issue, do(ack, "Hackney", "acknowledged acknowledged")},
		"in progress":  {issue, do(ack, "hackney", "acknowledged acknowledged"), do(progress, "Hackney", "in_progress progress")},
		"closed":       {issue, do(ack, "Hackney", "acknowledged acknowledged"), do(closing, "Hackney", "closed closed")},
		"stood down":   {issue, {order: offStack(1), want: "stood_down stood_down"}},
	}
	for state, want := range map[string]map[string]string{
		"issued":       {ack: "acknowledged acknowledged", progress: firstly, closing: firstly, transfer: "transferred transferred"},
		"transferred":  {ack: "acknowledged acknowledged", progress: firstly, closing: firstly, transfer: "transferred transferred"},
		"escalated":    {ack: "acknowledged acknowledged", progress: firstly, closing: firstly, transfer: "transferred transferred"},
		"acknowledged": {ack: "it has been acknowledged since 6 July 2026 at 09:01", progress: "in_progress progress", closing: "closed closed", transfer: "transferred transferred"},
		"in progress":  {ack: "it has been in progress since 6 July 2026 at 09:02", progress: "in_progress progress", closing: "closed closed", transfer: "transferred transferred"},
		"closed":       {ack: late, progress: late, closing: "it was closed on 6 July 2026 at 09:02: arrested", transfer: late},
		"stood down":   {ack: late, progress: late, closing: late, transfer: "it was stood down on 6 July 2026 at 09:01"},
	} {
		for asked, want := range want {
			t.Run(asked+" when "+state, func(t *testing.T) {
				play(t, append(slices.Clone(states[state]), do(asked, "Hackney", want))...)
				play(t, append(slices.Clone(states[state]), do(asked, "Barnet", "not your tasking: it is with Hackney, not with Barnet"))...)
			})
		}
	}
}

func TestRequestsThatCannotBe(t *testing.T) {
	for _, c := range []struct {
		do     string
		change func(*schemas.TaskingRequest)
		says   string
	}{
		{schemas.DoAcknowledge, func(r *schemas.TaskingRequest) { r.By = " " }, "by: name who does it"},
		{schemas.DoAcknowledge, func(r *schemas.TaskingRequest) { r.Team = "" }, "team: say"},
		{schemas.DoAcknowledge, func(r *schemas.TaskingRequest) { r.Team = "Kent" }, `"Kent" is no team`},
		{schemas.DoClose, func(r *schemas.TaskingRequest) { r.Outcome = "forgotten" }, "outcome: give one of arrested, charged"},
		{schemas.DoClose, func(r *schemas.TaskingRequest) { r.Outcome, r.Note = schemas.OutcomeNoAction, "" }, "why no further action"},
		{schemas.DoClose, func(r *schemas.TaskingRequest) { r.Outcome, r.Note = schemas.OutcomeOtherForce, "" }, "which force"},
		{schemas.DoProgress, func(r *schemas.TaskingRequest) { r.Note = "" }, "note: say what"},
		{schemas.DoTransfer, func(r *schemas.TaskingRequest) { r.To = "" }, "to: name"},
		{schemas.DoTransfer, func(r *schemas.TaskingRequest) { r.Note = "" }, "note: say why"},
		{schemas.DoTransfer, func(r *schemas.TaskingRequest) { r.To = "Kent" }, "neither a borough nor the central desk"},
		{schemas.DoTransfer, func(r *schemas.TaskingRequest) { r.To = "Domestic abuse" }, "neither a borough nor the central desk"},
		{schemas.DoTransfer, func(r *schemas.TaskingRequest) { r.To = "hackney" }, "it is with Hackney already"},
	} {
		t.Run(c.do+", "+c.says, func(t *testing.T) {
			r := asTeam("Hackney")
			c.change(&r)
			play(t, issue, do(schemas.DoAcknowledge, "Hackney", "acknowledged acknowledged"), step{do: c.do, r: r, want: c.says})
		})
	}
	if _, err := Apply(nil, Command{Do: schemas.DoAcknowledge, Request: &schemas.TaskingRequest{}}, who); !errors.Is(err, ErrNone) {
		t.Error(err)
	}
}

// What changes from one night to the next, and what the team is told of it.
func TestNightsThatChangeSomething(t *testing.T) {
	for _, c := range []struct {
		scenario string
		change   func(*Order)
		want     string
		news     []string
	}{
		{"only the position", func(o *Order) { o.Position = 99 }, "nothing", nil},
		{"a new allegation", func(o *Order) { o.Allegations, o.Facts.Allegations = []string{"a1", "a2", "a3"}, 3 }, "issued updated", []string{"one new allegation"}},
		{"one gone and two new", func(o *Order) { o.Allegations, o.Facts.Allegations = []string{"a2", "a3", "a4"}, 3 }, "issued updated",
			[]string{"2 new allegations", "one allegation counts no longer: cleared, withdrawn or older than a year"}},
		{"on bail", func(o *Order) { o.Facts.Status = "on_bail" }, "issued updated", []string{"the suspect's status: on bail, was at large"}},
		{"a victim too", func(o *Order) { o.Facts.AlsoVictim = true }, "issued updated", []string{"the suspect is also recorded as a victim: look for a counter-allegation"}},
		{"charged", func(o *Order) { o.Facts.Charged = 1 }, "issued updated", []string{"allegations charged or convicted: 1, was 0"}},
		{"a second victim", func(o *Order) { o.Facts.Victims = 2 }, "issued updated", []string{"victims: 2, was 1"}},
		{"another borough", func(o *Order) { o.Facts.Boroughs = []string{"Camden", "Hackney"} }, "issued updated", []string{"now also alleged in Camden"}},
		{"another specialist", func(o *Order) { o.Specialists = []string{"Child"} }, "issued updated",
			[]string{"added: the specialist team Child", "no longer with the specialist team Domestic abuse"}},
		{"another offence", func(o *Order) { o.Facts.HarmDays = 19 }, "issued updated", []string{"an allegation was classified anew: 19 harm days, was 1,825"}},
		{"another owner", func(o *Order) { o.Owner = "Camden" }, "transferred transferred", nil},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			tasking := play(t, issue, step{order: onStack(1, c.change), want: c.want}, step{order: onStack(1, c.change), want: "nothing"})
			if last := tasking.Events[len(tasking.Events)-1]; !slices.Equal(last.News, c.news) {
				t.Errorf("%q", last.News)
			}
		})
	}
}

func TestLivesOverManyNights(t *testing.T) {
	fresh := func(o *Order) { o.Allegations, o.Facts.Allegations = []string{"a1", "a2", "a3"}, 3 }
	fewer := func(o *Order) { o.Allegations, o.Facts.Allegations = []string{"a1"}, 1 }
	toCamden := func(o *Order) { o.Owner = "Camden" }
	closed := []step{issue, do(schemas.DoAcknowledge, "Hackney", "acknowledged acknowledged"), do(schemas.DoClose, "Hackney", "closed closed")}
	placed := []step{issue, do(schemas.DoTransfer, "Hackney", "transferred transferred")} // to Barnet
	for _, c := range []struct {
		scenario string
		steps    []step
	}{
		{"never issued", []step{{order: offStack(1), want: "nothing"}}},
		{"leaves and returns", []step{issue, {order: offStack(1), want: "stood_down stood_down"}, {order: offStack(2), want: "nothing"}, {order: onStack(3), want: "issued reopened"}}},
		{"closed, and stays", append(slices.Clone(closed), step{order: onStack(1), want: "nothing"})},
		{"closed, a new allegation", append(slices.Clone(closed), step{order: onStack(1, fresh), want: "issued reopened"})},
		{"closed, leaves and returns", append(slices.Clone(closed), step{order: offStack(1), want: "closed left"}, step{order: onStack(2), want: "closed returned"}, step{order: onStack(3), want: "nothing"})},
		{"closed, leaves and returns with a new allegation", append(slices.Clone(closed), step{order: offStack(1), want: "closed left"}, step{order: onStack(2, fresh), want: "issued reopened"})},
		{"closed, an allegation goes and comes back", append(slices.Clone(closed), step{order: onStack(1, fewer), want: "closed updated"}, step{order: onStack(2), want: "closed updated"})},
		{"placed by a team", append(slices.Clone(placed), step{order: onStack(1), want: "nothing"}, step{order: onStack(2, toCamden), want: "nothing"})},
		{"placed, until it leaves", append(slices.Clone(placed), step{order: offStack(1), want: "stood_down stood_down"}, step{order: onStack(2), want: "issued reopened"},
			step{order: onStack(3, toCamden), want: "transferred transferred"})},
		{"an older night comes late", []step{issue, {order: onStack(3, fresh), want: "issued updated"}, {order: onStack(2, fewer), want: "nothing"}, {order: offStack(1), want: "nothing"}}},
	} {
		t.Run(c.scenario, func(t *testing.T) { play(t, c.steps...) })
	}
	tasking := play(t, append(slices.Clone(placed), step{order: offStack(1), want: "stood_down stood_down"}, step{order: onStack(2, fresh), want: "issued reopened"})...)
	if tasking.Team != "Hackney" || tasking.Placed || len(tasking.Events) != 4 || !slices.Equal(tasking.Seen, []string{"a1", "a2", "a3"}) || tasking.Outcome != "" {
		t.Errorf("%+v", tasking)
	}
}

// Nobody answers: the steps come when they are due and once each. Monday 9:00 and 4, 8, 16 working hours.
func TestChase(t *testing.T) {
	tuesday := 24 * time.Hour
	steps := []step{issue,
		{chase: 4*time.Hour - time.Second, want: "nothing"}, {chase: 4 * time.Hour, want: "issued reminded"}, {chase: 5 * time.Hour, want: "nothing"},
		{chase: 8 * time.Hour, want: "escalated escalated_to_lead"}, {chase: 9 * time.Hour, want: "nothing"},
		do(schemas.DoAcknowledge, teams.SpecialistDesk, "not your tasking"),
		{chase: tuesday + 6*time.Hour - time.Second, want: "nothing"}, {chase: tuesday + 6*time.Hour, want: "escalated escalated_to_desk"},
		{chase: 100 * time.Hour, want: "nothing"},
	}
	tasking := play(t, append(slices.Clone(steps), do(schemas.DoAcknowledge, teams.SpecialistDesk, "acknowledged acknowledged"), step{chase: 200 * time.Hour, want: "nothing"})...)
	if tasking.Team != "Hackney" || tasking.Chase != (schemas.TaskingDeadlines{}) {
		t.Errorf("%+v", tasking)
	}
	again := play(t, append(slices.Clone(steps), do(schemas.DoTransfer, "Hackney", "transferred transferred"))...)
	if next, ok := again.NextChase(); !ok || again.Chased != 0 || !next.Equal(monday.Add(4*time.Hour+time.Duration(len(steps))*time.Minute)) {
		t.Errorf("the new team's first step is due at %s", next)
	}
}

// Thousands of commands at random against the states as a table.
func TestRandomLives(t *testing.T) {
	after := map[schemas.TaskingState]map[string]schemas.TaskingState{}
	for _, s := range []schemas.TaskingState{"issued", "transferred", "escalated"} {
		after[s] = map[string]schemas.TaskingState{"acknowledge": "acknowledged", "transfer": "transferred"}
	}
	for _, s := range []schemas.TaskingState{"acknowledged", "in_progress"} {
		after[s] = map[string]schemas.TaskingState{"progress": "in_progress", "outcome": "closed", "transfer": "transferred"}
	}
	random := rand.New(rand.NewPCG(1, 2))
	requests := []string{"acknowledge", "progress", "outcome", "transfer"}
	for life := range 200 {
		tasking := play(t, issue)
		at := monday
		for i := range 60 {
			at = at.Add(time.Duration(random.IntN(600)) * time.Minute)
			c := Command{Key: fmt.Sprint(i), At: at}
			want := tasking.State
			switch n := random.IntN(8); {
			case n < 4:
				r := asTeam(tasking.Team)
				r.To = []string{"Barnet", "Camden"}[random.IntN(2)]
				c.Do, c.Request = requests[n], &r
				if next, ok := after[tasking.State][c.Do]; ok && !(c.Do == "transfer" && r.To == tasking.Team) {
					want = next
				}
			case n == 4:
				c.Order = offStack(i)
				if tasking.OnStack && want != "closed" {
					want = "stood_down"
				}
			case n == 5:
				c.Order = onStack(i, func(o *Order) { o.Allegations = append(o.Allegations, fmt.Sprint("b", random.IntN(9))) })
				if fresh := !slices.Contains(tasking.Seen, c.Order.Allegations[2]); want == "stood_down" || want == "closed" && fresh {
					want = "issued"
				} else if want != "closed" && !tasking.Placed && tasking.Team != "Hackney" {
					want = "transferred"
				}
			default:
				c.Chase = true
				if due, ok := tasking.NextChase(); ok && !at.Before(due) && tasking.Chased > 0 {
					want = "escalated"
				}
			}
			next, err := Apply(tasking, c, who)
			if err != nil {
				next = tasking
			}
			if next.State != want {
				t.Fatalf("life %d, step %d, %+v: %s, want %s (%v)", life, i, c, next.State, want, err)
			}
			if changed := next.Version - tasking.Version; changed < 0 || changed > 1 || len(next.Events) != next.Version || next.Events[next.Version-1].Number != next.Version {
				t.Fatalf("life %d, step %d: version %d after %d", life, i, next.Version, tasking.Version)
			}
			if (next.State == "closed") != (next.Outcome != "") || next.State.Unanswered() != (next.Chase != schemas.TaskingDeadlines{}) || next.State == "stood_down" && next.OnStack {
				t.Fatalf("life %d, step %d: %+v", life, i, next)
			}
			tasking = next
		}
	}
}
