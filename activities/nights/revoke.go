package nights

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"harmstack/activities/store"
	"harmstack/schemas"
	"harmstack/schemas/fault"
)

// ErrRevoked says that the approval of the night was taken back already. It is final: the night is run again.
var ErrRevoked = fault.New(fault.Revoked, "its approval was taken back")

// ErrNotCurrent says that the night's stack is not the approved one, so that there is nothing to take back.
var ErrNotCurrent = fault.New(fault.NotCurrent, "its stack is not the current one")

func revokedError(r *schemas.Revocation) error {
	return fmt.Errorf(
		"night %s: %w on %s, and that is final: run the night again for another revision",
		r.Manifest.NightID,
		ErrRevoked,
		r.At.In(schemas.London).Format("2 January 2006 at 15:04"),
	)
}

// Revoke takes the approval of the current night back: the next record names the stack that was approved before, or
// none, and current.json follows. Nothing is deleted, and the night's decision.json stays. The same again by the same
// person for the same reason succeeds, and the time of the first stands. It returns the record that is the last then;
// of r, the night, who, why and when are read. Errors that no retry mends are ErrRevoked and ErrNotCurrent.
func Revoke(
	ctx context.Context,
	st *store.Store,
	night schemas.NightID,
	r schemas.Revocation,
) (*schemas.Current, error) {
	for {
		nights, err := List(ctx, st)
		if err != nil {
			return nil, err
		}
		// An approval that is under way comes first, and a store from before there were records is numbered.
		err = recordApprovals(ctx, st, nights)
		if errors.Is(err, store.ErrExists) {
			continue // Somebody else records at the same time: look again.
		}
		if err != nil {
			return nil, err
		}
		last, _, err := lastApproval(ctx, st)
		if err != nil {
			return nil, err
		}
		if last != nil {
			if i := slices.Index(last.RevokedNights(), night); i >= 0 {
				if done := last.Revocations[i]; done.By != r.By || done.Reason != r.Reason {
					return nil, revokedError(&done)
				}
				return last, MendCurrent(ctx, st)
			}
		}
		if err := mayRevoke(nights, last, night); err != nil {
			return nil, err
		}
		next, err := approvedBefore(ctx, st, last)
		if err != nil {
			return nil, err
		}
		r.Number, r.Manifest, r.At = last.Number+1, last.Manifest, r.At.UTC()
		next.Number, next.Revocations = r.Number, append(slices.Clip(last.Revocations), r)
		data, err := encode(next)
		if err != nil {
			return nil, err
		}
		key := ApprovalKey(next.Number)
		if err := st.CreateOnly(ctx, key, st.Record(key, data)); errors.Is(err, store.ErrExists) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("night %s: %w", night, err)
		}
		return &next, MendCurrent(ctx, st)
	}
}

// mayRevoke refuses a night that is not current, and says what can be done instead.
func mayRevoke(nights []Night, last *schemas.Current, night schemas.NightID) error {
	if last != nil && last.Manifest.NightID == night {
		return nil
	}
	i := slices.IndexFunc(nights, func(n Night) bool { return n.ID == night })
	switch {
	case i < 0:
		return fmt.Errorf("night %s is not published: %w", night, ErrNotCurrent)
	case nights[i].Status == Pending:
		return fmt.Errorf("night %s: %w: nobody has approved it. Hold it instead", night, ErrNotCurrent)
	case nights[i].Status != schemas.Approved:
		return fmt.Errorf("night %s: %w: it was never approved but %s", night, ErrNotCurrent, nights[i].Status)
	}
	return fmt.Errorf(
		"night %s: %w: night %s was approved after it, and only the last approval can be taken back",
		night,
		ErrNotCurrent,
		last.Manifest.NightID,
	)
}

// approvedBefore is the stack that was approved before the current one, read whole; zero when none was. Approvals are
// taken back last first, so that it is what the record before the current night's own named.
func approvedBefore(
	ctx context.Context,
	st *store.Store,
	current *schemas.Current,
) (before schemas.Current, err error) {
	number := current.Number
	for own := current; own.Manifest != current.Manifest || own.Revocation() != nil; {
		if number--; number < 1 {
			return before, fmt.Errorf(
				"%s: %w: the approval of night %s is not recorded",
				approvalsFolder,
				store.ErrDamaged,
				current.Manifest.NightID,
			)
		}
		if own, err = approvalRecord(ctx, st, number); err != nil {
			return before, err
		}
	}
	if number == 1 {
		return before, nil
	}
	found, err := approvalRecord(ctx, st, number-1)
	if err != nil || found.Manifest == (schemas.ManifestRef{}) {
		return before, err
	}
	artifact, err := st.Open(ctx, found.Stack)
	if err != nil {
		return before, fmt.Errorf(
			"the stack approved before, of night %s: %w",
			found.Manifest.NightID,
			WhyMissing(ctx, st, found.Manifest.NightID, err),
		)
	}
	return *found, artifact.Close()
}
