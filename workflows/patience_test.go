package workflows

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	sdkpb "go.temporal.io/api/sdk/v1"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"harmstack/activities/casework"
	"harmstack/activities/casework/teams"
	"harmstack/activities/task"
	"harmstack/schemas"
	"harmstack/schemas/fault"
)

// issued writes a tasking of Hackney that was issued at a time, and must be acknowledged four hours after.
func (d *deployment) issued(t *testing.T, at time.Time) {
	t.Helper()
	err := casework.Save(t.Context(), d.store, &schemas.Tasking{Reference: lifeReference, Version: 1, State: schemas.TaskingIssued, Since: at,
		Team: "Hackney", OnStack: true,
		Chase:  schemas.TaskingDeadlines{Remind: at.Add(2 * time.Hour), Lead: at.Add(4 * time.Hour), Desk: at.Add(6 * time.Hour)},
		Events: []schemas.TaskingEvent{{Number: 1, At: at, Kind: schemas.EventIssued, Team: "Hackney", Key: "night"}}})
	if err != nil {
		t.Fatal(err)
	}
}

// broken makes every look at a tasking fail, for a time that is skipped.
func (d *deployment) broken(now func() time.Time, from, until time.Time) {
	whole := d.acts.Tasking.Teams
	d.acts.Tasking.Teams = func() (*teams.Teams, error) {
		if at := now(); !at.Before(from) && at.Before(until) {
			return nil, errors.New("line 7 of it is wrong")
		}
		return whole()
	}
}

// damage makes the newest version of the tasking no JSON.
func (d *deployment) damage(t *testing.T, version int) {
	t.Helper()
	if err := d.store.Replace(t.Context(), fmt.Sprintf("taskings/cases/%s/%06d.json", lifeReference, version), []byte("{")); err != nil {
		t.Fatal(err)
	}
}

var monday = time.Date(2026, 7, 6, 9, 0, 0, 0, schemas.London)

// taskingEnv is an environment for the tasking from Monday on, and counts its pauses.
func (d *deployment) taskingEnv(t *testing.T) (env *testsuite.TestWorkflowEnvironment, timers *int) {
	t.Helper()
	env = d.env(t, TaskingWorkflowID(lifeReference))
	env.SetStartTime(monday)
	timers = new(int)
	env.SetOnTimerScheduledListener(func(_ string, d time.Duration) {
		if d >= time.Minute { // those that are shorter are the tries of one step
			*timers++
		}
	})
	return env, timers
}

var acknowledgement = schemas.TaskingRequest{Team: "Hackney", By: "PS Example"}

// What a tasking needs is away for three days when it begins. It waits without a history that grows, tells whoever
// asks, and goes on by itself.
func TestTaskingIsReadPatiently(t *testing.T) {
	d := newDeployment(t)
	d.issued(t, monday.AddDate(0, 0, 3))
	env, timers := d.taskingEnv(t)
	d.broken(env.Now, monday, monday.AddDate(0, 0, 3))
	early, late := &reply{}, &reply{}
	env.RegisterDelayedCallback(func() { env.UpdateWorkflow(Acknowledge.Name, Attempt("ack"), early, acknowledgement) }, 24*time.Hour)
	env.RegisterDelayedCallback(func() {
		if got := shownDetails(t, env); !strings.Contains(got, "It is read as soon as it can be: ") {
			t.Errorf("its details are %q", got)
		}
		_, err := env.QueryWorkflow(TaskingState.Name)
		if !early.done || !task.Is(early.err, fault.NotRecorded) || !strings.Contains(early.err.Error(), "cannot be read yet") {
			t.Errorf("a day before: %+v", early)
		}
		if err == nil || !strings.Contains(err.Error(), "cannot be read yet") {
			t.Errorf("asked where it stands: %v", err)
		}
	}, 25*time.Hour)
	env.RegisterDelayedCallback(func() { env.UpdateWorkflow(Acknowledge.Name, Attempt("ack"), late, acknowledgement) }, 73*time.Hour)
	env.RegisterDelayedCallback(env.CancelWorkflow, 74*time.Hour)
	env.ExecuteWorkflow(Tasking, TaskingParams{Reference: lifeReference})
	got, err := casework.Load(t.Context(), d.store, lifeReference)
	if err != nil || got.State != schemas.TaskingAcknowledged || late.err != nil {
		t.Errorf("%+v, %v, %v", got, err, late.err)
	}
	if *timers > 5 {
		t.Errorf("%d pauses", *timers)
	}
}

// shownDetails is what the UI shows of a workflow.
func shownDetails(t *testing.T, env *testsuite.TestWorkflowEnvironment) string {
	t.Helper()
	var shown sdkpb.WorkflowMetadata
	value, err := env.QueryWorkflow("__temporal_workflow_metadata") // what the UI asks for
	if err == nil {
		err = value.Get(&shown)
	}
	if err != nil {
		t.Error(err)
	}
	return shown.GetCurrentDetails()
}

