package client

import (
	"testing"
	"time"

	"go.temporal.io/sdk/client"

	"harmstack/schemas"
)

func TestSchedule(t *testing.T) {
	s := Schedule("queue")
	action := s.Action.(*client.ScheduleWorkflowAction)
	if s.ID != "harmstack-nightly" || action.ID != "night" || action.TaskQueue != "queue" || s.Spec.TimeZoneName != "Europe/London" || s.PauseOnFailure {
		t.Errorf("%+v", s)
	}
	// 03:30 comes once on every night, the two of the clock changes among them.
	c := s.Spec.Calendars[0]
	for day := schemas.MustDate("2026-01-01"); day.Before(schemas.MustDate("2029-01-01")); day = day.AddDays(1) {
		hits := 0
		for at := day.Start(); schemas.LondonDate(at) == day; at = at.Add(30 * time.Minute) {
			if at.In(schemas.London).Hour() == c.Hour[0].Start && at.In(schemas.London).Minute() == c.Minute[0].Start {
				hits++
			}
		}
		if hits != 1 {
			t.Errorf("on %s the night starts %d times", day, hits)
		}
	}
}
