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
	"harmstack/activities/casework/teams"
	"harmstack/activities/messages/digest"
	"harmstack/activities/messages/ledger"
	"harmstack/activities/messages/pack"
	"harmstack/activities/nights"
	"harmstack/activities/store"
	"harmstack/activities/task"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/schemas/text"
)

// DeliverParams names the approved stack and the team that is to be told.
type DeliverParams struct {
	Manifest schemas.ManifestRef `json:"manifest,omitzero"`
	Revoked  schemas.NightID     `json:"revoked,omitzero"` // as in PlanParams
	Team     string              `json:"team"`
	// Late asks for those addresses alone that did not take the digest yet: as long as one of them waits, the activity
	// fails.
	Late bool `json:"late,omitempty"`
}

// What became of a team's digest.
const (
	Sent      = "sent"
	Unchanged = "unchanged" // the team has been told the very same already
	Outdated  = "outdated"  // another stack is current by now; its own digest tells the team
)

// digestKind is the kind of the ledger's entries of digests.
const digestKind = "digest"

// DeliverResult is what became of one team's digest.
type DeliverResult struct {
	Outcome  string `json:"outcome"`
	Suspects int    `json:"suspects"`
	// LateAddresses of the team have not taken the digest yet, and RefusedAddresses never will; the others have it.
	LateAddresses    int `json:"late_addresses,omitempty"`
	RefusedAddresses int `json:"refused_addresses,omitempty"`
	// LateOrders of the team could not be carried out yet.
	LateOrders int `json:"late_orders,omitempty"`
}

// receipt is taskings/told/<team>/<number>.json: what the approval, or the revocation, of that number told the team, or
// that it had nothing else to tell than the one before. It is written once, after the sending. Before approvals had
// numbers it was <as_of>/r<n>.json.
type receipt struct {
	Manifest schemas.ManifestRef `json:"manifest"`
	Team     string              `json:"team"`
	Suspects int                 `json:"suspects"`
	// Content is the digest's own key, Message the one it was sent under.
	Content string `json:"content"`
	Message string `json:"message"`
}

func receiptKey(number int, team string) string {
	return fmt.Sprintf("%s%06d.json", toldFolder(team), number)
}

func toldFolder(team string) string { return "taskings/told/" + teams.Slug(team) + "/" }

// lastTold is what the team was last told, nil when nothing ever.
func (a *Activities) lastTold(ctx context.Context, team string) (last *receipt, err error) {
	keys, err := a.Store.List(ctx, toldFolder(team))
	if err != nil || len(keys) == 0 {
		return nil, err
	}
	numbered := slices.DeleteFunc(
		slices.Clone(keys),
		func(key string) bool { return strings.Contains(key[len(toldFolder(team)):], "/") },
	)
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
	data, err := st.ReadRecord(ctx, key)
	if err != nil {
		return nil, err
	}
	r := new(receipt)
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%s: %w", key, store.ErrDamaged)
	}
	return r, nil
}

// Deliver builds one team's digest and sends it, unless the team has its content already.
func (a *Activities) Deliver(ctx context.Context, p DeliverParams) (DeliverResult, error) {
	_, stop := task.Start(ctx)
	defer stop()
	r, err := a.digest(ctx, p)
	return r, task.Of(err)
}

