// Package decision is what a decision on a night does to the store, as Temporal activities: recorded once, and the
// approved stack made current; and an approval taken back. It must not know who may decide, nor how long it takes.
package decision

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"harmstack/activities/nights"
	"harmstack/activities/store"
	"harmstack/activities/task"
	"harmstack/activities/trust/access"
	"harmstack/activities/trust/attest"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/schemas/fault"
)

// Activities record decisions in a store.
type Activities struct {
	Store *store.Store
	// Identity is how it is known who decides.
	Identity attest.Identity
}

// DecideParams is what an officer decided.
type DecideParams struct {
	Decision schemas.Decision `json:"decision"`
	// Request is what the officer sent, as it was attested.
	Request schemas.DecisionRequest `json:"request"`
}

// DecideResult is the decision as it stands from now on; its time is that of the first attempt.
type DecideResult struct {
	Standing schemas.Decision `json:"standing"`
}

// Decide records a decision unless another stands, which is the failure AlreadyDecided with that decision as its
// details. The same decision again succeeds. A store that cannot be written to is NotRecorded at once: an officer
// waits.
func (a *Activities) Decide(ctx context.Context, p DecideParams) (DecideResult, error) {
	_, stop := task.Start(ctx)
	defer stop()
	d := p.Decision
	if err := d.CheckTexts(); err != nil {
		err = fault.Errorf(fault.BadRequest, "%w", err)
		return DecideResult{}, task.Of(a.refused(ctx, d.Decision, audit.Claims(d.By), d.Manifest.NightID, err))
	}
	act, request := map[string]string{schemas.Approved: access.Approve, schemas.Held: access.Hold}[d.Decision], p.Request
	request.Attestation = ""
	person, err := a.who(ctx, d.Manifest.NightID, p.Request.Attestation, d.By,
		attest.Act{Do: act, Request: request, Manifest: d.Manifest.SHA256})
	if err != nil {
		return DecideResult{}, task.Of(err)
	}
	if person.Attested() { // what was attested counts, whatever workflow passes it on
		d.By, d.Reason, d.Override = person.Name, schemas.TrimSpace(request.Reason), schemas.TrimSpace(request.Override)
		d.Subject, d.Attestation = person.Subject, p.Request.Attestation
	}
	// What cannot be logged is not recorded either, and the officer is told at once.
	if err := audit.Writable(a.Store); err != nil {
		return DecideResult{}, task.Of(err)
	}
	err = nights.Decide(ctx, a.Store, d)
	if err != nil {
		err = a.refused(ctx, d.Decision, person.Actor(), d.Manifest.NightID, err)
	}
	if err != nil && !errors.Is(err, nights.ErrDecided) {
		return DecideResult{}, task.Waiting(err)
	}
	standing, loadErr := nights.LoadDecision(ctx, a.Store, d.Manifest.NightID)
	if loadErr != nil {
		return DecideResult{}, task.Of(loadErr)
	}
	if standing == nil {
		return DecideResult{}, errors.New("the decision was recorded and cannot be read back")
	}
	if err != nil {
		// Not err itself, which names the officer.
		return DecideResult{}, task.Permanent(
			fault.AlreadyDecided,
			fmt.Errorf("night %s: %w", d.Manifest.NightID, nights.ErrDecided),
			*standing,
		)
	}
	// An attempt that dies between the two writes is in the log twice rather than not at all.
	why := standing.Reason
	if standing.Override != "" {
		why += "; in spite of the checks: " + standing.Override
	}
	files, err := audit.Stored(ctx, a.Store, d.Manifest.Path()+"/"+schemas.DecisionFile)
	if err != nil {
		return DecideResult{}, task.Of(err)
	}
	err = audit.Append(ctx, a.Store, audit.Entry{At: standing.At, Operation: audit.Alteration, Actor: person.Actor(),
		Did: standing.Decision, On: audit.Object{Night: d.Manifest.NightID.String()}, Why: why, Files: files})
	return DecideResult{*standing}, task.Waiting(err)
}

// who verifies who asks this workflow for an act on a night, and that their roles allow it. A refusal is noted in the
// log.
func (a *Activities) who(
	ctx context.Context,
	night schemas.NightID,
	token, by string,
	act attest.Act,
) (attest.Person, error) {
	act.Target, act.About = task.WorkflowID(ctx), night.String()
	person, err := a.Identity.Who(token, by, act, time.Now())
	if err == nil && person.Attested() {
		err = access.Allows(person.Roles, act.Do, "")
	}
	if err != nil {
		err = errors.Join(err, audit.Refuse(ctx, a.Store, person.Actor(), act.Do, audit.Object{Night: night.String()}, err))
	}
	return person, err
}

