package tasking

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"golang.org/x/sync/errgroup"

	"harmstack/activities/casework"
	"harmstack/activities/casework/teams"
	"harmstack/activities/store"
	"harmstack/activities/task"
	"harmstack/activities/trust/access"
	"harmstack/activities/trust/attest"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/schemas/text"
)

// OrderParams names the approved stack and the team whose orders are to be carried out.
type OrderParams struct {
	Manifest schemas.ManifestRef `json:"manifest,omitzero"`
	Revoked  schemas.NightID     `json:"revoked,omitzero"` // as in PlanParams
	Team     string              `json:"team"`
	// Late asks for those alone that failed before: as long as one of them fails, so does the activity.
	Late bool `json:"late,omitempty"`
}

// OrderResult is how many orders the night has for the team. Outdated: a newer stack is current, or the approval was
// taken back.
type OrderResult struct {
	Orders int `json:"orders"`
	// Failed could not be carried out, and are noted in the store (FailedOrders). They are to be tried again, beside
	// everything else.
	Failed   int  `json:"failed,omitempty"`
	Outdated bool `json:"outdated,omitempty"`
}

// Order hands a night's orders to the team's taskings. An order that is carried out already changes nothing, so that an
// attempt that died is simply made again. One that fails is noted and keeps nobody from the others.
func (a *Activities) Order(ctx context.Context, p OrderParams) (OrderResult, error) {
	_, stop := task.Start(ctx)
	defer stop()
	r, err := a.order(ctx, p)
	return r, task.Of(err)
}

// At once so many orders go out, and each is waited for so long: longer than one step of a tasking may take.
const (
	ordersAtOnce = 8
	orderTime    = 2 * time.Minute
)

