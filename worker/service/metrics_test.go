package service

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"harmstack/activities/casework"
	"harmstack/activities/store"
	"harmstack/schemas"
)

func TestMetricsCountByTeam(t *testing.T) {
	st, err := store.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	hourAgo := time.Now().Add(-time.Hour)
	for i, tasking := range []schemas.Tasking{
		{State: schemas.TaskingIssued, Chase: schemas.TaskingDeadlines{Lead: time.Now().Add(-time.Minute)}},
		{State: schemas.TaskingIssued, Chase: schemas.TaskingDeadlines{Lead: time.Now().Add(time.Hour)}},
		{State: schemas.TaskingClosed, Outcome: "arrested"},
	} {
		tasking.Reference, tasking.Team, tasking.OnStack, tasking.Version = string(rune('a'+i)), "Hackney", true, 1
		tasking.Events = []schemas.TaskingEvent{{Number: 1, Kind: schemas.EventIssued, At: hourAgo, Team: "Hackney"}}
		if tasking.State == schemas.TaskingClosed {
			tasking.Version = 3
			tasking.Events = append(tasking.Events, schemas.TaskingEvent{Number: 2, Kind: schemas.EventAcknowledged, At: hourAgo.Add(10 * time.Minute)},
				schemas.TaskingEvent{Number: 3, Kind: schemas.EventClosed, At: hourAgo.Add(20 * time.Minute), Outcome: "arrested"})
		}
		if err := casework.Save(t.Context(), st, &tasking); err != nil {
			t.Fatal(err)
		}
	}
	address, err := serveMetrics(t.Context(), "127.0.0.1:0", st)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.Get("http://" + address.String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	page, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`harmstack_taskings_open{team="Hackney"} 2`, `harmstack_taskings_unanswered{team="Hackney"} 2`, `harmstack_taskings_overdue{team="Hackney"} 1`,
		`harmstack_tasking_outcomes_total{outcome="arrested"} 1`, `harmstack_tasking_acknowledge_seconds{quantile="0.5"} 600`,
		"harmstack_messages_undelivered 0", "harmstack_measures_failed 0",
	} {
		if !strings.Contains(string(page), want+"\n") {
			t.Errorf("%s is not in the metrics", want)
		}
	}
	if _, err := serveMetrics(t.Context(), address.String(), st); err == nil {
		t.Error("a port that is taken is no error")
	}
}
