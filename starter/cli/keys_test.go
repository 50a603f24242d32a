package cli

import (
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"harmstack/activities/casework"
	"harmstack/activities/casework/pseudonym"
	"harmstack/activities/store"
	"harmstack/schemas"
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

// The fingerprint moves by this act alone; the store verifies; whoever has only one of the keys is told.
func TestRotatePseudonyms(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	deployAt(t, dir, "a")
	signingKeys(t)
	key := func(letters ...string) string {
		var keys []string
		for _, l := range letters {
			keys = append(keys, base64.StdEncoding.EncodeToString([]byte(strings.Repeat(l, 32))))
		}
		return strings.Join(keys, ",")
	}
	first := schemas.MustDate("2026-06-29")
	publishNight(t, dir, first, edgeOfTheStack(first)) // which sets it up, by no key
	identity := strings.Replace(string(read(t, dir, store.IdentityFile)), `"key"`,
		`"`+pseudonym.Fingerprint([]byte(strings.Repeat("a", 32)))+`"`, 1)
	if err := os.WriteFile(filepath.Join(dir, store.IdentityFile), []byte(identity), 0o600); err != nil {
		t.Fatal(err)
	}
	st, err := openStoreAt(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	was, err := pseudonym.New([]byte(strings.Repeat("a", 32)))
	if err != nil {
		t.Fatal(err)
	}
	event := schemas.TaskingEvent{Number: 1, Kind: schemas.EventIssued, Team: "Hackney"}
	tasking := &schemas.Tasking{Reference: was("S-07"), Version: 1, OnStack: true, Team: "Hackney", State: schemas.TaskingIssued,
		Events: []schemas.TaskingEvent{event}}
	if err := errors.Join(casework.Save(t.Context(), st, tasking), st.Close()); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		scenario, keys, command, want string
		fails                         bool
	}{
		{"before", "a", "verify --adopt --why test", "taken for old", false},
		{"a look", "a", "explain S-07 --as-of 2026-06-29 --why look", "", false},
		{"one key", "b", "keys rotate-pseudonyms --why x", "give the new key, a comma, and the one in use", true},
		{"no reason", "b a", "keys rotate-pseudonyms", "--why", true},
		{"from another key", "b c", "keys rotate-pseudonyms --why x", "and the store's has", true},
		{"without the rotation", "b a", "setup", "HARMSTACK_PSEUDONYM_KEY is another key", true},
		{"rotate", "b a", "keys rotate-pseudonyms --why x", "1 person keeps their name", false},
		{"once more", "b a", "keys rotate-pseudonyms --why x", "goes by this key already", false},
		{"the old key alone", "a", "setup", "HARMSTACK_PSEUDONYM_KEY is another key", true},
		{"the new key alone", "b", "subject S-07 --why look", "lacks the key", true},
		{"both", "b a", "setup", "was set up before", false},
		{"both", "b a", "explain S-07 --as-of 2026-06-29 --why look", "", false},
		{"whoever is looked for is found by every name", "b a", "subject S-07 --why look", "looked at position", false},
		{"and their tasking", "b a", "subject S-07 --why look", "Tasking " + was("S-07"), false},
		{"verify", "b a", "verify", "Everything is as it was written", false},
	} {
		t.Setenv("HARMSTACK_PSEUDONYM_KEY", key(strings.Fields(step.keys)...))
		said, err := run(t, strings.Fields(step.command)...)
		if err != nil {
			said += err.Error()
		}
		if (err != nil) != step.fails || !strings.Contains(said, step.want) {
			t.Errorf("%s: %s", step.scenario, said)
		}
	}
}
