package scoring

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v16/arrow/memory"

	"harmstack/schemas"
)

// with changes a row.
func with(o schemas.Offence, change func(*schemas.Offence)) schemas.Offence {
	change(&o)
	return o
}

// Each disposition, first where it applies alone and then where an earlier rule comes first.
func TestDispositions(t *testing.T) {
	row := rape("A1", "S1")
	aged := func(id string, age int32, reported string) schemas.Offence {
		return with(rape(id, "S1"), func(o *schemas.Offence) { o.SuspectAge, o.ReportedAt = &age, at(reported) })
	}
	for _, c := range []struct {
		scenario string
		rows     []schemas.Offence
		want     map[schemas.Disposition]int64
	}{
		{"scored", []schemas.Offence{row}, map[schemas.Disposition]int64{schemas.Scored: 1}},
		{"no allegation id", []schemas.Offence{with(row, func(o *schemas.Offence) { o.AllegationID = nil })}, map[schemas.Disposition]int64{schemas.Quarantined: 1}},
		{"a blank report id", []schemas.Offence{with(row, func(o *schemas.Offence) { o.ReportID = ptr("\u00a0 ") })}, map[schemas.Disposition]int64{schemas.Quarantined: 1}},
		{"an enum in another case", []schemas.Offence{with(row, func(o *schemas.Offence) { o.Source = ptr("Victim") })}, map[schemas.Disposition]int64{schemas.Quarantined: 1}},
		{"no UTF-8 in a column that may be null", []schemas.Offence{with(row, func(o *schemas.Offence) { o.OffenceURN = ptr("\xff") })}, map[schemas.Disposition]int64{schemas.Scored: 1}},
		{"no UTF-8 in one that may not", []schemas.Offence{with(row, func(o *schemas.Offence) { o.ReportID = ptr("\xff") })}, map[schemas.Disposition]int64{schemas.Quarantined: 1}},
		{"a suspect that is no UTF-8 is none", []schemas.Offence{with(row, func(o *schemas.Offence) { o.SuspectID = ptr("S\xff") })}, map[schemas.Disposition]int64{schemas.NoNamedSuspect: 1}},
		{"reported before 1900", []schemas.Offence{with(row, func(o *schemas.Offence) { o.ReportedAt = ptr(schemas.MinTimestamp - 1) })}, map[schemas.Disposition]int64{schemas.Quarantined: 1}},
		{"committed before 1900", []schemas.Offence{with(row, func(o *schemas.Offence) { o.CommittedAt = ptr(schemas.MinTimestamp - 1) })}, map[schemas.Disposition]int64{schemas.Scored: 1}},
		{"committed in 1900", []schemas.Offence{with(row, func(o *schemas.Offence) { o.CommittedAt = ptr(schemas.MinTimestamp) })}, map[schemas.Disposition]int64{schemas.Scored: 1}},
		{"a later version", []schemas.Offence{row, with(row, func(o *schemas.Offence) { o.UpdatedAt = at("2026-06-30T14:00:00Z"); o.Outcome = ptr("no_crime") })},
			map[schemas.Disposition]int64{schemas.Superseded: 1, schemas.Cleared: 1}},
		{"a quarantined version supersedes nothing", []schemas.Offence{row, with(row, func(o *schemas.Offence) { o.UpdatedAt = at("2026-06-30T14:00:00Z"); o.Outcome = ptr("lost") })},
			map[schemas.Disposition]int64{schemas.Quarantined: 1, schemas.Scored: 1}},
		{"the same row three times", []schemas.Offence{row, row, row}, map[schemas.Disposition]int64{schemas.Duplicate: 2, schemas.Scored: 1}},
		{"after as_of", []schemas.Offence{with(row, func(o *schemas.Offence) { o.ReportedAt = at("2026-06-30T23:00:00Z") })}, map[schemas.Disposition]int64{schemas.AfterAsOf: 1}},
		{"the last microsecond of as_of, in summer time", []schemas.Offence{with(row, func(o *schemas.Offence) { o.ReportedAt = ptr(*at("2026-06-30T23:00:00Z") - 1) })}, map[schemas.Disposition]int64{schemas.Scored: 1}},
		{"364 days old", []schemas.Offence{with(row, func(o *schemas.Offence) { o.ReportedAt = at("2025-06-30T23:00:00Z") })}, map[schemas.Disposition]int64{schemas.Scored: 1}},
		{"365 days old by a microsecond", []schemas.Offence{with(row, func(o *schemas.Offence) { o.ReportedAt = ptr(*at("2025-06-30T23:00:00Z") - 1) })}, map[schemas.Disposition]int64{schemas.OutsideWindow: 1}},
		{"a placeholder", []schemas.Offence{with(row, func(o *schemas.Offence) { o.SuspectID = ptr(" Not  Known") })}, map[schemas.Disposition]int64{schemas.NoNamedSuspect: 1}},
		{"what begins like one", []schemas.Offence{with(row, func(o *schemas.Offence) { o.SuspectID = ptr("UNKNOWN MALE 2") })}, map[schemas.Disposition]int64{schemas.NoNamedSuspect: 1}},
		{"zeros alone", []schemas.Offence{with(row, func(o *schemas.Offence) { o.SuspectID = ptr("0000") })}, map[schemas.Disposition]int64{schemas.NoNamedSuspect: 1}},
		{"nines alone", []schemas.Offence{with(row, func(o *schemas.Offence) { o.SuspectID = ptr("999") })}, map[schemas.Disposition]int64{schemas.NoNamedSuspect: 1}},
		{"punctuation alone", []schemas.Offence{with(row, func(o *schemas.Offence) { o.SuspectID = ptr("?-.") })}, map[schemas.Disposition]int64{schemas.NoNamedSuspect: 1}},
		{"zeros and a digit", []schemas.Offence{with(row, func(o *schemas.Offence) { o.SuspectID = ptr("0007") })}, map[schemas.Disposition]int64{schemas.Scored: 1}},
		{"nobody is not dead by another row", []schemas.Offence{with(row, func(o *schemas.Offence) { o.SuspectID = ptr("N/K") }),
			with(rape("A2", "n/k"), func(o *schemas.Offence) { o.SuspectStatus = ptr("deceased") })}, map[schemas.Disposition]int64{schemas.NoNamedSuspect: 2}},
		{"nobody named comes before intelligence", []schemas.Offence{with(row, func(o *schemas.Offence) { o.SuspectID = nil; o.Source = ptr("intelligence") })}, map[schemas.Disposition]int64{schemas.NoNamedSuspect: 1}},
		{"intelligence alone", []schemas.Offence{with(row, func(o *schemas.Offence) { o.Source = ptr("intelligence") })}, map[schemas.Disposition]int64{schemas.IntelligenceOnly: 1}},
		{"police detected", []schemas.Offence{with(row, func(o *schemas.Offence) { o.Source = ptr("police_detected"); o.Outcome = ptr("acquitted") })}, map[schemas.Disposition]int64{schemas.PoliceDetected: 1}},
		{"transferred to another force", []schemas.Offence{with(row, func(o *schemas.Offence) { o.Outcome = ptr("transferred") })}, map[schemas.Disposition]int64{schemas.Transferred: 1}},
		{"transferred comes before what is no VAWG", []schemas.Offence{with(row, func(o *schemas.Offence) { o.Outcome, o.OffenceCode = ptr("transferred"), ptr("999/99") })},
			map[schemas.Disposition]int64{schemas.Transferred: 1}},
		{"what only the police found comes before transferred", []schemas.Offence{with(row, func(o *schemas.Offence) { o.Outcome, o.Source = ptr("transferred"), ptr("police_detected") })},
			map[schemas.Disposition]int64{schemas.PoliceDetected: 1}},
		{"a victim who does not support it", []schemas.Offence{with(row, func(o *schemas.Offence) { o.Outcome = ptr("victim_does_not_support") })}, map[schemas.Disposition]int64{schemas.Scored: 1}},
		{"acquitted", []schemas.Offence{with(row, func(o *schemas.Offence) { o.Outcome = ptr("acquitted") })}, map[schemas.Disposition]int64{schemas.Cleared: 1}},
		{"a code the tables lack", []schemas.Offence{with(row, func(o *schemas.Offence) { o.OffenceCode = ptr("999/99"); o.SuspectAge = ptr(int32(17)) })}, map[schemas.Disposition]int64{schemas.NotVAWG: 1}},
		{"a male victim of an assault", []schemas.Offence{with(row, func(o *schemas.Offence) {
			o.OffenceCode, o.OffenceClass, o.VictimSex = ptr("008/06"), ptr("8N"), ptr("M")
		})}, map[schemas.Disposition]int64{schemas.NotVAWG: 1}},
		{"an assault on somebody whose sex is not recorded", []schemas.Offence{with(row, func(o *schemas.Offence) { o.OffenceCode, o.OffenceClass, o.VictimSex = ptr("008/06"), ptr("8N"), nil })},
			map[schemas.Disposition]int64{schemas.VictimSexUnknown: 1}},
		{"or recorded as U", []schemas.Offence{with(row, func(o *schemas.Offence) {
			o.OffenceCode, o.OffenceClass, o.VictimSex = ptr("008/06"), ptr("8N"), ptr("U")
		})},
			map[schemas.Disposition]int64{schemas.VictimSexUnknown: 1}},
		{"or as something that is no sex", []schemas.Offence{with(row, func(o *schemas.Offence) {
			o.OffenceCode, o.OffenceClass, o.VictimSex = ptr("008/06"), ptr("8N"), ptr("f")
		})},
			map[schemas.Disposition]int64{schemas.VictimSexUnknown: 1}},
		{"the rape of a woman is one whatever is recorded", []schemas.Offence{with(row, func(o *schemas.Offence) { o.VictimSex = ptr("U") })}, map[schemas.Disposition]int64{schemas.Scored: 1}},
		{"what would be no VAWG against a woman either", []schemas.Offence{with(row, func(o *schemas.Offence) { o.OffenceCode, o.OffenceClass, o.VictimSex = ptr("005/01"), ptr("8S"), nil })},
			map[schemas.Disposition]int64{schemas.NotVAWG: 1}},
		{"arson is VAWG as domestic abuse", []schemas.Offence{with(row, func(o *schemas.Offence) {
			o.OffenceCode, o.OffenceClass, o.DomesticAbuse = ptr("056/01"), ptr("56A"), ptr(true)
		})}, map[schemas.Disposition]int64{schemas.Scored: 1}},
		{"and not otherwise", []schemas.Offence{with(row, func(o *schemas.Offence) { o.OffenceCode, o.OffenceClass = ptr("056/01"), ptr("56A") })}, map[schemas.Disposition]int64{schemas.NotVAWG: 1}},
		{"as domestic abuse of somebody whose sex is not recorded", []schemas.Offence{with(row, func(o *schemas.Offence) {
			o.OffenceCode, o.OffenceClass, o.DomesticAbuse, o.VictimSex = ptr("056/01"), ptr("56A"), ptr(true), nil
		})}, map[schemas.Disposition]int64{schemas.VictimSexUnknown: 1}},
		// 079/05 79 weighs 126 days attempted and 42 otherwise.
		{"one code and class with two weights", []schemas.Offence{with(row, func(o *schemas.Offence) {
			o.OffenceCode, o.OffenceClass, o.DomesticAbuse = ptr("079/05"), ptr("79"), ptr(true)
		})}, map[schemas.Disposition]int64{schemas.UnscoredOffence: 1}},
		{"which it is follows from its urn", []schemas.Offence{with(row, func(o *schemas.Offence) {
			o.OffenceCode, o.OffenceClass, o.OffenceURN, o.DomesticAbuse = ptr("079/05"), ptr("79"), ptr("79.79.5.0"), ptr(true)
		})}, map[schemas.Disposition]int64{schemas.Scored: 1}},
		{"a code of which only some is VAWG", []schemas.Offence{with(row, func(o *schemas.Offence) { o.OffenceCode, o.OffenceClass = ptr("099/99"), nil })},
			map[schemas.Disposition]int64{schemas.UnscoredOffence: 1}},
		{"a supplement's offence without a weight", []schemas.Offence{with(row, func(o *schemas.Offence) { o.OffenceCode, o.OffenceClass = ptr("008/78"), nil })},
			map[schemas.Disposition]int64{schemas.UnscoredOffence: 1}},
		{"unknown sex comes before no weight", []schemas.Offence{with(row, func(o *schemas.Offence) { o.OffenceCode, o.OffenceClass, o.VictimSex = ptr("008/78"), nil, nil })},
			map[schemas.Disposition]int64{schemas.VictimSexUnknown: 1}},
		{"rape without its class, by its resolution", []schemas.Offence{with(row, func(o *schemas.Offence) { o.OffenceClass = nil })}, map[schemas.Disposition]int64{schemas.Scored: 1}},
		{"seventeen", []schemas.Offence{with(row, func(o *schemas.Offence) { o.SuspectAge = ptr(int32(17)) })}, map[schemas.Disposition]int64{schemas.SuspectUnder18: 1}},
		{"eighteen", []schemas.Offence{with(row, func(o *schemas.Offence) { o.SuspectAge = ptr(int32(18)) })}, map[schemas.Disposition]int64{schemas.Scored: 1}},
		{"an age that cannot be is null", []schemas.Offence{with(row, func(o *schemas.Offence) { o.SuspectAge = ptr(int32(-1)) })}, map[schemas.Disposition]int64{schemas.Scored: 1}},
		{"a status that is none", []schemas.Offence{with(row, func(o *schemas.Offence) { o.SuspectStatus = ptr("dead") })}, map[schemas.Disposition]int64{schemas.Scored: 1}},
		{"a handling that is none", []schemas.Offence{with(row, func(o *schemas.Offence) { o.Handling = ptr("secret") })}, map[schemas.Disposition]int64{schemas.Scored: 1}},
		{"deceased by one row of two", []schemas.Offence{row, with(rape("A2", "S1"), func(o *schemas.Offence) { o.SuspectStatus = ptr("deceased") })}, map[schemas.Disposition]int64{schemas.SuspectDeceased: 2}},
		{"deceased by a row that got no further", []schemas.Offence{row, with(rape("A2", "S1"), func(o *schemas.Offence) { o.SuspectStatus = ptr("deceased"); o.Outcome = ptr("no_crime") })},
			map[schemas.Disposition]int64{schemas.SuspectDeceased: 1, schemas.Cleared: 1}},
		{"deceased by a row of five years ago", []schemas.Offence{row, with(aged("A2", 40, "2021-06-30T12:00:00Z"), func(o *schemas.Offence) { o.SuspectStatus = ptr("deceased") })},
			map[schemas.Disposition]int64{schemas.SuspectDeceased: 1, schemas.OutsideWindow: 1}},
		{"deceased by a version that is superseded is not dead", []schemas.Offence{
			with(row, func(o *schemas.Offence) { o.SuspectStatus = ptr("deceased") }), with(row, func(o *schemas.Offence) { o.UpdatedAt = at("2026-06-30T14:00:00Z") })},
			map[schemas.Disposition]int64{schemas.Superseded: 1, schemas.Scored: 1}},
		{"deceased by a row that is quarantined is not dead", []schemas.Offence{row, with(rape("A2", "S1"), func(o *schemas.Offence) { o.SuspectStatus, o.Outcome = ptr("deceased"), ptr("lost") })},
			map[schemas.Disposition]int64{schemas.Quarantined: 1, schemas.Scored: 1}},
		{"the same id is another person's in another letter case", []schemas.Offence{row, with(rape("A2", "s1"), func(o *schemas.Offence) { o.SuspectStatus = ptr("deceased") })},
			map[schemas.Disposition]int64{schemas.SuspectDeceased: 1, schemas.Scored: 1}},
		// The row is of 30 June 2026 and has no age.
		{"a child by another row: seventeen the day before", []schemas.Offence{row, aged("A2", 17, "2026-06-29T12:00:00Z")}, map[schemas.Disposition]int64{schemas.SuspectUnder18: 2}},
		{"seventeen a year before, perhaps on their birthday: eighteen by now", []schemas.Offence{row, aged("A2", 17, "2025-06-30T12:00:00Z")},
			map[schemas.Disposition]int64{schemas.OutsideWindow: 1, schemas.Scored: 1}},
		{"and when that report was a day later, seventeen still", []schemas.Offence{row, aged("A2", 17, "2025-07-01T12:00:00Z")}, map[schemas.Disposition]int64{schemas.SuspectUnder18: 2}},
		{"twelve six years before", []schemas.Offence{row, aged("A2", 12, "2020-07-01T12:00:00Z")}, map[schemas.Disposition]int64{schemas.OutsideWindow: 1, schemas.SuspectUnder18: 1}},
		{"twelve six years before, to the day", []schemas.Offence{row, aged("A2", 12, "2020-06-30T12:00:00Z")}, map[schemas.Disposition]int64{schemas.OutsideWindow: 1, schemas.Scored: 1}},
		{"eighteen on the day of the row itself", []schemas.Offence{row, aged("A2", 18, "2026-06-30T12:00:00Z")}, map[schemas.Disposition]int64{schemas.Scored: 2}},
		{"eighteen, but the row without an age is of the day before", []schemas.Offence{
			with(row, func(o *schemas.Offence) { o.ReportedAt = at("2026-06-29T12:00:00Z") }), aged("A2", 18, "2026-06-30T12:00:00Z")},
			map[schemas.Disposition]int64{schemas.SuspectUnder18: 1, schemas.Scored: 1}},
		{"nineteen in a report after as_of, and eighteen allows the last day", []schemas.Offence{row, aged("A2", 19, "2027-07-01T12:00:00Z")},
			map[schemas.Disposition]int64{schemas.AfterAsOf: 1, schemas.SuspectUnder18: 1}},
		{"a row that has an age goes by it, whatever the others say", []schemas.Offence{aged("A1", 20, "2026-06-30T12:00:00Z"), aged("A2", 17, "2026-06-30T12:00:00Z")},
			map[schemas.Disposition]int64{schemas.SuspectUnder18: 1, schemas.Scored: 1}},
		{"a child and dead: the child first", []schemas.Offence{row, with(aged("A2", 17, "2026-06-29T12:00:00Z"), func(o *schemas.Offence) { o.SuspectStatus = ptr("deceased") })},
			map[schemas.Disposition]int64{schemas.SuspectUnder18: 2}},
		{"born on 29 February, as young as that allows: eighteen on 1 March", []schemas.Offence{
			with(row, func(o *schemas.Offence) { o.ReportedAt = at("2026-03-01T12:00:00Z") }),
			with(rape("A3", "S1"), func(o *schemas.Offence) { o.ReportedAt = at("2026-02-28T12:00:00Z") }), aged("A2", 16, "2024-02-29T12:00:00Z")},
			map[schemas.Disposition]int64{schemas.OutsideWindow: 1, schemas.SuspectUnder18: 1, schemas.Scored: 1}},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			var want schemas.Dispositions
			for d, n := range c.want {
				want[d] = n
			}
			if got := score(t, c.rows).Dispositions; got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

// Scores worked out on paper.
func TestScores(t *testing.T) {
	day := func(o schemas.Offence, reported string) schemas.Offence {
		o.ReportedAt = at(reported)
		return o
	}
	for _, c := range []struct {
		scenario string
		rows     []schemas.Offence
		score    int64
	}{
		// 1,825 days = 18,250 tenths, today.
		{"one rape reported today", []schemas.Offence{rape("A1", "S")}, 18_250 * 1_000_000},
		// 180 days before 30 June 2026 is 1 January 2026: half.
		{"one rape a half-life ago", []schemas.Offence{day(rape("A1", "S"), "2026-01-01T12:00:00Z")}, 18_250 * 500_000},
		// 364 days: 10^6 * 2^(-364/180) = 246,178.69.
		{"one rape on the last day", []schemas.Offence{day(rape("A1", "S"), "2025-07-01T12:00:00Z")}, 18_250 * 246_179},
		// The second counts 10 % more.
		{"two today", []schemas.Offence{rape("A1", "S"), rape("A2", "S")}, 18_250 * 2_100_000},
		// 23:30 UTC on 29 June is 00:30 on 30 June in London: age 0.
		{"half past midnight in summer", []schemas.Offence{day(rape("A1", "S"), "2026-06-29T23:30:00Z")}, 18_250 * 1_000_000},
		// 25 October 23:30 UTC is 26 October 00:30; 26 October 23:30 UTC is still 26 October, 247 days
		// before: 10^6 * 2^(-247/180) = 386,295.77.
		{"the night the clocks go back", []schemas.Offence{day(rape("A1", "S"), "2025-10-25T23:30:00Z"), day(rape("A2", "S"), "2025-10-26T23:30:00Z")}, 18_250 * 386_296 * 21 / 10},
		// 29 March 2026 00:30 UTC and 22:30 UTC are one London day, 93 days before: 698,984.97
		{"the night the clocks go forward", []schemas.Offence{day(rape("A1", "S"), "2026-03-29T00:30:00Z"), day(rape("A2", "S"), "2026-03-29T22:30:00Z")}, 18_250 * recencyByHand[93] * 21 / 10},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			got := rankingOf(t, score(t, c.rows))
			if len(got) != 1 || got[0].Score != c.score || got[0].ScoreDays != float64(c.score)/10_000_000 {
				t.Errorf("got %+v, want a score of %d", got, c.score)
			}
		})
	}
	if recencyByHand[364] != 246_179 || recencyByHand[247] != 386_296 {
		t.Errorf("r(364) = %d, r(247) = %d", recencyByHand[364], recencyByHand[247])
	}
}

