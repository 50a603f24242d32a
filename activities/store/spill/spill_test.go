package spill

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"testing"
)

var secret = []byte("S-0012345 of the extract")

// raw are the bytes that somebody finds who copies the file.
func raw(t *testing.T, f *File) []byte {
	t.Helper()
	info, err := f.file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, info.Size())
	if _, err := f.file.ReadAt(data, 0); err != nil {
		t.Fatal(err)
	}
	return data
}

func create(t *testing.T) *File {
	t.Helper()
	f, err := Folder(t.TempDir()).Create()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func put(t *testing.T, f *File, data []byte) Piece {
	t.Helper()
	p, err := f.Put(data)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestCreateLeavesNoName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f, err := Folder(dir).Create()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	put(t, f, secret)
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("%d names left, %v", len(left), err)
	}
	if _, err := Folder(dir + "/missing").Create(); err == nil {
		t.Error("no error in a missing folder")
	}
}

func TestWhatIsPutComesBackAndIsNotReadInTheFile(t *testing.T) {
	t.Parallel()
	f := create(t)
	var pieces []Piece
	for range 3 {
		pieces = append(pieces, put(t, f, secret), put(t, f, nil))
	}
	for _, p := range pieces {
		to := bytes.Repeat([]byte{'x'}, len(secret)+1)
		if err := f.Get(to, p); err != nil || !bytes.Equal(to[:p.Len()], secret[:p.Len()]) || to[p.Len()] != 'x' {
			t.Errorf("%q, %v", to, err)
		}
	}
	found := raw(t, f)
	if bytes.Contains(found, secret[:9]) {
		t.Error("it stands in the file as it is")
	}
	if a, b := found[:len(secret)], found[len(secret)+2*tagBytes:]; bytes.Equal(a, b[:len(secret)]) {
		t.Error("equal pieces look alike: their nonces are the same")
	}
	// Another file has another key.
	other := create(t)
	put(t, other, secret)
	if bytes.Equal(raw(t, other), found[:len(secret)+tagBytes]) {
		t.Error("two files share a key")
	}
}

func TestTamperedSpillIsAnError(t *testing.T) {
	t.Parallel()
	for name, tamper := range map[string]func(t *testing.T, f *File, data []byte){
		"a bit": func(_ *testing.T, _ *File, data []byte) { data[3] ^= 1 },
		"a tag": func(_ *testing.T, _ *File, data []byte) { data[len(secret)] ^= 1 },
		"two pieces swapped": func(_ *testing.T, _ *File, data []byte) {
			half := len(data) / 2
			copy(data, append(bytes.Clone(data[half:]), data[:half]...))
		},
		"the end cut off": func(t *testing.T, f *File, data []byte) {
			if err := f.file.Truncate(int64(len(data) - 1)); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := create(t)
			first, last := put(t, f, secret), put(t, f, bytes.ToUpper(secret))
			data := raw(t, f)
			tamper(t, f, data)
			if name != "the end cut off" {
				if _, err := f.file.WriteAt(data, 0); err != nil {
					t.Fatal(err)
				}
			}
			to := make([]byte, len(secret))
			err := errors.Join(f.Get(to, first), f.Get(to, last))
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestRunIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	f := create(t)
	random := rand.New(rand.NewPCG(1, 2))
	var want [2][]byte
	runs := [2]*Run{f.NewRun(), f.NewRun()}
	for range 200 { // the runs lie among each other
		i := random.IntN(2)
		part := bytes.Repeat([]byte{byte(random.IntN(256))}, random.IntN(1000))
		want[i] = append(want[i], part...)
		if n, err := runs[i].Write(part); n != len(part) || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
	}
	for i, r := range runs {
		if got, err := io.ReadAll(bufio.NewReader(r.Reader())); err != nil || !bytes.Equal(got, want[i]) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	}
}

func TestStreamIsReadAnywhere(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, chunkBytes - 1, chunkBytes, chunkBytes + 1, 3*chunkBytes + 7} {
		s, err := Folder(t.TempDir()).Stream()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		want := make([]byte, size)
		random := rand.New(rand.NewPCG(3, uint64(size)))
		for i := range want {
			want[i] = byte(random.IntN(256))
		}
		for range 2 {
			if _, err := io.Copy(s, bytes.NewReader(bytes.Repeat(secret, 5000))); err != nil {
				t.Fatal(err)
			}
			before := raw(t, s.file)
			if err := s.Reset(); err != nil {
				t.Fatal(err)
			}
			for at := 0; at < size; {
				n := min(size-at, 1+random.IntN(100_000))
				if _, err := s.Write(want[at : at+n]); err != nil {
					t.Fatal(err)
				}
				at += n
			}
			if after := raw(t, s.file); len(after) > 0 && bytes.Equal(after, before[:min(len(before), len(after))]) {
				t.Error("the key of before")
			}
			if s.Size() != int64(size) {
				t.Errorf("size %d, want %d", s.Size(), size)
			}
			for range 100 {
				at, n := random.IntN(size+1), random.IntN(2*chunkBytes)
				to := make([]byte, n)
				got, err := s.ReadAt(to, int64(at))
				if whole := min(n, size-at); got != whole || !bytes.Equal(to[:got], want[at:at+whole]) || (err != nil) != (whole < n) {
					t.Fatalf("%d bytes at %d: %d, %v", n, at, got, err)
				}
			}
		}
		if size > chunkBytes {
			if _, err := s.file.file.WriteAt([]byte("x"), 100); err != nil {
				t.Fatal(err)
			}
			if _, err := s.ReadAt(make([]byte, 1), 0); !errors.Is(err, ErrDamaged) {
				t.Errorf("a changed byte: %v", err)
			}
		}
	}
}
