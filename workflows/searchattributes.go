package workflows

import (
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"harmstack/schemas"
)

// The search attributes, which the namespace must have. They are never encrypted and hold nothing
// personal.
var (
	AttributeAsOf     = temporal.NewSearchAttributeKeyKeyword("HarmstackAsOf")
	AttributeRevision = temporal.NewSearchAttributeKeyInt64("HarmstackRevision")
	AttributeStage    = temporal.NewSearchAttributeKeyKeyword("HarmstackStage")
	AttributeDecision = temporal.NewSearchAttributeKeyKeyword("HarmstackDecision")
	AttributeBorough  = temporal.NewSearchAttributeKeyKeyword("HarmstackBorough")
	AttributeBCU      = temporal.NewSearchAttributeKeyKeyword("HarmstackBCU")
	AttributeTasking  = temporal.NewSearchAttributeKeyKeyword("HarmstackTasking") // the tasking's state
	AttributeDue      = temporal.NewSearchAttributeKeyTime("HarmstackDue")        // to be acknowledged by

	// scheduledStart is Temporal's own: when a schedule meant the workflow to start.
	scheduledStart = temporal.NewSearchAttributeKeyTime("TemporalScheduledStartTime")
)

// SearchAttributes are the keys that a namespace must have.
func SearchAttributes() []temporal.SearchAttributeKey {
	return []temporal.SearchAttributeKey{
		AttributeAsOf,
		AttributeRevision,
		AttributeStage,
		AttributeDecision,
		AttributeBorough,
		AttributeBCU,
		AttributeTasking,
		AttributeDue,
	}
}

// label makes a workflow findable by its night.
func label(ctx workflow.Context, night schemas.NightID, more ...temporal.SearchAttributeUpdate) error {
	return workflow.UpsertTypedSearchAttributes(ctx, append(more,
		AttributeAsOf.ValueSet(night.AsOf.String()), AttributeRevision.ValueSet(int64(night.Revision)))...)
}
