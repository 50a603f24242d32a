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

	"harmstack/activities/store/spill"
	"harmstack/schemas"
	"harmstack/schemas/text"
)

// Artifact is an open artefact whose bytes are those that its reference names.
type Artifact struct {
	*io.SectionReader
	io.Closer
	// Ref is what was opened: the reference that was asked for or, when people were erased from the artefact, the one
	// that the record of that names.
	Ref schemas.ArtifactRef
}

// seen is an artefact whose bytes this process has checked.
type seen struct {
	sha256, modified string // as it was asked for; when it was written
	is               schemas.ArtifactRef
}

// Open opens an artefact for reading anywhere in it. Its size and sha256 are checked the first time
// this process sees it; ErrDamaged says what differs. One that was rewritten to erase a person is opened by the signed
// record of that. An artefact of a bucket is fetched whole into a
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
	a, err := s.verify(ctx, f, ref)
	if err != nil {
		f.Close()
	}
	return a, err
}

// ReadArtifact is a small artefact whole, which is what its reference says, or ErrDamaged.
func (s *Store) ReadArtifact(ctx context.Context, ref schemas.ArtifactRef) ([]byte, error) {
	a, err := s.Open(ctx, ref)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	return io.ReadAll(a)
}

// fetch tries twice before it calls a file damaged: the bytes may have changed on their way.
func (s *Store) fetch(ctx context.Context, ref schemas.ArtifactRef) (*Artifact, error) {
	var damaged error
	for range 2 {
		f, err := spill.Folder(s.Temp).Stream()
		if err != nil {
			return nil, fmt.Errorf("HARMSTACK_TEMP: no file can be made in the folder for temporary files: %w", err)
		}
		err = s.download(ctx, ref.URI, f)
		if err == nil {
			var content *io.SectionReader
			if content, damaged = s.opened(ctx, ref.URI, f, f.Size()); damaged == nil {
				var is schemas.ArtifactRef
				if is, damaged = s.which(ctx, content, ref); damaged == nil {
					return &Artifact{content, f, is}, nil
				}
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

func (s *Store) verify(ctx context.Context, f *os.File, ref schemas.ArtifactRef) (*Artifact, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	content, err := s.opened(ctx, ref.URI, f, info.Size())
	if err != nil {
		return nil, err
	}
	// The time of change is part of what was verified: a file swapped since is checked again.
	known := seen{sha256: ref.SHA256, modified: info.ModTime().String()}
	was, _ := s.verified.Load(ref.URI)
	if was, ok := was.(seen); ok && was.sha256 == known.sha256 && was.modified == known.modified && content.Size() == was.is.Bytes &&
		(was.is.SHA256 != ref.SHA256 || ref.Bytes == was.is.Bytes) {
		return &Artifact{content, f, was.is}, nil
	}
	if known.is, err = s.which(ctx, content, ref); err != nil {
		return nil, err
	}
	s.verified.Store(ref.URI, known)
	return &Artifact{content, f, known.is}, nil
}

// check reads a whole artefact and makes sure that it is the one that a reference names.
func check(content *io.SectionReader, ref schemas.ArtifactRef) error {
	sum := sha256.New()
	if content.Size() == ref.Bytes {
		if _, err := io.CopyBuffer(sum, io.NewSectionReader(content, 0, ref.Bytes), make([]byte, 1<<20)); err != nil {
			return fmt.Errorf("read %s: %w", ref.URI, err)
		}
	}
	return differs(ref, content.Size(), sum)
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
