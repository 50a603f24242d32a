// Package operations tells those who keep the system running of what does not run, as Temporal activities: a source
// that did not come, a night that is missing, a stack that nobody decides.
//
// It must not know how a night is made: it looks at what is in the store, and at nothing else that a night could break.
// Nothing it says is about a suspect.
package operations

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"harmstack/activities/casework"
	"harmstack/activities/casework/teams"
	"harmstack/activities/messages/digest"
	"harmstack/activities/messages/ledger"
	"harmstack/activities/nights"
	"harmstack/activities/nights/quality"
	"harmstack/activities/store"
	"harmstack/activities/task"
	"harmstack/activities/tasking"
	"harmstack/activities/trust/audit"
	"harmstack/activities/trust/sign"
	"harmstack/activities/trust/verify"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/schemas/text"
)

// Activities look into the store and send messages.
type Activities struct {
	Store  *store.Store
	Mailer digest.Mailer
	Teams  func() (*teams.Teams, error)
	Watch  quality.Watch
	// Desk is where people reach the desk; empty: alerts name the starter's commands.
	Desk digest.Desk
	// Checkpoints is the URL of a second store for checkpoints of the audit log; empty: none.
	Checkpoints string
	// Scheduling asks Temporal about the night of a date; nil: nothing is known of it.
	Scheduling func(ctx context.Context, asOf schemas.Date) (Scheduling, error)
}

// Scheduling is what Temporal knows of a night.
type Scheduling struct {
	Missing, Paused bool   // the nightly schedule
	Stage           string // of the night, when it is running
	Ended           string // how its last run ended, when that was not well and none is running
}

// The kinds of findings.
const (
	KindSourceLate      = "source_late"
	KindNightFailed     = "night_failed"
	KindNightMissing    = "night_missing"
	KindDecisionPending = "decision_pending"
	KindCurrentOld      = "current_old"
	KindScheduleMissing = "schedule_missing"
	KindSchedulePaused  = "schedule_paused"
	KindTeamUntold      = "team_untold"
	KindTeamsUnknown    = "teams_unknown"
	KindAddressUnmet    = "address_unmet"
	KindMessageRefused  = "message_refused"
	KindOrdersLate      = "orders_late"
	KindStoreDiffers    = "store_differs"
	KindNoCheckpoint    = "no_checkpoint"
)

// Finding is one thing that is not as it should be.
type Finding struct {
	Kind string `json:"kind"`
	// About is the date of the night that it is about, At the instant of the report: the same finding of the same day
	// is the same message.
	About schemas.Date `json:"about"`
	At    time.Time    `json:"at"`
	Text  string       `json:"text"`
	Do    string       `json:"do"`
}

// SourceLate is the finding that a source did not come in time.
func SourceLate(asOf schemas.Date, until time.Time, why string) Finding {
	return Finding{Kind: KindSourceLate, About: asOf, At: until.UTC(),
		Text: fmt.Sprintf(
			"The night of %s has no source: by %s, %s.",
			asOf,
			until.In(schemas.London).Format("15:04 on 2 January 2006"),
			why,
		),
		Do: fmt.Sprintf(
			"Have the export mended, then start the night by hand: starter run --as-of %s takes what is there, with --wait it waits again.",
			asOf,
		)}
}

// NightFailed is the finding that a night ended without a stack.
func NightFailed(asOf schemas.Date, at time.Time, why string) Finding {
	return Finding{
		KindNightFailed,
		asOf,
		at.UTC(),
		fmt.Sprintf("The night of %s failed: %s.", asOf, strings.TrimRight(why, ".")),
		fmt.Sprintf(
			"Mend what it says, then: starter run --as-of %s. starter doctor tells what is not reachable.",
			asOf,
		),
	}
}

// InspectParams is the day of the report.
type InspectParams struct {
	Day schemas.Date `json:"day"`
}

// InspectResult is what is not as it should be.
type InspectResult struct {
	Findings []Finding `json:"findings"`
}

