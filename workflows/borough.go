package workflows

import (
	"errors"
	"fmt"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"harmstack/activities/tasking"
	"harmstack/schemas"
	"harmstack/schemas/text"
)

// TaskingCount counts teams by what became of their digest.
type TaskingCount struct {
	Sent      int `json:"sent"`
	Unchanged int `json:"unchanged"`
	Outdated  int `json:"outdated"`
	// Failed teams were not told; their workflows say why, and can be reset when it is mended.
	Failed int `json:"failed"`
}

// BoroughParams names the approved stack and the team to be tasked.
type BoroughParams struct {
	Manifest schemas.ManifestRef `json:"manifest,omitzero"`
	// Revoked is given instead of Manifest when the approval of that night was taken back.
	Revoked schemas.NightID `json:"revoked,omitzero"`
	Team    string          `json:"team"`
}

// BoroughTasking tasks one team (a borough's, the central desk, a specialist team) with its part of an
// approved stack: first its taskings are brought up to date, then its digest says so.
func BoroughTasking(ctx workflow.Context, p BoroughParams) (result tasking.DeliverResult, err error) {
	about := p.Manifest.NightID
	if p.Revoked != (schemas.NightID{}) {
		about = p.Revoked
	}
	if err := label(ctx, about, AttributeBorough.ValueSet(p.Team)); err != nil {
		return result, err
	}
	var acts *tasking.Activities
	if workflow.GetVersion(ctx, "orders first", workflow.DefaultVersion, 1) == 1 {
		var ordered tasking.OrderResult
		ctx := workflow.WithActivityOptions(ctx, summarised(ordersOptions, "orders for "+p.Team))
		if err := workflow.ExecuteActivity(ctx, acts.Order, tasking.OrderParams{Manifest: p.Manifest, Revoked: p.Revoked, Team: p.Team}).Get(ctx, &ordered); err != nil {
			return result, err
		}
		if ordered.Outdated {
			return tasking.DeliverResult{Outcome: tasking.Outdated}, nil
		}
	}
	ctx = workflow.WithActivityOptions(ctx, summarised(deliveryOptions, "digest for "+p.Team))
	err = workflow.ExecuteActivity(ctx, acts.Deliver, tasking.DeliverParams{Manifest: p.Manifest, Revoked: p.Revoked, Team: p.Team}).Get(ctx, &result)
	return result, err
}

// taskTeams starts a workflow for each team and waits until each has been told, or cannot be. One team's
// failure is no other's. The teams follow the approval of the stack of manifest or, given instead, that the approval of the night
// revoked was taken back.
func taskTeams(ctx workflow.Context, manifest schemas.ManifestRef, revoked schemas.NightID) (count TaskingCount, err error) {
	occasion, of := schemas.Occasion(manifest.NightID, revoked), " of "+manifest.AsOf.String()
	if revoked != (schemas.NightID{}) {
		of = ", now that the approval of night " + revoked.String() + " was taken back"
	}
	var acts *tasking.Activities
	var plan tasking.PlanResult
	err = workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, summarised(ordersOptions, "work out what each team is to do")),
		acts.Plan, tasking.PlanParams{Manifest: manifest, Revoked: revoked}).Get(ctx, &plan)
	if err != nil {
		return count, err
	}
	told := make([]workflow.ChildWorkflowFuture, len(plan.Teams))
	for i, team := range plan.Teams {
		ctx := workflow.WithChildOptions(ctx, childOptions(deploymentOf(ctx).ID(boroughWorkflowID(occasion, team.Name)),
			fmt.Sprintf("%s: %s on the stack%s, %s", team.Name, text.Count(team.Suspects, "suspect"), of, text.Count(team.Orders, "order"))))
		told[i] = workflow.ExecuteChildWorkflow(ctx, BoroughTasking, BoroughParams{manifest, revoked, team.Name})
	}
	for i, f := range told {
		var delivered tasking.DeliverResult
		err := f.Get(ctx, &delivered)
		var told *temporal.ChildWorkflowExecutionAlreadyStartedError
		if errors.As(err, &told) {
			count.Unchanged++ // a Reset of the decision: the team was told by the run before
			continue
		}
		if err != nil {
			workflow.GetLogger(ctx).Error("a team was not told", "borough", plan.Teams[i].Name, "error", err)
			count.Failed++
			continue
		}
		switch delivered.Outcome {
		case tasking.Sent:
			count.Sent++
		case tasking.Unchanged:
			count.Unchanged++
		case tasking.Outdated:
			count.Outdated++
		}
	}
	return count, ctx.Err()
}
