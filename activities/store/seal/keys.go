package seal

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"harmstack/schemas/text"
)

const keyBytes = 32

// Shelf is where wrapped data keys lie, by name.
type Shelf interface {
	// Load returns nil when there is none of that name.
	Load(ctx context.Context, name string) ([]byte, error)
	// Create tells whether it made one: not when there is one already.
	Create(ctx context.Context, name string, data []byte) (made bool, err error)
	Replace(ctx context.Context, name string, data []byte) error
	Delete(ctx context.Context, name string) error
	List(ctx context.Context) ([]string, error)
}

// ErrOtherKey is returned for a key-encryption key that is not the store's.
var ErrOtherKey = errors.New("HARMSTACK_STORE_KEY is another key than the one of this store")

// Keys are the data keys of a store. Many goroutines may use them.
type Keys struct {
	kek   *KEK
	shelf Shelf

	mu        sync.Mutex
	unwrapped map[string]*dataKey // by the file that holds it wrapped: one that was replaced is looked at again
}

type dataKey struct {
	name   string
	id     [idBytes]byte
	secret [keyBytes]byte
	seen   atomic.Bool // by every rotation that has begun since it was read
}

// wrapped is a data key on the shelf.
type wrapped struct {
	Name string `json:"name"`
	ID   string `json:"id"`
	// KEK names the key under which it is wrapped.
	KEK     string `json:"kek"`
	Wrapped []byte `json:"wrapped"`
}

// mark is the name of a data key that nothing is sealed under: it says which key-encryption key is the store's, and
// whether this process can use that.
const mark = "kek"

// Begun tells whether files are sealed under keys of a shelf.
func Begun(ctx context.Context, shelf Shelf) (bool, error) {
	data, err := shelf.Load(ctx, mark)
	return data != nil, err
}

// Begin makes the key-encryption key the one of a store that has none.
func Begin(ctx context.Context, kek *KEK, shelf Shelf) error {
	_, err := create(ctx, kek, shelf, mark)
	return err
}

// Open returns the data keys of a shelf, for the key-encryption key under which they are wrapped; ErrOtherKey says that
// it is another.
func Open(ctx context.Context, kek *KEK, shelf Shelf) (*Keys, error) {
	k := &Keys{kek: kek, shelf: shelf, unwrapped: map[string]*dataKey{}}
	return k, k.check(ctx)
}

// Close ends the connection to a key service.
func (k *Keys) Close() error { return k.kek.Close() }

// check makes sure that the store's key-encryption key is still this one.
func (k *Keys) check(ctx context.Context) error {
	data, err := k.shelf.Load(ctx, mark)
	if err != nil {
		return err
	}
	w, err := parse(mark, data)
	if err != nil {
		return err
	}
	if w.KEK != k.kek.name {
		return fmt.Errorf("%w: it is %s, and the store's is %s", ErrOtherKey, k.kek.name, w.KEK)
	}
	_, err = k.kek.unwrap(ctx, w)
	return err
}

// forWriting is the data key of a name, made when there is none.
func (k *Keys) forWriting(ctx context.Context, name string) (*dataKey, error) {
	data, err := k.shelf.Load(ctx, name)
	if err == nil && data == nil {
		// After a rotation, a process that still has the old key must not wrap under it.
		if err = k.check(ctx); err == nil {
			data, err = create(ctx, k.kek, k.shelf, name)
		}
	}
	if err != nil {
		return nil, err
	}
	key, err := k.unwrap(ctx, name, data)
	if err == nil && !key.seen.Load() {
		// Nor seal anything under a data key that a rotation at the same time may have missed. It changes the mark before
		// it looks for data keys: as long as the mark is the old one, it has yet to find this one.
		err = k.check(ctx)
		key.seen.Store(err == nil)
	}
	return key, err
}

// forReading is the data key of a name and an id.
func (k *Keys) forReading(ctx context.Context, name string, id [idBytes]byte) (*dataKey, error) {
	data, err := k.shelf.Load(ctx, name)
	if err != nil {
		return nil, err
	}
	if data == nil {
		return nil, ErrKeyGone
	}
	key, err := k.unwrap(ctx, name, data)
	if err == nil && key.id != id {
		err = ErrKeyGone // a newer one has its name
	}
	return key, err
}

func (k *Keys) unwrap(ctx context.Context, name string, data []byte) (*dataKey, error) {
	k.mu.Lock()
	key := k.unwrapped[string(data)]
	k.mu.Unlock()
	if key != nil && key.name == name {
		return key, nil
	}
	w, err := parse(name, data)
	if err == nil {
		key, err = k.kek.unwrap(ctx, w)
	}
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.unwrapped[string(data)] = key
	return key, nil
}

