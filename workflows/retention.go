package workflows

import (
	"fmt"
	"strings"

	"go.temporal.io/sdk/workflow"

	"harmstack/activities/retention"
	"harmstack/schemas/text"
)

// RetentionRequest starts a disposal of what is over its time. Its zero value, `{}` in the start form, deletes.
type RetentionRequest struct {
	// DryRun only lists what would go.
	DryRun bool `json:"dry_run,omitempty"`
}

// Retention disposes of what is over its time, by the rules of the worker. Without rules it does nothing.
func Retention(ctx workflow.Context, request RetentionRequest) (retention.DisposeResult, error) {
	var acts *retention.Activities
	var result retention.DisposeResult
	params := retention.DisposeParams{Now: workflow.Now(ctx), DryRun: request.DryRun}
	disposing := workflow.WithActivityOptions(
		computing(ctx),
		summarised(stageOptions, "dispose of what is over its time"),
	)
	err := workflow.ExecuteActivity(disposing, acts.Dispose, params).Get(ctx, &result)
	if err == nil {
		workflow.SetCurrentDetails(ctx, disposals(request, result))
	}
	return result, err
}

// disposals is what the UI shows.
func disposals(request RetentionRequest, r retention.DisposeResult) string {
	if len(r.Disposals) == 0 {
		return "Nothing is over its time."
	}
	var b strings.Builder
	if request.DryRun {
		b.WriteString("A dry run: nothing was deleted.\n\n")
	}
	b.WriteString("| what | files | bytes | rule |\n|---|---:|---:|---|\n")
	for _, d := range r.Disposals {
		b.WriteString(
			fmt.Sprintf(
				"| %s | %s | %s | %s |\n",
				d.Of(),
				text.Number(d.Files),
				text.Number(d.Bytes),
				text.Markdown(d.Rule),
			),
		)
	}
	return b.String()
}
