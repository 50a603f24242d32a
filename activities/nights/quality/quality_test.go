package quality

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"harmstack/schemas"
)

// usual is a night as nights are: 1,000 rows, half of them scored.
func usual(day int) schemas.Manifest {
	m := schemas.Manifest{NightID: schemas.NightID{AsOf: schemas.MustDate("2026-06-01").AddDays(day), Revision: 1}, RowsRead: 1000,
		Profile: &schemas.Profile{NewestReport: schemas.MustDate("2026-06-01").AddDays(day), Nulls: map[string]int64{"victim_id": 100}, UnknownCodes: new(int64(2)),
			NewestChange: schemas.MustDate("2026-06-02").AddDays(day).Start().Add(2 * time.Hour), Boroughs: map[string]int64{"Hackney": 60, "Barnet": 30, "Bexley": 19}}}
	m.Form = &schemas.ExtractForm{Source: schemas.DefaultSource}
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
		{"half the rows", func(n *Night) { n.Manifest.RowsRead = 499 }, "rows_fell nulls_rose not_vawg_rose disposition_drift", "499 rows, usually 1,000"},
		{"just half", func(n *Night) { n.Manifest.RowsRead = 500 }, "nulls_rose not_vawg_rose disposition_drift", ""},
		{"twice the rows and one", func(n *Night) { n.Manifest.RowsRead = 2001 }, "rows_rose disposition_drift", "2,001 rows, usually 1,000"},
		{"a late export", func(n *Night) { n.Manifest.Profile.NewestReport = n.Manifest.AsOf.AddDays(-4) }, "stale_days", "the newest report is of 2026-06-01, 4 days before"},
		{"three days late", func(n *Night) { n.Manifest.Profile.NewestReport = n.Manifest.AsOf.AddDays(-3) }, "", ""},
		{"a column that lost its values", func(n *Night) { n.Manifest.Profile.Nulls["borough"] = 51 }, "nulls_rose", "borough: 5.1 % null, usually 0.0 %"},
		{"a value that cannot be read", func(n *Night) {
			n.Manifest.Facts.Unreadable, n.Manifest.Profile.Nulls["suspect_age"] = map[string]int64{"suspect_age": 1}, 1
		}, "unreadable", "suspect_age: 1 of 1,000 values, 0.1 %"},
		{"half of the few values of a column", func(n *Night) {
			n.Manifest.Facts.Unreadable = map[string]int64{"suspect_age": 1, "victim_age": 5}
			n.Manifest.Profile.Nulls = map[string]int64{"victim_id": 100, "suspect_age": 1, "victim_age": 995}
			for i := range n.Before {
				p := *n.Before[i].Profile
				p.Nulls = n.Manifest.Profile.Nulls
				n.Before[i].Profile = &p
			}
		}, "unreadable", "victim_age: 5 of 10 values, 50.0 %"},
		{"ages that nobody has", func(n *Night) { n.Manifest.Facts.OutOfRange = map[string]int64{"victim_age": 1000} }, "unreadable", "victim_age: 1,000 of 1,000 values, 100.0 %"},
		{"a wrong clock", func(n *Night) { n.Manifest.Profile.AheadOfClock = 2 }, "ahead_of_clock", "2 rows, 0.2 %"},
		{"rows that cannot be read", func(n *Night) { n.Manifest.Dispositions[schemas.Quarantined] = 51 }, "quarantined", "51 rows, 5.1 %"},
		{"rows that come twice", func(n *Night) {
			n.Manifest.Dispositions[schemas.Duplicate], n.Manifest.Dispositions[schemas.Superseded] = 60, 41
		}, "duplicates", "101 rows"},
		{"yesterday's export again", func(n *Night) { n.Manifest.Profile.NewestChange = n.Manifest.AsOf.Start().Add(2 * time.Hour) }, "staler_hours",
			"the newest change is 22.0 hours before the end of the date, usually 0.0"},
		{"an export of noon", func(n *Night) { n.Manifest.Profile.NewestChange = n.Manifest.AsOf.Start().Add(12 * time.Hour) }, "", ""},
		{"a minute before noon", func(n *Night) {
			n.Manifest.Profile.NewestChange = n.Manifest.AsOf.Start().Add(11*time.Hour + 59*time.Minute)
		}, "staler_hours", "12.0 hours before"},
		{"a source that is always a day late", func(n *Night) {
			n.Manifest.Profile.NewestChange = n.Manifest.AsOf.Start()
			for i := range n.Before {
				p := *n.Before[i].Profile
				p.NewestChange = n.Before[i].AsOf.Start()
				n.Before[i].Profile = &p
			}
		}, "", ""},
		{"nights that were made a month later from one export", func(n *Night) {
			for i := range n.Before {
				p := *n.Before[i].Profile
				p.NewestChange = n.Before[i].AsOf.AddDays(30).Start()
				n.Before[i].Profile = &p
			}
		}, "", ""},
		{"a borough whose feed failed", func(n *Night) { n.Manifest.Profile.Boroughs["Hackney"], n.Manifest.Profile.Boroughs["Barnet"] = 29, 16 }, "borough_fell", "Hackney: 29 rows, usually 60"},
		{"half a borough", func(n *Night) { n.Manifest.Profile.Boroughs["Hackney"], n.Manifest.Profile.Boroughs["Barnet"] = 30, 15 }, "", ""},
		{"a borough with a handful", func(n *Night) { delete(n.Manifest.Profile.Boroughs, "Bexley") }, "", ""},
		{"codes that are newer than the tables", func(n *Night) { n.Manifest.Profile.UnknownCodes = new(int64(11)) }, "unknown_codes", "11 rows, 1.1 %"},
		{"a few of them", func(n *Night) { n.Manifest.Profile.UnknownCodes = new(int64(10)) }, "", ""},
		{"another model, by which more are left out", func(n *Night) {
			n.Manifest.Dispositions[schemas.NotVAWG], n.Manifest.Dispositions[schemas.Scored] = 690, 300
			n.Manifest.Model.Name = "another"
		}, "", ""},
		{"five per cent of quarantine", func(n *Night) { n.Manifest.Dispositions[schemas.Quarantined] = 50 }, "", ""},
		{"half of the stack", func(n *Night) {
			n.Manifest.Previous, n.Manifest.Changes = &schemas.ManifestRef{}, &schemas.ChangeCount{Entered: 50}
		}, "", ""},
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
		{"an id with 26 victims", func(n *Night) {
			n.Stack = slices.Clone(stack)
			n.Stack[3] = schemas.Ranked{Position: 4, Victims: 26, Allegations: 27, Boroughs: []string{"Brent"}}
		}, "crowded_id", "position 4 has 26 victims, 1 borough and 27 rows"},
		{"an id with 25 victims and 103 rows", func(n *Night) {
			n.Stack = slices.Clone(stack)
			n.Stack[3] = schemas.Ranked{Position: 4, Victims: 25, Allegations: 103}
		}, "", ""},
		{"an id with 104 rows", func(n *Night) {
			n.Stack = slices.Clone(stack)
			n.Stack[3] = schemas.Ranked{Position: 4, Victims: 1, Allegations: 104}
		}, "crowded_id", "104 rows"},
		{"an extract that a schedule asks for", func(n *Night) {
			n.Manifest.Form.Source, n.Manifest.StartedBy = "crimes", &schemas.StartedBy{Way: schemas.WaySchedule}
		}, "extract_not_default", `the extract "crimes", asked for by the schedule`},
		{"an extract that nobody knows who asked for", func(n *Night) { n.Manifest.Form.Source = "/made/up" }, "extract_not_default", "asked for by somebody unknown"},
		{"an extract that somebody says they asked for", func(n *Night) {
			n.Manifest.Form.Source, n.Manifest.StartedBy = "/made/up", &schemas.StartedBy{Way: schemas.WayPerson, Name: "mallory@host", Verified: schemas.ByClaim}
		}, "extract_not_default", "asked for by mallory@host, which nobody has verified"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			n := Night{Manifest: usual(4), Stack: stack, Before: slices.Clone(before)}
			c.change(&n)
			var failed []string
			for _, o := range Standard().Outcomes(n) {
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

// One value that a column cannot hold is told; a column of them lets nobody approve the night.
func TestUnreadableWarnsThenBlocks(t *testing.T) {
	for _, c := range []struct {
		declared string
		lost     int64
		want     string
	}{
		{"level: block, limit: 0.05", 0, "ok"}, {"level: block, limit: 0.05", 1, "warn"}, {"level: block, limit: 0.05", 50, "warn"},
		{"level: block, limit: 0.05", 51, "block"}, {"level: block, limit: 0.05", 1000, "block"}, {"level: warn, limit: 0.05", 1000, "warn"},
		{"level: block, limit: 0", 1, "block"}, {"level: block, limit: 1", 1000, "warn"}, {"level: off, limit: 0", 1000, ""},
	} {
		checks, err := Parse([]byte("history: 7\nchecks: {extract_not_default: {level: off}, unreadable: {" + c.declared + "}}"))
		if err != nil {
			t.Fatal(err)
		}
		m := usual(1)
		m.Facts.Unreadable, m.Profile.Nulls["suspect_age"] = map[string]int64{"suspect_age": c.lost}, c.lost
		got := ""
		for _, o := range checks.Outcomes(Night{Manifest: m}) {
			got += o.Mark()
			if blocked := len((schemas.Manifest{Checks: []schemas.CheckOutcome{o}}).Blocked()) > 0; blocked != (c.want == "block") {
				t.Errorf("%+v: does it block? %t", c, blocked)
			}
		}
		if got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// A check that cannot tell says so: silence would look like approval.
func TestSkipped(t *testing.T) {
	names := func(n Night) (skipped []string) {
		outcomes := Standard().Outcomes(n)
		if len(outcomes) != len(Standard().Limits) {
			t.Errorf("%d outcomes of %d checks", len(outcomes), len(Standard().Limits))
		}
		for _, o := range outcomes {
			if o.Skipped {
				skipped = append(skipped, o.Name+": "+o.Found)
			}
			if o.Skipped && o.Failed || o.Found == "" {
				t.Errorf("%+v", o)
			}
		}
		return skipped
	}
	const none = ": there is no night to compare with yet"
	first := names(Night{Manifest: usual(0), Stack: make([]schemas.Ranked, 3)})
	if want := []string{"rows_fell" + none, "rows_rose" + none, "staler_hours" + none, "nulls_rose" + none, "borough_fell" + none, "not_vawg_rose" + none,
		"disposition_drift" + none, "turnover: no stack was approved before", "borough_share: the stack is too short"}; !slices.Equal(first, want) {
		t.Errorf("%q", first)
	}
	bare := usual(1)
	bare.Profile = nil
	if got := names(Night{Manifest: bare, Before: []schemas.Manifest{bare}}); len(got) != 9 {
		t.Errorf("%q", got)
	}
	if page := schemas.CheckTable(Standard().Outcomes(Night{Manifest: usual(0)}), true); !strings.Contains(page, "| rows_fell | - | there is no night") || !strings.Contains(page, "| quarantined | ok | 10 rows, 1.0 % |") {
		t.Error(page)
	}
}

func TestArrival(t *testing.T) {
	for _, c := range []struct{ until, day, want string }{
		{"09:00", "2026-07-01", "2026-07-01T08:00:00Z"}, {"09:00", "2026-12-01", "2026-12-01T09:00:00Z"}, {"08:30:15", "2026-10-25", "2026-10-25T08:30:15Z"},
	} {
		if got := (Arrival{Until: c.until}).On(schemas.MustDate(c.day)).UTC().Format(time.RFC3339); got != c.want {
			t.Errorf("%s on %s: %s", c.until, c.day, got)
		}
	}
	c, err := Parse([]byte("history: 7\nsource: {until: off}\nwatch: {current_days: 5}"))
	if err != nil || c.Arrival.Waits() || time.Duration(c.Arrival.Fresh) != 12*time.Hour || c.Watch != (Watch{1, 5}) || !Standard().Arrival.Waits() || (Arrival{}).Waits() {
		t.Errorf("%+v, %v", c, err)
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
		"history: 7\nchecks: {rows_fall: {level: warn, limit: 1}}":    "checks.rows_fall: there is no such check",
		"history: 7\nchecks: {rows_fell: {level: stop, limit: 1}}":    `line 2: checks.rows_fell.level: it is none of block, warn and off`,
		"history: 7\nchecks: {rows_fell: {level: warn, limit: -1}}":   "checks.rows_fell.limit: -1 is no number",
		"history: 7\nchecks: {rows_rose: {level: warn, limit: .nan}}": "checks.rows_rose.limit: NaN is no number",
		"history: 7\nchecks: {rows_rose: {level: warn, limit: .inf}}": "checks.rows_rose.limit: +Inf is no number",
		"history: 7\nchecks: {quarantined: {level: block, limit: 5}}": "checks.quarantined.limit: 5 is no share: write 5 % as 0.05",
		"history: 7\nsource: {until: nine}":                           `line 2: source.until: it is no time of day`,
		"history: 7\nsource: {every: 0s}":                             "line 2: source.every: it must be more than 0",
		"history: 7\nwatch: {pending_days: 0}":                        "watch: pending_days",
		"history: 0":                                                  "history: 0, it must be",
		"history: 7\nx: 1":                                            `unknown field "x"`,
		"history: 7\nsource: {fresh: hunter2}":                        "line 2: source.fresh: it is no length of time",
		"history: 7.5":                                                "line 1: history: a whole number is needed here",
		"history: 7\n- [":                                             "line 2: ",
	} {
		if _, err := Parse([]byte(yaml)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", yaml, err)
		}
	}
	if c, err := Parse([]byte("history: 7\nchecks: {extract_not_default: {level: off}, rows_fell: {level: off, limit: 0.5}}")); err != nil || len(c.Outcomes(Night{Manifest: usual(1), Before: []schemas.Manifest{usual(0)}})) != 0 {
		t.Errorf("%+v, %v", c, err)
	}
	for _, k := range checks {
		if _, ok := Standard().Limits[k.name]; !ok {
			t.Errorf("%s is not among the standard checks", k.name)
		}
	}
}
