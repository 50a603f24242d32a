package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"harmstack/activities/nights"
	"harmstack/activities/pipeline/compare"
	"harmstack/activities/store"
	"harmstack/schemas"
	"harmstack/schemas/reference"
	"harmstack/schemas/text"
)

func diffCommand() *cobra.Command {
	var asJSON bool
	var paths reference.Paths
	var model, because string
	cmd := &cobra.Command{
		Use:     "diff NIGHT1 NIGHT2",
		GroupID: groupLook,
		Short:   "Show who entered, left or moved between two nights, and why",
		Long: `Show who entered, left or moved between the stacks of two nights, and why: which allegations are
new, gone, older, or weigh otherwise. The newest revision of each date counts; a revision is named as
2026-06-30-r1. A folder that ` + "`starter score`" + ` made stands for a night: write ./under-2025. At a terminal it
asks why you look; elsewhere give --why. The reason goes into the log.

Of a suspect who is on one of the two stacks only, the other keeps no allegations. They are found by
scoring that night's rows again, which takes its tables and its model: those of this program, or the
files that --edition, --rules, --supplement, --resolutions and --model name. Without them, WHY says
only what the rankings hold.`,
		Example: `  starter diff 2026-06-29 2026-06-30 --why "the morning meeting"
  starter diff 2026-06-30-r1 2026-06-30-r2 --json --why "why it was run again"
  starter diff 2026-06-30 ./under-2025 --edition cchi-2025.csv --rules vawg-2025.csv --why "the new edition"`,
		Args: cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, out := cmd.Context(), cmd.OutOrStdout()
			c := comparison{store: func() (*store.Store, error) { return openStore(cmd) }}
			defer c.close()
			tables, err := reference.LoadPaths(paths)
			if err != nil {
				return err
			}
			given, err := loadModel(model)
			if err != nil {
				return err
			}
			c.tables, c.model = tables, given
			for i, arg := range args {
				if c.sides[i], err = c.open(ctx, arg); err != nil {
					return err
				}
			}
			if err := askWhy(cmd, &because); err != nil {
				return err
			}
			for _, s := range c.sides {
				if s.In != c.nights { // a folder has no log
					continue
				}
				if err := look(ctx, s.In, "looked at the stack to compare two nights", s.Manifest.NightID, because); err != nil {
					return err
				}
			}
			changes, err := c.changes(ctx)
			if err != nil {
				return err
			}
			all := len(changes)
			changes = slices.DeleteFunc(changes, func(one compare.Change) bool { return one.Restricted })
			if asJSON {
				return printJSON(out, changes)
			}
			if n := all - len(changes); n > 0 {
				say(out, "%s\n", notShown(n)[1:])
			}
			return c.print(out, changes)
		},
	}
	storeFlag(cmd)
	tableFlags(cmd, &paths)
	cmd.Flags().
		StringVar(&model, "model", schemas.DefaultModel, "the model of a night that went by none of this program's: a YAML `file`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	whyFlag(cmd, &because)
	return cmd
}

// comparison is two nights, or folders that stand for one.
type comparison struct {
	store  func() (*store.Store, error)
	nights *store.Store // once it is open
	opened []*store.Store
	tables *reference.Tables // given, as is the model
	model  schemas.Model
	sides  [2]*compare.Side
}

func (c *comparison) close() {
	for _, st := range c.opened {
		st.Close()
	}
}

// open finds a night by its date, or a folder by its path.
func (c *comparison) open(ctx context.Context, arg string) (s *compare.Side, err error) {
	n, err := parseNight(arg)
	if err == nil {
		st, err := c.kept()
		if err != nil {
			return nil, err
		}
		m, _, err := n.find(ctx, st)
		if err != nil {
			return nil, err
		}
		if s, err = compare.Load(ctx, st, m); err == nil {
			s.Rows = &m.NightID
		}
		return s, err
	}
	if _, statErr := os.Stat(filepath.Join(arg, schemas.ManifestFile)); statErr != nil {
		return nil, fmt.Errorf(
			"%s is neither a night, like 2026-06-30 or 2026-06-30-r2, nor a folder that `starter score` made: %w",
			arg,
			statErr,
		)
	}
	in, err := store.Open(ctx, arg)
	if err != nil {
		return nil, err
	}
	c.opened = append(c.opened, in)
	m, err := nights.ReadManifest(ctx, in, schemas.ManifestFile)
	if err != nil {
		return nil, err
	}
	if s, err = compare.Load(ctx, in, m); err != nil {
		return nil, err
	}
	if s.Name = arg; m.Night != nil {
		s.Rows = &m.Night.NightID
	}
	return s, nil
}

func (c *comparison) changes(ctx context.Context) ([]compare.Change, error) {
	return compare.Nights{
		Before: c.sides[0], After: c.sides[1], Temp: tempDir(), Kept: c.kept,
		Basis: func(m schemas.Manifest) (*reference.Tables, schemas.Model, error) {
			return basisAtHand(m, c.tables, c.model)
		},
	}.Changes(ctx)
}

