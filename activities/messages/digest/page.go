package digest

import (
	"cmp"
	_ "embed"
	"fmt"
	htmltemplate "html/template"
	"strings"
	texttemplate "text/template"
	"time"

	"harmstack/activities/casework/teams"
	"harmstack/schemas"
	"harmstack/schemas/text"
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
	Team, Title, Under, Summary, CSVName, Edition string
	Link                                          string // the team's page at the desk; empty: there is no desk
	Packs                                         bool   // some of the addresses get the ids attached
	Revoked                                       string // what was taken back, and what counts now
	Waiting                                       string // who is tasked later
	Entries                                       []entry
	Left                                          []Left
}

// entry is one suspect of the team's, in plain words.
type entry struct {
	Reference, Change    string
	Link                 string // the tasking's page at the desk; empty: there is no desk
	Position             int64
	New                  bool
	State                string
	Counts, Harm, Report string
	News, Notes          []string
}

func newPage(in Input) page {
	p := page{
		Team: text.Line(in.Team), Title: "VAWG stack of " + longDate(in.Night.AsOf.Start()),
		Under:   fmt.Sprintf("Revision %d, approved %s.", in.Night.Revision, dateAndTime(in.Approved)),
		CSVName: "stack-" + teams.Slug(in.Team) + ".csv", Edition: text.Line(in.Edition),
		Link: in.Desk.Team(in.Team), Packs: len(in.PackDomains) > 0 && len(in.Suspects) > 0,
	}
	if in.Identity == schemas.IdentityClaimed {
		p.Under += " A trial: here people are who they say they are, and nobody verifies it."
	}
	for _, l := range in.Left {
		p.Left = append(p.Left, Left{l.Reference, l.Position, text.Line(l.Why)})
	}
	if r := in.Revoked; r != nil {
		p.Revoked = fmt.Sprintf(
			"The approval of the stack of %s, revision %d, was taken back on %s: %s.",
			longDate(r.Manifest.AsOf.Start()),
			r.Manifest.Revision,
			dateAndTime(r.At),
			text.Line(strings.TrimRight(r.Reason, ".")),
		)
		if in.Night == (schemas.NightID{}) {
			p.Title, p.Under = "No VAWG stack is approved", "Nobody is tasked until an officer approves one."
		} else {
			p.Revoked += " The stack below counts again."
		}
	}
	if in.Waiting > 0 {
		p.Waiting = fmt.Sprintf(
			"%s on the stack %s tasked with the next %s taskings.",
			text.Count(in.Waiting, "other suspect of yours", "other suspects of yours"),
			text.Noun(in.Waiting, "is", "are"),
			in.Cadence,
		)
	}
	fresh := 0
	for _, s := range in.Suspects {
		e := entry{
			Reference: in.Pseudonym(s.SuspectID), Position: s.Position, New: s.Arrival != "", Change: text.Line(cmp.Or(s.Arrival, movedText(s))),
			State: text.Line(s.State), Counts: countsText(s.Ranked), Harm: harmText(s.Ranked), Report: reportText(s.Ranked), News: text.Lines(s.News),
			Notes: text.Lines(notes(in, s)), Link: in.Desk.Tasking(in.Pseudonym(s.SuspectID)),
		}
		if e.New {
			fresh++
		}
		p.Entries = append(p.Entries, e)
	}
	p.Summary = fmt.Sprintf("%s, %d new, %d gone", text.Count(len(in.Suspects), "suspect"), fresh, len(p.Left))
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

func movedText(s Suspect) string {
	switch {
	case s.Below > 0:
		return "below the stack"
	case s.Previous == nil || *s.Previous == s.Position:
		return "unchanged"
	case *s.Previous > s.Position:
		return fmt.Sprintf("up from %d", *s.Previous)
	default:
		return fmt.Sprintf("down from %d", *s.Previous)
	}
}

func countsText(r schemas.Ranked) string {
	s := text.Count(r.Allegations, "allegation") + " in " + text.Count(r.Reports, "crime report")
	switch r.Victims {
	case 0:
		s += ", no victim recorded"
	default:
		s += ", against " + text.Count(r.Victims, "victim")
	}
	if r.DomesticAbuse > 0 {
		s += fmt.Sprintf("; %d flagged as domestic abuse", r.DomesticAbuse)
	}
	return s
}

func harmText(r schemas.Ranked) string {
	s := text.CountDays(r.SumDays, "harm day") + " alleged"
	if r.Allegations > 1 {
		s += ", " + text.Days(r.MaxDays) + " for the gravest"
	}
	return s + "; " + text.Days(r.ScoreDays) + " after recency and frequency"
}

func reportText(r schemas.Ranked) string {
	last := longDate(time.UnixMicro(r.LastReported))
	if first := longDate(time.UnixMicro(r.FirstReported)); first != last {
		return "last reported " + last + ", first " + first
	}
	return "reported " + last
}

func notes(in Input, r Suspect) (lines []string) {
	add := func(when bool, format string, args ...any) {
		if when {
			lines = append(lines, fmt.Sprintf(format, args...))
		}
	}
	status := ""
	if r.SuspectStatus != nil {
		status = *r.SuspectStatus
	}
	add(r.Below > 0, "Not on the stack any more, and tasked still: until below position %d.", r.Below)
	add(status == "in_custody", "In custody.")
	add(status == "on_bail", "On bail.")
	add(r.AlsoVictim, "Also recorded as a victim: look for a counter-allegation.")
	add(r.NonRecent == 1, "One allegation is non-recent: more than a year before it was reported.")
	add(
		r.NonRecent > 1,
		"%s are non-recent: more than a year before they were reported.",
		text.Count(r.NonRecent, "allegation"),
	)
	add(
		r.TieSize > 1,
		"Same score as %s; victims, allegations and the last report settle the order.",
		text.Count(r.TieSize-1, "other suspect"),
	)
	add(
		r.Below == 0 && in.Cut.InsideTie && r.Score == in.Cut.Score,
		"The edge of the stack falls inside this tie: %s with this score did not make it.",
		text.Count(in.Cut.TiedOut, "suspect"),
	)
	add(r.Restricted, "Restricted: you alone are told. No borough, lead or specialist team is.")
	owner := cmp.Or(orEmpty(r.OwnerBorough), teams.CentralDesk)
	if r.Restricted {
		owner = in.Team
	}
	add(r.With != in.Team, "The tasking is with %s.", r.With)
	add(
		r.With == in.Team && owner == teams.CentralDesk && in.Team != owner,
		"Transferred to you from the central desk.",
	)
	add(
		r.With == in.Team && owner != teams.CentralDesk && in.Team != owner,
		"Transferred to you; most of the alleged harm is in %s.",
		owner,
	)
	var others []string
	for _, b := range r.Boroughs {
		if b != in.Team && b != owner {
			others = append(others, b)
		}
	}
	where := "Also alleged in %s."
	if r.Restricted {
		where = "Alleged in %s."
	}
	add(len(others) > 0, where, strings.Join(others, ", "))
	return lines
}

func dateAndTime(t time.Time) string {
	return longDate(t) + " at " + t.In(schemas.London).Format("15:04")
}

func longDate(t time.Time) string { return t.In(schemas.London).Format("2 January 2006") }
