// Package smithy has the name that the server's archiver to S3 uses.
package smithy

type APIError interface {
	error
	ErrorCode() string
}
