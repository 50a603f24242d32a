package nightly

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync/atomic"

	"harmstack/activities/extract"
	"harmstack/activities/extract/sources"
	"harmstack/activities/pipeline"
	"harmstack/activities/scoring"
	"harmstack/activities/task"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/schemas/text"
)

// ExtractParams says where the night's rows come from.
type ExtractParams struct {
	Night schemas.NightID `json:"night"`
	// Source is the name of a configured source, a path or a URL; empty: the default source.
	Source string `json:"source,omitempty"`
	// AcceptDrift is why lost or retyped columns are to be taken.
	AcceptDrift string `json:"accept_drift,omitempty"`
	Force       bool   `json:"force,omitempty"`
}

// ExtractResult is the rows as read, in typed parts.
type ExtractResult struct {
	Source schemas.ArtifactRef   `json:"source"`
	Parts  []schemas.ArtifactRef `json:"parts"`
	// Links are the person links; nil: the source declares none.
	Links        *LinksResult `json:"links,omitempty"`
	ExtraColumns int          `json:"extra_columns"`
	// Unreadable counts values that were not what their column holds, by column.
	Unreadable map[string]int64 `json:"unreadable,omitempty"`
	// Reading says how a source that can tell what changed was read.
	Reading *schemas.Reading `json:"reading,omitempty"`
	// Form is in which form the source held the columns.
	Form *schemas.ExtractForm `json:"form,omitempty"`
	// Shards is in how many ranges the night is to be scored; up to 1: by one worker alone.
	Shards int `json:"shards,omitempty"`
	Origin
}

// LinksResult is the person links as they were declared, and as the night keeps them.
type LinksResult struct {
	Source schemas.ArtifactRef `json:"source"`
	Kept   schemas.ArtifactRef `json:"kept"`
}

func (r *ExtractResult) refs() []*schemas.ArtifactRef {
	refs := pointers(r.Parts)
	if r.Links != nil {
		refs = append(refs, &r.Links.Kept)
	}
	return refs
}

// LinksRef is what the score goes by; nil: there are none.
func (r *ExtractResult) LinksRef() *schemas.ArtifactRef {
	if r.Links == nil {
		return nil
	}
	return &r.Links.Kept
}

// inputs are what the manifest names: the extract, then the person links.
func (r *ExtractResult) inputs() []schemas.ArtifactRef {
	inputs := []schemas.ArtifactRef{r.Source}
	if r.Links != nil {
		inputs = append(inputs, r.Links.Source)
	}
	return inputs
}

// The files may have been replaced since they were looked for.
func (r *ExtractResult) outcome() outcome { return outcome{inputs: r.inputs()} }

// Rows is how many rows the parts hold.
func (r ExtractResult) Rows() (n int64) {
	for _, p := range r.Parts {
		n += p.Rows
	}
	return n
}

// shards is how many ranges a night of so many rows is scored in: one, unless it is larger than a shard.
func (a *Activities) shards(rows int64) int {
	of := cmp.Or(a.ShardRows, DefaultShardRows)
	return int(min((rows+of-1)/of, maxShards))
}

const (
	// DefaultShardRows is how many rows one worker scores alone when nobody says otherwise: about a minute.
	DefaultShardRows = 50_000_000
	// Every shard sends to every other: their files are as many as the square of this.
	maxShards = 32
)

// Done is the line of the stage table.
func (r ExtractResult) Done() (int64, string) {
	note := text.Count(len(r.Parts), "part")
	if r.Links != nil {
		note += ", " + text.Count(r.Links.Kept.Rows, "person link")
	}
	if r.ExtraColumns > 0 {
		note += ", " + text.Count(r.ExtraColumns, "column") + " beyond the contract dropped"
	}
	if r.Form != nil && len(r.Form.Near) > 0 {
		note += "; " + schemas.NearNote(r.Form.Near)
	}
	if r.Reading != nil {
		note += ", " + r.Reading.String()
	}
	if r.Form != nil && len(r.Form.Drift) > 0 {
		note += "; " + strings.Join(r.Form.Drift, "; ")
	}
	return r.Rows(), note
}

