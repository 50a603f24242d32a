package devserver

import (
	"context"
	"io"
)

// lock does nothing here: builds at once only cost time.
func lock(context.Context, io.Writer, string) (unlock func(), err error) {
	return func() {}, nil
}
