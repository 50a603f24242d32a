package workflows

import (
	"errors"
	"fmt"
	"strings"

	"go.temporal.io/sdk/workflow"

	"harmstack/activities/operations"
	"harmstack/schemas"
	"harmstack/schemas/text"
)

// WatchRequest starts a watch. Its zero value, `{}` in the start form, is that of today.
type WatchRequest struct {
	// Day is the day of the report; empty: today in London. It looks for the night of the day before.
	Day schemas.Date `json:"day,omitzero"`
}

// WatchResult is what a watch found; nothing is as it should be.
type WatchResult struct {
	Day      schemas.Date         `json:"day"`
	Findings []operations.Finding `json:"findings"`
}

// Watch looks whether the night of yesterday is published, somebody decides, and the approved stack is young, and tells
// those who run the system of each thing that is not so, once a day. It shares no step with a night, so that whatever
// keeps nights from running does not keep it.
func Watch(ctx workflow.Context, request WatchRequest) (WatchResult, error) {
	result := WatchResult{Day: request.Day}
	if result.Day.IsZero() {
		meant, ok := workflow.GetTypedSearchAttributes(ctx).GetTime(scheduledStart)
		if !ok {
			meant = workflow.Now(ctx)
		}
		result.Day = schemas.LondonDate(meant)
	}
	var acts *operations.Activities
	var found operations.InspectResult
	summary := fmt.Sprintf("look for the night of %s", result.Day.AddDays(-1))
	err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, summarised(alertOptions, summary)), acts.Inspect, operations.InspectParams{Day: result.Day}).
		Get(ctx, &found)
	if err != nil {
		return result, err
	}
	result.Findings = found.Findings
	workflow.SetCurrentDetails(ctx, result.Markdown())
	var unsent []error
	for _, f := range result.Findings {
		unsent = append(unsent, alert(ctx, f))
	}
	return result, errors.Join(unsent...)
}

// Markdown is what the UI shows of a watch.
func (r WatchResult) Markdown() string {
	if len(r.Findings) == 0 {
		return fmt.Sprintf("### Watch of %s\n\nAll is as it should be.\n", r.Day)
	}
	var b strings.Builder
	b.WriteString(fmt.Sprintf("### Watch of %s\n\n| | found | do |\n|---|---|---|\n", r.Day))
	for _, f := range r.Findings {
		b.WriteString(fmt.Sprintf("| **%s** | %s | %s |\n", f.Kind, text.Markdown(f.Text), text.Markdown(f.Do)))
	}
	return b.String()
}
