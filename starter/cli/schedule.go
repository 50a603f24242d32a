package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"harmstack/schemas"
	flows "harmstack/workflows/client"
)

func scheduleCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "schedule",
		GroupID: groupNight,
		Short:   "The schedules, of the nights and of what looks after them: apply, show, pause, trigger",
		Example: `  starter schedule apply
  starter schedule pause --reason "source is being moved"
  starter schedule pause --off
  starter schedule trigger watch`,
	}
	cmd.AddCommand(
		scheduleVerb("apply", "Create the schedules, or bring them up to date", true, applySchedule),
		scheduleVerb("show", "Show when each ran and when it will", true, showSchedule),
		pauseCommand(),
		scheduleVerb(
			"trigger",
			"Start a night, or what another schedule starts, now",
			false,
			func(cmd *cobra.Command, c client.Client, s flows.Scheduled) error {
				if err := s.Handle(cmd.Context(), c).Trigger(cmd.Context(), client.ScheduleTriggerOptions{}); err != nil {
					return err
				}
				say(
					cmd.OutOrStdout(),
					"Started what schedule %s starts; a night is listed by `starter status` once it is published.\n",
					s.Options.ID,
				)
				return nil
			},
		),
	)
	return cmd
}

// scheduleVerb does something to the schedule that is named; without a name to all of them, or to that of the nights.
func scheduleVerb(
	name, short string,
	all bool,
	do func(*cobra.Command, client.Client, flows.Scheduled) error,
) *cobra.Command {
	var names []string
	for _, s := range flows.Schedules("", "") {
		names = append(names, s.Name)
	}
	without := names[0]
	if all {
		without = "all of them"
	}
	return &cobra.Command{
		Use:       fmt.Sprintf("%s [%s]", name, strings.Join(names, " | ")),
		Short:     short,
		Long:      fmt.Sprintf("%s. Without a name: %s.", short, without),
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: names,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, cfg, err := dial(cmd.Context())
			if err != nil {
				return err
			}
			defer c.Close()
			schedules := flows.Schedules(cfg.Deployment, cfg.TaskQueue)
			switch {
			case len(args) > 0:
				schedules = slices.DeleteFunc(schedules, func(s flows.Scheduled) bool { return s.Name != args[0] })
			case !all:
				schedules = schedules[:1]
			}
			for _, s := range schedules {
				err := do(cmd, c, s)
				if flows.Missing(err) {
					err = fmt.Errorf("there is no schedule %s yet: `starter schedule apply` makes it", s.Options.ID)
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func applySchedule(cmd *cobra.Command, c client.Client, scheduled flows.Scheduled) error {
	created, err := scheduled.Apply(cmd.Context(), c)
	if err != nil {
		return err
	}
	done := "brought up to date"
	if created {
		done = "created"
	}
	say(cmd.OutOrStdout(), "Schedule %s %s: %s.\n", scheduled.Options.ID, done, scheduled.When)
	return nil
}

func showSchedule(cmd *cobra.Command, c client.Client, s flows.Scheduled) error {
	out := cmd.OutOrStdout()
	d, err := s.Handle(cmd.Context(), c).Describe(cmd.Context())
	if flows.Missing(err) {
		say(out, "Schedule %s is not there: `starter schedule apply` makes it.\n\n", s.Options.ID)
		return nil
	}
	if err != nil {
		return err
	}
	state := "running"
	if s := d.Schedule.State; s.Paused {
		state = "paused: " + s.Note
	}
	say(out, "Schedule %s (%s) is %s.\n\n", s.Options.ID, s.When, state)
	rows := [][]string{{"WHEN (LONDON)", "WORKFLOW"}}
	for _, r := range d.Info.RecentActions {
		workflow := "-"
		if r.StartWorkflowResult != nil {
			workflow = r.StartWorkflowResult.WorkflowID
		}
		rows = append(rows, []string{r.ScheduleTime.In(schemas.London).Format("2006-01-02 15:04"), workflow})
	}
	for _, t := range d.Info.NextActionTimes[:min(3, len(d.Info.NextActionTimes))] {
		rows = append(rows, []string{t.In(schemas.London).Format("2006-01-02 15:04"), "to come"})
	}
	if err := table(out, rows); err != nil {
		return err
	}
	fmt.Fprintln(out)
	return nil
}

func pauseCommand() *cobra.Command {
	var reason string
	var off bool
	cmd := scheduleVerb(
		"pause",
		"Pause the nights, or another schedule, or with --off go on",
		false,
		func(cmd *cobra.Command, c client.Client, s flows.Scheduled) error {
			if err := schemas.CheckText("--reason", reason, schemas.MaxReason); err != nil {
				return err
			}
			note := whoami() + ": " + reason
			if off {
				if err := s.Handle(cmd.Context(), c).Unpause(cmd.Context(), client.ScheduleUnpauseOptions{Note: note}); err != nil {
					return err
				}
				say(cmd.OutOrStdout(), "Schedule %s goes on.\n", s.Options.ID)
				return nil
			}
			if reason == "" {
				return errors.New("--reason: say why it stops")
			}
			if err := s.Handle(cmd.Context(), c).Pause(cmd.Context(), client.SchedulePauseOptions{Note: note}); err != nil {
				return err
			}
			say(cmd.OutOrStdout(), "Schedule %s is paused.\n", s.Options.ID)
			return nil
		},
	)
	cmd.Flags().StringVar(&reason, "reason", "", "why")
	cmd.Flags().BoolVar(&off, "off", false, "end the pause")
	return cmd
}
