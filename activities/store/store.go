// Package store is the artefact store: every file of a night, in a local folder or a bucket, named by
// URL (contract, section 7).
//
// A file is visible whole or not at all, and its reference carries its hash. The package must not know
// what the files hold.
package store

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
	"slices"
	"strings"
	"sync"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	_ "gocloud.dev/blob/memblob" // mem:// for tests
	"gocloud.dev/gcerrors"

	"harmstack/schemas"
)

var (
	// ErrNotFound is returned for a file that the store does not have.
	ErrNotFound = errors.New("not in the store")
	// ErrExists is returned by CreateOnly when the file is there already: somebody else came first.
	ErrExists = errors.New("in the store already")
	// ErrDamaged is returned by Open when a file is not the one its reference names. The night that
	// made it must be run again.
	ErrDamaged = errors.New("damaged artefact")
)

// tempFolder holds the files being written to a local store. It lies inside the store, so that a
// finished file is renamed within one file system; what a killed process leaves there is never read.
const tempFolder = ".tmp"

// Store is one artefact store. It may be used by many goroutines.
type Store struct {
	bucket *blob.Bucket
	url    string
	folder string // of a local store; empty for a bucket

	verified sync.Map // sha256 by key, of artefacts whose bytes this process has checked
}

// Open opens the store at a path, a file:// URL or a bucket's URL. A local folder is made when it is
// missing, readable by its owner only.
func Open(ctx context.Context, rawURL string) (*Store, error) {
	if rawURL == "" {
		return nil, errors.New("store: no URL given: name a folder or a bucket")
	}
	if folder, local := localPath(rawURL); local {
		folder, err := filepath.Abs(folder)
		if err == nil {
			err = os.MkdirAll(filepath.Join(folder, tempFolder), 0o700)
		}
		if err != nil {
			return nil, fmt.Errorf("store: %w", err)
		}
		bucket, err := fileblob.OpenBucket(folder, &fileblob.Options{
			NoTempDir: true, Metadata: fileblob.MetadataDontWrite, DirFileMode: 0o700,
		})
		if err != nil {
			return nil, fmt.Errorf("store: %w", err)
		}
		return &Store{bucket: bucket, url: "file://" + filepath.ToSlash(folder), folder: folder}, nil
	}
	if err := schemas.ValidateSource(rawURL); err != nil {
		return nil, errors.New("store: its URL holds credentials: give them to the bucket's driver by the environment")
	}
	bucket, err := blob.OpenBucket(ctx, rawURL)
	if err != nil && strings.HasPrefix(rawURL, "gs://") && !blob.DefaultURLMux().ValidBucketScheme("gs") {
		err = errors.New("this program was built without Google's buckets: build it with -tags gcs")
	}
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return &Store{bucket: bucket, url: rawURL}, nil
}

func localPath(rawURL string) (string, bool) {
	if !strings.Contains(rawURL, "://") {
		return rawURL, true
	}
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme != "file" {
		return "", false
	}
	return filepath.FromSlash(u.Path), true
}

// URL names the store.
func (s *Store) URL() string { return s.url }

// Close releases the store's connections.
func (s *Store) Close() error { return s.bucket.Close() }

// Write streams one artefact to key, replacing an earlier one, and returns its reference. Nothing is
// visible until write has returned without error and every byte is stored.
func (s *Store) Write(ctx context.Context, key, schema string, write func(io.Writer) (rows int64, err error)) (schemas.ArtifactRef, error) {
	sum := sha256.New()
	count := &counter{}
	var rows int64
	err := s.commit(ctx, key, os.Rename, nil, func(w io.Writer) (err error) {
		rows, err = write(io.MultiWriter(w, sum, count))
		return err
	})
	if err != nil {
		return schemas.ArtifactRef{}, fmt.Errorf("write %s: %w", key, err)
	}
	ref := schemas.ArtifactRef{URI: key, SHA256: hex.EncodeToString(sum.Sum(nil)), Rows: rows, Bytes: count.n, Schema: schema}
	stored, err := s.Size(ctx, key)
	if err == nil && stored != ref.Bytes {
		err = fmt.Errorf("%w: %d bytes were written, %d are stored", ErrDamaged, ref.Bytes, stored)
	}
	if err != nil {
		return schemas.ArtifactRef{}, fmt.Errorf("write %s: %w", key, err)
	}
	return ref, nil
}