// TeamsUntold is the finding that teams have not been told that the stack of a date is approved, or is not any more.
func TeamsUntold(asOf schemas.Date, at time.Time, teams []string) Finding {
	names := enumerate(slices.Sorted(slices.Values(teams)))
	return Finding{Kind: KindTeamUntold, About: asOf, At: at.UTC(),
		Text: fmt.Sprintf("Not told yet of the decision on the stack of %s: %s.", asOf, names),
		Do: "Tell them by telephone. Look in the web UI why: the workflows borough-" + asOf.String() + "-…; starter tasking deliveries --state refused lists what a mail server " +
			"refused. When it is mended, reset those workflows; those that still run try again by themselves."}
}

// Inspect looks whether the store is what was written to it, the night before a day is published, how long nobody has
// decided, how old the approved stack is, and whether the teams have been told of it. It sends the auditor a checkpoint.
func (a *Activities) Inspect(ctx context.Context, p InspectParams) (r InspectResult, err error) {
	_, stop := task.Start(ctx)
	defer stop()
	if r.Findings, err = a.prove(ctx, p.Day); err != nil {
		return r, task.Of(err)
	}
	differs := len(r.Findings) > 0
	more, err := a.look(ctx, p)
	if r.Findings = append(r.Findings, more.Findings...); differs && fault.Kind(err) != "" {
		return r, nil // what cannot be read is among what differs, and must not hide it
	}
	return r, task.Of(err)
}

// prove looks whether the store is what was written to it, and sends the auditor a checkpoint of the log.
func (a *Activities) prove(ctx context.Context, day schemas.Date) (findings []Finding, err error) {
	findings = []Finding{}
	var kept []sign.Checkpoint
	unkept := error(nil)
	if a.Checkpoints != "" && a.Store.Keys.Checks() {
		kept, unkept = audit.Kept(ctx, a.Checkpoints, a.Store.Keys)
	}
	v, err := verify.Store(ctx, a.Store, verify.Options{Lately: true, Now: now(), Checkpoints: kept})
	if err != nil {
		return nil, err
	}
	if len(v.Problems) > 0 {
		var all []string
		for _, p := range v.Problems {
			all = append(all, p.File+" ("+p.What+")")
		}
		findings = append(findings, Finding{Kind: KindStoreDiffers, About: day.AddDays(-1), At: day.Start().UTC(),
			Text: "The store is not what was written to it: " + enumerate(all) + ".",
			Do: "Keep the store as it is, approve nothing, and find out who could write to it: starter verify lists everything, " +
				"starter audit list who did what."})
	}
	if !a.Store.Keys.Signs() {
		return findings, nil
	}
	who, err := a.Teams()
	if err == nil {
		w := tasking.Witnesses{Store: a.Store, Mailer: a.Mailer, Teams: who, Second: a.Checkpoints}
		err = w.Tell(ctx, "morning of "+day.String(), day.AddDays(-1).String(), "", now())
	}
	if err = errors.Join(unkept, err); err != nil {
		findings = append(findings, Finding{Kind: KindNoCheckpoint, About: day.AddDays(-1), At: day.Start().UTC(),
			Text: fmt.Sprintf("No checkpoint of the audit log was sent: %v.", err),
			Do:   "Mend what it says; starter audit checkpoint prints one, to be kept by hand."})
	}
	return findings, nil
}

func (a *Activities) look(ctx context.Context, p InspectParams) (r InspectResult, err error) {
	all, err := nights.List(ctx, a.Store)
	if err != nil {
		return r, err
	}
	current, err := nights.LoadCurrent(ctx, a.Store)
	if err != nil {
		return r, err
	}
	var known *Scheduling
	if a.Scheduling != nil {
		// Temporal's visibility may be away, which is no reason to be silent.
		if s, err := a.Scheduling(ctx, p.Day.AddDays(-1)); err == nil {
			known = &s
		}
	}
	r.Findings = inspect(p.Day, all, current, known, a.Watch, a.Desk)
	last, err := nights.LastRecord(ctx, a.Store)
	if err != nil || last == nil {
		return r, err
	}
	about := last.Manifest.AsOf
	if revoked := last.Revocation(); revoked != nil {
		about = revoked.Manifest.AsOf
	}
	trouble, err := tasking.Trouble(ctx, a.Store, now())
	if casework.Unreadable(err) { // which must not hide what else was found
		r.Findings = append(r.Findings, Finding{Kind: KindTeamsUnknown, About: about, At: p.Day.Start().UTC(),
			Text: fmt.Sprintf(
				"Whether the teams were told of the decision on the stack of %s cannot be read: %v.",
				about,
				err,
			),
			Do: "Mend that file from a copy of the store; starter tasking deliveries lists what was sent."})
		return r, nil
	}
	r.Findings = append(r.Findings, troubled(p.Day, about, trouble)...)
	return r, err
}

