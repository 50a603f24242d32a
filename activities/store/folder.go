package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"gocloud.dev/gcerrors"

	"harmstack/schemas/fault"
)

// ErrDenied is returned by whatever reads or writes what the user of this process may not. No retry mends it.
var ErrDenied = fault.New(fault.StoreDenied, "not permitted")

// tempFolder holds the files being written to a local store. It lies inside the store, so that a finished file is
// renamed within one file system; what a killed process leaves there is never read, and Sweep deletes it.
const (
	tempFolder = ".tmp"
	probe      = tempFolder + "/probe-" // what Probe writes, there and in a bucket
	leftover   = 24 * time.Hour         // no stage writes for so long
)

func openFolder(path string) (*Store, error) {
	folder, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	s := &Store{url: "file://" + filepath.ToSlash(folder), folder: folder}
	switch info, err := os.Stat(folder); {
	case err == nil && !info.IsDir():
		return nil, fmt.Errorf("store: %s is no folder", folder)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("store: %w", s.denied("open", err))
	}
	return s, nil
}

func (s *Store) path(key string) string { return filepath.Join(s.folder, filepath.FromSlash(key)) }

// commitFolder writes a file in tempFolder and gives it its name by publish. The file is locked until it has it: what
// nobody has locked is a leftover.
func (s *Store) commitFolder(
	ctx context.Context,
	key string,
	publish func(temp, final string) error,
	write func(*os.File) error,
) (err error) {
	defer func() { err = full(s.denied("write", err), nil) }()
	if err := s.present(); err != nil {
		return err
	}
	f, err := s.temp()
	if err != nil {
		return err
	}
	defer f.Close()
	defer os.Remove(f.Name()) // fails after a rename, as it should
	if err = write(f); err == nil {
		err = f.Sync() // a name must not survive a power cut that its bytes did not
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return err
	}
	return s.named(key, func(final string) error { return publish(f.Name(), final) })
}

// named gives a file its name by publish, in a folder that is made when it is missing, and makes the name survive a
// power cut: a decision that was answered must not vanish.
func (s *Store) named(key string, publish func(final string) error) (err error) {
	final := s.path(key)
	for range 3 { // a Delete may take the empty folder away again
		if err = s.makeFolder(filepath.Dir(final)); err == nil {
			err = publish(final)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(final))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// temp makes a file in tempFolder, locked.
func (s *Store) temp() (*os.File, error) {
	if err := s.makeFolder(filepath.Join(s.folder, tempFolder)); err != nil {
		return nil, err
	}
	for {
		f, err := os.CreateTemp(filepath.Join(s.folder, tempFolder), "*") // mode 0600
		if err != nil {
			return nil, err
		}
		mine, err := lock(f, true)
		if err == nil && mine {
			err = s.likeTheStore(f.Name(), 0o666)
		}
		if err == nil && mine {
			return f, nil
		}
		// Unless that failed, a Sweep took it for a leftover before it was locked.
		if err = errors.Join(err, f.Close()); err != nil {
			_ = os.Remove(f.Name())
			return nil, err
		}
	}
}

// makeFolder makes a folder and those above it that are missing.
func (s *Store) makeFolder(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil
	}
	if path == s.folder {
		return os.MkdirAll(path, 0o700)
	}
	if err := s.makeFolder(filepath.Dir(path)); err != nil {
		return err
	}
	err := os.Mkdir(path, 0o700)
	if errors.Is(err, fs.ErrExist) {
		if info, statErr := os.Stat(path); statErr == nil && !info.IsDir() {
			return &fs.PathError{Op: "mkdir", Path: path, Err: syscall.ENOTDIR}
		}
		return nil // somebody else made it
	}
	if err == nil {
		err = s.likeTheStore(path, 0o777)
	}
	return err
}

// likeTheStore gives what was just made the permissions and the group of the store's own folder and, when made by root,
// its owner: whoever works with the store goes on working with all of it.
func (s *Store) likeTheStore(path string, most fs.FileMode) error {
	root, err := os.Stat(s.folder)
	if err != nil {
		return err
	}
	mode := root.Mode() & (most | fs.ModeSetgid)
	if most&0o111 == 0 {
		mode &^= fs.ModeSetgid
	}
	if err := own(path, root); err != nil {
		return err
	}
	return os.Chmod(path, mode)
}

// denied says of an error of permissions who may not do what, and what to do about it. Any other it leaves as it is.
func (s *Store) denied(verb string, err error) error {
	if s.folder == "" && gcerrors.Code(err) == gcerrors.PermissionDenied && !errors.Is(err, ErrDenied) {
		return fmt.Errorf(
			"%w: the bucket refuses to let this process %s: give its credentials the right to list, read, write and delete below the store's address: %w",
			ErrDenied,
			verb,
			err,
		)
	}
	if err == nil || errors.Is(err, ErrDenied) || !errors.Is(err, fs.ErrPermission) && !errors.Is(err, syscall.EROFS) {
		return err
	}
	path := s.folder
	var at *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &at):
		path = at.Path
	case errors.As(err, &link):
		path = link.New
	}
	return s.mayNot(verb, path, errors.Is(err, syscall.EROFS))
}

