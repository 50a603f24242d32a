package workflows

import (
	"errors"
	"fmt"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"harmstack/activities/nightly"
	"harmstack/schemas"
)

// NightResult is what a night came to.
type NightResult struct {
	Night        schemas.NightID      `json:"night"`
	RowsRead     int64                `json:"rows_read"`
	Dispositions schemas.Dispositions `json:"dispositions"`
	Suspects     int64                `json:"suspects"`
	Facts        schemas.Facts        `json:"facts"`
	Cut          schemas.Cut          `json:"cut"`
	// Ranking names the ranking; after a dry run it is the only file to look at.
	Ranking schemas.ArtifactRef `json:"ranking"`
	// Manifest is nil after a dry run, which publishes nothing.
	Manifest *schemas.ManifestRef `json:"manifest,omitempty"`
	Changes  *schemas.ChangeCount `json:"changes,omitempty"`
	// Superseded: a newer night was there already, so that nobody will be asked about this one.
	Superseded bool `json:"superseded,omitempty"`
	// Decision is the workflow that waits for the officer's decision.
	Decision string `json:"decision,omitempty"`
	// Checks are what was found of it beside the counts; one that blocks asks the officer for an override.
	Checks []schemas.CheckOutcome `json:"checks,omitempty"`
}

// NightlyRun makes the stack of one night and publishes it. It ends then: the decision is waited for by
// a workflow of its own, so that no night waits for another.
func NightlyRun(ctx workflow.Context, request schemas.NightRequest) (NightResult, error) {
	n, err := begin(ctx, request)
	if err != nil {
		return NightResult{}, err
	}
	result, err := n.run(ctx)
	n.finish(ctx, err)
	n.tellFailed(ctx, err)
	return result, err
}

// run is the night, stage by stage.
func (n *night) run(ctx workflow.Context) (result NightResult, err error) {
	request := n.request
	if err := n.claim(ctx); err != nil {
		return result, err
	}
	if err := n.awaitSource(ctx); err != nil {
		return result, err
	}
	var acts *nightly.Activities
	extracted, err := stage(ctx, n, "extract", acts.Extract, func(id schemas.NightID) nightly.ExtractParams {
		return nightly.ExtractParams{
			Night:       id,
			Source:      request.Extract,
			AcceptDrift: request.AcceptDrift,
			Force:       request.Force,
		}
	})
	if err != nil {
		return result, err
	}
	checked, err := stage(ctx, n, "check", acts.Check, func(id schemas.NightID) nightly.CheckParams {
		return nightly.CheckParams{Night: id, Parts: extracted.Parts, Force: request.Force}
	})
	if err != nil {
		return result, err
	}
	scored, err := n.score(ctx, extracted, checked)
	if err != nil {
		return result, err
	}
	n.count(ctx, scored.Dispositions)
	ranked, err := stage(ctx, n, "rank", acts.Rank, func(id schemas.NightID) nightly.RankParams {
		return nightly.RankParams{
			Night: id, Model: request.Model, Shards: scored.Shards, Parts: extracted.Parts, Links: extracted.LinksRef(),
			Force: request.Force,
		}
	})
	if err != nil {
		return result, err
	}
	result = NightResult{Night: n.progress.Night, RowsRead: scored.RowsRead, Dispositions: scored.Dispositions,
		Suspects: scored.Suspects(), Facts: scored.Facts, Cut: ranked.Cut, Ranking: ranked.Ranking}
	if request.DryRun {
		return result, nil
	}
	published, err := stage(ctx, n, "publish", acts.Publish, func(id schemas.NightID) nightly.PublishParams {
		return nightly.PublishParams{
			Night:     id,
			Model:     request.Model,
			Request:   request,
			Extracted: extracted,
			Checked:   checked,
			Scored:    scored,
			Ranked:    ranked,
		}
	})
	if err != nil {
		return result, err
	}
	result.Night, result.Manifest, result.Changes = published.Manifest.NightID, &published.Manifest, &published.Changes
	result.Ranking, result.Superseded = published.Ranking, published.Superseded
	n.progress.Manifest, n.progress.Checks, result.Checks = result.Manifest, published.Checks, published.Checks
	if published.Superseded {
		return result, nil
	}
	result.Decision = deploymentOf(ctx).ID(DecisionWorkflowID(result.Night))
	n.progress.Decision = result.Decision
	if err := askForDecision(ctx, published.Manifest); err != nil {
		return result, err
	}
	return result, tellSuperseded(ctx, published)
}

