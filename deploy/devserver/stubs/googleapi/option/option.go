// Package option has the names that the server's archiver to Google Cloud uses.
package option

import "golang.org/x/oauth2"

type ClientOption interface{}

func WithTokenSource(oauth2.TokenSource) ClientOption { return nil }
