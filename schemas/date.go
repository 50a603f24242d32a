package schemas

import (
	"fmt"
	"time"
	_ "time/tzdata" // London dates must not depend on the machine's zone files.
)

// DateLayout is how a date is written everywhere: in requests, paths, ids and files.
const DateLayout = "2006-01-02"

// London is the zone in which a business date begins and ends.
var London = mustLondon()

func mustLondon() *time.Location {
	loc, err := time.LoadLocation("Europe/London")
	if err != nil {
		panic(err) // The zone is compiled in; only a broken build gets here.
	}
	return loc
}

// Date is a calendar date in London. The zero Date means "not given".
type Date struct{ utc time.Time }

// ParseDate reads a date as YYYY-MM-DD.
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(DateLayout, s)
	if err != nil {
		return Date{}, fmt.Errorf("date %q is not a calendar date written YYYY-MM-DD", s)
	}
	return Date{t}, nil
}

// MustDate is ParseDate for constants and tests; it panics on a bad date.
func MustDate(s string) Date {
	d, err := ParseDate(s)
	if err != nil {
		panic(err)
	}
	return d
}

// LondonDate is the calendar date in London at the instant t.
func LondonDate(t time.Time) Date {
	y, m, d := t.In(London).Date()
	return Date{time.Date(y, m, d, 0, 0, 0, 0, time.UTC)}
}

// IsZero tells whether no date was given.
func (d Date) IsZero() bool { return d.utc.IsZero() }

// String writes YYYY-MM-DD, or nothing for the zero Date.
func (d Date) String() string {
	if d.IsZero() {
		return ""
	}
	return d.utc.Format(DateLayout)
}

// AddDays moves by whole calendar days.
func (d Date) AddDays(n int) Date { return Date{d.utc.AddDate(0, 0, n)} }

// AddYears is the same day so many years later; 29 February becomes 1 March where there is none.
func (d Date) AddYears(n int) Date { return Date{d.utc.AddDate(n, 0, 0)} }

// DaysSince counts the calendar days from o to d; the clock changes do not matter.
func (d Date) DaysSince(o Date) int { return int(d.utc.Sub(o.utc) / (24 * time.Hour)) }

// Before tells whether d is earlier than o.
func (d Date) Before(o Date) bool { return d.utc.Before(o.utc) }

// LastFullDay is the newest date for which a night may be made at an instant: yesterday in London (contract, section
// 2).
func LastFullDay(now time.Time) Date { return LondonDate(now).AddDays(-1) }

// CheckAsOf refuses the date of a night that is later than the last full day: such a night would supersede every real
// one.
func CheckAsOf(asOf Date, now time.Time) error {
	if last := LastFullDay(now); last.Before(asOf) {
		return fmt.Errorf(
			"the night of %s is of the future: the last full day in London is %s, give that or an earlier one",
			asOf,
			last,
		)
	}
	return nil
}

// Start is the instant at which the date begins in London.
func (d Date) Start() time.Time {
	y, m, day := d.utc.Date()
	return time.Date(y, m, day, 0, 0, 0, 0, London)
}

// MarshalText writes YYYY-MM-DD, and an empty text for the zero Date.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads YYYY-MM-DD; an empty text is the zero Date.
func (d *Date) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*d = Date{}
		return nil
	}
	parsed, err := ParseDate(string(text))
	if err == nil {
		*d = parsed
	}
	return err
}