// CreateOnly writes key unless it is there, in which case it returns ErrExists and changes nothing.
// Of any number of writers in any number of processes, one wins.
func (s *Store) CreateOnly(ctx context.Context, key string, data []byte) error {
	// A hard link fails when the name is taken, whoever took it. The driver's own check for local
	// folders looks first and renames after, which two processes can both pass.
	err := s.commit(ctx, key, os.Link, &blob.WriterOptions{IfNotExist: true}, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
	if errors.Is(err, os.ErrExist) || gcerrors.Code(err) == gcerrors.FailedPrecondition {
		err = ErrExists
	}
	if err != nil {
		return fmt.Errorf("create %s: %w", key, err)
	}
	return nil
}

// Replace swaps a small file in one step: readers see the old one or the new one.
func (s *Store) Replace(ctx context.Context, key string, data []byte) error {
	_, err := s.Write(ctx, key, "", func(w io.Writer) (int64, error) {
		_, err := w.Write(data)
		return 0, err
	})
	return err
}

// commit writes a temporary file and gives it its name by publish, or streams to the bucket, where an
// object appears when its writer is closed.
func (s *Store) commit(ctx context.Context, key string, publish func(temp, final string) error, opts *blob.WriterOptions, write func(io.Writer) error) error {
	if s.folder != "" {
		return s.commitLocal(ctx, key, publish, write)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w, err := s.bucket.NewWriter(ctx, key, opts)
	if err != nil {
		return err
	}
	if err := write(w); err != nil {
		cancel()      // before Close, which would publish what is there
		_ = w.Close() // says that it was cancelled, which is no news
		return err
	}
	return w.Close()
}

func (s *Store) commitLocal(ctx context.Context, key string, publish func(temp, final string) error, write func(io.Writer) error) (err error) {
	final := filepath.Join(s.folder, filepath.FromSlash(key))
	if err := os.MkdirAll(filepath.Dir(final), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Join(s.folder, tempFolder), "*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails after a rename, as it should
	err = write(f)
	if err == nil {
		err = f.Sync() // a name must not survive a power cut that its bytes did not
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = publish(f.Name(), final)
	}
	if err == nil {
		err = syncFolder(filepath.Dir(final))
	}
	return err
}

// syncFolder makes a new name survive a power cut: a decision that was answered must not vanish.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// Read returns a small file whole, or ErrNotFound.
func (s *Store) Read(ctx context.Context, key string) ([]byte, error) {
	data, err := s.bucket.ReadAll(ctx, key)
	if err != nil {
		return nil, notFound("read", key, err)
	}
	return data, nil
}

// Size is the number of bytes of a file, or ErrNotFound.
func (s *Store) Size(ctx context.Context, key string) (int64, error) {
	attrs, err := s.bucket.Attributes(ctx, key)
	if err != nil {
		return 0, notFound("look at", key, err)
	}
	return attrs.Size, nil
}

// List returns the keys that begin with prefix, sorted.
func (s *Store) List(ctx context.Context, prefix string) ([]string, error) {
	var keys []string
	for it := s.bucket.List(&blob.ListOptions{Prefix: prefix}); ; {
		object, err := it.Next(ctx)
		if errors.Is(err, io.EOF) {
			slices.Sort(keys)
			return keys, nil
		}
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", prefix, err)
		}
		if !strings.HasPrefix(object.Key, tempFolder+"/") {
			keys = append(keys, object.Key)
		}
	}
}

// Delete removes a file; one that is not there is no error.
func (s *Store) Delete(ctx context.Context, key string) error {
	err := s.bucket.Delete(ctx, key)
	if err != nil && gcerrors.Code(err) != gcerrors.NotFound {
		return fmt.Errorf("delete %s: %w", key, err)
	}
	return nil
}

func notFound(verb, key string, err error) error {
	if gcerrors.Code(err) == gcerrors.NotFound {
		err = ErrNotFound
	}
	return fmt.Errorf("%s %s: %w", verb, key, err)
}

type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}
