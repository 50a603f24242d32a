package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"harmstack/schemas"
	"harmstack/worker/config"
	"harmstack/workflows"
)

func scheduleCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "schedule",
		GroupID: groupNight,
		Short:   "The nightly schedule, 03:30 in London: apply, show, pause, trigger",
		Example: `  starter schedule apply
  starter schedule pause --reason "source is being moved"
  starter schedule pause --off`,
	}
	cmd.AddCommand(
		scheduleVerb("apply", "Create the schedule, or bring it up to date", applySchedule),
		scheduleVerb("show", "Show when it ran and when it will", showSchedule),
		pauseCommand(),
		scheduleVerb("trigger", "Start a night now", func(cmd *cobra.Command, h client.ScheduleHandle, _ config.Config, _ client.Client) error {
			if err := h.Trigger(cmd.Context(), client.ScheduleTriggerOptions{}); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "A night is started; `starter status` lists it once it is published.")
			return nil
		}),
	)
	return cmd
}

type scheduleAction func(*cobra.Command, client.ScheduleHandle, config.Config, client.Client) error

func scheduleVerb(name, short string, do scheduleAction) *cobra.Command {
	return &cobra.Command{Use: name, Short: short, Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		c, cfg, err := dial()
		if err != nil {
			return err
		}
		defer c.Close()
		err = do(cmd, c.ScheduleClient().GetHandle(cmd.Context(), workflows.ScheduleID), cfg, c)
		if missing(err) {
			return errors.New("there is no schedule yet: `starter schedule apply` makes it")
		}
		return err
	}}
}

func applySchedule(cmd *cobra.Command, h client.ScheduleHandle, cfg config.Config, c client.Client) error {
	options := workflows.Schedule(cfg.TaskQueue)
	_, err := c.ScheduleClient().Create(cmd.Context(), options)
	done := "created"
	if errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		done = "brought up to date"
		err = h.Update(cmd.Context(), client.ScheduleUpdateOptions{DoUpdate: func(in client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
			s := in.Description.Schedule // its state stays: a paused schedule stays paused
			s.Spec, s.Action = &options.Spec, options.Action
			s.Policy = &client.SchedulePolicies{Overlap: options.Overlap, CatchupWindow: options.CatchupWindow, PauseOnFailure: options.PauseOnFailure}
			return &client.ScheduleUpdate{Schedule: &s}, nil
		}})
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "Schedule %s %s: every night at 03:30 in London.\n", workflows.ScheduleID, done)
	return nil
}

func showSchedule(cmd *cobra.Command, h client.ScheduleHandle, _ config.Config, _ client.Client) error {
	d, err := h.Describe(cmd.Context())
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	state := "running"
	if s := d.Schedule.State; s.Paused {
		state = "paused: " + s.Note
	}
	fmt.Fprintf(out, "Schedule %s is %s.\n\n", workflows.ScheduleID, state)
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
	return table(out, rows)
}

func pauseCommand() *cobra.Command {
	var reason string
	var off bool
	cmd := scheduleVerb("pause", "Pause it, or with --off go on", func(cmd *cobra.Command, h client.ScheduleHandle, _ config.Config, _ client.Client) error {
		note := whoami() + ": " + reason
		if off {
			fmt.Fprintln(cmd.OutOrStdout(), "The schedule goes on.")
			return h.Unpause(cmd.Context(), client.ScheduleUnpauseOptions{Note: note})
		}
		if reason == "" {
			return errors.New("--reason: say why the nights stop")
		}
		if err := h.Pause(cmd.Context(), client.SchedulePauseOptions{Note: note}); err != nil {
			return err
		}
		fmt.Fprintln(cmd.OutOrStdout(), "The schedule is paused.")
		return nil
	})
	cmd.Flags().StringVar(&reason, "reason", "", "why")
	cmd.Flags().BoolVar(&off, "off", false, "end the pause")
	return cmd
}
