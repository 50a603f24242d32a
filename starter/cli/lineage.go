package cli

import (
	"context"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"harmstack/activities/nights"
	"harmstack/activities/store"
	"harmstack/schemas"
	"harmstack/schemas/text"
)

func lineageCommand() *cobra.Command {
	var revision int
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "lineage NIGHT",
		GroupID: groupLook,
		Short:   "Show which inputs made which outputs of a night, by which code, tables and model",
		Long: `Show where a night's figures come from: what it read, what each stage made of it and left, with
rows and sha256, whether a stage was done or its result reused and from which night, by which build,
edition, rules and model, what the night was compared with, and what was decided of it.

To go after one figure: its file stands under OUTPUT, its stage READS the stages above. The first 12
digits of a sha256 are shown; --json has all of them.`,
		Example: `  starter lineage 2026-06-30
  starter lineage 2026-06-30 --revision 2 --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := parseNight(args[0])
			if err != nil {
				return err
			}
			if revision > 0 {
				n.revision = revision
			}
			st, err := openStore(cmd)
			if err != nil {
				return err
			}
			defer st.Close()
			l, err := lineageOf(cmd.Context(), st, n)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), l)
			}
			return l.print(cmd.OutOrStdout())
		},
	}
	storeFlag(cmd)
	cmd.Flags().IntVar(&revision, "revision", 0, "the night's revision (default: the newest)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// lineage is what is known of how a night came about.
type lineage struct {
	Night    schemas.NightID       `json:"night"`
	Manifest schemas.ManifestRef   `json:"manifest"`
	Code     string                `json:"code"`
	Basis    schemas.Basis         `json:"basis"`
	Inputs   []schemas.ArtifactRef `json:"inputs"`
	Stages   []schemas.StageRecord `json:"stages"`
	Previous *schemas.ManifestRef  `json:"compared_with"`
	Decision *schemas.Decision     `json:"decision"`
	// Revocation is who took the approval back.
	Revocation *schemas.Revocation `json:"revocation,omitempty"`
	Current    bool                `json:"current"`
	Plans      int                 `json:"tasking_plans"`
}

func lineageOf(ctx context.Context, st *store.Store, n nightFlags) (l lineage, err error) {
	m, ref, err := n.find(ctx, st)
	if err != nil {
		return l, err
	}
	l = lineage{
		Night:    m.NightID,
		Manifest: ref,
		Code:     m.Code,
		Basis:    m.Basis,
		Inputs:   m.Inputs,
		Stages:   m.Stages,
		Previous: m.Previous,
	}
	if l.Stages == nil {
		l.Stages = stagesBefore(m)
	}
	if l.Decision, err = nights.LoadDecision(ctx, st, m.NightID); err != nil {
		return l, err
	}
	last, err := nights.LastRecord(ctx, st)
	if err != nil {
		return l, err
	}
	if last != nil {
		l.Current = last.Manifest == ref
		if i := slices.Index(last.RevokedNights(), m.NightID); i >= 0 {
			l.Revocation = &last.Revocations[i]
		}
	}
	plans, err := st.List(ctx, fmt.Sprintf("taskings/plans/%s/", m.NightID))
	l.Plans = len(plans)
	return l, err
}

// stagesBefore tells from the names of the outputs which stage left them, for a night of a build that did not note it.
func stagesBefore(m schemas.Manifest) []schemas.StageRecord {
	stages := []schemas.StageRecord{
		{Stage: "extract"},
		{Stage: "check", Reads: []string{"extract"}},
		{Stage: "rank", Reads: []string{"extract"}},
		{Stage: "publish", Reads: []string{"rank"}},
	}
	for _, o := range m.Outputs {
		stage := &stages[2]
		switch file := path.Base(o.URI); {
		case path.Base(path.Dir(o.URI)) == schemas.ExtractFolder:
			stage = &stages[0]
		case file == schemas.QuarantineFile:
			stage = &stages[1]
		case file == schemas.ChangesFile, file == schemas.ReportFile:
			stage = &stages[3]
		}
		stage.Outputs = append(stage.Outputs, o)
	}
	return stages
}

func (l lineage) print(out io.Writer) error {
	short := func(sha string) string { return fmt.Sprintf("%.12s", sha) }
	say(
		out,
		"Night of %s, revision %d: %s, sha256 %s, by build %s.\n\n",
		l.Night.AsOf,
		l.Night.Revision,
		l.Manifest.URI,
		short(l.Manifest.SHA256),
		short(l.Code),
	)
	rows := [][]string{{"STAGE", "READS", "OUTPUT", "ROWS", "SHA256", "DONE BY"}}
	for _, in := range l.Inputs {
		rows = append(
			rows,
			[]string{"input", "", in.URI, fmt.Sprintf("%12s", text.Number(in.Rows)), short(in.SHA256), ""},
		)
	}
	for _, s := range l.Stages {
		reads := strings.Join(s.Reads, ", ")
		if reads == "" {
			reads = "input"
		}
		by := "build " + short(s.Code)
		if s.Code == "" {
			by = "not noted"
		}
		if s.Reused != nil {
			by += fmt.Sprintf(", for %s r%d: reused", s.Reused.AsOf, s.Reused.Revision)
		}
		for i, o := range s.Outputs {
			rows = append(
				rows,
				[]string{s.Stage, reads, o.URI, fmt.Sprintf("%12s", text.Number(o.Rows)), short(o.SHA256), by},
			)
			if i == 0 {
				s.Stage, reads, by = "", "", ""
			}
		}
	}
	if err := table(out, rows); err != nil {
		return err
	}
	rows = [][]string{{"WENT BY", "NAME", "SHA256"}}
	for _, by := range []struct {
		what string
		schemas.Named
	}{{"edition", l.Basis.Edition}, {"rules", l.Basis.Rules}, {"supplement", l.Basis.Supplement}, {"resolutions", l.Basis.Resolutions}, {"model", l.Basis.Model}} {
		rows = append(rows, []string{by.what, by.Name, short(by.SHA256)})
	}
	fmt.Fprintln(out)
	if err := table(out, rows); err != nil {
		return err
	}
	fmt.Fprintln(out)
	if l.Previous != nil {
		say(out, "Compared with %s, sha256 %s.\n", l.Previous.URI, short(l.Previous.SHA256))
	}
	switch d := l.Decision; {
	case d == nil:
		fmt.Fprintln(out, "Nobody has decided it yet.")
	default:
		say(
			out,
			"%s by %s on %s: %s\n",
			strings.ToUpper(d.Decision[:1])+d.Decision[1:],
			d.By,
			d.At.In(schemas.London).Format("2 January 2006 at 15:04"),
			d.Reason,
		)
	}
	if r := l.Revocation; r != nil {
		say(out, "Revoked by %s on %s: %s\n", r.By, r.At.In(schemas.London).Format("2 January 2006 at 15:04"), r.Reason)
	}
	if l.Current {
		fmt.Fprintln(out, "It is the current stack.")
	}
	if l.Plans > 0 {
		say(
			out,
			"%s planned for from it, in taskings/plans/%s/.\n",
			text.Count(l.Plans, "team was", "teams were"),
			l.Night,
		)
	}
	return nil
}
