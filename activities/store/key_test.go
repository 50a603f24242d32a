package store

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"harmstack/schemas"
)

// A reference that somebody made up opens nothing outside the store, and writes and deletes nothing there.
func TestKeysStayInTheStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"hidden", "store/.hidden", "store/nights/hidden"} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte("hello"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	for _, url := range []string{filepath.Join(dir, "store"), "mem://"} {
		st := open(t, url)
		good := write(t, st, "nights/x", "hello")
		for scenario, key := range map[string]string{
			"nothing": "", "absolute": "/etc/hidden", "up": "../hidden", "up from below": "nights/../../hidden",
			"up and in again": "nights/../nights/hidden", "here": "./nights/hidden", "here in the middle": "nights/./hidden",
			"an empty element": "nights//hidden", "a folder": "nights/hidden/", "a backslash": `nights\hidden`,
			"a hidden file": ".hidden", "a hidden folder": "nights/.git/hidden", "a null": "nights/hidden\x00",
			"a line": "nights/hid\nden", "the temporary folder's parent": tempFolder + "/../hidden",
		} {
			ref := good
			ref.URI = key
			_, opened := st.Open(t.Context(), ref)
			_, read := st.Read(t.Context(), key)
			_, size := st.Size(t.Context(), key)
			_, modified := st.Modified(t.Context(), key)
			_, from := st.Link(t.Context(), ref, "nights/y")
			_, to := st.Link(t.Context(), good, key)
			_, written := st.Write(t.Context(), key, "text", nil)
			for what, err := range map[string]error{"open": opened, "read": read, "size": size, "modified": modified,
				"link": from, "link to": to, "write": written, "create": st.CreateOnly(t.Context(), key, nil),
				"replace": st.Replace(t.Context(), key, nil), "delete": st.Delete(t.Context(), key)} {
				if !errors.Is(err, ErrKey) || strings.Contains(err.Error(), "hidden") {
					t.Errorf("%s: %s: %v", scenario, what, err)
				}
			}
		}
		if f, err := st.Open(t.Context(), schemas.ArtifactRef{URI: good.URI, SHA256: good.SHA256, Bytes: 5}); err != nil {
			t.Error(err)
		} else {
			f.Close()
		}
	}
}