// A leap day is a day: the window before 29 February 2028 still holds 365.
func TestLeapYear(t *testing.T) {
	o := options(t)
	o.AsOf = schemas.MustDate("2028-03-01")
	in := with(rape("A1", "S"), func(o *schemas.Offence) {
		o.ReportedAt, o.UpdatedAt = at("2027-03-03T00:00:00Z"), at("2027-03-03T00:00:00Z")
	})
	out := with(rape("A2", "S"), func(o *schemas.Offence) {
		o.ReportedAt, o.UpdatedAt = at("2027-03-02T23:59:59Z"), at("2027-03-02T23:59:59Z")
	})
	s, err := feed(t, o, []schemas.Offence{in, out}, plain)
	if err != nil {
		t.Fatal(err)
	}
	if s.Dispositions[schemas.Scored] != 1 || s.Dispositions[schemas.OutsideWindow] != 1 {
		t.Errorf("dispositions %v", s.Dispositions)
	}
}

// 10,000 allegations against one suspect: the frequency factor stops at 2, the counts do not. The first ten count
// 1.0 to 1.9, which is 14.5, and 9,990 count 2.
func TestTenThousandRowsOfOneSuspect(t *testing.T) {
	rows := make([]schemas.Offence, 10_000)
	for i := range rows {
		rows[i] = rape(fmt.Sprintf("A%d", i), "S")
		rows[i].ReportID, rows[i].VictimID, rows[i].Borough = ptr(fmt.Sprintf("R%d", i/2)), ptr(fmt.Sprintf("V%d", i%15)), ptr(fmt.Sprintf("Place %d", i%500))
	}
	got := rankingOf(t, score(t, rows))[0]
	if got.Score != 18_250*19_994_500_000 || got.Allegations != 10_000 || got.Reports != 5_000 || got.Victims != 15 || len(got.Boroughs) != 500 || got.OwnerBorough != nil {
		t.Errorf("score %d, %d allegations, %d reports, %d victims, %d boroughs, owner %v", got.Score, got.Allegations, got.Reports, got.Victims, len(got.Boroughs), got.OwnerBorough)
	}
}

