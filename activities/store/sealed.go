package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"harmstack/activities/store/seal"
	"harmstack/activities/store/spill"
	"harmstack/schemas"
)

var (
	// ErrSealed is returned for a sealed store that was not unlocked.
	ErrSealed = errors.New("it is sealed: give its key in HARMSTACK_STORE_KEY")
	// ErrPlain is returned for a store that is not sealed, though it was to be unlocked.
	ErrPlain = errors.New(
		"HARMSTACK_STORE_KEY: the store is not sealed, and holds plain files: `starter keys seal` seals them; " +
			"until then say `none`",
	)
)

// taskings is the folder whose files are sealed under a data key for each month.
const taskings = "taskings"

// keysFolder is where wrapped data keys lie.
const keysFolder = "keys/"

// plain tells of what is stored as it is: what says which store it is, wrapped keys, and what Probe writes.
func (s *Store) plain(key string) bool {
	return key == IdentityFile || strings.HasPrefix(key, keysFolder) || strings.HasPrefix(key, tempFolder+"/")
}

// dataKey names the data key under which a file is sealed when it is written at an instant. Those of a night go when it
// is disposed of, its rows as read perhaps sooner; what is kept of it is sealed with all other records.
func dataKey(key string, now time.Time) string {
	if id, part, ok := schemas.NightPartOf(key); ok && part != schemas.NightRecord {
		return nightKey(id.AsOf, part)
	}
	top, _, _ := strings.Cut(key, "/")
	if top == taskings {
		return top + "-" + now.UTC().Format("2006-01")
	}
	return strings.TrimSuffix(top, path.Ext(top))
}

func nightKey(asOf schemas.Date, part schemas.NightPart) string {
	return string(part) + "-" + asOf.String()
}

// Unlock gives the store the key-encryption key of a URL, or seal.None: then it must be plain. ErrSealed, ErrPlain and
// seal.ErrOtherKey say what does not fit. An empty URL is for who only reads, and means none.
func (s *Store) Unlock(ctx context.Context, keyURL string) error {
	begun, err := seal.Begun(ctx, shelf{s})
	switch {
	case err != nil:
	case none(keyURL):
		if begun {
			err = ErrSealed
		}
	case !begun:
		err = ErrPlain
	default:
		var kek *seal.KEK
		if kek, err = seal.OpenKEK(ctx, keyURL); err == nil {
			s.keys, err = seal.Open(ctx, kek, shelf{s})
		}
	}
	if err != nil {
		return fmt.Errorf("store %s: %w", s.url, err)
	}
	return nil
}

func none(keyURL string) bool { return keyURL == "" || keyURL == seal.None }

// Seal makes a store that was just set up a sealed one, and unlocks it; again it only unlocks it. One that holds plain
// files is refused with ErrPlain.
func (s *Store) Seal(ctx context.Context, keyURL string) error {
	if s.keys != nil {
		return nil
	}
	begun, err := seal.Begun(ctx, shelf{s})
	if err == nil && !begun && !none(keyURL) {
		var top []string
		if top, err = s.entries(ctx); err != nil {
			return err
		}
		ours := func(name string) bool { return slices.Contains(names, name) || name == schemas.CurrentPath }
		if !slices.ContainsFunc(top, ours) {
			var kek *seal.KEK
			if kek, err = seal.OpenKEK(ctx, keyURL); err == nil {
				err = errors.Join(seal.Begin(ctx, kek, shelf{s}), kek.Close())
			}
		}
	}
	if err != nil {
		return err
	}
	return s.Unlock(ctx, keyURL)
}

