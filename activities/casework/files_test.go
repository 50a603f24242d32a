package casework

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"harmstack/activities/store"
	"harmstack/schemas"
)

func openStore(t *testing.T) *store.Store {
	t.Helper()
	st, err := store.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

func TestVersions(t *testing.T) {
	st := openStore(t)
	if got, err := Load(t.Context(), st, "k7qd"); got != nil || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
	tasking := play(t, issue)
	for i := 0; ; i++ { // more than nine versions: their numbers are no words
		if err := Save(t.Context(), st, tasking); err != nil {
			t.Fatal(err)
		}
		if i == 11 {
			break
		}
		next, err := Apply(tasking, Command{Key: fmt.Sprint("n", i), At: monday.Add(time.Duration(i) * time.Hour), Order: onStack(i, func(o *Order) { o.Facts.Victims = int64(i + 2) })}, who)
		if err != nil || next.Version != i+2 {
			t.Fatal(next, err)
		}
		tasking = next
	}
	got, err := Load(t.Context(), st, "k7qd")
	if err != nil || got.Version != 12 || got.Facts.Victims != 12 || len(got.Events) != 12 || !got.Since.Equal(tasking.Since) {
		t.Errorf("%+v, %v", got, err)
	}
	if first, err := LoadVersion(t.Context(), st, "k7qd", 1); err != nil || first.Facts.Victims != 1 {
		t.Errorf("%+v, %v", first, err)
	}
	if err := Save(t.Context(), st, tasking); !errors.Is(err, store.ErrExists) {
		t.Errorf("a second writer of a version: %v", err)
	}
	if err := st.Replace(t.Context(), "taskings/cases/k7qd/000012.json", []byte(`{"version": 12}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(t.Context(), st, "k7qd"); !errors.Is(err, store.ErrDamaged) {
		t.Errorf("a damaged one: %v", err)
	}
}

func TestMarks(t *testing.T) {
	st := openStore(t)
	want := map[string]int{}
	for _, reference := range []string{"a", "b", "c"} {
		tasking := *play(t, issue)
		tasking.Reference = reference
		if err := Save(t.Context(), st, &tasking); err != nil {
			t.Fatal(err)
		}
		want[reference] = 1
		if reference == "b" {
			left, err := Apply(&tasking, Command{Key: "left", At: monday, Order: offStack(1)}, who)
			if err == nil {
				err = Save(t.Context(), st, left)
			}
			if err != nil {
				t.Fatal(err)
			}
			want[reference] = 2
		}
	}
	if marked, err := Marked(t.Context(), st); err != nil || !slices.Equal(marked, []string{"a", "c"}) {
		t.Errorf("%q, %v", marked, err)
	}
	got := map[string]int{}
	err := All(t.Context(), st, func(t *schemas.Tasking) error { got[t.Reference] = t.Version; return nil })
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
}

// Numbers worked out by hand: three times to acknowledge (10, 20 and 300 minutes), one of them after a transfer.
func TestMeasures(t *testing.T) {
	now := time.Date(2026, 8, 10, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	const day = 24 * time.Hour
	event := func(kind string, at time.Time) schemas.TaskingEvent {
		return schemas.TaskingEvent{Kind: kind, At: at, Outcome: "arrested"}
	}
	c := Measure(now, []string{"a", "b", "x"})
	for _, tasking := range []schemas.Tasking{
		{Reference: "a", Team: "Hackney", State: schemas.TaskingIssued, Chase: schemas.TaskingDeadlines{Lead: ago(time.Minute)}, Events: []schemas.TaskingEvent{event(schemas.EventIssued, ago(8*day))}},
		{Reference: "b", Team: "Hackney", State: schemas.TaskingAcknowledged, Events: []schemas.TaskingEvent{event(schemas.EventIssued, ago(40*day)), event(schemas.EventAcknowledged, ago(40*day-10*time.Minute))}},
		{Reference: "c", Team: "Barnet", State: schemas.TaskingInProgress, Events: []schemas.TaskingEvent{event(schemas.EventIssued, ago(50*day)),
			event(schemas.EventTransferred, ago(2*day)), event(schemas.EventAcknowledged, ago(2*day-20*time.Minute))}},
		// Closed at half past midnight on 1 August in London, which is still July in UTC.
		{Reference: "d", Team: "Barnet", State: schemas.TaskingClosed, Events: []schemas.TaskingEvent{event(schemas.EventIssued, time.Date(2026, 7, 31, 10, 0, 0, 0, time.UTC)),
			event(schemas.EventAcknowledged, time.Date(2026, 7, 31, 15, 0, 0, 0, time.UTC)), event(schemas.EventClosed, time.Date(2026, 7, 31, 23, 30, 0, 0, time.UTC))}},
		{Reference: "f", Team: "Camden", State: schemas.TaskingIssued, Watch: true, Events: []schemas.TaskingEvent{event(schemas.EventIssued, ago(day))}},
		{Reference: "e", Team: "Barnet", State: schemas.TaskingStoodDown, Events: []schemas.TaskingEvent{event(schemas.EventIssued, ago(day))}},
	} {
		for i := range tasking.Events {
			tasking.Events[i].Team = tasking.Team
		}
		c.Add(&tasking)
	}
	want := Measures{Open: 4, Overdue: 1, Acknowledged: 3, AcknowledgeMedian: 20 * time.Minute, AcknowledgeP90: 300 * time.Minute, Stack: 3, Tasked: 2,
		Teams:    []TeamMeasure{{Team: "Barnet", Open: 1, Oldest: 2 * day}, {Team: "Camden", Open: 1, Watches: 1, Oldest: day}, {Team: "Hackney", Open: 2, Unanswered: 1, Overdue: 1, WeekOld: 2, MonthOld: 1, Oldest: 40 * day}},
		Outcomes: []MonthOutcome{{"2026-08", "arrested", 1}},
		Months: []TeamMonth{
			{Month: "2026-06", Team: "Barnet", Came: 1},
			{Month: "2026-07", Team: "Barnet", Came: 1, Acknowledged: 1, AcknowledgeMedian: 5 * time.Hour},
			{Month: "2026-07", Team: "Hackney", Came: 1, Acknowledged: 1, AcknowledgeMedian: 10 * time.Minute},
			{Month: "2026-08", Team: "Barnet", Came: 2, Acknowledged: 1, AcknowledgeMedian: 20 * time.Minute, Closed: 1},
			{Month: "2026-08", Team: "Camden", Came: 1},
			{Month: "2026-08", Team: "Hackney", Came: 1},
		}}
	if got := c.Measures(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
}
