// Package iterator has the name that the server's archiver to Google Cloud uses.
package iterator

import "errors"

var Done = errors.New("no more items")