// StandingParams names a published night.
type StandingParams struct {
	Night schemas.NightID `json:"night"`
}

// StandingResult is what was decided of it, nil when nothing was yet, and what an officer should know who decides.
type StandingResult struct {
	Standing *schemas.Decision      `json:"standing,omitempty"`
	Checks   []schemas.CheckOutcome `json:"checks,omitempty"`
}

// Standing looks up what was decided of a night, by whichever way.
func (a *Activities) Standing(ctx context.Context, p StandingParams) (StandingResult, error) {
	_, stop := task.Start(ctx)
	defer stop()
	m, _, err := nights.LoadManifest(ctx, a.Store, p.Night)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return StandingResult{}, task.Of(err)
	}
	d, err := nights.LoadDecision(ctx, a.Store, p.Night)
	return StandingResult{d, m.Checks}, task.Of(err)
}

// SwapParams names an approved night.
type SwapParams struct {
	Night schemas.NightID `json:"night"`
}

// Swap makes an approved stack the current one. The failures Overtaken and Revoked mean that a newer approved one
// is, or that the approval was taken back, and that nobody may be tasked from this one.
func (a *Activities) Swap(ctx context.Context, p SwapParams) error {
	_, stop := task.Start(ctx)
	defer stop()
	return task.Of(nights.SwapCurrent(ctx, a.Store, p.Night))
}

// RevokeParams is the approval that is taken back, by whom and why.
type RevokeParams struct {
	Request schemas.RevokeRequest `json:"request"`
	At      time.Time             `json:"at"`
}

// RevokeResult is the revocation as it stands from now on, and the stack that is approved now: zero when none is.
type RevokeResult struct {
	Revocation schemas.Revocation  `json:"revocation"`
	Current    schemas.ManifestRef `json:"current,omitzero"`
}

// Revoke takes the approval of the current night back. The same again succeeds.
func (a *Activities) Revoke(ctx context.Context, p RevokeParams) (RevokeResult, error) {
	_, stop := task.Start(ctx)
	defer stop()
	night, request := p.Request.Night(), p.Request
	request.Attestation = ""
	person, err := a.who(ctx, night, p.Request.Attestation, request.By, attest.Act{Do: access.Revoke, Request: request})
	if err != nil {
		return RevokeResult{}, task.Of(err)
	}
	last, err := nights.Revoke(
		ctx,
		a.Store,
		night,
		schemas.Revocation{By: person.Name, Reason: p.Request.Reason, At: p.At, Attestation: p.Request.Attestation},
	)
	if err != nil {
		return RevokeResult{}, task.Waiting(a.refused(ctx, access.Revoke, person.Actor(), night, err))
	}
	r := RevokeResult{Current: last.Manifest, Revocation: last.Revocations[slices.Index(last.RevokedNights(), night)]}
	now := "no stack is approved now"
	if r.Current != (schemas.ManifestRef{}) {
		now = "the stack of night " + r.Current.String() + " is the approved one again"
	}
	// An attempt that dies between the two writes is in the log twice rather than not at all.
	files, err := audit.Stored(ctx, a.Store, nights.ApprovalKey(r.Revocation.Number))
	if err != nil {
		return RevokeResult{}, task.Of(err)
	}
	err = audit.Append(
		ctx,
		a.Store,
		audit.Entry{At: r.Revocation.At, Operation: audit.Alteration, Actor: person.Actor(),
			Did: schemas.Revoked, On: audit.Object{Night: night.String()}, Why: r.Revocation.Reason + "; " + now, Files: files},
	)
	return r, task.Waiting(err)
}

// refused notes in the log that an act was refused, unless it only failed, and returns why.
func (a *Activities) refused(
	ctx context.Context,
	act string,
	by audit.Actor,
	night schemas.NightID,
	why error,
) error {
	switch fault.Kind(why) {
	case "", fault.StoreDenied, fault.DamagedArtifact:
		return why
	}
	if err := audit.Refuse(ctx, a.Store, by, act, audit.Object{Night: night.String()}, why); err != nil {
		return err // what cannot be logged is told at once, as above
	}
	return why
}
