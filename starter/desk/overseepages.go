package desk

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"harmstack/activities/casework"
	"harmstack/activities/tasking"
	"harmstack/activities/trust/access"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/schemas/text"
)

// overseePages are the pages of those who ask whether it works, and who did what.
var overseePages = []page{
	{"/measures", []string{access.Look, access.Audit}, "measures", "Measures", (*Desk).measures, nil},
	{"/audit", []string{access.Audit}, "audit", "Audit", (*Desk).audit, nil},
}

// bar is one figure of a chart: Width is in hundredths of the longest.
type bar struct {
	Name   string
	Figure string
	Width  int
}

// measures are how the teams do, in figures alone.
type measures struct {
	casework.Measures
	Share string
	// Times are how long it took to acknowledge, and Outcomes what taskings were closed with, by month.
	Times, Outcomes, Ages []bar
	Now                   time.Time
}

func (d *Desk) measures(r *http.Request, p Person) (any, error) {
	m, err := d.measured.get(r.Context(), d.Now(), actTime, func(ctx context.Context) (casework.Measures, error) {
		all, err := d.all(ctx)
		if err != nil {
			return casework.Measures{}, err
		}
		return tasking.MeasureOf(ctx, d.To.Store, d.Now(), func(add func(*schemas.Tasking) error) error {
			for _, t := range all {
				if err := add(t); err != nil {
					return err
				}
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	v := measures{Measures: m, Now: d.Now()}
	if m.Stack > 0 {
		v.Share = fmt.Sprintf("%.0f%%", 100*float64(m.Tasked)/float64(m.Stack))
	}
	hours := map[string][]time.Duration{} // of the teams, weighed by how often
	var months []string
	for _, t := range m.Months {
		if !slices.Contains(months, t.Month) {
			months = append(months, t.Month)
		}
		for range t.Acknowledged {
			hours[t.Month] = append(hours[t.Month], t.AcknowledgeMedian)
		}
	}
	var times, outcomes, ages []measured
	for _, month := range months {
		if all := hours[month]; len(all) > 0 {
			slices.Sort(all)
			median := all[(len(all)-1)/2]
			times = append(times, measured{month, inWords(median), median.Hours()})
		}
	}
	for _, o := range m.Outcomes {
		outcomes = append(outcomes, measured{o.Month + ", " + o.Outcome, strconv.Itoa(o.Count), float64(o.Count)})
	}
	for _, t := range m.Teams {
		ages = append(ages, measured{t.Team, inWords(t.Oldest), t.Oldest.Hours()})
	}
	v.Times, v.Outcomes, v.Ages = bars(times), bars(outcomes), bars(ages)
	return v, d.note(r.Context(), p, audit.Consultation, "looked at the measures", audit.Object{Thing: "measures"}, "", false)
}

type measured struct {
	name, figure string
	value        float64
}

func bars(list []measured) (all []bar) {
	longest := 0.0
	for _, m := range list {
		longest = max(longest, m.value)
	}
	for _, m := range list {
		b := bar{Name: m.name, Figure: m.figure}
		if longest > 0 {
			b.Width = int(100 * m.value / longest)
		}
		all = append(all, b)
	}
	return all
}

// inWords is a time that people wait, to what matters of it: 40 min, 5 h, 12 days.
func inWords(d time.Duration) string {
	switch {
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return text.Count(int(d.Hours()/24), "day")
}

// How many entries of the log are shown at once, and how many are looked through for them.
const (
	entriesShown   = 100
	entriesScanned = 2000
)

// auditPage is a part of the log, newest first, without anybody's personal data: suspects are pseudonyms.
type auditPage struct {
	Filter  audit.Filter
	Entries []audit.Entry
	// Looked is the number of the oldest entry that was looked at; Older leads on from there, and is empty at the end.
	Looked int
	Older  string
	// Damage is what is wrong with the log; nothing is shown of a part that was tampered with.
	Damage string
}

func (d *Desk) audit(r *http.Request, p Person) (any, error) {
	q := r.URL.Query()
	v := auditPage{Filter: audit.Filter{Who: q.Get("who"), Subject: q.Get("subject"), Night: q.Get("night"), Refused: q.Get("refused") != ""}}
	before, err := 0, error(nil)
	if from := q.Get("before"); from != "" {
		if before, err = strconv.Atoi(from); err != nil || before < 1 {
			return nil, fault.New(fault.BadRequest, "before: give the number of an entry")
		}
	}
	for name, day := range map[string]*schemas.Date{"from": &v.Filter.From, "to": &v.Filter.To} {
		if said := q.Get(name); said != "" {
			if *day, err = schemas.ParseDate(said); err != nil {
				return nil, fault.Errorf(fault.BadRequest, "%s: give a date as 2026-06-30", name)
			}
		}
	}
	// The look comes first in what it shows.
	if err := d.note(r.Context(), p, audit.Consultation, "read the log", audit.Object{Thing: "audit log"}, "", false); err != nil {
		return nil, err
	}
	for scanned := 0; len(v.Entries) < entriesShown && scanned < entriesScanned; scanned += entriesShown {
		part, oldest, err := audit.Back(r.Context(), d.To.Store, before, entriesShown)
		if err != nil {
			d.Log.Error("the log cannot be shown", "error", err)
			v.Damage = err.Error()
			return v, nil
		}
		for _, e := range part {
			v.Looked = e.Number
			if v.Filter.Takes(e) {
				if v.Entries = append(v.Entries, e); len(v.Entries) == entriesShown {
					break
				}
			}
		}
		if before = oldest; oldest == 1 {
			break
		}
	}
	if v.Looked > 1 {
		next := url.Values{}
		for name, values := range q {
			next[name] = values
		}
		next.Set("before", strconv.Itoa(v.Looked))
		v.Older = "/audit?" + next.Encode()
	}
	return v, nil
}
