package tasking

import (
	"context"
	"errors"
	"strings"

	"harmstack/activities/casework"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
)

// log notes what was done to a tasking, and the version that it will be: what cannot be logged is not done.
func (a *Activities) log(ctx context.Context, p ApplyParams, by audit.Actor, after *schemas.Tasking) error {
	key, data, err := casework.Version(a.Store, after)
	if err != nil {
		return err
	}
	last := after.Events[len(after.Events)-1]
	e := audit.Entry{At: p.At, Operation: audit.Alteration, Actor: audit.Worker, Did: strings.ReplaceAll(last.Kind, "_", " "),
		On:  audit.Object{Team: after.Team, Pseudonyms: []string{p.Reference}},
		Why: last.Reason, Files: audit.Written(key, data)}
	if last.Night != nil {
		e.On.Night = last.Night.String()
	}
	if p.Request != nil {
		e.Actor, e.Did, e.On.Team = by, p.Do+" for "+p.Request.Team, p.Request.Team
	}
	return audit.Append(ctx, a.Store, e)
}

// logRefusal notes that a person's request was refused, and returns why.
func (a *Activities) logRefusal(ctx context.Context, p ApplyParams, by audit.Actor, why error) error {
	if p.Request == nil {
		return why
	}
	on := audit.Object{Team: cut(p.Request.Team, schemas.MaxWho), Pseudonyms: []string{p.Reference}}
	for _, known := range []error{casework.ErrOtherTeam, casework.ErrWrongState, casework.ErrBadRequest, casework.ErrNone} {
		if !errors.Is(why, known) {
			continue
		}
		// Not all of it, which may repeat what was asked.
		if err := audit.Refuse(ctx, a.Store, by, p.Do, on, known); err != nil {
			return err
		}
	}
	return why
}
