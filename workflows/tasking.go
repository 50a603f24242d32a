package workflows

import (
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"harmstack/activities/messages/digest"
	"harmstack/activities/task"
	"harmstack/activities/tasking"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/schemas/text"
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
	err := c.run(ctx)
	// Nobody is left without an answer, whatever ends the run.
	c.over = true
	c.refuse(fmt.Errorf("tasking %s: nothing was recorded, its workflow has ended", c.reference), err)
	if waitErr := workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }); err == nil {
		err = waitErr
	}
	return err
}

// run is the life, until the suspect has left the stack. What no retry mends ends it with that error: those who watch
// see a workflow that failed, and `starter tasking resume` starts it again when it is mended.
func (c *caseworker) run(ctx workflow.Context) error {
	if c.tasking == nil {
		if err := c.lookUp(ctx); err != nil {
			return err
		}
	}
	for !c.done() {
		if c.idle() && workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return workflow.NewContinueAsNewError(ctx, Tasking, TaskingParams{c.reference, c.tasking})
		}
		if err := c.next(ctx); err != nil {
			return err
		}
	}
	return nil
}

// caseworker is a running tasking.
type caseworker struct {
	reference string
	tasking   *schemas.Tasking // nil: none yet
	// asked are the requests in the order in which they came: one is dealt with at a time, so that of two
	// at once the first wins and the second is told so.
	asked   []*asked
	telling int // messages on their way
	over    bool
	// trouble is why the tasking could not be read, or the last step of the chase not be taken; that is tried again
	// after a pause.
	trouble string
	again   time.Time
	pause   time.Duration
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
		params.Key = attempted(workflow.GetCurrentUpdateInfo(ctx).ID)
		a := &asked{params: params}
		c.asked = append(c.asked, a)
		if c.over {
			c.refuse(fmt.Errorf("tasking %s: nothing was recorded, its workflow has ended", c.reference), nil)
		}
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
			if c.tasking == nil && c.trouble != "" {
				return schemas.Tasking{}, task.Permanent(fault.NotRecorded, c.unread())
			}
			if c.tasking == nil {
				return schemas.Tasking{}, task.Permanent(
					fault.NoSuchTasking,
					fmt.Errorf("tasking %s is not issued yet", c.reference),
				)
			}
			return *c.tasking, nil
		}),
		Order.handle(ctx, func(ctx workflow.Context, o schemas.TaskingOrder) (schemas.Tasking, error) {
			return answer(ctx, tasking.ApplyParams{Order: &o})
		}, func(_ workflow.Context, o schemas.TaskingOrder) error {
			if o.Reference != c.reference {
				return task.Permanent(fault.BadRequest, errors.New("the order is for another tasking"))
			}
			return nil
		}),
	}
	for _, update := range teamUpdates() {
		do := update.Name
		errs = append(
			errs,
			update.handle(ctx, func(ctx workflow.Context, r schemas.TaskingRequest) (schemas.Tasking, error) {
				return answer(ctx, tasking.ApplyParams{Do: do, Request: &r})
			}, func(ctx workflow.Context, r schemas.TaskingRequest) error {
				if err := r.Validate(do); err != nil {
					return task.Permanent(fault.BadRequest, err)
				}
				if c.tasking == nil || len(c.asked) > 0 {
					return nil // what is asked before it may change what can be asked
				}
				return tasking.Admit(c.tasking, attempted(workflow.GetCurrentUpdateInfo(ctx).ID), do, r)
			}),
		)
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
	if chased && due.Before(c.again) {
		due = c.again
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
	err := c.apply(
		ctx,
		tasking.ApplyParams{
			Reference: c.reference,
			At:        workflow.Now(ctx).UTC(),
			Chase:     true,
			Key:       fmt.Sprintf("chase-%d", c.tasking.Version+1),
		},
	)
	if err == nil || ctx.Err() != nil {
		c.again, c.pause = time.Time{}, 0
		return errors.Join(err, cancelled(ctx))
	}
	// The store is away, or the teams' file is wrong: nobody may be forgotten for that.
	workflow.GetLogger(ctx).Error("a tasking could not be chased", "tasking", c.reference, "error", err)
	if workflow.GetVersion(ctx, "chase later", workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		_, err = workflow.AwaitWithTimeout(ctx, time.Minute, func() bool { return len(c.asked) > 0 })
		return errors.Join(err, cancelled(ctx))
	}
	if !task.Is(err, fault.NotRecorded) {
		return err // no retry mends it
	}
	c.pause = min(max(2*c.pause, time.Minute), 15*time.Minute)
	c.trouble, c.again = reason(err), workflow.Now(ctx).Add(c.pause)
	workflow.SetCurrentDetails(ctx, c.details())
	return nil
}

func cancelled(ctx workflow.Context) error { return ctx.Err() }

// lookUp reads the tasking: it may have been here before. A store that is away is waited for, for as long as it takes,
// by one activity, so that the history does not grow; whoever asks for something meanwhile is told.
func (c *caseworker) lookUp(ctx workflow.Context) error {
	params := tasking.ApplyParams{Reference: c.reference, At: workflow.Now(ctx).UTC()}
	err := c.apply(ctx, params)
	if err == nil || ctx.Err() != nil {
		return err
	}
	if workflow.GetVersion(ctx, "look up patiently", workflow.DefaultVersion, 1) == workflow.DefaultVersion {
		return c.lookUpAgain(ctx)
	}
	if !task.Is(err, fault.NotRecorded) {
		return err // no retry mends it
	}
	c.trouble = reason(err)
	workflow.SetCurrentDetails(ctx, c.details())
	var acts *tasking.Activities
	read := workflow.ExecuteActivity(
		workflow.WithActivityOptions(ctx, summarised(patientOptions, "read the tasking")),
		acts.Apply,
		params,
	)
	for !read.IsReady() {
		if err := workflow.Await(ctx, func() bool { return read.IsReady() || len(c.asked) > 0 }); err != nil {
			return err
		}
		if !read.IsReady() {
			c.refuse(c.unread(), nil)
		}
	}
	var result tasking.ApplyResult
	if err := read.Get(ctx, &result); err != nil {
		return err
	}
	return c.take(ctx, result)
}

// lookUpAgain is how a run that began before there was patience goes on looking: until its history is long.
func (c *caseworker) lookUpAgain(ctx workflow.Context) error {
	for {
		if err := workflow.Sleep(ctx, time.Minute); err != nil {
			return err
		}
		if workflow.GetInfo(ctx).GetContinueAsNewSuggested() {
			return workflow.NewContinueAsNewError(ctx, Tasking, TaskingParams{Reference: c.reference})
		}
		if err := c.apply(ctx, tasking.ApplyParams{Reference: c.reference, At: workflow.Now(ctx).UTC()}); err == nil ||
			ctx.Err() != nil {
			return err
		}
	}
}

func (c *caseworker) unread() error {
	return fmt.Errorf("tasking %s cannot be read yet (%s): try again once it can", c.reference, c.trouble)
}

// refuse answers all who wait: with why the workflow failed, or that nothing was recorded.
func (c *caseworker) refuse(text, why error) {
	err := task.Permanent(fault.NotRecorded, text)
	if app := (*temporal.ApplicationError)(nil); errors.As(why, &app) {
		err = task.Permanent(app.Type(), errors.New(app.Message()))
	}
	for _, a := range c.asked {
		a.err, a.answered = err, true
	}
	c.asked = nil
}

// apply does one thing to the tasking and sees that those who must know are told.
func (c *caseworker) apply(ctx workflow.Context, params tasking.ApplyParams) error {
	var acts *tasking.Activities
	var result tasking.ApplyResult
	if c.tasking != nil {
		params.Known = c.tasking.Version
	}
	err := workflow.ExecuteLocalActivity(workflow.WithLocalActivityOptions(ctx, applyOptions), acts.Apply, params).
		Get(ctx, &result)
	var app *temporal.ApplicationError
	switch {
	case err == nil:
	case errors.As(err, &app) && app.NonRetryable():
		return task.Permanent(app.Type(), errors.New(app.Message()))
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		return task.Permanent(fault.NotRecorded, fmt.Errorf(
			"tasking %s: it could not be recorded in time (%s): look at the store and the teams' file, then try again",
			c.reference,
			reason(err),
		))
	}
	return c.take(ctx, result)
}

// take is what follows from a step that is done.
func (c *caseworker) take(ctx workflow.Context, result tasking.ApplyResult) error {
	c.tasking, c.trouble = result.Tasking, ""
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
			workflow.GetLogger(ctx).
				Error("somebody was not told", "tasking", c.reference, "event", number, "error", err)
		}
	})
}

