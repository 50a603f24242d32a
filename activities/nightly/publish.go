package nightly

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/activity"

	"harmstack/activities/nights"
	"harmstack/schemas"
	"harmstack/schemas/text"
)

// PublishParams is everything the stages before have left.
type PublishParams struct {
	Night schemas.NightID `json:"night"`
	Model string          `json:"model,omitempty"`
	// Request is how the night was asked for.
	Request   schemas.NightRequest `json:"request,omitzero"`
	Extracted ExtractResult        `json:"extracted"`
	Checked   CheckResult          `json:"checked"`
	Scored    ScoreResult          `json:"scored"`
	Ranked    RankResult           `json:"ranked"`
}

// PublishResult names what was published.
type PublishResult struct {
	Manifest schemas.ManifestRef    `json:"manifest"`
	Ranking  schemas.ArtifactRef    `json:"ranking"`
	Changes  schemas.ChangeCount    `json:"changes"`
	Checks   []schemas.CheckOutcome `json:"checks,omitempty"`
	// Superseded: a newer night is approved or pending, so that this one will never be decided.
	Superseded bool `json:"superseded"`
	// Supersedes are the nights that this one has superseded.
	Supersedes []schemas.NightID `json:"supersedes,omitempty"`
	Origin
}

func (r *PublishResult) refs() []*schemas.ArtifactRef {
	return []*schemas.ArtifactRef{&r.Ranking, {URI: r.Manifest.URI, SHA256: r.Manifest.SHA256}}
}

// What a night is published beside changes.
func (r *PublishResult) outcome() outcome { return outcome{doubt: true} }

// Done is the line of the stage table.
func (r PublishResult) Done() (int64, string) {
	note := fmt.Sprintf(
		"%s entered, %s left, %s moved, %s stayed",
		text.Number(r.Changes.Entered),
		text.Number(r.Changes.Left),
		text.Number(r.Changes.Moved),
		text.Number(r.Changes.Stayed),
	)
	if r.Superseded {
		note += "; superseded at once by a newer night"
	}
	return r.Changes.Entered + r.Changes.Moved + r.Changes.Stayed, note
}

// Publish compares the stack with the one approved last, writes changes.parquet and report.html, and
// seals the night with its manifest. Older nights that nobody has decided are superseded before the
// comparison, so that none of them can still become the one approved last.
func (a *Activities) Publish(ctx context.Context, p PublishParams) (PublishResult, error) {
	return stage(
		ctx,
		a,
		step{night: p.Night, stage: "publish", inputs: files(p.Ranked.refs())},
		func(*atomic.Int64) (r PublishResult, err error) {
			var line *nights.Line
			m, ref, err := nights.LoadManifest(ctx, a.Store, p.Night)
			if sealed, sealedErr := nights.Sealed(ctx, a.Store, p.Night); sealedErr != nil {
				return r, sealedErr
			} else if !sealed {
				if m, ref, line, err = a.seal(ctx, p); err == nil {
					err = line.Again(ctx) // another may have been published at the same moment
				}
			} else if err == nil {
				line, err = nights.Look(ctx, a.Store)
			}
			if err != nil {
				return r, err
			}
			r.Manifest, r.Changes, r.Checks, r.Code = ref, *m.Changes, m.Checks, m.Code
			r.Ranking, _ = m.Output(schemas.RankingFile)
			r.Superseded, r.Supersedes, err = line.Supersede(ctx, p.Night, time.Now())
			if err == nil {
				a.tidy(ctx, p.Night)
			}
			return r, err
		},
	)
}

// tidy deletes what the stages of other nights have left for each other. What cannot be deleted is no fault of the
// night.
func (a *Activities) tidy(ctx context.Context, night schemas.NightID) {
	if _, err := nights.Tidy(ctx, a.Store, night, time.Now()); err != nil {
		activity.GetLogger(ctx).Warn("what passed between the stages of earlier nights cannot be deleted", "error", err)
	}
}

// seal writes what is still missing of the night, the manifest last, beside the nights as they stood before.
func (a *Activities) seal(
	ctx context.Context,
	p PublishParams,
) (m schemas.Manifest, ref schemas.ManifestRef, line *nights.Line, err error) {
	n, basis, err := a.scoring(p.Night, p.Model)
	if err != nil {
		return m, ref, line, err
	}
	m = schemas.Manifest{
		NightID:      p.Night,
		RowsRead:     p.Scored.RowsRead,
		Dispositions: p.Scored.Dispositions,
		Suspects:     p.Ranked.Ranking.Rows,
		Facts:        p.Scored.Facts,
		Cut:          p.Ranked.Cut,
		Stability:    p.Ranked.CompareWith,
		Basis:        basis,
		Inputs:       p.Extracted.inputs(),
		Identity:     a.Identity.Word(),
		Code:         a.Code,
	}
	if m.StartedBy, err = a.startedBy(ctx, p.Request); err != nil {
		return m, ref, line, err
	}
	if p.Scored.Basis != nil { // as the workers that scored had it: this one may be configured otherwise by now
		m.Basis = *p.Scored.Basis
	}
	record := func(stage string, o Origin, outputs []schemas.ArtifactRef, reads ...string) {
		m.Stages = append(
			m.Stages,
			schemas.StageRecord{Stage: stage, Reads: reads, Outputs: outputs, Code: o.Code, Reused: o.Reused},
		)
	}
	record("extract", p.Extracted.Origin, files(p.Extracted.refs()))
	record("check", p.Checked.Origin, files(p.Checked.refs()), "extract")
	record("score", p.Scored.Origin, files(p.Scored.refs()), "extract")
	readByRank := []string{"score"}
	if p.Ranked.Cases != nil {
		readByRank = append(readByRank, "extract")
	}
	record("rank", p.Ranked.Origin, files(p.Ranked.refs()), readByRank...)
	m.Facts.Unreadable, m.Profile = p.Extracted.Unreadable, p.Checked.Profile
	m.Facts.BlindSpot.Enter = p.Ranked.Enter
	m.Reading, m.Form = p.Extracted.Reading, p.Extracted.Form
	made := files(p.Extracted.refs())
	made = append(append(made, p.Checked.Quarantine), files(p.Ranked.refs())...)
	for _, o := range made {
		// What an earlier revision's stages left, after a Reset, gets a name here, so that the night's folder is whole
		// and the other may be deleted.
		if at := home(p.Night, o.URI); at != o.URI {
			if o, err = a.Store.Link(ctx, o, at); err != nil {
				return m, ref, line, err
			}
		}
		m.Outputs = append(m.Outputs, o)
	}
	n.RestrictedDesk = a.RestrictedDesk != nil && a.RestrictedDesk()
	return n.Publish(ctx, m)
}
