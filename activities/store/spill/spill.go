// Package spill lends temporary files to work that exceeds its memory budget. It must not know what
// is written to them.
package spill

import (
	"fmt"
	"io"
	"os"
)

// File is one temporary file.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
}

// Folder lends files in one folder; empty means the system's folder for temporary files.
type Folder string

// Create returns a file that has no name any more: nobody else can open it, and it is gone when it is
// closed or the process ends.
func (f Folder) Create() (File, error) {
	file, err := os.CreateTemp(string(f), "harmstack-spill-*")
	if err != nil {
		return nil, fmt.Errorf("spill: %w", err)
	}
	if err := os.Remove(file.Name()); err != nil {
		file.Close()
		return nil, fmt.Errorf("spill: %w", err)
	}
	return file, nil
}
