package extract

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"harmstack/schemas"
)

// ErrNoSource is returned for a source that is not there or that this build cannot read.
var ErrNoSource = errors.New("the extract cannot be opened")

// Source is an open extract and what is needed to name it in a manifest.
type Source struct {
	*File
	file   *os.File
	ref    schemas.ArtifactRef
	hashed chan error
	stop   context.CancelFunc
	extra  int // columns of the source that it was made from
	// Unreadable counts values of the source that were not what their column holds and became null, by column.
	Unreadable map[string]int64
}

// Close closes the file.
func (s *Source) Close() error {
	s.stop()
	<-s.hashed
	return s.file.Close()
}

// ExtraColumns is how many columns beyond the contract there are.
func (s *Source) ExtraColumns() int { return s.extra + s.File.ExtraColumns() }

// OpenMade opens a typed file that was made of another source, which ref names, with so many columns beyond
// the contract and so many unreadable values. The file is gone once it is closed.
func OpenMade(path string, ref schemas.ArtifactRef, extra int, unreadable map[string]int64) (*Source, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	var file *File
	if err == nil {
		file, err = Open(f, info.Size())
	}
	if err == nil {
		err = os.Remove(path) // it lives until it is closed, also when the process is killed
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	hashed := make(chan error, 1)
	hashed <- nil
	return &Source{File: file, file: f, hashed: hashed, stop: func() {}, ref: ref, extra: extra, Unreadable: unreadable}, nil
}

// Ref names the extract and its hash. It waits until the whole file is hashed.
func (s *Source) Ref() (schemas.ArtifactRef, error) {
	err := <-s.hashed
	s.hashed <- err // for whoever asks next
	return s.ref, err
}

// OpenSource opens the extract at a path or file:// URL and checks it against the contract. It is hashed
// while it is read.
func OpenSource(ctx context.Context, source string) (*Source, error) {
	path, err := LocalPath(source)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoSource, err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%w: %s is no regular file", ErrNoSource, path)
	}
	var file *File
	if err == nil {
		file, err = Open(f, info.Size())
	}
	if err != nil {
		f.Close()
		if errors.Is(err, ErrNoSource) {
			return nil, err
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	ctx, stop := context.WithCancel(ctx)
	s := &Source{File: file, file: f, hashed: make(chan error, 1), stop: stop,
		ref: schemas.ArtifactRef{URI: source, Rows: file.Rows(), Bytes: info.Size(), Schema: schemas.OffenceSchema}}
	go func() {
		sum := sha256.New()
		_, err := io.CopyBuffer(sum, &cancelled{ctx, io.NewSectionReader(f, 0, info.Size())}, make([]byte, 1<<20))
		if err != nil {
			err = fmt.Errorf("%s: %w", path, err)
		}
		s.ref.SHA256 = hex.EncodeToString(sum.Sum(nil))
		s.hashed <- err
	}()
	return s, nil
}

// LocalPath is the path that a source names: a path itself, or a file:// URL without credentials.
func LocalPath(source string) (string, error) {
	if err := schemas.ValidateSource(source); err != nil {
		return "", fmt.Errorf("%w: %w", ErrNoSource, err)
	}
	scheme, _, isURL := strings.Cut(source, "://")
	if !isURL {
		return source, nil
	}
	u, err := url.Parse(source)
	if err != nil || scheme != "file" {
		return "", fmt.Errorf("%w: give a path or a file:// URL of a Parquet file, not %s://", ErrNoSource, scheme)
	}
	return filepath.FromSlash(u.Path), nil
}

// cancelled ends a long read when the context does.
type cancelled struct {
	ctx context.Context
	io.Reader
}

func (c *cancelled) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.Reader.Read(p)
}
