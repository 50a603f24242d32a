package e2e

import (
	"slices"
	"sync"
	"testing"

	"harmstack/activities/casework"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	flows "harmstack/workflows/client"
)

// A form that is sent twice is one event, also when the second comes after the first was recorded: both answer what the
// person was shown. The same words on what has changed since are another answer.
func TestTheSameAnswerTwice(t *testing.T) {
	t.Parallel()
	d := deploy(t, extract(40), "")
	_, n := d.night(schemas.NightRequest{AsOf: asOf})
	d.approve(n)
	var tasking *schemas.Tasking
	for _, tasking = range d.taskings() {
		break
	}
	to := flows.Deployment{Client: d.client, Name: d.cfg.Deployment, TaskQueue: d.cfg.TaskQueue, Store: d.store}
	answer := func(do, note string, shown int) error {
		_, _, err := to.Answer(t.Context(), do, tasking.Reference, schemas.TaskingRequest{Team: tasking.Team, By: "PS Example", Note: note}, shown)
		return err
	}
	for _, c := range []struct {
		do, note string
		shown    int
		events   int
	}{
		{schemas.DoAcknowledge, "", 1, 2}, {schemas.DoAcknowledge, "", 1, 2},
		{schemas.DoProgress, "called", 2, 3}, {schemas.DoProgress, "called", 2, 3},
		{schemas.DoProgress, "called", 3, 4}, // typed anew, on a page that showed the first
		{schemas.DoProgress, "called", 0, 5}, {schemas.DoProgress, "called", 0, 6},
	} {
		if err := answer(c.do, c.note, c.shown); err != nil {
			t.Errorf("%s on version %d: %v", c.do, c.shown, err)
		}
		if got := d.taskings()[tasking.Reference]; got.Version != c.events {
			t.Errorf("%s on version %d: %d events, want %d", c.do, c.shown, got.Version, c.events)
		}
	}
	if err := answer(schemas.DoAcknowledge, "", 6); fault.Kind(err) != fault.WrongState {
		t.Errorf("acknowledged again, on a page that showed it acknowledged: %v", err)
	}
	var clicks sync.WaitGroup
	for range 5 {
		clicks.Go(func() {
			if err := answer(schemas.DoProgress, "met her", 6); err != nil {
				t.Error(err)
			}
		})
	}
	clicks.Wait()
	got, err := casework.History(t.Context(), d.store, tasking.Reference)
	if err != nil {
		t.Fatal(err)
	}
	notes := slices.DeleteFunc(slices.Clone(got.Events), func(e schemas.TaskingEvent) bool { return e.Reason != "met her" })
	if len(notes) != 1 || got.Version != 7 {
		t.Errorf("five clicks are %d notes, version %d", len(notes), got.Version)
	}
}