// SealPlain makes a plain store a sealed one: every file is written anew. It tells how many were, and after each of them
// done, if that is not nil. From its beginning on the store can be used by nobody else, until it has ended; it may break
// off and be run again.
func (s *Store) SealPlain(ctx context.Context, keyURL string, done func(n, of int)) (n int, err error) {
	kek, err := seal.OpenKEK(ctx, keyURL)
	if err != nil {
		return 0, err
	}
	if err := errors.Join(seal.Begin(ctx, kek, shelf{s}), kek.Close()); err != nil {
		return 0, err
	}
	if err := s.Unlock(ctx, keyURL); err != nil {
		return 0, err
	}
	keys, err := s.List(ctx, "")
	if err != nil {
		return 0, err
	}
	for i, key := range keys {
		if !s.plain(key) {
			wrote, err := s.sealFile(ctx, key)
			if err != nil {
				return n, fmt.Errorf("seal %s: %w", key, err)
			}
			if wrote {
				n++
			}
		}
		if done != nil {
			done(i+1, len(keys))
		}
	}
	return n, nil
}

// sealFile writes a plain file anew; wrote is false for a sealed one.
func (s *Store) sealFile(ctx context.Context, key string) (wrote bool, err error) {
	file, err := s.stored(ctx, key)
	if err != nil {
		return false, s.explain("open", key, err)
	}
	defer file.Close()
	begin := make([]byte, 16)
	if n, err := file.ReadAt(begin, 0); err != nil && !errors.Is(err, io.EOF) || seal.Sealed(begin[:n]) {
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return false, err
	}
	_, err = s.Write(ctx, key, "", func(w io.Writer) (int64, error) {
		return io.Copy(w, io.NewSectionReader(file, 0, math.MaxInt64))
	})
	return err == nil, err
}

