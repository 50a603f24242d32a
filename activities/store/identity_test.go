package store

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"harmstack/activities/store/s3test"
	"harmstack/schemas"
)

func TestSetUp(t *testing.T) {
	for kind, url := range map[string]string{"folder": filepath.Join(t.TempDir(), "new", "store"), "S3": s3test.New(t).URL} {
		t.Run(kind, func(t *testing.T) {
			if _, _, err := OpenSetUp(t.Context(), url); !errors.Is(err, ErrNotSetUp) || !strings.Contains(err.Error(), "starter setup") {
				t.Fatalf("error %v", err)
			}
			st := open(t, url)
			id, made, adopted, err := st.SetUp(t.Context(), "north", "f00d")
			if err != nil || !made || adopted || len(id.Store) < 20 || id.Layout != 1 || id.Deployment != "north" || id.PseudonymKey != "f00d" {
				t.Fatalf("%+v, %v, %v, %v", id, made, adopted, err)
			}
			again, made, _, err := open(t, url).SetUp(t.Context(), "north", "f00d")
			if err != nil || made || again != id {
				t.Errorf("%+v, %v, %v", again, made, err)
			}
			for name, c := range map[string]struct{ deployment, fingerprint, says string }{
				"another key":        {"north", "beef", "HARMSTACK_PSEUDONYM_KEY is another key (fingerprint beef) than the one it was set up with (f00d)"},
				"another deployment": {"", "f00d", `it belongs to the deployment "north"`},
			} {
				if _, _, _, err := open(t, url).SetUp(t.Context(), c.deployment, c.fingerprint); !errors.Is(err, ErrOtherStore) || !strings.Contains(err.Error(), c.says) {
					t.Errorf("%s: %v", name, err)
				}
			}
			if err := id.Match("north", ""); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestSetUpLooksAtWhatIsThere(t *testing.T) {
	for name, c := range map[string]struct {
		file    string
		adopted bool
		says    string
	}{
		"nights of an earlier version": {"nights/2026-06-30/r1/manifest.json", true, ""},
		"a new volume":                 {"lost+found/x", false, ""},
		"what is somebody else's":      {"holiday.jpg", false, "other files than Harmstack's"},
	} {
		t.Run(name, func(t *testing.T) {
			for kind, url := range map[string]string{"folder": t.TempDir(), "S3": s3test.New(t).URL} {
				st := open(t, url)
				write(t, st, c.file, "x")
				_, made, adopted, err := st.SetUp(t.Context(), "", "f00d")
				if adopted != c.adopted || made != (c.says == "") || err == nil != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
					t.Errorf("%s: made %v, adopted %v, %v", kind, made, adopted, err)
				}
			}
		})
	}
}

func TestStoreOfANewerVersion(t *testing.T) {
	st := open(t, t.TempDir())
	data, err := json.Marshal(Identity{Store: "x", Layout: Layout + 1})
	if err != nil {
		t.Fatal(err)
	}
	write(t, st, IdentityFile, string(data))
	if _, err := st.Recognise(t.Context()); err == nil || !strings.Contains(err.Error(), "newer version") {
		t.Errorf("error %v", err)
	}
}

// The volume goes away under a running process, and another comes in its place: nothing is read there or written, and
// when it is back all goes on.
func TestVolumeGoesAway(t *testing.T) {
	above := t.TempDir()
	dir, away := filepath.Join(above, "store"), filepath.Join(above, "away")
	if _, _, _, err := open(t, dir).SetUp(t.Context(), "", "f00d"); err != nil {
		t.Fatal(err)
	}
	st, _, err := OpenSetUp(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	ref := write(t, st, "nights/x", "hello")
	all := func() map[string]error {
		_, read := st.Read(t.Context(), "current.json")
		_, size := st.Size(t.Context(), "current.json")
		_, opened := st.Open(t.Context(), ref)
		_, list := st.List(t.Context(), "nights/")
		_, written := st.Write(t.Context(), "nights/y", "", func(io.Writer) (int64, error) { return 0, nil })
		_, linked := st.Link(t.Context(), ref, "nights/z")
		return map[string]error{"read": read, "size": size, "open": opened, "list": list, "write": written, "link": linked,
			"create": st.CreateOnly(t.Context(), "nights/claim", nil), "writable": st.Writable("audit/")}
	}
	for name, c := range map[string]struct {
		put  func() error
		want error
	}{
		"an empty mount point": {func() error { return os.Mkdir(dir, 0o700) }, ErrNotSetUp},
		"another store": {func() error {
			_, _, _, err := open(t, dir).SetUp(t.Context(), "", "f00d")
			return err
		}, ErrOtherStore},
	} {
		t.Run(name, func(t *testing.T) {
			if err := errors.Join(os.Rename(dir, away), c.put()); err != nil {
				t.Fatal(err)
			}
			before := tree(t, dir)
			for what, err := range all() {
				if !errors.Is(err, c.want) || errors.Is(err, ErrNotFound) {
					// An artefact that is not there says so first; another store may have one of that name.
					t.Errorf("%s: %v", what, err)
				}
			}
			if after := tree(t, dir); len(after) != len(before) {
				t.Errorf("before %q, after %q", before, after)
			}
			if err := errors.Join(os.RemoveAll(dir), os.Rename(away, dir)); err != nil {
				t.Fatal(err)
			}
			if _, err := st.Open(t.Context(), schemas.ArtifactRef(ref)); err != nil {
				t.Error(err)
			}
		})
	}
}
