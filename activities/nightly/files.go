package nightly

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"harmstack/activities/nights"
	"harmstack/activities/store"
	"harmstack/activities/store/rowfile"
	"harmstack/activities/task"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/schemas/text"
)

// read yields the rows of one artefact, some thousands at a time, and makes sure that it holds as many
// as its reference says.
func read[T any](ctx context.Context, st *store.Store, ref schemas.ArtifactRef, yield func([]T) error) error {
	artifact, err := st.Open(ctx, ref)
	if err != nil {
		return err
	}
	defer artifact.Close()
	rows := int64(0)
	err = rowfile.Read(artifact, artifact.Size(), func(batch []T) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		rows += int64(len(batch))
		return yield(batch)
	})
	if err == nil && rows != ref.Rows {
		err = task.Permanent(fault.CountsDoNotReconcile, fmt.Errorf("%s holds %s, %s written", ref.URI, text.Count(rows, "row"), text.Count(ref.Rows, "was", "were")))
	}
	return err
}

// readAll reads a small output of a night whole.
func readAll[T any](ctx context.Context, st *store.Store, m schemas.Manifest, file string) (all []T, err error) {
	ref, err := output(m, file)
	if err != nil {
		return nil, err
	}
	err = read(ctx, st, ref, func(batch []T) error {
		all = append(all, batch...)
		return nil
	})
	return all, nights.WhyMissing(ctx, st, m.NightID, err)
}

// each is an output of a night, row by row. The last pair may be an error.
func each[T any](ctx context.Context, st *store.Store, m schemas.Manifest, file string) (iter.Seq2[T, error], error) {
	ref, err := output(m, file)
	enough := errors.New("enough")
	return func(yield func(T, error) bool) {
		err := read(ctx, st, ref, func(batch []T) error {
			for _, row := range batch {
				if !yield(row, nil) {
					return enough
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, enough) {
			var none T
			yield(none, err)
		}
	}, err
}

func output(m schemas.Manifest, file string) (schemas.ArtifactRef, error) {
	ref, ok := m.Output(file)
	if !ok {
		return ref, task.Permanent(fault.DamagedArtifact, fmt.Errorf("night %s has no %s", m.NightID, file))
	}
	return ref, nil
}
