// Package quality checks whether a night looks as nights do, before an officer decides on it: checks that a YAML file
// declares, over the night's own counts and those of the nights before.
//
// It must not know how the counts came about, nor what follows from a check that fails.
package quality

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"harmstack/schemas"
	"harmstack/schemas/text"
	"harmstack/schemas/yamlfile"
)

//go:embed default.yaml
var standard []byte

// Checks are declared checks.
type Checks struct {
	// History is how many nights before are compared with.
	History int              `yaml:"history"`
	Limits  map[string]Limit `yaml:"checks"`
	Arrival Arrival          `yaml:"source"`
	Watch   Watch            `yaml:"watch"`
}

// Arrival says when the source of a night must be there, and what is taken for the source of a night.
type Arrival struct {
	// Until is the time of day in London, 15:04 or 15:04:05, up to which a night waits on the morning after its date;
	// off: not at all.
	Until string `yaml:"until"`
	// Fresh is how long before the end of the night's date the newest change in the source may be; 0: no matter.
	Fresh yamlfile.Span `yaml:"fresh"`
	// Every is the pause between two looks for it.
	Every yamlfile.Span `yaml:"every"`
}

// Waits tells whether nights wait for their source at all.
func (a Arrival) Waits() bool { return a.Until != "" && a.Until != off }

// On is the instant in London at which waiting ends on a day.
func (a Arrival) On(day schemas.Date) time.Time {
	at, _ := clock(a.Until) // Parse has read it
	y, m, d := day.Start().Date()
	return time.Date(y, m, d, at.Hour(), at.Minute(), at.Second(), 0, schemas.London)
}

func clock(text string) (time.Time, error) {
	at, err := time.Parse("15:04", text)
	if err != nil {
		at, err = time.Parse(time.TimeOnly, text)
	}
	return at, err
}

// Watch says what is reported of the nights as a whole, in days between the date of a night and the day of the report.
type Watch struct {
	// PendingDays is how old a night may be that nobody has decided: 1 is the night of yesterday.
	PendingDays int `yaml:"pending_days"`
	// CurrentDays is how old the approved stack may be.
	CurrentDays int `yaml:"current_days"`
}

// Limit is how far a check lets a figure go, and what follows when it goes further.
type Limit struct {
	Level string  `yaml:"level"` // schemas.Block, schemas.Warn or off
	Limit float64 `yaml:"limit"`
}

const off = "off"

// Standard are the checks of a deployment that declares none.
func Standard() Checks {
	c, err := Parse(standard)
	if err != nil {
		panic(err) // compiled in; only a broken build gets here
	}
	return c
}

// Example is the file of Standard.
func Example() []byte { return bytes.Clone(standard) }

// Load reads the checks of a file; an empty path is Standard.
func Load(path string) (Checks, error) {
	if path == "" {
		return Standard(), nil
	}
	data, err := yamlfile.Read(path, yamlfile.Small)
	if err != nil {
		return Checks{}, err
	}
	c, err := Parse(data)
	if err != nil {
		return c, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return c, nil
}

// Parse reads and validates checks. One that is not declared is off; one that does not exist is an error.
func Parse(data []byte) (c Checks, err error) {
	c.Arrival, c.Watch = Arrival{"09:00", yamlfile.Span(12 * time.Hour), yamlfile.Span(time.Minute)}, Watch{1, 3}
	file, err := yamlfile.Decode(data, yamlfile.Small, &c)
	if err != nil {
		return c, err
	}
	var errs []error
	fault := func(field, format string, args ...any) { errs = append(errs, yamlfile.Wrong(field, format, args...)) }
	if c.History < 1 || c.History > 365 {
		fault("history", "%d, it must be from 1 to 365 nights", c.History)
	}
	if _, err := clock(c.Arrival.Until); err != nil && c.Arrival.Until != off {
		fault("source.until", `it is no time of day: write it like "09:00", or off`)
	}
	if c.Arrival.Every == 0 {
		fault("source.every", "it must be more than 0: write it like 1m")
	}
	if c.Watch.PendingDays < 1 || c.Watch.CurrentDays < 1 {
		fault("watch", "pending_days and current_days must be 1 or more")
	}
	if _, said := c.Limits[notDefault]; !said {
		if c.Limits == nil {
			c.Limits = map[string]Limit{}
		}
		c.Limits[notDefault] = Limit{Level: schemas.Block}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Limits)) {
		l := c.Limits[name]
		i := slices.IndexFunc(checks, func(k check) bool { return k.name == name })
		if i < 0 {
			fault("checks."+name, "there is no such check")
		}
		if l.Level != schemas.Block && l.Level != schemas.Warn && l.Level != off {
			fault("checks."+name+".level", "it is none of block, warn and off")
		}
		switch {
		case !(l.Limit >= 0) || math.IsInf(l.Limit, 1):
			fault("checks."+name+".limit", "%v is no number from 0 upwards", l.Limit)
		case i >= 0 && checks[i].share && l.Limit > 1:
			fault("checks."+name+".limit", "%v is no share: write 5 %% as 0.05", l.Limit)
		}
	}
	return c, file.Place(errors.Join(errs...))
}

