// Package aws has the names that the server's archiver to S3 and its Elasticsearch client use. A
// development server has neither, and everything here refuses.
package aws

import (
	"context"
	"errors"
)

// ErrNone is every answer.
var ErrNone = errors.New("this server is for development: it has no part in AWS")

type (
	ClientLogMode uint64
	Credentials   struct{ AccessKeyID, SecretAccessKey, SessionToken string }
	Config        struct{ Credentials CredentialsProvider }

	CredentialsProvider interface {
		Retrieve(context.Context) (Credentials, error)
	}
	Retryer interface{ IsErrorRetryable(error) bool }
)

func String(v string) *string { return &v }
func Int(v int) *int          { return &v }
func Int32(v int32) *int32    { return &v }
