package incremental

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"iter"
	"math"
	"time"

	"harmstack/activities/extract"
	"harmstack/activities/extract/extsort"
	"harmstack/activities/store"
	"harmstack/schemas"
	"harmstack/schemas/text"
)

// Base is the last snapshot of a source that was read and kept whole: what the next night's changes are laid over. It
// stands in the store, one for each source, and is replaced by each night.
type Base struct {
	// Declaration is the sha256 of the source's declaration: under another the rows would be others.
	Declaration string `json:"declaration"`
	// Snapshot is the database's time of it, and Since the beginning of its window.
	Snapshot time.Time `json:"snapshot"`
	Since    time.Time `json:"since"`
	// Newest is the greatest updated_at, in microseconds.
	Newest int64 `json:"newest"`
	Rows   int64 `json:"rows"`
	// Lost are its rows of which values could not be read, or TooManyLost.
	Lost        []Lost                `json:"lost,omitempty"`
	TooManyLost bool                  `json:"too_many_lost,omitempty"`
	Parts       []schemas.ArtifactRef `json:"parts"`
}

// Lost is a row of which values became null because they could not be read. Nothing in the parts tells those nulls from
// others, and the nights that take the row from there must count them too.
type Lost struct {
	// Key stands for the row's allegation, and Reported is when it was reported, in microseconds; NeverReported: never.
	Key      uint64 `json:"key"`
	Reported int64  `json:"reported"`
	// Columns has the bit 1<<i for the contract's column i.
	Columns uint32 `json:"columns"`
}

// NeverReported is of a row that is in every window.
const NeverReported = math.MaxInt64

// MaxLost is how many rows of a base may be Lost: with more of them all is read every night.
const MaxLost = 10_000

// KeyOf stands for an allegation.
func KeyOf(allegation []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(allegation)
	return h.Sum64()
}

// errBase is a base that cannot be read, whatever the cause: the source is then read in full.
var errBase = errors.New("the last snapshot cannot be read")

// key is where the base of a source stands. The name may be a path, which need not be seen in the store.
func key(source string) string {
	sum := sha256.Sum256([]byte(source))
	return "sources/" + hex.EncodeToString(sum[:8]) + "/base.json"
}

// load finds the base of a source; nil: there is none. One that cannot be read is as good as none: the night reads all
// and writes another. It is looked at again first: a night that ends at this moment may be replacing it.
func load(ctx context.Context, st *store.Store, source string) (*Base, error) {
	for range 10 {
		data, err := st.Read(ctx, key(source))
		if errors.Is(err, store.ErrNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		b := new(Base)
		if json.Unmarshal(data, b) == nil {
			return b, nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, nil
}

// Save makes b the base of the source's next night, once its parts are in the store.
func (b Base) Save(ctx context.Context, st *store.Store, source string, parts []schemas.ArtifactRef) error {
	b.Parts = parts
	data, err := json.MarshalIndent(b, "", "  ")
	if err != nil {
		return err
	}
	return st.Replace(ctx, key(source), append(data, '\n')) // of two nights at once the base of either will do
}

// unusable says why the changes of a night cannot be laid over b; empty: they can.
func (b *Base) unusable(next Base) string {
	switch {
	case b == nil:
		return "first"
	case b.Declaration != next.Declaration:
		return "the declaration has changed"
	case b.Snapshot.After(next.Snapshot):
		return "the last snapshot is of a later time"
	case b.Since.After(next.Since):
		return "the last snapshot's window begins later"
	case b.TooManyLost:
		return fmt.Sprintf("more than %d of its rows had values that could not be read", MaxLost)
	}
	return ""
}

// records are the rows of the base, each part verified when it is opened.
func (b *Base) records(ctx context.Context, st *store.Store) iter.Seq2[extsort.Record, error] {
	return func(yield func(extsort.Record, error) bool) {
		for _, part := range b.Parts {
			more, err := b.part(ctx, st, part, yield)
			if err != nil {
				yield(nil, errors.Join(errBase, err))
			}
			if err != nil || !more {
				return
			}
		}
	}
}

func (b *Base) part(
	ctx context.Context,
	st *store.Store,
	part schemas.ArtifactRef,
	yield func(extsort.Record, error) bool,
) (more bool, err error) {
	artifact, err := st.Open(ctx, part)
	if err != nil {
		return false, err
	}
	defer artifact.Close()
	f, err := extract.Open(artifact, artifact.Size())
	if err != nil {
		return false, err
	}
	if f.Rows() != part.Rows {
		return false, fmt.Errorf(
			"%s holds %s, %s written",
			part.URI,
			text.Count(f.Rows(), "row"),
			text.Count(part.Rows, "was", "were"),
		)
	}
	for r, err := range extsort.Records(ctx, f) {
		if err != nil {
			return false, err
		}
		if !yield(r, nil) {
			return false, nil
		}
	}
	return true, nil
}
