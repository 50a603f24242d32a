package tasking

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"harmstack/activities/audit"
	"harmstack/activities/casework"
	"harmstack/activities/failure"
	"harmstack/activities/heartbeat"
	"harmstack/activities/store"
	"harmstack/activities/teams"
	"harmstack/schemas"
)

// OrderParams names the approved stack and the team whose orders are to be carried out.
type OrderParams struct {
	Manifest schemas.ManifestRef `json:"manifest,omitzero"`
	Revoked  schemas.NightID     `json:"revoked,omitzero"` // as in PlanParams
	Team     string              `json:"team"`
}

// OrderResult is how many orders the night has for the team. Outdated: a newer stack is current, or the approval was taken back.
type OrderResult struct {
	Orders   int  `json:"orders"`
	Outdated bool `json:"outdated,omitempty"`
}

// Order hands a night's orders to the team's taskings, one after the other. An order that is carried out
// already changes nothing, so that an attempt that died is simply made again.
func (a *Activities) Order(ctx context.Context, p OrderParams) (OrderResult, error) {
	_, stop := heartbeat.Start(ctx)
	defer stop()
	occasion := schemas.Occasion(p.Manifest.NightID, p.Revoked)
	_, outdated, err := a.last(ctx, occasion)
	if err != nil || outdated {
		return OrderResult{Outdated: outdated}, failure.Of(err)
	}
	if p.Revoked == (schemas.NightID{}) {
		if _, err := loadApproved(ctx, a.Store, p.Manifest); err != nil {
			return OrderResult{}, failure.Of(err)
		}
	}
	plan, err := loadPlan(ctx, a.Store, occasion, p.Team)
	if err != nil {
		return OrderResult{}, failure.Of(err)
	}
	for _, o := range plan.Orders {
		if err := a.SendOrder(ctx, schemas.TaskingOrder{Night: p.Manifest.NightID, Revoked: p.Revoked, Team: p.Team, Reference: o.Reference}); err != nil {
			return OrderResult{}, fmt.Errorf("tasking %s: %w", o.Reference, err)
		}
	}
	return OrderResult{Orders: len(plan.Orders)}, nil
}

// ApplyParams is one thing that is asked of a tasking: exactly one of Order, Request and Chase.
type ApplyParams struct {
	Reference string    `json:"reference"`
	Key       string    `json:"key"` // names the request; the same again changes nothing
	At        time.Time `json:"at"`
	// Known is the version that whoever asks knows. An attempt that died may have written a newer one and told
	// nobody.
	Known   int                     `json:"known"`
	Order   *schemas.TaskingOrder   `json:"order,omitempty"`
	Do      string                  `json:"do,omitempty"` // what the request asks for
	Request *schemas.TaskingRequest `json:"request,omitempty"`
	Chase   bool                    `json:"chase,omitempty"`
}

// ApplyResult is the tasking as it stands now, nil when there is none.
type ApplyResult struct {
	Tasking *schemas.Tasking `json:"tasking,omitempty"`
	// Notify are the numbers of the events that somebody is to be told of at once.
	Notify []int `json:"notify,omitempty"`
}

// Apply does one thing to a tasking and writes its next version. With nothing asked, it looks the tasking up.
func (a *Activities) Apply(ctx context.Context, p ApplyParams) (ApplyResult, error) {
	r, err := a.apply(ctx, p)
	if p.Request != nil {
		err = failure.Waiting(err) // a person of a team waits
	}
	return r, refusal(p.Reference, err)
}

// Admit refuses what a team cannot ask of a tasking as it stands. Apply, which knows all of it, has the last word.
func Admit(t *schemas.Tasking, key, do string, r schemas.TaskingRequest) error {
	return refusal(t.Reference, casework.Admit(t, key, do, r))
}

// refusal gives an error of casework the name by which others know it.
func refusal(reference string, err error) error {
	for _, kind := range []struct {
		is   error
		name string
	}{{casework.ErrOtherTeam, failure.OtherTeam}, {casework.ErrWrongState, failure.WrongState}, {casework.ErrBadRequest, failure.BadRequest}, {casework.ErrNone, failure.NoSuchTasking}} {
		if errors.Is(err, kind.is) {
			return failure.Permanent(kind.name, fmt.Errorf("tasking %s: %w", reference, err))
		}
	}
	return failure.Of(err)
}

