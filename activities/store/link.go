package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"

	"harmstack/schemas"
)

// Shares tells whether Link costs no room.
func (s *Store) Shares() bool { return s.folder != "" && s.keys == nil }

// Link gives an artefact a second name, key, and returns its reference there: each stays when the other is deleted. The
// bytes are checked as by Open, and must be those that ref names: ErrRewritten says that they were. In a folder it is a hard link; a bucket copies by itself, and where it will not, the
// bytes are written anew. So they are in a sealed store, where every file has a key of its own.
func (s *Store) Link(ctx context.Context, ref schemas.ArtifactRef, key string) (schemas.ArtifactRef, error) {
	if err := CheckKey(key); err != nil {
		return ref, fmt.Errorf("link: %w", err)
	}
	from, err := s.Open(ctx, ref)
	if err == nil && from.Ref.SHA256 != ref.SHA256 {
		err = errors.Join(fmt.Errorf("link %s: %w", ref.URI, ErrRewritten), from.Close())
		return ref, err
	}
	if err != nil || ref.URI == key {
		if err == nil {
			err = from.Close()
		}
		return ref, err
	}
	defer from.Close()
	to := ref
	to.URI = key
	switch {
	case s.keys != nil:
	case s.folder == "":
		if err := s.bucket.Copy(ctx, key, ref.URI, nil); err == nil {
			if size, err := s.Size(ctx, key); err == nil && size == ref.Bytes {
				return to, nil
			}
		}
	default:
		err := s.linkFile(from.Closer.(*os.File), ref, key)
		if err == nil || errors.Is(err, ErrNotSetUp) || errors.Is(err, ErrFull) {
			return to, err
		}
	}
	return s.Write(ctx, key, ref.Schema, func(w io.Writer) (int64, error) {
		_, err := io.Copy(w, io.NewSectionReader(from, 0, from.Size()))
		return ref.Rows, err
	})
}

// linkFile replaces what has the name key: a link is made beside it and renamed.
func (s *Store) linkFile(from *os.File, ref schemas.ArtifactRef, key string) error {
	if err := s.present(); err != nil {
		return err
	}
	share(from) // so that Sweep leaves the link alone
	if err := s.makeFolder(s.path(tempFolder)); err != nil {
		return err
	}
	temp := s.path(tempFolder + "/link-" + rand.Text())
	if err := os.Link(s.path(ref.URI), temp); err != nil {
		return err
	}
	defer os.Remove(temp) // is still there when both were the same file
	if err := s.named(key, func(final string) error { return os.Rename(temp, final) }); err != nil {
		return full(err, nil)
	}
	if was, ok := s.verified.Load(ref.URI); ok {
		was := was.(seen)
		was.is.URI = key
		s.verified.Store(key, was)
	}
	return nil
}
