package service

import (
	"context"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"harmstack/activities/casework"
	"harmstack/activities/store"
	_ "harmstack/activities/store/drivers"
	"harmstack/activities/store/s3test"
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
	address, page := serve(t, st)
	for !strings.Contains(page(), "harmstack_measures_age_seconds ") { // the first look is under way
	}
	for _, want := range []string{
		`harmstack_taskings_open{team="Hackney"} 2`, `harmstack_taskings_unanswered{team="Hackney"} 2`, `harmstack_taskings_overdue{team="Hackney"} 1`,
		`harmstack_tasking_outcomes_total{outcome="arrested"} 1`, `harmstack_tasking_acknowledge_seconds{quantile="0.5"} 600`,
		"harmstack_messages_undelivered 0", "harmstack_measures_failed 0",
	} {
		if !strings.Contains(page(), want+"\n") {
			t.Errorf("%s is not in the metrics", want)
		}
	}
	if _, _, err := serveMetrics(t.Context(), address, st); err == nil {
		t.Error("a port that is taken is no error")
	}
}

// serve serves the metrics of a store, and asks for them.
func serve(t *testing.T, st *store.Store) (address string, page func() string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	at, wait, err := serveMetrics(ctx, "127.0.0.1:0", st)
	if err != nil {
		stop()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		wait()
	})
	return at.String(), func() string {
		answer, err := http.Get("http://" + at.String() + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
}

// While the store does not answer, a scrape does: with what there is.
func TestAScrapeNeverWaitsForTheStore(t *testing.T) {
	s3 := s3test.New(t)
	st, err := store.Open(t.Context(), s3.URL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	asked, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s3.Inject(func(int, *http.Request) s3test.Fault {
		once.Do(func() { close(asked) })
		<-goOn
		return s3test.None
	})
	_, page := serve(t, st)
	<-asked
	if got := page(); !strings.Contains(got, "harmstack_measures_failed 0\n") || strings.Contains(got, "harmstack_stack_suspects") {
		t.Errorf("there are figures of a store that nobody has read:\n%s", got)
	}
	close(goOn)
	for !strings.Contains(page(), "harmstack_stack_suspects 0\n") {
	}
}

// A store that cannot be read leaves the figures of before, which grow old.
func TestFiguresStandAndGrowOld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		st, err := store.Open(t.Context(), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		m := &measures{store: st}
		m.look(t.Context())
		time.Sleep(90 * time.Second)
		want := map[string]float64{"harmstack_measures_age_seconds": 90, "harmstack_measures_failed": 0, "harmstack_messages_undelivered": 0,
			"harmstack_messages_partly_delivered": 0, "harmstack_teams_untold": 0, "harmstack_orders_late": 0, "harmstack_taskings_unreadable": 0,
			"harmstack_stack_suspects": 0, "harmstack_stack_tasked": 0}
		if got := figures(t, m); !maps.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
		m.look(t.Context())
		time.Sleep(10 * time.Second)
		want["harmstack_measures_age_seconds"], want["harmstack_measures_failed"] = 100, 1
		if got := figures(t, m); !maps.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	})
}

// figures are the gauges of measures by name.
func figures(t *testing.T, m *measures) map[string]float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(m)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]float64{}
	for _, f := range families {
		by[f.GetName()] = f.GetMetric()[0].GetGauge().GetValue()
	}
	return by
}

// Each trouble of the teams is a figure of its own.
func TestMetricsCountTrouble(t *testing.T) {
	t.Parallel()
	got := figures(t, &measures{at: time.Now(), undelivered: 5, last: casework.Measures{Unreadable: 4, Trouble: casework.Trouble{
		Untold: make([]string, 1), Unmet: make([]string, 2), LateOrders: make([]string, 3)}}})
	for name, want := range map[string]float64{"harmstack_teams_untold": 1, "harmstack_messages_partly_delivered": 2, "harmstack_orders_late": 3,
		"harmstack_taskings_unreadable": 4, "harmstack_messages_undelivered": 5} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
}
