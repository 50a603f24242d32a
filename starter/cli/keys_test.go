package cli

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// storeKey is the URL of a key-encryption key of so many equal letters.
func storeKey(t *testing.T, letter string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "store.key")
	if err := os.WriteFile(path, []byte(base64.StdEncoding.EncodeToString([]byte(strings.Repeat(letter, 32)))), 0o600); err != nil {
		t.Fatal(err)
	}
	return "file://" + path
}

func TestKeysOfASealedStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	deployAt(t, dir, "a")
	old, next := storeKey(t, "o"), storeKey(t, "n")
	for _, step := range []struct {
		scenario, key, command, want string
		fails                        bool
	}{
		{"a key that is not there", "file:///nowhere.key", "setup", "the key cannot be read", true},
		{"no word", "", "setup", "HARMSTACK_STORE_KEY: name the key that seals the store", true},
		{"set up", old, "setup", "It is sealed.", false},
		{"again", old, "setup", "was set up before", false},
		{"look", old, "status", "", false},
		{"examine", old, "doctor", "audit log of 0 entries unbroken", true}, // there is no Temporal
		{"without the key", "", "status", "it is sealed: give its key in HARMSTACK_STORE_KEY", true},
		{"with the word none", "none", "doctor", "it is sealed: give its key in HARMSTACK_STORE_KEY", true},
		{"with another key", next, "status", "another key than the one of this store", true},
		{"with another key, set up again", next, "setup", "another key than the one of this store", true},
		{"rotate to nowhere", old, "keys rotate", "name the new key by --to", true},
		{"rotate from another key", next, "keys rotate --to " + storeKey(t, "x"), "it is wrapped under", true},
		{"rotate", old, "keys rotate --to " + next, "was wrapped anew", false},
		{"rotate again", old, "keys rotate --to " + next, "0 keys were wrapped anew", false},
		{"with the old key", old, "status", "another key than the one of this store", true},
		{"with the new key", next, "status", "", false},
	} {
		t.Setenv("HARMSTACK_STORE_KEY", step.key)
		said, err := run(t, strings.Fields(step.command)...)
		if err != nil {
			said += err.Error()
		}
		if (err != nil) != step.fails || !strings.Contains(said, step.want) {
			t.Errorf("%s: %s", step.scenario, said)
		}
	}
}

func TestKeysSealAPlainStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	deployAt(t, dir, "a")
	key := storeKey(t, "o")
	for _, step := range []struct {
		scenario, key, command, want string
		fails                        bool
	}{
		{"set up plain", "none", "setup", "It is NOT SEALED: use no real data.", false},
		{"note something", "none", "retention", "Nothing is over its time", false},
		{"nothing to seal under", "none", "keys seal", "name the key under which", true},
		{"a key for a plain store", key, "status", "`starter keys seal` seals them", true},
		{"seal", key, "keys seal", "sealed. Start the workers", false},
		{"again", key, "keys seal", "0 files were sealed", false},
		{"look", key, "status", "", false},
		{"look without the key", "none", "status", "it is sealed", true},
	} {
		t.Setenv("HARMSTACK_STORE_KEY", step.key)
		said, err := run(t, strings.Fields(step.command)...)
		if err != nil {
			said += err.Error()
		}
		if (err != nil) != step.fails || !strings.Contains(said, step.want) {
			t.Errorf("%s: %s", step.scenario, said)
		}
	}
}

func TestDoctorSaysWhetherTheStoreIsSealed(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]string{"": "off: ", "none": "off: ", "file:///x": "on"} {
		if got := storeEncryption(key); !strings.HasPrefix(got, want) {
			t.Errorf("%q: %s", key, got)
		}
	}
}
