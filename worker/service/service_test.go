package service

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"harmstack/activities/casework/pseudonym"
	"harmstack/activities/store"
	"harmstack/activities/store/s3test"
	"harmstack/activities/store/seal"
	"harmstack/worker/config"
)

// HARMSTACK_MEMORY is the budget of all stages that run at once, not of each.
func TestStagesShareTheMemory(t *testing.T) {
	t.Parallel()
	const budget = 6 << 30
	if got := stages(nil, config.Config{Memory: budget}, nil, nil).Memory; got <= 0 || got*ComputeSlots > budget {
		t.Errorf("%d stages at once have %d bytes each of %d", ComputeSlots, got, int64(budget))
	}
}

// What is fetched from a bucket goes into HARMSTACK_TEMP.
func TestStoreFetchesIntoTheTemporaryFolder(t *testing.T) {
	t.Parallel()
	temp := filepath.Join(t.TempDir(), "missing")
	st, err := open(t.Context(), config.Config{Store: s3test.New(t).URL, TempDir: temp})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	ref, err := st.Write(t.Context(), "nights/x", "", func(w io.Writer) (int64, error) { return 0, nil })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.Open(t.Context(), ref); err == nil || !strings.Contains(err.Error(), temp) {
		t.Errorf("error %v", err)
	}
}

// A worker works with the store that was set up for it, and with no other: not with the empty folder below a volume
// that is gone, nor under another key or name.
func TestWorkerEntersItsOwnStoreAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	own := config.Config{PseudonymKey: bytes.Repeat([]byte{1}, 32), Deployment: "north"}
	there, sealed, empty, key := filepath.Join(dir, "there"), filepath.Join(dir, "sealed"), filepath.Join(dir, "empty"), filepath.Join(dir, "store.key")
	withKey := own
	withKey.StoreKey = "file://" + key
	err := errors.Join(os.Mkdir(empty, 0o700), os.WriteFile(key, []byte(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{3}, 32))), 0o600))
	for folder, storeKey := range map[string]string{there: seal.None, sealed: withKey.StoreKey} {
		st, openErr := store.Open(t.Context(), folder)
		if err = errors.Join(err, openErr); err == nil {
			_, _, _, err = st.SetUp(t.Context(), string(own.Deployment), pseudonym.Fingerprint(own.PseudonymKey))
			err = errors.Join(err, st.Seal(t.Context(), storeKey), st.Close())
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	otherKey, otherName := own, own
	otherKey.PseudonymKey, otherName.Deployment = bytes.Repeat([]byte{2}, 32), "south"
	for _, c := range []struct {
		scenario, folder string
		cfg              config.Config
		want             error
	}{
		{"its own", there, own, nil},
		{"an empty mount point", empty, own, store.ErrNotSetUp},
		{"under another key", there, otherKey, store.ErrOtherStore},
		{"under another name", there, otherName, store.ErrOtherStore},
		{"its own, sealed", sealed, withKey, nil},
		{"a sealed one without its key", sealed, own, store.ErrSealed},
		{"a plain one with a key", there, withKey, store.ErrPlain},
	} {
		st, err := store.Open(t.Context(), c.folder)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := enter(t.Context(), st, c.cfg); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.scenario, err)
		}
	}
	if left, err := os.ReadDir(empty); err != nil || len(left) > 0 {
		t.Errorf("the empty folder has %v, %v", left, err)
	}
}