func (a *Activities) digest(ctx context.Context, p DeliverParams) (DeliverResult, error) {
	n, outdated, err := a.loadOccasion(ctx, p.Manifest, p.Revoked)
	if err != nil || outdated {
		return DeliverResult{Outcome: Outdated}, err
	}
	message, concerned, suspects, err := a.message(ctx, n, p.Team)
	if err != nil {
		return DeliverResult{}, err
	}
	result := DeliverResult{Suspects: suspects, Outcome: Unchanged}
	last, err := a.lastTold(ctx, p.Team)
	if err != nil {
		return result, err
	}
	content := message.Key
	same := last != nil && last.Manifest.AsOf == n.approved.Manifest.AsOf
	told := receipt{Manifest: n.approved.Manifest, Team: p.Team, Suspects: suspects, Content: content}
	switch {
	case same && last.Content == content && p.Late:
		message.Key = last.Message
	case same && last.Content == content:
		sent, err := ledger.Find(ctx, a.Store, last.Message)
		if err != nil {
			return result, err
		}
		if sent != nil {
			result.count(*sent)
		}
		told.Message = last.Message
		return result, a.receipt(ctx, n.number, told)
	case p.Late:
		return result, nil // the team was told something else, or nothing: whoever sees to that tells all its addresses
	case same:
		// A content that is sent a second time is another message: mail systems drop one whose id they know. A revision
		// that goes back to what an earlier one said is news to those who were told otherwise in between.
		sum := sha256.Sum256([]byte(last.Message + content))
		message.Key = hex.EncodeToString(sum[:len(content)/2])
	}
	entry := ledger.Entry{
		ID:      message.Key,
		Channel: ledger.Mail,
		Team:    p.Team,
		Kind:    digestKind,
		Subject: "night " + p.Manifest.NightID.String(),
	}
	why := "night " + p.Manifest.NightID.String() + " was approved"
	if n.revoked != nil {
		entry.Subject = "night " + p.Revoked.String()
		why = "the approval of night " + p.Revoked.String() + " was taken back"
	}
	log := audit.Entry{Why: why, On: audit.Object{Night: strings.TrimPrefix(entry.Subject, "night "), Pseudonyms: concerned}}
	for _, to := range message.To {
		log.To = append(log.To, to.Address)
	}
	log.Did = packsNote(message)
	delivery, err := a.deliver(ctx, entry, log, digest.Hand(ctx, a.Mailer, message))
	if err != nil {
		return DeliverResult{}, err
	}
	result.count(delivery.Entry)
	if p.Late {
		return result, delivery.Entry.Unreached("digest")
	}
	result.Outcome, told.Message = Sent, message.Key
	return result, a.receipt(ctx, n.number, told)
}

// receipt notes what the record of that number told a team, once.
func (a *Activities) receipt(ctx context.Context, number int, r receipt) error {
	data, err := json.Marshal(r)
	if err == nil {
		key := receiptKey(number, r.Team)
		err = a.Store.CreateOnly(ctx, key, a.Store.Record(key, data))
	}
	if errors.Is(err, store.ErrExists) {
		return nil
	}
	return err
}

// count takes over what became of the addresses.
func (r *DeliverResult) count(e ledger.Entry) {
	r.LateAddresses, r.RefusedAddresses = e.Count(ledger.Waiting), e.Count(ledger.Refused)
}

// message is a team's digest, with packs where some of its addresses may hold them, whom it tells of by pseudonym, and
// how many of them the team has.
func (a *Activities) message(
	ctx context.Context,
	n night,
	team string,
) (m digest.Message, concerned []string, suspects int, err error) {
	who, err := a.who()
	if err != nil {
		return m, nil, 0, err
	}
	party, ok := who.Find(team)
	if !ok {
		return m, nil, 0, task.Permanent(
			fault.DeliveryRefused,
			fmt.Errorf("the team %s is not in the teams' file any more", team),
		)
	}
	plan, err := loadPlan(ctx, a.Store, n.occasion(), team)
	if err != nil {
		return m, nil, 0, err
	}
	n, err = n.withBelow(plan.Suspects, func(last int64) ([]schemas.Ranked, error) { return a.ranked(ctx, n, last) })
	if err != nil {
		return m, nil, 0, err
	}
	var changes []schemas.Change
	if n.revoked == nil { // else the positions before are those of a stack that does not count
		changes, err = nights.ReadFile[schemas.Change](ctx, a.Store, n.manifest, schemas.ChangesFile)
	}
	if err != nil {
		return m, nil, 0, err
	}
	previous := map[int64]*int64{}
	for _, c := range changes {
		if c.Position != nil {
			previous[*c.Position] = c.Previous
		}
	}
	d := digest.Input{
		Night:     n.manifest.NightID,
		Edition:   n.manifest.Edition.Name,
		Approved:  n.approved.At,
		Identity:  n.manifest.Identity,
		Team:      party.Name,
		To:        party.Mail,
		Left:      plan.Left,
		Waiting:   plan.Waiting,
		Cadence:   string(who.Cadence()),
		Cut:       n.manifest.Cut,
		Pseudonym: func(suspect string) string { return a.reference(suspect, party.Name == teams.RestrictedDesk) },
		Revoked:   n.revoked,
		Desk:      a.Desk,

		PackDomains: who.PackDomains(),
	}
	plan.Suspects = n.those(plan.Suspects)
	for _, s := range plan.Suspects {
		concerned = append(concerned, s.Reference)
		d.Suspects = append(
			d.Suspects,
			digest.Suspect{
				Ranked:   n.row(s.Position),
				Previous: previous[s.Position],
				Arrival:  s.Arrival,
				With:     s.With,
				State:    s.State,
				News:     s.News,
				Below:    s.Below,
			},
		)
	}
	if m, err = digest.Build(d); err != nil {
		return m, nil, 0, task.Permanent(fault.DeliveryRefused, err)
	}
	for _, l := range plan.Left {
		concerned = append(concerned, l.Reference)
	}
	if m.Holders() == 0 {
		m.Packs = nil
		return m, concerned, len(plan.Suspects), nil
	}
	packs, err := packs(ctx, a.Store, n, party.Name, plan.Suspects)
	if err != nil {
		return m, nil, 0, err
	}
	files, err := attached("packs-"+party.Slug, packs)
	m.Packs = append(m.Packs, files...)
	return m, concerned, len(plan.Suspects), err
}

