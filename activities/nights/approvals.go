package nights

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"harmstack/activities/store"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/schemas/text"
)

// An approval becomes effective by its record, approvals/<number>.json: numbered from 1 without a gap,
// create-only, and so in an order that nobody can dispute. decision.json says that a night is approved; the record
// says which approval it was. It is written from the decision alone, so that whoever finds an approved
// night without one (the process died in between, or the store is from before there were records) writes the same.
// An approval that is taken back is the next record, which names the stack approved before. current.json is a copy of
// the last record.

const approvalsFolder = "approvals/"

// ApprovalKey is where the record of an approval lies, by its number.
func ApprovalKey(number int) string { return fmt.Sprintf("%s%06d.json", approvalsFolder, number) }

// lastApproval is the last record and its bytes; nil when there is none.
func lastApproval(ctx context.Context, st *store.Store) (*schemas.Current, []byte, error) {
	keys, err := st.List(ctx, approvalsFolder)
	if err != nil || len(keys) == 0 {
		return nil, nil, err
	}
	key := ApprovalKey(len(keys))
	if keys[len(keys)-1] != key {
		return nil, nil, fmt.Errorf(
			"%s: %w: there %s, the last is %s",
			approvalsFolder,
			store.ErrDamaged,
			text.Noun(len(keys), "is ", "are ")+text.Count(len(keys), "record"),
			keys[len(keys)-1],
		)
	}
	data, err := st.ReadRecord(ctx, key)
	if err != nil {
		return nil, nil, fmt.Errorf("reading %s: %w", key, err)
	}
	last := new(schemas.Current)
	if err := json.Unmarshal(data, last); err != nil {
		return nil, nil, fmt.Errorf("%s: %w: %w", key, store.ErrDamaged, err)
	}
	if last.Number != len(keys) {
		return nil, nil, fmt.Errorf("%s: %w: it is the record of approval %d", key, store.ErrDamaged, last.Number)
	}
	return last, data, nil
}

// LoadCurrent reads which stack is the approved one from the last record of an approval, whatever
// current.json says; nil when none is. A store from before there were records has only current.json.
func LoadCurrent(ctx context.Context, st *store.Store) (*schemas.Current, error) {
	last, err := LastRecord(ctx, st)
	if last != nil && last.Manifest == (schemas.ManifestRef{}) {
		return nil, err
	}
	return last, err
}

// LastRecord is LoadCurrent also when no stack is approved any more: the record that says so.
func LastRecord(ctx context.Context, st *store.Store) (*schemas.Current, error) {
	last, _, err := lastApproval(ctx, st)
	if err != nil || last != nil {
		return last, err
	}
	return load[schemas.Current](ctx, st, schemas.CurrentPath)
}

// ApprovedSince are the nights of since or later whose approval is recorded and was not taken back, newest first.
func ApprovedSince(ctx context.Context, st *store.Store, since schemas.Date) (approved []schemas.NightID, err error) {
	last, err := LastRecord(ctx, st)
	if err != nil || last == nil {
		return nil, err
	}
	revoked := last.RevokedNights()
	for c := last; ; {
		// Those that stand were approved in their order; records of others are in between.
		if id := c.Manifest.NightID; c.Revocation() == nil && !slices.Contains(revoked, id) {
			if id.AsOf.Before(since) {
				return approved, nil
			}
			approved = append(approved, id)
		}
		if c.Number <= 1 {
			return approved, nil
		}
		if c, err = approvalRecord(ctx, st, c.Number-1); err != nil {
			return nil, err
		}
	}
}

// approvalRecord is the record of an approval, by its number.
func approvalRecord(ctx context.Context, st *store.Store, number int) (*schemas.Current, error) {
	c, err := load[schemas.Current](ctx, st, ApprovalKey(number))
	if err == nil && c == nil {
		err = fmt.Errorf("%s: %w: it is missing", ApprovalKey(number), store.ErrDamaged)
	}
	return c, err
}

