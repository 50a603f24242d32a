package tasking

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"time"

	"harmstack/activities/casework"
	"harmstack/activities/casework/teams"
	"harmstack/activities/messages/digest"
	"harmstack/activities/messages/ledger"
	"harmstack/activities/messages/webhook"
	"harmstack/activities/task"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/schemas/fault"
)

// NotifyParams names an event of a tasking.
type NotifyParams struct {
	Reference string `json:"reference"`
	Number    int    `json:"number"`
}

// NotifyResult is how many messages went out, and how many were out already.
type NotifyResult struct {
	Sent    int `json:"sent"`
	Already int `json:"already"`
}

// recipient is one party that is told of an event, in one way.
type recipient struct {
	teams.Party
	channel string
}

// audience is who is told of an event at once. Mail goes out when nobody answers and when a person
// transfers a tasking; the digest tells the rest. The webhook of a team, be it an added specialist one, gets every
// event of its taskings; that of a lead or of the desk what is mailed to them.
//
// Of a restricted tasking its desk alone is told, whatever would go further otherwise.
func audience(t *schemas.Tasking, e schemas.TaskingEvent, who *teams.Teams) (to []recipient) {
	var concerned []teams.Party
	for _, name := range []string{e.Team, e.From} {
		if t.Restricted && name != teams.RestrictedDesk {
			continue
		}
		if p, ok := who.Find(name); ok && name != "" {
			concerned = append(concerned, p)
		}
	}
	var mailed []teams.Party
	switch {
	case e.Kind == schemas.EventReminded, t.Restricted && (e.Kind == schemas.EventLead || e.Kind == schemas.EventDesk):
		mailed = concerned
	case e.Kind == schemas.EventLead:
		mailed = []teams.Party{who.Lead(t.BCU)}
	case e.Kind == schemas.EventDesk:
		mailed = []teams.Party{who.Desk()}
	case e.Kind == schemas.EventTransferred && e.By != "":
		mailed = concerned
	}
	for _, p := range mailed {
		to = append(to, recipient{p, ledger.Mail})
	}
	for _, name := range t.Specialists {
		if p, ok := who.Find(name); ok && !t.Restricted {
			concerned = append(concerned, p)
		}
	}
	told := map[string]bool{}
	for _, p := range append(concerned, mailed...) {
		if p.Webhook != nil && !told[p.Slug] {
			told[p.Slug] = true
			to = append(to, recipient{p, ledger.Webhook})
		}
	}
	return to
}

// Notify tells everybody who is to know of an event at once. One party's trouble is no other's.
func (a *Activities) Notify(ctx context.Context, p NotifyParams) (NotifyResult, error) {
	_, stop := task.Start(ctx)
	defer stop()
	r, err := a.notify(ctx, p)
	return r, task.Of(err)
}

func (a *Activities) notify(ctx context.Context, p NotifyParams) (result NotifyResult, err error) {
	who, err := a.who()
	if err != nil {
		return result, err
	}
	// As it was after the event, so that a message that is sent again says the same.
	t, err := casework.LoadVersion(ctx, a.Store, p.Reference, p.Number)
	if err != nil {
		return result, err
	}
	e := t.Events[len(t.Events)-1]
	var passing, final []error
	for _, to := range audience(t, e, who) {
		sent, err := a.tell(ctx, t, e, to, who.PackDomains())
		switch {
		case err == nil && sent:
			result.Sent++
		case err == nil:
			result.Already++
		case refused(err):
			final = append(final, fmt.Errorf("%s: %w", to.Name, err))
		default:
			passing = append(passing, fmt.Errorf("%s: %w", to.Name, err))
		}
	}
	if len(passing) > 0 {
		return result, task.Later(errors.Join(passing...), longest(passing))
	}
	if len(final) > 0 {
		return result, task.Permanent(fault.DeliveryRefused, errors.Join(final...))
	}
	return result, nil
}

// longest is how long those who failed ask to be left alone; 0 leaves it to the activity's own pace.
func longest(passing []error) (wait time.Duration) {
	for _, err := range passing {
		var busy *webhook.SendError
		if errors.As(err, &busy) {
			wait = max(wait, busy.RetryAfter)
		}
	}
	return wait
}

