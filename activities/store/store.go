// Package store is the artefact store: every file of a night, in a local folder or a bucket, named by
// URL (contract, section 7).
//
// A file is visible whole or not at all, and its reference carries its hash. What lies there is sealed once the store is
// unlocked; names, sizes and hashes are always those of the content. The package must not know what the files hold.
package store

import (
	"bytes"
	"cmp"
	"context"
	"crypto/md5"
	"crypto/rand"
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
	"sync/atomic"
	"syscall"
	"time"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/memblob" // mem:// for tests
	"gocloud.dev/gcerrors"

	"harmstack/activities/store/seal"
	"harmstack/activities/trust/sign"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/schemas/text"
)

var (
	// ErrNotFound is returned for a file that the store does not have.
	ErrNotFound = fault.New(fault.DamagedArtifact, "not in the store")
	// ErrExists is returned by CreateOnly when the file is there already: somebody else came first.
	ErrExists = errors.New("in the store already")
	// ErrDamaged is returned by Open when a file is not the one its reference names. The night that
	// made it must be run again.
	ErrDamaged = fault.New(fault.DamagedArtifact, "damaged artefact")
	// ErrFull is returned by whatever writes while there is no room. Nothing half-written is left; the same
	// again succeeds once there is room.
	ErrFull = errors.New("the store is full: make room, and it goes on from there")
	// ErrNotCreateOnly is returned by Probe: two runs could claim the same night.
	ErrNotCreateOnly = errors.New(
		"the store writes over what is there though it was asked not to (If-None-Match): two nights could both be published under one name. Use a server that honours conditional writes, or a folder",
	)
)

// Store is one artefact store. It may be used by many goroutines.
type Store struct {
	// Temp is the folder for what is fetched from a bucket; empty: the system's.
	Temp string
	// Keys sign the records that are written here, and check those that are read; nil: neither.
	Keys *sign.Keys

	bucket *blob.Bucket
	url    string
	folder string // of a local store; empty for a bucket
	mark   []byte // store.json, once the store was recognised by it
	closed atomic.Bool

	keys     *seal.Keys // of a store that is sealed
	verified sync.Map   // seen by key
	unsigned struct {   // the records that may be unsigned, once they were read
		sync.Mutex
		Unsigned
	}
}

