package tasking

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"harmstack/activities/casework/teams"
	"harmstack/activities/store"
	"harmstack/schemas"
)

// legacy is a tasking of before texts were bounded, with so many events of so long a note, in the one file that held
// them all.
func legacy(t *testing.T, events int, note string) *Activities {
	t.Helper()
	st, err := store.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	at := time.Date(2026, 7, 6, 9, 0, 0, 0, time.UTC)
	old := schemas.Tasking{Reference: "k7qd", Version: events, State: schemas.TaskingInProgress, Since: at, Team: "Hackney", OnStack: true,
		Facts: schemas.TaskingFacts{Allegations: 1, Boroughs: []string{strings.Repeat("Kent ", 1_000_000)}}}
	for i := range events {
		old.Events = append(old.Events, schemas.TaskingEvent{Number: i + 1, At: at, Kind: schemas.EventProgress, Team: "Hackney", By: "PS Example", Reason: note, Key: fmt.Sprint(i)})
	}
	data, err := json.Marshal(old)
	if err == nil {
		err = st.CreateOnly(t.Context(), fmt.Sprintf("taskings/cases/k7qd/%06d.json", events), data)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &Activities{Store: st, Teams: func() (*teams.Teams, error) { return teams.Nowhere(), nil }}
}

// Temporal takes 2 MB at a time. However much stands in the store, from before texts were bounded or from thousands of
// events, what goes through it stays far below, and the tasking goes on.
func TestWhatTravelsIsBounded(t *testing.T) {
	for _, c := range []struct {
		scenario string
		events   int
		note     string
		want     int // events that travel after one more, at least
	}{
		{"notes of megabytes", 3, strings.Repeat("x", 3<<20), 2},
		{"thousands of events", 5000, "called at the address", 10},
		{"long notes that JSON makes six times as long", 30, strings.Repeat("<", schemas.MaxNote), 1},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			t.Parallel()
			a := legacy(t, c.events, c.note)
			r := schemas.TaskingRequest{Team: "Hackney", By: "PS Example", Note: strings.Repeat("é", schemas.MaxNote)}
			for _, p := range []ApplyParams{{}, {Key: "new", Do: schemas.DoProgress, Request: &r, Known: c.events}} {
				p.Reference, p.At = "k7qd", time.Date(2026, 7, 7, 9, 0, 0, 0, time.UTC)
				got, err := a.Apply(t.Context(), p)
				if err != nil {
					t.Fatal(err)
				}
				data, err := json.Marshal(got)
				if err != nil || len(data) > 100<<10 {
					t.Errorf("%d bytes travel, %v", len(data), err)
				}
				events := got.Tasking.Events
				last := events[len(events)-1]
				if last.Number != got.Tasking.Version || p.Request != nil && (last.Reason != r.Note || len(events) < c.want) {
					t.Errorf("%d events, the last is number %d of %d", len(events), last.Number, got.Tasking.Version)
				}
			}
		})
	}
}
