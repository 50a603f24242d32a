package cli

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"harmstack/activities/extract"
	"harmstack/activities/extract/sources"
	"harmstack/activities/scoring"
	"harmstack/activities/store"
	"harmstack/schemas/text"
)

func extractCommand() *cobra.Command {
	var name, out string
	var threads int
	cmd := &cobra.Command{
		Use:     "extract --extract FILE --out DIR",
		GroupID: groupTry,
		Short:   "Copy an extract into typed parts, as the first stage of a night does",
		Example: `  starter extract --extract extract.parquet --out parts`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			start := time.Now()
			file, err := sources.Open(
				cmd.Context(),
				name,
				sources.Options{Temp: tempDir(), Threads: threads, Progress: tell(cmd.ErrOrStderr(), "converted", 0)},
			)
			if err != nil {
				return err
			}
			defer file.Close()
			st, err := store.Open(cmd.Context(), out)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, st.Close()) }()
			parts, err := extract.Snapshot(
				cmd.Context(),
				file.File,
				st,
				".",
				threads,
				tell(cmd.ErrOrStderr(), "kept", file.Rows()),
			)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			say(
				cmd.OutOrStdout(),
				"%s: %s in %s, in %s\n",
				out,
				text.Count(file.Rows(), "row"),
				text.Count(len(parts), "part"),
				time.Since(start).Round(10*time.Millisecond),
			)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(
		&name,
		"extract",
		"",
		"the `file` or folder to copy: Parquet, CSV, or the YAML of a declared source; a path or a bucket's URL",
	)
	f.StringVar(&out, "out", "", "the `folder` to write to")
	f.IntVar(&threads, "threads", scoring.Threads(), "how many goroutines")
	required(cmd, "extract", "out")
	return cmd
}
