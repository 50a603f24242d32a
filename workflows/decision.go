package workflows

import (
	"errors"
	"fmt"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"harmstack/activities/decision"
	"harmstack/activities/nights"
	"harmstack/activities/task"
	"harmstack/schemas"
	"harmstack/schemas/fault"
)

// DecisionParams names the published night that is to be decided.
type DecisionParams struct {
	Manifest schemas.ManifestRef `json:"manifest"`
}

// DecisionResult is how it was decided and, after an approval, what became of the teams' digests.
type DecisionResult struct {
	Decision schemas.Decision `json:"decision"`
	Tasking  TaskingCount     `json:"tasking"`
}

// Decision waits, as long as it takes, for an officer to approve or hold a night, or for a newer night to
// supersede it. After an approval it makes the stack current and tells the teams.
func Decision(ctx workflow.Context, p DecisionParams) (DecisionResult, error) {
	d := &pending{manifest: p.Manifest}
	if err := d.listen(ctx); err != nil {
		return DecisionResult{}, err
	}
	result, err := d.run(ctx)
	// No officer is left without an answer, whatever happened.
	d.refuseTheRest()
	if waitErr := workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }); err == nil {
		err = waitErr
	}
	return result, err
}

// run is the wait, and what follows from its end.
func (d *pending) run(ctx workflow.Context) (result DecisionResult, err error) {
	if err := d.show(ctx, nights.Pending); err != nil {
		return result, err
	}
	superseded := workflow.GetSignalChannel(ctx, Supersede.Name)
	// A newer night that came between the publication and this start found nobody to tell.
	if workflow.GetVersion(ctx, "look up first", workflow.DefaultVersion, 1) == 1 {
		if err := d.lookUp(ctx, shortOptions); err != nil && ctx.Err() != nil {
			return result, err // else the store is away, and officers are told so when they decide
		}
		workflow.SetCurrentDetails(ctx, d.details(nights.Pending))
	}
	for d.standing == nil {
		if err := workflow.Await(ctx, func() bool { return len(d.asked) > 0 || superseded.Len() > 0 }); err != nil {
			return result, err
		}
		var newer schemas.NightID
		if superseded.ReceiveAsync(&newer) {
			err = d.lookUp(ctx, deliveryOptions)
		} else {
			err = d.answerNext(ctx)
		}
		if err != nil {
			return result, err
		}
	}
	result.Decision = *d.standing
	// An approval that was recorded, and not made current, by an attempt that failed or a run that was ended.
	if d.standing.Decision == schemas.Approved && !d.swapped &&
		workflow.GetVersion(ctx, "swap what was approved", workflow.DefaultVersion, 1) == 1 {
		disconnected, _ := workflow.NewDisconnectedContext(ctx)
		if err := d.swap(disconnected); err != nil {
			return result, err
		}
	}
	d.refuseTheRest()
	if err := d.show(ctx, d.standing.Decision); err != nil || !d.current {
		return result, err
	}
	// What was approved is done, whoever cancels the wait for it.
	disconnected, _ := workflow.NewDisconnectedContext(ctx)
	result.Tasking, err = taskTeams(disconnected, d.manifest, schemas.NightID{})
	return result, err
}

// pending is a night that waits for its decision.
type pending struct {
	manifest schemas.ManifestRef
	// asked are the officers' requests, in the order in which they came: one is dealt with at a time,
	// so that of two at once the first wins and the second is told so.
	asked    []*ask
	standing *schemas.Decision
	swapped  bool                   // the approved stack was made current, or that failed
	swapErr  error                  // how it failed
	current  bool                   // the stack was approved and is current
	over     bool                   // what is asked from now on is answered at once
	checks   []schemas.CheckOutcome // of the night, as far as they were looked up
}

// ask is one officer's request and its answer.
type ask struct {
	request  schemas.DecisionRequest
	decision schemas.Decision
	answered bool
	answer   schemas.Decision
	err      error
}

func (a *ask) reply(answer schemas.Decision, err error) {
	a.answered, a.answer, a.err = true, answer, err
}

// listen takes the officers' requests.
func (d *pending) listen(ctx workflow.Context) error {
	handler := func(kind string) func(workflow.Context, schemas.DecisionRequest) (schemas.Decision, error) {
		return func(ctx workflow.Context, r schemas.DecisionRequest) (schemas.Decision, error) {
			a := &ask{request: r, decision: schemas.Decision{Decision: kind, Manifest: d.manifest, At: workflow.Now(ctx).UTC(),
				By: schemas.TrimSpace(r.By), Reason: schemas.TrimSpace(r.Reason), Override: schemas.TrimSpace(r.Override)}}
			d.asked = append(d.asked, a)
			if d.over {
				d.refuseTheRest()
			}
			ctx, _ = workflow.NewDisconnectedContext(ctx) // every request gets its own answer
			if err := workflow.Await(ctx, func() bool { return a.answered }); err != nil {
				return schemas.Decision{}, err
			}
			return a.answer, a.err
		}
	}
	return errors.Join(
		Approve.handle(ctx, handler(schemas.Approved), d.validate(schemas.Approved)),
		Hold.handle(ctx, handler(schemas.Held), d.validate(schemas.Held)))
}

// validate refuses a request that cannot be meant for this night as it is.
func (d *pending) validate(kind string) func(workflow.Context, schemas.DecisionRequest) error {
	return func(_ workflow.Context, r schemas.DecisionRequest) error { return d.admit(kind, r) }
}

