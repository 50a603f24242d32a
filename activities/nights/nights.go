// Package nights is the protocol of nights in the artefact store (contract, section 2): how a run
// claims a revision, what it is compared with, how it is published, decided and made current.
//
// Nothing here locks. Claims, manifests, decisions and the records of approvals are create-only writes: whoever writes
// first wins, and whoever comes second reads what stands there. Every function may be repeated after a crash at any
// point. The package must not know Temporal or how a suspect is scored.
package nights

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"harmstack/activities/store"
	"harmstack/schemas"
)

// Pending is the status of a published night that nobody has decided. The others are the decisions, and
// schemas.Revoked.
const Pending = "pending"

// Night is one published night.
type Night struct {
	ID     schemas.NightID
	Status string
	// Decision is nil while the night is pending.
	Decision *schemas.Decision
	// Revocation is who took the approval back; the Decision still says approved.
	Revocation *schemas.Revocation
	// Disposed: its time is over, and nothing but its records is left.
	Disposed bool
}

// List lists the published nights, oldest first.
func List(ctx context.Context, st *store.Store) ([]Night, error) { return nightsBeside(ctx, st, nil) }

// nightsBeside is Nights for those who know some nights already: a decision is final, and not read again.
func nightsBeside(ctx context.Context, st *store.Store, known []Night) ([]Night, error) {
	decided := map[schemas.NightID]*schemas.Decision{}
	for _, n := range known {
		decided[n.ID] = n.Decision
	}
	keys, err := st.List(ctx, "nights/")
	if err != nil {
		return nil, fmt.Errorf("listing the nights: %w", err)
	}
	var nights []Night
	for _, key := range keys {
		if id, ok := parseManifestKey(key); ok {
			_, disposed := slices.BinarySearch(keys, id.Path()+"/"+schemas.DisposalFile)
			nights = append(nights, Night{ID: id, Status: Pending, Disposed: disposed})
		}
	}
	slices.SortFunc(nights, func(a, b Night) int {
		return cmp.Or(a.ID.AsOf.DaysSince(b.ID.AsOf), a.ID.Revision-b.ID.Revision)
	})
	last, err := LastRecord(ctx, st)
	if err != nil {
		return nil, err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(16) // A bucket answers in tens of milliseconds, and a year has hundreds of nights.
	for i := range nights {
		n := &nights[i]
		g.Go(func() (err error) {
			if n.Decision = decided[n.ID]; n.Decision == nil {
				n.Decision, err = LoadDecision(ctx, st, n.ID)
			}
			if n.Decision != nil {
				n.Status = n.Decision.Decision
			}
			return err
		})
	}
	if err := g.Wait(); err != nil || last == nil {
		return nights, err
	}
	for i, r := range last.Revocations {
		for j := range nights {
			if nights[j].ID == r.Manifest.NightID {
				nights[j].Status, nights[j].Revocation = schemas.Revoked, &last.Revocations[i]
			}
		}
	}
	return nights, nil
}

// parseManifestKey reads nights/<as_of>/r<n>/manifest.json, and only as NightID.Path writes it.
func parseManifestKey(key string) (id schemas.NightID, ok bool) {
	id, ok = schemas.ParseNightPath(key)
	return id, ok && key == id.Path()+"/"+schemas.ManifestFile
}

// newestApproved is the last night in the list that was approved, nil when none was.
func newestApproved(nights []Night) *Night {
	for i := range slices.Backward(nights) {
		if nights[i].Status == schemas.Approved {
			return &nights[i]
		}
	}
	return nil
}

// LoadManifest reads a published night's manifest and the reference that a decision must name. The
// error is store.ErrNotFound when the night is not published.
func LoadManifest(
	ctx context.Context,
	st *store.Store,
	id schemas.NightID,
) (schemas.Manifest, schemas.ManifestRef, error) {
	ref := schemas.ManifestRef{NightID: id, URI: id.Path() + "/" + schemas.ManifestFile}
	var m schemas.Manifest
	data, err := st.ReadRecord(ctx, ref.URI)
	if err != nil {
		return m, ref, fmt.Errorf("night %s is not published: %w", id, err)
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return m, ref, fmt.Errorf("%s: %w: %w", ref.URI, store.ErrDamaged, err)
	}
	ref.SHA256 = hash(data)
	if m.NightID != id {
		return m, ref, fmt.Errorf("%s: %w: it is the manifest of night %s", ref.URI, store.ErrDamaged, m.NightID)
	}
	return m, ref, nil
}

// ReadManifest reads the manifest at a path of a store: that of a folder which `starter score` made.
func ReadManifest(ctx context.Context, st *store.Store, key string) (m schemas.Manifest, err error) {
	data, err := st.Read(ctx, key)
	if err == nil {
		if err = json.Unmarshal(data, &m); err != nil {
			err = fmt.Errorf("%s: %w: %w", key, store.ErrDamaged, err)
		}
	}
	return m, err
}

// loadExact reads the manifest that a decision named, and refuses any other.
func loadExact(ctx context.Context, st *store.Store, want schemas.ManifestRef) (schemas.Manifest, error) {
	m, ref, err := LoadManifest(ctx, st, want.NightID)
	if err == nil && ref != want {
		err = fmt.Errorf("%s: %w: it is not the manifest that was decided on", ref.URI, store.ErrDamaged)
	}
	return m, err
}

// LoadDecision reads a night's decision; nil when there is none.
func LoadDecision(ctx context.Context, st *store.Store, id schemas.NightID) (*schemas.Decision, error) {
	return load[schemas.Decision](ctx, st, id.Path()+"/"+schemas.DecisionFile)
}

func load[T any](ctx context.Context, st *store.Store, key string) (*T, error) {
	data, err := st.ReadRecord(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", key, err)
	}
	v := new(T)
	if err := json.Unmarshal(data, v); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", key, store.ErrDamaged, err)
	}
	return v, nil
}

// encode writes the one form in which every JSON file of a night is kept, so that equal content is
// equal bytes.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return b.Bytes(), err
}

func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
