package task

import (
	"context"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/activity"
)

// Start heartbeats at half the activity's time-out until stop is called, with the number of rows done so far. A cancel
// of the workflow comes with the answer to a heartbeat, through ctx. Once stop has returned there are no more.
func Start(ctx context.Context) (rows *atomic.Int64, stop func()) {
	rows = new(atomic.Int64)
	every := activity.GetInfo(ctx).HeartbeatTimeout / 2
	if every <= 0 {
		return rows, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				activity.RecordHeartbeat(ctx, rows.Load())
			case <-ctx.Done():
				return
			}
		}
	}()
	return rows, func() {
		cancel()
		<-ended
	}
}
