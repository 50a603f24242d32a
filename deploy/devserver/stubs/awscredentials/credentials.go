// Package credentials has none.
package credentials

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
)

type none struct{}

func (none) Retrieve(context.Context) (aws.Credentials, error) { return aws.Credentials{}, aws.ErrNone }

func NewStaticCredentialsProvider(_, _, _ string) aws.CredentialsProvider { return none{} }