// troubled are the findings about the teams of an approved stack.
func troubled(day, asOf schemas.Date, t casework.Trouble) (findings []Finding) {
	at := day.Start().UTC()
	if len(t.Untold) > 0 {
		findings = append(findings, TeamsUntold(asOf, at, t.Untold))
	}
	add := func(kind string, list []string, text, do string) {
		if len(list) > 0 {
			findings = append(
				findings,
				Finding{Kind: kind, About: asOf, At: at, Text: text + enumerate(list) + ".", Do: do},
			)
		}
	}
	add(KindAddressUnmet, t.Unmet, "Some addresses of teams did not take a message that the others of the team have: ",
		"Have the mailboxes mended, or the addresses in the teams' file; starter teams lists them in this order.")
	add(
		KindMessageRefused,
		t.Refused,
		"Nobody took these messages: ",
		"Tell them by telephone, and have the address or the webhook in the teams' file mended: starter tasking deliveries --state refused.",
	)
	add(
		KindOrdersLate,
		t.LateOrders,
		"Taskings that could not be brought up to date with the approved stack: ",
		"They are tried again for three days. Mend what the reason names, then starter tasking resume carries them out at once.",
	)
	return findings
}

// enumerate names the first of a list and how many more there are.
func enumerate(list []string) string {
	const most = 40
	if n := len(list) - most; n > 0 {
		return strings.Join(list[:most], ", ") + fmt.Sprintf(" and %d more", n)
	}
	return strings.Join(list, ", ")
}

func inspect(
	day schemas.Date,
	all []nights.Night,
	current *schemas.Current,
	known *Scheduling,
	limits quality.Watch,
	desk digest.Desk,
) []Finding {
	findings := []Finding{}
	add := func(kind string, about schemas.Date, text, do string) {
		findings = append(findings, Finding{Kind: kind, About: about, At: day.Start().UTC(), Text: text, Do: do})
	}
	last := day.AddDays(-1)
	var newest schemas.Date
	var pending *nights.Night
	there := false
	for i, n := range all {
		if n.ID.AsOf.Before(day) {
			newest = n.ID.AsOf
		}
		there = there || n.ID.AsOf == last
		if n.Status == nights.Pending {
			pending = &all[i]
		}
	}
	if !there {
		text, do := missing(last, newest, known)
		add(KindNightMissing, last, text, do)
	}
	if known != nil && known.Missing {
		add(
			KindScheduleMissing,
			last,
			"There is no nightly schedule: nights begin only by hand.",
			"starter schedule apply makes it.",
		)
	} else if known != nil && known.Paused {
		add(KindSchedulePaused, last, "The nightly schedule is paused: nights begin only by hand.", "starter schedule show tells why; starter schedule pause --off goes on.")
	}
	if pending != nil && day.DaysSince(pending.ID.AsOf) > limits.PendingDays {
		add(
			KindDecisionPending,
			pending.ID.AsOf,
			fmt.Sprintf(
				"Nobody has decided on the night of %s, revision %d, %s after its date.",
				pending.ID.AsOf,
				pending.ID.Revision,
				text.Count(day.DaysSince(pending.ID.AsOf), "day"),
			),
			fmt.Sprintf("An officer looks at it and approves or holds it: %s.",
				cmp.Or(desk.Night(pending.ID), "starter stack --as-of "+pending.ID.AsOf.String())),
		)
	}
	switch {
	case current != nil && day.DaysSince(current.Manifest.AsOf) > limits.CurrentDays:
		add(
			KindCurrentOld,
			current.Manifest.AsOf,
			fmt.Sprintf(
				"The approved stack is of %s, %s old: the teams work from it still.",
				current.Manifest.AsOf,
				text.Count(day.DaysSince(current.Manifest.AsOf), "day"),
			),
			"An officer approves a newer night: starter status lists them.",
		)
	case current == nil && len(all) > 0 && day.DaysSince(all[0].ID.AsOf) > limits.CurrentDays:
		add(
			KindCurrentOld,
			all[0].ID.AsOf,
			fmt.Sprintf(
				"No stack is approved, %s after the first night, of %s.",
				text.Count(day.DaysSince(all[0].ID.AsOf), "day"),
				all[0].ID.AsOf,
			),
			"An officer approves a night: starter status lists them.",
		)
	}
	return findings
}