// show labels the tasking for those who search and look.
func (c *caseworker) show(ctx workflow.Context) error {
	t := c.tasking
	if t == nil {
		return nil
	}
	workflow.SetCurrentDetails(ctx, c.details())
	due := AttributeDue.ValueUnset()
	if at, ok := t.Due(); ok {
		due = AttributeDue.ValueSet(at)
	}
	bcu := AttributeBCU.ValueUnset()
	if t.BCU != "" {
		bcu = AttributeBCU.ValueSet(t.BCU)
	}
	return workflow.UpsertTypedSearchAttributes(
		ctx,
		AttributeBorough.ValueSet(t.Team),
		bcu,
		AttributeTasking.ValueSet(string(t.State)),
		due,
	)
}

// details are what the UI shows of it.
func (c *caseworker) details() string {
	t := c.tasking
	if t == nil {
		return fmt.Sprintf("**%s**\n\nIt is read as soon as it can be: %s\n", c.reference, text.Markdown(c.trouble))
	}
	if t.Restricted { // its desk reads of it in its digest
		return fmt.Sprintf("A restricted tasking of **%s**. Nothing else is shown here.\n", text.Markdown(t.Team))
	}
	page := fmt.Sprintf(
		"**%s**, %s\n\n%s\n\nPosition %d on the stack of %s: %s\n\n| # | when | what |\n|---|---|---|\n",
		text.Markdown(
			t.Team,
		),
		t.Reference,
		text.Markdown(digest.StateText(t)),
		t.Position,
		t.Night.AsOf,
		text.Markdown(digest.FactsText(t.Facts)),
	)
	for _, e := range t.Events {
		page += fmt.Sprintf(
			"| %d | %s | %s %s |\n",
			e.Number,
			e.At.In(schemas.London).Format("2 Jan 2006 15:04"),
			text.Markdown(e.Kind),
			text.Markdown(e.Outcome),
		)
	}
	if c.trouble != "" {
		page += fmt.Sprintf("\nNobody is chased at the moment, it is tried again at %s: %s\n", clock(c.again), text.Markdown(c.trouble))
	}
	return page
}