// 104 suspects with one rape each today tie over the cut: two with two victims... are impossible with
// one row, so the id decides. 95 stand above the tie.
func TestTiesOverTheCut(t *testing.T) {
	var rows []schemas.Offence
	for i := range 104 {
		id := fmt.Sprintf("%03d", i)
		rows = append(rows, rape("A"+id, "S"+id))
		if i < 95 {
			rows = append(rows, rape("B"+id, "S"+id))
		}
	}
	s := score(t, rows)
	all := rankingOf(t, s)
	stack, _ := cutOff(t, model(t), all, s.Candidates)
	if c := stack.Cut; !c.InsideTie || c.Stack != 100 || c.TiedIn != 5 || c.TiedOut != 4 || c.Score != 18_250_000_000 {
		t.Errorf("cut %+v", c)
	}
	for i, r := range all {
		rank, ties := int64(1), int64(95)
		if i >= 95 {
			rank, ties = 96, 9
		}
		if r.Position != int64(i+1) || r.Rank != rank || r.TieSize != ties || r.SuspectID != fmt.Sprintf("S%03d", i) {
			t.Errorf("position %d: %+v", i+1, r)
		}
	}
}

func TestOwnerBorough(t *testing.T) {
	in := func(id, borough, reported string) schemas.Offence {
		return with(rape(id, "S"), func(o *schemas.Offence) { o.Borough, o.ReportedAt = &borough, at(reported) })
	}
	for _, c := range []struct {
		scenario string
		rows     []schemas.Offence
		want     string
	}{
		{"the larger share", []schemas.Offence{in("1", "Barnet", "2026-06-30T10:00:00Z"), in("2", "Camden", "2026-06-20T10:00:00Z"), in("3", "camden", "2026-06-20T10:00:00Z")}, "Camden"},
		{"equal shares: the most recent report", []schemas.Offence{in("1", "Barnet", "2026-06-30T10:00:00Z"), in("2", "Camden", "2026-06-30T11:00:00Z")}, "Camden"},
		{"equal in both: the name", []schemas.Offence{in("1", "Camden", "2026-06-30T10:00:00Z"), in("2", "Barnet", "2026-06-30T10:00:00Z")}, "Barnet"},
		{"outside the 32 never owns", []schemas.Offence{in("1", "City of London", "2026-06-30T10:00:00Z"), in("2", "City of London", "2026-06-30T10:00:00Z"), in("3", "Brent", "2026-01-30T10:00:00Z")}, "Brent"},
		{"nowhere in the 32: the central desk", []schemas.Offence{in("1", "City of London", "2026-06-30T10:00:00Z")}, ""},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			got := rankingOf(t, score(t, c.rows))[0]
			if owner := got.OwnerBorough; (owner == nil) != (c.want == "") || owner != nil && *owner != c.want || (owner == nil) != (got.OwnerBCU == nil) {
				t.Errorf("owner %v, BCU %v", owner, got.OwnerBCU)
			}
		})
	}
}

