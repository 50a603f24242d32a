package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"

	"github.com/spf13/cobra"

	"harmstack/activities/casework/teams"
	"harmstack/activities/pipeline"
	"harmstack/schemas"
	"harmstack/schemas/text"
	"harmstack/starter/desk"
)

// lookingDesk is the desk by which a command looks: the one that the environment names, where no store is named. Nil:
// the command looks at the store itself.
func lookingDesk(cmd *cobra.Command) (*gate, error) {
	if url, _ := cmd.Flags().GetString("store"); url != "" || os.Getenv("HARMSTACK_STORE") != "" {
		return nil, nil
	}
	return theDesk(cmd.Context())
}

// path is the path of a night: without a date that of the approved stack, without a revision the newest.
func (n *nightFlags) path() string {
	name := n.asOf.String()
	switch {
	case n.asOf.IsZero():
		name = "current"
	case n.revision > 0:
		name = schemas.NightID{AsOf: n.asOf, Revision: n.revision}.String()
	}
	return "/api/v1/nights/" + name
}

func (g *gate) stack(ctx context.Context, n nightFlags, call desk.StackCall) (s desk.Stack, err error) {
	err = g.call(ctx, http.MethodPost, n.path()+"/stack", call, &s)
	return s, err
}

// explain also says of which night it is.
func (g *gate) explain(
	ctx context.Context, n nightFlags, name, why string,
) (id schemas.NightID, e pipeline.Explanation, err error) {
	var night desk.Night
	if err := g.call(ctx, http.MethodGet, n.path(), nil, &night); err != nil {
		return id, e, err
	}
	id = night.Night
	n = nightFlags{asOf: id.AsOf, revision: id.Revision}
	call := desk.Question{Suspect: name, Reason: desk.Reason{Why: why}}
	err = g.call(ctx, http.MethodPost, n.path()+"/explanation", call, &e)
	return id, e, err
}

func (g *gate) taskings(ctx context.Context, all bool) (found desk.Taskings, err error) {
	path := "/api/v1/taskings"
	if all {
		path += "?all=true"
	}
	if err := g.call(ctx, http.MethodGet, path, nil, &found); err != nil {
		return found, err
	}
	if found.Unreadable > 0 {
		err = fmt.Errorf("%s cannot be read: the desk's log names %s",
			text.Count(found.Unreadable, "tasking"), text.Noun(found.Unreadable, "it", "them"))
	}
	return found, err
}

func taskingPath(reference string) string { return "/api/v1/taskings/" + url.PathEscape(reference) }

func (g *gate) tasking(ctx context.Context, reference string) (t *schemas.Tasking, err error) {
	t = new(schemas.Tasking)
	return t, g.call(ctx, http.MethodGet, taskingPath(reference), nil, t)
}

func (g *gate) pack(ctx context.Context, reference, why string) (p desk.Pack, err error) {
	err = g.call(ctx, http.MethodPost, taskingPath(reference)+"/pack", desk.Reason{Why: why}, &p)
	return p, err
}

func (g *gate) status(ctx context.Context) (s desk.Status, err error) {
	err = g.call(ctx, http.MethodGet, "/api/v1/status", nil, &s)
	return s, err
}

// errTeamKnown says that a team is typed where the desk knows who speaks for it.
var errTeamKnown = errors.New("--team: the desk knows for which teams you speak, leave it out")

// speaksForRestricted tells whether somebody who looks at the store itself says that they are of the desk for
// restricted suspects. There nobody's role is known: it is their word, which the log keeps.
func speaksForRestricted(team string) bool {
	return teams.Slug(team) == teams.Slug(teams.RestrictedDesk)
}