func (s *Store) mayNot(verb, path string, readOnly bool) error {
	if readOnly {
		return fmt.Errorf("%w: %s %s: the file system is mounted read-only", ErrDenied, verb, path)
	}
	if verb == "write" && filepath.Base(filepath.Dir(path)) == tempFolder {
		path = filepath.Dir(path)
	}
	info, err := os.Lstat(path)
	for err != nil && path != filepath.Dir(path) {
		path = filepath.Dir(path)
		info, err = os.Lstat(path)
	}
	belongs := ""
	if err == nil {
		belongs = fmt.Sprintf(", which belongs to %s with mode %s", ownerOf(info), info.Mode())
	}
	return fmt.Errorf(
		"%w: user %s may not %s %s%s: run this as the user of the worker, or let a group share the store (chgrp -R, chmod -R g+rwX)",
		ErrDenied,
		whoami(),
		verb,
		path,
		belongs,
	)
}

func whoami() string { return userName(strconv.Itoa(os.Geteuid())) }

func userName(uid string) string {
	if u, err := user.LookupId(uid); err == nil {
		return u.Username
	}
	return uid
}

// Writable tells at once whether this process may write below folders of the store, such as "audit/", though they may
// not be there yet; of none, below any. ErrDenied says why not. It writes nothing. Of a bucket it knows nothing.
func (s *Store) Writable(folders ...string) error {
	if s.folder == "" {
		return nil
	}
	if err := s.present(); err != nil {
		return err
	}
	if len(folders) == 0 {
		folders = names
	}
	for _, folder := range append([]string{tempFolder}, folders...) {
		path := s.path(folder)
		for path != filepath.Dir(path) {
			if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
				break
			}
			path = filepath.Dir(path)
		}
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			continue // the write will say so
		}
		if err := access(path); err != nil {
			return s.denied("write", &fs.PathError{Op: "access", Path: path, Err: err})
		}
	}
	return nil
}

// Foreign returns the first folder or file of a local store, by path, that belongs to another user than the store
// itself and that the store's user cannot read or, of a folder, write; empty when there is none. A command that another
// user ran may have left it.
func (s *Store) Foreign() (string, error) {
	if s.folder == "" {
		return "", nil
	}
	root, err := os.Stat(s.folder)
	if err != nil {
		return "", s.denied("read", err)
	}
	found := ""
	err = filepath.WalkDir(s.folder, func(path string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return s.denied("read", err)
		case path == s.path("lost+found"):
			return fs.SkipDir
		case path == s.path(tempFolder):
			return nil
		}
		info, err := e.Info()
		if err == nil && shutOut(info, root) {
			found = path
			return fs.SkipAll
		}
		return nil
	})
	return found, err
}

// listFolder returns the keys that begin with prefix.
func (s *Store) listFolder(ctx context.Context, prefix string) (keys []string, err error) {
	from := s.path(prefix[:strings.LastIndex(prefix, "/")+1])
	err = filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // deleted meanwhile, or never there
		case err != nil || ctx.Err() != nil:
			return cmp.Or(err, ctx.Err())
		case e.IsDir() && path == s.path(tempFolder):
			return fs.SkipDir
		case e.IsDir():
			return nil
		}
		relative, err := filepath.Rel(s.folder, path)
		if key := filepath.ToSlash(relative); err == nil && strings.HasPrefix(key, prefix) {
			keys = append(keys, key)
		}
		return err
	})
	return keys, err
}

// deleteFile deletes a file, and the folders that are empty without it.
func (s *Store) deleteFile(key string) error {
	path := s.path(key)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for path = filepath.Dir(path); path != s.folder && path != s.path(tempFolder) && os.Remove(path) == nil; {
		path = filepath.Dir(path)
	}
	return nil
}

// Sweep deletes what killed writers left of a local store, and tells how many files. Whoever still writes has the file
// locked; where the file system knows no locks, a leftover is a file of yesterday.
func (s *Store) Sweep() (deleted int) {
	if s.folder == "" || s.present() != nil {
		return 0
	}
	files, err := os.ReadDir(s.path(tempFolder))
	if err != nil {
		return 0
	}
	for _, e := range files {
		path := filepath.Join(s.path(tempFolder), e.Name())
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		old := time.Since(info.ModTime()) > leftover
		if strings.HasPrefix(tempFolder+"/"+e.Name(), probe) && !old {
			continue // it is not locked, and goes within a moment
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			continue
		}
		if free, err := lock(f, false); (free || err != nil && old) && os.Remove(path) == nil {
			deleted++
		}
		f.Close()
	}
	return deleted
}

// entries are the names at the top of a local store or a bucket, sorted.
func (s *Store) entries(ctx context.Context) (names []string, err error) {
	if s.folder == "" {
		return s.topOfBucket(ctx)
	}
	files, err := os.ReadDir(s.folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, f := range files {
		names = append(names, f.Name())
	}
	slices.Sort(names)
	return names, s.denied("read", err)
}