// Of versions as late as each other the greatest by its values stays, null lowest.
func TestTheGreatestVersionStays(t *testing.T) {
	low := with(rape("A1", "S1"), func(o *schemas.Offence) { o.VictimID = nil })
	high := with(rape("A1", "S1"), func(o *schemas.Offence) { o.VictimID = ptr("V") })
	for _, rows := range [][]schemas.Offence{{low, high, low}, {high, low, low}, {low, low, high}} {
		s := score(t, rows)
		if got := rankingOf(t, s)[0]; got.Victims != 1 || s.Dispositions[schemas.Duplicate] != 2 || s.Facts.Conflicting != 2 {
			t.Errorf("%d victims, %v, %d conflicting", got.Victims, s.Dispositions, s.Facts.Conflicting)
		}
	}
}

// Two versions that differ in one column alone are told apart by it, whichever it is: what a row carries through the
// buckets is every column.
func TestEveryColumnTellsVersionsApart(t *testing.T) {
	other := map[schemas.ColumnType]any{schemas.String: ptr("019/11"), schemas.Int32: ptr(int32(40)), schemas.Bool: ptr(true), schemas.Timestamp: at("2026-06-29T10:00:00Z")}
	for i, c := range schemas.Offences {
		if i == schemas.AllegationID || i == schemas.UpdatedAt { // what makes them versions, and which is later
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			rows := []schemas.Offence{rape("A1", "S1"), rape("A1", "S1")}
			value := other[c.Type]
			if c.Enum != nil {
				value = &c.Enum[1]
			}
			reflect.ValueOf(&rows[1]).Elem().Field(i).Set(reflect.ValueOf(value))
			if s := score(t, rows); s.Facts.Conflicting != 1 || s.Dispositions[schemas.Duplicate] != 1 {
				t.Errorf("%d conflicting, %v", s.Facts.Conflicting, s.Dispositions)
			}
		})
	}
}

