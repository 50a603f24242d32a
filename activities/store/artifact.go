package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"harmstack/schemas"
	"harmstack/schemas/text"
)

// Artifact is an open artefact whose bytes are those that its reference names.
type Artifact struct {
	*os.File
	size int64
}

// Size is the number of bytes.
func (a *Artifact) Size() int64 { return a.size }

// Open opens an artefact for reading anywhere in it. Its size and sha256 are checked the first time
// this process sees it; ErrDamaged says what differs. An artefact of a bucket is fetched whole into a
// temporary file without a name, which goes when it is closed, and is checked as it comes.
func (s *Store) Open(ctx context.Context, ref schemas.ArtifactRef) (*Artifact, error) {
	if err := CheckKey(ref.URI); err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	if s.folder == "" {
		return s.fetch(ctx, ref)
	}
	f, err := os.Open(s.path(ref.URI))
	if err != nil {
		return nil, s.explain("open", ref.URI, err)
	}
	if err := s.verify(f, ref); err != nil {
		f.Close()
		return nil, err
	}
	return &Artifact{File: f, size: ref.Bytes}, nil
}

// fetch tries twice before it calls a file damaged: the bytes may have changed on their way.
func (s *Store) fetch(ctx context.Context, ref schemas.ArtifactRef) (*Artifact, error) {
	var damaged error
	for range 2 {
		f, err := os.CreateTemp(s.Temp, "harmstack-*")
		if err != nil {
			return nil, fmt.Errorf("HARMSTACK_TEMP: no file can be made in the folder for temporary files: %w", err)
		}
		sum, count := sha256.New(), &counter{}
		if err = os.Remove(f.Name()); err == nil {
			err = s.download(ctx, ref.URI, io.MultiWriter(f, sum, count))
		}
		if err == nil {
			if damaged = differs(ref, count.n, sum); damaged == nil {
				return &Artifact{File: f, size: ref.Bytes}, nil
			}
		}
		f.Close()
		if err != nil && !errors.Is(err, errSpoiled) {
			return nil, s.explain("open", ref.URI, err)
		}
		damaged = cmp.Or(damaged, err)
	}
	return nil, damaged
}

func (s *Store) verify(f *os.File, ref schemas.ArtifactRef) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	// The time of change is part of what was verified: a file swapped since is checked again.
	seen := ref.SHA256 + info.ModTime().String()
	if was, ok := s.verified.Load(ref.URI); ok && was == seen && info.Size() == ref.Bytes {
		return nil
	}
	sum := sha256.New()
	if info.Size() == ref.Bytes {
		if _, err := io.Copy(sum, io.NewSectionReader(f, 0, ref.Bytes)); err != nil {
			return fmt.Errorf("read %s: %w", ref.URI, err)
		}
	}
	if err := differs(ref, info.Size(), sum); err != nil {
		return err
	}
	s.verified.Store(ref.URI, seen)
	return nil
}

// differs says how what was read is not what a reference names.
func differs(ref schemas.ArtifactRef, size int64, sum hash.Hash) error {
	if size != ref.Bytes {
		return fmt.Errorf(
			"%s: %w: it has %s, %s written: run the night again",
			ref.URI,
			ErrDamaged,
			text.Count(size, "byte"),
			text.Count(ref.Bytes, "was", "were"),
		)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != ref.SHA256 {
		return fmt.Errorf(
			"%s: %w: its sha256 is %s, %s was written: run the night again",
			ref.URI,
			ErrDamaged,
			got,
			ref.SHA256,
		)
	}
	return nil
}