// Night is what the checks look at.
type Night struct {
	Manifest schemas.Manifest
	// Stack is the night's; Before are the manifests of the nights before, in any order.
	Stack  []schemas.Ranked
	Before []schemas.Manifest
}

// check is one check: what it found, in words, and whether that is beyond the limit. ok is false when there is nothing
// to look at; found says why, or is empty when there are too few nights before.
type check struct {
	name  string
	share bool // the limit is one of rows, values or the stack, so that more than 1 would never be reached
	look  func(n Night, limit float64) (found string, beyond, ok bool)
}

// notDefault is the one check that is on where a file does not declare it: an extract that somebody names in a request
// may be made up (trust, section 1).
const notDefault = "extract_not_default"

var checks = []check{
	{notDefault, false, func(n Night, _ float64) (string, bool, bool) {
		switch f := n.Manifest.Form; {
		case f == nil:
			return "what was asked for is not known", false, false
		case f.Source == schemas.DefaultSource:
			return "the default source", false, true
		default:
			who := n.Manifest.StartedBy.String()
			if who == "" {
				who = "somebody unknown"
			}
			return fmt.Sprintf("the extract %q, asked for by %s", f.Source, who), true, true
		}
	}},
	{"rows_fell", true, func(n Night, limit float64) (string, bool, bool) {
		usual, ok := n.median(func(m schemas.Manifest) float64 { return float64(m.RowsRead) })
		return fmt.Sprintf("%s, usually %s", text.Count(n.Manifest.RowsRead, "row"), text.Number(whole(usual))), float64(n.Manifest.RowsRead) < limit*usual, ok
	}},
	{"rows_rose", false, func(n Night, limit float64) (string, bool, bool) {
		usual, ok := n.median(func(m schemas.Manifest) float64 { return float64(m.RowsRead) })
		return fmt.Sprintf("%s, usually %s", text.Count(n.Manifest.RowsRead, "row"), text.Number(whole(usual))), float64(n.Manifest.RowsRead) > limit*usual, ok
	}},
	{"stale_days", false, func(n Night, limit float64) (string, bool, bool) {
		p := n.Manifest.Profile
		if p == nil || p.NewestReport.IsZero() {
			return "there is no report up to the night's date", false, false
		}
		days := n.Manifest.AsOf.DaysSince(p.NewestReport)
		return fmt.Sprintf("the newest report is of %s, %s before", p.NewestReport, text.Count(days, "day")), float64(days) > limit, true
	}},
	{"staler_hours", false, func(n Night, limit float64) (string, bool, bool) {
		usual, ok := n.median(hoursStale)
		now := hoursStale(n.Manifest)
		if math.IsNaN(now) {
			return "no row says when it was changed", false, false
		}
		return fmt.Sprintf("the newest change is %.1f hours before the end of the date, usually %.1f", now, usual), now-usual > limit, ok
	}},
	{"nulls_rose", true, func(n Night, limit float64) (worst string, beyond, ok bool) {
		most := math.Inf(-1)
		for _, c := range schemas.Offences {
			rate := func(m schemas.Manifest) float64 {
				if m.Profile == nil {
					return math.NaN()
				}
				return share(m.Profile.Nulls[c.Name], m.RowsRead)
			}
			usual, known := n.median(rate)
			if now := rate(n.Manifest); known && now-usual > most {
				most, ok = now-usual, true
				worst = fmt.Sprintf("%s: %s null, usually %s", c.Name, percent(now), percent(usual))
			}
		}
		return worst, most > limit, ok
	}},
	{"borough_fell", true, func(n Night, limit float64) (worst string, beyond, ok bool) {
		least, boroughs := math.Inf(1), map[string]bool{}
		for _, m := range append(slices.Clone(n.Before), n.Manifest) {
			if m.Profile != nil {
				for b := range m.Profile.Boroughs {
					boroughs[b] = true
				}
			}
		}
		for _, b := range slices.Sorted(maps.Keys(boroughs)) {
			rows := func(m schemas.Manifest) float64 {
				if m.Profile == nil || m.Profile.Boroughs == nil {
					return math.NaN()
				}
				return float64(m.Profile.Boroughs[b])
			}
			// A handful comes and goes by chance.
			usual, known := n.median(rows)
			if now := rows(n.Manifest); known && usual >= 20 && now/usual < least {
				least, ok = now/usual, true
				worst = fmt.Sprintf("%s: %s, usually %s", b, text.Count(whole(now), "row"), text.Number(whole(usual)))
			}
		}
		return worst, least < limit, ok
	}},
	{unreadable, true, func(n Night, limit float64) (worst string, beyond, ok bool) {
		if n.Manifest.Profile == nil {
			return unprofiled, false, false
		}
		most := 0.0
		for _, c := range n.Manifest.Facts.ReadAsNull() {
			// What is out of range stands in the parts, what cannot be read is null there.
			values := n.Manifest.RowsRead - n.Manifest.Profile.Nulls[c.Column] + n.Manifest.Facts.Unreadable[c.Column]
			if now := share(c.Values, values); now > most {
				most = now
				worst = fmt.Sprintf(
					"%s: %s of %s, %s",
					c.Column,
					text.Number(c.Values),
					text.Count(values, "value"),
					percent(now),
				)
			}
		}
		if worst == "" {
			worst = "every value is one that its column can hold"
		}
		return worst, most > limit, true
	}},
	{"ahead_of_clock", true, func(n Night, limit float64) (string, bool, bool) {
		if n.Manifest.Profile == nil {
			return unprofiled, false, false
		}
		return n.part(n.Manifest.Profile.AheadOfClock, limit)
	}},
	{"unknown_codes", true, func(n Night, limit float64) (string, bool, bool) {
		if n.Manifest.Profile == nil || n.Manifest.Profile.UnknownCodes == nil {
			return unprofiled, false, false
		}
		return n.part(*n.Manifest.Profile.UnknownCodes, limit)
	}},
	{"quarantined", true, func(n Night, limit float64) (string, bool, bool) {
		return n.part(n.Manifest.Dispositions[schemas.Quarantined], limit)
	}},
	{"duplicates", true, func(n Night, limit float64) (string, bool, bool) {
		return n.part(n.Manifest.Dispositions[schemas.Duplicate]+n.Manifest.Dispositions[schemas.Superseded], limit)
	}},
	{
		"conflicts",
		true,
		func(n Night, limit float64) (string, bool, bool) { return n.part(n.Manifest.Facts.Conflicting, limit) },
	},
	{"unscored", true, func(n Night, limit float64) (string, bool, bool) {
		return n.part(n.Manifest.Dispositions[schemas.UnscoredOffence], limit)
	}},
	{"not_vawg_rose", true, func(n Night, limit float64) (string, bool, bool) {
		rate := n.rate(schemas.NotVAWG)
		usual, ok := n.median(rate)
		now := rate(n.Manifest)
		return fmt.Sprintf("%s, usually %s", percent(now), percent(usual)), now-usual > limit, ok
	}},
	{"disposition_drift", true, func(n Night, limit float64) (worst string, beyond, ok bool) {
		most := -1.0
		for d := range schemas.DispositionCount {
			rate := n.rate(d)
			usual, known := n.median(rate)
			if now := rate(n.Manifest); known && math.Abs(now-usual) > most {
				most, ok = math.Abs(now-usual), true
				worst = fmt.Sprintf("%s: %s, usually %s", d, percent(now), percent(usual))
			}
		}
		return worst, most > limit, ok
	}},
	{"turnover", true, func(n Night, limit float64) (string, bool, bool) {
		c := n.Manifest.Changes
		if c == nil || n.Manifest.Previous == nil || len(n.Stack) == 0 {
			return "no stack was approved before", false, false
		}
		now := share(c.Entered, int64(len(n.Stack)))
		return fmt.Sprintf("%s of %s entered, %s", text.Number(c.Entered), text.Number(len(n.Stack)), percent(now)), now > limit, true
	}},
	{"borough_share", true, func(n Night, limit float64) (string, bool, bool) {
		owns := map[string]int64{}
		most := ""
		for _, r := range n.Stack {
			if r.OwnerBorough == nil {
				continue
			}
			owns[*r.OwnerBorough]++
			if a, b := owns[*r.OwnerBorough], owns[most]; a > b || a == b && *r.OwnerBorough < most {
				most = *r.OwnerBorough
			}
		}
		// A handful is no basis for a share.
		if len(n.Stack) < 20 || most == "" {
			return "the stack is too short", false, false
		}
		now := share(owns[most], int64(len(n.Stack)))
		return fmt.Sprintf("%s owns %s of the stack", most, percent(now)), now > limit, true
	}},
	{"crowded_id", false, func(n Night, limit float64) (string, bool, bool) {
		// How many times over the limit an id is, by whatever it has most of.
		crowd := func(r schemas.Ranked) int64 {
			return max(r.Victims, int64(len(r.Boroughs)), r.Allegations/rowsOfOne)
		}
		var most schemas.Ranked
		for _, r := range n.Stack {
			if crowd(r) > crowd(most) {
				most = r
			}
		}
		return fmt.Sprintf("position %s has %s, %s and %s", text.Number(most.Position), text.Count(most.Victims, "victim"),
			text.Count(len(most.Boroughs), "borough"), text.Count(most.Allegations, "row")), float64(crowd(most)) > limit, true
	}},
}

