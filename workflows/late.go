package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"harmstack/activities/nightly"
	"harmstack/activities/operations"
	"harmstack/activities/task"
	"harmstack/schemas"
	"harmstack/schemas/fault"
)

// awaitSource waits for a source that is late, up to a set time; then people are told, and the night fails with
// SourceLate. A night that was started by hand, or for a date long past, takes what there is, unless it was asked to
// wait.
func (n *night) awaitSource(ctx workflow.Context) error {
	_, scheduled := workflow.GetTypedSearchAttributes(ctx).GetTime(scheduledStart)
	asOf := n.progress.Night.AsOf
	thisMorning := schemas.LondonDate(workflow.Now(ctx)) == asOf.AddDays(1)
	if !n.request.Wait && !(scheduled && thisMorning) {
		return nil
	}
	if workflow.GetVersion(ctx, "await the source", workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return nil
	}
	line, err := n.start(ctx, "source")
	if err != nil {
		return err
	}
	start := workflow.Now(ctx)
	err = n.wait(
		ctx,
		line,
		nightly.ArrivalParams{AsOf: asOf, Source: n.request.Extract, Now: start, Asked: n.request.Wait},
	)
	n.end(ctx, line, start, err)
	return err
}

// wait looks once, and then until the time is over.
func (n *night) wait(ctx workflow.Context, line *Stage, p nightly.ArrivalParams) error {
	var acts *nightly.Activities
	var found nightly.ArrivalResult
	summary := fmt.Sprintf("look for the source of the night of %s", p.AsOf)
	if err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, summarised(stageOptions, summary)), acts.LookForSource, p).Get(ctx, &found); err != nil {
		return err
	}
	if found.Late == "" {
		line.Notes = "it is there"
		return nil
	}
	line.Notes = fmt.Sprintf("waiting since %s, until %s: %s", clock(p.Now), clock(found.Until), found.Late)
	n.show(ctx)
	var err error
	if left := found.Until.Sub(workflow.Now(ctx)); left > 0 {
		summary = fmt.Sprintf("wait for the source of the night of %s until %s", p.AsOf, clock(found.Until))
		err = workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, summarised(waitOptions(left), summary)), acts.AwaitSource, p).
			Get(ctx, nil)
		if err == nil {
			line.Notes = "came after " + workflow.Now(ctx).Sub(p.Now).Round(time.Second).String()
			return nil
		}
		if !task.Is(err, fault.SourceLate) && !temporal.IsTimeoutError(err) {
			return err
		}
		if task.Is(err, fault.SourceLate) {
			found.Late = reason(err)
		}
	}
	return giveUp(ctx, p.AsOf, found)
}

// giveUp tells people that the source did not come.
func giveUp(ctx workflow.Context, asOf schemas.Date, found nightly.ArrivalResult) error {
	f := operations.SourceLate(asOf, found.Until, found.Late)
	told := alert(ctx, f)
	text := fmt.Errorf("%s %s", f.Text, f.Do)
	if told != nil {
		text = fmt.Errorf("%w Nobody could be told by mail: %s", text, reason(told))
	}
	return task.Permanent(fault.SourceLate, text)
}

// tellFailed tells people that the night failed, unless they know: they cancelled it, look at a dry run, or were told
// that the source is late. That nobody can be told changes nothing of the failure.
func (n *night) tellFailed(ctx workflow.Context, err error) {
	if err == nil || temporal.IsCanceledError(err) || n.request.DryRun || task.Is(err, fault.SourceLate) ||
		workflow.GetVersion(ctx, "tell of a failed night", workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return
	}
	if err := alert(ctx, operations.NightFailed(n.progress.Night.AsOf, workflow.Now(ctx), Because(err))); err != nil {
		workflow.GetLogger(ctx).Error("nobody could be told that the night failed", "error", err)
	}
}

// alert sends one finding to those who run the system, at most once.
func alert(ctx workflow.Context, f operations.Finding) error {
	var acts *operations.Activities
	return workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, summarised(alertOptions, "tell of: "+f.Kind)), acts.Alert, operations.AlertParams{Finding: f}).
		Get(ctx, nil)
}

func clock(t time.Time) string { return t.In(schemas.London).Format("15:04 on 2 January") }
