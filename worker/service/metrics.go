package service

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"harmstack/activities/casework"
	"harmstack/activities/messages/ledger"
	"harmstack/activities/store"
	"harmstack/activities/tasking"
)

const (
	// measureEvery is the pause between two looks at the store: each reads every tasking there is.
	measureEvery = time.Minute
	// measureWithin is when a look is given up: a store that does not answer must not keep the next one from it.
	measureWithin = 10 * time.Minute
)

// The metrics, by team and outcome: never by tasking, which would be by person.
var (
	openTaskings = prometheus.NewDesc(
		"harmstack_taskings_open",
		"Taskings that a team has in hand.",
		[]string{"team"},
		nil,
	)
	unanswered = prometheus.NewDesc(
		"harmstack_taskings_unanswered",
		"Taskings that nobody has acknowledged.",
		[]string{"team"},
		nil,
	)
	overdue = prometheus.NewDesc(
		"harmstack_taskings_overdue",
		"Taskings that should have been acknowledged by now.",
		[]string{"team"},
		nil,
	)
	oldest = prometheus.NewDesc(
		"harmstack_tasking_oldest_seconds",
		"Age of the oldest open tasking since it came to the team.",
		[]string{"team"},
		nil,
	)
	acknowledged = prometheus.NewDesc(
		"harmstack_tasking_acknowledge_seconds",
		"Time from a tasking's arrival to its acknowledgement.",
		[]string{"quantile"},
		nil,
	)
	outcomes = prometheus.NewDesc(
		"harmstack_tasking_outcomes_total",
		"Taskings closed, by outcome.",
		[]string{"outcome"},
		nil,
	)
	stackSize   = prometheus.NewDesc("harmstack_stack_suspects", "Suspects on the approved stack.", nil, nil)
	stackTasked = prometheus.NewDesc(
		"harmstack_stack_tasked",
		"Suspects on the approved stack who were ever tasked.",
		nil,
		nil,
	)
	undelivered = prometheus.NewDesc(
		"harmstack_messages_undelivered",
		"Messages that were begun and not sent.",
		nil,
		nil,
	)
	teamsUntold = prometheus.NewDesc(
		"harmstack_teams_untold",
		"Teams that have not been told of the approved stack.",
		nil,
		nil,
	)
	addressesUnmet = prometheus.NewDesc(
		"harmstack_messages_partly_delivered",
		"Messages that some addresses of their team did not take.",
		nil,
		nil,
	)
	ordersLate = prometheus.NewDesc(
		"harmstack_orders_late",
		"Taskings that could not be brought up to date with the approved stack.",
		nil,
		nil,
	)
	unreadable      = prometheus.NewDesc("harmstack_taskings_unreadable", "Taskings whose files are damaged.", nil, nil)
	measuresOutDate = prometheus.NewDesc(
		"harmstack_measures_failed",
		"1 when the store could not be read for the measures.",
		nil,
		nil,
	)
	measuresAge = prometheus.NewDesc(
		"harmstack_measures_age_seconds",
		"How long ago the store was read for the other figures.",
		nil,
		nil,
	)
)

// measures is a Prometheus collector of what was found in the store when it was last read. A scrape never waits for the
// store: it gets the figures there are, and their age.
type measures struct {
	store *store.Store

	mu          sync.Mutex // held for moments only
	at          time.Time  // of the figures; zero: there are none yet
	last        casework.Measures
	undelivered int
	failed      bool // the look after them
}

// refresh looks again and again until ctx ends.
func (m *measures) refresh(ctx context.Context) {
	for ctx.Err() == nil {
		m.look(ctx)
		select {
		case <-ctx.Done():
		case <-time.After(measureEvery):
		}
	}
}

// look reads the store. When that fails, the figures of before stand, and grow old.
func (m *measures) look(ctx context.Context) {
	ctx, stop := context.WithTimeout(ctx, measureWithin)
	defer stop()
	now := time.Now()
	last, err := tasking.Measure(ctx, m.store, now)
	undelivered := 0
	if err == nil {
		undelivered, err = ledger.Open(ctx, m.store)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failed = err != nil; !m.failed {
		m.at, m.last, m.undelivered = now, last, undelivered
	}
}

func (m *measures) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{openTaskings, unanswered, overdue, oldest, acknowledged, outcomes, stackSize, stackTasked, undelivered,
		teamsUntold, addressesUnmet, ordersLate, unreadable, measuresOutDate, measuresAge} {
		ch <- d
	}
}

func (m *measures) Collect(ch chan<- prometheus.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	failed := 0.0
	if m.failed {
		failed = 1
	}
	gauge(measuresOutDate, failed)
	if m.at.IsZero() {
		return
	}
	gauge(measuresAge, time.Since(m.at).Seconds())
	for _, t := range m.last.Teams {
		gauge(openTaskings, float64(t.Open), t.Team)
		gauge(unanswered, float64(t.Unanswered), t.Team)
		gauge(overdue, float64(t.Overdue), t.Team)
		gauge(oldest, t.Oldest.Seconds(), t.Team)
	}
	if m.last.Acknowledged > 0 {
		gauge(acknowledged, m.last.AcknowledgeMedian.Seconds(), "0.5")
		gauge(acknowledged, m.last.AcknowledgeP90.Seconds(), "0.9")
	}
	total := map[string]int{}
	for _, o := range m.last.Outcomes {
		total[o.Outcome] += o.Count
	}
	for outcome, n := range total {
		ch <- prometheus.MustNewConstMetric(outcomes, prometheus.CounterValue, float64(n), outcome)
	}
	gauge(stackSize, float64(m.last.Stack))
	gauge(stackTasked, float64(m.last.Tasked))
	gauge(undelivered, float64(m.undelivered))
	gauge(teamsUntold, float64(len(m.last.Untold)))
	gauge(addressesUnmet, float64(len(m.last.Unmet)))
	gauge(ordersLate, float64(len(m.last.LateOrders)))
	gauge(unreadable, float64(m.last.Unreadable))
}

// serveMetrics listens for Prometheus until ctx ends. wait returns when nothing of it runs any more.
func serveMetrics(ctx context.Context, address string, st *store.Store) (_ net.Addr, wait func(), err error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, nil, err
	}
	m := &measures{store: st}
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		m,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	var running sync.WaitGroup
	running.Go(func() { m.refresh(ctx) })
	running.Go(func() {
		release := context.AfterFunc(ctx, func() { _ = server.Close() })
		defer release()
		if err := server.Serve(listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
			_ = listener.Close()
		}
	})
	return listener.Addr(), running.Wait, nil
}
