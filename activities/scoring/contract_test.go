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
		{"no UTF-8 in a column that may be null", []schemas.Offence{with(row, func(o *schemas.Offence) { o.OffenceURN = ptr("\xff") })}, map[schemas.Disposition]int64{schemas.Quarantined: 1}},
		{"committed before 1900", []schemas.Offence{with(row, func(o *schemas.Offence) { o.CommittedAt = ptr(schemas.MinTimestamp - 1) })}, map[schemas.Disposition]int64{schemas.Quarantined: 1}},
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
		{"a placeholder", []schemas.Offence{with(row, func(o *schemas.Offence) { o.SuspectID = ptr(" Not Known") })}, map[schemas.Disposition]int64{schemas.NoNamedSuspect: 1}},
		{"nobody named comes before intelligence", []schemas.Offence{with(row, func(o *schemas.Offence) { o.SuspectID = nil; o.Source = ptr("intelligence") })}, map[schemas.Disposition]int64{schemas.NoNamedSuspect: 1}},
		{"intelligence alone", []schemas.Offence{with(row, func(o *schemas.Offence) { o.Source = ptr("intelligence") })}, map[schemas.Disposition]int64{schemas.IntelligenceOnly: 1}},
		{"police detected", []schemas.Offence{with(row, func(o *schemas.Offence) { o.Source = ptr("police_detected"); o.Outcome = ptr("acquitted") })}, map[schemas.Disposition]int64{schemas.PoliceDetected: 1}},
		{"acquitted", []schemas.Offence{with(row, func(o *schemas.Offence) { o.Outcome = ptr("acquitted") })}, map[schemas.Disposition]int64{schemas.Cleared: 1}},
		{"a code the tables lack", []schemas.Offence{with(row, func(o *schemas.Offence) { o.OffenceCode = ptr("999/99"); o.SuspectAge = ptr(int32(17)) })}, map[schemas.Disposition]int64{schemas.NotVAWG: 1}},
		{"a male victim of an assault", []schemas.Offence{with(row, func(o *schemas.Offence) {
			o.OffenceCode, o.OffenceClass, o.VictimSex = ptr("008/06"), ptr("8N"), ptr("M")
		})}, map[schemas.Disposition]int64{schemas.NotVAWG: 1}},
		{"a code with conflicting weights", []schemas.Offence{with(row, func(o *schemas.Offence) { o.OffenceClass = nil })}, map[schemas.Disposition]int64{schemas.UnscoredOffence: 1}},
		{"seventeen", []schemas.Offence{with(row, func(o *schemas.Offence) { o.SuspectAge = ptr(int32(17)) })}, map[schemas.Disposition]int64{schemas.SuspectUnder18: 1}},
		{"eighteen", []schemas.Offence{with(row, func(o *schemas.Offence) { o.SuspectAge = ptr(int32(18)) })}, map[schemas.Disposition]int64{schemas.Scored: 1}},
		{"an age that cannot be is null", []schemas.Offence{with(row, func(o *schemas.Offence) { o.SuspectAge = ptr(int32(-1)) })}, map[schemas.Disposition]int64{schemas.Scored: 1}},
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
		// Two allegations: 10 % more.
		{"two today", []schemas.Offence{rape("A1", "S"), rape("A2", "S")}, 2 * 18_250 * 1_100_000},
		// 23:30 UTC on 29 June is 00:30 on 30 June in London: age 0.
		{"half past midnight in summer", []schemas.Offence{day(rape("A1", "S"), "2026-06-29T23:30:00Z")}, 18_250 * 1_000_000},
		// 25 October 23:30 UTC is 26 October 00:30; 26 October 23:30 UTC is still 26 October, 247 days
		// before: 10^6 * 2^(-247/180) = 386,295.77.
		{"the night the clocks go back", []schemas.Offence{day(rape("A1", "S"), "2025-10-25T23:30:00Z"), day(rape("A2", "S"), "2025-10-26T23:30:00Z")}, 2 * 18_250 * 386_296 * 11 / 10},
		// 29 March 2026 00:30 UTC and 22:30 UTC are one London day, 93 days before: 698,984.97
		{"the night the clocks go forward", []schemas.Offence{day(rape("A1", "S"), "2026-03-29T00:30:00Z"), day(rape("A2", "S"), "2026-03-29T22:30:00Z")}, 2 * 18_250 * recencyByHand[93] * 11 / 10},
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

// 10,000 allegations against one suspect: the frequency factor stops at 2, the counts do not.
func TestTenThousandRowsOfOneSuspect(t *testing.T) {
	rows := make([]schemas.Offence, 10_000)
	for i := range rows {
		rows[i] = rape(fmt.Sprintf("A%d", i), "S")
		rows[i].ReportID, rows[i].VictimID, rows[i].Borough = ptr(fmt.Sprintf("R%d", i/2)), ptr(fmt.Sprintf("V%d", i%15)), ptr(fmt.Sprintf("Place %d", i%500))
	}
	got := rankingOf(t, score(t, rows))[0]
	if got.Score != 10_000*18_250*2_000_000 || got.Allegations != 10_000 || got.Reports != 5_000 || got.Victims != 15 || len(got.Boroughs) != 500 || got.OwnerBorough != nil {
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
	stack, _ := cutOff(t, s, all)
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
	// 400,000 murders: a base of 2.19e16, times 1,001 past 2^63.
	var s suspect
	if err := e.score(&tally{}, rows, &s); !errors.Is(err, ErrOverflow) {
		t.Errorf("error %v", err)
	}
	if err := e.score(&tally{}, rows[:4], &s); err != nil || s.score != 4*54_750*1_000_000*4 {
		t.Errorf("%d, %v", s.score, err)
	}
	if math.MaxInt64/1001 > 400_000*54_750*1_000_000 {
		t.Error("the case is too small to overflow")
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
