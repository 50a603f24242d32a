package tasking

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"harmstack/activities/nights"
	"harmstack/activities/store"
	"harmstack/schemas"
)

// FailedOrder is taskings/failed-orders/<occasion>/<reference>.json: an order that could not be carried out yet. It is
// written when the order fails, and deleted when it is carried out.
type FailedOrder struct {
	schemas.TaskingOrder
	Since time.Time `json:"since"`
	Why   string    `json:"why"`
}

func failedFolder(occasion string) string { return "taskings/failed-orders/" + occasion + "/" }

func failedKey(o schemas.TaskingOrder) string {
	return failedFolder(schemas.Occasion(o.Night, o.Revoked)) + o.Reference + ".json"
}

// failedOrders are the references of an occasion's failed orders.
func failedOrders(ctx context.Context, st *store.Store, occasion string) (map[string]bool, error) {
	keys, err := st.List(ctx, failedFolder(occasion))
	failed := map[string]bool{}
	for _, key := range keys {
		failed[strings.TrimSuffix(strings.TrimPrefix(key, failedFolder(occasion)), ".json")] = true
	}
	return failed, err
}

// FailedOrders are the orders of the approved stack that could not be carried out yet, by reference. What an older
// stack wanted counts no longer: the newer one has compared the taskings anew.
func FailedOrders(ctx context.Context, st *store.Store) (failed []FailedOrder, err error) {
	last, err := nights.LastRecord(ctx, st)
	if err != nil || last == nil {
		return nil, err
	}
	keys, err := st.List(ctx, failedFolder(last.Occasion()))
	for _, key := range keys {
		data, err := st.Read(ctx, key)
		if errors.Is(err, store.ErrNotFound) {
			continue // carried out meanwhile
		}
		if err != nil {
			return nil, err
		}
		var f FailedOrder
		if err := json.Unmarshal(data, &f); err != nil {
			return nil, fmt.Errorf("%s: %w", key, store.ErrDamaged)
		}
		failed = append(failed, f)
	}
	return failed, err
}

// SendAgain tries the failed orders of the approved stack once more, and returns how many are done now and which still
// fail.
func SendAgain(
	ctx context.Context,
	st *store.Store,
	send func(context.Context, schemas.TaskingOrder) error,
) (done int, still []FailedOrder, err error) {
	failed, err := FailedOrders(ctx, st)
	if err != nil {
		return 0, nil, err
	}
	for _, f := range failed {
		why, err := carryOut(ctx, st, send, f.TaskingOrder, true)
		if err != nil {
			return done, still, err
		}
		if why == nil {
			done++
			continue
		}
		f.Why = why.Error()
		still = append(still, f)
	}
	return done, still, nil
}

// carryOut sends one order; failed says why it could not be carried out, which is noted. The error says that the store
// cannot be written to, or that ctx has ended.
func carryOut(
	ctx context.Context,
	st *store.Store,
	send func(context.Context, schemas.TaskingOrder) error,
	o schemas.TaskingOrder,
	noted bool,
) (failed, err error) {
	timed, cancel := context.WithTimeout(ctx, orderTime)
	defer cancel()
	failed = send(timed, o)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case failed == nil && noted:
		return nil, st.Delete(ctx, failedKey(o))
	case failed == nil:
		return nil, nil
	}
	data, err := json.Marshal(FailedOrder{TaskingOrder: o, Since: now(), Why: cut(failed.Error(), schemas.MaxReason)})
	if err == nil {
		err = st.CreateOnly(ctx, failedKey(o), data)
	}
	if errors.Is(err, store.ErrExists) {
		err = nil
	}
	return failed, err
}
