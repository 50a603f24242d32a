package scoring

import (
	"cmp"
	"fmt"
	"slices"
	"testing"

	"harmstack/schemas"
)

// The weights in tenths of a day: rape 18,250, bodily harm 100, a breach of a restraining order 50. Reports are of the
// day itself, when recency is 1, unless the name of the row says otherwise: 180 days before, when it is a half.
func TestWhatAModelCounts(t *testing.T) {
	offence := func(id, code, class string) schemas.Offence {
		return with(rape(id, "S"), func(o *schemas.Offence) {
			o.OffenceCode, o.OffenceClass, o.OffenceURN = ptr(code), ptr(class), nil
			o.ReportID, o.VictimID, o.CommittedAt = ptr("R-"+id), ptr("V-"+id), nil
		})
	}
	raped := func(id string) schemas.Offence { return offence(id, "019/08", "19C") }
	harmed := func(id string) schemas.Offence { return offence(id, "008/06", "8N") }
	letter := func(id string) schemas.Offence { return offence(id, "008/31", "8L") }
	ten := func() (rows []schemas.Offence) {
		for i := range 10 {
			rows = append(rows, letter(fmt.Sprintf("letter %d", i)))
		}
		return rows
	}
	old := func(o schemas.Offence) schemas.Offence { // 2 January is 180 days before 1 July, and as_of is 30 June
		return with(o, func(o *schemas.Offence) { o.ReportedAt = at("2026-01-01T12:00:00Z") })
	}
	long := func(o schemas.Offence) schemas.Offence {
		return with(o, func(o *schemas.Offence) { o.CommittedAt = at("2020-01-01T00:00:00Z") })
	}
	one := func(o schemas.Offence) schemas.Offence { // of one report and one victim
		return with(o, func(o *schemas.Offence) { o.ReportID, o.VictimID = ptr("R"), ptr("V") })
	}
	alone := func(o schemas.Offence) schemas.Offence {
		return with(one(o), func(o *schemas.Offence) { o.VictimID = nil })
	}
	each := schemas.Model{FrequencyApply: schemas.FrequencyEach}
	for _, c := range []struct {
		scenario string
		model    schemas.Model
		rows     []schemas.Offence
		score    int64   // in tenths of a day, times 1,000,000
		factors  []int64 // in thousandths, by allegation_id
	}{
		{"all: ten letters double a rape", schemas.Model{}, append(ten(), raped("rape")), (18_250 + 500) * 2_000_000, slices.Repeat([]int64{2000}, 11)},
		{"each: they add what they weigh, each a tenth more than the one before", each, append(ten(), raped("rape")),
			// 50 * (1.1 + 1.2 + ... + 2.0) = 50 * 15.5
			(18_250 + 775) * 1_000_000, nil},
		{"each: two rapes outweigh a rape and ten letters", each, []schemas.Offence{raped("1"), raped("2")}, (18_250 + 20_075) * 1_000_000, []int64{1000, 1100}},
		{"each: beyond the tenth further one the factor stays", each, append(ten(), raped("rape"), letter("one more"), letter("and one more")), (18_250 + 775 + 200) * 1_000_000, nil},
		{"each: the order is by what a row adds, not by its harm", each, []schemas.Offence{old(raped("1")), raped("2"), harmed("3")},
			// 18,250 + 9,125 * 1.1 + 100 * 1.2; the factors by allegation
			18_250_000_000 + 10_037_500_000 + 120_000_000, []int64{1100, 1000, 1200}},
		{"each: of equal ones the least id comes first, however they are read", each, []schemas.Offence{raped("3"), raped("1"), raped("2")}, 18_250 * 3_300_000, []int64{1000, 1100, 1200}},
		{"each: one allegation counts as it is", each, []schemas.Offence{harmed("1")}, 100_000_000, []int64{1000}},
		{"all, non-recent aside: it neither counts nor makes others count more", schemas.Model{NonRecent: schemas.NonRecentAside}, []schemas.Offence{raped("1"), long(raped("2"))}, 18_250_000_000, []int64{1000, 0}},
		{"each, non-recent aside", schemas.Model{FrequencyApply: schemas.FrequencyEach, NonRecent: schemas.NonRecentAside},
			[]schemas.Offence{long(raped("1")), harmed("2"), raped("3"), letter("4")}, 18_250_000_000 + 110_000_000 + 60_000_000, []int64{0, 1100, 1000, 1200}},
		{"nothing but non-recent, aside, is a score of nothing", schemas.Model{NonRecent: schemas.NonRecentAside}, []schemas.Offence{long(raped("1"))}, 0, []int64{0}},
		{"the gravest of a report and a victim alone", schemas.Model{PerReport: schemas.PerReportGravest}, []schemas.Offence{one(letter("1")), one(raped("2")), one(harmed("3")), harmed("4")},
			(18_250 + 100) * 1_100_000, []int64{0, 1100, 0, 1100}},
		{"the gravest by harm, though it adds less", schemas.Model{PerReport: schemas.PerReportGravest}, []schemas.Offence{one(harmed("1")), one(old(raped("2")))}, 9_125_000_000, []int64{0, 1000}},
		{"of equal harm the one that adds more, of equal ones the least id", schemas.Model{PerReport: schemas.PerReportGravest}, []schemas.Offence{one(old(raped("1"))), one(raped("3")), one(raped("2"))}, 18_250_000_000, []int64{0, 1000, 0}},
		{"a row without a victim stands alone", schemas.Model{PerReport: schemas.PerReportGravest}, []schemas.Offence{alone(raped("1")), alone(raped("2")), one(harmed("3"))},
			// 36,600 * 1.2
			43_920_000_000, []int64{1200, 1200, 1200}},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			o := options(t)
			o.Model.FrequencyApply, o.Model.NonRecent, o.Model.PerReport = c.model.FrequencyApply, c.model.NonRecent, c.model.PerReport
			if err := o.Model.Validate(); err != nil {
				t.Fatal(err)
			}
			s, err := feed(t, o, c.rows, plain)
			if err != nil {
				t.Fatal(err)
			}
			all := rankingOf(t, s)
			if len(all) != 1 || all[0].Score != c.score || all[0].Allegations != int64(len(c.rows)) {
				t.Fatalf("a score of %d, want %d: %+v", all[0].Score, c.score, all)
			}
			_, contributions := cutOff(t, o.Model, all, s.Candidates)
			slices.SortFunc(contributions, func(a, b schemas.Contribution) int { return cmp.Compare(a.AllegationID, b.AllegationID) })
			shares, sum := 0.0, int64(0)
			for i, a := range contributions {
				if c.factors != nil && a.FrequencyPPM != 1000*c.factors[i] {
					t.Errorf("allegation %s: factor %d millionths, want %d thousandths", a.AllegationID, a.FrequencyPPM, c.factors[i])
				}
				shares += a.Share
				sum += a.Base * a.FrequencyPPM / 1_000_000
			}
			if sum != c.score || c.score > 0 && (shares < 0.999_999 || shares > 1.000_001) {
				t.Errorf("the contributions come to %d and to shares of %f", sum, shares)
			}
		})
	}
}
