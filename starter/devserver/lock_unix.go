//go:build !windows

package devserver

import (
	"context"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// lock waits for its turn. The lock goes with its holder, however that ends.
func lock(ctx context.Context, out io.Writer, path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for said := false; ; said = true {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { file.Close() }, nil
		}
		if err != syscall.EWOULDBLOCK && err != syscall.EINTR {
			file.Close()
			return nil, fmt.Errorf("locking %s: %w", path, err)
		}
		if !said {
			fmt.Fprintln(out, "Waiting for another build of the Temporal dev server.")
		}
		select {
		case <-ctx.Done():
			file.Close()
			return nil, fmt.Errorf("waiting for another build of the Temporal dev server: %w", context.Cause(ctx))
		case <-time.After(200 * time.Millisecond):
		}
	}
}
