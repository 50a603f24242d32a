// Package tasking tells the teams of an approved stack, as Temporal activities: which teams there are,
// and one team's digest, built from the night's files and sent once.
//
// It must not know how a stack is approved or what a digest looks like. Suspects stay in the files: a
// team's name and a count are all that it hands back.
package tasking

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"harmstack/activities/audit"
	"harmstack/activities/digest"
	"harmstack/activities/failure"
	"harmstack/activities/heartbeat"
	"harmstack/activities/pseudonym"
	"harmstack/activities/publish"
	"harmstack/activities/ranking"
	"harmstack/activities/store"
	"harmstack/schemas"
	"harmstack/schemas/reference"
)

// Activities send digests.
type Activities struct {
	Store     *store.Store
	Mailer    digest.Mailer
	Pseudonym pseudonym.Func
	// Addresses are the teams' by borough, the central desk's by digest.CentralDesk.
	Addresses map[string][]string
}

// PlanParams names the approved stack.
type PlanParams struct {
	Manifest schemas.ManifestRef `json:"manifest"`
}

// PlanResult is the teams to write to.
type PlanResult struct {
	Teams []Team `json:"teams"`
}

// Team is one team and how many of the stack's suspects it owns.
type Team struct {
	Name     string `json:"name"`
	Suspects int    `json:"suspects"`
}

// Slug is the team's name for ids and paths: kensington-and-chelsea.
func (t Team) Slug() string { return Slug(t.Name) }

// Slug keeps the letters and digits of a name.
func Slug(name string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(name), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	}), "-")
}

// Plan lists the 32 boroughs, also those that own nobody (silence would look like a failure), and the
// central desk when it owns somebody or did on the stack before.
func (a *Activities) Plan(ctx context.Context, p PlanParams) (PlanResult, error) {
	_, stop := heartbeat.Start(ctx)
	defer stop()
	now, before, err := a.stacks(ctx, p.Manifest)
	if err != nil {
		return PlanResult{}, failure.Of(err)
	}
	var teams []Team
	for _, b := range reference.Default().Boroughs() {
		teams = append(teams, Team{b.Name, len(owned(now.rows, b.Name))})
	}
	desk := len(owned(now.rows, digest.CentralDesk))
	if desk > 0 || len(owned(before, digest.CentralDesk)) > 0 {
		teams = append(teams, Team{digest.CentralDesk, desk})
	}
	return PlanResult{teams}, nil
}

// DeliverParams names the approved stack and the team that is to be told.
type DeliverParams struct {
	Manifest schemas.ManifestRef `json:"manifest"`
	Team     string              `json:"team"`
}

// What became of a team's digest.
const (
	Sent      = "sent"
	Unchanged = "unchanged" // the team has been told the very same already
	Outdated  = "outdated"  // a newer stack is current; its own digest tells the team
)

// DeliverResult is what became of one team's digest.
type DeliverResult struct {
	Outcome  string `json:"outcome"`
	Suspects int    `json:"suspects"`
}

// receipt is tasking/<as_of>/<team>/r<n>.json: what that revision sent to the team. It is written once,
// after the sending; an attempt that dies in between sends the same message again, with the same
// Message-ID.
type receipt struct {
	Manifest schemas.ManifestRef `json:"manifest"`
	Team     string              `json:"team"`
	Suspects int                 `json:"suspects"`
	// Content is the digest's own key, Message the one it was sent under.
	Content string `json:"content"`
	Message string `json:"message"`
}

func receiptFolder(asOf schemas.Date, team string) string {
	return fmt.Sprintf("tasking/%s/%s/", asOf, Slug(team))
}

// lastReceipt is what the team was last told of a night, nil when nothing: a revision that goes back to
// what an earlier one said is news to those who were told otherwise in between.
func (a *Activities) lastReceipt(ctx context.Context, asOf schemas.Date, team string) (last *receipt, err error) {
	keys, err := a.Store.List(ctx, receiptFolder(asOf, team))
	if err != nil {
		return nil, err
	}
	for _, key := range keys {
		data, err := a.Store.Read(ctx, key)
		if err != nil {
			return nil, err
		}
		var r receipt
		if err := json.Unmarshal(data, &r); err != nil {
			return nil, failure.Permanent(failure.DamagedArtifact, fmt.Errorf("%s cannot be read", key))
		}
		if last == nil || last.Manifest.Before(r.Manifest.NightID) {
			last = &r
		}
	}
	return last, nil
}

// Deliver builds one team's digest and sends it, unless the team has its content already.
func (a *Activities) Deliver(ctx context.Context, p DeliverParams) (DeliverResult, error) {
	_, stop := heartbeat.Start(ctx)
	defer stop()
	r, err := a.deliver(ctx, p)
	return r, failure.Of(err)
}