// stored is a file as it is stored, fetched where that must be.
func (s *Store) stored(ctx context.Context, key string) (interface {
	io.ReaderAt
	io.Closer
}, error) {
	if s.folder != "" {
		return os.Open(s.path(key))
	}
	f, err := spill.Folder(s.Temp).Stream()
	if err != nil {
		return nil, err
	}
	if err := s.download(ctx, key, f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// IsSealed tells whether the store was unlocked.
func (s *Store) IsSealed() bool { return s.keys != nil }

// Rotate wraps every data key anew, from one key-encryption key to another, and tells how many: the files stay as they
// are. It may break off and be run again.
func (s *Store) Rotate(ctx context.Context, from, to string) (n int, err error) {
	begun, err := seal.Begun(ctx, shelf{s})
	if err == nil && !begun {
		err = ErrPlain
	}
	if err != nil {
		return 0, err
	}
	before, err := seal.OpenKEK(ctx, from)
	if err != nil {
		return 0, err
	}
	defer before.Close()
	after, err := seal.OpenKEK(ctx, to)
	if err != nil {
		return 0, err
	}
	defer after.Close()
	return seal.Rotate(ctx, shelf{s}, before, after)
}

// Shred destroys the data keys of the parts of nights of which over says so, and tells how many: no copy of them, and no
// backup, can be read any more. A plain store has none.
func (s *Store) Shred(
	ctx context.Context,
	over func(asOf schemas.Date, part schemas.NightPart) bool,
) (n int, err error) {
	if s.keys == nil {
		return 0, nil
	}
	names, err := s.keys.Names(ctx)
	for _, name := range names {
		part, date, _ := strings.Cut(name, "-")
		asOf, dateErr := schemas.ParseDate(date)
		if dateErr != nil || nightKey(asOf, schemas.NightPart(part)) != name || !over(asOf, schemas.NightPart(part)) {
			continue
		}
		if err := s.keys.Destroy(ctx, name); err != nil {
			return n, err
		}
		n++
	}
	return n, err
}

// ShredTaskings destroys the data keys of the taskings' months that ended before an instant, and under which no file is
// sealed any more. It tells how many. An instant must lie so far back that nobody still writes under them.
func (s *Store) ShredTaskings(ctx context.Context, before time.Time) (n int, err error) {
	if s.keys == nil {
		return 0, nil
	}
	names, err := s.keys.Names(ctx)
	if err != nil {
		return 0, err
	}
	over := map[string]bool{}
	for _, name := range names {
		month, err := time.Parse("2006-01", strings.TrimPrefix(name, taskings+"-"))
		if err == nil && strings.HasPrefix(name, taskings+"-") && month.AddDate(0, 1, 0).Before(before) {
			over[name] = true
		}
	}
	if len(over) == 0 {
		return 0, nil
	}
	keys, err := s.List(ctx, taskings+"/")
	if err != nil {
		return 0, err
	}
	for _, key := range keys {
		if len(over) == 0 {
			return 0, nil // each still seals something
		}
		name, err := s.sealedUnder(ctx, key)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return 0, err
		}
		delete(over, name)
	}
	for name := range over {
		if err := s.keys.Destroy(ctx, name); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// sealedUnder is the name of the data key under which a file says it is sealed.
func (s *Store) sealedUnder(ctx context.Context, key string) (string, error) {
	begin := make([]byte, seal.HeaderBytes)
	var from io.ReadCloser
	var err error
	if s.folder != "" {
		from, err = os.Open(s.path(key))
	} else {
		from, err = s.bucket.NewRangeReader(ctx, key, 0, seal.HeaderBytes, nil)
	}
	if err != nil {
		return "", s.explain("read", key, err)
	}
	defer from.Close()
	if _, err := io.ReadFull(from, begin); err != nil {
		return "", fmt.Errorf("%s: %w", key, ErrDamaged)
	}
	name, err := seal.NameOf(begin)
	if err != nil {
		err = fmt.Errorf("%s: %w", key, err)
	}
	return name, err
}

// sealed lets write write the content of a file to what is stored.
func (s *Store) sealed(ctx context.Context, key string, to io.Writer, write func(io.Writer) error) error {
	if s.keys == nil || s.plain(key) {
		return write(to)
	}
	w, err := s.keys.Writer(ctx, key, dataKey(key, time.Now()), to)
	if err != nil {
		return err
	}
	if err := write(w); err != nil {
		return err
	}
	return w.Close()
}

// unsealed is the content of what is stored.
func (s *Store) unsealed(ctx context.Context, key string, stored []byte) ([]byte, error) {
	switch {
	case s.plain(key):
		return stored, nil
	case s.keys != nil:
		return s.keys.Read(ctx, key, stored)
	case seal.Sealed(stored):
		return nil, ErrSealed
	}
	return stored, nil
}

// opened is unsealed for a file of so many bytes that is open.
func (s *Store) opened(ctx context.Context, key string, f io.ReaderAt, size int64) (*io.SectionReader, error) {
	var err error
	if s.keys != nil && !s.plain(key) {
		content, err := s.keys.Open(ctx, key, f, size)
		if err != nil {
			err = fmt.Errorf("open %s: %w", key, err)
		}
		return content, err
	}
	begin := make([]byte, 16)
	n, err := f.ReadAt(begin, 0)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return nil, fmt.Errorf("open %s: %w", key, err)
	case seal.Sealed(begin[:n]) && !s.plain(key):
		return nil, fmt.Errorf("open %s: %w", key, ErrSealed)
	}
	return io.NewSectionReader(f, 0, size), nil
}

// shelf keeps wrapped data keys in the store.
type shelf struct{ s *Store }

func (h shelf) key(name string) string { return keysFolder + name + ".json" }

func (h shelf) Load(ctx context.Context, name string) ([]byte, error) {
	data, err := h.s.Read(ctx, h.key(name))
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return data, err
}

func (h shelf) Create(ctx context.Context, name string, data []byte) (made bool, err error) {
	err = h.s.CreateOnly(ctx, h.key(name), data)
	if errors.Is(err, ErrExists) {
		return false, nil
	}
	return err == nil, err
}

func (h shelf) Replace(ctx context.Context, name string, data []byte) error {
	return h.s.Replace(ctx, h.key(name), data)
}

func (h shelf) Delete(ctx context.Context, name string) error { return h.s.Delete(ctx, h.key(name)) }

func (h shelf) List(ctx context.Context) (names []string, err error) {
	keys, err := h.s.List(ctx, keysFolder)
	for _, key := range keys {
		names = append(names, strings.TrimSuffix(strings.TrimPrefix(key, keysFolder), ".json"))
	}
	return names, err
}
