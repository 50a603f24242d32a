// Package storage has the names that the server's archiver to Google Cloud uses; all of it refuses. A
// development server archives nothing.
package storage

import (
	"context"
	"errors"

	"google.golang.org/api/option"
)

// ErrNone is every answer.
var ErrNone = errors.New("this server is for development: it archives nothing")

const ScopeFullControl = "https://www.googleapis.com/auth/devstorage.full_control"

type (
	Client         struct{}
	BucketHandle   struct{}
	ObjectHandle   struct{}
	ObjectIterator struct{}
	Writer         struct{}
	Reader         struct{}
	BucketAttrs    struct{}
	ObjectAttrs    struct{ Name string }
	Query          struct{ Prefix string }
)

func NewClient(context.Context, ...option.ClientOption) (*Client, error) { return nil, ErrNone }
func (*Client) Bucket(string) *BucketHandle                              { return nil }
func (*BucketHandle) Object(string) *ObjectHandle                        { return nil }
func (*BucketHandle) Objects(context.Context, *Query) *ObjectIterator    { return nil }
func (*BucketHandle) Attrs(context.Context) (*BucketAttrs, error)        { return nil, ErrNone }
func (*ObjectHandle) NewWriter(context.Context) *Writer                  { return nil }
func (*ObjectHandle) NewReader(context.Context) (*Reader, error)         { return nil, ErrNone }
func (*ObjectHandle) Attrs(context.Context) (*ObjectAttrs, error)        { return nil, ErrNone }
func (*ObjectIterator) Next() (*ObjectAttrs, error)                      { return nil, ErrNone }
func (*Writer) Write([]byte) (int, error)                                { return 0, ErrNone }
func (*Writer) Close() error                                             { return ErrNone }
func (*Writer) CloseWithError(error) error                               { return ErrNone }
func (*Reader) Read([]byte) (int, error)                                 { return 0, ErrNone }
func (*Reader) Close() error                                             { return ErrNone }
