package audit

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"harmstack/activities/store"
	"harmstack/schemas"
	"harmstack/schemas/text"
)

// So many refusals a process logs at once, and then one a minute: who asks in vain all day must not fill the store.
var (
	refusals = rate.NewLimiter(rate.Every(time.Minute), 60)
	unlogged atomic.Int64
)

// Refuse notes that an act was refused, and why. Of a flood some are only counted, in the next that is noted.
func Refuse(ctx context.Context, st *store.Store, by Actor, did string, on Object, why error) error {
	if !refusals.Allow() {
		unlogged.Add(1)
		return nil
	}
	if by.Name == "" {
		by = Claims("somebody unknown")
	}
	if did == "" {
		did = "something unknown"
	}
	reason := bound(why.Error(), schemas.MaxReason)
	if n := unlogged.Swap(0); n > 0 {
		reason += " (" + text.Count(n, "more refusal") + " before this one not logged)"
	}
	by.Name, on.Team = bound(by.Name, schemas.MaxWho), bound(on.Team, schemas.MaxWho)
	return Append(ctx, st, Entry{At: time.Now().UTC(), Operation: Alteration, Actor: by, Did: bound(did, schemas.MaxWho), On: on,
		Outcome: Refused, Why: reason})
}

// bound shortens what whoever was refused may have sent at any length.
func bound(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}
