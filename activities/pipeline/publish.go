package pipeline

import (
	"context"
	"io"
	"time"

	"harmstack/activities/nights"
	"harmstack/activities/nights/report"
	"harmstack/schemas"
)

// WriteReport writes report.html.
func (n *Night) WriteReport(ctx context.Context, page report.Page) (schemas.ArtifactRef, error) {
	return n.write(ctx, schemas.ReportFile, "", func(w io.Writer) (int64, error) { return 0, report.Write(w, page) })
}

// Publish writes what is still missing of a night whose manifest names what the stages made, the manifest last: it
// supersedes the older nights that nobody has decided, compares the stack with the one approved last, runs the checks,
// and writes changes.parquet and report.html. line is the nights as they stood before.
func (n *Night) Publish(
	ctx context.Context,
	m schemas.Manifest,
) (_ schemas.Manifest, ref schemas.ManifestRef, line *nights.Line, err error) {
	if line, err = nights.Look(ctx, n.Store); err != nil {
		return m, ref, line, err
	}
	if _, err := line.SupersedeOlder(ctx, n.NightID, time.Now()); err != nil {
		return m, ref, line, err
	}
	page := report.Page{Model: n.Model}
	if page.Stack, err = nights.ReadFile[schemas.Ranked](ctx, n.Store, m, schemas.StackFile); err != nil {
		return m, ref, line, err
	}
	if page.Contributions, err = nights.ReadFile[schemas.Contribution](ctx, n.Store, m, schemas.ContributionsFile); err != nil {
		return m, ref, line, err
	}
	models, standings, err := nights.Standings(ctx, n.Store, m)
	if err != nil {
		return m, ref, line, err
	}
	page.Standings, page.Models = standings, len(models)
	if page.Changes, err = n.compare(ctx, &m, line, page.Stack); err != nil {
		return m, ref, line, err
	}
	changes, err := n.write(ctx, schemas.ChangesFile, schemas.ChangeSchema, rowsOf(page.Changes))
	if err != nil {
		return m, ref, line, err
	}
	m.Outputs = append(m.Outputs, changes)
	ranking, _ := m.Output(schemas.RankingFile)
	everybody := report.NewCollector(n.AsOf, m.Suspects, n.Model.Depth)
	if err := nights.ReadRows(ctx, n.Store, ranking, everybody.Add); err != nil {
		return m, ref, line, err
	}
	if page.Distribution, err = everybody.Distribution(); err != nil {
		return m, ref, line, err
	}
	if m.Checks, err = n.checks(ctx, m, line.Nights, page.Stack); err != nil {
		return m, ref, line, err
	}
	page.Manifest = m
	html, err := n.WriteReport(ctx, page)
	if err != nil {
		return m, ref, line, err
	}
	m.Outputs = append(m.Outputs, html)
	m.Stages = append(
		m.Stages,
		schemas.StageRecord{
			Stage:   "publish",
			Reads:   []string{"rank"},
			Outputs: []schemas.ArtifactRef{changes, html},
			Code:    m.Code,
		},
	)
	ref, err = nights.Publish(ctx, n.Store, m)
	return m, ref, line, err
}

// compare finds what changed since the stack approved last, and notes in the manifest which that was.
func (n *Night) compare(
	ctx context.Context,
	m *schemas.Manifest,
	line *nights.Line,
	stack []schemas.Ranked,
) ([]schemas.Change, error) {
	c := nights.Comparison{Stack: stack, AsOf: m.AsOf, WindowDays: n.Model.WindowDays}
	ref, before, err := line.Baseline(ctx, m.NightID)
	if err != nil {
		return nil, err
	}
	if before != nil {
		if c.Previous, err = nights.ReadFile[schemas.Ranked](ctx, n.Store, *before, schemas.StackFile); err != nil {
			return nil, err
		}
		if c.Contributions, err = nights.ReadFile[schemas.Contribution](ctx, n.Store, *before, schemas.ContributionsFile); err != nil {
			return nil, err
		}
	}
	if c.Ranking, err = nights.EachRow[schemas.Ranked](ctx, n.Store, *m, schemas.RankingFile); err != nil {
		return nil, err
	}
	if KeptLinks(*m) != nil {
		if c.Links, err = nights.EachRow[schemas.PersonLink](ctx, n.Store, *m, schemas.LinksFile); err != nil {
			return nil, err
		}
	}
	changes, err := c.Changes()
	if err != nil {
		return nil, err
	}
	count := nights.CountChanges(changes)
	m.Previous, m.Changes = ref, &count
	return changes, nil
}