// missing says of a night that is not published how far it is, and what to do.
func missing(night, newest schemas.Date, known *Scheduling) (text, do string) {
	text = fmt.Sprintf("The night of %s is not published.", night)
	do = fmt.Sprintf(
		"Look in the web UI why it failed or never began, then: starter run --as-of %s. starter doctor tells what is not reachable.",
		night,
	)
	if !newest.IsZero() {
		text += fmt.Sprintf(" The newest one is of %s.", newest)
	}
	if known != nil && known.Stage != "" {
		text += fmt.Sprintf(" It is still running: %s.", known.Stage)
		do = "Wait for it, or look what it waits for: starter status."
	} else if known != nil && known.Ended != "" {
		text += fmt.Sprintf(" Its last run %s.", strings.TrimRight(known.Ended, "."))
	}
	return text, do
}

// AlertParams is the finding to tell of.
type AlertParams struct {
	Finding Finding `json:"finding"`
}

// Alert tells those who run the system of a finding, unless the ledger says that they were told.
func (a *Activities) Alert(ctx context.Context, p AlertParams) error {
	_, stop := task.Start(ctx)
	defer stop()
	return task.Of(a.alert(ctx, p.Finding))
}

func (a *Activities) alert(ctx context.Context, f Finding) error {
	who, err := a.Teams()
	if err != nil {
		return fmt.Errorf("the teams' file: %w", err)
	}
	party := who.Operations()
	day := schemas.LondonDate(f.At)
	which := fmt.Sprintf("%s %s %s", f.Kind, f.About, day)
	if f.Kind == KindTeamUntold {
		which += f.Text // which teams: those of the morning must not hide one of the afternoon
	}
	sum := sha256.Sum256([]byte(which))
	id := hex.EncodeToString(sum[:16])
	m, err := digest.Alert{Key: id, At: f.At, To: party.Mail, Title: title(f), Text: f.Text, Do: f.Do}.Build()
	if err != nil {
		return task.Permanent(fault.DeliveryRefused, err)
	}
	entry := ledger.Entry{
		ID:      id,
		Channel: ledger.Mail,
		Team:    party.Name,
		Kind:    f.Kind,
		Subject: "night of " + f.About.String(),
	}
	d, err := tasking.Deliver(
		ctx,
		a.Store,
		entry,
		audit.Entry{Did: fmt.Sprintf("sent the alert %s %s to %s", f.Kind, id, party.Name), Why: f.Text,
			On: audit.Object{Night: f.About.String()}, To: party.Mail},
		digest.Hand(ctx, a.Mailer, m),
	)
	if err != nil {
		return err
	}
	return d.Entry.Unreached("alert")
}

func title(f Finding) string {
	return map[string]string{
		KindSourceLate:      "the source is late",
		KindNightFailed:     "a night failed",
		KindNightMissing:    "a night is missing",
		KindDecisionPending: "a night waits for a decision",
		KindCurrentOld:      "the approved stack is old",
		KindScheduleMissing: "there is no schedule",
		KindSchedulePaused:  "the schedule is paused",
		KindTeamUntold:      "teams have not been told",
		KindTeamsUnknown:    "nobody can tell whether the teams were told",
		KindAddressUnmet:    "an address takes no mail",
		KindMessageRefused:  "a message was refused",
		KindOrdersLate:      "taskings are not up to date",
		KindStoreDiffers:    "the store is not what was written to it",
		KindNoCheckpoint:    "no checkpoint of the audit log was sent",
	}[f.Kind] + ", " + f.About.String()
}

func now() time.Time { return time.Now().UTC() }
