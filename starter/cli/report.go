package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"harmstack/activities/nights"
	"harmstack/schemas"
	"harmstack/schemas/fault"
)

func reportCommand() *cobra.Command {
	var night nightFlags
	var out, why string
	cmd := &cobra.Command{
		Use:     "report --out FILE",
		GroupID: groupLook,
		Short:   "Take the report of a night out of the store, to open it in a browser",
		Long: `Write the report of a night, which the officer reads before deciding, into a file for its owner only. It names
suspects: at a terminal it asks why you look; elsewhere give --why. The reason goes into the log. The file is not sealed
as the store is: delete it when you have read it.`,
		Example: `  starter report --as-of 2026-06-30 --out report.html --why "the decision of this morning"`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if out == "" {
				return errors.New("name a file by --out, such as report.html")
			}
			ctx := cmd.Context()
			st, m, err := night.open(cmd)
			if err != nil {
				return err
			}
			defer st.Close()
			ref, ok := m.Output(schemas.ReportFile)
			if !ok {
				return fault.Errorf(fault.DamagedArtifact, "night %s has no %s", m.NightID, schemas.ReportFile)
			}
			report, err := st.Open(ctx, ref)
			if err != nil {
				return nights.WhyMissing(ctx, st, m.NightID, err)
			}
			defer report.Close()
			if err := askWhy(cmd, &why); err != nil {
				return err
			}
			if err := look(ctx, st, "took the report out of the store", m.NightID, why); err != nil {
				return err
			}
			err = writeFile(out, func(w io.Writer) error {
				_, err := io.Copy(w, report)
				return err
			})
			if err == nil {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "The report of night %s is in %s.\n", m.NightID, out)
			}
			return err
		},
	}
	storeFlag(cmd)
	night.add(cmd)
	whyFlag(cmd, &why)
	cmd.Flags().StringVar(&out, "out", "", "the `file` to write")
	return cmd
}
