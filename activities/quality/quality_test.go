package quality

import (
	"fmt"
	"strings"
	"testing"

	"harmstack/schemas"
)

// usual is a night as nights are: 1,000 rows, half of them scored.
func usual(day int) schemas.Manifest {
	m := schemas.Manifest{NightID: schemas.NightID{AsOf: schemas.MustDate("2026-06-01").AddDays(day), Revision: 1}, RowsRead: 1000,
		Profile: &schemas.Profile{NewestReport: schemas.MustDate("2026-06-01").AddDays(day), Nulls: map[string]int64{"victim_id": 100}}}
	m.Dispositions[schemas.Scored], m.Dispositions[schemas.NotVAWG], m.Dispositions[schemas.Quarantined] = 500, 490, 10
	return m
}

func TestChecks(t *testing.T) {
	before := []schemas.Manifest{usual(0), usual(1), usual(2), usual(3)}
	stack := make([]schemas.Ranked, 100)
	for i := range stack {
		stack[i].OwnerBorough = new([]string{"Hackney", "Barnet", "Camden", "Bexley", "Ealing"}[i%5])
	}
	for _, c := range []struct {
		scenario string
		change   func(*Night)
		failed   string // the checks that fail
		found    string
	}{
		{"as usual", func(*Night) {}, "", ""},
		{"the first night", func(n *Night) { n.Before = nil }, "", ""},
		{"half the rows", func(n *Night) { n.Manifest.RowsRead = 499 }, "rows_fell nulls_rose not_vawg_rose disposition_drift", "499 rows, usually 1000"},
		{"just half", func(n *Night) { n.Manifest.RowsRead = 500 }, "nulls_rose not_vawg_rose disposition_drift", ""},
		{"twice the rows and one", func(n *Night) { n.Manifest.RowsRead = 2001 }, "rows_rose disposition_drift", "2001 rows, usually 1000"},
		{"a late export", func(n *Night) { n.Manifest.Profile.NewestReport = n.Manifest.AsOf.AddDays(-4) }, "stale_days", "the newest report is of 2026-06-01, 4 days before"},
		{"three days late", func(n *Night) { n.Manifest.Profile.NewestReport = n.Manifest.AsOf.AddDays(-3) }, "", ""},
		{"a column that lost its values", func(n *Night) { n.Manifest.Profile.Nulls["borough"] = 51 }, "nulls_rose", "borough: 5.1 % null, usually 0.0 %"},
		{"a wrong clock", func(n *Night) { n.Manifest.Profile.AheadOfClock = 2 }, "ahead_of_clock", "2 rows, 0.2 %"},
		{"rows that cannot be read", func(n *Night) { n.Manifest.Dispositions[schemas.Quarantined] = 51 }, "quarantined", "51 rows, 5.1 %"},
		{"rows that come twice", func(n *Night) {
			n.Manifest.Dispositions[schemas.Duplicate], n.Manifest.Dispositions[schemas.Superseded] = 60, 41
		}, "duplicates", "101 rows"},
		{"conflicts", func(n *Night) { n.Manifest.Facts.Conflicting = 11 }, "conflicts", "11 rows, 1.1 %"},
		{"new codes", func(n *Night) { n.Manifest.Dispositions[schemas.UnscoredOffence] = 51 }, "unscored", ""},
		{"codes no longer known", func(n *Night) {
			n.Manifest.Dispositions[schemas.NotVAWG], n.Manifest.Dispositions[schemas.Scored] = 591, 399
		}, "not_vawg_rose disposition_drift", "59.1 %, usually 49.0 %"},
		{"another stack", func(n *Night) {
			n.Manifest.Previous, n.Manifest.Changes = &schemas.ManifestRef{}, &schemas.ChangeCount{Entered: 51}
		}, "turnover", "51 of 100 entered, 51.0 %"},
		{"the first stack", func(n *Night) { n.Manifest.Changes = &schemas.ChangeCount{Entered: 100} }, "", ""},
		{"one borough has most", func(n *Night) {
			n.Stack = append([]schemas.Ranked{}, stack...)
			for i := range 6 {
				n.Stack[5*i+1].OwnerBorough = new("Hackney")
			}
		}, "borough_share", "Hackney owns 26.0 % of the stack"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			n := Night{Manifest: usual(4), Stack: stack, Before: before}
			c.change(&n)
			var failed []string
			for _, o := range Standard().Judge(n) {
				if !o.Failed {
					continue
				}
				failed = append(failed, o.Name)
				if len(failed) == 1 && !strings.Contains(o.Found, c.found) {
					t.Errorf("%s: %q", o.Name, o.Found)
				}
			}
			if got := strings.Join(failed, " "); got != c.failed {
				t.Errorf("%q failed, want %q", got, c.failed)
			}
		})
	}
}

func TestMedian(t *testing.T) {
	for want, rows := range map[string][]int64{"0 false": nil, "7 true": {7}, "5 true": {9, 5, 1}, "4 true": {1, 3, 5, 100}} {
		n := Night{}
		for _, r := range rows {
			n.Before = append(n.Before, schemas.Manifest{RowsRead: r})
		}
		got, ok := n.median(func(m schemas.Manifest) float64 { return float64(m.RowsRead) })
		if fmt.Sprint(got, ok) != want {
			t.Errorf("%v: %v %v, want %s", rows, got, ok, want)
		}
	}
}

func TestParse(t *testing.T) {
	for yaml, want := range map[string]string{
		"history: 7\nchecks: {rows_fall: {level: warn, limit: 1}}":  "checks.rows_fall: there is no such check",
		"history: 7\nchecks: {rows_fell: {level: stop, limit: 1}}":  `checks.rows_fell.level: "stop" is none of block, warn and off`,
		"history: 7\nchecks: {rows_fell: {level: warn, limit: -1}}": "checks.rows_fell.limit: -1 is below 0",
		"history: 0":       "history: 0, it must be",
		"history: 7\nx: 1": `unknown field "x"`,
		"history: 7\n- [":  "checks: ",
	} {
		if _, err := Parse([]byte(yaml)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", yaml, err)
		}
	}
	if c, err := Parse([]byte("history: 7\nchecks: {rows_fell: {level: off, limit: 0.5}}")); err != nil || len(c.Judge(Night{Manifest: usual(1), Before: []schemas.Manifest{usual(0)}})) != 0 {
		t.Errorf("%+v, %v", c, err)
	}
	for _, k := range checks {
		if _, ok := Standard().Limits[k.name]; !ok {
			t.Errorf("%s is not among the standard checks", k.name)
		}
	}
}
