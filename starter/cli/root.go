// Package cli is what users type: every command of the starter, one file a command.
//
// A command reads its flags, calls the package that does the work and prints what came of it. It
// must not hold rules of the domain, and never prints to a log what it shows to a person.
package cli

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"harmstack/schemas/text"
)

// Run executes one command line. The error is one line for the person who typed it.
func Run(ctx context.Context, args []string, out, progress io.Writer) error {
	root := rootCommand()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(progress)
	if err := root.ExecuteContext(ctx); err != nil {
		// One line: an error of several faults is joined, not stacked.
		return errors.New(text.Line(strings.ReplaceAll(err.Error(), "\n", "; ")))
	}
	return nil
}

// rootCommand is the starter with all its commands.
func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "starter",
		Short: "Harmstack: find the suspects who do most harm to women and girls, and task the teams",
		Long: `Harmstack scores every suspect named in a year's reports of violence against women and girls
by the Cambridge Crime Harm Index, publishes the first 100 each night, and tasks the boroughs
once a named officer has approved.

New here? ` + "`starter demo`" + ` shows a whole night on a machine of its own.`,
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.AddGroup(
		&cobra.Group{ID: groupTry, Title: "Try it, without a server:"},
		&cobra.Group{ID: groupNight, Title: "Run nights:"},
		&cobra.Group{ID: groupLook, Title: "Look at what is published:"},
		&cobra.Group{ID: groupTask, Title: "Work a tasking:"},
	)
	root.AddCommand(
		demoCommand(),
		generateCommand(),
		scoreCommand(),
		extractCommand(),
		setupCommand(),
		runCommand(),
		backfillCommand(),
		scheduleCommand(),
		retentionCommand(),
		keysCommand(),
		decisionCommand(approve),
		decisionCommand(hold),
		revokeCommand(),
		deskCommand(),
		doctorCommand(),
		stackCommand(),
		reportCommand(),
		explainCommand(),
		blindSpotCommand(),
		caseCommand(),
		diffCommand(),
		verifyCommand(),
		subjectCommand(),
		auditCommand(),
		lineageCommand(),
		statusCommand(),
		checksCommand(),
		taskingCommand(),
		teamsCommand(),
		loginCommand(),
		logoutCommand(),
	)
	for _, a := range answers {
		root.AddCommand(answerCommand(a))
	}
	return root
}

// The groups under which --help lists the commands.
const (
	groupTry   = "try"
	groupNight = "night"
	groupLook  = "look"
	groupTask  = "task"
)
