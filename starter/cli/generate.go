package cli

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"harmstack/schemas"
	"harmstack/schemas/text"
	"harmstack/starter/synthetic"
)

func generateCommand() *cobra.Command {
	var path, links string
	var asJSON bool
	var o synthetic.Options
	cmd := &cobra.Command{
		Use:     "generate --out FILE --as-of DATE",
		GroupID: groupTry,
		Short:   "Make a synthetic extract, calibrated to the published figures",
		Long: `Make a synthetic extract: nobody in it exists. Its offence mix, its share of repeat suspects and
its first hundred follow the published figures; deploy/docs/extracts.md compares them.
The same seed gives the same bytes, and extracts of consecutive dates with one seed tell one story.
What is hidden in it to be found is counted by kind: restricted people, withdrawn victims, two people
under one id, placeholders, merged nominals (--links writes them) and more.`,
		Example: `  starter generate --out extract.parquet --as-of 2026-06-30
  starter generate --out big.parquet --as-of 2026-06-30 --suspects 1800000 --seed 7
  starter generate --out extract.parquet --as-of 2026-06-30 --links links.csv --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ext := strings.ToLower(filepath.Ext(links))
			if links != "" && ext != ".csv" && ext != ".parquet" {
				return fmt.Errorf("--links %s: give a file that ends in .csv or .parquet", links)
			}
			var summary synthetic.Summary
			err := writeFile(path, func(w io.Writer) (err error) {
				summary, err = synthetic.Write(cmd.Context(), w, o)
				return err
			})
			if err == nil && links != "" {
				err = writeFile(links, func(w io.Writer) error {
					return synthetic.WriteLinks(w, summary.Links, ext == ".csv")
				})
			}
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), summary)
			}
			say(cmd.OutOrStdout(), "%s: %s, %s, as of %s, seed %d\n\n",
				path, text.Count(summary.Rows, "row"), text.Count(o.Suspects, "suspect"), o.AsOf, o.Seed)
			return table(cmd.OutOrStdout(), plantedRows(summary.Planted))
		},
	}
	f := cmd.Flags()
	f.StringVar(&path, "out", "", "the Parquet `file` to write")
	f.Var(dateFlag{&o.AsOf}, "as-of", "the last full `date` in it, YYYY-MM-DD")
	f.StringVar(&links, "links", "", "the `file` for nominals that were merged (person_id, same_as): .csv or .parquet")
	f.BoolVar(&asJSON, "json", false, "print what was made as JSON: counts, no ids")
	f.IntVar(&o.Suspects, "suspects", synthetic.DefaultSuspects, "how many suspects it names")
	f.Uint64Var(&o.Seed, "seed", 1, "another seed, other people")
	required(cmd, "out", "as-of")
	return cmd
}

// plantedRows is the table of what an extract holds for somebody to find.
func plantedRows(planted synthetic.Planted) [][]string {
	rows := [][]string{{"PLANTED", "COUNT"}}
	for _, kind := range slices.Sorted(maps.Keys(planted)) {
		rows = append(rows, []string{kind, fmt.Sprintf("%9s", text.Number(planted[kind]))})
	}
	return rows
}

// required marks flags without which a command makes no sense.
func required(cmd *cobra.Command, flags ...string) {
	for _, f := range flags {
		if err := cmd.MarkFlagRequired(f); err != nil {
			panic(err) // the flag is not defined: a fault of the program
		}
	}
}

// dateFlag reads a date as the contract writes it.
type dateFlag struct{ date *schemas.Date }

func (d dateFlag) String() string {
	if d.date == nil {
		return ""
	}
	return d.date.String()
}
func (d dateFlag) Set(s string) (err error) { *d.date, err = schemas.ParseDate(s); return err }
func (d dateFlag) Type() string             { return "date" }

// writeFile writes a whole file or none: under a temporary name first, for its owner's eyes only.
func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	defer os.Remove(f.Name()) // fails once renamed, as it should
	b := bufio.NewWriterSize(f, 1<<20)
	err = write(b)
	if err == nil {
		err = b.Flush()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return nil
}
