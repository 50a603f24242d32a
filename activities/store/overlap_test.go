package store

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"harmstack/activities/store/s3test"
	"harmstack/activities/store/seal"
	"harmstack/activities/trust/sign"
)

// Another replaces the file between the write and the look at what is stored: that is no damage, and either may stay.
func TestReplacedMeanwhile(t *testing.T) {
	s3 := s3test.New(t)
	other := open(t, s3.URL)
	looks := func(r *http.Request) bool { return r.Method == http.MethodHead }
	st := open(t, s3.Before(t, looks, func() {
		if err := other.Replace(t.Context(), "current.json", []byte("the newer one")); err != nil {
			t.Error(err)
		}
	}))
	if err := st.Replace(t.Context(), "current.json", []byte("old")); err != nil {
		t.Error(err)
	}
	if got, err := other.Read(t.Context(), "current.json"); string(got) != "the newer one" {
		t.Errorf("%q, %v", got, err)
	}
}

// Two take over unsigned records at once: both are known afterwards, also to who has read the file before.
func TestAdoptedAtOnce(t *testing.T) {
	s3 := s3test.New(t)
	private := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	keys, err := sign.Parse(base64.StdEncoding.EncodeToString(private.Seed()), "worker="+sign.Public(private))
	if err != nil {
		t.Fatal(err)
	}
	signing := func(url string) *Store {
		st := open(t, url)
		st.Keys = keys
		return st
	}
	other, reader := signing(s3.URL), signing(s3.URL)
	first, second, third := []byte(`{"a":1}`), []byte(`{"b":2}`), []byte(`{"c":3}`)
	if _, _, err := other.Adopt(t.Context(), map[string]string{"a.json": digest(first)}, 7); err != nil {
		t.Fatal(err)
	}
	if err := reader.CheckRecord(t.Context(), "a.json", first); err != nil {
		t.Error(err)
	}
	if err := reader.CheckRecord(t.Context(), "b.json", second); !errors.Is(err, sign.ErrUnsigned) {
		t.Errorf("error %v", err)
	}
	writes := func(r *http.Request) bool {
		return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/trust/")
	}
	st := signing(s3.Before(t, writes, func() {
		if _, _, err := other.Adopt(t.Context(), map[string]string{"b.json": digest(second)}, 9); err != nil {
			t.Error(err)
		}
	}))
	if key, _, err := st.Adopt(t.Context(), map[string]string{"c.json": digest(third)}, 8); key != "trust/unsigned-0003.json" || err != nil {
		t.Errorf("%s, %v", key, err)
	}
	for key, record := range map[string][]byte{"a.json": first, "b.json": second, "c.json": third} {
		if err := reader.CheckRecord(t.Context(), key, record); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	if u, err := reader.LoadUnsigned(t.Context()); u.Log != 9 || err != nil {
		t.Errorf("the log up to %d, %v", u.Log, err)
	}
}

// A worker that was not stopped makes a data key while the store's key is changed, behind the last look of the rotation
// for data keys: it must not seal anything under what the new key cannot open, then or later.
func TestDataKeyMadeWhileRotated(t *testing.T) {
	s3 := s3test.New(t)
	old, next := newKey(t), newKey(t)
	other := open(t, s3.URL)
	if err := other.Seal(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	makes := func(r *http.Request) bool {
		return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/keys/night-2026-06-30.json")
	}
	st := open(t, s3.Before(t, makes, func() {
		if _, err := other.Rotate(t.Context(), old, next); err != nil {
			t.Error(err)
		}
	}))
	if err := st.Unlock(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := st.Replace(t.Context(), nightFile, []byte("S-0012345")); !errors.Is(err, seal.ErrOtherKey) {
			t.Errorf("error %v", err)
		}
	}
	if keys := s3.Keys(); strings.Contains(strings.Join(keys, " "), nightFile) {
		t.Errorf("%q", keys)
	}
}

// One that was read first is looked at all the same before anything is sealed under it.
func TestDataKeyReadBeforeTheRotation(t *testing.T) {
	dir, old, next := t.TempDir(), newKey(t), newKey(t)
	ref := write(t, sealedStore(t, dir, old), nightFile, "S-0012345")
	st := unlocked(t, dir, old)
	if got, err := contentOf(t, st, ref); got == "" || err != nil {
		t.Fatal(err)
	}
	mark := filepath.Join(dir, "keys", "night-2026-06-30.json")
	wrapped, err := os.ReadFile(mark)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, dir).Rotate(t.Context(), old, next); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(mark, wrapped, 0o600); err != nil { // as if the rotation had broken off before it
		t.Fatal(err)
	}
	if err := st.Replace(t.Context(), nightFile, []byte("S-0012345")); !errors.Is(err, seal.ErrOtherKey) {
		t.Errorf("error %v", err)
	}
}
