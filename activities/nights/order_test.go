package nights

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"

	"harmstack/activities/store"
	"harmstack/schemas"
	"harmstack/schemas/sweep"
)

// run is one night on its way. Its steps follow each other; those of several nights come in any order.
type run struct {
	id       schemas.NightID
	decision string
	previous *schemas.ManifestRef
	ref      schemas.ManifestRef
	approved bool
}

func (r *run) start(t *testing.T, st *store.Store) (err error) {
	if _, err = SupersedeOlder(t.Context(), st, r.id, noon); err == nil {
		r.previous, _, err = Baseline(t.Context(), st, r.id)
	}
	return err
}

func (r *run) publish(t *testing.T, st *store.Store) (err error) {
	r.ref, err = Publish(t.Context(), st, manifest(t, st, r.id, r.previous))
	return err
}

func (r *run) settle(t *testing.T, st *store.Store) error {
	_, err := Supersede(t.Context(), st, r.id, noon)
	return err
}

func (r *run) decide(_ *testing.T, st *store.Store) error {
	err := decide(st, r.ref, r.decision)
	r.approved = err == nil && r.decision == schemas.Approved
	if errors.Is(err, ErrDecided) || errors.Is(err, ErrStale) {
		return nil
	}
	return err
}

func (r *run) swap(t *testing.T, st *store.Store) error {
	if !r.approved {
		return nil
	}
	if err := SwapCurrent(t.Context(), st, r.id); !errors.Is(err, ErrOvertaken) {
		return err
	}
	return nil
}

type step func(r *run, t *testing.T, st *store.Store) error

// orders calls visit with every order in which n nights can take k steps each, as the night whose turn it is.
func orders(n, k int, visit func(order []int)) {
	taken := make([]int, n)
	order := make([]int, 0, n*k)
	var next func()
	next = func() {
		if len(order) == n*k {
			visit(order)
			return
		}
		for i := range n {
			if taken[i] < k {
				taken[i]++
				order = append(order, i)
				next()
				order = order[:len(order)-1]
				taken[i]--
			}
		}
	}
	next()
}

// Two nights step by step, and three in coarser steps, approved or held, in every order there is: of those of three
// nights a seventh unless the whole sweep is asked for, with other decisions another seventh.
func TestEveryOrder(t *testing.T) {
	calculate := step((*run).start)
	publish := step(func(r *run, t *testing.T, st *store.Store) error {
		return errors.Join(r.publish(t, st), r.settle(t, st))
	})
	decide := step(func(r *run, t *testing.T, st *store.Store) error {
		return errors.Join(r.decide(t, st), r.swap(t, st))
	})
	for _, c := range []struct {
		nights []string
		steps  []step
		orders int
	}{
		{[]string{"2026-06-30-r1", "2026-06-30-r2"}, []step{(*run).start, (*run).publish, (*run).settle, (*run).decide, (*run).swap}, 252},
		{[]string{"2026-06-29-r1", "2026-06-30-r1", "2026-06-30-r2"}, []step{calculate, publish, decide}, 1680},
	} {
		for decisions := range 1 << len(c.nights) {
			t.Run(fmt.Sprintf("%d nights, decisions %b", len(c.nights), decisions), func(t *testing.T) {
				t.Parallel()
				tried := 0
				orders(len(c.nights), len(c.steps), func(order []int) {
					if tried++; sweep.Whole() || tried%7 == decisions%7 || len(c.nights) == 2 {
						take(t, c.nights, c.steps, order, decisions)
					}
				})
				if tried != c.orders {
					t.Errorf("%d orders, want %d", tried, c.orders)
				}
			})
		}
	}
}

// take lets the nights step in one order; a set bit of decisions approves the night, an unset one holds it.
func take(t *testing.T, nights []string, steps []step, order []int, decisions int) {
	st, err := store.Open(t.Context(), "mem://")
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	runs := make([]*run, len(nights))
	for i, s := range nights {
		runs[i] = &run{id: night(s), decision: schemas.Held}
		if decisions>>i&1 == 1 {
			runs[i].decision = schemas.Approved
		}
	}
	next := make([]int, len(runs))
	var last schemas.NightID
	for _, i := range order {
		if err := steps[next[i]](runs[i], t, st); err != nil {
			t.Fatalf("order %v, step %d of %s: %v", order, next[i], runs[i].id, err)
		}
		next[i]++
		if now, err := LoadCurrent(t.Context(), st); err != nil {
			t.Fatal(err)
		} else if now != nil {
			if now.Manifest.NightID.Before(last) {
				t.Fatalf("order %v: current went back from %s", order, last)
			}
			last = now.Manifest.NightID
		}
	}
	if err := lawful(t, st, runs); err != nil {
		t.Fatalf("order %v: %v: %v", order, err, statuses(t, st))
	}
}

// The same with nights that really run at the same time.
func TestNightsAtTheSameTime(t *testing.T) {
	for range 40 {
		st := open(t, "mem://")
		runs := make([]*run, 6)
		var wg sync.WaitGroup
		for i := range runs {
			r := &run{id: schemas.NightID{AsOf: schemas.MustDate("2026-06-30"), Revision: i + 1}, decision: schemas.Approved}
			runs[i] = r
			wg.Go(func() {
				for _, s := range []step{(*run).start, (*run).publish, (*run).settle, (*run).decide, (*run).swap} {
					if err := s(r, t, st); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if err := lawful(t, st, runs); err != nil {
			t.Errorf("%v: %v", err, statuses(t, st))
		}
	}
}

// lawful tells whether the state that the nights ended in is one that the contract allows (section 2).
func lawful(t *testing.T, st *store.Store, runs []*run) error {
	nights, err := List(t.Context(), st)
	if err != nil {
		return err
	}
	if len(nights) != len(runs) {
		return fmt.Errorf("%d of %d nights are published", len(nights), len(runs))
	}
	var approved, pending *schemas.ManifestRef
	for i, n := range nights {
		m, ref, err := LoadManifest(t.Context(), st, n.ID)
		if err != nil {
			return err
		}
		switch {
		case n.Status == Pending && pending != nil:
			return fmt.Errorf("%s and %s are both pending", pending.NightID, n.ID)
		case n.Status == schemas.Approved && !reflect.DeepEqual(m.Previous, approved):
			return fmt.Errorf("%s was approved against %v, the last approved is %v", n.ID, m.Previous, approved)
		case n.Status == schemas.Approved && pending != nil:
			return fmt.Errorf("%s is pending below an approved night", pending.NightID)
		case n.Status == schemas.SupersededBy && i == len(nights)-1:
			return fmt.Errorf("nothing is newer than %s, which is superseded", n.ID)
		case runs[i].approved != (n.Status == schemas.Approved):
			return fmt.Errorf("%s is %s, its officer was told approved=%v", n.ID, n.Status, runs[i].approved)
		}
		switch n.Status {
		case Pending:
			pending = &ref
		case schemas.Approved:
			approved = &ref
		}
	}
	current, err := LoadCurrent(t.Context(), st)
	if err != nil {
		return err
	}
	if (current == nil) != (approved == nil) || current != nil && current.Manifest != *approved {
		return fmt.Errorf("current is %v, the last approved is %v", current, approved)
	}
	return nil
}
