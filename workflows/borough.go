package workflows

import (
	"errors"
	"fmt"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"harmstack/activities/operations"
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
	// LateOrders could not be carried out, and LateAddresses of teams that were told did not take their message yet:
	// both are tried again by the teams' LateTasking. RefusedAddresses never will.
	LateOrders       int `json:"late_orders,omitempty"`
	LateAddresses    int `json:"late_addresses,omitempty"`
	RefusedAddresses int `json:"refused_addresses,omitempty"`
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
	if err := label(ctx, p.about(), AttributeBorough.ValueSet(p.Team)); err != nil {
		return result, err
	}
	var acts *tasking.Activities
	var ordered tasking.OrderResult
	if workflow.GetVersion(ctx, "orders first", workflow.DefaultVersion, 1) == 1 {
		ctx := workflow.WithActivityOptions(ctx, summarised(ordersOptions, "orders for "+p.Team))
		if err := workflow.ExecuteActivity(ctx, acts.Order, tasking.OrderParams{Manifest: p.Manifest, Revoked: p.Revoked, Team: p.Team}).Get(ctx, &ordered); err != nil {
			return result, err
		}
		if ordered.Outdated {
			return tasking.DeliverResult{Outcome: tasking.Outdated}, nil
		}
	}
	delivery := workflow.WithActivityOptions(ctx, summarised(deliveryOptions, "digest for "+p.Team))
	err = workflow.ExecuteActivity(delivery, acts.Deliver, tasking.DeliverParams{Manifest: p.Manifest, Revoked: p.Revoked, Team: p.Team}).
		Get(ctx, &result)
	result.LateOrders = ordered.Failed
	// Recorded runs knew neither.
	if result.LateOrders+result.LateAddresses > 0 {
		child := workflow.WithChildOptions(
			ctx,
			childOptions(
				deploymentOf(ctx).ID(lateWorkflowID(schemas.Occasion(p.Manifest.NightID, p.Revoked), p.Team)),
				fmt.Sprintf(
					"%s: %s and %s to be tried again",
					p.Team,
					text.Count(result.LateOrders, "order"),
					text.Count(result.LateAddresses, "address", "addresses"),
				),
			),
		)
		late := workflow.ExecuteChildWorkflow(child, LateTasking, p).GetChildWorkflowExecution().Get(ctx, nil)
		var runs *temporal.ChildWorkflowExecutionAlreadyStartedError
		if late != nil && !errors.As(late, &runs) {
			err = errors.Join(err, late)
		}
	}
	return result, err
}

// about is the night that is told of.
func (p BoroughParams) about() schemas.NightID {
	if p.Revoked != (schemas.NightID{}) {
		return p.Revoked
	}
	return p.Manifest.NightID
}

// LateResult is what became of what was late.
type LateResult struct {
	Orders  tasking.OrderResult   `json:"orders"`
	Deliver tasking.DeliverResult `json:"deliver"`
}

// LateTasking tries again, for three days, what of a team's tasking failed: orders, and addresses that did not take the
// digest. Nobody waits for it, and the one does not wait for the other.
func LateTasking(ctx workflow.Context, p BoroughParams) (result LateResult, err error) {
	if err := label(ctx, p.about(), AttributeBorough.ValueSet(p.Team)); err != nil {
		return result, err
	}
	var acts *tasking.Activities
	orders := workflow.ExecuteActivity(
		workflow.WithActivityOptions(ctx, summarised(lateOptions, "late orders for "+p.Team)),
		acts.Order,
		tasking.OrderParams{Manifest: p.Manifest, Revoked: p.Revoked, Team: p.Team, Late: true},
	)
	digest := workflow.ExecuteActivity(
		workflow.WithActivityOptions(ctx, summarised(lateOptions, "late addresses of "+p.Team)),
		acts.Deliver,
		tasking.DeliverParams{Manifest: p.Manifest, Revoked: p.Revoked, Team: p.Team, Late: true},
	)
	return result, errors.Join(orders.Get(ctx, &result.Orders), digest.Get(ctx, &result.Deliver))
}

