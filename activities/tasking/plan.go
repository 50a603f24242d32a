package tasking

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"harmstack/activities/casework"
	"harmstack/activities/casework/teams"
	"harmstack/activities/messages/digest"
	"harmstack/activities/nights"
	"harmstack/activities/store"
	"harmstack/activities/task"
	"harmstack/schemas"
)

// PlanParams names the approved stack or, alone, the night whose approval was taken back: the record of that names the
// stack.
type PlanParams struct {
	Manifest schemas.ManifestRef `json:"manifest,omitzero"`
	Revoked  schemas.NightID     `json:"revoked,omitzero"`
}

// PlanResult is the teams that are to be told.
type PlanResult struct {
	Teams []Team `json:"teams"`
	// Untold counts the restricted suspects of whom nobody is told, because the teams' file names no desk for them.
	Untold int `json:"restricted_untold,omitempty"`
}

// Team is one team, how many of the stack's suspects it has and how many orders the night has for it.
type Team struct {
	Name     string `json:"name"`
	Suspects int    `json:"suspects"`
	Orders   int    `json:"orders"`
}

// plan is what a night, or a revocation, means for one team: taskings/plans/<occasion>/<team>.json. Orders are those
// that change something; the rest is for the digest, which must say the same however often it is built.
type plan struct {
	Team string    `json:"team"` // empty in a plan from before
	At   time.Time `json:"at"`
	// Quiet: there is nothing to tell the team.
	Quiet bool `json:"quiet,omitempty"`
	// Waiting counts those of the team's on the stack who are tasked with the next new taskings (cadence).
	Waiting  int              `json:"waiting,omitempty"`
	Orders   []casework.Order `json:"orders"`
	Suspects []planned        `json:"suspects"` // whom the team has after the orders
	Left     []digest.Left    `json:"left"`     // whom it had before
}

// planned is one suspect of the team.
type planned struct {
	Reference string `json:"reference"`
	Position  int64  `json:"position"` // on the night's ranking, which has the rest
	// Below is, for one who is not on the stack and stays tasked, the position below which that ends; else 0.
	Below   int64    `json:"below,omitempty"`
	With    string   `json:"with"`
	State   string   `json:"state"`
	Arrival string   `json:"arrival,omitempty"`
	News    []string `json:"news,omitempty"`
	Added   []string `json:"specialists,omitempty"`
}

func plansFolder(occasion string) string { return "taskings/plans/" + occasion + "/" }

func planKey(occasion, team string) string { return plansFolder(occasion) + teams.Slug(team) + ".json" }

func loadPlan(ctx context.Context, st *store.Store, occasion, team string) (p plan, err error) {
	return readPlan(ctx, st, planKey(occasion, team))
}

func readPlan(ctx context.Context, st *store.Store, key string) (p plan, err error) {
	data, err := st.ReadRecord(ctx, key)
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal(data, &p); err != nil {
		return p, fmt.Errorf("%s: %w", key, store.ErrDamaged)
	}
	return p, nil
}

// plansOf are the plans of an occasion.
func plansOf(ctx context.Context, st *store.Store, occasion string) (plans []plan, err error) {
	keys, err := st.List(ctx, plansFolder(occasion))
	for _, key := range keys {
		p, err := readPlan(ctx, st, key)
		if err != nil {
			return nil, err
		}
		plans = append(plans, p)
	}
	return plans, err
}

// allPlanned are all suspects of an occasion's plans, by reference.
func allPlanned(ctx context.Context, st *store.Store, occasion string) (map[string]planned, error) {
	plans, err := plansOf(ctx, st, occasion)
	suspects := map[string]planned{}
	for _, p := range plans {
		for _, s := range p.Suspects {
			suspects[s.Reference] = s
		}
	}
	return suspects, err
}

// Plan compares an approved stack with the taskings there are and writes down what each team is to do and to know: the
// 32 boroughs, also those that have nobody (silence would look like a failure), the central desk and the specialist
// teams when they have somebody or had.
func (a *Activities) Plan(ctx context.Context, p PlanParams) (PlanResult, error) {
	_, stop := task.Start(ctx)
	defer stop()
	r, err := a.plan(ctx, p)
	return r, task.Of(err)
}