// Open opens the store at a path, a file:// URL or a bucket's URL, and changes nothing there: what is missing of a
// local folder is made by the first write, readable by its owner only.
func Open(ctx context.Context, rawURL string) (*Store, error) {
	if rawURL == "" {
		return nil, errors.New("store: no URL given: name a folder or a bucket")
	}
	if folder, local := localPath(rawURL); local {
		return openFolder(folder)
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

// Close releases the store's connections, once.
func (s *Store) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	var errs []error
	if s.keys != nil {
		errs = append(errs, s.keys.Close())
	}
	if s.bucket != nil {
		errs = append(errs, s.bucket.Close())
	}
	return errors.Join(errs...)
}

// Write streams one artefact to key, replacing an earlier one, and returns its reference. Nothing is
// visible until write has returned without error and every byte is stored; what is stored is then held
// against what was written, by its size and by its MD5 where the bucket tells one. (S3 tells none that can be
// relied on; its driver sends a CRC-32 with every part, and the server refuses what does not match.)
func (s *Store) Write(
	ctx context.Context,
	key, schema string,
	write func(io.Writer) (rows int64, err error),
) (schemas.ArtifactRef, error) {
	return s.write(ctx, key, schema, "", write)
}

// write is Write. With a mark, others may replace the file at the same moment: what is stored then is theirs, by its
// mark, and is not held against what was written.
func (s *Store) write(
	ctx context.Context,
	key, schema, mark string,
	write func(io.Writer) (rows int64, err error),
) (schemas.ArtifactRef, error) {
	if err := CheckKey(key); err != nil {
		return schemas.ArtifactRef{}, fmt.Errorf("write: %w", err)
	}
	sum, check := sha256.New(), md5.New() // of what is written, and of what is stored
	count, size := &counter{}, &counter{}
	var rows int64
	options := &blob.WriterOptions{}
	if mark != "" {
		options.Metadata = map[string]string{writerName: mark}
	}
	stored := &blob.Attributes{}
	err := s.commit(ctx, key, os.Rename, options, func(w io.Writer) error {
		file, local := w.(*os.File)
		w = io.MultiWriter(w, size)
		if s.tellsMD5() {
			w = io.MultiWriter(w, check)
		}
		err := s.sealed(ctx, key, w, func(w io.Writer) (err error) {
			rows, err = write(io.MultiWriter(sum, count, w))
			return err
		})
		if err == nil && local { // by its name it may be another's in a moment
			var info os.FileInfo
			if info, err = file.Stat(); err == nil {
				stored.Size = info.Size()
			}
		}
		return err
	})
	if err != nil {
		return schemas.ArtifactRef{}, fmt.Errorf("write %s: %w", key, err)
	}
	ref := schemas.ArtifactRef{
		URI:    key,
		SHA256: hex.EncodeToString(sum.Sum(nil)),
		Rows:   rows,
		Bytes:  count.n,
		Schema: schema,
	}
	if s.folder == "" {
		if stored, err = s.attributes(ctx, key); err == nil && stored.Metadata[writerName] != mark {
			return ref, nil
		}
	}
	if err != nil {
		err = s.explain("look at", key, err)
	} else if stored.Size != size.n {
		err = fmt.Errorf(
			"%w: %s written, %s stored",
			ErrDamaged,
			text.Count(size.n, "byte was", "bytes were"),
			text.Count(stored.Size, "is", "are"),
		)
	} else if s.tellsMD5() && len(stored.MD5) > 0 && !bytes.Equal(stored.MD5, check.Sum(nil)) {
		err = fmt.Errorf("%w: other bytes are stored than were written", ErrDamaged)
	}
	if err != nil {
		return schemas.ArtifactRef{}, fmt.Errorf("write %s: %w", key, err)
	}
	return ref, nil
}

// Measure is the reference that Write would return, of what is written to nobody.
func Measure(key, schema string, write func(io.Writer) (rows int64, err error)) (schemas.ArtifactRef, error) {
	sum, size := sha256.New(), &counter{}
	rows, err := write(io.MultiWriter(sum, size))
	return schemas.ArtifactRef{URI: key, SHA256: hex.EncodeToString(sum.Sum(nil)), Rows: rows, Bytes: size.n, Schema: schema}, err
}

// tellsMD5: an S3 ETag may look like an MD5 and be none, under encryption with a key of one's own.
func (s *Store) tellsMD5() bool { return s.folder == "" && !strings.HasPrefix(s.url, "s3://") }

// writerName is under what a bucket keeps who made a file by CreateOnly or Replace.
const writerName = "writer"

// CreateOnly writes key unless it is there, in which case it returns ErrExists and changes nothing.
// Of any number of writers in any number of processes, one wins: a folder by a hard link, S3 by If-None-Match,
// Azure by its ETag, Google by the generation 0.
//
// When the answer of a bucket is lost, its driver asks again and is refused by its own file. That is
// success: each call leaves its own mark beside the bytes, and looks for it.
func (s *Store) CreateOnly(ctx context.Context, key string, data []byte) error {
	if err := CheckKey(key); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	mark := rand.Text()
	// A hard link fails when the name is taken, whoever took it. The driver's own check for local
	// folders looks first and renames after, which two processes can both pass.
	err := s.commit(
		ctx,
		key,
		os.Link,
		&blob.WriterOptions{IfNotExist: true, Metadata: map[string]string{writerName: mark}},
		func(w io.Writer) error {
			return s.sealed(ctx, key, w, func(w io.Writer) error {
				_, err := w.Write(data)
				return err
			})
		},
	)
	switch {
	case errors.Is(err, os.ErrExist):
		err = ErrExists
	case gcerrors.Code(err) == gcerrors.FailedPrecondition:
		stored, lookErr := s.bucket.Attributes(ctx, key)
		if err = lookErr; err == nil && stored.Metadata[writerName] != mark {
			err = ErrExists
		}
	}
	if err != nil {
		return fmt.Errorf("create %s: %w", key, err)
	}
	return nil
}

// Probe tries whether the store can be written to and honours CreateOnly. ErrNotCreateOnly says that it does not,
// and that no night may use it. What it writes is gone when it returns, and no folder is left of it.
func (s *Store) Probe(ctx context.Context) (err error) {
	key := probe + rand.Text()
	if err := s.CreateOnly(ctx, key, []byte("first")); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Delete(context.WithoutCancel(ctx), key)) }()
	err = s.CreateOnly(ctx, key, []byte("second"))
	if err == nil {
		return ErrNotCreateOnly
	}
	if !errors.Is(err, ErrExists) {
		return err
	}
	data, err := s.Read(ctx, key)
	if err == nil && string(data) != "first" {
		err = ErrNotCreateOnly
	}
	return err
}

