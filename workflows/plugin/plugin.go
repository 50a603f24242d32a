// Package plugin is how every client of Temporal in this project speaks: workers, the starter, tests and
// replays take the same one, so that what one writes the others read.
//
// It holds the encryption of payloads and failures, the log line of each activity, and what is refused before one. It
// must not know any workflow.
package plugin

import (
	"context"
	"time"

	failurepb "go.temporal.io/api/failure/v1"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
)

// New makes the plugin. Without keys payloads are plain text. A nil logger leaves the client's.
func New(e Encryption, logger log.Logger) (*temporal.SimplePlugin, error) {
	options := temporal.SimplePluginOptions{
		Name:               "harmstack",
		WorkerInterceptors: []interceptor.WorkerInterceptor{&activityLog{}, &validation{refused: e.Refused}},
		ConfigureClient: func(_ context.Context, o client.PluginConfigureClientOptions) error {
			if logger != nil {
				o.ClientOptions.Logger = logger
			}
			return nil
		},
	}
	var err error
	if options.DataConverter, options.FailureConverter, err = Converters(e); err != nil {
		return nil, err
	}
	return temporal.NewSimplePlugin(options)
}

// Converters write and read the payloads and failures of a namespace; without keys, in clear.
func Converters(e Encryption) (converter.DataConverter, converter.FailureConverter, error) {
	if len(e.Keys) == 0 {
		return converter.GetDefaultDataConverter(), temporal.GetDefaultFailureConverter(), nil
	}
	codec, err := e.Codec()
	if err != nil {
		return nil, nil, err
	}
	data := converter.NewCodecDataConverter(converter.GetDefaultDataConverter(), codec)
	// An error's text and stack are payloads too.
	return data, &failures{temporal.NewDefaultFailureConverter(temporal.DefaultFailureConverterOptions{
		DataConverter: data, EncodeCommonAttributes: true})}, nil
}

// failures leaves the text of refusals in clear beside the encrypted one. It says what to do next and holds nothing
// personal (schemas/fault), and whoever is refused may be somebody without keys.
type failures struct{ converter.FailureConverter }

func (f *failures) ErrorToFailure(err error) *failurepb.Failure {
	failure := f.FailureConverter.ErrorToFailure(err)
	if app, ok := err.(*temporal.ApplicationError); ok && app.NonRetryable() && app.Type() != "" {
		failure.Message = app.Message()
	}
	return failure
}

// activityLog writes one line when an activity ends: which, how long, and whether it worked. The
// client's own lines say only when one fails.
type activityLog struct {
	interceptor.WorkerInterceptorBase
}

func (*activityLog) InterceptActivity(
	_ context.Context,
	next interceptor.ActivityInboundInterceptor,
) interceptor.ActivityInboundInterceptor {
	a := &activityTimer{}
	a.Next = next
	return a
}

type activityTimer struct {
	interceptor.ActivityInboundInterceptorBase
}

func (a *activityTimer) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	start := time.Now()
	result, err := a.Next.ExecuteActivity(ctx, in)
	if err == nil {
		activity.GetLogger(ctx).Info("activity done", "took", time.Since(start).Round(time.Millisecond).String())
	}
	return result, err
}
