package sources

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"harmstack/activities/extract"
)

// Whoever may put a link into an extract's folder does not have the worker read what lies elsewhere.
func TestLinksOutOfAFolder(t *testing.T) {
	t.Parallel()
	other := filepath.Join(t.TempDir(), "other.parquet")
	if err := parquet.WriteFile(other, offences("B", 2)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		scenario, to string
		taken        bool
	}{
		{"to a file of the folder", "a.parquet", true},
		{"to a file elsewhere", other, false},
		{"to nothing", "none.parquet", false},
		{"up and out", "../../../../etc/hosts", false},
		{"to a folder", filepath.Dir(other), false},
	} {
		dir := filepath.Join(t.TempDir(), "extract")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		err := errors.Join(parquet.WriteFile(filepath.Join(dir, "a.parquet"), offences("A", 3)),
			os.Symlink(c.to, filepath.Join(dir, "b.parquet")))
		if err != nil {
			t.Fatal(err)
		}
		o, err := Open(t.Context(), dir, Options{})
		if err == nil {
			o.Close()
		}
		if c.taken != (err == nil) || err != nil && (!errors.Is(err, extract.ErrNoSource) || strings.Contains(err.Error(), other)) {
			t.Errorf("%s: %v", c.scenario, err)
		}
	}
	dir := t.TempDir()
	if err := parquet.WriteFile(filepath.Join(dir, "a.parquet"), offences("A", 3)); err != nil {
		t.Fatal(err)
	}
	p := &place{path: dir, name: dir}
	files, err := p.list(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// The file is replaced by a link after the folder was listed.
	if err := errors.Join(os.Remove(filepath.Join(dir, "a.parquet")), os.Symlink(other, filepath.Join(dir, "a.parquet"))); err != nil {
		t.Fatal(err)
	}
	if f, _, err := p.open(t.Context(), files[0], ""); err == nil {
		f.Close()
		t.Error("a link out of the folder was opened")
	}
}