// rowsOfOne is how many rows crowd an id as much as one victim or borough does.
const rowsOfOne = 4

// unreadable is the check that warns of one value already, and takes its level beyond the limit: the rules read what
// cannot be read as null, which is no reason to go on without a word.
const unreadable = "unreadable"

const unprofiled = "the check stage did not count them"

// hoursStale is how long before the end of the night's date the newest change is; one after it is as fresh as can be,
// so that nights that were made later from the same export are no measure of their own.
func hoursStale(m schemas.Manifest) float64 {
	if m.Profile == nil || m.Profile.NewestChange.IsZero() {
		return math.NaN()
	}
	return max(0, m.AsOf.AddDays(1).Start().Sub(m.Profile.NewestChange).Hours())
}

// rate is a disposition's share of the rows, of nights that were scored by the same tables and window.
func (n Night) rate(d schemas.Disposition) func(schemas.Manifest) float64 {
	return func(m schemas.Manifest) float64 {
		if m.Edition != n.Manifest.Edition || m.Rules != n.Manifest.Rules || m.Supplement != n.Manifest.Supplement ||
			m.Resolutions != n.Manifest.Resolutions || m.Model != n.Manifest.Model {
			return math.NaN()
		}
		return share(m.Dispositions[d], m.RowsRead)
	}
}

