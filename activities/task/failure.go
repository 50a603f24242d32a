// Package task is what the activities share: faults as Temporal sees them (what says its kind ends a stage or a
// decision at once, everything else is retried), and the heartbeat, which tells Temporal that an activity is alive,
// whatever it is waiting for.
//
// It must not know what the stages do: an error says its kind itself (schemas/fault).
package task

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"gocloud.dev/gcerrors"

	"harmstack/activities/store"
	"harmstack/schemas/fault"
)

// Permanent makes a failure that is not retried. Its text is the error's, which holds nothing personal.
func Permanent(kind string, err error, details ...any) error {
	return temporal.NewNonRetryableApplicationError(err.Error(), kind, nil, details...)
}

// WorkflowID is the workflow that an activity works for; empty outside of one, in a test.
func WorkflowID(ctx context.Context) string {
	if !activity.IsActivity(ctx) {
		return ""
	}
	return activity.GetInfo(ctx).WorkflowExecution.ID
}

// Later makes a failure that is retried once so much time has passed; with 0, by the activity's own pace, it is err
// itself.
func Later(err error, wait time.Duration) error {
	if wait <= 0 {
		return err
	}
	return temporal.NewApplicationErrorWithOptions(
		err.Error(),
		fault.NotYet,
		temporal.ApplicationErrorOptions{NextRetryDelay: wait},
	)
}

// Is tells whether err is, or was caused by, a failure of that type.
func Is(err error, kind string) bool {
	var app *temporal.ApplicationError
	return errors.As(err, &app) && app.Type() == kind
}

// Waiting is Of for an act that a person waits for: a store that has no room, or may not be written to, is told at once
// as NotRecorded. The same act succeeds when that is mended.
func Waiting(err error) error {
	if errors.Is(err, store.ErrFull) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) ||
		gcerrors.Code(err) == gcerrors.PermissionDenied {
		return Permanent(
			fault.NotRecorded,
			fmt.Errorf("it could not be recorded, give the same again when that is mended: %w", err),
		)
	}
	return Of(err)
}

// Of turns an error into what an activity returns: a permanent failure when it says its kind, the error itself when a
// retry may mend it.
func Of(err error) error {
	var known *temporal.ApplicationError
	if err == nil || errors.As(err, &known) || errors.Is(err, context.Canceled) {
		return err
	}
	if kind := fault.Kind(err); kind != "" {
		return Permanent(kind, err)
	}
	return err
}
