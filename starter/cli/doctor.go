package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"harmstack/activities/audit"
	"harmstack/activities/nightly"
	"harmstack/activities/publish"
	"harmstack/activities/source"
	"harmstack/activities/store"
	"harmstack/schemas/text"
	"harmstack/worker/config"
	"harmstack/workflows"
)

// check is one line of the doctor's table. A fault has a cure.
type check struct {
	Name  string `json:"check"`
	OK    bool   `json:"ok"`
	Found string `json:"found"`
}

func doctorCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "doctor",
		GroupID: groupNight,
		Short:   "Check that everything is reachable and set up",
		Long: `Check that everything is reachable and set up, with the worker's environment. Ends with an error
when something is not.

` + config.Usage,
		Example: `  starter doctor`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			checks := examine(cmd.Context())
			faults := 0
			rows := [][]string{{"CHECK", "", "FOUND"}}
			for _, c := range checks {
				mark := "ok"
				if !c.OK {
					mark = "FAULT"
					faults++
				}
				rows = append(rows, []string{c.Name, mark, c.Found})
			}
			print := func() error { return table(cmd.OutOrStdout(), rows) }
			if asJSON {
				print = func() error { return printJSON(cmd.OutOrStdout(), checks) }
			}
			if err := print(); err != nil {
				return err
			}
			if faults > 0 {
				return fmt.Errorf("%d of %s found a fault", faults, text.Count(len(checks), "check"))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func examine(ctx context.Context) (checks []check) {
	add := func(name, found string, err error) bool {
		if err != nil {
			found = strings.ReplaceAll(err.Error(), "\n", "; ")
		}
		checks = append(checks, check{name, err == nil, found})
		return err == nil
	}
	cfg, err := config.Load(os.Getenv)
	if add("configuration", "complete", err); cfg.Store != "" {
		found, err := examineStore(ctx, cfg.Store)
		add("store", found, err)
	}
	if who, err := cfg.LoadTeams(); err != nil {
		add("teams", "", err)
	} else {
		found := fmt.Sprintf("%s, %s", text.Count(len(who.Owners()), "borough or desk", "boroughs and desks"), text.Count(len(who.Specialists()), "specialist team"))
		if cfg.TeamsFile == "" {
			found = "no file: every message leads nowhere"
		}
		add("teams", found, nil)
	}
	if name, ok := cfg.Sources[nightly.DefaultSource]; ok {
		found, err := source.Check(ctx, name)
		add("default extract", found, err)
	} else {
		add("default extract", "", errors.New("none: set HARMSTACK_EXTRACT, or name an extract in every request"))
	}
	switch r := cfg.Retention; {
	case r.Extract == 0 && r.Night == 0:
		add("retention", "everything is kept for ever: set HARMSTACK_KEEP_EXTRACTS and HARMSTACK_KEEP_NIGHTS by the force's retention schedule", nil)
	default:
		add("retention", fmt.Sprintf("rows as read %s, nights %s", keptFor(r.Extract), keptFor(r.Night)), nil)
	}
	if len(cfg.PayloadKeys) == 0 {
		add("payload encryption", "off: no real data may pass", nil)
	} else {
		add("payload encryption", "on", nil)
	}
	c, err := cfg.Dial(quiet{})
	if !add("Temporal", "reachable", err) {
		return checks
	}
	defer c.Close()
	found, err := examineQueue(ctx, c, cfg.TaskQueue)
	add("worker", found, err)
	found, err = examineQueue(ctx, c, workflows.ComputeQueue(cfg.TaskQueue))
	add("worker for stages", found, err)
	add("search attributes", "registered", examineAttributes(ctx, c))
	found, err = examineRunning(ctx, c, cfg)
	add("taskings run", found, err)
	for _, s := range workflows.Schedules(cfg.TaskQueue) {
		d, err := c.ScheduleClient().GetHandle(ctx, s.Options.ID).Describe(ctx)
		found := s.When
		if missing(err) {
			err = errors.New("none: `starter schedule apply` makes it")
		} else if err == nil && d.Schedule.State.Paused {
			found = "paused: " + d.Schedule.State.Note
		}
		add("schedule "+s.Name, found, err)
	}
	return checks
}

func missing(err error) bool {
	var gone *serviceerror.NotFound
	return errors.As(err, &gone)
}

// examineStore reads what is there and proves that it can be written to, and that two runs cannot write the same.
func examineStore(ctx context.Context, url string) (string, error) {
	st, err := store.Open(ctx, url)
	if err != nil {
		return "", err
	}
	defer st.Close()
	if err := st.Probe(ctx); err != nil {
		return "", err
	}
	nights, err := publish.Nights(ctx, st)
	if err != nil {
		return "", err
	}
	entries, err := audit.Read(ctx, st)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("writable, create-only holds, %s, audit log of %s unbroken", text.Count(len(nights), "night"), text.Count(len(entries), "entry", "entries")), nil
}

// examineRunning counts the taskings on the stack whose workflow ended: by a failure that no retry mends, or a hand.
func examineRunning(ctx context.Context, c client.Client, cfg config.Config) (string, error) {
	st, err := store.Open(ctx, cfg.Store)
	if err != nil {
		return "", err
	}
	defer st.Close()
	stopped, err := stoppedTaskings(ctx, c, cfg.TaskQueue, st)
	if err == nil && stopped > 0 {
		err = fmt.Errorf("%d on the stack do not: look in the web UI why they ended, then `starter tasking resume`", stopped)
	}
	return "all on the stack", err
}

func examineQueue(ctx context.Context, c client.Client, queue string) (string, error) {
	d, err := c.DescribeTaskQueue(ctx, queue, enumspb.TASK_QUEUE_TYPE_ACTIVITY)
	if err != nil {
		return "", err
	}
	if len(d.GetPollers()) == 0 {
		return "", fmt.Errorf("nobody polls the task queue %s: start a worker", queue)
	}
	return fmt.Sprintf("%d polling %s", len(d.GetPollers()), queue), nil
}

func examineAttributes(ctx context.Context, c client.Client) error {
	// Counting names every attribute in a query, which needs no operator's rights.
	for _, a := range workflows.SearchAttributes() {
		if _, err := c.CountWorkflow(ctx, &workflowservice.CountWorkflowExecutionsRequest{Query: a.GetName() + " IS NULL"}); err != nil {
			return fmt.Errorf("%s is not registered: temporal operator search-attribute create --name %s --type %s", a.GetName(), a.GetName(), a.GetValueType())
		}
	}
	return nil
}
