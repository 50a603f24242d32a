// Package plugin is how every client of Temporal in this project speaks: workers, the starter, tests and
// replays take the same one, so that what one writes the others read.
//
// It holds the encryption of payloads and failures, and the log line of each activity. It must not know
// any workflow.
package plugin

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
)

// New makes the plugin. Without keys payloads are plain text. A nil logger leaves the client's.
func New(keys []Key, logger log.Logger) (*temporal.SimplePlugin, error) {
	options := temporal.SimplePluginOptions{
		Name:               "harmstack",
		WorkerInterceptors: []interceptor.WorkerInterceptor{&activityLog{}},
		ConfigureClient: func(_ context.Context, o client.PluginConfigureClientOptions) error {
			if logger != nil {
				o.ClientOptions.Logger = logger
			}
			return nil
		},
	}
	if len(keys) > 0 {
		codec, err := newCodec(keys)
		if err != nil {
			return nil, err
		}
		data := converter.NewCodecDataConverter(converter.GetDefaultDataConverter(), codec)
		options.DataConverter = data
		// An error's text and stack are payloads too.
		options.FailureConverter = temporal.NewDefaultFailureConverter(temporal.DefaultFailureConverterOptions{
			DataConverter: data, EncodeCommonAttributes: true})
	}
	return temporal.NewSimplePlugin(options)
}

// activityLog writes one line when an activity ends: which, how long, and whether it worked. The
// client's own lines say only when one fails.
type activityLog struct {
	interceptor.WorkerInterceptorBase
}

func (*activityLog) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
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
