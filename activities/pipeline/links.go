package pipeline

import (
	"context"

	"harmstack/activities/nights"
	"harmstack/activities/scoring"
	"harmstack/activities/store"
	"harmstack/schemas"
	"harmstack/schemas/reference"
)

// WriteLinks writes links.parquet: the night's person links in their normal form, so that equal links are equal bytes,
// in whatever order they came.
func (n *Night) WriteLinks(ctx context.Context) (schemas.ArtifactRef, error) {
	return n.write(ctx, schemas.LinksFile, schemas.PersonLinkSchema, rowsOf(n.Links.Rows()))
}

// LoadLinks reads what WriteLinks wrote. ref may be nil: then there are none.
func LoadLinks(
	ctx context.Context,
	st *store.Store,
	ref *schemas.ArtifactRef,
	tables *reference.Tables,
) (*scoring.Links, error) {
	if ref == nil {
		return nil, nil
	}
	var rows []schemas.PersonLink
	err := nights.ReadRows(ctx, st, *ref, func(batch []schemas.PersonLink) error {
		rows = append(rows, batch...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return scoring.NewLinks(rows, tables)
}

// KeptLinks are the person links that a published night kept; nil: it had none.
func KeptLinks(m schemas.Manifest) *schemas.ArtifactRef {
	if ref, ok := m.Output(schemas.LinksFile); ok {
		return &ref
	}
	return nil
}