// A suspect who is a victim in a row that is itself not scored, but in the window.
func TestAlsoVictim(t *testing.T) {
	for _, c := range []struct {
		scenario string
		other    schemas.Offence
		want     bool
	}{
		{"in a row of intelligence", with(rape("A2", "S2"), func(o *schemas.Offence) { o.VictimID = ptr("S1"); o.Source = ptr("intelligence") }), true},
		{"in a row without a named suspect", with(rape("A2", "S2"), func(o *schemas.Offence) { o.VictimID = ptr("S1"); o.SuspectID = nil }), true},
		{"outside the window", with(rape("A2", "S2"), func(o *schemas.Offence) { o.VictimID = ptr("S1"); o.ReportedAt = at("2025-01-01T00:00:00Z") }), false},
		{"in another case", with(rape("A2", "S2"), func(o *schemas.Offence) { o.VictimID = ptr("s1") }), false},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			for _, r := range rankingOf(t, score(t, []schemas.Offence{rape("A1", "S1"), c.other})) {
				if r.SuspectID == "S1" && r.AlsoVictim != c.want {
					t.Errorf("also a victim: %v", r.AlsoVictim)
				}
			}
		})
	}
}

func TestLongAndForeignIDs(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	s := score(t, []schemas.Offence{rape("A1", long), rape("A2", long+"y"), rape("é\U0001F600", "Ω"), rape(long, "Ω")})
	ids := map[string]int64{}
	for _, r := range rankingOf(t, s) {
		ids[r.SuspectID] = r.Allegations
	}
	if len(ids) != 3 || ids[long] != 1 || ids[long+"y"] != 1 || ids["Ω"] != 2 {
		t.Errorf("%d suspects", len(ids))
	}
}

func TestOverflowIsAnError(t *testing.T) {
	o := options(t)
	o.Model.FrequencyStepPPM, o.Model.FrequencyCap = 1_000_000, 1_000
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	big := allegation{suspect: []byte("S")}
	big.offence = e.vocabulary.offenceNumber(offenceKey{"001/01", "1", "1.1.1.1"})
	big.sex = uint8(enumPosition(schemas.VictimSex, schemas.SexFemale))
	rows := make([]allegation, 400_000)
	for i := range rows {
		rows[i] = big
	}
	// 400,000 murders: a base of 2.19e16, nearly all of it times 1,001: past 2^63. Of four the first counts once, the
	// second twice and so on: ten in all.
	var s suspect
	if err := e.score(&tally{}, rows, &s); !errors.Is(err, ErrOverflow) {
		t.Errorf("error %v", err)
	}
	if err := e.score(&tally{}, rows[:4], &s); err != nil || s.score != 10*54_750*1_000_000 {
		t.Errorf("%d, %v", s.score, err)
	}
	if math.MaxInt64/1001 > 400_000*54_750*1_000_000 {
		t.Error("the case is too small to overflow")
	}
}

// What a nullable column cannot hold is null and counted; what is there all the same is as it is.
func TestWhatCannotBeHeldIsNull(t *testing.T) {
	for i, c := range []struct {
		column string
		change func(*schemas.Offence)
		is     func(schemas.Ranked) bool
	}{
		{"suspect_status", func(o *schemas.Offence) { o.SuspectStatus = ptr("In_custody") }, func(r schemas.Ranked) bool { return r.SuspectStatus == nil && r.Lane == "free" }},
		{"suspect_status", func(o *schemas.Offence) { o.SuspectStatus = ptr("\xff") }, func(r schemas.Ranked) bool { return r.SuspectStatus == nil }},
		{"suspect_age", func(o *schemas.Offence) { o.SuspectAge = ptr(int32(131)) }, func(r schemas.Ranked) bool { return true }},
		{"victim_age", func(o *schemas.Offence) { o.VictimAge = ptr(int32(-1)) }, func(r schemas.Ranked) bool { return true }},
		{"victim_sex", func(o *schemas.Offence) { o.VictimSex = ptr("Female") }, func(r schemas.Ranked) bool { return true }},
		{"victim_id", func(o *schemas.Offence) { o.VictimID = ptr("V\xc3") }, func(r schemas.Ranked) bool { return r.Victims == 0 }},
		{"committed_at", func(o *schemas.Offence) { o.CommittedAt = at("1899-12-31T23:59:59Z") }, func(r schemas.Ranked) bool { return r.NonRecent == 0 }},
		{"committed_at", func(o *schemas.Offence) { o.CommittedAt = at("2201-01-01T00:00:00Z") }, func(r schemas.Ranked) bool { return r.NonRecent == 0 }},
		{"", func(o *schemas.Offence) { o.CommittedAt = at("1900-01-01T00:00:00Z") }, func(r schemas.Ranked) bool { return r.NonRecent == 1 }},
		{"borough", func(o *schemas.Offence) { o.Borough = ptr("Cam\xffden") }, func(r schemas.Ranked) bool { return len(r.Boroughs) == 0 && r.OwnerBorough == nil }},
		{"", func(o *schemas.Offence) { o.Borough = ptr("Atlantis") }, func(r schemas.Ranked) bool { return r.Boroughs[0] == "Atlantis" && r.OwnerBorough == nil }},
		{"", func(o *schemas.Offence) { o.Borough = ptr("rbkc") }, func(r schemas.Ranked) bool { return *r.OwnerBorough == "Kensington and Chelsea" }},
		// Rape of a woman without its class weighs as 19C, 1,825 days.
		{"offence_class", func(o *schemas.Offence) { o.OffenceClass = ptr("19\xff") }, func(r schemas.Ranked) bool { return r.SumDays == 1825 }},
		{"offence_urn", func(o *schemas.Offence) { o.OffenceURN = ptr("\xff") }, func(r schemas.Ranked) bool { return r.SumDays == 1825 }},
		{"handling", func(o *schemas.Offence) { o.Handling = ptr("Normal") }, func(r schemas.Ranked) bool { return r.Restricted }},
		{"handling", func(o *schemas.Offence) { o.Handling = ptr("\xff") }, func(r schemas.Ranked) bool { return r.Restricted }},
		{"", func(o *schemas.Offence) { o.Handling = ptr("normal ") }, func(r schemas.Ranked) bool { return !r.Restricted }},
		{"", func(o *schemas.Offence) { o.Handling = ptr(" ") }, func(r schemas.Ranked) bool { return !r.Restricted }},
	} {
		row := with(rape("A1", "S1"), c.change)
		t.Run(fmt.Sprintf("%d %s", i, c.column), func(t *testing.T) {
			s := score(t, []schemas.Offence{row})
			all := rankingOf(t, s)
			if len(all) != 1 || !c.is(all[0]) {
				t.Errorf("%v: %+v", s.Dispositions, all)
			}
			want := map[string]int64{}
			if c.column != "" {
				want[c.column] = 1
			}
			if fmt.Sprint(s.Facts.OutOfRange) != fmt.Sprint(want) {
				t.Errorf("read as null: %v, want %v", s.Facts.OutOfRange, want)
			}
		})
	}
}

