package digest

import (
	_ "embed"
	"fmt"
	htmltemplate "html/template"
	"math"
	"strconv"
	"strings"
	texttemplate "text/template"
	"time"

	"harmstack/schemas"
)

var (
	//go:embed digest.txt.tmpl
	textSource string
	//go:embed digest.html.tmpl
	htmlSource string

	textPage = texttemplate.Must(texttemplate.New("text").Parse(textSource))
	htmlPage = htmltemplate.Must(htmltemplate.New("html").Parse(htmlSource))
)

// page is what both parts of the e-mail show.
type page struct {
	Team, Date, Revision, Approved, Summary, CSVName string
	Entries                                          []entry
	Left                                             []departure
}

// entry is one suspect of the team's, in plain words.
type entry struct {
	Reference, Change    string
	Position             int64
	New                  bool
	Counts, Harm, Report string
	Notes                []string
}

// departure is one suspect who was the team's and is no longer.
type departure struct {
	Reference, Why string
	Position       int64
}

func newPage(team string, in Input) page {
	p := page{
		Team: team, Date: longDate(in.Night.AsOf.Start()), Revision: strconv.Itoa(in.Night.Revision),
		Approved: longDate(in.Approved) + " at " + in.Approved.In(schemas.London).Format("15:04"),
		CSVName:  "stack-" + slug(team) + ".csv",
	}
	changes := map[string]schemas.Change{}
	for _, c := range in.Changes {
		changes[c.SuspectID] = c
	}
	was, is := map[string]bool{}, map[string]bool{}
	for _, r := range in.Previous {
		was[r.SuspectID] = true
	}
	fresh := 0
	for _, r := range in.Stack {
		is[r.SuspectID] = true
		e := entry{
			Reference: in.Pseudonym(r.SuspectID), Position: r.Position, New: !was[r.SuspectID],
			Change: changeText(changes[r.SuspectID], was[r.SuspectID]),
			Counts: countsText(r), Harm: harmText(r), Report: reportText(r), Notes: notes(in, r),
		}
		if e.New {
			fresh++
		}
		p.Entries = append(p.Entries, e)
	}
	for _, r := range in.Previous {
		if !is[r.SuspectID] {
			p.Left = append(p.Left, departure{in.Pseudonym(r.SuspectID), leftText(changes[r.SuspectID]), r.Position})
		}
	}
	p.Summary = fmt.Sprintf("%s, %d new, %d gone", number(int64(len(in.Stack)), "suspect"), fresh, len(p.Left))
	return p
}

func (p page) render() (text, html string, err error) {
	var t, h strings.Builder
	if err := textPage.Execute(&t, p); err != nil {
		return "", "", fmt.Errorf("digest: %w", err)
	}
	if err := htmlPage.Execute(&h, p); err != nil {
		return "", "", fmt.Errorf("digest: %w", err)
	}
	return t.String(), h.String(), nil
}

func changeText(c schemas.Change, known bool) string {
	switch {
	case !known && c.Previous != nil:
		return "new to you, from another team"
	case !known:
		return "new"
	case c.Previous == nil || c.Position == nil || *c.Previous == *c.Position:
		return "unchanged"
	case *c.Previous > *c.Position:
		return fmt.Sprintf("up from %d", *c.Previous)
	default:
		return fmt.Sprintf("down from %d", *c.Previous)
	}
}

func leftText(c schemas.Change) string {
	if c.Kind != schemas.ChangeLeft || c.Reason == nil {
		return "still on the stack, now with another team"
	}
	switch *c.Reason {
	case schemas.LeftOutranked:
		return "left the stack: others rank higher now"
	case schemas.LeftAgedOut:
		return "left the stack: the allegations are older than a year"
	default:
		return "left the stack: the allegations no longer count (cleared, reclassified, or the suspect has died)"
	}
}

func countsText(r schemas.Ranked) string {
	s := number(r.Allegations, "allegation") + " in " + number(r.Reports, "crime report")
	switch r.Victims {
	case 0:
		s += ", no victim recorded"
	default:
		s += ", against " + number(r.Victims, "victim")
	}
	if r.DomesticAbuse > 0 {
		s += fmt.Sprintf("; %d flagged as domestic abuse", r.DomesticAbuse)
	}
	return s
}

func harmText(r schemas.Ranked) string {
	s := days(r.SumDays) + " harm days alleged"
	if r.Allegations > 1 {
		s += ", " + days(r.MaxDays) + " for the gravest"
	}
	return s + "; " + days(r.ScoreDays) + " after recency and frequency"
}

func reportText(r schemas.Ranked) string {
	last := longDate(time.UnixMicro(r.LastReported))
	if first := longDate(time.UnixMicro(r.FirstReported)); first != last {
		return "last reported " + last + ", first " + first
	}
	return "reported " + last
}

func notes(in Input, r schemas.Ranked) (lines []string) {
	add := func(when bool, format string, args ...any) {
		if when {
			lines = append(lines, fmt.Sprintf(format, args...))
		}
	}
	status := ""
	if r.SuspectStatus != nil {
		status = *r.SuspectStatus
	}
	add(status == "in_custody", "In custody.")
	add(status == "on_bail", "On bail.")
	add(r.AlsoVictim, "Also recorded as a victim: look for a counter-allegation.")
	add(r.NonRecent == 1, "One allegation is non-recent: more than a year before it was reported.")
	add(r.NonRecent > 1, "%d allegations are non-recent: more than a year before they were reported.", r.NonRecent)
	add(r.TieSize > 1, "Same score as %s; victims, allegations and the last report settle the order.", number(r.TieSize-1, "other suspect"))
	add(in.Cut.InsideTie && r.Score == in.Cut.Score, "The edge of the stack falls inside this tie: %s with this score did not make it.", number(in.Cut.TiedOut, "suspect"))
	owner := ""
	if r.OwnerBorough != nil {
		owner = *r.OwnerBorough
	}
	switch {
	case owner == in.Borough:
	case owner == "":
		add(true, "Transferred to you from the central desk.")
	default:
		add(true, "Transferred to you; most of the alleged harm is in %s.", owner)
	}
	var others []string
	for _, b := range r.Boroughs {
		if b != in.Borough && b != owner {
			others = append(others, b)
		}
	}
	add(len(others) > 0, "Also alleged in %s.", strings.Join(others, ", "))
	return lines
}

func longDate(t time.Time) string { return t.In(schemas.London).Format("2 January 2006") }

func number(n int64, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return thousands(strconv.FormatInt(n, 10)) + " " + noun
}

// days writes harm days to a tenth, and without it when there is none.
func days(d float64) string {
	s := strconv.FormatFloat(math.Round(d*10)/10, 'f', 1, 64)
	whole, tenth, _ := strings.Cut(s, ".")
	if tenth == "0" {
		return thousands(whole)
	}
	return thousands(whole) + "." + tenth
}

func thousands(digits string) string {
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
