package scoring

import (
	"fmt"
	"math"
	"time"

	"harmstack/schemas"
)

// window tells the age of a report in London days without a calendar: it compares with the instants at
// which the days of the window began (section 2).
type window struct {
	asOf   schemas.Date
	end    int64   // the first instant after as_of
	starts []int64 // starts[age]: the first instant of the day of that age
	years  []int64 // the first instant of each year from firstYear on
}

func newWindow(asOf schemas.Date, days int) window {
	w := window{asOf: asOf, end: asOf.AddDays(1).Start().UnixMicro(), starts: make([]int64, days)}
	for age := range w.starts {
		w.starts[age] = asOf.AddDays(-age).Start().UnixMicro()
	}
	for year := firstYear; year <= lastYear; year++ {
		w.years = append(w.years, schemas.MustDate(fmt.Sprintf("%d-01-01", year)).Start().UnixMicro())
	}
	return w
}

// The years that a valid timestamp can be of, in London.
const (
	firstYear = 1899
	lastYear  = 2201
)

// year is the London year of a valid timestamp.
func (w *window) year(t int64) int {
	at := min(max(int((t-w.years[0])/(365*day+day/4)), 0), len(w.years)-1) // at most one off
	for at+1 < len(w.years) && t >= w.years[at+1] {
		at++
	}
	for at > 0 && t < w.years[at] {
		at--
	}
	return firstYear + at
}

// day is about as long as one in microseconds.
const day = 24 * 3_600_000_000

// neverMinor is what minorBefore says of an age by which nobody was under age in the window.
const neverMinor = math.MaxInt32

// minorBefore is how many days before as_of somebody came of age, or will when it is negative, at the latest: they were
// of that age on the day of a report, and as young as that allows, for it may have been their birthday (section 4, rule
// 12).
func (w *window) minorBefore(reported int64, age uint8) int32 {
	if age == noAge {
		return neverMinor
	}
	years := int(schemas.AdultAge) - int(age)
	most := years * 366
	if years < 0 {
		most = years * 365
	}
	if reported+int64(most+2)*day < w.starts[len(w.starts)-1] { // nearly all: a calendar is slow
		return neverMinor
	}
	adult := schemas.LondonDate(time.UnixMicro(reported)).AddYears(years)
	return int32(w.asOf.DaysSince(adult))
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
