package workflows

import (
	"strings"
	"testing"

	"go.temporal.io/sdk/workflow"

	"harmstack/activities/operations"
	"harmstack/schemas"
)

// What an extract, the teams' file or a failure brings is shown in the web UI as text: it is no markup, HTML or link, and
// begins no line of its own.
func TestDetailsShowHostileValuesAsText(t *testing.T) {
	t.Parallel()
	const hostile = "<img src=x> [click](https://evil.example) | **b**\n# FORGED"
	event := schemas.TaskingEvent{Number: 1, At: asOf.Start(), Kind: hostile, Outcome: hostile}
	for place, page := range map[string]string{
		"a tasking": (&caseworker{tasking: &schemas.Tasking{Reference: lifeReference, State: schemas.TaskingIssued, Team: hostile,
			Facts: schemas.TaskingFacts{Status: hostile}, Events: []schemas.TaskingEvent{event}}}).details(),
		"a tasking that is not read yet": (&caseworker{reference: lifeReference, trouble: hostile}).details(),
		"a tasking that is not chased":   (&caseworker{tasking: &schemas.Tasking{Reference: lifeReference}, trouble: hostile}).details(),
		"a night":                        NightProgress{Stages: []Stage{{Name: "extract", State: StageDone, Notes: hostile}}}.Markdown(),
		"checks":                         schemas.CheckTable([]schemas.CheckOutcome{{Name: hostile, Found: hostile}}, true),
		"the watch":                      WatchResult{Findings: []operations.Finding{{Kind: operations.KindNightFailed, Text: hostile, Do: hostile}}}.Markdown(),
		"a summary":                      summarised(workflow.ActivityOptions{}, hostile).Summary,
		"a child":                        childOptions("id", hostile).StaticSummary,
	} {
		shown := strings.Count(page, `\<img src=x\>`)
		if shown == 0 || strings.Count(page, "<img") != shown || strings.Count(page, "[click") != strings.Count(page, `\[click`) ||
			strings.Contains(page, "https://") || strings.Contains(page, "\n# FORGED") || strings.Contains(page, " | **b") {
			t.Errorf("%s: %s", place, page)
		}
	}
}
