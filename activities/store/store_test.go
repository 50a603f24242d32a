package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"harmstack/activities/store/s3test"
	"harmstack/schemas"
)

func open(t *testing.T, url string) *Store {
	t.Helper()
	st, err := Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

// write stores content under key and returns its reference.
func write(t *testing.T, st *Store, key, content string) schemas.ArtifactRef {
	t.Helper()
	ref, err := st.Write(t.Context(), key, "text", func(w io.Writer) (int64, error) {
		_, err := io.WriteString(w, content)
		return 3, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// kinds are the URLs of every kind of store.
func kinds(t *testing.T) map[string]string {
	return map[string]string{"folder": t.TempDir(), "file URL": "file://" + t.TempDir() + "/new/folder", "bucket": "mem://", "S3": s3test.New(t).URL}
}

// Every kind of store behaves the same.
func TestStore(t *testing.T) {
	for name, url := range kinds(t) {
		t.Run(name, func(t *testing.T) {
			st := open(t, url)
			if err := st.Probe(t.Context()); err != nil {
				t.Error(err)
			}
			ref := write(t, st, "nights/a b/x.parquet", "hello")
			want := schemas.ArtifactRef{URI: "nights/a b/x.parquet", SHA256: "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824", Rows: 3, Bytes: 5, Schema: "text"}
			if ref != want {
				t.Errorf("reference %+v", ref)
			}
			a, err := st.Open(t.Context(), ref)
			if err != nil {
				t.Fatal(err)
			}
			defer a.Close()
			b := make([]byte, 3)
			if _, err := a.ReadAt(b, 2); err != nil || string(b) != "llo" || a.Size() != 5 {
				t.Errorf("read %q, %v", b, err)
			}
			if _, err := st.Read(t.Context(), "nights/none"); !errors.Is(err, ErrNotFound) {
				t.Errorf("read of nothing: %v", err)
			}
			if _, err := st.Open(t.Context(), schemas.ArtifactRef{URI: "none"}); !errors.Is(err, ErrNotFound) {
				t.Errorf("open of nothing: %v", err)
			}
			if _, err := st.Size(t.Context(), "none"); !errors.Is(err, ErrNotFound) {
				t.Errorf("size of nothing: %v", err)
			}
			if err := st.CreateOnly(t.Context(), "nights/claim", []byte("1")); err != nil {
				t.Error(err)
			}
			if err := st.CreateOnly(t.Context(), "nights/claim", []byte("2")); !errors.Is(err, ErrExists) {
				t.Errorf("second create: %v", err)
			}
			if data, err := st.Read(t.Context(), "nights/claim"); err != nil || string(data) != "1" {
				t.Errorf("claim is %q, %v", data, err)
			}
			if err := st.Replace(t.Context(), "current.json", []byte("old")); err != nil {
				t.Error(err)
			}
			if err := st.Replace(t.Context(), "current.json", []byte("new")); err != nil {
				t.Error(err)
			}
			keys, err := st.List(t.Context(), "")
			if err != nil || !slices.Equal(keys, []string{"current.json", "nights/a b/x.parquet", "nights/claim"}) {
				t.Errorf("keys %q, %v", keys, err)
			}
			for range 2 {
				if err := st.Delete(t.Context(), "nights/claim"); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestDamageIsSeen(t *testing.T) {
	dir := t.TempDir()
	ref := write(t, open(t, dir), "x", "hello")
	for scenario, content := range map[string]string{"a changed byte": "hellO", "cut short": "hell", "grown": "hello!"} {
		if err := os.WriteFile(filepath.Join(dir, "x"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		// A process that has not seen the file before, as after a restart.
		if _, err := open(t, dir).Open(t.Context(), ref); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "run the night again") {
			t.Errorf("%s: %v", scenario, err)
		}
	}
}

// A file that was verified and then swapped is verified again.
func TestSwappedFileIsSeen(t *testing.T) {
	dir := t.TempDir()
	st := open(t, dir)
	ref := write(t, st, "x", "hello")
	a, err := st.Open(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	a.Close()
	write(t, st, "x", "HELLO")
	if _, err := st.Open(t.Context(), ref); !errors.Is(err, ErrDamaged) {
		t.Errorf("error %v", err)
	}
}

func TestNothingOfAFailedWriteIsSeen(t *testing.T) {
	for name, url := range kinds(t) {
		t.Run(name, func(t *testing.T) {
			st := open(t, url)
			broken := errors.New("the source broke")
			if _, err := st.Write(t.Context(), "x", "", func(w io.Writer) (int64, error) {
				w.Write(bytes.Repeat([]byte("half"), 1<<20))
				return 0, broken
			}); !errors.Is(err, broken) {
				t.Errorf("error %v", err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			if _, err := st.Write(ctx, "x", "", func(w io.Writer) (int64, error) {
				cancel()
				_, err := io.WriteString(w, "half")
				return 0, err
			}); !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
			if keys, err := st.List(t.Context(), ""); err != nil || len(keys) != 0 {
				t.Errorf("left behind: %q, %v", keys, err)
			}
		})
	}
}

// Of many creators, in one process and in several, one wins.
func TestOneCreatorWins(t *testing.T) {
	kinds := kinds(t)
	delete(kinds, "bucket") // each mem:// is another one
	for name, url := range kinds {
		t.Run(name, func(t *testing.T) { oneCreatorWins(t, []*Store{open(t, url), open(t, url)}) }) // two processes share no lock either
	}
}

func oneCreatorWins(t *testing.T, stores []*Store) {
	for round := range 30 {
		var won atomic.Int32
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				err := stores[i%2].CreateOnly(context.Background(), fmt.Sprintf("claim-%d", round), []byte{byte(i)})
				if err == nil {
					won.Add(1)
				} else if !errors.Is(err, ErrExists) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 {
			t.Fatalf("round %d: %d won", round, won.Load())
		}
	}
}

func TestOnlyTheOwnerReads(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	st := open(t, dir)
	write(t, st, "nights/x", "hello")
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s may be read by others: %s", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, url := range []string{"", "s3://bucket?secret_key=hunter2", "nowhere://x"} {
		if _, err := Open(t.Context(), url); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", url, err)
		}
	}
}

// A process killed in the middle of a write leaves no artefact, and does not hinder the next.
func TestKilledWriterLeavesNothing(t *testing.T) {
	if dir := os.Getenv("STORE_TEST_FOLDER"); dir != "" {
		st, err := Open(context.Background(), dir)
		if err != nil {
			os.Exit(2)
		}
		st.Write(context.Background(), "x", "", func(w io.Writer) (int64, error) {
			w.Write(make([]byte, 1<<20))
			fmt.Println("half")
			select {}
		})
		return
	}
	dir := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), "STORE_TEST_FOLDER="+dir)
	out, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, len("half"))); err != nil {
		t.Fatal(err)
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	child.Wait()
	st := open(t, dir)
	if keys, err := st.List(t.Context(), ""); err != nil || len(keys) != 0 {
		t.Errorf("left behind: %q, %v", keys, err)
	}
	write(t, st, "x", "hello")
	if n := st.Sweep(); n != 1 {
		t.Errorf("%d leftovers", n)
	}
}
