package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"harmstack/schemas"
	"harmstack/schemas/fault"
)

// ErrRewritten is returned by Link for an artefact from which a person was erased: what else holds the same bytes must
// not become it, nor a rerun take it over.
var ErrRewritten = fault.New(fault.DamagedArtifact,
	"a person was erased from it since it was written: run the night again")

// Erasures are the records of people erased from a night, oldest first, each checked as every record is.
func (s *Store) Erasures(ctx context.Context, id schemas.NightID) (all []schemas.Erasure, err error) {
	keys, err := s.List(ctx, id.Path()+"/"+schemas.ErasurePrefix)
	for _, key := range keys {
		data, err := s.ReadRecord(ctx, key)
		if err != nil {
			return nil, err
		}
		var e schemas.Erasure
		if json.Unmarshal(data, &e) != nil || e.NightID != id {
			return nil, fmt.Errorf("%s: %w", key, ErrDamaged)
		}
		all = append(all, e)
	}
	return all, err
}

// rewritten is what an artefact became by erasures, the last first.
func (s *Store) rewritten(ctx context.Context, key string) (refs []schemas.ArtifactRef, err error) {
	id, ok := schemas.ParseNightPath(key)
	if !ok {
		return nil, nil
	}
	all, err := s.Erasures(ctx, id)
	for _, e := range slices.Backward(all) {
		for _, f := range e.Files {
			if f.Is.URI == key && f.Was.URI == key {
				refs = append(refs, f.Is)
			}
		}
	}
	return refs, err
}

// Latest is an artefact of a night as the last erasure left it: the reference itself when there was none.
func (s *Store) Latest(ctx context.Context, ref schemas.ArtifactRef) (schemas.ArtifactRef, error) {
	refs, err := s.rewritten(ctx, ref.URI)
	if err != nil || len(refs) == 0 {
		return ref, err
	}
	return refs[0], nil
}

// which finds out whether what lies there is what a reference names or, by a signed record of an erasure, what became
// of that. The error is ErrDamaged when it is neither.
func (s *Store) which(
	ctx context.Context,
	content *io.SectionReader,
	ref schemas.ArtifactRef,
) (schemas.ArtifactRef, error) {
	damaged := check(content, ref)
	if !errors.Is(damaged, ErrDamaged) {
		return ref, damaged
	}
	refs, err := s.rewritten(ctx, ref.URI)
	if err != nil {
		return ref, err
	}
	for _, is := range refs {
		if err := check(content, is); !errors.Is(err, ErrDamaged) {
			return is, err
		}
	}
	return ref, damaged
}
