package tasking

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"harmstack/activities/casework"
	"harmstack/activities/digest"
	"harmstack/activities/failure"
	"harmstack/activities/heartbeat"
	"harmstack/activities/ledger"
	"harmstack/activities/pack"
	"harmstack/activities/publish"
	"harmstack/activities/store"
	"harmstack/activities/teams"
	"harmstack/schemas"
)

// DeliverParams names the approved stack and the team that is to be told.
type DeliverParams struct {
	Manifest schemas.ManifestRef `json:"manifest,omitzero"`
	Revoked  schemas.NightID     `json:"revoked,omitzero"` // as in PlanParams
	Team     string              `json:"team"`
}

// What became of a team's digest.
const (
	Sent      = "sent"
	Unchanged = "unchanged" // the team has been told the very same already
	Outdated  = "outdated"  // another stack is current by now; its own digest tells the team
)

// DeliverResult is what became of one team's digest.
type DeliverResult struct {
	Outcome  string `json:"outcome"`
	Suspects int    `json:"suspects"`
}

// receipt is taskings/told/<team>/<number>.json: what the approval, or the revocation, of that number told the team. It is
// written once, after the sending. Before approvals had numbers it was <as_of>/r<n>.json.
type receipt struct {
	Manifest schemas.ManifestRef `json:"manifest"`
	Team     string              `json:"team"`
	Suspects int                 `json:"suspects"`
	// Content is the digest's own key, Message the one it was sent under.
	Content string `json:"content"`
	Message string `json:"message"`
}

func toldFolder(team string) string { return "taskings/told/" + teams.Slug(team) + "/" }

// lastTold is what the team was last told, nil when nothing ever.
func (a *Activities) lastTold(ctx context.Context, team string) (last *receipt, err error) {
	keys, err := a.Store.List(ctx, toldFolder(team))
	if err != nil || len(keys) == 0 {
		return nil, err
	}
	numbered := slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return strings.Contains(key[len(toldFolder(team)):], "/") })
	if n := len(numbered); n > 0 {
		return readReceipt(ctx, a.Store, numbered[n-1])
	}
	// Dates sort; the revisions of the last date are compared as numbers.
	date := keys[len(keys)-1][:len(toldFolder(team))+len(schemas.DateLayout)]
	for i := len(keys) - 1; i >= 0 && keys[i][:len(date)] == date; i-- {
		r, err := readReceipt(ctx, a.Store, keys[i])
		if err != nil {
			return nil, err
		}
		if last == nil || last.Manifest.Before(r.Manifest.NightID) {
			last = r
		}
	}
	return last, nil
}

func readReceipt(ctx context.Context, st *store.Store, key string) (*receipt, error) {
	data, err := st.Read(ctx, key)
	if err != nil {
		return nil, err
	}
	r := new(receipt)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, failure.Permanent(failure.DamagedArtifact, fmt.Errorf("%s cannot be read", key))
	}
	return r, nil
}

// Deliver builds one team's digest and sends it, unless the team has its content already.
func (a *Activities) Deliver(ctx context.Context, p DeliverParams) (DeliverResult, error) {
	_, stop := heartbeat.Start(ctx)
	defer stop()
	r, err := a.digest(ctx, p)
	return r, failure.Of(err)
}

func (a *Activities) digest(ctx context.Context, p DeliverParams) (DeliverResult, error) {
	n, outdated, err := a.loadOccasion(ctx, p.Manifest, p.Revoked)
	if err != nil || outdated {
		return DeliverResult{Outcome: Outdated}, err
	}
	message, suspects, err := a.message(ctx, n, p.Team)
	if err != nil {
		return DeliverResult{}, err
	}
	result := DeliverResult{Suspects: suspects, Outcome: Unchanged}
	last, err := a.lastTold(ctx, p.Team)
	if err != nil {
		return result, err
	}
	content := message.Key
	if last != nil && last.Manifest.AsOf == n.approved.Manifest.AsOf {
		// A revision that goes back to what an earlier one said is news to those who were told otherwise in
		// between.
		if last.Content == content {
			return result, nil
		}
		// A content that is sent a second time is another message: mail systems drop one whose id they know.
		sum := sha256.Sum256([]byte(last.Message + content))
		message.Key = hex.EncodeToString(sum[:len(content)/2])
	}
	entry := ledger.Entry{ID: message.Key, Channel: ledger.Mail, Team: p.Team, Kind: "digest", Subject: "night " + p.Manifest.NightID.String()}
	why := "night " + p.Manifest.NightID.String() + " was approved"
	if n.revoked != nil {
		entry.Subject = "night " + p.Revoked.String()
		why = "the approval of night " + p.Revoked.String() + " was taken back"
	}
	if _, err := a.deliver(ctx, entry, why, func() error { return a.Mailer.Send(ctx, message) }); err != nil {
		return DeliverResult{}, err
	}
	data, err := json.Marshal(receipt{n.approved.Manifest, p.Team, suspects, content, message.Key})
	if err != nil {
		return DeliverResult{}, err
	}
	key := fmt.Sprintf("%s%06d.json", toldFolder(p.Team), n.number)
	if err := a.Store.CreateOnly(ctx, key, data); err != nil && !errors.Is(err, store.ErrExists) {
		return DeliverResult{}, err
	}
	result.Outcome = Sent
	return result, nil
}

