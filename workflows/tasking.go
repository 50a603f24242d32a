package workflows

import (
	"context"
	"errors"
	"fmt"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"harmstack/activities/digest"
	"harmstack/activities/failure"
	"harmstack/activities/tasking"
	"harmstack/schemas"
)

// TaskingParams names the tasking whose life it is to be. Its state stands in the store; CarriedOver is
// the run before's, which saves a look.
type TaskingParams struct {
	Reference   string           `json:"reference"`
	CarriedOver *schemas.Tasking `json:"carried_over,omitempty"`
}

// Tasking is the life of one tasking while its suspect is on the stack: it takes the night's orders and the
// team's answers, one at a time, and chases when nobody acknowledges. What a night or a team may ask in which
// state is casework's to say; each change is in the store before it is answered.
func Tasking(ctx workflow.Context, p TaskingParams) error {
	c := &caseworker{reference: p.Reference, tasking: p.CarriedOver}
	if err := c.listen(ctx); err != nil {
		return err
	}
	if c.tasking == nil {
		if err := c.lookUp(ctx); err != nil {
			return err
		}
	}
	for !c.done() {
		if c.idle() && workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return workflow.NewContinueAsNewError(ctx, Tasking, TaskingParams{p.Reference, c.tasking})
		}
		if err := c.next(ctx); err != nil {
			return err
		}
	}
	return workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) })
}

// caseworker is a running tasking.
type caseworker struct {
	reference string
	tasking   *schemas.Tasking // nil: none yet
	// asked are the requests in the order in which they came: one is dealt with at a time, so that of two
	// at once the first wins and the second is told so.
	asked   []*asked
	telling int // messages on their way
}

// asked is one request and its answer.
type asked struct {
	params   tasking.ApplyParams
	answered bool
	err      error
}

// listen takes the night's orders and the teams' requests.
func (c *caseworker) listen(ctx workflow.Context) error {
	answer := func(ctx workflow.Context, params tasking.ApplyParams) (schemas.Tasking, error) {
		params.Reference, params.At = c.reference, workflow.Now(ctx).UTC()
		params.Key = workflow.GetCurrentUpdateInfo(ctx).ID
		a := &asked{params: params}
		c.asked = append(c.asked, a)
		if err := workflow.Await(ctx, func() bool { return a.answered }); err != nil {
			return schemas.Tasking{}, err
		}
		if a.err != nil || c.tasking == nil {
			return schemas.Tasking{}, a.err
		}
		return *c.tasking, nil
	}
	errs := []error{
		TaskingState.handle(ctx, func() (schemas.Tasking, error) {
			if c.tasking == nil {
				return schemas.Tasking{}, failure.Permanent(failure.NoSuchTasking, fmt.Errorf("tasking %s is not issued yet", c.reference))
			}
			return *c.tasking, nil
		}),
		orderUpdate.handle(ctx, func(ctx workflow.Context, o schemas.TaskingOrder) (schemas.Tasking, error) {
			return answer(ctx, tasking.ApplyParams{Order: &o})
		}, func(_ workflow.Context, o schemas.TaskingOrder) error {
			if o.Reference != c.reference {
				return failure.Permanent(failure.BadRequest, errors.New("the order is for another tasking"))
			}
			return nil
		}),
	}
	for _, update := range teamUpdates() {
		do := update.Name
		errs = append(errs, update.handle(ctx, func(ctx workflow.Context, r schemas.TaskingRequest) (schemas.Tasking, error) {
			return answer(ctx, tasking.ApplyParams{Do: do, Request: &r})
		}, func(ctx workflow.Context, r schemas.TaskingRequest) error {
			if err := r.Validate(do); err != nil {
				return failure.Permanent(failure.BadRequest, err)
			}
			if c.tasking == nil || len(c.asked) > 0 {
				return nil // what is asked before it may change what can be asked
			}
			return tasking.Admit(c.tasking, workflow.GetCurrentUpdateInfo(ctx).ID, do, r)
		}))
	}
	return errors.Join(errs...)
}

// done: the suspect has left the stack, everybody is answered and told.
func (c *caseworker) done() bool { return (c.tasking == nil || !c.tasking.OnStack) && c.idle() }

func (c *caseworker) idle() bool { return len(c.asked) == 0 && c.telling == 0 }

// next waits for a request, the next step of the chase or the end of a message, and deals with it.
func (c *caseworker) next(ctx workflow.Context) error {
	telling := c.telling
	something := func() bool { return len(c.asked) > 0 || c.telling < telling }
	due, chased := time.Time{}, false
	if c.tasking != nil {
		due, chased = c.tasking.NextChase()
	}
	if !chased {
		if err := workflow.Await(ctx, something); err != nil {
			return err
		}
	} else if wait := due.Sub(workflow.Now(ctx)); wait > 0 {
		timely, err := workflow.AwaitWithOptions(ctx, workflow.AwaitOptions{Timeout: wait, TimerOptions: workflow.TimerOptions{Summary: "until nobody has acknowledged"}}, something)
		if err != nil || timely && len(c.asked) == 0 {
			return err
		}
	}
	if len(c.asked) > 0 {
		a := c.asked[0]
		a.err = c.apply(ctx, a.params)
		c.asked = c.asked[1:]
		a.answered = true
		return cancelled(ctx)
	}
	if !chased {
		return nil
	}
	err := c.apply(ctx, tasking.ApplyParams{Reference: c.reference, At: workflow.Now(ctx).UTC(), Chase: true, Key: fmt.Sprintf("chase-%d", c.tasking.Version+1)})
	if err != nil && ctx.Err() == nil {
		// The store is away, or the teams' file is wrong: nobody may be forgotten for that.
		workflow.GetLogger(ctx).Error("a tasking could not be chased", "tasking", c.reference, "error", err)
		_, err = workflow.AwaitWithTimeout(ctx, time.Minute, func() bool { return len(c.asked) > 0 })
	}
	return errors.Join(err, cancelled(ctx))
}

