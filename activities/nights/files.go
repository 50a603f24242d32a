package nights

import (
	"context"
	"errors"
	"iter"

	"harmstack/activities/store"
	"harmstack/activities/store/rowfile"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/schemas/text"
)

// ReadRows yields the rows of one artefact, some thousands at a time, and makes sure that it holds as many as its
// reference says. A batch is valid only during the call.
func ReadRows[T any](ctx context.Context, st *store.Store, ref schemas.ArtifactRef, yield func([]T) error) error {
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
	if ref = artifact.Ref; err == nil && rows != ref.Rows {
		err = fault.Errorf(
			fault.CountsDoNotReconcile,
			"%s holds %s, %s written",
			ref.URI,
			text.Count(rows, "row"),
			text.Count(ref.Rows, "was", "were"),
		)
	}
	return err
}

// ReadFile reads a small output of a night whole.
func ReadFile[T any](ctx context.Context, st *store.Store, m schemas.Manifest, file string) (all []T, err error) {
	ref, err := output(m, file)
	if err != nil {
		return nil, err
	}
	err = ReadRows(ctx, st, ref, func(batch []T) error {
		all = append(all, batch...)
		return nil
	})
	return all, WhyMissing(ctx, st, m.NightID, err)
}

// Cases reads cases.parquet; none, of a night of version 1, or when the rows as read were disposed of.
func Cases(ctx context.Context, st *store.Store, m schemas.Manifest) ([]schemas.Case, error) {
	if _, ok := m.Output(schemas.CasesFile); !ok {
		return nil, nil
	}
	all, err := ReadFile[schemas.Case](ctx, st, m, schemas.CasesFile)
	if errors.Is(err, ErrDisposed) {
		return nil, nil
	}
	return all, err
}

// EachRow is an output of a night, row by row. The last pair may be an error.
func EachRow[T any](
	ctx context.Context,
	st *store.Store,
	m schemas.Manifest,
	file string,
) (iter.Seq2[T, error], error) {
	ref, err := output(m, file)
	enough := errors.New("enough")
	return func(yield func(T, error) bool) {
		err := ReadRows(ctx, st, ref, func(batch []T) error {
			for _, row := range batch {
				if !yield(row, nil) {
					return enough
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, enough) {
			var none T
			yield(none, WhyMissing(ctx, st, m.NightID, err))
		}
	}, err
}

func output(m schemas.Manifest, file string) (schemas.ArtifactRef, error) {
	ref, ok := m.Output(file)
	if !ok {
		return ref, fault.Errorf(fault.DamagedArtifact, "night %s has no %s", m.NightID, file)
	}
	return ref, nil
}
