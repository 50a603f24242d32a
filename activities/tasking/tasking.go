// Package tasking brings the taskings of an approved stack up to date and tells the teams, as Temporal
// activities: which orders the night has for whom (Plan), each order to its tasking (Order), one step of a
// tasking's life (Apply), a team's digest (Deliver) and what cannot wait for it (Notify).
//
// It must not know how a stack is approved, what a message looks like or which states a tasking has.
// Suspects stay in the files: pseudonyms, teams and counts are all that it hands back.
package tasking

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"harmstack/activities/casework/pseudonym"
	"harmstack/activities/casework/teams"
	"harmstack/activities/messages/digest"
	"harmstack/activities/messages/ledger"
	"harmstack/activities/messages/webhook"
	"harmstack/activities/nights"
	"harmstack/activities/store"
	"harmstack/activities/task"
	"harmstack/activities/trust/attest"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/schemas/fault"
)

// Activities issue taskings and send messages.
type Activities struct {
	Store     *store.Store
	Mailer    digest.Mailer
	Hooks     *webhook.Sender
	Pseudonym pseudonym.Func
	// Keyed is the Func of the key under which somebody is named; nil: there is one key, Pseudonym's.
	Keyed func(suspect string, restricted bool) pseudonym.Func
	// Identity is how it is known who asks for something.
	Identity attest.Identity
	// Teams reads who works where: each activity asks anew, so that a change counts from the next night.
	Teams func() (*teams.Teams, error)
	// Desk is where people reach the desk, for the links of mails; empty: mails name the starter's commands.
	Desk digest.Desk
	// Checkpoints is the URL of a second store for checkpoints of the audit log; empty: none.
	Checkpoints string
	// SendOrder hands one order to the workflow of its tasking and waits until it is carried out.
	SendOrder func(ctx context.Context, o schemas.TaskingOrder) error

	first struct { // of the ranking that was looked into last
		sync.Mutex
		of   schemas.ManifestRef
		last int64 // the position down to which there are rows
		rows []schemas.Ranked
	}
}

// who reads the teams. A file that is wrong is for a person to mend: the activity waits for that.
func (a *Activities) who() (*teams.Teams, error) {
	t, err := a.Teams()
	if err != nil {
		return nil, fmt.Errorf("the teams' file: %w", err)
	}
	return t, nil
}

// reference is the pseudonym by which a suspect's tasking goes.
func (a *Activities) reference(suspect string, restricted bool) string {
	if restricted {
		return a.Pseudonym.Restricted(suspect)
	}
	return a.Pseudonym(suspect)
}

// allegation is the keyed hash of an allegation, under the key by which its suspect's tasking is named: a tasking that
// was issued before the key was rotated knows its allegations again.
func (a *Activities) allegation(row schemas.Ranked, id string) string {
	hide := a.Pseudonym
	if a.Keyed != nil {
		hide = a.Keyed(row.SuspectID, row.Restricted)
	}
	// Under words that no id begins with.
	return strings.ReplaceAll(hide("allegation\x00"+id), "-", "")
}

// night is an approved night and its stack.
type night struct {
	manifest schemas.Manifest
	approved schemas.Decision
	rows     []schemas.Ranked
	number   int // of the record of the approval; 0 when there are no records
	// revoked: the night is the approved one again because that approval was taken back; nil after an approval.
	// The rest is zero when no stack is approved any more.
	revoked *schemas.Revocation
}

func (n night) revokedNight() (id schemas.NightID) {
	if n.revoked != nil {
		id = n.revoked.Manifest.NightID
	}
	return id
}

// noStack: no stack is approved any more.
func (n night) noStack() bool { return n.manifest.NightID == schemas.NightID{} }

// occasion names what the teams are told of.
func (n night) occasion() string { return schemas.Occasion(n.manifest.NightID, n.revokedNight()) }

// loadOccasion reads the stack that was approved, named by ref, or, when revoked is not zero, that is approved again
// because the approval of that night was taken back: none at all, perhaps. outdated: the teams are told of something
// newer by now.
func (a *Activities) loadOccasion(
	ctx context.Context,
	ref schemas.ManifestRef,
	revoked schemas.NightID,
) (n night, outdated bool, err error) {
	last, outdated, err := a.last(ctx, schemas.Occasion(ref.NightID, revoked))
	if err != nil || outdated {
		return n, outdated, err
	}
	again := revoked != (schemas.NightID{})
	if again && last == nil {
		return n, false, task.Permanent(
			fault.BadRequest,
			fmt.Errorf("night %s: its approval was not taken back", revoked),
		)
	}
	if again {
		ref = last.Manifest
	}
	if !again || ref != (schemas.ManifestRef{}) {
		n, err = loadNight(ctx, a.Store, ref)
	}
	if last != nil {
		n.number, n.revoked = last.Number, last.Revocation()
	}
	return n, false, err
}

