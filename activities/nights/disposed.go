package nights

import (
	"context"
	"errors"
	"fmt"

	"harmstack/activities/store"
	"harmstack/schemas"
	"harmstack/schemas/fault"
)

// ErrDisposed says that a night's time is over and that what is asked for is gone for good. Its manifest, decision and
// the record of the disposal stay.
var ErrDisposed = fault.New(fault.DisposedOf, "disposed of")

// WhyMissing turns the error of opening an output of a night into ErrDisposed when it is missing because the
// night, or its extract, was disposed of; any other error stays what it is.
func WhyMissing(ctx context.Context, st *store.Store, id schemas.NightID, err error) error {
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	for _, file := range []string{schemas.DisposalFile, schemas.ExtractGoneFile} {
		d, loadErr := load[schemas.Disposal](ctx, st, id.Path()+"/"+file)
		if loadErr != nil {
			return errors.Join(err, loadErr)
		}
		if d == nil {
			continue
		}
		what := "its files were"
		if file == schemas.ExtractGoneFile {
			what = "its rows as read were"
		}
		// Not the error itself: a missing file is damage elsewhere, and here it is not.
		return fmt.Errorf("night %s: %s %w on %s: %s. Its manifest, decision and %s remain", id, what, ErrDisposed,
			d.At.In(schemas.London).Format("2 January 2006"), d.Rule, file)
	}
	return err
}