func (d *pending) admit(kind string, r schemas.DecisionRequest) error {
	switch err := r.Validate(); {
	case err != nil:
		return task.Permanent(fault.BadRequest, err)
	case r.Revision != d.manifest.Revision || r.ManifestSHA256 != d.manifest.SHA256:
		return task.Permanent(fault.OtherManifest, fmt.Errorf(
			"the decision is about another revision or manifest than night %s, sha256 %s: look at the stack again",
			d.manifest.NightID,
			d.manifest.SHA256,
		))
	case d.standing != nil && !d.standing.Says(kind, r):
		return d.decided()
	}
	return nil
}

// decided says that it is too late, without naming the officer.
func (d *pending) decided() error {
	text := fmt.Errorf("night %s was %s on %s: a decision is final", d.manifest.NightID, d.standing.Decision,
		d.standing.At.In(schemas.London).Format("2 January 2006 at 15:04"))
	if d.standing.Decision == schemas.SupersededBy {
		text = fmt.Errorf("night %s can no longer be decided: it was %s", d.manifest.NightID, d.standing.Reason)
	}
	return task.Permanent(fault.AlreadyDecided, text, *d.standing)
}

// answerNext deals with the first request. Whatever the officer can mend is told to the officer, and the
// night stays pending; an error ends the workflow.
func (d *pending) answerNext(ctx workflow.Context) error {
	a := d.asked[0]
	d.asked = d.asked[1:]
	// A decision that is under way is recorded and made current whole, also when the wait for it is cancelled.
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	var acts *decision.Activities
	var recorded decision.DecideResult
	err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, summarised(shortOptions, "record: "+a.decision.Decision)),
		acts.Decide, decision.DecideParams{Decision: a.decision, Request: a.request}).
		Get(ctx, &recorded)
	var app *temporal.ApplicationError
	switch {
	case err == nil:
		d.standing = &recorded.Standing
	case errors.As(err, &app) && app.Type() == fault.AlreadyDecided:
		d.standing = new(schemas.Decision)
		if err := app.Details(d.standing); err != nil {
			return err
		}
		a.reply(schemas.Decision{}, d.decided())
		return nil
	case errors.As(err, &app) && app.NonRetryable():
		a.reply(schemas.Decision{}, task.Permanent(app.Type(), errors.New(app.Message())))
		return nil
	default:
		a.reply(schemas.Decision{}, task.Permanent(fault.NotRecorded, fmt.Errorf(
			"the decision on night %s could not be recorded in time (%s): look at the store, then give the same decision again",
			d.manifest.NightID,
			reason(err),
		)))
		return nil
	}
	if d.standing.Decision == schemas.Approved {
		err = d.swap(ctx)
	}
	a.reply(*d.standing, err)
	return err
}

// swap makes the approved stack current. A newer one that is current already stays so, as does what became current when
// the approval was taken back, and this night tasks nobody.
func (d *pending) swap(ctx workflow.Context) error {
	var acts *decision.Activities
	err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, summarised(deliveryOptions, "make the stack current")),
		acts.Swap, decision.SwapParams{Night: d.manifest.NightID}).
		Get(ctx, nil)
	d.swapped, d.swapErr, d.current = true, err, err == nil
	if task.Is(err, fault.Overtaken) || task.Is(err, fault.Revoked) {
		d.swapErr = nil
	}
	return d.swapErr
}

// lookUp reads the decision, in case that one was recorded elsewhere. What counts is the store: a
// signal without a record changes nothing.
func (d *pending) lookUp(ctx workflow.Context, options workflow.ActivityOptions) error {
	var acts *decision.Activities
	var found decision.StandingResult
	err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, summarised(options, "read the decision")),
		acts.Standing, decision.StandingParams{Night: d.manifest.NightID}).Get(ctx, &found)
	d.standing, d.checks = found.Standing, found.Checks
	return err
}

// refuseTheRest answers those who came second. Who says the same as the one who came first, by a second click, is told
// the same.
func (d *pending) refuseTheRest() {
	d.over = true
	for _, a := range d.asked {
		switch {
		case d.standing != nil && d.standing.Says(a.decision.Decision, a.request):
			a.reply(*d.standing, d.swapErr)
		case d.standing != nil:
			a.reply(schemas.Decision{}, d.decided())
		default:
			a.reply(
				schemas.Decision{},
				task.Permanent(
					fault.NotRecorded,
					fmt.Errorf("night %s no longer waits for a decision", d.manifest.NightID),
				),
			)
		}
	}
	d.asked = nil
}

// show labels the night for those who search and look.
func (d *pending) show(ctx workflow.Context, state string) error {
	workflow.SetCurrentDetails(ctx, d.details(state))
	return label(ctx, d.manifest.NightID, AttributeDecision.ValueSet(state))
}

// details are what the UI shows: what is to be decided, and what the checks found.
func (d *pending) details(state string) string {
	text := fmt.Sprintf(
		"Night of %s, revision %d: **%s**\n\nManifest `%s`, sha256 `%s`\n",
		d.manifest.AsOf,
		d.manifest.Revision,
		state,
		d.manifest.URI,
		d.manifest.SHA256,
	)
	if d.standing != nil {
		text += fmt.Sprintf(
			"\nOn %s. Who and why stand in `%s/%s`.\n",
			d.standing.At.In(schemas.London).Format("2 January 2006 at 15:04"),
			d.manifest.Path(),
			schemas.DecisionFile,
		)
		if d.standing.Override != "" {
			text += "\nIn spite of the checks; why stands there too.\n"
		}
	}
	if len(d.checks) > 0 {
		text += "\n" + schemas.CheckTable(d.checks, true)
		if (schemas.Manifest{Checks: d.checks}).Blocked() != nil && d.standing == nil {
			text += "\nWhat is marked **block** asks two officers for an `override` with the approval: why all the same.\n"
		}
	}
	return text
}
