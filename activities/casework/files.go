package casework

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"harmstack/activities/store"
	"harmstack/activities/trust/sign"
	"harmstack/schemas"
	"harmstack/schemas/text"
)

// Where the taskings are kept: one file a version, and a mark for each that is on the stack.
const (
	CasesFolder = "taskings/cases/"
	OpenFolder  = "taskings/open/"
)

// A version's file holds the tasking as it stands then and its latest events: its own, and those before it for as long
// as they fit into tailBytes. So the files of a tasking grow with what happens to it, not with its square, and the last
// file alone tells everything about most. (Files from before held all events: they are read the same way.)
const tailBytes = 4 << 10

// latest is how many events Load finds at least, when there are so many.
const latest = 32

func caseFolder(reference string) string { return CasesFolder + reference + "/" }

// VersionKey is where a version of a tasking lies.
func VersionKey(reference string, version int) string {
	return fmt.Sprintf("%s%06d.json", caseFolder(reference), version)
}

// Load returns the tasking of a reference as it stands, with its latest events, at least 32 of them; nil when there is
// none.
func Load(ctx context.Context, st *store.Store, reference string) (*schemas.Tasking, error) {
	return load(ctx, st, reference, latest)
}

// History is Load with every event there ever was.
func History(ctx context.Context, st *store.Store, reference string) (*schemas.Tasking, error) {
	return load(ctx, st, reference, math.MaxInt)
}

func load(ctx context.Context, st *store.Store, reference string, atLeast int) (*schemas.Tasking, error) {
	keys, err := st.List(ctx, caseFolder(reference))
	if err != nil || len(keys) == 0 {
		return nil, err
	}
	t, err := read(ctx, st, keys[len(keys)-1])
	if err != nil {
		return nil, err
	}
	return t, remember(ctx, st, t, atLeast)
}

// LoadVersion returns the tasking as it was after the event of that number, which is the last of its events.
func LoadVersion(ctx context.Context, st *store.Store, reference string, number int) (*schemas.Tasking, error) {
	return read(ctx, st, VersionKey(reference, number))
}

func read(ctx context.Context, st *store.Store, key string) (*schemas.Tasking, error) {
	data, err := st.ReadRecord(ctx, key)
	if err != nil {
		return nil, err
	}
	t := new(schemas.Tasking)
	if err := json.Unmarshal(data, t); err != nil || !complete(t) {
		return nil, fmt.Errorf("%s: %w", key, store.ErrDamaged)
	}
	return t, nil
}

// complete tells whether the events of a file end with its version and leave none out.
func complete(t *schemas.Tasking) bool {
	for i, e := range t.Events {
		if e.Number != t.Version-len(t.Events)+1+i || e.Number < 1 {
			return false
		}
	}
	return len(t.Events) > 0
}

// remember adds earlier events to a tasking, from the files of earlier versions, until there are so many.
func remember(ctx context.Context, st *store.Store, t *schemas.Tasking, atLeast int) error {
	parts, n := [][]schemas.TaskingEvent{t.Events}, len(t.Events) // latest first
	for first := t.Events[0].Number; first > 1 && n < atLeast; {
		before, err := LoadVersion(ctx, st, t.Reference, first-1)
		if err != nil {
			return err
		}
		parts, n, first = append(parts, before.Events), n+len(before.Events), before.Events[0].Number
	}
	slices.Reverse(parts)
	t.Events = slices.Concat(parts...)
	return nil
}

// tail are the latest events that fit into a file: the last of all, and those before it as long as there is room.
func tail(events []schemas.TaskingEvent) ([]schemas.TaskingEvent, error) {
	room := tailBytes
	for i := len(events) - 1; i >= 0; i-- {
		data, err := json.Marshal(events[i])
		if err != nil {
			return nil, err
		}
		if room -= len(data); room < 0 && i < len(events)-1 {
			return events[i+1:], nil
		}
	}
	return events, nil
}

// Version is the file that Save writes of a tasking: its key and its bytes.
func Version(st *store.Store, t *schemas.Tasking) (key string, data []byte, err error) {
	kept := *t
	if kept.Events, err = tail(t.Events); err != nil {
		return "", nil, err
	}
	key = VersionKey(t.Reference, t.Version)
	data, err = json.Marshal(kept)
	return key, st.Record(key, data), err
}

