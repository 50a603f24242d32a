package cli

import (
	"encoding/base64"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"harmstack/activities/store"
	"harmstack/schemas"
)

// deployAt sets the environment of a deployment.
func deployAt(t *testing.T, dir, key string) {
	for name, value := range map[string]string{"HARMSTACK_STORE": dir, "HARMSTACK_PAYLOAD_KEYS": "none", "HARMSTACK_STORE_KEY": "none", "HARMSTACK_SIGNING_KEY": "none", "HARMSTACK_IDENTITY": "claimed", "HARMSTACK_OUTBOX": filepath.Join(t.TempDir(), "outbox"),
		"HARMSTACK_PSEUDONYM_KEY": base64.StdEncoding.EncodeToString([]byte(strings.Repeat(key, 32))), "TEMPORAL_ADDRESS": "127.0.0.1:1"} {
		t.Setenv(name, value)
	}
}

// below lists all that lies below a folder, with its owner and permissions.
func below(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err == nil {
			all = append(all, fmt.Sprint(path, info.Mode(), info.Sys().(*syscall.Stat_t).Uid))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// lookers are the commands that look at a store.
var lookers = []string{"stack --why x", "explain #1 --why x", "case #1 --why x", "diff 2026-06-29 2026-06-30 --why x", "lineage 2026-06-30", "status", "checks --as-of 2026-06-30", "tasking list", "tasking deliveries",
	"retention --dry-run", "report --why x --out x", "score --night 2026-06-30 --out x", "doctor"}

func TestSetup(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	deployAt(t, dir, "a")
	said, err := run(t, "setup")
	if err != nil || !strings.Contains(said, "is set up. Its identity is ") {
		t.Fatalf("%s, %v", said, err)
	}
	was := read(t, dir, store.IdentityFile)
	if strings.Contains(string(was), "YWFhYWFhY") {
		t.Errorf("the key stands in it: %s", was)
	}
	if said, err := run(t, "setup"); err != nil || !strings.Contains(said, "was set up before") || string(read(t, dir, store.IdentityFile)) != string(was) {
		t.Errorf("again: %s, %v", said, err)
	}
	if said, err := run(t, "status"); err != nil {
		t.Errorf("%s, %v", said, err)
	}
	deployAt(t, dir, "b")
	for _, command := range []string{"setup", "doctor"} {
		if said, err := run(t, command); err == nil || !strings.Contains(said+err.Error(), "HARMSTACK_PSEUDONYM_KEY is another key") {
			t.Errorf("%s with another key: %s, %v", command, said, err)
		}
	}
	deployAt(t, dir, "a")
	t.Setenv("HARMSTACK_DEPLOYMENT", "north")
	if said, err := run(t, "setup"); err == nil || !strings.Contains(err.Error(), `it belongs to the deployment ""`) {
		t.Errorf("under another name: %s, %v", said, err)
	}
	t.Setenv("HARMSTACK_DEPLOYMENT", "North.1")
	if _, err := run(t, "setup"); err == nil || !strings.Contains(err.Error(), "HARMSTACK_DEPLOYMENT") {
		t.Errorf("a name with a dot: %v", err)
	}
}

// A store that is not there is said to be that, and is not made by looking.
func TestLookingAtNoStore(t *testing.T) {
	for name, there := range map[string]bool{"no folder": false, "an empty mount point": true} {
		above := t.TempDir()
		dir := filepath.Join(above, "store")
		if there {
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		deployAt(t, dir, "a")
		before := below(t, above)
		for _, command := range lookers {
			said, err := run(t, strings.Fields(command)...)
			if err == nil || !strings.Contains(said+err.Error(), "its volume is not mounted, or it is new: then run `starter setup` once") {
				t.Errorf("%s: %s: %s, %v", name, command, said, err)
			}
		}
		if after := below(t, above); !slices.Equal(before, after) {
			t.Errorf("%s: before %q, after %q", name, before, after)
		}
	}
}

// What root looks at stays usable for the store's own user, and looking leaves nothing but entries of the log.
func TestRootLooks(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("nobody but root can look as root")
		return
	}
	dir := filepath.Join(t.TempDir(), "store")
	deployAt(t, dir, "a")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if _, err := run(t, "setup"); err != nil {
		t.Fatal(err)
	}
	before := below(t, dir)
	for _, command := range lookers {
		_, _ = run(t, strings.Fields(command)...) // there is no night to look at
	}
	if after := below(t, dir); !slices.Equal(before, after) {
		t.Errorf("before %q, after %q", before, after)
	}
	st, err := store.Open(t.Context(), dir)
	if err == nil {
		err = look(t.Context(), st, "looked at the stack", schemas.NightID{AsOf: schemas.MustDate("2026-06-30"), Revision: 1}, "")
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range below(t, dir) {
		if !strings.HasSuffix(line, "65534") {
			t.Errorf("%s is not the store's", line)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "nights"), 0o700); err != nil { // as an older version left it
		t.Fatal(err)
	}
	if said, err := run(t, "doctor"); err == nil || !strings.Contains(said, filepath.Join(dir, "nights")+" belongs to another user than the store") {
		t.Errorf("%s, %v", said, err)
	}
}