func (a *Activities) plan(ctx context.Context, params PlanParams) (result PlanResult, err error) {
	who, err := a.who()
	if err != nil {
		return result, err
	}
	n, outdated, err := a.loadOccasion(ctx, params.Manifest, params.Revoked)
	if err != nil || outdated {
		return result, err
	}
	a.witness(ctx, n, who)
	b := &planner{a: a, who: who, night: n, at: now(), plans: map[string]*plan{}, onStack: map[string]bool{}}
	if last, err := nights.LastRecord(ctx, a.Store); err != nil {
		return result, err
	} else if last != nil {
		b.revoked = last.RevokedNights()
	}
	if err := errors.Join(b.earlier(ctx), b.pace(ctx)); err != nil {
		return result, err
	}
	parties := slices.Concat(who.Owners(), who.Specialists())
	if desk, ok := who.Restricted(); ok {
		parties = slices.Insert(parties, 0, desk)
	}
	for _, party := range parties {
		b.plans[party.Name] = &plan{
			Team:     party.Name,
			At:       b.at,
			Orders:   []casework.Order{},
			Suspects: []planned{},
			Left:     []digest.Left{},
		}
	}
	if err := b.stack(ctx); err != nil {
		return result, err
	}
	if err := b.below(ctx); err != nil {
		return result, err
	}
	if err := b.leavers(ctx); err != nil {
		return result, err
	}
	for _, party := range parties {
		p := b.plans[party.Name]
		borough := party.BCU != ""
		if !borough && len(p.Suspects)+len(p.Left)+len(p.Orders) == 0 {
			told, err := a.lastTold(ctx, party.Name)
			damaged := casework.Unreadable(err) // which the team's own delivery says
			if err != nil && !damaged {
				return result, err
			}
			p.Quiet = !damaged && (told == nil || told.Suspects == 0)
		}
		data, err := json.Marshal(p)
		if err == nil {
			key := planKey(n.occasion(), party.Name)
			err = a.Store.Replace(ctx, key, a.Store.Record(key, data))
		}
		if err != nil {
			return result, err
		}
		if p.Quiet {
			continue
		}
		result.Teams = append(result.Teams, Team{party.Name, len(p.Suspects), len(p.Orders)})
	}
	result.Untold = b.untold
	return result, nil
}

// planner works out the plans of all teams of one night.
type planner struct {
	a       *Activities
	who     *teams.Teams
	night   night
	at      time.Time
	plans   map[string]*plan
	onStack map[string]bool // whom the night leaves tasked, or tasks, by reference
	revoked []schemas.NightID
	pacing
	promise map[string]promise // by reference
	untold  int                // restricted suspects on the stack of whom nobody is told
}

// promise is the last order for a suspect that was planned for this date, and its key.
type promise struct {
	casework.Order
	key string
}

// earlier reads what was planned for this date before, by this revision or an earlier one: a team that has read a
// deadline holds to that, also when the order itself could not be carried out since, and the teams' file says otherwise
// now.
func (b *planner) earlier(ctx context.Context) error {
	b.promise = map[string]promise{}
	orders := []schemas.TaskingOrder{{Revoked: b.night.revokedNight()}}
	if b.night.revoked == nil {
		orders = nil
		for id := b.night.manifest.NightID; len(orders) < id.Revision; {
			orders = append(
				orders,
				schemas.TaskingOrder{Night: schemas.NightID{AsOf: id.AsOf, Revision: len(orders) + 1}},
			)
		}
	}
	for _, o := range orders {
		keys, err := b.a.Store.List(ctx, plansFolder(schemas.Occasion(o.Night, o.Revoked)))
		if err != nil {
			return err
		}
		for _, key := range keys {
			p, err := readPlan(ctx, b.a.Store, key)
			if err != nil && !casework.Unreadable(err) { // what a damaged one promised, nobody can tell
				return err
			}
			for _, planned := range p.Orders {
				b.promise[planned.Reference] = promise{planned, o.Key()}
			}
		}
	}
	return nil
}

// deadlines are those of an order: the ones promised this date, as long as nothing came of the promise, else those of
// now.
func (b *planner) deadlines(t *schemas.Tasking, reference string) schemas.TaskingDeadlines {
	p, promised := b.promise[reference]
	if promised && p.Chase != (schemas.TaskingDeadlines{}) &&
		(t == nil || !slices.ContainsFunc(t.Events, func(e schemas.TaskingEvent) bool { return e.Key == p.key })) {
		return p.Chase
	}
	return schemas.TaskingDeadlines(b.who.Deadlines(b.at))
}

// of is the plan of a team; what belongs to a team that is no longer configured is the central desk's.
func (b *planner) of(team string) *plan {
	if p, ok := b.plans[team]; ok {
		return p
	}
	return b.plans[teams.CentralDesk]
}