func (a *Activities) apply(ctx context.Context, p ApplyParams) (ApplyResult, error) {
	before, err := casework.Load(ctx, a.Store, p.Reference)
	if err != nil {
		return ApplyResult{}, err
	}
	who, err := a.who()
	if err != nil {
		return ApplyResult{}, err
	}
	if p.Order == nil && p.Request == nil && !p.Chase {
		return ApplyResult{Tasking: brief(before), Notify: recent(before, p.At, toTell(before, 0, "", who))}, nil
	}
	command := casework.Command{Key: p.Key, At: p.At, Do: p.Do, Request: p.Request, Chase: p.Chase}
	if p.Order != nil {
		// The newer stack's plan counts on what it found: what an older one still wanted must not come after it.
		occasion := schemas.Occasion(p.Order.Night, p.Order.Revoked)
		last, outdated, err := a.last(ctx, occasion)
		if err != nil || outdated {
			return ApplyResult{Tasking: brief(before)}, err
		}
		if last != nil {
			command.Revoked = last.RevokedNights()
		}
		plan, err := loadPlan(ctx, a.Store, occasion, p.Order.Team)
		if err != nil {
			return ApplyResult{}, err
		}
		i := slices.IndexFunc(plan.Orders, func(o casework.Order) bool { return o.Reference == p.Reference })
		if i < 0 {
			return ApplyResult{Tasking: brief(before)}, nil // planned anew since, with nothing to do
		}
		// What the digest says is what happens, deadlines included.
		command.Order, command.At, command.Key = &plan.Orders[i], plan.At, p.Order.Key()
	}
	after, err := casework.Apply(before, command, who)
	if err != nil {
		return ApplyResult{}, err
	}
	if after == nil || before != nil && after.Version == before.Version {
		// An attempt that died may have written the version and not taken the mark away, nor told anybody.
		if after != nil {
			err = casework.Settle(ctx, a.Store, after)
		}
		return ApplyResult{Tasking: brief(after), Notify: toTell(after, p.Known, command.Key, who)}, err
	}
	if p.Request != nil {
		err = audit.Append(ctx, a.Store, audit.Entry{At: p.At, Who: p.Request.By, Did: p.Do + " for " + p.Request.Team, On: p.Reference, Why: p.Request.Note})
		if err != nil {
			return ApplyResult{}, err
		}
	}
	if err := casework.Save(ctx, a.Store, after); err != nil {
		if errors.Is(err, store.ErrExists) {
			err = fmt.Errorf("tasking %s was changed at the same time: %w", p.Reference, err)
		}
		return ApplyResult{}, err
	}
	return ApplyResult{Tasking: brief(after), Notify: toTell(after, p.Known, command.Key, who)}, nil
}

// toTell are the events of a request, and all that came after a known version, that somebody must be told of before
// the next digest.
func toTell(t *schemas.Tasking, known int, key string, who *teams.Teams) (numbers []int) {
	if t == nil {
		return nil
	}
	for _, e := range t.Events {
		if (e.Key == key || e.Number > known) && len(audience(t, e, who)) > 0 {
			numbers = append(numbers, e.Number)
		}
	}
	return numbers
}

// recent keeps the events that a message would still be tried for: a run that begins finds those that the run
// before, or a task of this one that died, told nobody of. The ledger knows which were told.
func recent(t *schemas.Tasking, now time.Time, numbers []int) []int {
	return slices.DeleteFunc(numbers, func(number int) bool { return t.Events[number-1].At.Before(now.Add(-triedFor)) })
}

// triedFor is how long a message is tried for.
const triedFor = 72 * time.Hour

// viewEvents is how many events travel through Temporal; the store has all.
const viewEvents = 10

// brief is a tasking as it travels through Temporal.
func brief(t *schemas.Tasking) *schemas.Tasking {
	if t == nil {
		return nil
	}
	view := *t
	view.Seen = nil
	view.Events = view.Events[max(0, len(view.Events)-viewEvents):]
	return &view
}
