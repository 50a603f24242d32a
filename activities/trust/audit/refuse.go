package audit

import (
	"cmp"
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

// bound shortens what whoever was refused may have sent at any length.
func bound(s string) string {
	if r := []rune(s); len(r) > schemas.MaxWho {
		return string(r[:schemas.MaxWho-1]) + "…"
	}
	return s
}

// Refuse appends an act that was refused; Why says why. Of a flood some are only counted, in the next that is logged.
func Refuse(ctx context.Context, st *store.Store, e Entry) error {
	if !refusals.Allow() {
		unlogged.Add(1)
		return nil
	}
	e.Outcome, e.Actor.Name, e.Did = Refused, bound(cmp.Or(e.Actor.Name, "nobody named")), bound(cmp.Or(e.Did, "nothing named"))
	if n := unlogged.Swap(0); n > 0 {
		e.Why += " (" + text.Count(n, "more refusal") + " before this one not logged)"
	}
	return Append(ctx, st, e)
}
