package workflows

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"harmstack/activities/nightly"
	"harmstack/schemas"
	"harmstack/schemas/text"
)

// NightProgress is how far a night is: the answer to the query "night", and what the UI shows.
type NightProgress struct {
	Night  schemas.NightID `json:"night"`
	Stages []Stage         `json:"stages"`
	// Dispositions are there once the rows are scored.
	Dispositions *schemas.Dispositions `json:"dispositions,omitempty"`
	Manifest     *schemas.ManifestRef  `json:"manifest,omitempty"`
	// Checks are there once the night is published.
	Checks []schemas.CheckOutcome `json:"checks,omitempty"`
	// Decision is the workflow that waits for the officer.
	Decision string `json:"decision,omitempty"`
}

// Stage is one line of the stage table.
type Stage struct {
	Name  string        `json:"stage"`
	State string        `json:"state"`
	Rows  int64         `json:"rows"`
	Took  time.Duration `json:"took"`
	Notes string        `json:"notes,omitempty"`
}

// The states of a stage. StageDone is also what AttributeStage says of a night that has ended well.
const (
	StageRunning   = "running"
	StageDone      = "done"
	StageFailed    = "failed"
	StageCancelled = "cancelled"
)

// night is a running night.
type night struct {
	request  schemas.NightRequest
	progress NightProgress
}

// begin works out which night it is and lets people follow it.
func begin(ctx workflow.Context, request schemas.NightRequest) (*night, error) {
	n := &night{request: request}
	n.progress.Night.AsOf = businessDate(ctx, request)
	err := Progress.handle(ctx, func() (NightProgress, error) { return n.progress, nil })
	return n, err
}

// claim takes a revision for this run: at the start, and again when another run turns out to have
// published the one it had.
func (n *night) claim(ctx workflow.Context) error {
	var acts *nightly.Activities
	claimed, err := once(
		ctx,
		n,
		"claim",
		acts.Claim,
		[]nightly.ClaimParams{{AsOf: n.progress.Night.AsOf, Request: n.request, Now: workflow.Now(ctx)}},
	)
	if err != nil {
		return err
	}
	n.progress.Night = claimed[0].Night
	return label(ctx, n.progress.Night)
}

// count shows what became of the rows.
func (n *night) count(ctx workflow.Context, d schemas.Dispositions) {
	n.progress.Dispositions = &d
	n.show(ctx)
}

// done is what a stage hands back: rows and a remark for its line of the table.
type done interface {
	Done() (rows int64, notes string)
}

// stage runs one stage. If the revision it works on is published already, by the run of which this one
// is a Reset, the stage runs again in the next revision, on what the stages before it left.
func stage[P any, R done](
	ctx workflow.Context,
	n *night,
	name string,
	activity func(context.Context, P) (R, error),
	params func(schemas.NightID) P,
) (result R, err error) {
	results, err := fanOut(ctx, n, name, activity, 1, func(id schemas.NightID, _, _ int) P { return params(id) })
	if err == nil {
		result = results[0]
	}
	return result, err
}

// fanOut is stage for work that is shared: count activities at once, with one line of the table.
func fanOut[P any, R done](
	ctx workflow.Context,
	n *night,
	name string,
	activity func(context.Context, P) (R, error),
	count int,
	params func(id schemas.NightID, i, of int) P,
) ([]R, error) {
	for {
		list := make([]P, count)
		for i := range list {
			list[i] = params(n.progress.Night, i, count)
		}
		results, err := once(computing(ctx), n, name, activity, list)
		if !sealed(err) {
			return results, err
		}
		had := n.progress.Night
		if claimErr := n.claim(ctx); claimErr != nil {
			return results, claimErr
		}
		if n.progress.Night == had {
			return results, err // the claim disagrees with the stage: a person must look
		}
	}
}

// once runs the activities of one stage and keeps its line of the table. When one fails the others are
// cancelled, and waited for.
func once[P any, R done](
	ctx workflow.Context,
	n *night,
	name string,
	activity func(context.Context, P) (R, error),
	params []P,
) (results []R, err error) {
	line, err := n.start(ctx, name)
	if err != nil {
		return nil, err
	}
	start := workflow.Now(ctx)
	ctx, cancel := workflow.WithCancel(ctx)
	defer cancel()
	reused := 0
	futures := make([]workflow.Future, len(params))
	for i, p := range params {
		summary := fmt.Sprintf("%s the night of %s", name, n.progress.Night.AsOf)
		if len(params) > 1 {
			summary += fmt.Sprintf(", %d of %d", i+1, len(params))
		}
		futures[i] = workflow.ExecuteActivity(
			workflow.WithActivityOptions(ctx, summarised(stageOptions, summary)),
			activity,
			p,
		)
	}
	for i, f := range futures {
		var result R
		if failed := f.Get(ctx, &result); failed != nil {
			if err == nil {
				err = failed
			}
			cancel()
			continue
		}
		results = append(results, result)
		rows, notes := result.Done()
		line.Rows, line.Notes = line.Rows+rows, notes
		if r, ok := any(result).(interface{ ReusedFrom() *schemas.NightID }); ok && r.ReusedFrom() != nil {
			reused++
			line.Notes += fmt.Sprintf("; reused from %s r%d", r.ReusedFrom().AsOf, r.ReusedFrom().Revision)
		}
		if r, ok := any(result).(interface{ UnsentEvents() int }); ok && r.UnsentEvents() > 0 {
			line.Notes += "; lineage not told yet"
		}
		if len(params) > 1 {
			line.Notes = fmt.Sprintf("%d of %d", i+1, len(params))
			if reused > 0 {
				line.Notes += fmt.Sprintf(", %d reused", reused)
			}
			n.show(ctx)
		}
	}
	n.end(ctx, line, start, err)
	return results, err
}

