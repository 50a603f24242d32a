package store

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"harmstack/activities/store/leaktest"
	"harmstack/activities/store/s3test"
	"harmstack/activities/store/seal"
	"harmstack/schemas"
	"harmstack/schemas/fault"
)

// newKey is the URL of a key-encryption key.
func newKey(t *testing.T) string {
	t.Helper()
	key := make([]byte, 32)
	for i := range key {
		key[i] = byte(rand.IntN(256))
	}
	path := filepath.Join(t.TempDir(), "store.key")
	if err := os.WriteFile(path, []byte(base64.StdEncoding.EncodeToString(key)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return "file://" + path
}

// sealedStore sets a store up with a key.
func sealedStore(t *testing.T, url, key string) *Store {
	t.Helper()
	st := open(t, url)
	if _, _, _, err := st.SetUp(t.Context(), "", ""); err != nil {
		t.Fatal(err)
	}
	if err := st.Seal(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	return st
}

// unlocked opens a store as another process does.
func unlocked(t *testing.T, url, key string) *Store {
	t.Helper()
	st := open(t, url)
	if err := st.Unlock(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	return st
}

const (
	nightFile   = "nights/2026-06-30/r1/stack.parquet"
	extractFile = "nights/2026-06-30/r1/extract/part-0.parquet"
	recordFile  = "nights/2026-06-30/r1/manifest.json"
)

func contentOf(t *testing.T, st *Store, ref schemas.ArtifactRef) (string, error) {
	t.Helper()
	a, err := st.Open(t.Context(), ref)
	if err != nil {
		return "", err
	}
	defer a.Close()
	data, err := io.ReadAll(a.reader())
	return string(data), err
}

// What a sealed store gives back is what a plain one does, to the last digit of size and hash.
func TestSealedStoreIsUsedLikeAPlainOne(t *testing.T) {
	t.Parallel()
	s3 := s3test.New(t)
	for name, url := range map[string]string{"folder": t.TempDir(), "memory": "mem://", "S3": s3.URL} {
		t.Run(name, func(t *testing.T) {
			plain := open(t, t.TempDir())
			st := sealedStore(t, url, newKey(t))
			st.Temp = t.TempDir()
			for _, size := range []int{0, 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 300_000} {
				content := strings.Repeat("S-0012345 ", size/10+1)[:size]
				ref := write(t, st, nightFile, content)
				if want := write(t, plain, nightFile, content); ref != want {
					t.Errorf("%+v, want %+v", ref, want)
				}
				if n, err := st.Size(t.Context(), nightFile); n != int64(size) || err != nil {
					t.Errorf("size %d, want %d, %v", n, size, err)
				}
				for range 2 { // the second time it is verified already
					if got, err := contentOf(t, st, ref); got != content || err != nil {
						t.Fatalf("%d: %d bytes, %v", size, len(got), err)
					}
				}
				if got, err := st.Read(t.Context(), nightFile); string(got) != content || err != nil {
					t.Errorf("read %d bytes, %v", len(got), err)
				}
				a, err := st.Open(t.Context(), ref)
				if err != nil {
					t.Fatal(err)
				}
				defer a.Close()
				for range 20 {
					at, n := rand.IntN(size+1), rand.IntN(150_000)
					to := make([]byte, n)
					got, err := a.ReadAt(to, int64(at))
					if want := content[at:min(size, at+n)]; string(to[:got]) != want || err != nil && !errors.Is(err, io.EOF) {
						t.Fatalf("%d bytes at %d of %d: %d, %v", n, at, size, got, err)
					}
				}
				other, err := st.Link(t.Context(), ref, "nights/2026-07-01/r1/stack.parquet")
				if err != nil || other.SHA256 != ref.SHA256 {
					t.Fatalf("%+v, %v", other, err)
				}
				if got, err := contentOf(t, st, other); got != content || err != nil {
					t.Errorf("linked: %d bytes, %v", len(got), err)
				}
			}
			if err := st.CreateOnly(t.Context(), "audit/1.json", []byte("one")); err != nil {
				t.Error(err)
			}
			if err := st.CreateOnly(t.Context(), "audit/1.json", []byte("two")); !errors.Is(err, ErrExists) {
				t.Errorf("error %v", err)
			}
			if err := errors.Join(st.Replace(t.Context(), "current.json", []byte("a")), st.Replace(t.Context(), "current.json", []byte("b"))); err != nil {
				t.Error(err)
			}
			if got, err := st.Read(t.Context(), "current.json"); string(got) != "b" || err != nil {
				t.Errorf("%q, %v", got, err)
			}
			if err := st.Probe(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	for _, key := range s3.Keys() {
		s3.Damage(key, func(data []byte) []byte {
			if bytes.Contains(data, []byte("S-0012345")) {
				t.Errorf("%s can be read", key)
			}
			return data
		})
	}
}

// What is fetched from a bucket lies sealed in the temporary folder, whether the store is or not.
func TestFetchedFromABucketCannotBeRead(t *testing.T) {
	t.Parallel()
	st := open(t, s3test.New(t).URL)
	st.Temp = t.TempDir()
	a, err := st.Open(t.Context(), write(t, st, nightFile, strings.Repeat("S-0012345 ", 20_000)))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if size, found := leaktest.OpenFiles(t, st.Temp, "S-0012345"); size == 0 || len(found) > 0 {
		t.Errorf("%d bytes fetched, %q found", size, found)
	}
}

func TestSealedFilesHaveAPlaceAndAWhole(t *testing.T) {
	t.Parallel()
	dir, key := t.TempDir(), newKey(t)
	st := sealedStore(t, dir, key)
	long := strings.Repeat("S-0012345 ", 20_000) // four packages
	for scenario, tamper := range map[string]func(file string, sealed []byte) []byte{
		"a byte":           func(_ string, b []byte) []byte { b[len(b)/2] ^= 1; return b },
		"the salt":         func(_ string, b []byte) []byte { b[30] ^= 1; return b },
		"the padding":      func(_ string, b []byte) []byte { b[127] ^= 1; return b },
		"a byte less":      func(_ string, b []byte) []byte { return b[:len(b)-1] },
		"a package less":   func(_ string, b []byte) []byte { return b[:128+3*(64<<10+32)] },
		"the header alone": func(_ string, b []byte) []byte { return b[:128] },
		"half a header":    func(_ string, b []byte) []byte { return b[:60] },
		"nothing":          func(string, []byte) []byte { return nil },
		"a byte more":      func(_ string, b []byte) []byte { return append(b, 0) },
		"another file": func(file string, _ []byte) []byte {
			b, err := os.ReadFile(filepath.Join(dir, strings.Replace(file, "r1", "r2", 1)))
			if err != nil {
				t.Fatal(err)
			}
			return b
		},
		"two packages swapped": func(_ string, b []byte) []byte {
			first, second := b[128:128+64<<10+32], b[128+64<<10+32:128+2*(64<<10+32)]
			return append(append(append(bytes.Clone(b[:128]), second...), first...), b[128+2*(64<<10+32):]...)
		},
		"content without a seal": func(string, []byte) []byte { return []byte(long) },
	} {
		t.Run(scenario, func(t *testing.T) {
			ref := write(t, st, nightFile, long)
			write(t, st, strings.Replace(nightFile, "r1", "r2", 1), long)
			path := filepath.Join(dir, nightFile)
			sealed, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, tamper(nightFile, sealed), 0o600); err != nil {
				t.Fatal(err)
			}
			_, openErr := contentOf(t, unlocked(t, dir, key), ref)
			_, readErr := unlocked(t, dir, key).Read(t.Context(), nightFile)
			for _, err := range []error{openErr, readErr} {
				if err == nil || !strings.Contains(err.Error(), nightFile) || fault.Kind(err) == "" {
					t.Errorf("error %v", err)
				}
				if bare := scenario == "content without a seal" || scenario == "nothing"; bare != errors.Is(err, seal.ErrNotSealed) {
					t.Errorf("error %v", err)
				}
			}
		})
	}
}

// Who also forges the reference cuts a file where a package ends, and is found out by the seal alone.
func TestSealedFileCutWhereAPackageEnds(t *testing.T) {
	t.Parallel()
	dir, key := t.TempDir(), newKey(t)
	st := sealedStore(t, dir, key)
	write(t, st, nightFile, strings.Repeat("x", 300_000))
	forged := write(t, open(t, t.TempDir()), nightFile, strings.Repeat("x", 3*64<<10-1))
	if err := os.Truncate(filepath.Join(dir, nightFile), 128+3*(64<<10+32)); err != nil {
		t.Fatal(err)
	}
	if _, err := contentOf(t, unlocked(t, dir, key), forged); !errors.Is(err, seal.ErrDamaged) {
		t.Errorf("error %v", err)
	}
}

// copyOf copies a folder, as a backup or a thief does.
func copyOf(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// restore puts the nights of a copy back.
func restore(t *testing.T, dir, from string) {
	t.Helper()
	to := filepath.Join(dir, "nights")
	if err := errors.Join(os.RemoveAll(to), os.CopyFS(to, os.DirFS(filepath.Join(from, "nights")))); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsShreddedIsGoneFromEveryCopy(t *testing.T) {
	t.Parallel()
	dir, key := t.TempDir(), newKey(t)
	st := sealedStore(t, dir, key)
	stack, rows, record := write(t, st, nightFile, "S-0012345"), write(t, st, extractFile, "S-0012345"), write(t, st, recordFile, "{}")
	reused, err := st.Link(t.Context(), rows, strings.Replace(extractFile, "06-30", "07-01", 1))
	if err != nil {
		t.Fatal(err)
	}
	backup := copyOf(t, dir)
	shred := func(part schemas.NightPart) {
		t.Helper()
		n, err := st.Shred(t.Context(), func(asOf schemas.Date, of schemas.NightPart) bool {
			return asOf == schemas.MustDate("2026-06-30") && of == part
		})
		if n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	reads := func(ref schemas.ArtifactRef, want error) {
		t.Helper()
		for _, st := range []*Store{st, unlocked(t, dir, key)} { // this process has had the key
			if got, err := contentOf(t, st, ref); !errors.Is(err, want) || want == nil && got == "" {
				t.Errorf("%s: %q, %v", ref.URI, got, err)
			}
		}
	}
	shred(schemas.NightRows)
	reads(rows, seal.ErrKeyGone)
	reads(stack, nil)
	reads(reused, nil)
	shred(schemas.NightResult)
	reads(stack, seal.ErrKeyGone)
	reads(record, nil)

	// The night is run again: it has another key, and the copy stays unreadable.
	again := write(t, st, nightFile, "S-0054321")
	reads(again, nil)
	restore(t, dir, backup)
	reads(stack, seal.ErrKeyGone)
	reads(record, nil)
	if _, err := st.Read(t.Context(), nightFile); !errors.Is(err, seal.ErrKeyGone) || fault.Kind(err) != fault.DisposedOf {
		t.Errorf("error %v", err)
	}
}

func TestRotationTouchesNoData(t *testing.T) {
	t.Parallel()
	dir, old, next := t.TempDir(), newKey(t), newKey(t)
	st := sealedStore(t, dir, old)
	ref, record := write(t, st, nightFile, "S-0012345"), write(t, st, recordFile, "{}")
	files := func() (all []string) {
		for _, file := range []string{nightFile, recordFile} {
			data, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, string(data))
		}
		return all
	}
	before, backup := files(), copyOf(t, dir)

	// It breaks off behind the mark, and goes on.
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	if n, err := open(t, dir).Rotate(interrupted, old, next); err == nil {
		t.Errorf("%d, %v", n, err)
	}
	n, err := open(t, dir).Rotate(t.Context(), old, next)
	if n != 3 || err != nil { // the night's, the records', and the mark
		t.Errorf("%d, %v", n, err)
	}
	if n, err := open(t, dir).Rotate(t.Context(), old, next); n != 0 || err != nil {
		t.Errorf("again: %d, %v", n, err)
	}
	if !slices.Equal(files(), before) {
		t.Error("data was written")
	}
	for _, ref := range []schemas.ArtifactRef{ref, record} {
		if got, err := contentOf(t, unlocked(t, dir, next), ref); got == "" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
	// Who has only the old key can do nothing: at the start, while it runs, and for a night without a data key.
	if err := open(t, dir).Unlock(t.Context(), old); !errors.Is(err, seal.ErrOtherKey) {
		t.Errorf("error %v", err)
	}
	if _, err := contentOf(t, st, ref); !errors.Is(err, seal.ErrOtherKey) || !strings.Contains(err.Error(), "give the new one") {
		t.Errorf("error %v", err)
	}
	_, err = st.Write(t.Context(), "nights/2026-07-02/r1/stack.parquet", "", func(io.Writer) (int64, error) { return 0, nil })
	if !errors.Is(err, seal.ErrOtherKey) {
		t.Errorf("error %v", err)
	}
	// Once the old key is destroyed, so is a copy that has its data keys in it.
	if err := open(t, backup).Unlock(t.Context(), next); !errors.Is(err, seal.ErrOtherKey) {
		t.Errorf("error %v", err)
	}
}

func TestInterruptedRotation(t *testing.T) {
	t.Parallel()
	dir, old, next := t.TempDir(), newKey(t), newKey(t)
	st := sealedStore(t, dir, old)
	ref := write(t, st, nightFile, "S-0012345")
	halfway := filepath.Join(dir, "keys", "night-2026-06-30.json")
	wrapped, err := os.ReadFile(halfway)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.Rotate(t.Context(), old, next); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(halfway, wrapped, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := contentOf(t, unlocked(t, dir, next), ref); !errors.Is(err, seal.ErrOtherKey) || !strings.Contains(err.Error(), "starter keys rotate") {
		t.Errorf("error %v", err)
	}
	if n, err := st.Rotate(t.Context(), old, next); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if got, err := contentOf(t, unlocked(t, dir, next), ref); got == "" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestUnlockFitsTheStore(t *testing.T) {
	t.Parallel()
	dir, key := t.TempDir(), newKey(t)
	ref := write(t, sealedStore(t, dir, key), nightFile, "hello")
	plain := t.TempDir()
	write(t, open(t, plain), nightFile, "hello")
	short := filepath.Join(t.TempDir(), "short.key")
	if err := os.WriteFile(short, []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	for scenario, c := range map[string]struct {
		dir, key string
		want     error
		says     string
	}{
		"sealed, none":                 {dir, seal.None, ErrSealed, "HARMSTACK_STORE_KEY"},
		"sealed, nothing said":         {dir, "", ErrSealed, "HARMSTACK_STORE_KEY"},
		"sealed, another key":          {dir, newKey(t), seal.ErrOtherKey, "it is file-"},
		"plain, a key":                 {plain, key, ErrPlain, "not sealed"},
		"plain, none":                  {plain, seal.None, nil, ""},
		"plain, nothing said":          {plain, "", nil, ""},
		"no key in the file":           {dir, "file://" + short, nil, "openssl rand -base64 32"},
		"no such file":                 {dir, "file:///nowhere/hunter2.key", nil, "cannot be read"},
		"a path":                       {dir, "/etc/hunter2", nil, "give file:///path"},
		"two slashes":                  {dir, "file://etc/hunter2", nil, "three slashes"},
		"the key itself":               {dir, "base64key://hunter2", nil, "put it into a file"},
		"a service that nobody drives": {dir, "nowhere://hunter2", nil, "-tags kms"},
	} {
		t.Run(scenario, func(t *testing.T) {
			err := open(t, c.dir).Unlock(t.Context(), c.key)
			if c.want != nil && !errors.Is(err, c.want) || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") && scenario != "no such file" {
				t.Errorf("it gives the value away: %v", err)
			}
		})
	}
	// Who opens it and asks no further gets no gibberish.
	if _, err := contentOf(t, open(t, dir), ref); !errors.Is(err, ErrSealed) {
		t.Errorf("error %v", err)
	}
	if _, err := open(t, dir).Read(t.Context(), nightFile); !errors.Is(err, ErrSealed) {
		t.Errorf("error %v", err)
	}
	// A store that holds plain files does not become a sealed one by being set up.
	st := open(t, plain)
	if _, _, _, err := st.SetUp(t.Context(), "", ""); err != nil {
		t.Fatal(err)
	}
	if err := st.Seal(t.Context(), key); !errors.Is(err, ErrPlain) {
		t.Errorf("error %v", err)
	}
}

// A store of before becomes a sealed one; a process that dies meanwhile is completed by the next.
func TestPlainStoreIsSealed(t *testing.T) {
	t.Parallel()
	for name, url := range map[string]string{"folder": t.TempDir(), "S3": s3test.New(t).URL} {
		t.Run(name, func(t *testing.T) {
			key, st := newKey(t), open(t, url)
			if _, _, _, err := st.SetUp(t.Context(), "", ""); err != nil {
				t.Fatal(err)
			}
			long := strings.Repeat("S-0012345 ", 20_000)
			stack := write(t, st, nightFile, long)
			linked, err := st.Link(t.Context(), stack, strings.Replace(nightFile, "r1", "r2", 1))
			if err != nil {
				t.Fatal(err)
			}
			refs := []schemas.ArtifactRef{stack, linked, write(t, st, recordFile, "{}"), write(t, st, "audit/1.json", "")}
			ctx, die := context.WithCancel(t.Context())
			if n, err := open(t, url).SealPlain(ctx, key, func(n, of int) {
				if n == of/2 {
					die()
				}
			}); err == nil || n == 0 || n == len(refs) {
				t.Fatalf("%d, %v: it did not break off", n, err)
			}
			if err := open(t, url).Unlock(t.Context(), seal.None); !errors.Is(err, ErrSealed) {
				t.Errorf("half-way: %v", err)
			}
			total := 0
			for range 2 {
				n, err := open(t, url).SealPlain(t.Context(), key, nil)
				if err != nil {
					t.Fatal(err)
				}
				total += n
			}
			if total == 0 || total >= len(refs) {
				t.Errorf("%d files were written again", total)
			}
			for _, ref := range refs {
				want := long
				if ref.Bytes < 10 {
					want = "{}"[:ref.Bytes]
				}
				if got, err := contentOf(t, unlocked(t, url, key), ref); got != want || err != nil {
					t.Errorf("%s: %d bytes, %v", ref.URI, len(got), err)
				}
			}
			if name == "folder" {
				if found := leaktest.Folder(t, url, "S-0012345"); len(found) > 0 {
					t.Errorf("%q", found)
				}
			}
			if _, err := open(t, url).SealPlain(t.Context(), newKey(t), nil); !errors.Is(err, seal.ErrOtherKey) {
				t.Errorf("another key: %v", err)
			}
		})
	}
}

// Two files of data keys that change places would let one night be read under the other's name.
func TestDataKeysHaveNames(t *testing.T) {
	t.Parallel()
	dir, key := t.TempDir(), newKey(t)
	st := sealedStore(t, dir, key)
	ref := write(t, st, nightFile, "hello")
	write(t, st, extractFile, "hello")
	a, b := filepath.Join(dir, "keys", "night-2026-06-30.json"), filepath.Join(dir, "keys", "extract-2026-06-30.json")
	data, err := os.ReadFile(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"extract-2026-06-30", "night-2026-06-30"} {
		if err := os.WriteFile(a, bytes.Replace(data, []byte("extract-2026-06-30"), []byte(name), 1), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := contentOf(t, st, ref); !errors.Is(err, seal.ErrDamaged) {
			t.Errorf("error %v", err)
		}
	}
}

func TestSealedReaderKeepsToTheContract(t *testing.T) {
	t.Parallel()
	st := sealedStore(t, t.TempDir(), newKey(t))
	ref := write(t, st, nightFile, "hello")
	a, err := st.Open(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if err := iotest.TestReader(a.reader(), []byte("hello")); err != nil {
		t.Error(err)
	}
}