// message is a team's digest with its packs.
func (a *Activities) message(ctx context.Context, n night, team string) (m digest.Message, suspects int, err error) {
	who, err := a.who()
	if err != nil {
		return m, 0, err
	}
	party, ok := who.Find(team)
	if !ok {
		return m, 0, failure.Permanent(failure.DeliveryRefused, fmt.Errorf("the team %s is not in the teams' file any more", team))
	}
	plan, err := loadPlan(ctx, a.Store, n.occasion(), team)
	if err != nil {
		return m, 0, err
	}
	var changes []schemas.Change
	if n.revoked == nil { // else the positions before are those of a stack that does not count
		changes, err = read[schemas.Change](ctx, a.Store, n.manifest, schemas.ChangesFile)
	}
	if err != nil {
		return m, 0, err
	}
	previous := map[int64]*int64{}
	for _, c := range changes {
		if c.Position != nil {
			previous[*c.Position] = c.Previous
		}
	}
	d := digest.Input{Night: n.manifest.NightID, Edition: n.manifest.Edition.Name, Approved: n.approved.At, Team: party.Name, To: party.Mail, Left: plan.Left,
		Cut: n.manifest.Cut, Pseudonym: a.Pseudonym, Revoked: n.revoked}
	for _, s := range plan.Suspects {
		d.Suspects = append(d.Suspects, digest.Suspect{Ranked: n.row(s.Position), Previous: previous[s.Position], Arrival: s.Arrival, With: s.With, State: s.State, News: s.News})
	}
	if m, err = digest.Build(d); err != nil {
		return m, 0, failure.Permanent(failure.DeliveryRefused, err)
	}
	if len(plan.Suspects) == 0 {
		return m, 0, nil
	}
	packs, err := packs(ctx, a.Store, n, party.Name, plan.Suspects)
	if err != nil {
		return m, 0, err
	}
	files, err := attached("packs-"+party.Slug, packs)
	m.Attachments = append(m.Attachments, files...)
	return m, len(plan.Suspects), err
}

// attached are packs as the files that go with a message.
func attached(name string, packs pack.Input) ([]digest.Attachment, error) {
	html, err := pack.HTML(packs)
	if err != nil {
		return nil, err
	}
	text, err := pack.Text(packs)
	return []digest.Attachment{{Name: name + ".html", Type: "text/html; charset=utf-8", Data: html}, {Name: name + ".txt", Type: "text/plain; charset=utf-8", Data: text}}, err
}

func (n night) row(position int64) schemas.Ranked {
	for _, r := range n.rows {
		if r.Position == position {
			return r
		}
	}
	return schemas.Ranked{}
}

// packs are the tasking packs of some suspects of an approved night.
func packs(ctx context.Context, st *store.Store, n night, team string, suspects []planned) (pack.Input, error) {
	contributions, err := read[schemas.Contribution](ctx, st, n.manifest, schemas.ContributionsFile)
	if err != nil {
		return pack.Input{}, err
	}
	own := map[int64][]schemas.Contribution{}
	for _, c := range contributions {
		own[c.Position] = append(own[c.Position], c)
	}
	in := pack.Input{Team: team, Night: n.manifest.NightID, Edition: n.manifest.Edition.Name, Approved: n.approved.At}
	for _, s := range suspects {
		row := n.row(s.Position)
		in.Suspects = append(in.Suspects, pack.Suspect{Reference: s.Reference, Ranked: row, Contributions: own[s.Position], State: s.State,
			Specialists: s.Added, News: s.News, InTie: n.manifest.Cut.InsideTie && row.Score == n.manifest.Cut.Score})
	}
	return in, nil
}

// Pack is the pack of one tasking by the approved stack. casework.ErrNone: it is not on that stack.
func Pack(ctx context.Context, st *store.Store, t *schemas.Tasking) (pack.Input, error) {
	current, err := publish.LoadCurrent(ctx, st)
	if err != nil {
		return pack.Input{}, err
	}
	if current == nil {
		return pack.Input{}, casework.ErrNone
	}
	n, err := loadNight(ctx, st, current.Manifest)
	if err != nil {
		return pack.Input{}, err
	}
	suspects, err := allPlanned(ctx, st, current.Occasion())
	if err != nil {
		return pack.Input{}, err
	}
	s, ok := suspects[t.Reference]
	if !ok {
		return pack.Input{}, casework.ErrNone
	}
	s.State = digest.StateText(t)
	return packs(ctx, st, n, t.Team, []planned{s})
}
