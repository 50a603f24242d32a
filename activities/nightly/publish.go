package nightly

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"go.temporal.io/sdk/activity"

	"harmstack/activities/nights"
	"harmstack/activities/nights/report"
	"harmstack/schemas"
	"harmstack/schemas/text"
)

// PublishParams is everything the stages before have left.
type PublishParams struct {
	Night     schemas.NightID `json:"night"`
	Model     string          `json:"model,omitempty"`
	Extracted ExtractResult   `json:"extracted"`
	Checked   CheckResult     `json:"checked"`
	Scored    ScoreResult     `json:"scored"`
	Ranked    RankResult      `json:"ranked"`
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

// Done is the line of the stage table.
func (r PublishResult) Done() (int64, string) {
	note := fmt.Sprintf("%s entered, %s left, %s moved, %s stayed", text.Number(r.Changes.Entered), text.Number(r.Changes.Left), text.Number(r.Changes.Moved), text.Number(r.Changes.Stayed))
	if r.Superseded {
		note += "; superseded at once by a newer night"
	}
	return r.Changes.Entered + r.Changes.Moved + r.Changes.Stayed, note
}

// Publish compares the stack with the one approved last, writes changes.parquet and report.html, and
// seals the night with its manifest. Older nights that nobody has decided are superseded before the
// comparison, so that none of them can still become the one approved last.
func (a *Activities) Publish(ctx context.Context, p PublishParams) (PublishResult, error) {
	return stage(ctx, a, &step{night: p.Night, stage: "publish", inputs: files(p.Ranked.refs()), doubt: true}, func(*atomic.Int64) (r PublishResult, err error) {
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
	})
}

// tidy deletes what the stages of other nights have left for each other. What cannot be deleted is no fault of the night.
func (a *Activities) tidy(ctx context.Context, night schemas.NightID) {
	if _, err := nights.Tidy(ctx, a.Store, night, time.Now()); err != nil {
		activity.GetLogger(ctx).Warn("what passed between the stages of earlier nights cannot be deleted", "error", err)
	}
}

// seal writes what is still missing of the night, the manifest last, beside the nights as they stood before.
func (a *Activities) seal(ctx context.Context, p PublishParams) (m schemas.Manifest, ref schemas.ManifestRef, line *nights.Line, err error) {
	model, err := loadModel(p.Model)
	if err != nil {
		return m, ref, line, err
	}
	m = schemas.Manifest{NightID: p.Night, RowsRead: p.Scored.RowsRead, Dispositions: p.Scored.Dispositions, Suspects: p.Ranked.Ranking.Rows,
		Facts: p.Scored.Facts, Cut: p.Ranked.Cut, Basis: a.tables().Basis(model), Inputs: []schemas.ArtifactRef{p.Extracted.Source}, Code: a.Code}
	if p.Scored.Basis != nil { // as the workers that scored had it: this one may be configured otherwise by now
		m.Basis = *p.Scored.Basis
	}
	record := func(stage string, o Origin, outputs []schemas.ArtifactRef, reads ...string) {
		m.Stages = append(m.Stages, schemas.StageRecord{Stage: stage, Reads: reads, Outputs: outputs, Code: o.Code, Reused: o.Reused})
	}
	record("extract", p.Extracted.Origin, files(p.Extracted.refs()))
	record("check", p.Checked.Origin, files(p.Checked.refs()), "extract")
	record("score", p.Scored.Origin, files(p.Scored.refs()), "extract")
	record("rank", p.Ranked.Origin, files(p.Ranked.refs()), "score")
	m.Facts.Unreadable, m.Profile = p.Extracted.Unreadable, p.Checked.Profile
	m.Reading, m.Form = p.Extracted.Reading, p.Extracted.Form
	made := append([]schemas.ArtifactRef{}, p.Extracted.Parts...)
	made = append(made, p.Checked.Quarantine, p.Ranked.Ranking, p.Ranked.Stack, p.Ranked.StackCSV, p.Ranked.Contributions)
	for _, o := range made {
		// What an earlier revision's stages left, after a Reset, gets a name here, so that the night's folder is whole and the
		// other may be deleted.
		if at := home(p.Night, o.URI); at != o.URI {
			if o, err = a.Store.Link(ctx, o, at); err != nil {
				return m, ref, line, err
			}
		}
		m.Outputs = append(m.Outputs, o)
	}
	if line, err = nights.Look(ctx, a.Store); err != nil {
		return m, ref, line, err
	}
	if _, err := line.SupersedeOlder(ctx, p.Night, time.Now()); err != nil {
		return m, ref, line, err
	}
	page := report.Page{Model: model}
	if page.Stack, err = nights.ReadFile[schemas.Ranked](ctx, a.Store, m, schemas.StackFile); err != nil {
		return m, ref, line, err
	}
	if page.Contributions, err = nights.ReadFile[schemas.Contribution](ctx, a.Store, m, schemas.ContributionsFile); err != nil {
		return m, ref, line, err
	}
	if page.Changes, err = a.compare(ctx, &m, line, model, page.Stack); err != nil {
		return m, ref, line, err
	}
	changes, err := a.Store.Write(ctx, p.Night.Path()+"/"+schemas.ChangesFile, schemas.ChangeSchema, rowsOf(page.Changes))
	if err != nil {
		return m, ref, line, err
	}
	m.Outputs = append(m.Outputs, changes)
	everybody := report.NewCollector(p.Night.AsOf, m.Suspects, model.Depth)
	if err := nights.ReadRows(ctx, a.Store, p.Ranked.Ranking, everybody.Add); err != nil {
		return m, ref, line, err
	}
	if page.Distribution, err = everybody.Distribution(); err != nil {
		return m, ref, line, err
	}
	if m.Checks, err = a.checks(ctx, m, line.Nights, page.Stack); err != nil {
		return m, ref, line, err
	}
	page.Manifest = m
	html, err := a.Store.Write(ctx, p.Night.Path()+"/"+schemas.ReportFile, "", func(w io.Writer) (int64, error) { return 0, report.Write(w, page) })
	if err != nil {
		return m, ref, line, err
	}
	m.Outputs = append(m.Outputs, html)
	record("publish", Origin{Code: a.Code}, []schemas.ArtifactRef{changes, html}, "rank")
	ref, err = nights.Publish(ctx, a.Store, m)
	return m, ref, line, err
}

// compare finds what changed since the stack approved last, and notes in the manifest which that was.
func (a *Activities) compare(ctx context.Context, m *schemas.Manifest, line *nights.Line, model schemas.Model, stack []schemas.Ranked) ([]schemas.Change, error) {
	c := nights.Comparison{Stack: stack, AsOf: m.AsOf, WindowDays: model.WindowDays}
	ref, before, err := line.Baseline(ctx, m.NightID)
	if err != nil {
		return nil, err
	}
	if before != nil {
		if c.Previous, err = nights.ReadFile[schemas.Ranked](ctx, a.Store, *before, schemas.StackFile); err != nil {
			return nil, err
		}
		if c.Contributions, err = nights.ReadFile[schemas.Contribution](ctx, a.Store, *before, schemas.ContributionsFile); err != nil {
			return nil, err
		}
	}
	if c.Ranking, err = nights.EachRow[schemas.Ranked](ctx, a.Store, *m, schemas.RankingFile); err != nil {
		return nil, err
	}
	changes, err := c.Changes()
	if err != nil {
		return nil, err
	}
	count := nights.CountChanges(changes)
	m.Previous, m.Changes = ref, &count
	return changes, nil
}