// stack plans for those on the stack.
func (b *planner) stack(ctx context.Context) error {
	if b.night.noStack() {
		return nil
	}
	contributions, err := nights.ReadFile[schemas.Contribution](
		ctx,
		b.a.Store,
		b.night.manifest,
		schemas.ContributionsFile,
	)
	if err != nil {
		return err
	}
	own := map[int64][]schemas.Contribution{}
	for _, c := range contributions {
		own[c.Position] = append(own[c.Position], c)
	}
	for _, row := range b.night.rows {
		if err := b.suspect(ctx, row, own[row.Position], 0); err != nil {
			return err
		}
	}
	return nil
}

// suspect plans for one suspect of the ranking: on the stack, or tasked still, with the position below which that ends.
func (b *planner) suspect(ctx context.Context, row schemas.Ranked, own []schemas.Contribution, below int64) error {
	if _, ok := b.who.Restricted(); row.Restricted && !ok {
		b.untold++
		return nil
	}
	o := b.order(row, own)
	o.Below = below
	before, err := casework.Load(ctx, b.a.Store, o.Reference)
	if casework.Unreadable(err) {
		b.onStack[o.Reference] = true
		b.unreadable(o)
		return nil
	}
	if err != nil {
		return err
	}
	if tasks, err := b.tasks(ctx, row, before); err != nil {
		return err
	} else if !tasks {
		b.of(o.Owner).Waiting++
		return nil
	}
	b.onStack[o.Reference] = true
	o.Chase = b.deadlines(before, o.Reference)
	after, err := b.apply(before, o)
	if err != nil || after == nil {
		return err
	}
	p := b.of(after.Team)
	if before == nil || after.Version != before.Version {
		p.Orders = append(p.Orders, o)
	}
	suspect := planned{
		Reference: o.Reference,
		Position:  row.Position,
		Below:     below,
		With:      after.Team,
		State:     digest.StateText(after),
		Added:     after.Specialists,
	}
	for _, e := range b.tonight(after) {
		suspect.News = append(suspect.News, e.News...)
		switch e.Kind {
		case schemas.EventIssued:
			suspect.Arrival = "new"
		case schemas.EventReopened:
			suspect.Arrival = "reopened"
		case schemas.EventReturned:
			suspect.Arrival = "back on the stack"
		case schemas.EventReleased:
			suspect.Arrival = "released"
		case schemas.EventTransferred:
			suspect.Arrival = "new to you, from " + e.From
			from := b.of(e.From)
			from.Left = append(
				from.Left,
				digest.Left{
					Reference: o.Reference,
					Position:  row.Position,
					Why:       "still tasked, now with " + e.Team,
				},
			)
		}
	}
	p.Suspects = append(p.Suspects, suspect)
	for _, name := range after.Specialists {
		if s, ok := b.plans[name]; ok {
			s.Suspects = append(s.Suspects, suspect)
		}
	}
	return nil
}

// unreadable plans for a suspect whose tasking is damaged: the team of the owner borough is told so, the order fails
// until the tasking is mended, and nobody else waits for that.
func (b *planner) unreadable(o casework.Order) {
	p := b.of(o.Owner)
	p.Orders = append(p.Orders, o)
	p.Suspects = append(
		p.Suspects,
		planned{Reference: o.Reference, Position: o.Position, Below: o.Below, With: o.Owner, Added: o.Specialists,
			State: "Cannot be read at the moment: those who run the system see to it"},
	)
}

// apply tells what a tasking would be after an order.
func (b *planner) apply(t *schemas.Tasking, o casework.Order) (*schemas.Tasking, error) {
	return casework.Apply(t, casework.Command{Key: b.key(), At: b.at, Order: &o, Revoked: b.revoked}, b.who)
}

func (b *planner) key() string {
	return schemas.TaskingOrder{Night: b.night.manifest.NightID, Revoked: b.night.revokedNight()}.Key()
}

// tonight are the events that a night of this date brought about, in this revision or one before, or that the
// revocation did.
func (b *planner) tonight(t *schemas.Tasking) (events []schemas.TaskingEvent) {
	for _, e := range t.Events {
		if e.Key == b.key() || b.night.revoked == nil && e.Night != nil && e.Night.AsOf == b.night.manifest.AsOf {
			events = append(events, e)
		}
	}
	return events
}