// A victim's placeholder is nobody: no victim counted, and nobody who is named so is a victim.
func TestPlaceholdersAreCounted(t *testing.T) {
	s := score(t, []schemas.Offence{
		with(rape("A1", "S1"), func(o *schemas.Offence) { o.VictimID = ptr("UNKNOWN") }),
		with(rape("A2", "S1"), func(o *schemas.Offence) { o.VictimID = ptr("V1") }),
		with(rape("A3", "S1"), func(o *schemas.Offence) { o.VictimID = ptr("N/K") }),
		with(rape("A4", "N/K"), func(o *schemas.Offence) { o.VictimID = ptr("???") }),
		with(rape("A5", "N/K"), func(o *schemas.Offence) { o.VictimID, o.Outcome = ptr("???"), ptr("lost") }),
		rape("A6", " "),
	})
	want := map[string]int64{"suspect_id": 1, "victim_id": 3}
	if fmt.Sprint(s.Facts.Placeholders) != fmt.Sprint(want) || s.Dispositions[schemas.NoNamedSuspect] != 2 {
		t.Errorf("placeholders %v, want %v; %v", s.Facts.Placeholders, want, s.Dispositions)
	}
	if all := rankingOf(t, s); len(all) != 1 || all[0].Victims != 1 || all[0].AlsoVictim {
		t.Errorf("%+v", all)
	}
	// As versions, a suspect that is a placeholder is told from none and from another; a victim is not told from none.
	for _, c := range []struct {
		a, b      func(*schemas.Offence)
		conflicts int64
	}{
		{func(o *schemas.Offence) { o.SuspectID = ptr("N/K") }, func(o *schemas.Offence) { o.SuspectID = nil }, 1},
		{func(o *schemas.Offence) { o.SuspectID = ptr("N/K") }, func(o *schemas.Offence) { o.SuspectID = ptr("n/k") }, 1},
		{func(o *schemas.Offence) { o.VictimID = ptr("N/K") }, func(o *schemas.Offence) { o.VictimID = nil }, 0},
	} {
		s := score(t, []schemas.Offence{with(rape("A1", "S1"), c.a), with(rape("A1", "S1"), c.b)})
		if s.Facts.Conflicting != c.conflicts || s.Dispositions[schemas.Duplicate] != 1 {
			t.Errorf("%d conflicting, want %d: %v", s.Facts.Conflicting, c.conflicts, s.Dispositions)
		}
	}
}

// A later version that is quarantined leaves its note on the one that stays, when it says whose and when.
func TestOlderVersionStands(t *testing.T) {
	row := rape("A1", "S1") // updated at 13:00
	later := func(change func(*schemas.Offence)) schemas.Offence {
		return with(with(row, func(o *schemas.Offence) { o.UpdatedAt, o.Outcome = at("2026-06-30T14:00:00Z"), ptr("lost") }), change)
	}
	for _, c := range []struct {
		scenario string
		rows     []schemas.Offence
		stands   int64
	}{
		{"a later one is quarantined", []schemas.Offence{row, later(func(*schemas.Offence) {})}, 1},
		{"whichever comes first", []schemas.Offence{later(func(*schemas.Offence) {}), row}, 1},
		{"two of them", []schemas.Offence{row, later(func(*schemas.Offence) {}), later(func(*schemas.Offence) {})}, 1},
		{"as late as the one that stays", []schemas.Offence{row, later(func(o *schemas.Offence) { o.UpdatedAt = row.UpdatedAt })}, 0},
		{"an earlier one", []schemas.Offence{row, later(func(o *schemas.Offence) { o.UpdatedAt = at("2026-06-30T12:00:00Z") })}, 0},
		{"later than one version, earlier than the one that stays", []schemas.Offence{row, later(func(*schemas.Offence) {}), with(row, func(o *schemas.Offence) { o.UpdatedAt = at("2026-06-30T15:00:00Z") })}, 0},
		{"without its time", []schemas.Offence{row, later(func(o *schemas.Offence) { o.UpdatedAt = nil })}, 0},
		{"of a time out of range", []schemas.Offence{row, later(func(o *schemas.Offence) { o.UpdatedAt = at("2201-01-01T00:00:00Z") })}, 0},
		{"of the last time there is", []schemas.Offence{row, later(func(o *schemas.Offence) { o.UpdatedAt = ptr(*at("2201-01-01T00:00:00Z") - 1) })}, 1},
		{"without its id", []schemas.Offence{row, later(func(o *schemas.Offence) { o.AllegationID = ptr(" ") })}, 0},
		{"with white space about its id", []schemas.Offence{row, later(func(o *schemas.Offence) { o.AllegationID = ptr(" A1\u00a0") })}, 1},
		{"of another allegation", []schemas.Offence{row, later(func(o *schemas.Offence) { o.AllegationID = ptr("a1") })}, 0},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			for _, l := range []layout{plain, {threads: 1, batchRows: 1, dict: plain.dict, prescans: true}} {
				s, err := feed(t, options(t), c.rows, l)
				if err != nil {
					t.Fatal(err)
				}
				if s.Facts.OlderStands != c.stands || len(s.Candidates) != 1 || s.Candidates[0].OlderStands != (c.stands == 1) {
					t.Errorf("prescan %v: %d stand, want %d; %+v", l.prescans, s.Facts.OlderStands, c.stands, s.Candidates)
				}
			}
		})
	}
	// Counted whatever becomes of the one that stays, and it becomes what it would without the note.
	for d, change := range map[schemas.Disposition]func(*schemas.Offence){
		schemas.OutsideWindow:    func(o *schemas.Offence) { o.ReportedAt = at("2020-01-01T12:00:00Z") },
		schemas.NoNamedSuspect:   func(o *schemas.Offence) { o.SuspectID = nil },
		schemas.IntelligenceOnly: func(o *schemas.Offence) { o.Source = ptr("intelligence") },
		schemas.Cleared:          func(o *schemas.Offence) { o.Outcome = ptr("acquitted") },
		schemas.SuspectUnder18:   func(o *schemas.Offence) { o.SuspectAge = ptr(int32(17)) },
		schemas.SuspectDeceased:  func(o *schemas.Offence) { o.SuspectStatus = ptr("deceased") },
	} {
		s := score(t, []schemas.Offence{with(row, change), later(func(*schemas.Offence) {})})
		if s.Facts.OlderStands != 1 || s.Dispositions[d] != 1 || s.Dispositions[schemas.Quarantined] != 1 {
			t.Errorf("%v: %d stand, %v", d, s.Facts.OlderStands, s.Dispositions)
		}
	}
}