// create makes a data key and returns what lies on the shelf: another's, when that was faster.
func create(ctx context.Context, kek *KEK, shelf Shelf, name string) ([]byte, error) {
	if len(name) > maxName {
		return nil, fmt.Errorf("seal: the name of a data key has more than %s", text.Count(maxName, "byte"))
	}
	key := &dataKey{name: name}
	_, _ = rand.Read(key.id[:]) // never fails
	_, _ = rand.Read(key.secret[:])
	data, err := kek.wrap(ctx, key)
	if err != nil {
		return nil, err
	}
	made, err := shelf.Create(ctx, name, data)
	if err == nil && !made {
		data, err = shelf.Load(ctx, name)
	}
	return data, err
}

func parse(name string, data []byte) (w wrapped, err error) {
	if json.Unmarshal(data, &w) != nil || w.Name != name {
		err = fmt.Errorf("data key %s: %w", name, ErrDamaged)
	}
	return w, err
}

// wrap and unwrap bind the key to its name and id: two files of keys that change places are found out. What a key service
// says is not wrapped as an error: "not found" would be taken for a file that the store lacks.
func (kek *KEK) wrap(ctx context.Context, key *dataKey) ([]byte, error) {
	sealed, err := kek.keeper.Encrypt(ctx, bytes.Join([][]byte{key.secret[:], key.id[:], []byte(key.name)}, nil))
	if err != nil {
		return nil, fmt.Errorf("HARMSTACK_STORE_KEY: a data key cannot be wrapped: %v", err)
	}
	data, err := json.MarshalIndent(wrapped{key.name, hex.EncodeToString(key.id[:]), kek.name, sealed}, "", "  ")
	return append(data, '\n'), err
}

func (kek *KEK) unwrap(ctx context.Context, w wrapped) (*dataKey, error) {
	if w.KEK != kek.name {
		return nil, fmt.Errorf(
			"data key %s: %w: it is wrapped under %s, and this is %s. If the key was rotated, give the new one and start again; "+
				"if the rotation broke off, run `starter keys rotate` again", w.Name, ErrOtherKey, w.KEK, kek.name)
	}
	open, err := kek.keeper.Decrypt(ctx, w.Wrapped)
	if err != nil {
		return nil, fmt.Errorf("HARMSTACK_STORE_KEY: data key %s cannot be unwrapped: %v", w.Name, err)
	}
	key := &dataKey{name: w.Name}
	if len(open) < keyBytes+idBytes || string(open[keyBytes+idBytes:]) != w.Name {
		return nil, fmt.Errorf("data key %s: %w", w.Name, ErrDamaged)
	}
	copy(key.id[:], open[keyBytes:])
	copy(key.secret[:], open)
	if hex.EncodeToString(key.id[:]) != w.ID {
		return nil, fmt.Errorf("data key %s: %w", w.Name, ErrDamaged)
	}
	return key, nil
}

// Names are those of the data keys, sorted.
func (k *Keys) Names(ctx context.Context) ([]string, error) {
	names, err := k.shelf.List(ctx)
	kept := names[:0]
	for _, name := range names {
		if name != mark {
			kept = append(kept, name)
		}
	}
	return kept, err
}

// Destroy destroys a data key: what was sealed under it can be read no more, nor can any copy of it. One that is not
// there is no error.
func (k *Keys) Destroy(ctx context.Context, name string) error { return k.shelf.Delete(ctx, name) }

// Rotate wraps every data key anew, under another key-encryption key, and tells how many. It may die at any point and
// be run again.
func Rotate(ctx context.Context, shelf Shelf, from, to *KEK) (n int, err error) {
	// The mark goes first: from then on nobody makes keys under the old one.
	for again := true; again && err == nil; {
		var names []string
		again = false
		if names, err = shelf.List(ctx); err != nil {
			break
		}
		for _, name := range append([]string{mark}, names...) {
			var changed bool
			if changed, err = rewrap(ctx, shelf, name, from, to); err != nil {
				return n, err
			}
			if changed {
				again = true
				n++
			}
		}
	}
	return n, err
}

func rewrap(ctx context.Context, shelf Shelf, name string, from, to *KEK) (changed bool, err error) {
	data, err := shelf.Load(ctx, name)
	if err != nil || data == nil { // it was destroyed meanwhile
		return false, err
	}
	w, err := parse(name, data)
	if err != nil || w.KEK == to.name {
		return false, err
	}
	key, err := from.unwrap(ctx, w)
	if err == nil {
		data, err = to.wrap(ctx, key)
	}
	if err == nil {
		err = shelf.Replace(ctx, name, data)
	}
	return err == nil, err
}
