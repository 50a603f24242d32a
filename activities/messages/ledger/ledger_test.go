package ledger

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"harmstack/activities/store"
)

var (
	errPassing = errors.New("try again")
	errFinal   = errors.New("never")
)

func final(err error) bool { return errors.Is(err, errFinal) }

// TestDeliver sends one message again and again; what the other side does is told by outcomes.
func TestDeliver(t *testing.T) {
	for _, c := range []struct {
		scenario string
		outcomes []error
		attempts int
		state    string
		open     int
	}{
		{"sent", []error{nil}, 1, Sent, 0},
		{"sent, and asked for again", []error{nil, nil, nil}, 1, Sent, 0},
		{"sent at the third attempt", []error{errPassing, errPassing, nil, nil}, 3, Sent, 0},
		{"not yet", []error{errPassing}, 1, Begun, 1},
		{"refused", []error{errFinal}, 1, Refused, 1},
		{"refused, until it was mended", []error{errFinal, errFinal, nil, nil}, 3, Sent, 0},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			st, err := store.Open(t.Context(), t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer st.Close()
			clock := time.Date(2026, 7, 6, 9, 0, 0, 0, time.UTC)
			now := func() time.Time { clock = clock.Add(time.Second); return clock }
			attempts := 0
			for _, outcome := range c.outcomes {
				tried := false
				d, err := Deliver(t.Context(), st, Entry{ID: "m1", Channel: Mail, Team: "Hackney", Kind: "digest", Subject: "night"}, now,
					func(func(string) bool) ([]string, error) { tried = true; attempts++; return nil, outcome }, final)
				if tried && (!errors.Is(err, outcome) || d.Sent != (outcome == nil)) || !tried && (d.Sent || err != nil) {
					t.Errorf("sent %v, %v after %v", d.Sent, err, outcome)
				}
			}
			entries, err := Read(t.Context(), st)
			if err != nil || len(entries) != 1 || attempts != c.attempts {
				t.Fatalf("%+v, %v after %d attempts", entries, err, attempts)
			}
			e := entries[0]
			if e.State != c.state || !e.Begun.Equal(time.Date(2026, 7, 6, 9, 0, 1, 0, time.UTC)) || (e.State != Begun) != e.Ended.After(e.Begun) || (e.State == Refused) != (e.Why == "never") {
				t.Errorf("%+v", e)
			}
			if open, err := Open(t.Context(), st); err != nil || open != c.open {
				t.Errorf("%d open, %v", open, err)
			}
		})
	}
}