// Years of birth more than two apart are of two people, perhaps: by every kept row.
func TestAgesDisagree(t *testing.T) {
	aged := func(id string, age int32, reported string) schemas.Offence {
		return with(rape(id, "S1"), func(o *schemas.Offence) { o.SuspectAge, o.ReportedAt = &age, at(reported) })
	}
	row := aged("A1", 40, "2026-06-30T12:00:00Z") // born in 1986
	for _, c := range []struct {
		scenario string
		others   []schemas.Offence
		want     bool
	}{
		{"alone", nil, false},
		{"two years younger", []schemas.Offence{aged("A2", 38, "2026-06-30T12:00:00Z")}, false},
		{"three years younger", []schemas.Offence{aged("A2", 37, "2026-06-30T12:00:00Z")}, true},
		{"two years older", []schemas.Offence{aged("A2", 42, "2026-06-30T12:00:00Z")}, false},
		{"three years older", []schemas.Offence{aged("A2", 43, "2026-06-30T12:00:00Z")}, true},
		{"two either way are four apart", []schemas.Offence{aged("A2", 42, "2026-06-30T12:00:00Z"), aged("A3", 38, "2026-06-30T12:00:00Z")}, true},
		{"the same year of birth ten years before", []schemas.Offence{aged("A2", 30, "2016-06-30T12:00:00Z")}, false},
		{"three years apart by a row outside the window", []schemas.Offence{aged("A2", 33, "2016-06-30T12:00:00Z")}, true},
		{"by one after as_of", []schemas.Offence{aged("A2", 40, "2029-06-30T12:00:00Z")}, true},
		{"by a cleared one", []schemas.Offence{with(aged("A2", 37, "2026-06-30T12:00:00Z"), func(o *schemas.Offence) { o.Outcome = ptr("acquitted") })}, true},
		{"by intelligence", []schemas.Offence{with(aged("A2", 37, "2026-06-30T12:00:00Z"), func(o *schemas.Offence) { o.Source = ptr("intelligence") })}, true},
		{"by one that is no VAWG", []schemas.Offence{with(aged("A2", 37, "2026-06-30T12:00:00Z"), func(o *schemas.Offence) { o.OffenceCode = ptr("999/99") })}, true},
		{"by a quarantined one, which tells nothing", []schemas.Offence{with(aged("A2", 37, "2026-06-30T12:00:00Z"), func(o *schemas.Offence) { o.Outcome = ptr("lost") })}, false},
		{"by a superseded version, which tells nothing", []schemas.Offence{with(aged("A1", 37, "2026-06-30T12:00:00Z"), func(o *schemas.Offence) { o.UpdatedAt = at("2026-06-30T12:30:00Z") })}, false},
		{"by an age that cannot be", []schemas.Offence{aged("A2", 131, "2026-06-30T12:00:00Z")}, false},
		{"of another suspect", []schemas.Offence{with(aged("A2", 20, "2026-06-30T12:00:00Z"), func(o *schemas.Offence) { o.SuspectID = ptr("s1") })}, false},
		// 38 on New Year's Eve 2025 is born in 1987, and 38 a second later in 1988; 37 is born in 1988, and in 1989.
		{"on the last day of a year", []schemas.Offence{aged("A2", 37, "2025-12-31T23:59:59Z")}, false},
		{"on the first of the next", []schemas.Offence{aged("A2", 37, "2026-01-01T00:00:00Z")}, true},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			for _, r := range rankingOf(t, score(t, append(c.others, row))) {
				if r.SuspectID == "S1" && r.AgesDisagree != c.want {
					t.Errorf("ages disagree: %v", r.AgesDisagree)
				}
			}
		})
	}
	// British Standard Time: 1971 began in London at 23:00 UTC. Born then, and in 1973, is two years apart.
	born1971, born1973 := aged("A2", 0, "1970-12-31T23:30:00Z"), aged("A1", 53, "2026-06-30T12:00:00Z")
	if all := rankingOf(t, score(t, []schemas.Offence{born1971, born1973})); len(all) != 1 || all[0].AgesDisagree {
		t.Errorf("%+v", all)
	}
}

// Restricted by any kept row of the suspect, whatever became of it.
func TestRestricted(t *testing.T) {
	other := func(change func(*schemas.Offence)) schemas.Offence {
		return with(with(rape("A2", "S1"), func(o *schemas.Offence) { o.Handling = ptr("restricted") }), change)
	}
	for _, c := range []struct {
		scenario string
		other    schemas.Offence
		want     bool
	}{
		{"a scored row", other(func(*schemas.Offence) {}), true},
		{"outside the window", other(func(o *schemas.Offence) { o.ReportedAt = at("2020-01-01T12:00:00Z") }), true},
		{"after as_of", other(func(o *schemas.Offence) { o.ReportedAt = at("2026-07-02T12:00:00Z") }), true},
		{"intelligence", other(func(o *schemas.Offence) { o.Source = ptr("intelligence") }), true},
		{"cleared", other(func(o *schemas.Offence) { o.Outcome = ptr("no_crime") }), true},
		{"transferred", other(func(o *schemas.Offence) { o.Outcome = ptr("transferred") }), true},
		{"no VAWG", other(func(o *schemas.Offence) { o.OffenceCode = ptr("999/99") }), true},
		{"unknown sex", other(func(o *schemas.Offence) { o.OffenceCode, o.OffenceClass, o.VictimSex = ptr("008/06"), ptr("8N"), nil }), true},
		{"a child's", other(func(o *schemas.Offence) { o.SuspectAge, o.ReportedAt = ptr(int32(17)), at("2025-07-01T12:00:00Z") }), true},
		{"a handling that is none", other(func(o *schemas.Offence) { o.Handling, o.Source = ptr("?"), ptr("intelligence") }), true},
		{"normal", other(func(o *schemas.Offence) { o.Handling = ptr("normal") }), false},
		{"quarantined", other(func(o *schemas.Offence) { o.Outcome = ptr("lost") }), false},
		{"superseded", other(func(o *schemas.Offence) { o.AllegationID, o.UpdatedAt = ptr("A1"), at("2026-06-30T12:30:00Z") }), false},
		{"of another suspect", other(func(o *schemas.Offence) { o.SuspectID = ptr("s1") }), false},
		{"of which they are the victim", other(func(o *schemas.Offence) { o.SuspectID, o.VictimID = ptr("S2"), ptr("S1") }), false},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			adult := with(rape("A1", "S1"), func(o *schemas.Offence) { o.SuspectAge = ptr(int32(18)) })
			for _, r := range rankingOf(t, score(t, []schemas.Offence{adult, c.other})) {
				if r.SuspectID == "S1" && r.Restricted != c.want {
					t.Errorf("restricted: %v", r.Restricted)
				}
			}
		})
	}
}

// The lane follows from the status that the suspect's latest scored row has.
func TestLaneIsOfTheLatestRow(t *testing.T) {
	for status, lane := range map[string]string{"in_custody": "contained", "on_bail": "bailed", "at_large": "free", "unknown": "free", "": "free", "IN_CUSTODY": "free"} {
		older := with(rape("A1", "S1"), func(o *schemas.Offence) { o.SuspectStatus, o.UpdatedAt = ptr("on_bail"), at("2026-06-30T12:30:00Z") })
		latest := with(rape("A2", "S1"), func(o *schemas.Offence) { o.SuspectStatus = &status })
		aside := with(rape("A3", "S1"), func(o *schemas.Offence) {
			o.SuspectStatus, o.UpdatedAt, o.Source = ptr("in_custody"), at("2026-06-30T18:00:00Z"), ptr("intelligence")
		})
		if all := rankingOf(t, score(t, []schemas.Offence{older, latest, aside})); len(all) != 1 || all[0].Lane != lane {
			t.Errorf("%q: %+v, want %s", status, all, lane)
		}
	}
}