// SwapCurrent records the approval of a night, after checking its stack byte for byte, and makes current.json name the
// newest approved one. It only ever goes forward: when that is a newer night than id, the error is ErrOvertaken, when
// the approval of id was taken back ErrRevoked, and nobody may be tasked from id's stack.
func SwapCurrent(ctx context.Context, st *store.Store, id schemas.NightID) error {
	for {
		nights, err := List(ctx, st)
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(nights, func(n Night) bool { return n.ID == id }); i >= 0 &&
			nights[i].Revocation != nil {
			return revokedError(nights[i].Revocation)
		} else if i < 0 || nights[i].Status != schemas.Approved {
			return fmt.Errorf("night %s is not approved: only an approved night becomes current", id)
		}
		if err := recordApprovals(ctx, st, nights); errors.Is(err, store.ErrExists) {
			continue // Somebody else records at the same time: look again.
		} else if err != nil {
			return err
		}
		if err := MendCurrent(ctx, st); err != nil {
			return err
		}
		if newest := newestApproved(nights); newest.ID != id {
			return fmt.Errorf("night %s: %w: %s", id, ErrOvertaken, newest.ID)
		}
		return nil
	}
}

// MendCurrent makes current.json the copy of the last record when it is not: missing, older or damaged. Another record
// may be written between the look at the last one and the copy of it, which would then put back what was just replaced:
// so whoever writes the copy looks again, and nobody leaves before it is what the records say.
func MendCurrent(ctx context.Context, st *store.Store) error {
	for {
		last, record, err := lastApproval(ctx, st)
		if err != nil || last == nil {
			return err
		}
		copied, err := st.Read(ctx, schemas.CurrentPath)
		if err != nil && !errors.Is(err, store.ErrNotFound) || err == nil && bytes.Equal(copied, record) {
			return err
		}
		if err := st.Replace(ctx, schemas.CurrentPath, record); err != nil {
			return err
		}
	}
}

// recordApprovals gives the approved nights that have none their numbers, oldest first: nights are only ever approved
// in their order, but for those whose approval was taken back, which have theirs. The stack of the newest, which
// becomes current by that, is read whole before. The error is store.ErrExists when somebody else took a number first.
func recordApprovals(ctx context.Context, st *store.Store, nights []Night) error {
	last, _, err := lastApproval(ctx, st)
	if err != nil {
		return err
	}
	var approved []*schemas.Decision
	for _, n := range nights {
		// A night may have been revoked since the nights were read.
		if n.Status == schemas.Approved &&
			(last == nil || last.Manifest.Before(n.ID) && !slices.Contains(last.RevokedNights(), n.ID)) {
			approved = append(approved, n.Decision)
		}
	}
	number, revocations := 1, []schemas.Revocation(nil)
	if last != nil {
		number, revocations = last.Number+1, last.Revocations
	}
	for i, d := range approved {
		record, err := approval(ctx, st, *d, i == len(approved)-1)
		if err != nil {
			return err
		}
		record.Number, record.Revocations = number+i, revocations
		data, err := encode(record)
		if err != nil {
			return err
		}
		key := ApprovalKey(record.Number)
		data = st.Record(key, data)
		err = audit.Append(ctx, st, audit.Entry{At: time.Now().UTC(), Operation: audit.Alteration, Actor: audit.Worker,
			Did: "made the stack the approved one", On: audit.Object{Night: d.Manifest.NightID.String()},
			Why: "the decision on it", Files: audit.Written(key, data)})
		if err != nil {
			return err
		}
		if err := st.CreateOnly(ctx, key, data); err != nil {
			return err
		}
	}
	return nil
}

func approval(ctx context.Context, st *store.Store, d schemas.Decision, verify bool) (c schemas.Current, err error) {
	m, err := loadExact(ctx, st, d.Manifest)
	if err != nil {
		return c, err
	}
	stack, ok := m.Output(schemas.StackFile)
	if !ok {
		return c, fmt.Errorf("night %s has no %s", d.Manifest.NightID, schemas.StackFile)
	}
	if verify {
		artifact, err := st.Open(ctx, stack)
		if err != nil {
			return c, fmt.Errorf("night %s, %s: %w", d.Manifest.NightID, schemas.StackFile, err)
		}
		if err := artifact.Close(); err != nil {
			return c, err
		}
	}
	return schemas.Current{Manifest: d.Manifest, Stack: stack, By: d.By, At: d.At}, nil
}