// order is what the night wants of a suspect on its stack.
func (b *planner) order(row schemas.Ranked, own []schemas.Contribution) casework.Order {
	o := casework.Order{
		Reference:  b.a.reference(row.SuspectID, row.Restricted),
		Night:      b.night.manifest.NightID,
		OnStack:    true,
		Owner:      teams.CentralDesk,
		Position:   row.Position,
		Watch:      row.Lane == schemas.LaneContained,
		Restricted: row.Restricted,
		Facts: schemas.TaskingFacts{
			Allegations:   row.Allegations,
			Reports:       row.Reports,
			Victims:       row.Victims,
			HarmDays:      row.SumDays,
			DomesticAbuse: row.DomesticAbuse,
			NonRecent:     row.NonRecent,
			AlsoVictim:    row.AlsoVictim,
			Boroughs:      row.Boroughs,
		},
	}
	if b.night.revoked != nil {
		o.Reason = revokedText(b.night)
	}
	if row.OwnerBorough != nil {
		o.Owner = *row.OwnerBorough
	}
	if row.Restricted {
		o.Owner = teams.RestrictedDesk
	}
	if row.SuspectStatus != nil {
		o.Facts.Status = *row.SuspectStatus
	}
	added := map[string]bool{}
	for _, c := range own {
		if c.Outcome == "charged" || c.Outcome == "convicted" {
			o.Facts.Charged++
		}
		for _, s := range b.who.Route(c.OffenceCode, c.DomesticAbuse != nil && *c.DomesticAbuse) {
			added[s] = true
		}
		o.Allegations = append(o.Allegations, b.a.allegation(row, c.AllegationID))
	}
	slices.Sort(o.Allegations)
	for _, s := range b.who.Specialists() {
		if added[s.Name] && !row.Restricted {
			o.Specialists = append(o.Specialists, s.Name)
		}
	}
	return o
}

// leavers plans for those who have a tasking and are no longer on the stack, whichever night they left.
func (b *planner) leavers(ctx context.Context) error {
	var changes []schemas.Change
	var err error
	if b.night.revoked == nil { // else what changed that night is not what changes now
		changes, err = nights.ReadFile[schemas.Change](ctx, b.a.Store, b.night.manifest, schemas.ChangesFile)
	}
	if err != nil {
		return err
	}
	why := map[string]string{}
	for _, c := range changes {
		if c.Kind == schemas.ChangeLeft && c.Reason != nil {
			why[b.a.reference(c.SuspectID, false)] = *c.Reason
			why[b.a.reference(c.SuspectID, true)] = *c.Reason
		}
	}
	marked, err := casework.Marked(ctx, b.a.Store)
	if err != nil {
		return err
	}
	for _, reference := range marked {
		if b.onStack[reference] {
			continue
		}
		before, err := casework.Load(ctx, b.a.Store, reference)
		if casework.Unreadable(err) { // the order fails until the tasking is mended; whose it is, nobody can tell
			desk := b.of(teams.CentralDesk)
			desk.Orders = append(desk.Orders, b.leaves(reference, why[reference]))
			continue
		}
		if err != nil {
			return err
		}
		if before == nil || !before.OnStack {
			// The writer died before it could take the mark away, or before it wrote the tasking.
			if before != nil {
				err = casework.Unmark(ctx, b.a.Store, before)
			}
			if err != nil {
				return err
			}
			continue
		}
		if _, ok := b.who.Restricted(); before.Restricted && !ok {
			continue // nobody is told, and the desk finds it as it was once it is named again
		}
		o := b.leaves(reference, why[reference])
		after, err := b.apply(before, o)
		if err != nil {
			return err
		}
		if after.Version == before.Version {
			continue
		}
		p := b.of(before.Team)
		p.Orders = append(p.Orders, o)
		left := digest.Left{Reference: reference, Position: before.Position, Why: "left the stack: " + o.Reason}
		p.Left = append(p.Left, left)
		for _, name := range before.Specialists {
			if s, ok := b.plans[name]; ok {
				s.Left = append(s.Left, left)
			}
		}
	}
	return nil
}

// leaves is the order for somebody who is no longer on the stack.
func (b *planner) leaves(reference, why string) casework.Order {
	o := casework.Order{Reference: reference, Night: b.night.manifest.NightID, Reason: leftText(why)}
	if b.night.revoked != nil {
		o.Reason = revokedText(b.night)
	}
	return o
}

// revokedText says that an approval was taken back, and why.
func revokedText(n night) string {
	return fmt.Sprintf(
		"the approval of the stack of %s, revision %d, was taken back: %s",
		n.revoked.Manifest.AsOf.Start().Format("2 January 2006"),
		n.revoked.Manifest.Revision,
		n.revoked.Reason,
	)
}

// leftText says why somebody left the stack.
func leftText(reason string) string {
	switch reason {
	case schemas.LeftOutranked:
		return "others rank higher now"
	case schemas.LeftAgedOut:
		return "the allegations are older than a year"
	case schemas.LeftMerged:
		return "the suspect's id was merged into another, which has a tasking of its own if it is on the stack"
	case schemas.LeftNoScore:
		return "the allegations no longer count (cleared, withdrawn, reclassified, or the suspect has died)"
	default:
		return "not on the approved stack any more"
	}
}
