package nights

import (
	"context"
	"errors"
	"fmt"
	"time"

	"harmstack/activities/store"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/schemas/fault"
)

// ErrDecided says that another decision stands. Decisions are final.
var ErrDecided = fault.New(fault.AlreadyDecided, "the night is decided already")

// ErrOtherManifest says that the decision names another revision or manifest than the night's: it was
// not made on what is published.
var ErrOtherManifest = fault.New(fault.OtherManifest, "the decision was made on another manifest")

// ErrStale says that the changes shown with the stack were counted against another stack than the one
// approved last. The night must be run again.
var ErrStale = fault.New(
	fault.StaleNight,
	"the changes were counted against another stack than the one approved last: run the night again",
)

// ErrBlocked says that a check of the night failed and blocks its approval, and that no override was given.
var ErrBlocked = fault.New(fault.QualityGateFailed, "checks block the approval")

// ErrOvertaken says that the night was approved, but that a newer approved one is current.
var ErrOvertaken = fault.New(fault.Overtaken, "a newer approved night is current")

// Decide records an officer's decision, approved or held. The same decision by the same person for the
// same reason again succeeds, and the time of the first stands. Errors that no retry mends are
// ErrDecided, ErrOtherManifest and ErrStale.
func Decide(ctx context.Context, st *store.Store, d schemas.Decision) error {
	id := d.Manifest.NightID
	if d.Decision != schemas.Approved && d.Decision != schemas.Held {
		return fmt.Errorf("night %s: a decision is %s or %s", id, schemas.Approved, schemas.Held)
	}
	m, ref, err := LoadManifest(ctx, st, id)
	if err != nil {
		return err
	}
	if d.Manifest.SHA256 != ref.SHA256 {
		return fmt.Errorf("night %s: %w: the published one has the sha256 %s", id, ErrOtherManifest, ref.SHA256)
	}
	d.Manifest, d.At = ref, d.At.UTC()
	standing, err := LoadDecision(ctx, st, id)
	if blocked := m.Blocked(); err == nil && standing == nil && d.Decision == schemas.Approved && len(blocked) > 0 &&
		d.Override == "" {
		return fmt.Errorf(
			"night %s: %w: look at what they found, then hold the night, or approve it with an override that says why\n\n%s",
			id,
			ErrBlocked,
			schemas.CheckTable(blocked, false),
		)
	}
	if err == nil && standing == nil && d.Decision == schemas.Approved {
		if d.Subject != "" && m.StartedBy.ByHand() && m.StartedBy.Subject == d.Subject {
			return fmt.Errorf("night %s: %w", id, ErrOwnNight)
		}
		if len(m.Blocked()) > 0 {
			if d.First, err = firstOfficer(ctx, st, d); err != nil {
				return err
			}
		}
		standing, err = mayApprove(ctx, st, m, d.At)
	}
	if err == nil && standing == nil {
		standing, err = record(ctx, st, d)
	}
	if err != nil {
		return err
	}
	if standing.Decision == d.Decision && standing.By == d.By && standing.Reason == d.Reason {
		return nil
	}
	what := standing.Decision + " by " + standing.By
	if standing.By == System {
		what = standing.Reason // It names the newer night; an officer's reason may name anything.
	}
	return fmt.Errorf(
		"night %s: %w: %s on %s",
		id,
		ErrDecided,
		what,
		standing.At.In(schemas.London).Format("2 January 2006 at 15:04"),
	)
}

// ErrOwnNight says that whoever started the night by hand wants to approve it.
var ErrOwnNight = fault.New(fault.OwnNight, "whoever started a night by hand cannot approve it: another officer must")

// ErrSecondOfficer says that the override is recorded, and that a second officer must approve the night in spite of its
// checks before it counts.
var ErrSecondOfficer = fault.New(fault.SecondOfficer, "your override is recorded, and a second officer must approve the "+
	"night too, with an override of their own: nothing is approved yet")

// firstOfficer is the officer who asked for an override before this one; ErrSecondOfficer when nobody else has, and this
// one is recorded.
func firstOfficer(ctx context.Context, st *store.Store, d schemas.Decision) (*schemas.Decision, error) {
	key := d.Manifest.Path() + "/" + schemas.OverrideFile
	data, err := encode(d)
	if err == nil {
		err = st.CreateOnly(ctx, key, st.Record(key, data))
	}
	if err == nil {
		return nil, fmt.Errorf("night %s: %w", d.Manifest.NightID, ErrSecondOfficer)
	}
	if !errors.Is(err, store.ErrExists) {
		return nil, fmt.Errorf("the override of night %s: %w", d.Manifest.NightID, err)
	}
	first, err := load[schemas.Decision](ctx, st, key)
	if err != nil {
		return nil, err
	}
	if first == nil || first.Manifest != d.Manifest || first.SamePerson(d) {
		return nil, fmt.Errorf("night %s: %w", d.Manifest.NightID, ErrSecondOfficer)
	}
	return first, nil
}

// LoadOverride is the override that one officer asked for and a second has to confirm; nil when nobody has.
func LoadOverride(ctx context.Context, st *store.Store, id schemas.NightID) (*schemas.Decision, error) {
	return load[schemas.Decision](ctx, st, id.Path()+"/"+schemas.OverrideFile)
}

// mayApprove makes sure that approving m keeps the line of approved stacks straight. The older nights
// are decided first: from then on none of them can become the newest approved one, so that what is read
// afterwards still holds when the approval is written. It returns the decision that stands if m turns
// out to be superseded.
func mayApprove(ctx context.Context, st *store.Store, m schemas.Manifest, at time.Time) (*schemas.Decision, error) {
	l, err := Look(ctx, st)
	if err != nil {
		return nil, err
	}
	if superseded, _, err := l.Supersede(ctx, m.NightID, at); err != nil {
		return nil, err
	} else if superseded {
		return LoadDecision(ctx, st, m.NightID)
	}
	last, _, err := l.Baseline(ctx, m.NightID)
	if err != nil {
		return nil, err
	}
	if (last == nil) != (m.Previous == nil) || last != nil && *last != *m.Previous {
		return nil, fmt.Errorf("night %s: %w", m.NightID, ErrStale)
	}
	return nil, nil
}

// record writes a decision unless one stands, and returns the one that stands.
func record(ctx context.Context, st *store.Store, d schemas.Decision) (*schemas.Decision, error) {
	data, err := encode(d)
	if err != nil {
		return nil, err
	}
	key := d.Manifest.Path() + "/" + schemas.DecisionFile
	data = st.Record(key, data)
	if d.By == System { // a person's is in the log by whoever knows how sure it is who they are
		err = audit.Append(ctx, st, audit.Entry{At: d.At, Operation: audit.Alteration, Actor: audit.Worker, Did: d.Decision,
			On: audit.Object{Night: d.Manifest.NightID.String()}, Why: d.Reason, Files: audit.Written(key, data)})
		if err != nil {
			return nil, err
		}
	}
	err = st.CreateOnly(ctx, key, data)
	if err == nil {
		return &d, nil
	}
	if !errors.Is(err, store.ErrExists) {
		return nil, fmt.Errorf("deciding night %s: %w", d.Manifest.NightID, err)
	}
	return LoadDecision(ctx, st, d.Manifest.NightID)
}
