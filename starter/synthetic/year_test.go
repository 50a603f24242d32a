package synthetic

import (
	"bytes"
	"fmt"
	"testing"

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
func standings(b *testing.B, night schemas.Date, depth int) map[string]standing {
	b.Helper()
	var file bytes.Buffer
	if _, err := Write(b.Context(), &file, Options{AsOf: night, Suspects: DefaultSuspects, Seed: 1}); err != nil {
		b.Fatal(err)
	}
	f, err := extract.Open(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		b.Fatal(err)
	}
	tables, err := reference.LoadPaths(reference.Paths{Rules: "vawg-v2"})
	if err != nil {
		b.Fatal(err)
	}
	model, err := schemas.LoadModel("rfs-v2")
	if err != nil {
		b.Fatal(err)
	}
	e, err := scoring.New(scoring.Options{AsOf: night, Tables: tables, Model: model})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	if err := f.Scan(b.Context(), 2, 0, func() extract.Sink { return e.NewIngester() }, nil); err != nil {
		b.Fatal(err)
	}
	s, err := e.Finish(b.Context(), 2)
	if err != nil {
		b.Fatal(err)
	}
	all, free := map[string]standing{}, 0
	err = s.Ranking(b.Context(), func(rows []schemas.Ranked) error {
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
	if err != nil {
		b.Fatal(err)
	}
	return all
}

// tasked follows who is tasked under one setting (contract, section 8).
type tasked struct {
	standDown int  // tasked until below this position
	isMonthly bool // new taskings on the first night of a month only
	who       map[string]bool
	isInside  map[string]bool // who of them was in custody the night before
	count                     // of a month
}

type count struct{ entered, left, released int }

func (t *tasked) night(all map[string]standing, isFirst, isFirstOfMonth bool) {
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

// BenchmarkYearOfNights makes each night of a year from one seed and counts who is newly tasked, month by month, under
// three settings: nightly until below 100, nightly until below 120, monthly until below 100. It prints the table of
// deploy/docs/operate.md, and takes some ten minutes:
//
//	go test ./starter/synthetic -run '^$' -bench YearOfNights -benchtime 1x -timeout 2h
func BenchmarkYearOfNights(b *testing.B) {
	for range b.N {
		settings := []*tasked{{standDown: 100}, {standDown: 120}, {standDown: 100, isMonthly: true}}
		for _, t := range settings {
			t.who = map[string]bool{}
		}
		year := make([]count, len(settings))
		fmt.Print("\n| month | nightly, 100: new, left, released | nightly, 120 | monthly, 100 |\n|---|---|---|---|\n")
		first, last := schemas.MustDate("2025-06-30"), schemas.MustDate("2026-06-30")
		monthOf := func(night schemas.Date) string { return night.String()[:len("2026-06")] }
		for night := first; !last.Before(night); night = night.AddDays(1) {
			all := standings(b, night, 120)
			for _, t := range settings {
				t.night(all, night == first, monthOf(night) != monthOf(night.AddDays(-1)))
				if night == first {
					t.count = count{} // whoever is on the first stack did not come
				}
			}
			if night == first || monthOf(night) == monthOf(night.AddDays(1)) {
				continue
			}
			fmt.Printf("| %s |", monthOf(night))
			for i, t := range settings {
				fmt.Printf(" %d, %d, %d |", t.entered, t.left, t.released)
				year[i].entered, year[i].left, year[i].released = year[i].entered+t.entered, year[i].left+t.left, year[i].released+t.released
				t.count = count{}
			}
			fmt.Printf(" (%d, %d, %d tasked)\n", len(settings[0].who), len(settings[1].who), len(settings[2].who))
		}
		fmt.Printf("| year |")
		for _, y := range year {
			fmt.Printf(" %d, %d, %d |", y.entered, y.left, y.released)
		}
		fmt.Println()
	}
}