// Withdrawn counts scored rows alone.
func TestWithdrawn(t *testing.T) {
	withdrawn := func(id string) schemas.Offence {
		return with(rape(id, "S1"), func(o *schemas.Offence) { o.Outcome = ptr("victim_does_not_support") })
	}
	all := rankingOf(t, score(t, []schemas.Offence{rape("A1", "S1"), withdrawn("A2"), withdrawn("A3"),
		with(withdrawn("A4"), func(o *schemas.Offence) { o.Source = ptr("intelligence") }), with(withdrawn("A5"), func(o *schemas.Offence) { o.ReportedAt = at("2020-01-01T12:00:00Z") })}))
	if len(all) != 1 || all[0].Withdrawn != 2 || all[0].Allegations != 3 {
		t.Errorf("%+v", all)
	}
}

// A row leaves on the first as_of that is 365 days after the London day of its report.
func TestLeavesOn(t *testing.T) {
	for reported, want := range map[string]string{
		"2026-06-30T12:00:00Z": "2027-06-30",
		"2026-06-29T23:00:00Z": "2027-06-30", // midnight in London
		"2026-06-29T22:59:59Z": "2027-06-29",
		"2025-07-01T12:00:00Z": "2026-07-01",
		"2025-12-31T23:59:59Z": "2026-12-31", // in winter London's midnight is UTC's
		"2026-01-01T00:00:00Z": "2027-01-01",
	} {
		row := with(rape("A1", "S1"), func(o *schemas.Offence) { o.ReportedAt = at(reported) })
		if s := score(t, []schemas.Offence{row}); len(s.Candidates) != 1 || s.Candidates[0].LeavesOn != want {
			t.Errorf("reported at %s: %+v, want %s", reported, s.Candidates, want)
		}
		// It is in the window the day before, and out of it then.
		for _, day := range []struct {
			asOf   schemas.Date
			scored int64
		}{{schemas.MustDate(want).AddDays(-1), 1}, {schemas.MustDate(want), 0}} {
			o := options(t)
			o.AsOf = day.asOf
			s, err := feed(t, o, []schemas.Offence{row}, plain)
			if err != nil {
				t.Fatal(err)
			}
			if s.Dispositions[schemas.Scored] != day.scored {
				t.Errorf("reported at %s, as of %s: %v", reported, day.asOf, s.Dispositions)
			}
		}
	}
	// A leap day between: 365 days after 1 March 2027 is 29 February 2028.
	o := options(t)
	o.AsOf = schemas.MustDate("2027-03-01")
	s, err := feed(t, o, []schemas.Offence{with(rape("A1", "S1"), func(o *schemas.Offence) { o.ReportedAt = at("2027-03-01T12:00:00Z") })}, plain)
	if err != nil {
		t.Fatal(err)
	}
	if s.Candidates[0].LeavesOn != "2028-02-29" {
		t.Errorf("leaves on %s", s.Candidates[0].LeavesOn)
	}
}

// The rules of resolutions.csv that scored rows took are counted by name, and urns that say another code.
func TestResolutionsAreCounted(t *testing.T) {
	offence := func(id, code, class, urn string) schemas.Offence {
		return with(rape(id, "S"+id), func(o *schemas.Offence) { o.OffenceCode, o.OffenceClass, o.OffenceURN = &code, &class, &urn })
	}
	rows := []schemas.Offence{
		offence("1", "008/01", "8N", ""),            // 19 days
		offence("2", "8/1", "", ""),                 // as 8N, 19 days
		offence("3", "019/08", "??", ""),            // as 19C, 1,825 days
		offence("4", "005/01", "", ""),              // as 5D, 1,460 days
		offence("5", "008/06", "", ""),              // as 8N, 10 days
		offence("6", "019/08", "19C", "8N.8.1.1"),   // the urn wins: 547.5 days
		offence("7", "019/08", "19C", "no urn"),     // 1,825 days
		offence("8", "019/08", "19C", "19C.19.8.0"), // 1,825 days
		offence("9", "008/77", "", ""),              // the supplement: 547.5 days
		with(offence("10", "8/1", "8N", "1.1.1.1"), func(o *schemas.Offence) { o.Outcome = ptr("no_crime") }),
	}
	s := score(t, rows)
	want := map[string]int64{"008/01 8N lowest": 1, "008/01 without its class as 8N; 008/01 8N lowest": 1, "019/08 without its class as 19C": 1,
		"005/01 without its class as 5D": 1, "008/06 without its class as 8N": 1}
	if fmt.Sprint(s.Facts.Resolutions) != fmt.Sprint(want) || s.Facts.URNContradicts != 1 || s.Facts.Lowest != 2 || s.Facts.Supplement != 1 {
		t.Errorf("%v, %d contradict, %d lowest, %d of the supplement", s.Facts.Resolutions, s.Facts.URNContradicts, s.Facts.Lowest, s.Facts.Supplement)
	}
	days := map[string]float64{"S1": 19, "S2": 19, "S3": 1825, "S4": 1460, "S5": 10, "S6": 547.5, "S7": 1825, "S8": 1825, "S9": 547.5}
	for _, c := range s.Candidates {
		if c.HarmDays != days[c.SuspectID] || c.URNContradicts != (c.SuspectID == "S6") {
			t.Errorf("%s: %+v, want %f days", c.SuspectID, c, days[c.SuspectID])
		}
	}
	if len(s.Candidates) != len(days) {
		t.Errorf("%d scored", len(s.Candidates))
	}
}

// Reasons name column and rule, the first column in the contract's order, and never a value.
func TestQuarantineReasons(t *testing.T) {
	secret := with(rape("A1", "S1"), func(o *schemas.Offence) { o.Outcome = ptr("hunter2"); o.OffenceCode = ptr("hunter2") })
	s := score(t, []schemas.Offence{secret, with(secret, func(o *schemas.Offence) { o.OffenceCode = ptr("019/08") }), with(secret, func(o *schemas.Offence) { o.UpdatedAt = nil; o.Outcome = ptr("open"); o.OffenceCode = ptr("1/1") })})
	want := map[string]int64{"offence_code: not a Home Office code": 1, "outcome: not an allowed value": 1, "updated_at: missing": 1}
	if fmt.Sprint(s.Facts.QuarantineReasons) != fmt.Sprint(want) {
		t.Errorf("reasons %v", s.Facts.QuarantineReasons)
	}
	c := NewChecker(options(t).Tables, nil)
	f := c.NewIngester()
	rec := batch(memory.NewGoAllocator(), []schemas.Offence{secret}, plain.dict)
	defer rec.Release()
	if err := errors.Join(f.Add(rec, 0), f.Close()); err != nil || c.Counts().Quarantined() != 1 || c.Counts().RowsRead != 1 {
		t.Errorf("checker: %+v, %v", c.Counts(), err)
	}
}

func TestNewRefuses(t *testing.T) {
	for _, o := range []Options{{}, {AsOf: asOf}, {AsOf: asOf, Tables: options(t).Tables}} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}