// tell sends one message about an event.
func (a *Activities) tell(
	ctx context.Context, t *schemas.Tasking, e schemas.TaskingEvent, to recipient, packDomains []string,
) (bool, error) {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %s %s", t.Reference, e.Number, to.channel, to.Name))
	id := hex.EncodeToString(sum[:16])
	entry := ledger.Entry{ID: id, Channel: to.channel, Team: to.Name, Kind: e.Kind, Subject: t.Reference}
	var notice digest.Message
	var err error
	log := audit.Entry{Why: "the tasking's event " + e.Kind, On: audit.Object{Pseudonyms: []string{t.Reference}}, To: to.Mail}
	send := func(done func(string) bool) ([]string, error) {
		if to.channel == ledger.Webhook {
			return nil, a.Hooks.Send(
				ctx,
				to.Webhook.URL,
				to.Webhook.Secret,
				webhook.Format(to.Webhook.Format),
				webhook.Event{ID: id, Source: "harmstack", Type: "harmstack.tasking." + e.Kind,
					Subject: t.Reference, Time: e.At, Data: eventData(t, e),
					Text: eventText(t, e), Link: a.Desk.Tasking(t.Reference)},
			)
		}
		return digest.Hand(ctx, a.Mailer, notice)(done)
	}
	if to.channel == ledger.Webhook {
		log.To = []string{host(to.Webhook.URL)}
	} else if notice, err = a.notice(ctx, id, t, e, to, packDomains); err != nil {
		return false, err
	}
	log.Did = packsNote(notice)
	d, err := a.deliver(ctx, entry, log, send)
	if err == nil {
		err = d.Entry.Unreached("event")
	}
	return d.Sent, err
}

// notice is the mail about an event. The team that a tasking is transferred to has not had the pack in a digest.
func (a *Activities) notice(
	ctx context.Context, id string, t *schemas.Tasking, e schemas.TaskingEvent, to recipient, packDomains []string,
) (digest.Message, error) {
	n := digest.Notice{Key: id, Party: to.Name, To: to.Mail, Tasking: t, Event: e, Desk: a.Desk, PackDomains: packDomains}
	if e.Kind == schemas.EventTransferred && to.Name == e.Team && len(packDomains) > 0 {
		var err error
		if n.Pack, err = a.packOf(ctx, t); err != nil {
			return digest.Message{}, err
		}
	}
	return n.Build()
}

// host is the part of a webhook's address that holds no secret.
func host(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "a webhook"
	}
	return u.Scheme + "://" + u.Host
}

// packOf is the pack for a team that has not had it in a digest; none when the suspect has left the stack meanwhile.
func (a *Activities) packOf(ctx context.Context, t *schemas.Tasking) ([]digest.Attachment, error) {
	in, err := Pack(ctx, a.Store, t)
	if errors.Is(err, casework.ErrNone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return attached("pack-"+t.Reference, in)
}

// hooked is what a webhook is told: no id, no name, no free text.
type hooked struct {
	Reference   string               `json:"reference"`
	Event       int                  `json:"event"`
	Team        string               `json:"team"`
	From        string               `json:"from,omitempty"`
	BCU         string               `json:"bcu,omitempty"`
	State       schemas.TaskingState `json:"state"`
	Outcome     string               `json:"outcome,omitempty"`
	Due         string               `json:"due,omitempty"`
	Watch       bool                 `json:"release_watch,omitempty"`
	Facts       schemas.TaskingFacts `json:"facts"`
	Specialists []string             `json:"specialists"`
	News        []string             `json:"news"`
}

// eventText is what people are shown of it in Teams or Slack, whose channels others may read: a pseudonym, and whether
// there is something to do. What happened stands at the desk.
func eventText(t *schemas.Tasking, e schemas.TaskingEvent) string {
	switch {
	case e.Kind == schemas.EventReminded, e.Kind == schemas.EventLead, e.Kind == schemas.EventDesk:
		return "Tasking " + t.Reference + " still waits to be acknowledged."
	case t.State.Unanswered():
		return "Tasking " + t.Reference + " waits to be acknowledged."
	}
	return "There is news of tasking " + t.Reference + "."
}

func eventData(t *schemas.Tasking, e schemas.TaskingEvent) hooked {
	h := hooked{
		Reference:   t.Reference,
		Event:       e.Number,
		Team:        e.Team,
		From:        e.From,
		BCU:         t.BCU,
		State:       t.State,
		Outcome:     e.Outcome,
		Watch:       t.Watch,
		Facts:       t.Facts,
		Specialists: append([]string{}, t.Specialists...),
		News:        append([]string{}, e.News...),
	}
	if due, ok := t.Due(); ok {
		h.Due = due.Format("2006-01-02T15:04:05Z07:00")
	}
	return h
}