// Replace swaps a small file in one step: readers see the old one or the new one. Of several at once any may stay, and
// all succeed: what must not be lost by that is written by CreateOnly, under a name of its own.
func (s *Store) Replace(ctx context.Context, key string, data []byte) error {
	if err := CheckKey(key); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	_, err := s.write(ctx, key, "", rand.Text(), func(w io.Writer) (int64, error) {
		_, err := w.Write(data)
		return 0, err
	})
	return err
}

// commit writes a temporary file and gives it its name by publish, or streams to the bucket, where an
// object appears when its writer is closed.
func (s *Store) commit(
	ctx context.Context,
	key string,
	publish func(temp, final string) error,
	opts *blob.WriterOptions,
	write func(io.Writer) error,
) error {
	if s.folder != "" {
		return s.commitFolder(ctx, key, publish, func(f *os.File) error { return write(f) })
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	opts.ContentType = "application/octet-stream" // or the driver holds bytes back to guess one
	w, err := s.bucket.NewWriter(ctx, key, opts)
	if err != nil {
		return err
	}
	if err := write(w); err != nil {
		cancel() // before Close, which would publish what is there
		cause := w.Close()
		if denied := s.denied("write", cause); errors.Is(denied, ErrDenied) {
			return denied
		}
		return full(err, cause) // which may know why: a driver's Write fails with a closed pipe
	}
	return full(s.denied("write", w.Close()), nil)
}

// full says plainly that there is no room.
func full(err, cause error) error {
	var api interface{ ErrorCode() string } // of S3
	for _, e := range []error{err, cause} {
		outOfRoom := errors.Is(e, syscall.ENOSPC) || errors.Is(e, syscall.EDQUOT) || errors.Is(e, syscall.EFBIG)
		if errors.As(e, &api) {
			switch api.ErrorCode() {
			case "XMinioStorageFull", "QuotaExceeded", "InsufficientStorage":
				outOfRoom = true
			}
		}
		if outOfRoom {
			return fmt.Errorf("%w: %w", ErrFull, e)
		}
	}
	return err
}

// Read returns a small file whole, or ErrNotFound.
func (s *Store) Read(ctx context.Context, key string) ([]byte, error) {
	if err := CheckKey(key); err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	data, err := s.raw(ctx, key)
	if err != nil {
		return nil, s.explain("read", key, err)
	}
	if data, err = s.unsealed(ctx, key, data); err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	return data, nil
}

// raw returns a file as it is stored.
func (s *Store) raw(ctx context.Context, key string) ([]byte, error) {
	if s.folder != "" {
		return os.ReadFile(s.path(key))
	}
	var data bytes.Buffer
	err := s.download(ctx, key, &data)
	if errors.Is(err, errSpoiled) {
		data.Reset()
		err = s.download(ctx, key, &data)
	}
	return data.Bytes(), err
}

// errSpoiled says that every byte came and that the driver's checksum says they are others.
var errSpoiled = errors.New("spoiled on the way")

// stalls is how often in a row a download may break off without a byte more.
const stalls = 4

// download goes on where it was when the connection broke: the drivers try again only until an answer begins.
// That the pieces belong together is for a checksum to say.
func (s *Store) download(ctx context.Context, key string, to io.Writer) error {
	done := &counter{}
	for stalled := 0; ; {
		before := done.n
		r, err := s.bucket.NewRangeReader(ctx, key, done.n, -1, nil)
		if err == nil {
			whole := r.Size()
			// The limit is never met. With it, a small file takes a small buffer, where the reader's own WriteTo takes
			// a megabyte.
			_, err = io.Copy(io.MultiWriter(to, done), io.LimitReader(r, whole-done.n+1))
			err = errors.Join(err, r.Close())
			if err == nil && done.n < whole {
				err = io.ErrUnexpectedEOF
			}
			if err != nil && done.n == whole {
				err = fmt.Errorf("%w: %w", errSpoiled, err)
			}
		}
		if stalled++; done.n > before {
			stalled = 0
		}
		if err == nil || errors.Is(err, errSpoiled) || stalled == stalls || gcerrors.Code(err) == gcerrors.NotFound ||
			gcerrors.Code(err) == gcerrors.PermissionDenied ||
			ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(stalled*stalled) * 50 * time.Millisecond):
		}
	}
}