// kept is the store whose nights keep their rows.
func (c *comparison) kept() (*store.Store, error) {
	if c.nights == nil {
		st, err := c.store()
		if err != nil {
			return nil, err
		}
		c.nights, c.opened = st, append(c.opened, st)
	}
	return c.nights, nil
}

// basisAtHand finds the tables and the model that a night went by, among those given, if any are, and those of this
// program. Nil tables: they, or the model, are not at hand.
func basisAtHand(
	m schemas.Manifest,
	given *reference.Tables,
	models ...schemas.Model,
) (*reference.Tables, schemas.Model, error) {
	var tables []*reference.Tables
	if given != nil {
		tables = append(tables, given)
	}
	for _, name := range reference.RuleSets() {
		built, err := reference.LoadPaths(reference.Paths{Rules: name})
		if err != nil {
			return nil, schemas.Model{}, err
		}
		tables = append(tables, built)
	}
	model := modelAtHand(m, models...)
	for _, t := range tables {
		if t.Basis(model) == m.Basis {
			return t, model, nil
		}
	}
	return nil, model, nil
}

// modelAtHand is the model that a night went by, among those given and those of this program; the zero value: it is not.
func modelAtHand(m schemas.Manifest, models ...schemas.Model) schemas.Model {
	for _, name := range schemas.ModelNames() {
		if built, err := schemas.LoadModel(name); err == nil {
			models = append(models, built)
		}
	}
	at := slices.IndexFunc(models, func(model schemas.Model) bool { return model.Named() == m.Model })
	if at < 0 {
		return schemas.Model{}
	}
	return models[at]
}

func (c *comparison) print(out io.Writer, changes []compare.Change) error {
	a, b := c.sides[0], c.sides[1]
	plain := make([]schemas.Change, len(changes))
	unexplained := 0
	for i, one := range changes {
		plain[i] = one.Change
		if !one.Explained {
			unexplained++
		}
	}
	n := nights.CountChanges(plain)
	say(
		out,
		"%s to %s: %d entered, %d left, %d moved, %d stayed.\n",
		a.Name,
		b.Name,
		n.Entered,
		n.Left,
		n.Moved,
		n.Stayed,
	)
	for _, t := range []struct {
		what     string
		was, now schemas.Named
	}{
		{"edition", a.Manifest.Edition, b.Manifest.Edition}, {"rules", a.Manifest.Rules, b.Manifest.Rules}, {"supplement", a.Manifest.Supplement, b.Manifest.Supplement},
		{"resolutions", a.Manifest.Resolutions, b.Manifest.Resolutions}, {"model", a.Manifest.Model, b.Manifest.Model},
	} {
		if t.was != t.now {
			say(out, "Other %s: %s (%.8s) to %s (%.8s).\n", t.what, t.was.Name, t.was.SHA256, t.now.Name, t.now.SHA256)
		}
	}
	if was, now := a.Manifest.LinksSHA256(), b.Manifest.LinksSHA256(); was != now {
		say(out, "Other person links: %s to %s.\n", cmp.Or(fmt.Sprintf("%.8s", was), "none"), cmp.Or(fmt.Sprintf("%.8s", now), "none"))
	}
	fmt.Fprintln(out)
	rows := [][]string{{"CHANGE", "SUSPECT", "FROM", "TO", "REASON", "WHY"}}
	for _, one := range changes {
		if one.Kind != schemas.ChangeStayed {
			rows = append(
				rows,
				[]string{
					one.Kind,
					one.SuspectID,
					position(one.Previous),
					position(one.Position),
					orDash(one.Reason),
					one.Why,
				},
			)
		}
	}
	if err := table(out, rows); err != nil {
		return err
	}
	if unexplained > 0 {
		say(
			out,
			"\nOf %s only one night's allegations are known: name the other's tables and model, and its store. See `starter diff --help`.\n",
			text.Count(unexplained, "suspect"),
		)
	}
	return nil
}

func position(p *int64) string {
	if p == nil {
		return "-"
	}
	return strconv.FormatInt(*p, 10)
}

// parseNight reads 2026-06-30 or 2026-06-30-r2.
func parseNight(s string) (n nightFlags, err error) {
	date := s
	if len(s) > len(schemas.DateLayout)+2 && s[len(schemas.DateLayout):len(schemas.DateLayout)+2] == "-r" {
		date = s[:len(schemas.DateLayout)]
		if n.revision, err = strconv.Atoi(s[len(schemas.DateLayout)+2:]); err != nil || n.revision < 1 {
			return n, errors.New("a revision is written like 2026-06-30-r2")
		}
	}
	n.asOf, err = schemas.ParseDate(date)
	return n, err
}