// loadNight reads the stack that a manifest names.
func loadNight(ctx context.Context, st *store.Store, ref schemas.ManifestRef) (night, error) {
	n, err := loadApproved(ctx, st, ref)
	if err == nil {
		n.rows, err = nights.ReadFile[schemas.Ranked](ctx, st, n.manifest, schemas.StackFile)
	}
	return n, err
}

// loadApproved is loadNight without the rows. A night that is not approved tasks nobody.
func loadApproved(ctx context.Context, st *store.Store, ref schemas.ManifestRef) (night, error) {
	m, found, err := nights.LoadManifest(ctx, st, ref.NightID)
	if err != nil {
		return night{}, err
	}
	if found != ref {
		return night{}, task.Permanent(
			fault.OtherManifest,
			fmt.Errorf("night %s: its manifest is not the one that was approved", ref.NightID),
		)
	}
	decision, err := nights.LoadDecision(ctx, st, ref.NightID)
	if err != nil {
		return night{}, err
	}
	if decision == nil || decision.Decision != schemas.Approved || decision.Manifest != ref {
		return night{}, task.Permanent(
			fault.BadRequest,
			fmt.Errorf("night %s is not approved: nobody is tasked from it", ref.NightID),
		)
	}
	return night{manifest: m, approved: *decision}, nil
}

// last is the last record of an approval, nil when there is none. outdated: it is of another occasion, a newer approval
// or one that was taken back, and the tasking that follows it tells the teams.
func (a *Activities) last(ctx context.Context, occasion string) (last *schemas.Current, outdated bool, err error) {
	last, err = nights.LastRecord(ctx, a.Store)
	return last, last != nil && last.Occasion() != occasion, err
}

// deliver sends one message and notes it in the ledger and in the audit log, whose entry may say more of what was sent.
func (a *Activities) deliver(
	ctx context.Context,
	e ledger.Entry,
	log audit.Entry,
	send func(done func(string) bool) ([]string, error),
) (ledger.Delivery, error) {
	log.Did = fmt.Sprintf("sent the %s %s by %s to %s", e.Kind, e.ID, e.Channel, e.Team) + log.Did
	return Deliver(ctx, a.Store, e, log, send)
}

// Deliver sends one message, unless the ledger of the store says that it was sent, and notes in the ledger what became
// of it and in the audit log what was disclosed to whom, and why. Of the entry for the log, the caller gives what was
// done, why, the pseudonyms or the night, and in To everybody whom the message is for, as the teams' file has them.
func Deliver(
	ctx context.Context,
	st *store.Store,
	e ledger.Entry,
	log audit.Entry,
	send func(done func(string) bool) ([]string, error),
) (ledger.Delivery, error) {
	d, err := ledger.Deliver(ctx, st, e, now, send, refused)
	if err != nil {
		return d, err
	}
	// Also when it was sent before, by an attempt that died and left no word in the log.
	return d, ledger.Note(ctx, st, d.Entry, func(to string) (err error) {
		if log.Files, err = audit.Stored(ctx, st, ledger.SentKey(e.ID)); err != nil {
			return err
		}
		log.At, log.Operation, log.Actor, log.On.Team = now(), audit.Disclosure, audit.Worker, e.Team
		log.Did += to
		log.To = slices.DeleteFunc(slices.Clone(log.To), func(address string) bool {
			if a, err := teams.ParseAddress(address); err == nil {
				address = a.Address
			}
			return len(d.Entry.Recipients) > 0 && !d.Entry.Took(address)
		})
		return audit.Append(ctx, st, log)
	})
}

// refused tells whether the other side will never take a message.
func refused(err error) bool {
	var mail *digest.SendError
	var hook *webhook.SendError
	return errors.As(err, &mail) && mail.Permanent || errors.As(err, &hook) && hook.Permanent
}

// now is the clock of what is noted down.
func now() time.Time { return time.Now().UTC() }
