package casework

import (
	"slices"
	"testing"
	"time"

	"harmstack/activities/casework/teams"
	"harmstack/schemas"
)

func held(o *Order) { o.Watch, o.Facts.Status = true, "in_custody" }

// below is the order for somebody who is tasked still, below the stack: allegations are only counted, specialists not
// known.
func below(day int, allegations int64) *Order {
	return onStack(day, func(o *Order) {
		o.Below, o.Allegations, o.Specialists, o.Facts.Allegations = 120, nil, nil, allegations
	})
}

// In custody there is no deadline; from the release on there is.
func TestReleaseWatch(t *testing.T) {
	const ack, closing, transfer = schemas.DoAcknowledge, schemas.DoClose, schemas.DoTransfer
	watch, released := step{order: onStack(0, held), want: "issued issued"}, step{order: onStack(5), want: "issued released"}
	escalated := []step{issue, {chase: 4 * time.Hour, want: "issued reminded"}, {chase: 8 * time.Hour, want: "escalated escalated_to_lead"}}
	toCamden := func(o *Order) { o.Owner = "Camden" }
	for _, c := range []struct {
		scenario string
		steps    []step
		due      bool // the tasking is chased in the end
	}{
		{"issued in custody", []step{watch}, false},
		{"released", []step{watch, released}, true},
		{"acknowledged, then released", []step{watch, do(ack, "Hackney", "acknowledged acknowledged"), released}, true},
		{"released, and acknowledged again", []step{watch, do(ack, "Hackney", "acknowledged acknowledged"), released, do(ack, "Hackney", "acknowledged acknowledged")}, false},
		{"arrested while nobody had answered", append(slices.Clone(escalated), step{order: onStack(1, held), want: "issued contained"}), false},
		{"arrested while it was being worked on", []step{issue, do(ack, "Hackney", "acknowledged acknowledged"), {order: onStack(1, held), want: "acknowledged contained"}}, false},
		{"arrested and released", append(slices.Clone(escalated), step{order: onStack(1, held), want: "issued contained"}, released), true},
		{"transferred in custody", []step{watch, do(transfer, "Hackney", "transferred transferred")}, false},
		{"another owner in custody", []step{watch, {order: onStack(1, held, toCamden), want: "transferred transferred"}}, false},
		{"released, and another owner", []step{watch, {order: onStack(1, toCamden), want: "transferred transferred"}}, true},
		{"returns in custody", []step{issue, {order: offStack(1), want: "stood_down stood_down"}, {order: onStack(2, held), want: "issued reopened"}}, false},
		{"closed: a release is news and no new tasking", []step{watch, do(ack, "Hackney", "acknowledged acknowledged"), do(closing, "Hackney", "closed closed"), {order: onStack(1), want: "closed updated"}}, false},
		{"still in custody", []step{watch, {order: onStack(1, held), want: "nothing"}}, false},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			tasking := play(t, c.steps...)
			due, ok := tasking.NextChase()
			last := monday.Add(time.Duration(len(c.steps)-1) * time.Minute) // of the last step
			if ok != c.due || ok && !due.Equal(last.Add(4*time.Hour)) {
				t.Errorf("due %v at %s", ok, due)
			}
			if !c.due {
				play(t, append(slices.Clone(c.steps), step{chase: 100 * time.Hour, want: "nothing"})...)
			}
		})
	}
}

// Who drops below the stack and stays tasked is told what can be told of it, and is not taken for somebody else on the
// way back.
func TestBelowTheStack(t *testing.T) {
	three := func(o *Order) { o.Allegations, o.Facts.Allegations = []string{"a1", "a2", "a3"}, 3 }
	closed := []step{issue, do(schemas.DoAcknowledge, "Hackney", "acknowledged acknowledged"), do(schemas.DoClose, "Hackney", "closed closed")}
	for _, c := range []struct {
		scenario string
		steps    []step
		news     []string // of the last event
	}{
		{"nothing changes", []step{issue, {order: below(1, 2), want: "nothing"}}, nil},
		{"an allegation more", []step{issue, {order: below(1, 3), want: "issued updated"}}, []string{"allegations: 3, was 2"}},
		{"it is known on the way back", []step{issue, {order: below(1, 3), want: "issued updated"}, {order: onStack(2, three), want: "issued updated"}}, []string{"one new allegation"}},
		{"nothing new on the way back", []step{issue, {order: below(1, 2), want: "nothing"}, {order: onStack(2), want: "nothing"}}, nil},
		{"classified anew", []step{issue, {order: onStack(1, func(o *Order) { *o = *below(1, 2); o.Facts.HarmDays = 19 }), want: "issued updated"}}, []string{"19 harm days, was 1,825"}},
		{"no new tasking", []step{{order: below(0, 2), want: "nothing"}}, nil},
		{"another borough", []step{issue, {order: onStack(1, func(o *Order) { *o = *below(1, 2); o.Owner = "Camden" }), want: "transferred transferred"}}, nil},
		{"closed stays closed", append(slices.Clone(closed), step{order: below(1, 3), want: "closed updated"}), []string{"allegations: 3, was 2"}},
		{"and reopens on the stack", append(slices.Clone(closed), step{order: below(1, 3), want: "closed updated"}, step{order: onStack(2, three), want: "issued reopened"}),
			[]string{"one new allegation"}},
		{"below that", []step{issue, {order: below(1, 2), want: "nothing"}, {order: offStack(2), want: "stood_down stood_down"}}, nil},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			tasking := play(t, c.steps...)
			if tasking == nil {
				return
			}
			if e := tasking.Events[len(tasking.Events)-1]; !slices.Equal(e.News, c.news) || !slices.Equal(tasking.Specialists, []string{"Domestic abuse"}) {
				t.Errorf("%q, with %q", e.News, tasking.Specialists)
			}
		})
	}
}

// A restricted tasking is its desk's alone: that there is one nobody else hears, and it is handed to nobody.
func TestRestrictedTasking(t *testing.T) {
	desk := func(o *Order) { o.Restricted, o.Owner, o.Specialists = true, teams.RestrictedDesk, nil }
	const none = "there is no such tasking"
	steps := []step{{order: onStack(0, desk), want: "issued issued"}}
	for _, team := range []string{"Hackney", teams.CentralDesk, teams.SpecialistDesk, "Central East lead"} {
		for _, asked := range []string{schemas.DoAcknowledge, schemas.DoProgress, schemas.DoClose, schemas.DoTransfer} {
			steps = append(steps, do(asked, team, none))
		}
	}
	tuesday := 24 * time.Hour
	steps = append(steps,
		step{chase: 4 * time.Hour, want: "issued reminded"}, step{chase: 8 * time.Hour, want: "escalated escalated_to_lead"},
		step{chase: tuesday + 6*time.Hour, want: "escalated escalated_to_desk"},
		do(schemas.DoAcknowledge, teams.SpecialistDesk, none),
		do(schemas.DoTransfer, teams.RestrictedDesk, "a restricted tasking stays with Professional standards"),
		do(schemas.DoAcknowledge, "professional standards", "acknowledged acknowledged"))
	if tasking := play(t, steps...); tasking.BCU != "" || !tasking.Restricted {
		t.Errorf("%+v", tasking)
	}
}
