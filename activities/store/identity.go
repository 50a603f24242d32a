package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"gocloud.dev/blob"
)

// IdentityFile says which store this is. `starter setup` writes it once; nothing changes it but a rotation of the
// pseudonym key.
const IdentityFile = "store.json"

// Layout is the version of how files lie in a store. A store of a later one is refused.
const Layout = 1

var (
	// ErrNotSetUp is returned for a store without store.json, which may be an empty mount point.
	ErrNotSetUp = errors.New(
		"it has no " + IdentityFile + ": its volume is not mounted, or it is new: then run `starter setup` once",
	)
	// ErrNewer is returned for a store that a newer version has made.
	ErrNewer = errors.New("a newer version of Harmstack has made it: take that one")
	// ErrOtherStore is returned where a store.json is not the one that is meant.
	ErrOtherStore = errors.New("not the store of this deployment")
)

// Identity is store.json.
type Identity struct {
	// Store is random, so that no two stores are alike.
	Store string `json:"store"`
	// Layout is the version of how its files lie.
	Layout int `json:"layout"`
	// Deployment is the name that stands in the ids of its workflows; empty by default.
	Deployment string `json:"deployment"`
	// PseudonymKey is the fingerprint of the key under which its taskings were named.
	PseudonymKey string    `json:"pseudonym_key"`
	SetUp        time.Time `json:"set_up"`
}

// Match makes sure that the store belongs to a deployment of that name and, unless the fingerprint is empty, with that
// pseudonym key; ErrOtherStore says what differs.
func (id Identity) Match(deployment, fingerprint string) error {
	switch {
	case id.Deployment != deployment:
		return fmt.Errorf(
			"%w: it belongs to the deployment %q, and HARMSTACK_DEPLOYMENT is %q",
			ErrOtherStore,
			id.Deployment,
			deployment,
		)
	case fingerprint != "" && id.PseudonymKey != fingerprint:
		return fmt.Errorf(
			"%w: HARMSTACK_PSEUDONYM_KEY is another key (fingerprint %s) than the one it was set up with (%s). "+
				"Under another key every suspect has another name, and everybody would be tasked anew: find the old key, or "+
				"rotate it (starter keys rotate-pseudonyms)",
			ErrOtherStore,
			fingerprint,
			id.PseudonymKey,
		)
	}
	return nil
}

// Encode is store.json.
func (id Identity) Encode() ([]byte, error) {
	data, err := json.MarshalIndent(id, "", "  ")
	return append(data, '\n'), err
}

// Reidentify replaces store.json, of a store that was recognised. Every other process that uses a local one is refused
// from then on, until it looks again.
func (s *Store) Reidentify(ctx context.Context, data []byte) error {
	err := s.Replace(ctx, IdentityFile, data)
	if err == nil && s.folder != "" {
		s.mark = data
	}
	return err
}

// OpenSetUp opens a store that `starter setup` has made, and no other: ErrNotSetUp says that it has not.
func OpenSetUp(ctx context.Context, rawURL string) (*Store, Identity, error) {
	s, err := Open(ctx, rawURL)
	if err != nil {
		return nil, Identity{}, err
	}
	id, err := s.Recognise(ctx)
	if err != nil {
		return nil, id, errors.Join(err, s.Close())
	}
	return s, id, nil
}

// Recognise reads the identity of the store. From then on a local store is used only as long as that very file is
// there, so that nothing is looked for, or written, in the empty folder below a volume that is gone.
func (s *Store) Recognise(ctx context.Context) (id Identity, err error) {
	data, err := s.Read(ctx, IdentityFile)
	if errors.Is(err, ErrNotFound) {
		err = ErrNotSetUp
	}
	if err == nil && json.Unmarshal(data, &id) != nil {
		err = fmt.Errorf("%s: %w", IdentityFile, ErrDamaged)
	}
	switch {
	case err != nil:
		return id, fmt.Errorf("store %s: %w", s.url, err)
	case id.Layout > Layout:
		return id, fmt.Errorf("store %s: %w (its layout is %d, this one knows %d)", s.url, ErrNewer, id.Layout, Layout)
	}
	if s.folder != "" {
		s.mark = data
	}
	return id, nil
}

// present makes sure that a local store is not closed and, once it was recognised, still there.
func (s *Store) present() error {
	switch {
	case s.folder != "" && s.closed.Load():
		return os.ErrClosed
	case s.mark == nil:
		return nil
	}
	data, err := os.ReadFile(s.path(IdentityFile))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("store %s: %w", s.url, ErrNotSetUp)
	case err == nil && !bytes.Equal(data, s.mark):
		err = fmt.Errorf("store %s: %w: another was there before", s.url, ErrOtherStore)
	}
	return err
}

// names are the folders at the top of a store.
var names = []string{"approvals", "audit", "deliveries", "disposals", "keys", "lineage", "nights", "reuse", "sources", "taskings", "trust", "work"}

// Holds tells whether a store has a folder of that name at its top.
func Holds(folder string) bool { return slices.Contains(names, folder) }

// SetUp makes the store one of a deployment, once; again it only makes sure that it is. adopted tells that it holds
// nights or taskings of an earlier version. A folder or bucket that holds something else is refused, and so is one that
// does not honour CreateOnly.
func (s *Store) SetUp(
	ctx context.Context,
	deployment, fingerprint string,
) (id Identity, made, adopted bool, err error) {
	if id, err = s.Recognise(ctx); err == nil || !errors.Is(err, ErrNotSetUp) {
		if err == nil {
			err = id.Match(deployment, fingerprint)
		}
		return id, false, false, err
	}
	top, err := s.entries(ctx)
	if err != nil {
		return id, false, false, err
	}
	for _, name := range top {
		switch {
		case slices.Contains(names, name), name == "current.json":
			adopted = true
		case name != tempFolder && name != "lost+found" && name != IdentityFile:
			return id, false, false, fmt.Errorf(
				"store %s: it holds other files than Harmstack's: give it a folder or bucket of its own",
				s.url,
			)
		}
	}
	if err := s.Probe(ctx); err != nil {
		return id, false, false, err
	}
	id = Identity{
		Store:        strings.ToLower(rand.Text()),
		Layout:       Layout,
		Deployment:   deployment,
		PseudonymKey: fingerprint,
		SetUp:        time.Now().UTC().Truncate(time.Second),
	}
	data, err := id.Encode()
	if err == nil {
		err = s.CreateOnly(ctx, IdentityFile, data)
	}
	if err != nil && !errors.Is(err, ErrExists) {
		return id, false, false, err
	}
	made = err == nil // else somebody else did, at this moment
	if id, err = s.Recognise(ctx); err == nil {
		err = id.Match(deployment, fingerprint)
	}
	return id, made, adopted, err
}

// topOfBucket are the names before the first slash, without those that hold files being written.
func (s *Store) topOfBucket(ctx context.Context) (names []string, err error) {
	for it := s.bucket.List(&blob.ListOptions{Delimiter: "/"}); ; {
		object, err := it.Next(ctx)
		if errors.Is(err, io.EOF) {
			return names, nil
		}
		if err != nil {
			return nil, s.explain("list", "the bucket", err)
		}
		names = append(names, strings.TrimSuffix(object.Key, "/"))
	}
}
