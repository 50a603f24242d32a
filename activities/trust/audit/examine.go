package audit

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"

	"harmstack/activities/store"
	"harmstack/activities/trust/sign"
	"harmstack/schemas/text"
)

// Problem is one file that is not what was written.
type Problem struct {
	File string `json:"file"`
	What string `json:"what"`
}

func (p Problem) Error() string { return p.File + ": " + p.What }

// Log is the whole log as it stands.
type Log struct {
	Entries  []Entry   // oldest first; those that cannot be read are left out
	Problems []Problem // what is missing, out of order, changed since it was written, or not signed
	Hashes   [][]byte  // of the records 1 to n, as they lie there; nil for one that is missing
	origin   string
}

// Read returns the whole log, oldest first. An entry that is missing, out of order, changed since it was written or
// signed by nobody known is an error that names it.
func Read(ctx context.Context, st *store.Store) ([]Entry, error) {
	log, err := Examine(ctx, st)
	if err == nil && len(log.Problems) > 0 {
		err = fmt.Errorf("audit log: %w", log.Problems[0])
	}
	return log.Entries, err
}

// Examine reads the whole log and checks it: the chain and, with keys to check by, the signatures. Entries of those
// who looked, or asked in vain, may be unsigned, for they come from machines without the worker's key; the chain
// holds them.
func Examine(ctx context.Context, st *store.Store) (log Log, err error) {
	if log.origin, err = origin(ctx, st); err != nil {
		return log, err
	}
	keys, err := st.List(ctx, folder)
	if err != nil {
		return log, err
	}
	records, err := readAll(ctx, st, keys)
	if err != nil {
		return log, err
	}
	var old store.Unsigned
	if st.Keys.Checks() {
		if old, err = st.LoadUnsigned(ctx); err != nil {
			return log, err
		}
	}
	add := func(file, format string, args ...any) {
		log.Problems = append(log.Problems, Problem{file, fmt.Sprintf(format, args...)})
	}
	chained := true // to the record before
	for i, name := range keys {
		number := 0
		if _, err := fmt.Sscanf(name, folder+"%d.json", &number); err != nil || name != key(number) || number < 1 {
			add(name, "is no record of the log")
			continue
		}
		for n := len(log.Hashes) + 1; n < number; n++ {
			add(key(n), "record %d is missing", n)
			log.Hashes, chained = append(log.Hashes, nil), false
		}
		previous := ""
		if number > 1 {
			previous = hex.EncodeToString(log.Hashes[number-2])
		}
		log.Hashes = append(log.Hashes, sum(records[i]))
		e, problem := checked(st, old, name, number, records[i])
		if e.Number == number {
			log.Entries = append(log.Entries, e)
			if chained && e.Previous != previous {
				add(name, "the record before number %d was changed after it was written", number)
			}
		}
		if problem != nil {
			log.Problems = append(log.Problems, *problem)
		}
		chained = true
	}
	return log, nil
}

// Back reads at most so many entries before the one of a number, newest first; 0: from the last on. Each is checked as
// by Examine, against its signature and the entry after it. oldest is the number of the last that was read; 1: there are
// no more.
func Back(ctx context.Context, st *store.Store, before, most int) (entries []Entry, oldest int, err error) {
	last, err := length(ctx, st)
	if err != nil {
		return nil, 0, err
	}
	if before > 0 {
		last = min(last, before-1)
	}
	oldest = max(1, last-most+1)
	var keys []string
	for n := last; n >= oldest; n-- {
		keys = append(keys, key(n))
	}
	records, err := readAll(ctx, st, keys)
	if err != nil {
		return nil, 0, err
	}
	var old store.Unsigned
	if st.Keys.Checks() {
		if old, err = st.LoadUnsigned(ctx); err != nil {
			return nil, 0, err
		}
	}
	for i, record := range records {
		e, problem := checked(st, old, keys[i], last-i, record)
		if problem == nil && i > 0 && entries[i-1].Previous != hex.EncodeToString(sum(record)) {
			problem = &Problem{keys[i], "it was changed after it was written"}
		}
		if problem != nil {
			return nil, 0, fmt.Errorf("audit log: %w", problem)
		}
		entries = append(entries, e)
	}
	return entries, oldest, nil
}

// checked reads the record of a number and checks its signature.
func checked(st *store.Store, old store.Unsigned, name string, number int, record []byte) (e Entry, p *Problem) {
	if err := json.Unmarshal(record, &e); err != nil || e.Number != number {
		return e, &Problem{name, fmt.Sprintf("record %d cannot be read", number)}
	}
	if !st.Keys.Checks() {
		return e, nil
	}
	_, err := st.Keys.Check(name, record)
	if errors.Is(err, sign.ErrUnsigned) && (number <= old.Log || e.Operation == Consultation || e.Outcome == Refused) {
		err = nil
	}
	if err != nil {
		return e, &Problem{name, err.Error()}
	}
	return e, nil
}

// readAll reads files, some at a time: a bucket answers in tens of milliseconds.
func readAll(ctx context.Context, st *store.Store, keys []string) ([][]byte, error) {
	all := make([][]byte, len(keys))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(16)
	for i, key := range keys {
		g.Go(func() (err error) {
			all[i], err = st.Read(ctx, key)
			return err
		})
	}
	return all, g.Wait()
}

// Checkpoint signs how long the log is and what its last record is.
func Checkpoint(ctx context.Context, st *store.Store) ([]byte, error) {
	size, err := length(ctx, st)
	if err != nil {
		return nil, err
	}
	c := sign.Checkpoint{Size: size}
	if c.Origin, err = origin(ctx, st); err != nil {
		return nil, err
	}
	if size > 0 {
		data, err := st.Read(ctx, key(size))
		if err != nil {
			return nil, err
		}
		c.Head = sum(data)
	}
	return st.Keys.Checkpoint(c)
}

// Against is what is wrong with the log by a checkpoint; nil when it goes on from there.
func (l Log) Against(c sign.Checkpoint) *Problem {
	switch {
	case c.Origin != l.origin:
		return &Problem{folder, fmt.Sprintf("the checkpoint is of another log, %s", text.Line(c.Origin))}
	case c.Size > len(l.Hashes):
		return &Problem{folder, fmt.Sprintf("%s cut off at its end: the checkpoint covers %d, there %s %d",
			text.Count(c.Size-len(l.Hashes), "record was", "records were"), c.Size, text.Noun(len(l.Hashes), "is", "are"),
			len(l.Hashes))}
	case c.Size > 0 && !bytes.Equal(l.Hashes[c.Size-1], c.Head):
		return &Problem{key(c.Size), fmt.Sprintf("the log up to record %d was rewritten since the checkpoint was signed", c.Size)}
	}
	return nil
}

// origin names the log of a store, and no other.
func origin(ctx context.Context, st *store.Store) (string, error) {
	data, err := st.Read(ctx, store.IdentityFile)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return "", err
	}
	var id store.Identity
	_ = json.Unmarshal(data, &id) // a store.json that is damaged is for others to say
	return strings.TrimSuffix("harmstack/audit/"+id.Store, "/"), nil
}