func TestTwoAtOnce(t *testing.T) {
	st, err := store.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	var wg sync.WaitGroup
	for range 8 {
		for _, id := range []string{"m1", "m2"} {
			wg.Go(func() {
				if _, err := Deliver(context.Background(), st, Entry{ID: id}, time.Now, func(func(string) bool) ([]string, error) { return nil, nil }, final); err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	if entries, err := Read(t.Context(), st); err != nil || len(entries) != 2 || entries[0].State != Sent || entries[1].State != Sent {
		t.Errorf("%+v, %v", entries, err)
	}
}

// What was sent is noted until that succeeds, and then no more.
func TestNote(t *testing.T) {
	st, err := store.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	noted := 0
	for _, outcome := range []error{errPassing, nil, nil} {
		if err := Note(t.Context(), st, Entry{ID: "m1"}, func(string) error { noted++; return outcome }); err != nil && !errors.Is(err, outcome) {
			t.Error(err)
		}
	}
	if err := Note(t.Context(), st, Entry{ID: "m2"}, func(string) error { noted++; return nil }); err != nil || noted != 3 {
		t.Errorf("noted %d times, %v", noted, err)
	}
	if entries, err := Read(t.Context(), st); err != nil || len(entries) != 0 {
		t.Errorf("%+v, %v", entries, err)
	}
}

// partly is what a mailer says when some addresses did not take a message.
type partly map[string]error

func (p partly) Error() string           { return "not to all" }
func (p partly) Unmet() map[string]error { return p }

// Each attempt offers the message to those who are not settled; outcomes are by address, what is missing is taken.
func TestSomeAddresses(t *testing.T) {
	for _, c := range []struct {
		scenario string
		attempts []partly // nil: all are taken
		offered  []string // at each attempt
		states   string   // at the end
		left     int      // messages that some address has not
	}{
		{"all take it", []partly{nil, nil}, []string{"a b c"}, "sent sent sent", 0},
		{"one is refused for good, and never asked again", []partly{{"b": errFinal}, nil}, []string{"a b c"}, "sent refused sent", 1},
		{"one takes it at the third attempt", []partly{{"b": errPassing}, {"b": errPassing}, nil, nil}, []string{"a b c", "b", "b"}, "sent sent sent", 0},
		{"one will after all never take it", []partly{{"c": errPassing}, {"c": errFinal}, nil}, []string{"a b c", "c"}, "sent sent refused", 1},
		{"one waits, one is refused", []partly{{"a": errFinal, "c": errPassing}}, []string{"a b c"}, "refused sent waiting", 1},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			t.Parallel()
			st, err := store.Open(t.Context(), t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer st.Close()
			noon := time.Date(2026, 7, 6, 12, 0, 0, 0, time.UTC)
			var offered []string
			for i, outcome := range c.attempts {
				d, err := Deliver(t.Context(), st, Entry{ID: "m1", Team: "Westminster"}, func() time.Time { return noon.AddDate(0, 0, i) },
					func(settled func(string) bool) ([]string, error) {
						var to []string
						for _, a := range []string{"a", "b", "c"} {
							if !settled(a) {
								to = append(to, a)
							}
						}
						offered = append(offered, strings.Join(to, " "))
						if outcome == nil {
							return to, nil
						}
						return to, outcome
					}, final)
				if err != nil || d.Entry.State != Sent {
					t.Fatalf("attempt %d: %+v, %v", i, d, err)
				}
			}
			if !slices.Equal(offered, c.offered) {
				t.Errorf("offered to %q, want %q", offered, c.offered)
			}
			entries, err := Read(t.Context(), st)
			if err != nil || len(entries) != 1 || entries[0].State != Sent {
				t.Fatalf("%+v, %v", entries, err)
			}
			states := map[string]string{}
			for _, r := range entries[0].Recipients {
				states[r.Address] = r.State
				if (r.State == Sent) != (r.Why == "") || len(r.Address) != 32 {
					t.Errorf("%+v", r)
				}
			}
			if got := states[hidden("m1", "a")] + " " + states[hidden("m1", "b")] + " " + states[hidden("m1", "c")]; got != c.states {
				t.Errorf("%s, want %s", got, c.states)
			}
			left, err := Partly(t.Context(), st, noon, noon.AddDate(0, 0, 3))
			if err != nil || len(left) != c.left {
				t.Errorf("%d messages are left, %v", len(left), err)
			}
			if open, err := Open(t.Context(), st); err != nil || open != 0 {
				t.Errorf("%d open, %v", open, err)
			}
		})
	}
}

// Two attempts at one message at once, each of which reached others: whichever writes last, what the other knows stays.
func TestAttemptsAtOnceKeepWhatEachKnows(t *testing.T) {
	for scenario, c := range map[string]struct {
		before, slow, other partly // what each attempt does not reach; before nil: none came before
		states              string
		files               int
	}{
		"the second time, the other reached more": {
			partly{"b": errPassing, "c": errPassing}, partly{"c": errPassing}, partly{}, "sent sent sent", 2},
		"the second time, each reached another": {
			partly{"b": errPassing, "c": errPassing}, partly{"c": errPassing}, partly{"b": errPassing}, "sent sent sent", 3},
		"the second time, one is refused where the other was let in": {
			partly{"b": errPassing, "c": errPassing}, partly{"b": errFinal, "c": errPassing}, partly{"c": errPassing}, "sent sent waiting", 2},
		"the first time, the other reached all": {nil, partly{"b": errPassing}, partly{}, "sent sent sent", 0},
		"the first time, each reached another":  {nil, partly{"b": errPassing}, partly{"c": errPassing}, "sent sent sent", 2},
		"the first time, the slow one reached all": {
			nil, partly{}, partly{"b": errPassing}, "sent sent sent", 2},
	} {
		t.Run(scenario, func(t *testing.T) {
			st, err := store.Open(t.Context(), t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer st.Close()
			noon := time.Date(2026, 7, 6, 12, 0, 0, 0, time.UTC)
			attempt := func(outcome partly, meanwhile func()) {
				_, err := Deliver(t.Context(), st, Entry{ID: "m1", Team: "Westminster"}, func() time.Time { return noon },
					func(settled func(string) bool) (to []string, err error) {
						for _, a := range []string{"a", "b", "c"} {
							if !settled(a) {
								to = append(to, a)
							}
						}
						meanwhile()
						if len(outcome) > 0 {
							err = outcome
						}
						return to, err
					}, final)
				if err != nil {
					t.Error(err)
				}
			}
			if c.before != nil {
				attempt(c.before, func() {})
			}
			attempt(c.slow, func() { attempt(c.other, func() {}) })
			entries, err := Read(t.Context(), st)
			if err != nil || len(entries) != 1 {
				t.Fatalf("%+v, %v", entries, err)
			}
			states := map[string]string{}
			for _, r := range entries[0].Recipients {
				states[r.Address] = r.State
			}
			if got := states[hidden("m1", "a")] + " " + states[hidden("m1", "b")] + " " + states[hidden("m1", "c")]; got != c.states {
				t.Errorf("%s, want %s", got, c.states)
			}
			left, err := Partly(t.Context(), st, noon, noon)
			if (len(left) > 0) != strings.Contains(c.states, Waiting) || err != nil {
				t.Errorf("%+v are left, %v", left, err)
			}
			again, err := Find(t.Context(), st, "m1")
			if err != nil || !slices.Equal(again.Recipients, entries[0].Recipients) {
				t.Errorf("found %+v, %v", again, err)
			}
			if keys, err := st.List(t.Context(), partlyFolder); err != nil || len(keys) != c.files {
				t.Errorf("%q, %v", keys, err)
			}
		})
	}
}
