package client

import (
	"context"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"

	"harmstack/schemas"
)

// Search attributes that the server sets on what a schedule starts.
const (
	scheduledBy    = "TemporalScheduledById"
	scheduledStart = "TemporalScheduledStartTime"
)

// late is how long after the time for which it is meant a scheduled run may start: what comes later is a backfill. It is
// beyond the schedules' own catch-up.
const late = 24 * time.Hour

// Started reads from the history of a run who started it: the principal that the server noted, where it is set up to
// (frontend.enablePrincipalPropagation), or what the client called itself, which nobody has verified. A run that was
// reset is of whoever reset it last.
func Started(c client.Client) func(ctx context.Context, workflowID, runID string) (schemas.StartedBy, error) {
	return func(ctx context.Context, workflowID, runID string) (by schemas.StartedBy, err error) {
		history := c.GetWorkflowHistory(ctx, workflowID, runID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
		for history.HasNext() {
			e, err := history.Next()
			if err != nil {
				return by, err
			}
			if s := e.GetWorkflowExecutionStartedEventAttributes(); s != nil {
				by = started(e, s)
			}
			if f := e.GetWorkflowTaskFailedEventAttributes(); f.GetCause() == enumspb.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW {
				by = person(schemas.WayReset, e, f.GetIdentity())
			}
		}
		if by.Way == "" {
			return by, fmt.Errorf("the history of workflow %s does not say how it began", workflowID)
		}
		return by, nil
	}
}

func started(e *historypb.HistoryEvent, s *historypb.WorkflowExecutionStartedEventAttributes) schemas.StartedBy {
	attributes := s.GetSearchAttributes().GetIndexedFields()
	if attributes[scheduledBy] == nil {
		return person(schemas.WayPerson, e, s.GetIdentity())
	}
	var meant time.Time
	if err := converter.GetDefaultDataConverter().FromPayload(attributes[scheduledStart], &meant); err == nil &&
		e.GetEventTime().AsTime().Sub(meant) > late {
		by := person(schemas.WayBackfill, e, "")
		by.Verified = schemas.ByClaim // who asked a schedule for it does not stand in the run
		return by
	}
	return schemas.StartedBy{Way: schemas.WaySchedule, Verified: schemas.BySystem, At: e.GetEventTime().AsTime()}
}

func person(way string, e *historypb.HistoryEvent, identity string) schemas.StartedBy {
	by := schemas.StartedBy{Way: way, Name: identity, Verified: schemas.ByClaim, At: e.GetEventTime().AsTime()}
	if p := e.GetPrincipal(); p.GetName() != "" {
		by.Name, by.Subject, by.Verified = p.GetName(), p.GetName(), schemas.ByServer
	}
	return by
}
