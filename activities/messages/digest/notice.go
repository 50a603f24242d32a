package digest

import (
	_ "embed"
	"fmt"
	htmltemplate "html/template"
	"strings"
	texttemplate "text/template"
	"time"

	"harmstack/schemas"
	"harmstack/schemas/text"
)

var (
	//go:embed notice.txt.tmpl
	noticeText string
	//go:embed notice.html.tmpl
	noticeHTML string

	textNotice = texttemplate.Must(texttemplate.New("text").Parse(noticeText))
	htmlNotice = htmltemplate.Must(htmltemplate.New("html").Parse(noticeHTML))
)

// Notice is a message about one event of one tasking that cannot wait for the digest.
type Notice struct {
	Key     string // names the message, as Message.Key does
	Party   string // who is told
	To      []string
	Tasking *schemas.Tasking
	Event   schemas.TaskingEvent
	Desk    Desk
	// Pack holds ids, for a team that does not have it yet: those of its addresses get it whose domain may hold it.
	Pack        []Attachment
	PackDomains []string
}

// Build writes the notice. Its text has no id: that stands in the pack alone.
func (n Notice) Build() (Message, error) {
	to, err := addresses(n.Party, n.To)
	if err != nil {
		return Message{}, err
	}
	t := n.Tasking
	what, ask := n.words()
	page := struct {
		Title, Reference, Team, Party, Facts, State, Ask, Reason, Link string
		News                                                           []string
		Attached                                                       bool
	}{text.Line(what), t.Reference, text.Line(t.Team), n.Party, text.Line(FactsText(t.Facts)), text.Line(StateText(t)), text.Line(ask),
		text.Line(n.Event.Reason), n.Desk.Tasking(t.Reference), text.Lines(n.Event.News), len(n.Pack) > 0}
	var plain, html strings.Builder
	if err := textNotice.Execute(&plain, page); err != nil {
		return Message{}, fmt.Errorf("notice: %w", err)
	}
	if err := htmlNotice.Execute(&html, page); err != nil {
		return Message{}, fmt.Errorf("notice: %w", err)
	}
	return Message{
		Key:         n.Key,
		Date:        n.Event.At,
		To:          to,
		Subject:     fmt.Sprintf("Tasking %s, %s: %s", t.Reference, page.Team, page.Title),
		Text:        plain.String(),
		HTML:        html.String(),
		Packs:       n.Pack,
		PackDomains: n.PackDomains,
	}, nil
}

// words says what happened and what the reader is to do about it.
func (n Notice) words() (what, ask string) {
	answer := fmt.Sprintf(
		"Acknowledge it: starter ack %s --team %q --by YOUR-NAME, or by the update acknowledge of the workflow tasking-%s.",
		n.Tasking.Reference,
		n.Tasking.Team,
		n.Tasking.Reference,
	)
	if n.Desk != "" { // which knows for whom they speak
		answer = fmt.Sprintf("Acknowledge it at the desk, or by starter ack %s.", n.Tasking.Reference)
	}
	switch n.Event.Kind {
	case schemas.EventReminded:
		return "nobody has acknowledged it yet", answer
	case schemas.EventLead, schemas.EventDesk:
		if n.Tasking.Restricted { // it goes no further
			return "not acknowledged in time", answer
		}
	}
	switch n.Event.Kind {
	case schemas.EventLead:
		return "not acknowledged in time", "You lead the command that " + n.Tasking.Team + " belongs to: see that somebody takes it on. " + answer
	case schemas.EventDesk:
		return "still not acknowledged", "Neither the team nor its lead has answered: take it on for them, or find out why. " +
			strings.Replace(
				answer,
				fmt.Sprintf("%q", n.Tasking.Team),
				fmt.Sprintf("%q", n.Party),
				1,
			)
	case schemas.EventTransferred:
		if n.Party == n.Event.From {
			return "transferred to " + n.Event.Team, "There is nothing more to do for you."
		}
		return "transferred to you from " + n.Event.From, answer
	}
	return strings.ReplaceAll(n.Event.Kind, "_", " "), ""
}

// StateText says where a tasking stands, and what it waits for.
func StateText(t *schemas.Tasking) string {
	wait := ""
	if due, ok := t.Due(); ok {
		wait = ": acknowledge by " + minute(due)
	}
	if t.Watch && t.State.Open() {
		wait = ": a release watch, without a deadline while in custody"
	}
	switch t.State {
	case schemas.TaskingEscalated:
		return "Escalated: nobody had acknowledged it by " + minute(t.Chase.Lead)
	case schemas.TaskingClosed:
		return "Closed on " + longDate(t.Since) + ": " + strings.ReplaceAll(t.Outcome, "_", " ")
	case schemas.TaskingAcknowledged, schemas.TaskingInProgress, schemas.TaskingStoodDown:
		name := strings.ReplaceAll(string(t.State), "_", " ")
		return strings.ToUpper(name[:1]) + name[1:] + " since " + minute(t.Since) + wait
	case schemas.TaskingTransferred:
		return "Transferred" + wait
	default:
		return "Issued" + wait
	}
}

func minute(t time.Time) string { return t.In(schemas.London).Format("Monday 2 January 2006, 15:04") }

// FactsText says in one line what is alleged.
func FactsText(f schemas.TaskingFacts) string {
	s := text.Count(
		f.Allegations,
		"allegation",
	) + " in " + text.Count(
		f.Reports,
		"crime report",
	) + " against " + text.Count(
		f.Victims,
		"victim",
	) +
		", " + text.CountDays(
		f.HarmDays,
		"harm day",
	)
	if f.Status != "" && f.Status != "unknown" {
		s += "; " + strings.ReplaceAll(f.Status, "_", " ")
	}
	return s
}
