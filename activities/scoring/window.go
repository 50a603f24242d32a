package scoring

import (
	"time"

	"harmstack/schemas"
)

// window tells the age of a report in London days without a calendar: it compares with the instants at
// which the days of the window began (section 2).
type window struct {
	end    int64   // the first instant after as_of
	starts []int64 // starts[age]: the first instant of the day of that age
}

func newWindow(asOf schemas.Date, days int) window {
	w := window{end: asOf.AddDays(1).Start().UnixMicro(), starts: make([]int64, days)}
	for age := range w.starts {
		w.starts[age] = asOf.AddDays(-age).Start().UnixMicro()
	}
	return w
}

// of is schemas.Scored for a report in the window.
func (w *window) of(reported int64) schemas.Disposition {
	switch {
	case reported >= w.end:
		return schemas.AfterAsOf
	case reported < w.starts[len(w.starts)-1]:
		return schemas.OutsideWindow
	}
	return schemas.Scored
}

// age is the age in days of a report in the window.
func (w *window) age(reported int64) uint32 {
	// A day is 23, 24 or 25 hours long, so the guess is at most one day off.
	age := min(int((w.end-1-reported)/(24*time.Hour).Microseconds()), len(w.starts)-1)
	for reported < w.starts[age] {
		age++
	}
	for age > 0 && reported >= w.starts[age-1] {
		age--
	}
	return uint32(age)
}
