package client

import (
	"context"
	"errors"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"harmstack/schemas"
	"harmstack/workflows"
)

// ScheduleID names the schedule of the nights.
const ScheduleID = "harmstack-nightly"

// Scheduled is one of the schedules of a deployment.
type Scheduled struct {
	Name    string // for the command line
	When    string
	Options client.ScheduleOptions
}

// Schedules are all of them, the nights first.
func Schedules(d workflows.Deployment, taskQueue string) []Scheduled {
	all := []Scheduled{
		{"nightly", "every night at 03:30 in London", Schedule(taskQueue)},
		{"watch", "every morning at 07:30 in London", WatchSchedule(taskQueue)},
		{"retention", "every morning at 05:30 in London", RetentionSchedule(taskQueue)},
	}
	for i := range all {
		o := &all[i].Options
		action := o.Action.(*client.ScheduleWorkflowAction)
		o.ID, action.ID = d.ID(o.ID), d.ID(action.ID)
	}
	return all
}

// RetentionSchedule disposes of what is over its time at 05:30 in London, between the night and its decision.
func RetentionSchedule(taskQueue string) client.ScheduleOptions {
	return client.ScheduleOptions{
		ID: "harmstack-retention",
		Spec: client.ScheduleSpec{
			Calendars: []client.ScheduleCalendarSpec{
				{Hour: []client.ScheduleRange{{Start: 5}}, Minute: []client.ScheduleRange{{Start: 30}}},
			},
			TimeZoneName: schemas.London.String(),
		},
		Action: &client.ScheduleWorkflowAction{
			ID: "retention", Workflow: workflows.Retention, Args: []any{workflows.RetentionRequest{}}, TaskQueue: taskQueue,
			StaticSummary: "Dispose of the nights whose time is over",
		},
		// What one does not end the next one does.
		Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP,
	}
}

// WatchScheduleID names the schedule of the watches.
const WatchScheduleID = "harmstack-watch"

// WatchSchedule looks after the nights at 07:30 in London, by when a night has mostly been published.
func WatchSchedule(taskQueue string) client.ScheduleOptions {
	return client.ScheduleOptions{
		ID: WatchScheduleID,
		Spec: client.ScheduleSpec{
			Calendars: []client.ScheduleCalendarSpec{
				{Hour: []client.ScheduleRange{{Start: 7}}, Minute: []client.ScheduleRange{{Start: 30}}},
			},
			TimeZoneName: schemas.London.String(),
		},
		Action: &client.ScheduleWorkflowAction{
			ID: "watch", Workflow: workflows.Watch, Args: []any{workflows.WatchRequest{}}, TaskQueue: taskQueue,
			StaticSummary: "Is the night there, and does somebody decide?",
		},
		Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL,
		// A watch that comes late in the day still says what is missing; yesterday's helps nobody.
		CatchupWindow: 12 * time.Hour,
	}
}

// Schedule starts a night at 03:30 in London: when the clocks change, 00:30 comes twice and 01:30 not at
// all.
func Schedule(taskQueue string) client.ScheduleOptions {
	return client.ScheduleOptions{
		ID: ScheduleID,
		Spec: client.ScheduleSpec{
			Calendars: []client.ScheduleCalendarSpec{
				{Hour: []client.ScheduleRange{{Start: 3}}, Minute: []client.ScheduleRange{{Start: 30}}},
			},
			TimeZoneName: schemas.London.String(),
		},
		Action: &client.ScheduleWorkflowAction{
			ID: workflows.ScheduledNightID, Workflow: workflows.NightlyRun, Args: []any{schemas.NightRequest{}}, TaskQueue: taskQueue,
			StaticSummary: "The night's stack: extract, check, score, rank, publish",
		},
		// A night that is stuck must not cost the next one, nor hold it up. Two at once do no harm: each
		// claims a revision of its own, and the order among them is that of their dates, not of their
		// ends. One time never starts two: it is part of the workflow's id.
		Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL,
		// After an outage only the last night missed is of use; a backfill gets the others.
		CatchupWindow: 24 * time.Hour,
		// One night without an extract says nothing about the next.
		PauseOnFailure: false,
	}
}

// Apply creates the schedule, or brings one that is there up to date; it stays paused when it is.
func (s Scheduled) Apply(ctx context.Context, c client.Client) (created bool, err error) {
	_, err = c.ScheduleClient().Create(ctx, s.Options)
	if !errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		return err == nil, err
	}
	return false, s.Handle(ctx, c).
		Update(ctx, client.ScheduleUpdateOptions{DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
			now := in.Description.Schedule // its state stays
			now.Spec, now.Action = &s.Options.Spec, s.Options.Action
			now.Policy = &client.SchedulePolicies{
				Overlap:        s.Options.Overlap,
				CatchupWindow:  s.Options.CatchupWindow,
				PauseOnFailure: s.Options.PauseOnFailure,
			}
			return &client.ScheduleUpdate{Schedule: &now}, nil
		}})
}

// Handle is by which the schedule is described, paused and triggered.
func (s Scheduled) Handle(ctx context.Context, c client.Client) client.ScheduleHandle {
	return c.ScheduleClient().GetHandle(ctx, s.Options.ID)
}