func (a *Activities) order(ctx context.Context, p OrderParams) (r OrderResult, err error) {
	occasion := schemas.Occasion(p.Manifest.NightID, p.Revoked)
	if _, r.Outdated, err = a.last(ctx, occasion); err != nil || r.Outdated {
		return r, err
	}
	if p.Revoked == (schemas.NightID{}) {
		if _, err := loadApproved(ctx, a.Store, p.Manifest); err != nil {
			return r, err
		}
	}
	plan, err := loadPlan(ctx, a.Store, occasion, p.Team)
	if err != nil {
		return r, err
	}
	noted, err := failedOrders(ctx, a.Store, occasion)
	if err != nil {
		return r, err
	}
	if p.Late {
		plan.Orders = slices.DeleteFunc(plan.Orders, func(o casework.Order) bool { return !noted[o.Reference] })
	}
	r.Orders = len(plan.Orders)
	var failed atomic.Int64
	var group errgroup.Group
	group.SetLimit(ordersAtOnce)
	for _, o := range plan.Orders {
		group.Go(func() error {
			why, err := carryOut(
				ctx,
				a.Store,
				a.SendOrder,
				schemas.TaskingOrder{
					Night:     p.Manifest.NightID,
					Revoked:   p.Revoked,
					Team:      p.Team,
					Reference: o.Reference,
				},
				noted[o.Reference],
			)
			if why != nil {
				failed.Add(1)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return r, err
	}
	if r.Failed = int(failed.Load()); p.Late && r.Failed > 0 {
		return r, fmt.Errorf(
			"%d of %s for %s cannot be carried out yet: `starter status` names them",
			r.Failed,
			text.Count(r.Orders, "order"),
			p.Team,
		)
	}
	return r, nil
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
		err = task.Waiting(err) // a person of a team waits
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
	}{{casework.ErrOtherTeam, fault.OtherTeam}, {casework.ErrWrongState, fault.WrongState}, {casework.ErrBadRequest, fault.BadRequest}, {casework.ErrNone, fault.NoSuchTasking}} {
		if errors.Is(err, kind.is) {
			return task.Permanent(kind.name, fmt.Errorf("tasking %s: %w", reference, err))
		}
	}
	return task.Of(err)
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
	var person attest.Person
	if p.Request != nil {
		if person, err = a.asks(ctx, p); err != nil {
			return ApplyResult{}, err
		}
	}
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
		return ApplyResult{}, a.logRefusal(ctx, p, person.Actor(), err)
	}
	if after == nil || before != nil && after.Version == before.Version {
		// An attempt that died may have written the version and not taken the mark away, nor told anybody.
		if after != nil {
			err = casework.Unmark(ctx, a.Store, after)
		}
		return ApplyResult{Tasking: brief(after), Notify: toTell(after, p.Known, command.Key, who)}, err
	}
	if err := a.log(ctx, p, person.Actor(), after); err != nil {
		return ApplyResult{}, err
	}
	if err := casework.Save(ctx, a.Store, after); err != nil {
		if errors.Is(err, store.ErrExists) {
			err = fmt.Errorf("tasking %s was changed at the same time: %w", p.Reference, err)
		}
		return ApplyResult{}, err
	}
	return ApplyResult{Tasking: brief(after), Notify: toTell(after, p.Known, command.Key, who)}, nil
}

// asks verifies who asks for an act on a tasking: that the desk vouches for them and for this very request, that their
// roles speak for the team, and that the same word was not used for another act. A refusal is noted in the log.
func (a *Activities) asks(ctx context.Context, p ApplyParams) (attest.Person, error) {
	request, token := *p.Request, p.Request.Attestation
	request.Attestation = ""
	act := attest.Act{Do: p.Do, Target: task.WorkflowID(ctx), About: p.Reference, Request: request}
	person, err := a.Identity.Who(token, request.By, act, now())
	if err == nil && person.Attested() {
		if err = access.Allows(person.Roles, p.Do, request.Team); err == nil {
			err = a.unused(ctx, p, person.ID)
		}
	}
	if fault.Kind(err) != "" {
		on := audit.Object{Team: request.Team, Pseudonyms: []string{p.Reference}}
		err = errors.Join(err, audit.Refuse(ctx, a.Store, person.Actor(), p.Do, on, err))
	}
	return person, err
}

// unused refuses an attestation that an earlier event of the tasking was made by. The same request again, by its key, is
// none: it changes nothing.
func (a *Activities) unused(ctx context.Context, p ApplyParams, id string) error {
	t, err := casework.History(ctx, a.Store, p.Reference)
	if err != nil || t == nil {
		return err
	}
	for _, e := range t.Events {
		if e.Attestation == "" || e.Key == p.Key {
			continue
		}
		// One that no key opens any more is older than a day.
		if st, err := a.Identity.Keys.Open(e.Attestation); err == nil && st.ID == id {
			return fault.Errorf(fault.NotAttested, "the desk's attestation was used before: do it again at the desk")
		}
	}
	return nil
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
	return slices.DeleteFunc(numbers, func(number int) bool {
		e, _ := t.Event(number)
		return e.At.Before(now.Add(-triedFor))
	})
}

// triedFor is how long a message is tried for.
const triedFor = 72 * time.Hour

// What travels through Temporal, which takes no more than 2 MB at a time: so many of the latest events, in so many
// bytes. The store has all.
const (
	viewEvents = 10
	viewBytes  = 32 << 10
)

// brief is a tasking as it travels through Temporal. Its texts are bounded again: those recorded before there were
// bounds are not.
func brief(t *schemas.Tasking) *schemas.Tasking {
	if t == nil {
		return nil
	}
	view := *t
	view.Seen = nil
	view.Facts.Boroughs = cutAll(t.Facts.Boroughs)
	view.Events = slices.Clone(t.Events[max(0, len(t.Events)-viewEvents):])
	size := 0
	for i := len(view.Events) - 1; i >= 0; i-- {
		e := &view.Events[i]
		e.Attestation = "" // in the store
		e.Reason, e.By, e.News = cut(e.Reason, schemas.MaxNote), cut(e.By, schemas.MaxWho), cutAll(e.News)
		if data, _ := json.Marshal(e); len(data)+size > viewBytes &&
			i < len(view.Events)-1 { // strings and numbers: it can be written
			view.Events = view.Events[i+1:]
			break
		} else {
			size += len(data)
		}
	}
	return &view
}

// cut shortens a text to so many characters.
func cut(text string, limit int) string {
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	return string([]rune(text)[:limit-1]) + "…"
}

// cutAll shortens a list of short texts, and each of them.
func cutAll(texts []string) (short []string) {
	for _, text := range texts[:min(len(texts), 40)] {
		short = append(short, cut(text, schemas.MaxWho))
	}
	return short
}
