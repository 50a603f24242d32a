package nightly

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"harmstack/activities/nights"
	"harmstack/activities/task"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/schemas/fault"
)

// ClaimParams says which night is to be run, and how.
type ClaimParams struct {
	AsOf    schemas.Date         `json:"as_of"`
	Request schemas.NightRequest `json:"request"`
	// Now is Temporal's clock, which meant the night; zero, from a workflow that was older than this: the worker's.
	Now time.Time `json:"now,omitzero"`
}

// ClaimResult is the revision that belongs to this run.
type ClaimResult struct {
	Night schemas.NightID `json:"night"`
}

// Done is the line of the stage table.
func (r ClaimResult) Done() (int64, string) { return 0, "revision " + fmt.Sprint(r.Night.Revision) }

// Claim checks the request and takes the next free revision of the night. The same run gets the same
// revision again. A night later than yesterday in London is the failure FutureNight: it would supersede every real one.
func (a *Activities) Claim(ctx context.Context, p ClaimParams) (ClaimResult, error) {
	_, stop := task.Start(ctx)
	defer stop()
	id, err := a.claim(ctx, p)
	if kind := fault.Kind(err); kind == fault.BadRequest || kind == fault.FutureNight || kind == fault.NotAttested || kind == fault.NotAllowed {
		by := audit.Claims("somebody unknown")
		if known, err := a.startedBy(ctx, schemas.NightRequest{}); err == nil && known != nil {
			by = collector(known)
		}
		err = errors.Join(err, audit.Refuse(ctx, a.Store, by, "start a night", audit.Object{Night: p.AsOf.String()}, err))
	}
	return ClaimResult{id}, task.Of(err)
}

func (a *Activities) claim(ctx context.Context, p ClaimParams) (id schemas.NightID, err error) {
	err = p.Request.Validate()
	if err == nil {
		_, err = a.source(p.Request.Extract)
	}
	if err == nil && p.AsOf.IsZero() {
		err = errors.New("the night has no date")
	}
	if err != nil {
		return id, fault.New(fault.BadRequest, err.Error())
	}
	if p.Now.IsZero() {
		p.Now = time.Now()
	}
	if err := schemas.CheckAsOf(p.AsOf, p.Now); err != nil {
		return id, fault.New(fault.FutureNight, err.Error())
	}
	by, err := a.startedBy(ctx, p.Request)
	if err != nil { // before the work, not at its end
		return id, err
	}
	id, err = nights.Claim(ctx, a.Store, p.AsOf, owner(ctx))
	if err != nil {
		return id, err
	}
	return id, audit.Append(ctx, a.Store, audit.Entry{At: time.Now().UTC(), Operation: audit.Collection, Actor: collector(by),
		Did: "began a night from the source " + cmp.Or(p.Request.Extract, DefaultSource),
		On:  audit.Object{Night: id.String(), Thing: "run " + owner(ctx)}})
}

// collector is who started a night, for the log.
func collector(by *schemas.StartedBy) audit.Actor {
	if by == nil || by.Way == schemas.WaySchedule {
		return audit.Worker
	}
	name := cmp.Or(by.Name, by.Subject, "somebody unknown")
	if by.Verified == schemas.ByClaim {
		return audit.Claims(name)
	}
	return audit.Actor{Name: name, Verified: audit.Attested, Subject: by.Subject}
}

// source finds what a request names: a configured source, or a path or URL below a configured prefix (trust, section 5).
// What is configured may be named by its path or URL, too. The error does not repeat the name, which may be a mistyped
// URL.
func (a *Activities) source(name string) (string, error) {
	if err := schemas.ValidateSource(name); err != nil {
		return "", err
	}
	if name == "" {
		name = DefaultSource
	}
	if url, ok := a.Sources[name]; ok {
		return url, nil
	}
	if strings.ContainsAny(name, `/\`) {
		for _, url := range a.Sources {
			if url == name {
				return url, nil
			}
		}
		return a.Prefixes.Admit(name)
	}
	if name == DefaultSource {
		return "", errors.New(
			"no default extract is configured: set HARMSTACK_EXTRACT on the worker or name an extract in the request",
		)
	}
	return "", errors.New("no source of that name is configured: " +
		"give one of HARMSTACK_SOURCES, or a path or URL below HARMSTACK_EXTRACT_PREFIXES")
}
