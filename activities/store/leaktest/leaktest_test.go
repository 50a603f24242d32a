package leaktest

import (
	"encoding/base64"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const secret = "S-0012345"

func TestFoundInEveryForm(t *testing.T) {
	t.Parallel()
	for before := range 4 {
		text := strings.Repeat("x", before) + secret + "yz"
		for name, data := range map[string]string{
			"as it is":  text,
			"hex":       hex.EncodeToString([]byte(text)),
			"HEX":       strings.ToUpper(hex.EncodeToString([]byte(text))),
			"base64":    base64.StdEncoding.EncodeToString([]byte(text)),
			"base64url": base64.URLEncoding.EncodeToString([]byte(text)),
		} {
			if got := Found([]byte(data), "S-0054321", secret); len(got) != 1 || got[0] != secret {
				t.Errorf("%s, %d before: %q", name, before, got)
			}
		}
	}
	if got := Found([]byte("S-001234"), secret); got != nil {
		t.Errorf("%q", got)
	}
}

func TestFoundInFolders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, content := range map[string]string{"a/clean": "nothing", "a/dirty": "x" + secret, "b/" + secret: ""} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := Folder(t, dir, secret); len(got) != 2 || got[filepath.Join(dir, "a", "dirty")] == nil || got[filepath.Join(dir, "b", secret)] == nil {
		t.Errorf("%q", got)
	}
}

func TestFoundInFilesWithoutAName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f, err := os.CreateTemp(dir, "*")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("x" + secret); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(f.Name()); err != nil {
		t.Fatal(err)
	}
	if size, got := OpenFiles(t, dir, secret); size != 10 || len(got) != 1 {
		t.Errorf("%d bytes, %q", size, got)
	}
}