func (s *Store) attributes(ctx context.Context, key string) (*blob.Attributes, error) {
	if s.folder == "" {
		return s.bucket.Attributes(ctx, key)
	}
	info, err := os.Stat(s.path(key))
	if err != nil {
		return nil, err
	}
	return &blob.Attributes{Size: info.Size(), ModTime: info.ModTime()}, nil
}

// Size is the number of bytes of a file, or ErrNotFound.
func (s *Store) Size(ctx context.Context, key string) (int64, error) {
	if err := CheckKey(key); err != nil {
		return 0, fmt.Errorf("look: %w", err)
	}
	attrs, err := s.attributes(ctx, key)
	if err != nil {
		return 0, s.explain("look at", key, err)
	}
	if s.keys == nil || s.plain(key) {
		return attrs.Size, nil
	}
	size, err := seal.Size(attrs.Size)
	if err != nil {
		err = fmt.Errorf("look at %s: %w", key, err)
	}
	return size, err
}

// Modified is when a file was written, by the store's clock, or ErrNotFound.
func (s *Store) Modified(ctx context.Context, key string) (time.Time, error) {
	if err := CheckKey(key); err != nil {
		return time.Time{}, fmt.Errorf("look: %w", err)
	}
	attrs, err := s.attributes(ctx, key)
	if err != nil {
		return time.Time{}, s.explain("look at", key, err)
	}
	return attrs.ModTime, nil
}

// List returns the keys that begin with prefix, sorted.
func (s *Store) List(ctx context.Context, prefix string) (keys []string, err error) {
	// A page that breaks off in its middle is not asked for again by the drivers.
	for range stalls {
		if keys, err = s.list(ctx, prefix); err == nil || ctx.Err() != nil {
			break
		}
	}
	if err == nil {
		err = s.present()
	}
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", prefix, s.denied("list", err))
	}
	slices.Sort(keys)
	return keys, nil
}

func (s *Store) list(ctx context.Context, prefix string) (keys []string, err error) {
	if s.folder != "" {
		return s.listFolder(ctx, prefix)
	}
	for it := s.bucket.List(&blob.ListOptions{Prefix: prefix}); ; {
		object, err := it.Next(ctx)
		if errors.Is(err, io.EOF) {
			return keys, nil
		}
		if err != nil {
			return nil, err
		}
		if !strings.HasPrefix(object.Key, tempFolder+"/") {
			keys = append(keys, object.Key)
		}
	}
}

// Delete removes a file; one that is not there is no error.
func (s *Store) Delete(ctx context.Context, key string) (err error) {
	if err = CheckKey(key); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	if s.folder != "" {
		err = s.deleteFile(key)
	} else {
		err = s.bucket.Delete(ctx, key)
	}
	if err != nil && gcerrors.Code(err) != gcerrors.NotFound {
		return fmt.Errorf("delete %s: %w", key, s.denied("delete", err))
	}
	return nil
}

// explain says what an error means that came of doing something to a key.
func (s *Store) explain(verb, key string, err error) error {
	if gcerrors.Code(err) == gcerrors.NotFound || errors.Is(err, os.ErrNotExist) {
		err = cmp.Or(s.present(), ErrNotFound) // a volume that is gone has lost no file
	}
	return fmt.Errorf("%s %s: %w", verb, key, s.denied(verb, err))
}

type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return len(p), nil
}
