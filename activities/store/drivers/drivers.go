// Package drivers registers the buckets that a store's or an extract's URL may name: s3:// (and what speaks
// it), azblob://, and gs:// in a build with the tag gcs. The programs import it, and nothing else does, so
// that the tests of the other packages stay light. It must not know what is kept in a bucket.
//
// S3 adds 12 MB to a program of 60, Azure 5. Google's adds 29 and takes as long to compile as all the rest,
// so that only those build it who need it.
package drivers

import (
	_ "gocloud.dev/blob/azureblob" // azblob://
	_ "gocloud.dev/blob/s3blob"    // s3://
)
