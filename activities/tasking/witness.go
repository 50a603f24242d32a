package tasking

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"time"

	"harmstack/activities/casework/teams"
	"harmstack/activities/messages/digest"
	"harmstack/activities/messages/ledger"
	"harmstack/activities/store"
	"harmstack/activities/trust/audit"
	"harmstack/schemas/text"
)

// checkpointKind is the kind of the ledger's entries of checkpoints.
const checkpointKind = "checkpoint"

// Witnesses are those who keep checkpoints of the audit log, so that nobody who can write to the store can rewrite it
// unseen.
type Witnesses struct {
	Store  *store.Store
	Mailer digest.Mailer
	Teams  *teams.Teams
	Second string // URL of a second store; empty: none
}

// Tell signs a checkpoint and hands it to the auditor, once for each occasion, and to the second store. Where the store
// has no key to sign with, or nobody keeps checkpoints, it does nothing. The link, if any, leads to the night at the
// desk.
func (w Witnesses) Tell(ctx context.Context, occasion, night, link string, at time.Time) error {
	auditor, told := w.Teams.Auditor()
	if !w.Store.Keys.Signs() || !told && w.Second == "" {
		return nil
	}
	checkpoint, err := audit.Checkpoint(ctx, w.Store)
	if err == nil && w.Second != "" {
		err = audit.Keep(ctx, w.Second, w.Store.Keys, checkpoint)
	}
	if err != nil || !told {
		return err
	}
	c, err := w.Store.Keys.OpenCheckpoint(checkpoint)
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(checkpointKind + " " + occasion))
	id := hex.EncodeToString(sum[:16])
	m, err := digest.Alert{
		Key: id, At: at, To: auditor.Mail, Title: "checkpoint of the audit log, " + occasion,
		Text: fmt.Sprintf("The audit log is %s long now. What stands below is signed by the worker.", text.Count(c.Size, "record")),
		Do: "Keep this message where nobody who runs Harmstack can reach. At any time, starter audit verify --against the attached " +
			"file tells whether the log was cut off or rewritten since.",
		Checkpoint: string(checkpoint), Link: link,
	}.Build()
	if err != nil {
		return err
	}
	d, err := Deliver(ctx, w.Store,
		ledger.Entry{ID: id, Channel: ledger.Mail, Team: auditor.Name, Kind: checkpointKind, Subject: occasion},
		audit.Entry{Did: "sent a checkpoint of the log to " + auditor.Name, Why: occasion, On: audit.Object{Night: night},
			To: auditor.Mail},
		digest.Hand(ctx, w.Mailer, m))
	if err != nil {
		return err
	}
	return d.Entry.Unreached("checkpoint")
}

// witness tells of an approval, or of one that was taken back. The teams do not wait for the auditor's mailbox: what
// fails comes again with the watch of the next morning.
func (a *Activities) witness(ctx context.Context, n night, who *teams.Teams) {
	w := Witnesses{Store: a.Store, Mailer: a.Mailer, Teams: who, Second: a.Checkpoints}
	link := ""
	if !n.noStack() {
		link = a.Desk.Night(n.manifest.NightID)
	}
	if err := w.Tell(ctx, "approval "+n.occasion(), n.manifest.NightID.String(), link, now()); err != nil {
		slog.WarnContext(ctx, "no checkpoint of the audit log reached the auditor", "error", err)
	}
}
