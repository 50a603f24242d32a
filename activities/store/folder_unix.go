//go:build unix

package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// lock locks an open file without waiting, exclusively; of a file that is being written it makes sure that it still has
// its name. The lock goes with its holder, however that ends. mine is false when somebody else has the file.
func lock(f *os.File, writing bool) (mine bool, err error) {
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	var stat unix.Stat_t
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		return false, nil
	case err != nil && writing:
		return true, nil // a file system without locks: Sweep finds out as well
	case err != nil:
		return false, err
	case unix.Fstat(int(f.Fd()), &stat) == nil && stat.Nlink == 0:
		return false, nil
	}
	return true, nil
}

// share keeps others from locking an open file.
func share(f *os.File) { _ = unix.Flock(int(f.Fd()), unix.LOCK_SH) }

// own gives what was just made the group of root and, by a superuser, its owner.
func own(path string, root fs.FileInfo) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	is, ok := info.Sys().(*syscall.Stat_t)
	want, rootOK := root.Sys().(*syscall.Stat_t)
	switch {
	case !ok || !rootOK || is.Uid == want.Uid && is.Gid == want.Gid:
		return nil
	case os.Geteuid() == 0:
		return os.Lchown(path, int(want.Uid), int(want.Gid))
	}
	_ = os.Lchown(
		path,
		-1,
		int(want.Gid),
	) // refused to who is no member: then the store is open to all, or to nobody else
	return nil
}

// access tells whether this process may make something in a folder.
func access(folder string) error { return unix.Access(folder, unix.W_OK|unix.X_OK) }

func ownerOf(info fs.FileInfo) string {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "somebody"
	}
	group := strconv.FormatUint(uint64(stat.Gid), 10)
	if g, err := user.LookupGroupId(group); err == nil {
		group = g.Name
	}
	return fmt.Sprintf("%s:%s", userName(strconv.FormatUint(uint64(stat.Uid), 10)), group)
}

// shutOut tells whether the owner of root can do with something of another owner less than is needed.
func shutOut(info, root fs.FileInfo) bool {
	is, ok := info.Sys().(*syscall.Stat_t)
	want, rootOK := root.Sys().(*syscall.Stat_t)
	if !ok || !rootOK || is.Uid == want.Uid || want.Uid == 0 {
		return false
	}
	need := fs.FileMode(0o4)
	if info.IsDir() {
		need = 0o7
	}
	mode := info.Mode().Perm()
	if is.Gid == want.Gid {
		mode >>= 3
	}
	return mode&need != need
}