// Save writes the next version of a tasking. store.ErrExists means that somebody wrote one since it was
// loaded: load it again.
func Save(ctx context.Context, st *store.Store, t *schemas.Tasking) error {
	key, data, err := Version(st, t)
	if err != nil {
		return err
	}
	// The mark comes first and goes last: it may stand for a tasking that has left, never lack for one
	// that is there.
	if t.OnStack {
		if err := mark(ctx, st, t.Reference); err != nil {
			return err
		}
	}
	if err := st.CreateOnly(ctx, key, data); err != nil {
		return err
	}
	if t.OnStack {
		return mark(ctx, st, t.Reference) // again: Unmark may have taken it away before it could see this version
	}
	return Unmark(ctx, st, t)
}

func mark(ctx context.Context, st *store.Store, reference string) error {
	if err := st.CreateOnly(ctx, OpenFolder+reference, nil); err != nil && !errors.Is(err, store.ErrExists) {
		return err
	}
	return nil
}

// Unmark takes the mark of a tasking away that has left the stack, and gives it back when the suspect has come back
// since the tasking was loaded.
func Unmark(ctx context.Context, st *store.Store, t *schemas.Tasking) error {
	if t.OnStack {
		return nil
	}
	if err := st.Delete(ctx, OpenFolder+t.Reference); err != nil {
		return err
	}
	keys, err := st.List(ctx, caseFolder(t.Reference))
	if err != nil || len(keys) == 0 {
		return err
	}
	last, err := read(ctx, st, keys[len(keys)-1])
	if err != nil || !last.OnStack {
		return err
	}
	return mark(ctx, st, t.Reference)
}

// Marked returns the references of all taskings that are on the stack, and perhaps of some that have just
// left it, sorted.
func Marked(ctx context.Context, st *store.Store) ([]string, error) {
	keys, err := st.List(ctx, OpenFolder)
	for i, k := range keys {
		keys[i] = strings.TrimPrefix(k, OpenFolder)
	}
	return keys, err
}

// UnreadableError names the taskings whose files are damaged or gone.
type UnreadableError struct{ References []string }

func (e *UnreadableError) Error() string {
	return fmt.Sprintf(
		"the files of %s are damaged, forged or gone: %s",
		text.Count(len(e.References), "tasking"),
		strings.Join(e.References, ", "),
	)
}

// All calls f with every tasking there ever was and its whole history, by reference. One that cannot be read keeps
// nobody from the others: when all have been seen, the error is an *UnreadableError.
func All(ctx context.Context, st *store.Store, f func(*schemas.Tasking) error) error {
	keys, err := st.List(ctx, CasesFolder)
	if err != nil {
		return err
	}
	var unreadable []string
	for i, k := range keys {
		// The versions of one tasking stand together, the last at their end.
		folder := k[:strings.LastIndexByte(k, '/')+1]
		if i+1 < len(keys) && strings.HasPrefix(keys[i+1], folder) {
			continue
		}
		t, err := read(ctx, st, k)
		if err == nil {
			err = remember(ctx, st, t, math.MaxInt)
		}
		if Unreadable(err) {
			unreadable = append(unreadable, strings.TrimSuffix(strings.TrimPrefix(folder, CasesFolder), "/"))
			continue
		}
		if err == nil {
			err = f(t)
		}
		if err != nil {
			return err
		}
	}
	if len(unreadable) > 0 {
		return &UnreadableError{unreadable}
	}
	return nil
}

// Versions are the numbers of the last version of every tasking there ever was, by reference, for who keeps what has not
// changed since.
func Versions(ctx context.Context, st *store.Store) (map[string]int, error) {
	keys, err := st.List(ctx, CasesFolder)
	if err != nil {
		return nil, err
	}
	last := map[string]int{}
	for _, k := range keys { // in order
		reference, file, _ := strings.Cut(strings.TrimPrefix(k, CasesFolder), "/")
		if n, err := strconv.Atoi(strings.TrimSuffix(file, ".json")); err == nil {
			last[reference] = n
		}
	}
	return last, nil
}

// Unreadable tells whether an error says that the files of one tasking are damaged, forged or gone, which is no fault of
// any other's.
func Unreadable(err error) bool {
	return errors.Is(err, store.ErrDamaged) || errors.Is(err, store.ErrNotFound) || errors.Is(err, sign.ErrForged) ||
		errors.Is(err, sign.ErrUnsigned)
}
