package pack

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// columns is how wide a line of the text may be.
const columns = 80

// paper takes the lines of the plain text.
type paper struct{ strings.Builder }

func (p *paper) line(s string) { p.WriteString(strings.TrimRight(s, " ") + "\n") }

// wrap writes a text after a prefix, its further lines under its first. A word longer than the line is
// cut: an id has no limit.
func (p *paper) wrap(prefix, s string) {
	room := columns - utf8.RuneCountInString(prefix)
	rest := []rune(s)
	for len(rest) > room {
		cut, next := room, room
		for i := room; i > 0; i-- {
			if rest[i] == ' ' {
				cut, next = i, i+1
				break
			}
		}
		p.line(prefix + string(rest[:cut]))
		prefix, rest = strings.Repeat(" ", columns-room), rest[next:]
	}
	p.line(prefix + string(rest))
}

func (p *paper) heading(s string) {
	p.line("\n" + s)
	p.line(strings.Repeat("-", utf8.RuneCountInString(s)))
}

func (p *paper) list(lines []string) {
	for _, s := range lines {
		p.wrap("* ", s)
	}
}

func (p *paper) pack(v page) {
	p.wrap("", "Tasking pack: "+v.Team)
	p.wrap("", fmt.Sprintf("VAWG stack of %s, revision %s, approved %s.", v.Date, v.Revision, v.Approved))
	p.line("")
	p.wrap("", v.Protected)
	p.line("")
	p.line(v.Summary)
	for _, e := range v.Suspects {
		p.suspect(v, e)
	}
	p.line("\n" + strings.Repeat("=", columns))
	p.list(v.Closing)
}

func (p *paper) suspect(v page, e entry) {
	rule := strings.Repeat("=", columns)
	p.line("\n" + rule)
	p.wrap("", e.Position+". "+e.Reference)
	p.line(rule)
	for _, w := range e.Who {
		p.wrap(fmt.Sprintf("%-13s", w.Name), w.Text)
	}
	p.heading("Why on the stack")
	p.wrap("", e.Why)
	if len(e.News) > 0 {
		p.heading("What changed since you were last told")
		p.list(e.News)
	}
	p.heading("Before you act")
	for _, f := range e.Flags {
		p.wrap("* ", f.Name+": "+f.Text)
	}
	if len(e.Enquiries) > 0 {
		p.heading("Lines of enquiry")
		p.list(e.Enquiries)
	}
	if len(e.Allegations) == 0 {
		return
	}
	p.heading("The allegations")
	p.wrap("", v.Legend)
	p.line(
		fmt.Sprintf(
			"\n%5s  %11s  %11s  %11s  %5s  %7s  %7s",
			"No",
			"Reported",
			"Offence",
			"Harm days",
			"Age",
			"Recency",
			"Share",
		),
	)
	for i, r := range e.Allegations {
		if i > 0 {
			p.line("")
		}
		p.allegation(r)
	}
	p.heading("Linked")
	p.list(e.Linked)
	p.heading("What may be evidence for one another")
	p.list(e.Together)
	p.line("")
	p.wrap("", v.Admission)
}

func (p *paper) allegation(r row) {
	committed, old := r.Committed, ""
	if committed == "" {
		committed = "not known"
	}
	if r.Old {
		old = "old"
	}
	p.line(
		fmt.Sprintf(
			"%5s  %11s  %11s  %11s  %5s  %7s  %7s  %s",
			r.No,
			r.Reported,
			committed,
			r.Harm,
			r.Age,
			r.Recency,
			r.Share,
			old,
		),
	)
	for _, f := range []pair{
		{"Offence", r.Offence + " (" + r.Code + ")"}, {"Borough", r.Borough}, {"Outcome", r.Outcome}, {"Source", r.Source},
		{"Weight", r.Weight}, {"Report", r.Report}, {"Victim", r.Victim}, {"Allegation", r.Allegation},
	} {
		if f.Text != "" {
			p.wrap(fmt.Sprintf("       %-12s", f.Name), f.Text)
		}
	}
}
