package cli

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"harmstack/activities/nights"
	"harmstack/activities/pipeline"
	"harmstack/activities/scoring"
	"harmstack/schemas"
	"harmstack/schemas/reference"
	"harmstack/schemas/text"
)

// blindSpotOf is what `starter blindspot --json` prints.
type blindSpotOf struct {
	schemas.NightID
	schemas.BlindSpot
	IfCounted []pipeline.IfCounted `json:"if_counted"`
}

func blindSpotCommand() *cobra.Command {
	var night nightFlags
	var paths reference.Paths
	var model string
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "blindspot",
		GroupID: groupLook,
		Short:   "Show what a night leaves out, and who would enter if it counted",
		Long: `Show what a night leaves out: rows that were kept, are or may be violence against women and girls, and add
to nobody's score, by reason, offence code and borough, with the field whose value is missing. For each
reason the night's rows are scored once more as if they counted, and the stacks compared: each victim
whose sex nobody says as female, each offence without a single weight at the least that it may have.
Nothing is changed, and nobody is named.

The night's tables and model are those of this program, or the files that --edition, --rules,
--supplement, --resolutions and --model name.`,
		Example: `  starter blindspot --as-of 2026-06-30
  starter blindspot --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, out := cmd.Context(), cmd.OutOrStdout()
			st, m, err := night.open(cmd)
			if err != nil {
				return err
			}
			defer st.Close()
			given, err := reference.LoadPaths(paths)
			if err != nil {
				return err
			}
			named, err := loadModel(model)
			if err != nil {
				return err
			}
			n := pipeline.Night{NightID: m.NightID, Threads: scoring.Threads(), Temp: tempDir()}
			if n.Tables, n.Model, err = basisAtHand(m, given, named); err != nil {
				return err
			}
			if n.Tables == nil {
				return fmt.Errorf(
					"night %s went by tables or a model that are not at hand (%s, %s, %s): name their files with --edition, "+
						"--rules, --supplement, --resolutions and --model",
					m.NightID, m.Edition.Name, m.Rules.Name, m.Model.Name,
				)
			}
			parts, err := pipeline.KeptParts(ctx, st, m)
			if err != nil {
				return nights.WhyMissing(ctx, st, m.NightID, err)
			}
			if n.Links, err = pipeline.LoadLinks(ctx, st, pipeline.KeptLinks(m), n.Tables); err != nil {
				return nights.WhyMissing(ctx, st, m.NightID, err)
			}
			stack, err := nights.ReadFile[schemas.Ranked](ctx, st, m, schemas.StackFile)
			if err != nil {
				return err
			}
			b := blindSpotOf{NightID: m.NightID, BlindSpot: m.Facts.BlindSpot}
			for _, reason := range pipeline.Blind {
				if m.Dispositions[reason] == 0 {
					continue
				}
				r, err := n.IfCounted(ctx, parts, m, stack, reason)
				if err != nil {
					return nights.WhyMissing(ctx, st, m.NightID, err)
				}
				b.IfCounted = append(b.IfCounted, r)
			}
			if err := look(ctx, st, "looked at the blind spot", m.NightID, ""); err != nil {
				return err
			}
			if asJSON {
				return printJSON(out, b)
			}
			say(out, "What the night of %s, revision %d, leaves out:\n\n", m.AsOf, m.Revision)
			if err := table(out, blindRows(m, b)); err != nil {
				return err
			}
			for _, by := range []struct {
				name string
				list []schemas.LeftOut
			}{{"OFFENCE CODE", b.ByCode}, {"BOROUGH", b.ByBorough}} {
				say(out, "\n")
				if err := table(out, leftRows(by.name, by.list)); err != nil {
					return err
				}
			}
			return nil
		},
	}
	storeFlag(cmd)
	night.add(cmd)
	tableFlags(cmd, &paths)
	cmd.Flags().StringVar(&model, "model", schemas.DefaultModel, "the model of a night that went by none of this program's: a YAML `file`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// blindRows is a line a reason.
func blindRows(m schemas.Manifest, b blindSpotOf) [][]string {
	rows := [][]string{{"LEFT OUT", "MISSING", "ROWS", "HARM DAYS", "WOULD COUNT", "WOULD ENTER"}}
	for d := range schemas.DispositionCount {
		sum := b.Sum(d.String())
		if sum.Rows == 0 {
			continue
		}
		count, enter := "-", "-"
		if i := slices.IndexFunc(b.IfCounted, func(r pipeline.IfCounted) bool { return r.Reason == d.String() }); i >= 0 {
			count, enter = text.Number(b.IfCounted[i].Rows), text.Number(b.IfCounted[i].Enter)
		}
		rows = append(rows, []string{
			d.String(), cmp.Or(schemas.MissingField(d.String()), "-"), text.Number(sum.Rows),
			text.Days(float64(sum.Tenths) / schemas.TenthsPerDay), count, enter,
		})
	}
	return rows
}

// leftRows is a line a code or borough, those with the most rows first.
func leftRows(name string, list []schemas.LeftOut) [][]string {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b schemas.LeftOut) int {
		return cmp.Or(cmp.Compare(a.Reason, b.Reason), cmp.Compare(b.Rows, a.Rows))
	})
	rows := [][]string{{"LEFT OUT", name, "ROWS", "HARM DAYS"}}
	for _, l := range list {
		rows = append(rows, []string{l.Reason, l.Of, text.Number(l.Rows), text.Days(float64(l.Tenths) / schemas.TenthsPerDay)})
	}
	return rows
}