func cancelled(ctx workflow.Context) error { return ctx.Err() }

// lookUp reads the tasking, for as long as it takes: it may have been here before.
func (c *caseworker) lookUp(ctx workflow.Context) error {
	for {
		err := c.apply(ctx, tasking.ApplyParams{Reference: c.reference, At: workflow.Now(ctx).UTC()})
		if err == nil || ctx.Err() != nil {
			return err
		}
		if err := workflow.Sleep(ctx, time.Minute); err != nil {
			return err
		}
	}
}

// apply does one thing to the tasking and sees that those who must know are told.
func (c *caseworker) apply(ctx workflow.Context, params tasking.ApplyParams) error {
	var acts *tasking.Activities
	var result tasking.ApplyResult
	if c.tasking != nil {
		params.Known = c.tasking.Version
	}
	err := workflow.ExecuteLocalActivity(workflow.WithLocalActivityOptions(ctx, applyOptions), acts.Apply, params).Get(ctx, &result)
	var app *temporal.ApplicationError
	switch {
	case err == nil:
	case errors.As(err, &app) && app.NonRetryable():
		return failure.Permanent(app.Type(), errors.New(app.Message()))
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		return failure.Permanent(failure.NotRecorded, fmt.Errorf("tasking %s: it could not be recorded in time: look at the store and the teams' file, then try again", c.reference))
	}
	c.tasking = result.Tasking
	for _, number := range result.Notify {
		c.tell(ctx, number)
	}
	return c.show(ctx)
}

// tell sends what an event has to say, beside everything else: a mail server that is away holds up no
// answer.
func (c *caseworker) tell(ctx workflow.Context, number int) {
	c.telling++
	workflow.Go(ctx, func(ctx workflow.Context) {
		defer func() { c.telling-- }()
		var acts *tasking.Activities
		ctx = workflow.WithActivityOptions(ctx, summarised(deliveryOptions, fmt.Sprintf("tell of event %d", number)))
		if err := workflow.ExecuteActivity(ctx, acts.Notify, tasking.NotifyParams{Reference: c.reference, Number: number}).Get(ctx, nil); err != nil {
			workflow.GetLogger(ctx).Error("somebody was not told", "tasking", c.reference, "event", number, "error", err)
		}
	})
}

// show labels the tasking for those who search and look.
func (c *caseworker) show(ctx workflow.Context) error {
	t := c.tasking
	if t == nil {
		return nil
	}
	text := fmt.Sprintf("**%s**, %s\n\n%s\n\nPosition %d on the stack of %s: %s\n\n| # | when | what |\n|---|---|---|\n",
		t.Team, t.Reference, digest.StateText(t), t.Position, t.Night.AsOf, digest.FactsText(t.Facts))
	for _, e := range t.Events {
		text += fmt.Sprintf("| %d | %s | %s %s |\n", e.Number, e.At.In(schemas.London).Format("2 Jan 2006 15:04"), e.Kind, e.Outcome)
	}
	workflow.SetCurrentDetails(ctx, text)
	due := AttributeDue.ValueUnset()
	if at, ok := t.Due(); ok {
		due = AttributeDue.ValueSet(at)
	}
	bcu := AttributeBCU.ValueUnset()
	if t.BCU != "" {
		bcu = AttributeBCU.ValueSet(t.BCU)
	}
	return workflow.UpsertTypedSearchAttributes(ctx, AttributeBorough.ValueSet(t.Team), bcu, AttributeTasking.ValueSet(string(t.State)), due)
}

// SendOrder gives a night's order to the workflow of its tasking, which is started when it does not run.
// It returns once the order is carried out.
func SendOrder(c client.Client, taskQueue string) func(ctx context.Context, o schemas.TaskingOrder) error {
	return func(ctx context.Context, o schemas.TaskingOrder) error {
		handle, err := c.UpdateWithStartWorkflow(ctx, client.UpdateWithStartWorkflowOptions{
			StartWorkflowOperation: c.NewWithStartWorkflowOperation(taskingOptions(o.Reference, taskQueue), Tasking, TaskingParams{Reference: o.Reference}),
			// No id: one that failed would answer every attempt after it. What is carried out already is known by the night.
			UpdateOptions: client.UpdateWorkflowOptions{UpdateName: orderUpdate.Name, Args: []any{o},
				WaitForStage: client.WorkflowUpdateStageCompleted},
		})
		if err == nil {
			err = handle.Get(ctx, nil)
		}
		return err
	}
}

// ResumeTasking starts the workflow of a tasking when it does not run: after the Temporal service was lost.
func ResumeTasking(ctx context.Context, c client.Client, taskQueue, reference string) error {
	_, err := c.ExecuteWorkflow(ctx, taskingOptions(reference, taskQueue), Tasking, TaskingParams{Reference: reference})
	return err
}

func taskingOptions(reference, taskQueue string) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{ID: TaskingWorkflowID(reference), TaskQueue: taskQueue, StaticSummary: "A tasking, from its issue until the suspect leaves the stack",
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING}
}
