// Package types has the names of S3 that the server's archiver uses.
package types

type (
	NoSuchBucket struct{}
	NoSuchKey    struct{}
	Object       struct{ Key *string }
	CommonPrefix struct{ Prefix *string }
)

func (*NoSuchBucket) Error() string { return "NoSuchBucket" }
func (*NoSuchKey) Error() string    { return "NoSuchKey" }
