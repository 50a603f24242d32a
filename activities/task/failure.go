// Package task is what the activities share: the one list of faults that no retry mends, as Temporal sees them (what a
// stage or a decision ends with at once; everything else is retried), and the heartbeat, which tells Temporal that an
// activity is alive, whatever it is waiting for.
//
// It must not know what the stages do, only what their packages' errors mean.
package task

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"time"

	"go.temporal.io/sdk/temporal"
	"gocloud.dev/gcerrors"

	"harmstack/activities/extract"
	"harmstack/activities/extract/csvmap"
	"harmstack/activities/extract/postgres"
	"harmstack/activities/extract/sources"
	"harmstack/activities/messages/digest"
	"harmstack/activities/messages/webhook"
	"harmstack/activities/nights"
	"harmstack/activities/scoring"
	"harmstack/activities/store"
)

// The types of the permanent failures, as a client or a person in the UI sees them.
const (
	BadRequest           = "BadRequest"           // the request itself is wrong
	SourceNotFound       = "SourceNotFound"       // the extract is not where it should be
	SourceLate           = "SourceLate"           // the extract of the night did not come in time
	SourceRefused        = "SourceRefused"        // the database does not take the query or the login
	SchemaMismatch       = "SchemaMismatch"       // the extract lacks a column or has one of a wrong type
	EmptyExtract         = "EmptyExtract"         // the extract has no rows
	AllQuarantined       = "AllQuarantined"       // no row of the extract can be read
	NobodyToRank         = "NobodyToRank"         // no row was scored
	CountsDoNotReconcile = "CountsDoNotReconcile" // rows were lost or counted twice
	DamagedArtifact      = "DamagedArtifact"      // a file is not the one that was written
	StoreDenied          = "StoreDenied"          // the worker may not read or write something of the store
	DisposedOf           = "DisposedOf"           // the time of the night that was asked for is over
	RevisionSealed       = "RevisionSealed"       // another run has published this revision
	AlreadyDecided       = "AlreadyDecided"       // another decision stands; its details are a schemas.Decision
	OtherManifest        = "OtherManifest"        // the decision names another night than is published
	StaleNight           = "StaleNight"           // another stack was approved since the night was compared
	QualityGateFailed    = "QualityGateFailed"    // checks block the approval, and no override was given
	Overtaken            = "Overtaken"            // a newer approved night is current
	Revoked              = "Revoked"              // the approval of the night was taken back already
	NotCurrent           = "NotCurrent"           // an approval to be taken back is not the current one
	FutureNight          = "FutureNight"          // the date of the night is later than yesterday in London
	NotRecorded          = "NotRecorded"          // a decision could not be recorded in time
	DeliveryRefused      = "DeliveryRefused"      // the other side refuses the message for good
	NotYet               = "NotYet"               // the other side asked to be left alone for now; it is tried again
	OtherTeam            = "OtherTeam"            // the tasking is another team's
	WrongState           = "WrongState"           // the tasking is in no state for that; somebody else may have come first
	NoSuchTasking        = "NoSuchTasking"        // nobody has that pseudonym
)

// Permanent makes a failure that is not retried. Its text is the error's, which holds nothing personal.
func Permanent(kind string, err error, details ...any) error {
	return temporal.NewNonRetryableApplicationError(err.Error(), kind, nil, details...)
}

// Later makes a failure that is retried once so much time has passed; with 0, by the activity's own pace, it is err
// itself.
func Later(err error, wait time.Duration) error {
	if wait <= 0 {
		return err
	}
	return temporal.NewApplicationErrorWithOptions(err.Error(), NotYet, temporal.ApplicationErrorOptions{NextRetryDelay: wait})
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
		return Permanent(NotRecorded, fmt.Errorf("it could not be recorded, give the same again when that is mended: %w", err))
	}
	return Of(err)
}

// Of turns an error of the packages below into what an activity returns: a permanent failure when it is
// in the list, the error itself when a retry may mend it.
func Of(err error) error {
	var mismatch *extract.SchemaMismatch
	var refused *digest.SendError
	var hooked *webhook.SendError
	var known *temporal.ApplicationError
	switch {
	case err == nil, errors.As(err, &known), errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &mismatch):
		return Permanent(SchemaMismatch, err)
	case errors.As(err, &refused) && refused.Permanent, errors.As(err, &hooked) && hooked.Permanent:
		return Permanent(DeliveryRefused, err)
	}
	for _, p := range []struct {
		is   error
		kind string
	}{
		{extract.ErrNoSource, SourceNotFound},
		{extract.ErrNotParquet, SchemaMismatch},
		{csvmap.ErrMismatch, SchemaMismatch},
		{csvmap.ErrDamaged, DamagedArtifact},
		{sources.ErrDeclaration, BadRequest},
		{postgres.ErrRefused, SourceRefused},
		{extract.ErrTooLarge, BadRequest},
		{extract.ErrRowsMismatch, CountsDoNotReconcile},
		{extract.ErrDamaged, DamagedArtifact},
		{scoring.ErrOverflow, BadRequest},
		{store.ErrDenied, StoreDenied},
		{store.ErrDamaged, DamagedArtifact},
		{store.ErrNotFound, DamagedArtifact},
		{nights.ErrDisposed, DisposedOf},
		{nights.ErrSealed, RevisionSealed},
		{nights.ErrDecided, AlreadyDecided},
		{nights.ErrOtherManifest, OtherManifest},
		{nights.ErrStale, StaleNight},
		{nights.ErrOvertaken, Overtaken},
		{nights.ErrRevoked, Revoked},
		{nights.ErrNotCurrent, NotCurrent},
		{nights.ErrBlocked, QualityGateFailed},
	} {
		if errors.Is(err, p.is) {
			return Permanent(p.kind, err)
		}
	}
	return err
}