// part checks a share of the rows read.
func (n Night) part(rows int64, limit float64) (string, bool, bool) {
	now := share(rows, n.Manifest.RowsRead)
	return fmt.Sprintf("%s, %s", text.Count(rows, "row"), percent(now)), now > limit, true
}

// median is that of a figure over the nights before; a night that does not know it is left out.
func (n Night) median(figure func(schemas.Manifest) float64) (float64, bool) {
	var values []float64
	for _, m := range n.Before {
		if v := figure(m); !math.IsNaN(v) {
			values = append(values, v)
		}
	}
	if len(values) == 0 {
		return 0, false
	}
	slices.Sort(values)
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2, true
}

func share(part, of int64) float64 {
	if of == 0 {
		return 0
	}
	return float64(part) / float64(of)
}

// whole is a count that was worked out as a figure.
func whole(f float64) int64 { return int64(math.Round(f)) }

func percent(share float64) string { return strconv.FormatFloat(100*share, 'f', 1, 64) + " %" }

// Outcomes looks at a night. Checks that are off are left out; one that has nothing to look at says so, for silence
// looks like approval.
func (c Checks) Outcomes(n Night) []schemas.CheckOutcome {
	outcomes := []schemas.CheckOutcome{}
	for _, k := range checks {
		l := c.Limits[k.name]
		if l.Level == "" || l.Level == off {
			continue
		}
		found, beyond, ok := k.look(n, l.Limit)
		if !ok && (found == "" || strings.Contains(found, "usually")) {
			found = "there is no night to compare with yet"
		}
		if _, any, _ := k.look(n, 0); k.name == unreadable && any && !beyond {
			l.Level, beyond = schemas.Warn, true
		}
		outcomes = append(
			outcomes,
			schemas.CheckOutcome{
				Name:    k.name,
				Level:   l.Level,
				Limit:   l.Limit,
				Found:   found,
				Failed:  ok && beyond,
				Skipped: !ok,
			},
		)
	}
	return outcomes
}