// Extract copies the source into the night, typed, so that every later stage and every later question
// reads the very rows of that night.
func (a *Activities) Extract(ctx context.Context, p ExtractParams) (r ExtractResult, err error) {
	name, err := a.source(p.Source)
	if err != nil {
		return r, task.Permanent(fault.BadRequest, err)
	}
	n := a.night(p.Night)
	var found []schemas.ArtifactRef
	t := step{
		night: p.Night,
		stage: "extract",
		force: p.Force,
		find: func(ctx context.Context) ([]schemas.ArtifactRef, any) {
			refs, reading, ok := sources.Identify(ctx, name)
			if !ok {
				return nil, nil
			}
			found = refs
			return refs, reading
		},
	}
	r, err = stage(ctx, a, t, func(rows *atomic.Int64) (r ExtractResult, err error) {
		f, err := sources.Open(
			ctx,
			name,
			sources.Options{
				Temp:     a.TempDir,
				Progress: rows.Store,
				Threads:  n.Threads,
				Memory:   a.Memory,
				AsOf:     p.Night.AsOf,
				Store:    a.Store,
			},
		)
		if err != nil {
			return r, err
		}
		defer f.Close()
		if f.Rows() == 0 {
			return r, fault.New(fault.EmptyExtract, pipeline.NoRows)
		}
		r.Form = &schemas.ExtractForm{
			Source:  cmp.Or(p.Source, DefaultSource),
			Columns: f.Forms(),
			Near:    f.NearColumns(),
		}
		before, err := n.Drift(ctx, r.Form, f.ExtraColumns(), p.AcceptDrift)
		if err != nil {
			return r, err
		}
		if err := a.clearParts(ctx, p.Night, nil); err != nil {
			return r, err
		}
		if r.Links, err = keepLinks(ctx, n, f.Links); err != nil {
			return r, err
		}
		r.Parts, err = extract.Snapshot(
			ctx,
			f.File,
			a.Store,
			p.Night.Path()+"/"+schemas.ExtractFolder,
			n.Threads,
			rows.Store,
		)
		if err != nil {
			return r, err
		}
		if r.Source, err = f.Ref(); err != nil {
			return r, err
		}
		r.ExtraColumns, r.Unreadable, r.Reading = f.ExtraColumns(), f.Unreadable, f.Reading
		if r.Rows() != f.Rows() {
			return r, fault.Errorf(
				fault.CountsDoNotReconcile,
				"the extract's footer promises %s, %s read",
				text.Count(f.Rows(), "row"),
				text.Count(r.Rows(), "was", "were"),
			)
		}
		a.share(ctx, before, r.Parts)
		return r, f.Kept(ctx, a.Store, r.Parts)
	})
	if err != nil {
		return r, err
	}
	if r.Reused != nil { // under another name, or after a night of another form, it may have drifted
		r.Form = &schemas.ExtractForm{
			Source:  cmp.Or(p.Source, DefaultSource),
			Columns: r.Form.Columns,
			Near:    r.Form.Near,
		}
		if _, err := n.Drift(ctx, r.Form, r.ExtraColumns, p.AcceptDrift); err != nil {
			return r, task.Of(err)
		}
	}
	if r.Reused != nil && r.Links != nil { // from wherever it came then
		r.Links.Source.URI = found[1].URI
	}
	r.Source.URI, r.Shards = name, a.shards(r.Rows())
	return r, task.Of(a.clearParts(ctx, p.Night, r.Parts))
}

// keepLinks follows the person links, which finds out whether that can be, and writes them into the night. Without any,
// those of an earlier attempt go.
func keepLinks(ctx context.Context, n *pipeline.Night, read *sources.ReadLinks) (r *LinksResult, err error) {
	if read == nil {
		return nil, n.Store.Delete(ctx, n.Folder+"/"+schemas.LinksFile)
	}
	r = &LinksResult{Source: read.Ref}
	if n.Links, err = scoring.NewLinks(read.Rows, n.Tables); err != nil {
		return nil, err
	}
	r.Kept, err = n.WriteLinks(ctx)
	return r, err
}

// share makes parts that the night before holds as well one with them: of a database or a bucket nobody knows before it
// was read that nothing changed. What cannot be shared stays as it was written.
func (a *Activities) share(ctx context.Context, before *schemas.Manifest, parts []schemas.ArtifactRef) {
	if before == nil || !a.Store.Shares() {
		return
	}
	for _, part := range parts {
		for _, old := range before.Outputs {
			if old.SHA256 == part.SHA256 && old.Bytes == part.Bytes && old.URI != part.URI {
				_, _ = a.Store.Link(ctx, old, part.URI)
				break
			}
		}
	}
}

// clearParts deletes the parts of an earlier attempt but for those to keep: when the source was longer they would be
// read with the others by a wildcard.
func (a *Activities) clearParts(ctx context.Context, night schemas.NightID, but []schemas.ArtifactRef) error {
	old, err := a.Store.List(ctx, night.Path()+"/"+schemas.ExtractFolder+"/")
	if err != nil {
		return err
	}
	for _, part := range old {
		if slices.ContainsFunc(but, func(kept schemas.ArtifactRef) bool { return kept.URI == part }) {
			continue
		}
		if err := a.Store.Delete(ctx, part); err != nil {
			return err
		}
	}
	return nil
}