// taskTeams starts a workflow for each team and waits until each has been told, or cannot be. One team's failure is no
// other's; those who run the system are told of it, and of who still waits when Patience is over. The teams follow the
// approval of the stack of manifest or, given instead, that the approval of the night revoked was taken back.
func taskTeams(ctx workflow.Context, manifest schemas.ManifestRef, revoked schemas.NightID) (TaskingCount, error) {
	t := &teamTasks{manifest: manifest, revoked: revoked}
	if workflow.GetVersion(ctx, "tell of the untold", workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return t.run(ctx)
	}
	waiting, stop := workflow.WithCancel(ctx)
	workflow.Go(waiting, func(ctx workflow.Context) {
		if err := workflow.NewTimer(ctx, tasking.Patience).Get(ctx, nil); err == nil {
			t.tellOfUntold(ctx)
		}
	})
	count, err := t.run(ctx)
	stop()
	if err != nil || count.Failed > 0 {
		t.tellOfUntold(ctx)
	}
	return count, err
}

// teamTasks are the workflows of the teams, none until it is worked out what each is to do.
type teamTasks struct {
	manifest schemas.ManifestRef
	revoked  schemas.NightID
	plan     tasking.PlanResult
	told     []workflow.ChildWorkflowFuture
}

func (t *teamTasks) run(ctx workflow.Context) (count TaskingCount, err error) {
	occasion, of := schemas.Occasion(t.manifest.NightID, t.revoked), " of "+t.manifest.AsOf.String()
	if t.revoked != (schemas.NightID{}) {
		of = ", now that the approval of night " + t.revoked.String() + " was taken back"
	}
	var acts *tasking.Activities
	err = workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, summarised(ordersOptions, "work out what each team is to do")),
		acts.Plan, tasking.PlanParams{Manifest: t.manifest, Revoked: t.revoked}).
		Get(ctx, &t.plan)
	if err != nil {
		return count, err
	}
	t.told = make([]workflow.ChildWorkflowFuture, len(t.plan.Teams))
	for i, team := range t.plan.Teams {
		ctx := workflow.WithChildOptions(ctx, childOptions(
			deploymentOf(ctx).ID(boroughWorkflowID(occasion, team.Name)),
			fmt.Sprintf(
				"%s: %s on the stack%s, %s",
				team.Name,
				text.Count(team.Suspects, "suspect"),
				of,
				text.Count(team.Orders, "order"),
			),
		))
		t.told[i] = workflow.ExecuteChildWorkflow(ctx, BoroughTasking, BoroughParams{t.manifest, t.revoked, team.Name})
	}
	for i, f := range t.told {
		var delivered tasking.DeliverResult
		err := f.Get(ctx, &delivered)
		var told *temporal.ChildWorkflowExecutionAlreadyStartedError
		if errors.As(err, &told) {
			count.Unchanged++ // a Reset of the decision: the team was told by the run before
			continue
		}
		if err != nil {
			workflow.GetLogger(ctx).Error("a team was not told", "borough", t.plan.Teams[i].Name, "error", err)
			count.Failed++
			continue
		}
		count.LateOrders += delivered.LateOrders
		count.LateAddresses += delivered.LateAddresses
		count.RefusedAddresses += delivered.RefusedAddresses
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

// tellOfUntold tells those who run the system which teams have not been told of the stack, whatever keeps them.
func (t *teamTasks) tellOfUntold(ctx workflow.Context) {
	var names []string
	if len(t.told) == 0 {
		names = append(names, "every team") // what each is to be told could not be worked out
	}
	for i, f := range t.told {
		var before *temporal.ChildWorkflowExecutionAlreadyStartedError
		if !f.IsReady() {
			names = append(names, t.plan.Teams[i].Name)
		} else if err := f.Get(ctx, nil); err != nil && !errors.As(err, &before) {
			names = append(names, t.plan.Teams[i].Name)
		}
	}
	if len(names) == 0 {
		return
	}
	if err := alert(ctx, operations.TeamsUntold(BoroughParams{t.manifest, t.revoked, ""}.about().AsOf, workflow.Now(ctx), names)); err != nil {
		workflow.GetLogger(ctx).Error("nobody could be told that teams were not", "error", err)
	}
}