// packsNote says in the log who of a message's addresses gets ids.
func packsNote(m digest.Message) string {
	n := m.Holders()
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", with packs for %d of %s, of %s", n, text.Count(len(m.To), "address", "addresses"),
		strings.Join(m.PackDomains, ", "))
}

// attached are packs as the files that go with a message.
func attached(name string, packs pack.Input) ([]digest.Attachment, error) {
	html, err := pack.HTML(packs)
	if err != nil {
		return nil, err
	}
	plain, err := pack.Text(packs)
	return []digest.Attachment{
		{Name: name + ".html", Type: "text/html; charset=utf-8", Data: html},
		{Name: name + ".txt", Type: "text/plain; charset=utf-8", Data: plain},
	}, err
}

func (n night) row(position int64) schemas.Ranked {
	for _, r := range n.rows {
		if r.Position == position {
			return r
		}
	}
	return schemas.Ranked{}
}

// those are the suspects of whom the night still has a row: a person may have been erased from it since it was planned.
func (n night) those(suspects []planned) []planned {
	return slices.DeleteFunc(slices.Clone(suspects), func(s planned) bool { return n.row(s.Position).Position == 0 })
}

// packs are the tasking packs of some suspects of an approved night.
func packs(ctx context.Context, st *store.Store, n night, team string, suspects []planned) (pack.Input, error) {
	contributions, err := nights.ReadFile[schemas.Contribution](ctx, st, n.manifest, schemas.ContributionsFile)
	if err != nil {
		return pack.Input{}, err
	}
	own := map[int64][]schemas.Contribution{}
	for _, c := range contributions {
		own[c.Position] = append(own[c.Position], c)
	}
	cases, err := nights.Cases(ctx, st, n.manifest)
	if err != nil {
		return pack.Input{}, err
	}
	of := map[int64][]schemas.Case{}
	for _, c := range cases {
		of[c.Position] = append(of[c.Position], c)
	}
	in := pack.Input{Team: team, Night: n.manifest.NightID, Edition: n.manifest.Edition.Name, Approved: n.approved.At}
	for _, s := range suspects {
		row := n.row(s.Position)
		atEdge := s.Below == 0 && n.manifest.Cut.InsideTie && row.Score == n.manifest.Cut.Score
		in.Suspects = append(
			in.Suspects,
			pack.Suspect{Reference: s.Reference, Ranked: row, Contributions: own[s.Position], Case: of[s.Position], State: s.State,
				Specialists: s.Added, News: s.News, Below: s.Below, InTie: atEdge},
		)
	}
	return in, nil
}

// Pack is the pack of one tasking by the approved stack. casework.ErrNone: it is not on that stack.
func Pack(ctx context.Context, st *store.Store, t *schemas.Tasking) (pack.Input, error) {
	current, err := nights.LoadCurrent(ctx, st)
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
	n, err = n.withBelow([]planned{s}, func(last int64) ([]schemas.Ranked, error) {
		return firstRanked(ctx, st, n.manifest, last)
	})
	if err != nil {
		return pack.Input{}, err
	}
	if len(n.those([]planned{s})) == 0 {
		return pack.Input{}, casework.ErrNone
	}
	return packs(ctx, st, n, t.Team, []planned{s})
}
