package nightly

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"

	"harmstack/activities/extract/sources"
	"harmstack/activities/task"
	"harmstack/schemas"
	"harmstack/schemas/fault"
)

// ArrivalParams names the source of a night that may be late.
type ArrivalParams struct {
	AsOf   schemas.Date `json:"as_of"`
	Source string       `json:"source,omitempty"`
	// Now is the workflow's clock. Asked: a person wants to wait, on whatever morning it is.
	Now   time.Time `json:"now"`
	Asked bool      `json:"asked,omitempty"`
}

// ArrivalResult is whether the source is there.
type ArrivalResult struct {
	// Late says what is missing; empty: nothing.
	Late string `json:"late,omitempty"`
	// Until is when waiting ends.
	Until time.Time `json:"until"`
}

// LookForSource looks once whether the source of a night is there, and says until when it is worth waiting.
func (a *Activities) LookForSource(ctx context.Context, p ArrivalParams) (r ArrivalResult, err error) {
	arrival := a.Checks.Arrival
	if !arrival.Waits() {
		return r, nil
	}
	r.Until = arrival.On(p.AsOf.AddDays(1))
	if today := schemas.LondonDate(p.Now); p.Asked && !p.Now.Before(r.Until) {
		if r.Until = arrival.On(today); !p.Now.Before(r.Until) {
			r.Until = arrival.On(today.AddDays(1))
		}
	}
	err = a.AwaitSource(ctx, p)
	var app *temporal.ApplicationError
	if errors.As(err, &app) && app.Type() == fault.SourceLate {
		r.Late = app.Message()
		return r, nil
	}
	return r, err
}

// AwaitSource fails with SourceLate as long as the source of a night is not there, to be tried again: so a wait holds
// no worker, leaves nothing in the history, and shows in the UI as an activity with the reason of the last try.
func (a *Activities) AwaitSource(ctx context.Context, p ArrivalParams) error {
	_, stop := task.Start(ctx)
	defer stop()
	name, err := a.source(p.Source)
	if err != nil {
		return task.Permanent(fault.BadRequest, err)
	}
	err = sources.Ready(ctx, name, p.AsOf, time.Duration(a.Checks.Arrival.Fresh))
	if errors.Is(err, sources.ErrLate) {
		why := strings.TrimPrefix(err.Error(), sources.ErrLate.Error()+": ")
		return temporal.NewApplicationErrorWithOptions(why, fault.SourceLate,
			temporal.ApplicationErrorOptions{NextRetryDelay: time.Duration(a.Checks.Arrival.Every)})
	}
	return task.Of(err)
}
