package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"harmstack/activities/store/s3test"
	"harmstack/schemas"
)

// tree lists all that lies below a folder, with owner, group and permissions.
func tree(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		stat := info.Sys().(*syscall.Stat_t)
		name, _ := filepath.Rel(dir, path)
		all = append(all, fmt.Sprintf("%s %s %d:%d", name, info.Mode(), stat.Uid, stat.Gid))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Whatever only looks makes nothing, neither in a store nor where there is none.
func TestReadingCreatesNothing(t *testing.T) {
	for name, make := range map[string]bool{"a store that is not there": false, "an empty folder": true} {
		t.Run(name, func(t *testing.T) {
			above := t.TempDir()
			dir := filepath.Join(above, "store")
			if make {
				if err := os.Mkdir(dir, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			before := tree(t, above)
			st := open(t, dir)
			_, readErr := st.Read(t.Context(), "current.json")
			_, sizeErr := st.Size(t.Context(), "current.json")
			_, openErr := st.Open(t.Context(), schemas.ArtifactRef{URI: "nights/x"})
			for _, err := range []error{readErr, sizeErr, openErr} {
				if !errors.Is(err, ErrNotFound) {
					t.Errorf("error %v", err)
				}
			}
			if keys, err := st.List(t.Context(), "nights/"); err != nil || len(keys) > 0 {
				t.Errorf("%q, %v", keys, err)
			}
			if err := errors.Join(st.Delete(t.Context(), "nights/x"), st.Writable("audit/")); err != nil {
				t.Error(err)
			}
			if _, err := st.Recognise(t.Context()); !errors.Is(err, ErrNotSetUp) {
				t.Errorf("error %v", err)
			}
			st.Sweep()
			if after := tree(t, above); !slices.Equal(before, after) {
				t.Errorf("before %q, after %q", before, after)
			}
		})
	}
}

// Of what lies in the folder of files being written, only that goes which nobody writes any more, however young.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	st := open(t, dir)
	err := st.commit(t.Context(), "nights/x", os.Rename, nil, func(w io.Writer) error {
		for _, name := range []string{"left", "probe-1", "probe-old"} {
			if err := os.WriteFile(filepath.Join(dir, tempFolder, name), []byte("half"), 0o600); err != nil {
				return err
			}
		}
		old := time.Now().Add(-leftover - time.Hour)
		if err := os.Chtimes(filepath.Join(dir, tempFolder, "probe-old"), old, old); err != nil {
			return err
		}
		if n := open(t, dir).Sweep(); n != 2 { // another process shares no descriptor either
			t.Errorf("%d went", n)
		}
		_, err := io.WriteString(w, "hello")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if data, err := st.Read(t.Context(), "nights/x"); err != nil || string(data) != "hello" {
		t.Errorf("%q, %v", data, err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, tempFolder)); err != nil || len(left) != 1 || left[0].Name() != "probe-1" {
		t.Errorf("left are %v, %v", left, err)
	}
}

// Sweeping all the time keeps nobody from writing.
func TestSweepBesideWriters(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	done := make(chan struct{})
	swept := make(chan struct{})
	go func() {
		defer close(swept)
		for st := open(t, dir); ; {
			select {
			case <-done:
				return
			default:
				st.Sweep()
			}
		}
	}()
	st := open(t, dir)
	for i := range 300 {
		ref := write(t, st, fmt.Sprintf("nights/%d/x", i), "hello")
		if _, err := st.Link(t.Context(), ref, fmt.Sprintf("nights/%d/y", i)); err != nil {
			t.Fatal(err)
		}
		if err := st.Delete(t.Context(), ref.URI); err != nil {
			t.Fatal(err)
		}
	}
	close(done)
	<-swept
	if keys, err := st.List(t.Context(), ""); err != nil || len(keys) != 300 {
		t.Errorf("%d files, %v", len(keys), err)
	}
}

// A second name is as good as the first, and in a folder costs nothing.
func TestLink(t *testing.T) {
	for name, url := range kinds(t) {
		t.Run(name, func(t *testing.T) {
			st := open(t, url)
			ref := write(t, st, "nights/r1/x", "hello")
			for range 2 { // what has the name already is replaced, also by itself
				to, err := st.Link(t.Context(), ref, "nights/r2/x")
				if want := ref; err != nil || to.URI != "nights/r2/x" || to.SHA256 != want.SHA256 || to.Rows != want.Rows || to.Bytes != want.Bytes || to.Schema != want.Schema {
					t.Fatalf("%+v, %v", to, err)
				}
				if st.Shares() {
					a, errA := os.Stat(st.path("nights/r1/x"))
					b, errB := os.Stat(st.path("nights/r2/x"))
					if errA != nil || errB != nil || !os.SameFile(a, b) {
						t.Errorf("two files, %v, %v", errA, errB)
					}
				}
			}
			if err := st.Delete(t.Context(), ref.URI); err != nil {
				t.Fatal(err)
			}
			if data, err := st.Read(t.Context(), "nights/r2/x"); err != nil || string(data) != "hello" {
				t.Errorf("%q, %v", data, err)
			}
			if _, err := st.Link(t.Context(), ref, "nights/r3/x"); !errors.Is(err, ErrNotFound) {
				t.Errorf("error %v", err)
			}
			other := write(t, st, "nights/r1/x", "HELLO")
			other.SHA256 = ref.SHA256
			if _, err := st.Link(t.Context(), other, "nights/r3/x"); !errors.Is(err, ErrDamaged) {
				t.Errorf("error %v", err)
			}
			if keys, err := st.List(t.Context(), ""); err != nil || !slices.Equal(keys, []string{"nights/r1/x", "nights/r2/x"}) {
				t.Errorf("%q, %v", keys, err)
			}
		})
	}
}

// A bucket is asked to copy by itself.
func TestLinkInABucket(t *testing.T) {
	s3 := s3test.New(t)
	st := open(t, s3.URL)
	ref := write(t, st, "nights/r1/a b", "hello")
	if _, err := st.Link(t.Context(), ref, "nights/r2/a b"); err != nil || s3.Copies() != 1 {
		t.Errorf("%d copies, %v", s3.Copies(), err)
	}
}

// What is fetched from a bucket goes into the folder that was set, and a folder that is not there is named.
func TestTemporaryFolder(t *testing.T) {
	st := open(t, s3test.New(t).URL)
	ref := write(t, st, "x", "hello")
	st.Temp = filepath.Join(t.TempDir(), "missing")
	if _, err := st.Open(t.Context(), ref); err == nil || !strings.Contains(err.Error(), st.Temp) || !strings.Contains(err.Error(), "HARMSTACK_TEMP") {
		t.Errorf("error %v", err)
	}
	if err := os.Mkdir(st.Temp, 0o700); err != nil {
		t.Fatal(err)
	}
	a, err := st.Open(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	open, _ := filepath.Glob("/proc/self/fd/*") // none where there is no such folder
	if len(open) > 0 && !slices.ContainsFunc(open, func(fd string) bool {
		where, _ := os.Readlink(fd)
		return strings.HasPrefix(where, st.Temp)
	}) {
		t.Error("it lies elsewhere")
	}
}

// asUser is who acts in TestOtherUsers.
const (
	worker  = 65534 // nobody
	officer = 65533 // no user by name
	group   = 65532
)

// Under other users: root breaks nothing for the store's own user, members of its group share it, and whoever may not
// is told so at once, with path, user and what to do.
func TestOtherUsers(t *testing.T) {
	if dir := os.Getenv("STORE_TEST_FOLDER"); dir != "" {
		st := open(t, dir)
		switch os.Getenv("STORE_TEST_DO") {
		case "set up":
			if _, _, _, err := st.SetUp(t.Context(), "", "key"); err != nil {
				t.Fatal(err)
			}
		case "write":
			if err := errors.Join(st.Writable("audit/"), st.CreateOnly(t.Context(), "audit/"+os.Getenv("STORE_TEST_KEY"), []byte("x"))); err != nil {
				t.Fatal(err)
			}
		case "read all":
			keys, err := st.List(t.Context(), "")
			for _, key := range keys {
				_, readErr := st.Read(t.Context(), key)
				err = errors.Join(err, readErr)
			}
			if err != nil || len(keys) == 0 {
				t.Fatal(keys, err)
			}
		}
		return
	}
	if os.Geteuid() != 0 {
		t.Log("nobody but root can act as somebody else")
		return
	}
	program := executable(t)
	as := func(uid int, dir, do, key string) (string, error) {
		child := exec.Command(program, "-test.run=^"+t.Name()+"$")
		child.Dir = "/"
		child.Env = append(os.Environ(), "STORE_TEST_FOLDER="+dir, "STORE_TEST_DO="+do, "STORE_TEST_KEY="+key)
		child.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid), Groups: []uint32{group}}}
		if uid == 0 {
			child.SysProcAttr = nil
		}
		out, err := child.CombinedOutput()
		return string(out), err
	}
	must := func(uid int, dir, do, key string) {
		t.Helper()
		if out, err := as(uid, dir, do, key); err != nil {
			t.Errorf("%d could not %s: %s", uid, do, out)
		}
	}
	t.Run("its owner's alone", func(t *testing.T) {
		dir := shared(t, 0o700, worker, worker)
		must(worker, dir, "set up", "")
		must(0, dir, "write", "1") // the first to write there
		must(worker, dir, "write", "2")
		must(worker, dir, "read all", "")
		if foreign, err := open(t, dir).Foreign(); foreign != "" || err != nil {
			t.Errorf("%s, %v", foreign, err)
		}
		before := tree(t, dir)
		for _, do := range []string{"write", "read all"} {
			out, err := as(officer, dir, do, "3")
			if err == nil || !strings.Contains(out, "not permitted: user 65533 may not") || !strings.Contains(out, dir) || !strings.Contains(out, "chgrp") {
				t.Errorf("%s: %v: %s", do, err, out)
			}
		}
		if after := tree(t, dir); !slices.Equal(before, after) {
			t.Errorf("before %q, after %q", before, after)
		}
	})
	t.Run("shared with a group, whatever the umask", func(t *testing.T) {
		dir := shared(t, 0o2770, worker, group)
		defer syscall.Umask(syscall.Umask(0o077)) // as under systemd
		must(0, dir, "set up", "")
		must(officer, dir, "write", "1")
		must(worker, dir, "write", "2")
		must(0, dir, "write", "3")
		must(worker, dir, "read all", "")
		must(officer, dir, "read all", "")
		if foreign, err := open(t, dir).Foreign(); foreign != "" || err != nil {
			t.Errorf("%s, %v", foreign, err)
		}
	})
	t.Run("what another left is found", func(t *testing.T) {
		dir := shared(t, 0o700, worker, worker)
		if err := os.Mkdir(filepath.Join(dir, "audit"), 0o700); err != nil {
			t.Fatal(err)
		}
		if foreign, err := open(t, dir).Foreign(); foreign != filepath.Join(dir, "audit") || err != nil {
			t.Errorf("%s, %v", foreign, err)
		}
		if out, err := as(worker, dir, "write", "1"); err == nil || !strings.Contains(out, "user nobody may not write "+dir+"/audit, which belongs to root:root with mode drwx------") {
			t.Errorf("%v: %s", err, out)
		}
	})
}

// executable is this test program where everybody may run it.
func executable(t *testing.T) string {
	t.Helper()
	program := filepath.Join(shared(t, 0o755, 0, 0), "test")
	if out, err := exec.Command("cp", os.Args[0], program).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return program
}

// shared is a folder of another user, which everybody can reach.
func shared(t *testing.T, mode os.FileMode, uid, gid int) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "harmstack-shared-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if mode&0o2000 != 0 {
		mode = mode&0o777 | os.ModeSetgid
	}
	if err := errors.Join(os.Chown(dir, uid, gid), os.Chmod(dir, mode)); err != nil {
		t.Fatal(err)
	}
	return dir
}
