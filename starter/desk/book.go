package desk

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"harmstack/activities/casework"
	"harmstack/activities/casework/teams"
	"harmstack/activities/trust/access"
	"harmstack/schemas"
)

// book keeps every tasking as it stands, so that a page reads only what has changed since the one before. What it hands
// out is for reading.
type book struct {
	mu       sync.Mutex
	at       time.Time
	versions map[string]int
	taskings map[string]*schemas.Tasking
}

// all are the taskings there are, by reference, the closed ones too. Those that cannot be read are left out, which the
// desk's log says.
func (d *Desk) all(ctx context.Context) ([]*schemas.Tasking, error) {
	b := &d.book
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.at.IsZero() || d.Now().Sub(b.at) >= keep {
		if err := b.turn(context.WithoutCancel(ctx), d); err != nil { // others wait for it too
			return nil, err
		}
		b.at = d.Now()
	}
	list := make([]*schemas.Tasking, 0, len(b.taskings))
	for _, reference := range slices.Sorted(maps.Keys(b.taskings)) {
		list = append(list, b.taskings[reference])
	}
	return list, nil
}

// turn reads what has changed.
func (b *book) turn(ctx context.Context, d *Desk) error {
	ctx, cancel := context.WithTimeout(ctx, actTime)
	defer cancel()
	versions, err := casework.Versions(ctx, d.To.Store)
	if err != nil {
		return err
	}
	fresh := make(map[string]*schemas.Tasking, len(versions))
	for reference, version := range versions {
		if t := b.taskings[reference]; t != nil && b.versions[reference] == version {
			fresh[reference] = t
			continue
		}
		t, err := casework.History(ctx, d.To.Store, reference)
		switch {
		case casework.Unreadable(err):
			d.Log.Error("a tasking cannot be read", "tasking", reference, "error", err)
		case err != nil:
			return err
		case t != nil:
			fresh[reference] = shown(t)
		}
	}
	b.versions, b.taskings = versions, fresh
	return nil
}

// forget makes the next page read again, after an act.
func (b *book) forget() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.at = time.Time{}
}

// standing is how one team stands: what waits for it.
type standing struct {
	Team                             string
	Unanswered, Overdue, Hand, Watch int
}

// standings are those of the teams that a person speaks for or leads; of everybody's, for those who see everything.
func (d *Desk) standings(ctx context.Context, p Person) (list []standing, err error) {
	return d.standingsOf(ctx, p, access.Teams(p.Roles), func(t *schemas.Tasking) bool {
		return allowed(p, []string{access.Look}) == nil || access.Leads(p.Roles, t.BCU)
	})
}

// standingsOf are how those teams stand by what a person sees, and the teams of the other taskings that are asked for.
func (d *Desk) standingsOf(
	ctx context.Context, p Person, named []string, others func(*schemas.Tasking) bool,
) (list []standing, err error) {
	all, err := d.all(ctx)
	if err != nil {
		return nil, err
	}
	by := map[string]*standing{}
	for _, team := range named {
		by[team] = &standing{Team: team}
	}
	for _, t := range all {
		if !t.State.Open() || !sees(p, t) {
			continue
		}
		if by[t.Team] == nil && others(t) {
			by[t.Team] = &standing{Team: t.Team}
		}
		for team, s := range by {
			if has(team, t) {
				s.add(t, d.Now())
			}
		}
	}
	for _, team := range slices.Sorted(maps.Keys(by)) {
		if s := by[team]; team != teams.CentralDesk || *s != (standing{Team: team}) {
			list = append(list, *s)
		}
	}
	return list, nil
}

// has tells whether a tasking waits for a team: it is the team's, or the specialist team was added to it, or nobody
// answered and it went to the specialist desk.
func has(team string, t *schemas.Tasking) bool {
	return t.Team == team || slices.Contains(t.Specialists, team) || team == teams.SpecialistDesk && toDesk(t)
}

// toDesk tells whether the specialist desk may act for a team that has not answered.
func toDesk(t *schemas.Tasking) bool {
	return casework.Admit(t, "", schemas.DoAcknowledge, schemas.TaskingRequest{Team: teams.SpecialistDesk}) == nil
}

func (s *standing) add(t *schemas.Tasking, now time.Time) {
	switch {
	case t.Watch:
		s.Watch++
	case !t.State.Unanswered():
		s.Hand++
	case casework.Overdue(t, now):
		s.Overdue++
	default:
		s.Unanswered++
	}
}
