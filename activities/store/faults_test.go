package store

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"harmstack/activities/store/s3test"
	"harmstack/schemas/fault"
)

// once fails the first request of a method.
func once(method string, f s3test.Fault) func(int, *http.Request) s3test.Fault {
	var done atomic.Bool
	return func(_ int, r *http.Request) s3test.Fault {
		if r.Method == method && done.CompareAndSwap(false, true) {
			return f
		}
		return s3test.None
	}
}

// A create whose answer is lost is asked again by the driver, and refused by its own file.
func TestLostAnswerOfACreate(t *testing.T) {
	s3 := s3test.New(t)
	st := open(t, s3.URL)
	s3.Inject(once(http.MethodPut, s3test.Lost))
	if err := st.CreateOnly(t.Context(), "claim", []byte("mine")); err != nil {
		t.Errorf("its own file: %v", err)
	}
	if s3.Requests() < 3 { // lost, refused, looked at
		t.Fatalf("%d requests: nothing was asked twice", s3.Requests())
	}
	s3.Inject(once(http.MethodPut, s3test.Cut))
	if err := st.CreateOnly(t.Context(), "claim", []byte("mine")); !errors.Is(err, ErrExists) {
		t.Errorf("equal bytes of another call: %v", err)
	}
}

// Two creators at once, every answer of a write lost the first time: one wins, and it is the one whose bytes stand.
func TestLostAnswersAmongCreators(t *testing.T) {
	s3 := s3test.New(t)
	for round := range 3 {
		key := "claim-" + string(rune('a'+round))
		var lost sync.Map
		s3.Inject(func(n int, r *http.Request) s3test.Fault {
			if _, again := lost.LoadOrStore(r.Header.Get("X-Amz-Meta-Writer"), true); r.Method == http.MethodPut && !again {
				return s3test.Lost
			}
			return s3test.None
		})
		var winners sync.Map
		var wg sync.WaitGroup
		for i := range 4 {
			st := open(t, s3.URL)
			wg.Go(func() {
				err := st.CreateOnly(context.Background(), key, []byte{byte('0' + i)})
				if err == nil {
					winners.Store(string(byte('0'+i)), true)
				} else if !errors.Is(err, ErrExists) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		s3.Inject(nil)
		data, err := open(t, s3.URL).Read(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		winners.Range(func(who, _ any) bool {
			if who != string(data) {
				t.Errorf("round %d: %s was told that it won, %s stands", round, who, data)
			}
			return true
		})
		if _, told := winners.Load(string(data)); !told {
			t.Errorf("round %d: nobody was told of having won", round)
		}
	}
}

func TestProbeRefusesAServerWithoutConditions(t *testing.T) {
	s3 := s3test.New(t)
	s3.IgnoreConditions()
	if err := open(t, s3.URL).Probe(t.Context()); !errors.Is(err, ErrNotCreateOnly) {
		t.Errorf("error %v", err)
	}
	if keys := s3.Keys(); len(keys) != 0 {
		t.Errorf("left behind: %q", keys)
	}
}

// large is more than S3 takes in one piece.
func large() []byte { return bytes.Repeat([]byte("0123456789abcdef"), 17<<20/16) }

func TestWeatherOfS3(t *testing.T) {
	content := large()
	for scenario, c := range map[string]struct {
		method string
		fault  s3test.Fault
	}{
		"an error on a write": {http.MethodPut, s3test.Internal}, "too much at once": {http.MethodPut, s3test.SlowDown},
		"a write cut": {http.MethodPut, s3test.Cut}, "the answer of a write lost": {http.MethodPut, s3test.Lost},
		"an error on a read": {http.MethodGet, s3test.Internal}, "a read cut": {http.MethodGet, s3test.Cut},
		"half of a body": {http.MethodGet, s3test.Half}, "another bit": {http.MethodGet, s3test.Flip}, "a slow body": {http.MethodGet, s3test.Slow},
		"an error on a look": {http.MethodHead, s3test.SlowDown},
	} {
		for size, data := range map[string][]byte{"small": []byte("hello"), "large": content} {
			t.Run(scenario+", "+size, func(t *testing.T) {
				t.Parallel()
				s3 := s3test.New(t)
				st := open(t, s3.URL)
				s3.Inject(once(c.method, c.fault))
				ref := write(t, st, "x", string(data))
				a, err := st.Open(t.Context(), ref)
				if err != nil {
					t.Fatal(err)
				}
				defer a.Close()
				if got, err := io.ReadAll(a.reader()); err != nil || !bytes.Equal(got, data) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
				s3.Inject(once(c.method, c.fault))
				if got, err := st.Read(t.Context(), "x"); err != nil || !bytes.Equal(got, data) {
					t.Errorf("read %d bytes, %v", len(got), err)
				}
				s3.Inject(once(c.method, c.fault))
				if keys, err := st.List(t.Context(), ""); c.fault != s3test.Flip && (err != nil || !slices.Equal(keys, []string{"x"})) {
					t.Errorf("keys %q, %v", keys, err)
				}
			})
		}
	}
}

func (a *Artifact) reader() io.Reader { return io.NewSectionReader(a, 0, a.Size()) }

func TestDamageInABucketIsSeen(t *testing.T) {
	s3 := s3test.New(t)
	st := open(t, s3.URL)
	ref := write(t, st, "x", "hello")
	for _, content := range []string{"hellO", "hell", "hello!"} {
		s3.Damage("x", func([]byte) []byte { return []byte(content) })
		if _, err := st.Open(t.Context(), ref); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "run the night again") {
			t.Errorf("%s: %v", content, err)
		}
	}
	s3.Inject(func(int, *http.Request) s3test.Fault { return s3test.Half })
	if _, err := st.Open(t.Context(), ref); err == nil || errors.Is(err, ErrDamaged) {
		t.Errorf("a connection that never holds: %v", err)
	}
}

func TestFullBucket(t *testing.T) {
	s3 := s3test.New(t)
	st := open(t, s3.URL)
	old := write(t, st, "current", "old")
	s3.Inject(func(_ int, r *http.Request) s3test.Fault {
		if r.Method == http.MethodPut || r.Method == http.MethodPost {
			return s3test.Full
		}
		return s3test.None
	})
	if _, err := st.Write(t.Context(), "x", "", func(w io.Writer) (int64, error) { _, err := w.Write(large()); return 0, err }); !errors.Is(err, ErrFull) {
		t.Errorf("a large file: %v", err)
	}
	if err := st.Replace(t.Context(), "current", []byte("new")); !errors.Is(err, ErrFull) {
		t.Errorf("a small file: %v", err)
	}
	if err := st.CreateOnly(t.Context(), "claim", []byte("mine")); !errors.Is(err, ErrFull) {
		t.Errorf("a claim: %v", err)
	}
	s3.Inject(nil)
	if keys := s3.Keys(); !slices.Equal(keys, []string{"current"}) {
		t.Errorf("left behind: %q", keys)
	}
	if _, err := st.Open(t.Context(), old); err != nil {
		t.Error(err)
	}
	if err := st.CreateOnly(t.Context(), "claim", []byte("mine")); err != nil {
		t.Errorf("once there is room: %v", err)
	}
}

// No retry mends a bucket that refuses this process, whatever it asks for: it is said at once, and what to do.
func TestDeniedBucket(t *testing.T) {
	s3 := s3test.New(t)
	st := open(t, s3.URL)
	ref := write(t, st, "current", "old")
	s3.Inject(func(int, *http.Request) s3test.Fault { return s3test.Denied })
	for verb, do := range map[string]func() error{
		"a large file": func() error {
			_, err := st.Write(t.Context(), "x", "", func(w io.Writer) (int64, error) { _, err := w.Write(large()); return 0, err })
			return err
		},
		"a small file": func() error { return st.Replace(t.Context(), "current", []byte("new")) },
		"a claim":      func() error { return st.CreateOnly(t.Context(), "claim", []byte("mine")) },
		"reading":      func() error { _, err := st.Read(t.Context(), "current"); return err },
		"opening":      func() error { _, err := st.Open(t.Context(), ref); return err },
		"listing":      func() error { _, err := st.List(t.Context(), ""); return err },
		"deleting":     func() error { return st.Delete(t.Context(), "current") },
	} {
		err := do()
		if !errors.Is(err, ErrDenied) || fault.Kind(err) != fault.StoreDenied || !strings.Contains(err.Error(), "give its credentials the right") {
			t.Errorf("%s: %v", verb, err)
		}
	}
	s3.Inject(nil)
	if data, err := st.Read(t.Context(), "current"); err != nil || string(data) != "old" {
		t.Errorf("once it may: %q, %v", data, err)
	}
}

// A process that may write files of a megabyte only meets what a full disk is to a writer.
func TestFullDisk(t *testing.T) {
	if dir := os.Getenv("STORE_TEST_FOLDER"); dir != "" {
		limit := syscall.Rlimit{Cur: 1 << 20, Max: 1 << 20}
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
			t.Fatal(err)
		}
		st := open(t, dir)
		_, err := st.Write(t.Context(), "x", "", func(w io.Writer) (int64, error) { _, err := w.Write(large()); return 0, err })
		if !errors.Is(err, ErrFull) || !strings.Contains(err.Error(), "make room") {
			t.Errorf("error %v", err)
		}
		return
	}
	dir := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), "STORE_TEST_FOLDER="+dir)
	if out, err := child.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	st := open(t, dir)
	if keys, err := st.List(t.Context(), ""); err != nil || len(keys) != 0 {
		t.Errorf("left behind: %q, %v", keys, err)
	}
	if temps, err := os.ReadDir(filepath.Join(dir, tempFolder)); err != nil || len(temps) != 0 {
		t.Errorf("room is lost to %v, %v", temps, err)
	}
	write(t, st, "x", "hello")
}
