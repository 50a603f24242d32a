package scoring

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"harmstack/schemas"
	"harmstack/schemas/reference"
)

// slowLeft counts a row that is kept and left out, by code and by borough.
func slowLeft(o Options, r *reading, row slowRow, d schemas.Disposition) {
	if !slices.Contains(strings.Fields("no_named_suspect intelligence_only police_detected victim_sex_unknown unscored_offence"), d.String()) {
		return
	}
	sex := reference.Female
	if is(row.VictimSex, "M") || is(row.VictimSex, "X") {
		sex = reference.OtherSex
	}
	w := o.Tables.Weigh(reference.Query{Code: *row.OffenceCode, Class: *orBlank(row.OffenceClass), URN: *orBlank(row.OffenceURN),
		Victim: sex, DomesticAbuse: row.DomesticAbuse != nil && *row.DomesticAbuse})
	if w.Verdict == reference.NotVAWG {
		return
	}
	place := "not given"
	if row.Borough != nil {
		place = "none of the boroughs"
		if slices.Contains(slices.Collect(maps.Values(slowBoroughs())), *row.Borough) {
			place = *row.Borough
		}
	}
	add := func(list *[]schemas.LeftOut, of string) {
		for i := range *list {
			if l := &(*list)[i]; l.Reason == d.String() && l.Of == of {
				l.Rows++
				l.Tenths += w.Tenths
				return
			}
		}
		*list = append(*list, schemas.LeftOut{Reason: d.String(), Of: of, Rows: 1, Tenths: w.Tenths})
		slices.SortFunc(*list, func(a, b schemas.LeftOut) int {
			return slices.Compare([]string{a.Reason, a.Of}, []string{b.Reason, b.Of})
		})
	}
	add(&r.facts.BlindSpot.ByCode, *row.OffenceCode)
	add(&r.facts.BlindSpot.ByBorough, place)
}

// Each row stands once by code and once by borough, and only what is or may be VAWG is missed.
func TestWhatIsLeftOut(t *testing.T) {
	change := func(id string, f func(*schemas.Offence)) schemas.Offence {
		return with(rape(id, "S1"), func(o *schemas.Offence) {
			o.OffenceCode, o.OffenceClass, o.OffenceURN, o.Borough = ptr("019/08"), ptr("19C"), nil, ptr("Hackney")
			f(o)
		})
	}
	rows := []schemas.Offence{
		rape("A0", "S1"),
		change("A1", func(o *schemas.Offence) { o.SuspectID = ptr("unknown male") }),
		change("A2", func(o *schemas.Offence) { o.SuspectID, o.Borough = nil, nil }),
		change("A3", func(o *schemas.Offence) { o.Source = ptr("intelligence") }),
		change("A4", func(o *schemas.Offence) { o.Source, o.Borough = ptr("police_detected"), ptr("Somewhere") }),
		change("A5", func(o *schemas.Offence) { o.SuspectID, o.OffenceCode, o.OffenceClass = nil, ptr("130/01"), nil }), // a car: none of this
		change("A6", func(o *schemas.Offence) { o.SuspectID, o.ReportedAt = nil, at("2020-01-01T12:00:00Z") }),          // outside the window
		change("A7", func(o *schemas.Offence) { o.Outcome = ptr("no_crime") }),                                          // rightly out
		change("A8", func(o *schemas.Offence) { o.OffenceCode, o.OffenceClass = ptr("008/78"), nil }),                   // the supplement has no days for it
	}
	s := score(t, rows)
	lines := func(list []schemas.LeftOut) string {
		var all []string
		for _, l := range list {
			all = append(all, fmt.Sprintf("%s, %s: %d of %d", l.Reason, l.Of, l.Rows, l.Tenths))
		}
		return strings.Join(all, "\n")
	}
	wantCode := `intelligence_only, 019/08: 1 of 18250
no_named_suspect, 019/08: 2 of 36500
police_detected, 019/08: 1 of 18250
unscored_offence, 008/78: 1 of 0`
	wantBorough := `intelligence_only, Hackney: 1 of 18250
no_named_suspect, Hackney: 1 of 18250
no_named_suspect, not given: 1 of 18250
police_detected, none of the boroughs: 1 of 18250
unscored_offence, Hackney: 1 of 0`
	if b := s.Facts.BlindSpot; lines(b.ByCode) != wantCode || lines(b.ByBorough) != wantBorough {
		t.Errorf("got\n%s\n%s\nwant\n%s\n%s", lines(b.ByCode), lines(b.ByBorough), wantCode, wantBorough)
	}
}