// start adds the line of a stage.
func (n *night) start(ctx workflow.Context, name string) (*Stage, error) {
	n.progress.Stages = append(n.progress.Stages, Stage{Name: name, State: StageRunning})
	n.show(ctx)
	return &n.progress.Stages[len(n.progress.Stages)-1], workflow.UpsertTypedSearchAttributes(
		ctx,
		AttributeStage.ValueSet(name),
	)
}

// end says how a stage went.
func (n *night) end(ctx workflow.Context, line *Stage, start time.Time, err error) {
	line.Took = workflow.Now(ctx).Sub(start)
	switch {
	case err == nil:
		line.State = StageDone
	case sealed(err):
		line.State, line.Notes = StageDone, "the revision is published already: on with the next"
	case temporal.IsCanceledError(err):
		line.State = StageCancelled
	default:
		line.State, line.Notes = StageFailed, reason(err)
	}
	n.show(ctx)
}

// failLast says that what the last stage left is no good.
func (n *night) failLast(ctx workflow.Context, err error) {
	line := &n.progress.Stages[len(n.progress.Stages)-1]
	line.State, line.Notes = StageFailed, reason(err)
	n.show(ctx)
}

// finish marks the end for those who search.
func (n *night) finish(ctx workflow.Context, err error) {
	end := StageDone
	if temporal.IsCanceledError(err) {
		end = StageCancelled
	} else if err != nil {
		end = StageFailed
	}
	if err := workflow.UpsertTypedSearchAttributes(ctx, AttributeStage.ValueSet(end)); err != nil {
		workflow.GetLogger(ctx).Warn("the end of the night could not be marked", "error", err)
	}
	n.show(ctx)
}

// reason is the text of the failure that began it all.
func reason(err error) string {
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		return app.Message()
	}
	return err.Error()
}

// Because is the text of the failure that began it all, with the failure's type before it.
func Because(err error) string {
	var app *temporal.ApplicationError
	if errors.As(err, &app) && app.Type() != "" {
		return app.Type() + ": " + app.Message()
	}
	return reason(err)
}

// show writes the tables that the UI shows.
func (n *night) show(ctx workflow.Context) { workflow.SetCurrentDetails(ctx, n.progress.Markdown()) }

// Markdown writes the stage table and, once the rows are counted, what became of them.
func (p NightProgress) Markdown() string {
	var b strings.Builder
	b.WriteString(fmt.Sprintf("### Night of %s", p.Night.AsOf))
	if p.Night.Revision > 0 {
		b.WriteString(fmt.Sprintf(", revision %d", p.Night.Revision))
	}
	b.WriteString("\n\n| stage | state | rows | took | notes |\n|---|---|---:|---:|---|\n")
	for _, s := range p.Stages {
		rows, took := "", ""
		if s.Rows > 0 {
			rows = text.Number(s.Rows)
		}
		if s.State != StageRunning {
			took = s.Took.Round(time.Millisecond).String()
		}
		b.WriteString(fmt.Sprintf("| %s | %s | %s | %s | %s |\n", s.Name, s.State, rows, took, text.Markdown(s.Notes)))
	}
	if p.Dispositions != nil {
		b.WriteString("\n| disposition | rows |\n|---|---:|\n")
		for i, rows := range p.Dispositions {
			b.WriteString(fmt.Sprintf("| %s | %s |\n", schemas.Disposition(i), text.Number(rows)))
		}
		b.WriteString(fmt.Sprintf("| **read** | **%s** |\n", text.Number(p.Dispositions.Sum())))
	}
	if len(p.Checks) > 0 {
		b.WriteString("\n" + schemas.CheckTable(p.Checks, true))
	}
	if p.Manifest != nil {
		b.WriteString(fmt.Sprintf("\nPublished: `%s`, sha256 `%s`\n", p.Manifest.URI, p.Manifest.SHA256))
	}
	if p.Decision != "" {
		b.WriteString(fmt.Sprintf("\nTo be decided in `%s`\n", p.Decision))
	}
	return b.String()
}
