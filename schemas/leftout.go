package schemas

import (
	"cmp"
	"slices"
)

// LeftOut counts the rows that were kept, are or may be violence against women and girls, and add to nobody's score for
// one reason; of one offence code or one borough. It tells where a night is blind.
type LeftOut struct {
	// Reason is the rows' disposition: no_named_suspect, intelligence_only, police_detected, victim_sex_unknown or
	// unscored_offence.
	Reason string `json:"reason"`
	// Of is the offence code; or the borough, BoroughNotGiven or BoroughNotKnown.
	Of   string `json:"of"`
	Rows int64  `json:"rows"`
	// Tenths is their harm in tenths of a day, without what no single weight follows for; a victim of unknown sex is
	// taken as female.
	Tenths int64 `json:"harm_tenths"`
}

// Places of rows that are in none of the boroughs. What was given is not repeated: it may be anything.
const (
	BoroughNotGiven = "not given"
	BoroughNotKnown = "none of the boroughs"
)

// BlindSpot is what a night leaves out, by offence code and by borough: each row stands once in either.
type BlindSpot struct {
	ByCode    []LeftOut `json:"by_code,omitempty"`
	ByBorough []LeftOut `json:"by_borough,omitempty"`
	// Enter is who would enter the stack if what is left out counted, by reason; nil: a night of an older build did not
	// ask.
	Enter []WouldEnter `json:"would_enter,omitempty"`
}

// WouldEnter counts who would be on the stack, or beside it, and is not, if the rows that were left out for one reason
// counted: every victim whose sex nobody says as female, every offence without a single weight at the least that it may
// have.
type WouldEnter struct {
	// Reason is as in LeftOut. Nobody can enter by rows that name no suspect: those have no such count.
	Reason   string `json:"reason"`
	Suspects int64  `json:"suspects"`
	// NotCounted is why they could not be counted; empty: they were. The night stands all the same.
	NotCounted string `json:"not_counted,omitempty"`
}

// WouldEnter is how many would enter if what is left out for one reason counted; ok is false when nobody asked, or they
// could not be counted.
func (b BlindSpot) WouldEnter(reason string) (suspects int64, ok bool) {
	for _, e := range b.Enter {
		if e.Reason == reason {
			return e.Suspects, e.NotCounted == ""
		}
	}
	return 0, false
}

// Add adds what another part of the night leaves out.
func (b *BlindSpot) Add(o BlindSpot) {
	b.ByCode, b.ByBorough = addLeftOut(b.ByCode, o.ByCode), addLeftOut(b.ByBorough, o.ByBorough)
}

// Sum is all that is left out for one reason.
func (b BlindSpot) Sum(reason string) (sum LeftOut) {
	sum.Reason = reason
	for _, l := range b.ByCode {
		if l.Reason == reason {
			sum.Rows += l.Rows
			sum.Tenths += l.Tenths
		}
	}
	return sum
}

// addLeftOut adds up what is of one reason and one code or borough, in the order of their names.
func addLeftOut(a, b []LeftOut) (sum []LeftOut) {
	all := slices.Concat(a, b)
	slices.SortFunc(all, func(a, b LeftOut) int {
		return cmp.Or(cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Of, b.Of))
	})
	for _, l := range all {
		if n := len(sum) - 1; n >= 0 && sum[n].Reason == l.Reason && sum[n].Of == l.Of {
			sum[n].Rows += l.Rows
			sum[n].Tenths += l.Tenths
			continue
		}
		sum = append(sum, l)
	}
	return sum
}

// MissingField is the column whose value would have let rows of a disposition count; empty: none would.
func MissingField(reason string) string {
	switch reason {
	case NoNamedSuspect.String():
		return Offences[SuspectID].Name
	case VictimSexUnknown.String():
		return Offences[VictimSex].Name
	case UnscoredOffence.String():
		return Offences[OffenceClass].Name
	}
	return ""
}