// A tasking whose file is damaged fails, and says so to whoever asks: no retry mends that.
func TestDamagedTaskingFails(t *testing.T) {
	for _, c := range []struct {
		scenario string
		damaged  time.Duration // after its issue
	}{{"when it begins", 0}, {"when somebody is to be chased", time.Hour}} {
		t.Run(c.scenario, func(t *testing.T) {
			d := newDeployment(t)
			d.issued(t, monday)
			env, timers := d.taskingEnv(t)
			asked := &reply{}
			if c.damaged == 0 {
				d.damage(t, 1)
				env.RegisterDelayedCallback(func() {
					env.UpdateWorkflow(Acknowledge.Name, Attempt("ack"), asked, acknowledgement)
				}, 0)
			} else {
				env.RegisterDelayedCallback(func() { d.damage(t, 1) }, c.damaged)
			}
			env.ExecuteWorkflow(Tasking, TaskingParams{Reference: lifeReference})
			if err := env.GetWorkflowError(); !task.Is(err, fault.DamagedArtifact) || *timers > 5 {
				t.Errorf("%v, after %d pauses", err, *timers)
			}
			if c.damaged == 0 && !task.Is(asked.err, fault.DamagedArtifact) {
				t.Errorf("%+v", asked)
			}
		})
	}
}

// What the chase needs is away for a day: it is tried ever more seldom, and done once it is back.
func TestChaseWaits(t *testing.T) {
	d := newDeployment(t)
	d.issued(t, monday)
	env, timers := d.taskingEnv(t)
	d.broken(env.Now, monday.Add(time.Hour), monday.Add(25*time.Hour))
	before := 0
	env.RegisterDelayedCallback(func() {
		before = *timers
		if got := shownDetails(t, env); !strings.Contains(got, "Nobody is chased at the moment") {
			t.Errorf("its details are %q", got)
		}
	}, 24*time.Hour)
	env.RegisterDelayedCallback(func() {
		if got := shownDetails(t, env); strings.Contains(got, "Nobody is chased") {
			t.Errorf("once it is chased its details are %q", got)
		}
	}, 25*time.Hour+30*time.Minute)
	env.RegisterDelayedCallback(env.CancelWorkflow, 26*time.Hour)
	env.ExecuteWorkflow(Tasking, TaskingParams{Reference: lifeReference})
	got, err := casework.Load(t.Context(), d.store, lifeReference)
	if err != nil || got.Chased != 3 {
		t.Errorf("%+v, %v", got, err)
	}
	// Each failure takes a minute of tries, and the pauses between are 1, 2, 4, 8 and then 15 minutes: 88 in 22 hours.
	if before < 20 || before > 110 {
		t.Errorf("%d pauses within a day", before)
	}
}

// A run of before, which looks again by a timer, begins anew before its history is too long; whoever asked is told.
func TestOldLookUpContinuesAsNew(t *testing.T) {
	d := newDeployment(t)
	d.issued(t, monday)
	env, _ := d.taskingEnv(t)
	env.OnGetVersion("look up patiently", workflow.DefaultVersion, workflow.Version(1)).Return(workflow.DefaultVersion)
	d.broken(env.Now, monday, monday.AddDate(0, 0, 2))
	env.RegisterDelayedCallback(func() { env.SetContinueAsNewSuggested(true) }, time.Hour)
	env.RegisterDelayedCallback(env.CancelWorkflow, 24*time.Hour) // or it would look for two days
	env.ExecuteWorkflow(Tasking, TaskingParams{Reference: lifeReference})
	var again *workflow.ContinueAsNewError
	if err := env.GetWorkflowError(); !errors.As(err, &again) {
		t.Error(err)
	}
}

// A night that fails is told to those who run the system, once a day; one that somebody only tries, or cancels, is not.
func TestFailedNightIsTold(t *testing.T) {
	for _, c := range []struct {
		scenario string
		requests []schemas.NightRequest
		cancel   bool
		want     int
	}{
		{"a night", []schemas.NightRequest{{AsOf: asOf, Extract: "./none.parquet"}}, false, 1},
		{"the same again", slices.Repeat([]schemas.NightRequest{{AsOf: asOf, Extract: "./none.parquet"}}, 2), false, 1},
		{"a dry run", []schemas.NightRequest{{AsOf: asOf, Extract: "./none.parquet", DryRun: true}}, false, 0},
		{"cancelled", []schemas.NightRequest{{AsOf: asOf, Extract: "./none.parquet", Wait: true}}, true, 0},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			d := newDeployment(t, threeSuspects()...)
			for i, request := range c.requests {
				env := d.env(t, fmt.Sprint("night-", i))
				env.SetStartTime(asOf.AddDays(1).Start())
				if c.cancel {
					env.RegisterDelayedCallback(env.CancelWorkflow, time.Minute)
				}
				env.ExecuteWorkflow(NightlyRun, request)
				if err := env.GetWorkflowError(); err == nil || !c.cancel && !task.Is(err, fault.SourceNotFound) {
					t.Errorf("%v", err)
				}
			}
			if got := d.addressees(t); len(got) != c.want {
				t.Errorf("%q were written to", got)
			}
		})
	}
}
