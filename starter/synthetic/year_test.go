package synthetic

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"testing"

	"golang.org/x/sync/errgroup"

	"harmstack/activities/extract"
	"harmstack/activities/scoring"
	"harmstack/schemas"
	"harmstack/schemas/reference"
)

// standing is somebody's place on one night.
type standing struct {
	position    int // among those who are not in custody; of who is, the place that they would take
	isContained bool
}

// standings are the first of a night by rule set vawg-v2 and model rfs-v2, to a depth.
func standings(ctx context.Context, night schemas.Date, depth int) (map[string]standing, error) {
	var file bytes.Buffer
	if _, err := Write(ctx, &file, Options{AsOf: night, Suspects: DefaultSuspects, Seed: 1}); err != nil {
		return nil, err
	}
	f, err := extract.Open(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		return nil, err
	}
	tables, err := reference.LoadPaths(reference.Paths{Rules: "vawg-v2"})
	if err != nil {
		return nil, err
	}
	model, err := schemas.LoadModel("rfs-v2")
	if err != nil {
		return nil, err
	}
	e, err := scoring.New(scoring.Options{AsOf: night, Tables: tables, Model: model})
	if err != nil {
		return nil, err
	}
	defer e.Close()
	if err := f.Scan(ctx, 1, 0, func() extract.Sink { return e.NewIngester() }, nil); err != nil {
		return nil, err
	}
	s, err := e.Finish(ctx, 1)
	if err != nil {
		return nil, err
	}
	all, free := map[string]standing{}, 0
	return all, s.Ranking(ctx, func(rows []schemas.Ranked) error {
		for _, r := range rows {
			if free >= depth {
				return nil
			}
			isContained := r.Lane == schemas.LaneContained
			all[r.SuspectID] = standing{free + 1, isContained}
			if !isContained {
				free++
			}
		}
		return nil
	})
}

// taskings follow who is tasked under one setting (contract, section 8).
type taskings struct {
	standDown int  // tasked until below this position
	isMonthly bool // new taskings on the first night of a month only
	who       map[string]bool
	isInside  map[string]bool // who of them was in custody the night before
	count                     // of a month
}

type count struct{ entered, left, released int }

func (t *taskings) night(all map[string]standing, isFirst, isFirstOfMonth bool) {
	for id := range t.who {
		if s, is := all[id]; !is || s.position > t.standDown {
			delete(t.who, id)
			t.left++
		}
	}
	for id, s := range all {
		if s.position <= 100 && !t.who[id] && (isFirst || isFirstOfMonth || !t.isMonthly) {
			t.who[id] = true
			t.entered++
		}
	}
	inside := map[string]bool{}
	for id := range t.who {
		inside[id] = all[id].isContained
		if t.isInside[id] && !inside[id] {
			t.released++
		}
	}
	t.isInside = inside
}

// BenchmarkNights makes each night of a year from one seed and counts who is newly tasked, month by month, under
// three settings: nightly until below 100, nightly until below 120, monthly until below 100. It prints the table of
// deploy/docs/operate.md, and takes some minutes:
//
//	go test ./starter/synthetic -run '^$' -bench Nights -benchtime 1x -timeout 2h
func BenchmarkNights(b *testing.B) {
	for range b.N {
		settings := []*taskings{{standDown: 100}, {standDown: 120}, {standDown: 100, isMonthly: true}}
		for _, t := range settings {
			t.who = map[string]bool{}
		}
		whole, months := make([]count, len(settings)), 0
		tasked := make([]int, len(settings)) // at the ends of the months
		fmt.Print("\n| month | nightly, 100: new, left, released | nightly, 120 | monthly, 100 |\n|---|---|---|---|\n")
		first, last := schemas.MustDate("2025-06-30"), schemas.MustDate("2026-06-30")
		nights := make([]map[string]standing, last.DaysSince(first)+1)
		g, ctx := errgroup.WithContext(b.Context())
		g.SetLimit(runtime.GOMAXPROCS(0))
		for i := range nights {
			g.Go(func() (err error) {
				nights[i], err = standings(ctx, first.AddDays(i), 120)
				return err
			})
		}
		if err := g.Wait(); err != nil {
			b.Fatal(err)
		}
		for i, all := range nights {
			night := first.AddDays(i)
			isFirstOfMonth := !inOneMonth(night, night.AddDays(-1))
			for _, t := range settings {
				t.night(all, i == 0, isFirstOfMonth)
				if i == 0 {
					t.count = count{} // whoever is on the first stack did not come
				}
			}
			if i == 0 || inOneMonth(night, night.AddDays(1)) {
				continue
			}
			months++
			fmt.Printf("| %.7s |", night)
			for i, t := range settings {
				fmt.Printf(" %d, %d, %d |", t.entered, t.left, t.released)
				sum := &whole[i]
				sum.entered, sum.left, sum.released = sum.entered+t.entered, sum.left+t.left, sum.released+t.released
				tasked[i] += len(t.who)
				t.count = count{}
			}
			fmt.Println()
		}
		fmt.Printf("| all |")
		for _, y := range whole {
			fmt.Printf(" %d, %d, %d |", y.entered, y.left, y.released)
		}
		fmt.Print("\n| tasked at the end of a month |")
		for _, n := range tasked {
			fmt.Printf(" %d |", n/months)
		}
		fmt.Println()
	}
}

func inOneMonth(a, b schemas.Date) bool {
	return a.String()[:len("2026-06")] == b.String()[:len("2026-06")]
}
