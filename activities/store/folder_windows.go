package store

import (
	"errors"
	"io/fs"
	"os"
)

// lock: without locks, a leftover is known by its age.
func lock(_ *os.File, writing bool) (mine bool, err error) {
	if writing {
		return true, nil
	}
	return false, errors.ErrUnsupported
}

func share(*os.File)                        {}
func own(string, fs.FileInfo) error         { return nil }
func access(string) error                   { return nil }
func ownerOf(fs.FileInfo) string            { return "somebody" }
func shutOut(fs.FileInfo, fs.FileInfo) bool { return false }