func (a *Activities) deliver(ctx context.Context, p DeliverParams) (DeliverResult, error) {
	current, err := publish.LoadCurrent(ctx, a.Store)
	if err != nil {
		return DeliverResult{}, err
	}
	if current != nil && p.Manifest.Before(current.Manifest.NightID) {
		return DeliverResult{Outcome: Outdated}, nil
	}
	now, before, err := a.stacks(ctx, p.Manifest)
	if err != nil {
		return DeliverResult{}, err
	}
	decision, err := publish.LoadDecision(ctx, a.Store, p.Manifest.NightID)
	if err != nil {
		return DeliverResult{}, err
	}
	if decision == nil || decision.Decision != schemas.Approved || decision.Manifest != p.Manifest {
		return DeliverResult{}, failure.Permanent(failure.BadRequest, fmt.Errorf("night %s is not approved: nobody is tasked from it", p.Manifest.NightID))
	}
	changes, err := read[schemas.Change](ctx, a.Store, now.manifest, schemas.ChangesFile)
	if err != nil {
		return DeliverResult{}, err
	}
	in := digest.Input{Night: p.Manifest.NightID, Approved: decision.At, Borough: p.Team, To: a.Addresses[p.Team],
		Stack: owned(now.rows, p.Team), Previous: owned(before, p.Team), Changes: changes, Cut: now.manifest.Cut, Pseudonym: a.Pseudonym}
	if p.Team == digest.CentralDesk {
		in.Borough = ""
	}
	message, err := digest.Build(in)
	if err != nil {
		return DeliverResult{}, failure.Permanent(failure.DeliveryRefused, err)
	}
	result := DeliverResult{Suspects: len(in.Stack), Outcome: Unchanged}
	last, err := a.lastReceipt(ctx, p.Manifest.AsOf, p.Team)
	if err != nil || last != nil && last.Content == message.Key {
		return result, err
	}
	content := message.Key
	if last != nil {
		// A content that is sent a second time is another message: mail systems drop one whose id they know.
		sum := sha256.Sum256([]byte(last.Message + content))
		message.Key = hex.EncodeToString(sum[:len(content)/2])
	}
	if err := a.Mailer.Send(ctx, message); err != nil {
		return DeliverResult{}, err
	}
	err = audit.Append(ctx, a.Store, audit.Entry{At: decision.At, Who: publish.System, Did: "sent the digest " + message.Key, On: p.Team,
		Why: "night " + p.Manifest.NightID.String() + " was approved"})
	if err != nil {
		return DeliverResult{}, err
	}
	data, err := json.Marshal(receipt{p.Manifest, p.Team, len(in.Stack), content, message.Key})
	if err != nil {
		return DeliverResult{}, err
	}
	key := fmt.Sprintf("%sr%d.json", receiptFolder(p.Manifest.AsOf, p.Team), p.Manifest.Revision)
	if err := a.Store.CreateOnly(ctx, key, data); err != nil && !errors.Is(err, store.ErrExists) {
		return DeliverResult{}, err
	}
	result.Outcome = Sent
	return result, nil
}

// night is an approved night and its stack.
type night struct {
	manifest schemas.Manifest
	rows     []schemas.Ranked
}

// stacks reads the stack that a manifest names and the rows of the one approved before it.
func (a *Activities) stacks(ctx context.Context, ref schemas.ManifestRef) (now night, before []schemas.Ranked, err error) {
	if now, err = a.night(ctx, ref); err != nil || now.manifest.Previous == nil {
		return now, nil, err
	}
	previous, err := a.night(ctx, *now.manifest.Previous)
	return now, previous.rows, err
}

func (a *Activities) night(ctx context.Context, ref schemas.ManifestRef) (night, error) {
	m, found, err := publish.LoadManifest(ctx, a.Store, ref.NightID)
	if err != nil {
		return night{}, err
	}
	if found != ref {
		return night{}, failure.Permanent(failure.OtherManifest, fmt.Errorf("night %s: its manifest is not the one that was approved", ref.NightID))
	}
	rows, err := read[schemas.Ranked](ctx, a.Store, m, schemas.StackFile)
	return night{m, rows}, err
}

func read[T any](ctx context.Context, st *store.Store, m schemas.Manifest, file string) ([]T, error) {
	ref, ok := m.Output(file)
	if !ok {
		return nil, failure.Permanent(failure.DamagedArtifact, fmt.Errorf("night %s has no %s", m.NightID, file))
	}
	artifact, err := st.Open(ctx, ref)
	if err != nil {
		return nil, err
	}
	defer artifact.Close()
	return ranking.ReadAll[T](artifact, artifact.Size())
}

// owned picks the rows of one team.
func owned(rows []schemas.Ranked, team string) []schemas.Ranked {
	var own []schemas.Ranked
	for _, r := range rows {
		if owner := r.OwnerBorough; owner != nil && *owner == team || owner == nil && team == digest.CentralDesk {
			own = append(own, r)
		}
	}
	return own
}