// score scores the night: by one worker, or by as many as there are when it is large.
func (n *night) score(
	ctx workflow.Context,
	extracted nightly.ExtractResult,
	checked nightly.CheckResult,
) (r nightly.ScoreResult, err error) {
	var acts *nightly.Activities
	params := func(id schemas.NightID) nightly.ScoreParams {
		return nightly.ScoreParams{Night: id, Model: n.request.Model, Parts: extracted.Parts, Links: extracted.LinksRef(),
			ExtraColumns: extracted.ExtraColumns, Quarantined: checked.Quarantine.Rows, Force: n.request.Force}
	}
	if extracted.Shards <= 1 {
		return stage(ctx, n, "score", acts.Score, params)
	}
	shards := extracted.Shards
	scattered, err := fanOut(
		ctx,
		n,
		"scatter",
		acts.Scatter,
		min(shards, len(extracted.Parts)),
		func(id schemas.NightID, i, of int) nightly.ScatterParams {
			return nightly.ScatterParams{
				Night:  id,
				Model:  n.request.Model,
				Shard:  i,
				Shards: shards,
				Force:  n.request.Force,
				Links:  extracted.LinksRef(),
				Parts:  extracted.Parts[len(extracted.Parts)*i/of : len(extracted.Parts)*(i+1)/of],
			}
		},
	)
	if err != nil {
		return r, err
	}
	// A shard takes its range of whatever the workers before it sorted.
	shard := func(ranges [][]schemas.ArtifactRef) func(id schemas.NightID, i, of int) nightly.ShardParams {
		return func(id schemas.NightID, i, _ int) nightly.ShardParams {
			p := nightly.ShardParams{Night: id, Model: n.request.Model, Shard: i, Shards: shards, Force: n.request.Force}
			for _, r := range ranges {
				p.Inputs = append(p.Inputs, r[i])
			}
			return p
		}
	}
	var ranges [][]schemas.ArtifactRef
	for _, s := range scattered {
		ranges = append(ranges, s.Ranges)
	}
	deduplicated, err := fanOut(ctx, n, "deduplicate", acts.Settle, shards, shard(ranges))
	if err != nil {
		return r, err
	}
	ranges = nil
	for _, s := range deduplicated {
		ranges = append(ranges, s.Ranges)
	}
	scored, err := fanOut(ctx, n, "score", acts.ScoreShard, shards, shard(ranges))
	if err != nil {
		return r, err
	}
	r, err = nightly.Combine(params(n.progress.Night), scattered, deduplicated, scored)
	if err != nil {
		n.failLast(ctx, err)
	}
	return r, err
}

// businessDate is the night's date (contract, section 2): as requested; else the day before the one for
// which the schedule meant the run, which for a backfill is long past; else the day before today.
func businessDate(ctx workflow.Context, request schemas.NightRequest) schemas.Date {
	if !request.AsOf.IsZero() {
		return request.AsOf
	}
	meant, ok := workflow.GetTypedSearchAttributes(ctx).GetTime(scheduledStart)
	if !ok {
		meant = workflow.Now(ctx)
	}
	return schemas.LondonDate(meant).AddDays(-1)
}

// askForDecision starts the workflow that waits for the officer, and waits only until it has started.
func askForDecision(ctx workflow.Context, manifest schemas.ManifestRef) error {
	ctx = workflow.WithChildOptions(ctx, childOptions(
		deploymentOf(ctx).ID(DecisionWorkflowID(manifest.NightID)),
		fmt.Sprintf(
			"Waits for an officer to approve or hold the stack of %s, revision %d",
			manifest.AsOf,
			manifest.Revision,
		),
	))
	err := workflow.ExecuteChildWorkflow(ctx, Decision, DecisionParams{manifest}).
		GetChildWorkflowExecution().
		Get(ctx, nil)
	var started *temporal.ChildWorkflowExecutionAlreadyStartedError
	if errors.As(err, &started) {
		return nil // by a run of this night that was reset after it
	}
	return err
}

// tellSuperseded ends the decisions that this night has superseded. One that has ended already, or was
// never started, is not there to be told.
func tellSuperseded(ctx workflow.Context, published nightly.PublishResult) error {
	var told []workflow.Future
	for _, older := range published.Supersedes {
		told = append(
			told,
			Supersede.send(ctx, deploymentOf(ctx).ID(DecisionWorkflowID(older)), published.Manifest.NightID),
		)
	}
	for _, f := range told {
		err := f.Get(ctx, nil)
		var gone *temporal.UnknownExternalWorkflowExecutionError
		if err != nil && !errors.As(err, &gone) {
			return err
		}
	}
	return nil
}
