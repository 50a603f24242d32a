// Package leaktest looks for what must not be readable, for tests: in folders, and in files without a name that this
// process has open. It must not know where secrets come from.
package leaktest

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Found are those of the secrets that stand in data: as they are, or in base64 or hex.
func Found(data []byte, secrets ...string) (found []string) {
	for _, secret := range secrets {
		for _, form := range forms(secret) {
			if bytes.Contains(data, form) {
				found = append(found, secret)
				break
			}
		}
	}
	return found
}

// forms of a secret: in base64 it looks in one of three ways, by where it begins.
func forms(secret string) [][]byte {
	lower := hex.EncodeToString([]byte(secret))
	all := [][]byte{[]byte(secret), []byte(lower), []byte(strings.ToUpper(lower))}
	for shift := range 3 {
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			text := encoding.EncodeToString(append(make([]byte, shift), secret...))
			from, to := (8*shift+5)/6, (8*(shift+len(secret)))/6 // the characters that nothing else is in
			all = append(all, []byte(text[from:to]))
		}
	}
	return all
}

// Folder finds secrets in the names and the content of all that lies below a folder, by file.
func Folder(t testing.TB, dir string, secrets ...string) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil // it went meanwhile
		}
		if err != nil {
			return err
		}
		in := Found([]byte(strings.TrimPrefix(path, dir)), secrets...)
		if e.Type().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil && !os.IsNotExist(err) {
				return err
			}
			in = append(in, Found(data, secrets...)...)
		}
		if len(in) > 0 {
			found[path] = in
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// OpenFiles finds secrets in the files below a folder that this process has open, also those without a name, and says
// how many bytes they hold. Where there is no /proc it skips the test.
func OpenFiles(t testing.TB, dir string, secrets ...string) (size int64, found []string) {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc here")
	}
	for _, fd := range open {
		path := filepath.Join("/proc/self/fd", fd.Name())
		if where, err := os.Readlink(path); err != nil || !strings.HasPrefix(where, dir+"/") {
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil {
			continue // closed meanwhile
		}
		size += int64(len(data))
		found = append(found, Found(data, secrets...)...)
	}
	return size, found
}
