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
	"strings"
	"time"

	"github.com/spf13/cobra"

	"harmstack/activities/nights"
	"harmstack/activities/pipeline"
	"harmstack/activities/scoring"
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
				if s.in != c.nights { // a folder has no log
					continue
				}
				if err := look(ctx, s.in, "looked at the stack to compare two nights", s.manifest.NightID, because); err != nil {
					return err
				}
			}
			changes, err := c.changes(ctx)
			if err != nil {
				return err
			}
			all := len(changes)
			changes = slices.DeleteFunc(changes, func(one change) bool { return one.Restricted })
			if asJSON {
				return printJSON(out, changes)
			}
			if n := all - len(changes); n > 0 {
				say(out, "%s\n", strings.TrimSpace(notShown(n)))
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
	sides  [2]*side
}

// side is one of the two.
type side struct {
	name     string
	in       *store.Store
	manifest schemas.Manifest
	rows     *schemas.NightID // the published night that keeps its rows; nil: nobody does
	stack    []schemas.Ranked
	own      map[string][]schemas.Contribution // by suspect
	ranked   map[string]schemas.Ranked         // of those who are looked for
}

func (c *comparison) close() {
	for _, st := range c.opened {
		st.Close()
	}
}

// open finds a night by its date, or a folder by its path.
func (c *comparison) open(ctx context.Context, arg string) (*side, error) {
	s := &side{name: arg, own: map[string][]schemas.Contribution{}, ranked: map[string]schemas.Ranked{}}
	n, err := parseNight(arg)
	if folder := filepath.Join(arg, schemas.ManifestFile); err != nil {
		if _, statErr := os.Stat(folder); statErr != nil {
			return nil, fmt.Errorf(
				"%s is neither a night, like 2026-06-30 or 2026-06-30-r2, nor a folder that `starter score` made: %w",
				arg,
				statErr,
			)
		}
		if s.in, err = store.Open(ctx, arg); err != nil {
			return nil, err
		}
		c.opened = append(c.opened, s.in)
		if s.manifest, err = nights.ReadManifest(ctx, s.in, schemas.ManifestFile); err != nil {
			return nil, err
		}
		if s.manifest.Night != nil {
			s.rows = &s.manifest.Night.NightID
		}
	} else {
		if c.nights == nil {
			if c.nights, err = c.store(); err != nil {
				return nil, err
			}
			c.opened = append(c.opened, c.nights)
		}
		s.in = c.nights
		if s.manifest, _, err = n.find(ctx, s.in); err != nil {
			return nil, err
		}
		s.name, s.rows = s.manifest.NightID.String(), &s.manifest.NightID
	}
	if s.stack, err = nights.ReadFile[schemas.Ranked](ctx, s.in, s.manifest, schemas.StackFile); err != nil {
		return nil, err
	}
	all, err := nights.ReadFile[schemas.Contribution](ctx, s.in, s.manifest, schemas.ContributionsFile)
	for _, row := range all {
		s.own[row.SuspectID] = append(s.own[row.SuspectID], row)
	}
	for _, r := range s.stack {
		s.ranked[r.SuspectID] = r
	}
	return s, err
}

// change is a schemas.Change and what it comes from.
type change struct {
	schemas.Change
	// Before and After are where the suspect stands in the two rankings, on the stack or below; nil: in neither place.
	Before *schemas.Ranked `json:"before"`
	After  *schemas.Ranked `json:"after"`
	// Explained: Terms are all that differs of the suspect's own. Otherwise one night's allegations are not known.
	Explained bool         `json:"explained"`
	Terms     []difference `json:"terms"`
	Why       string       `json:"why"`
}

// difference is one thing that differs between two scores of a suspect.
type difference struct {
	Allegation string `json:"allegation_id,omitempty"`
	// What is new, gone, aged_out, weight, age, model or frequency.
	What   string  `json:"what"`
	Before float64 `json:"before"` // harm days, age in days, recency or factor
	After  float64 `json:"after"`
	Days   float64 `json:"score_days"` // what it adds to the score before frequency, in days
}

func (c *comparison) changes(ctx context.Context) ([]change, error) {
	a, b := c.sides[0], c.sides[1]
	everybody, err := nights.EachRow[schemas.Ranked](ctx, b.in, b.manifest, schemas.RankingFile)
	if err != nil {
		return nil, err
	}
	var contributions []schemas.Contribution
	for _, own := range a.own {
		contributions = append(contributions, own...)
	}
	window := modelAtHand(b.manifest, c.model).WindowDays
	list, err := nights.Comparison{Previous: a.stack, Contributions: contributions, Stack: b.stack, Ranking: everybody,
		AsOf: b.manifest.AsOf, WindowDays: cmp.Or(window, 365)}.Changes()
	if err != nil {
		return nil, err
	}
	known := [2]bool{}
	for i, s := range c.sides {
		if known[i], err = c.complete(ctx, s, c.sides[1-i]); err != nil {
			return nil, err
		}
	}
	changes := make([]change, len(list))
	for i, entry := range list {
		one := change{Change: entry, Terms: []difference{}}
		id := entry.SuspectID
		if r, ok := a.ranked[id]; ok {
			one.Before = &r
		}
		if r, ok := b.ranked[id]; ok {
			one.After = &r
		}
		// Whoever is not ranked has no allegation that counts.
		one.Explained = (one.Before == nil || a.own[id] != nil || known[0]) &&
			(one.After == nil || b.own[id] != nil || known[1])
		if one.Explained {
			one.Terms = terms(a.own[id], b.own[id], one.Before, one.After, b.manifest.AsOf, window)
		}
		one.Why = why(one)
		changes[i] = one
	}
	return changes, nil
}

// basisAtHand finds the tables and the model that a night went by, among those given and those of this program. Nil
// tables: they, or the model, are not at hand.
func basisAtHand(
	m schemas.Manifest,
	given *reference.Tables,
	models ...schemas.Model,
) (*reference.Tables, schemas.Model, error) {
	tables := []*reference.Tables{given}
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

// complete finds the allegations of those who are on the other's stack and not on this one: where its rows, its tables
// and its model are at hand it scores the rows again, as deep as the last of them stands.
func (c *comparison) complete(ctx context.Context, s, other *side) (bool, error) {
	missing := map[string]bool{}
	for _, r := range other.stack {
		if _, ok := s.ranked[r.SuspectID]; !ok {
			missing[r.SuspectID] = true
		}
	}
	if len(missing) == 0 {
		return true, nil
	}
	everybody, err := nights.EachRow[schemas.Ranked](ctx, s.in, s.manifest, schemas.RankingFile)
	if err != nil {
		return false, err
	}
	depth, left := int64(0), len(missing)
	for r, err := range everybody {
		if err != nil {
			return false, err
		}
		if missing[r.SuspectID] {
			s.ranked[r.SuspectID], depth = r, r.Position
			if left--; left == 0 {
				break
			}
		}
	}
	tables, model, err := basisAtHand(s.manifest, c.tables, c.model)
	switch {
	case err != nil:
		return false, err
	case depth == 0:
		return true, nil
	case tables == nil || s.rows == nil:
		return false, nil
	case c.nights == nil:
		if c.nights, err = c.store(); err != nil {
			return false, nil // no store is named, and so its rows are not at hand
		}
		c.opened = append(c.opened, c.nights)
	}
	model.Depth, model.MinimumAllegations = depth, 1
	was, _, err := nights.LoadManifest(ctx, c.nights, *s.rows)
	if err != nil {
		return false, err
	}
	parts, err := pipeline.KeptParts(ctx, c.nights, was)
	if err != nil {
		return false, err
	}
	n := pipeline.Night{
		NightID: s.manifest.NightID,
		Tables:  tables,
		Model:   model,
		Threads: scoring.Threads(),
		Temp:    tempDir(),
	}
	if n.Links, err = pipeline.LoadLinks(ctx, c.nights, pipeline.KeptLinks(was), n.Tables); err != nil {
		return false, err
	}
	engine, err := n.NewEngine(nil, false)
	if err != nil {
		return false, err
	}
	defer engine.Close()
	scores, err := n.Score(ctx, engine, parts, false, nil)
	if err != nil {
		return false, err
	}
	for _, row := range scores.Candidates {
		if missing[row.SuspectID] {
			s.own[row.SuspectID] = append(s.own[row.SuspectID], row)
		}
	}
	return true, nil
}

// terms are what differs between two lists of allegations, what moves the score most first.
func terms(before, after []schemas.Contribution, was, is *schemas.Ranked, asOf schemas.Date, window int) []difference {
	list := []difference{}
	old := map[string]schemas.Contribution{}
	for _, row := range before {
		old[row.AllegationID] = row
	}
	// scoreDays is what an allegation of so many harm days and that recency adds.
	scoreDays := func(harm float64, recency int64) float64 { return harm * float64(recency) / schemas.PPM }
	for _, now := range after {
		had, ok := old[now.AllegationID]
		delete(old, now.AllegationID)
		if !ok {
			list = append(
				list,
				difference{now.AllegationID, "new", 0, now.HarmDays, scoreDays(now.HarmDays, now.RecencyPPM)},
			)
			continue
		}
		if had.HarmDays != now.HarmDays {
			list = append(
				list,
				difference{
					now.AllegationID,
					"weight",
					had.HarmDays,
					now.HarmDays,
					scoreDays(now.HarmDays-had.HarmDays, had.RecencyPPM),
				},
			)
		}
		older := scoreDays(now.HarmDays, now.RecencyPPM-had.RecencyPPM)
		if had.Age != now.Age {
			list = append(list, difference{now.AllegationID, "age", float64(had.Age), float64(now.Age), older})
		} else if had.RecencyPPM != now.RecencyPPM {
			list = append(list, difference{now.AllegationID, "model", float64(had.RecencyPPM) / schemas.PPM, float64(now.RecencyPPM) / schemas.PPM, older})
		}
	}
	for id, had := range old {
		gone := difference{id, "gone", had.HarmDays, 0, -scoreDays(had.HarmDays, had.RecencyPPM)}
		if window > 0 && asOf.DaysSince(schemas.LondonDate(time.UnixMicro(had.ReportedAt))) >= window {
			gone.What = "aged_out"
		}
		list = append(list, gone)
	}
	slices.SortFunc(list, func(a, b difference) int {
		return cmp.Or(
			-cmp.Compare(max(a.Days, -a.Days), max(b.Days, -b.Days)),
			cmp.Compare(a.Allegation, b.Allegation),
			cmp.Compare(a.What, b.What),
		)
	})
	if was != nil && is != nil {
		if f, g := factor(before, *was), factor(after, *is); f != g {
			list = append(list, difference{What: "frequency", Before: f, After: g})
		}
	}
	return list
}

// factor is the frequency factor of a score, in thousandths at the finest, as models declare it.
func factor(own []schemas.Contribution, r schemas.Ranked) float64 {
	f := float64(r.Score) / float64(sumBase(own))
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(f, 'f', 3, 64), 64)
	if err != nil {
		return f
	}
	return rounded
}

// why says it in words: the greatest differences, or who else moved.
func why(c change) string {
	var parts []string
	ages, older := 0, 0.0
	for _, t := range c.Terms {
		switch t.What {
		case "age":
			ages, older = ages+1, t.After-t.Before
		case "new":
			parts = append(parts, fmt.Sprintf("new: %s, %s", t.Allegation, text.CountDays(t.After, "day")))
		case "gone":
			parts = append(
				parts,
				fmt.Sprintf("no longer counted: %s, %s", t.Allegation, text.CountDays(t.Before, "day")),
			)
		case "aged_out":
			parts = append(parts, fmt.Sprintf("left the window: %s, %s", t.Allegation, text.CountDays(t.Before, "day")))
		case "weight":
			parts = append(
				parts,
				fmt.Sprintf(
					"weight of %s: %s -> %s",
					t.Allegation,
					text.Days(t.Before),
					text.CountDays(t.After, "day"),
				),
			)
		case "model":
			parts = append(parts, fmt.Sprintf("recency of %s: %.3f -> %.3f", t.Allegation, t.Before, t.After))
		}
	}
	if more := len(parts) - 3; more > 0 {
		parts = append(parts[:3], fmt.Sprintf("%d more", more))
	}
	if ages > 0 {
		parts = append(
			parts,
			fmt.Sprintf(
				"%s %+.0f %s of age",
				text.Count(ages, "allegation"),
				older,
				text.Noun(int(max(older, -older)), "day"),
			),
		)
	}
	for _, t := range c.Terms {
		if t.What == "frequency" {
			parts = append(parts, fmt.Sprintf("frequency factor %s -> %s", number(t.Before), number(t.After)))
		}
	}
	if !c.Explained {
		parts = append(parts, aggregate(c)...)
	}
	score := func(r *schemas.Ranked) string {
		if r == nil {
			return "none"
		}
		return fmt.Sprintf("%s at %d", text.DaysTenth(r.ScoreDays), r.Position)
	}
	moved := fmt.Sprintf("score days %s -> %s", score(c.Before), score(c.After))
	if len(parts) == 0 {
		switch c.Kind {
		case schemas.ChangeEntered:
			parts = append(parts, "nothing of the suspect's own: others fell")
		case schemas.ChangeLeft:
			parts = append(parts, "nothing of the suspect's own: outranked")
		case schemas.ChangeMoved:
			parts = append(parts, "nothing of the suspect's own: others moved")
		}
	}
	return strings.Join(append(parts, moved), "; ")
}

// aggregate is what two rankings alone tell.
func aggregate(c change) (parts []string) {
	if c.Before == nil || c.After == nil {
		return nil
	}
	if a, b := c.Before.Allegations, c.After.Allegations; a != b {
		parts = append(parts, fmt.Sprintf("allegations %d -> %d", a, b))
	}
	if a, b := c.Before.SumDays, c.After.SumDays; a != b {
		parts = append(parts, fmt.Sprintf("harm days %s -> %s", text.DaysTenth(a), text.DaysTenth(b)))
	}
	if parts == nil && c.Before.Score != c.After.Score {
		parts = append(parts, "the same harm, of another age or by another model")
	}
	return parts
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

func (c *comparison) print(out io.Writer, changes []change) error {
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
		a.name,
		b.name,
		n.Entered,
		n.Left,
		n.Moved,
		n.Stayed,
	)
	for _, t := range []struct {
		what     string
		was, now schemas.Named
	}{
		{"edition", a.manifest.Edition, b.manifest.Edition}, {"rules", a.manifest.Rules, b.manifest.Rules}, {"supplement", a.manifest.Supplement, b.manifest.Supplement},
		{"resolutions", a.manifest.Resolutions, b.manifest.Resolutions}, {"model", a.manifest.Model, b.manifest.Model},
	} {
		if t.was != t.now {
			say(out, "Other %s: %s (%.8s) to %s (%.8s).\n", t.what, t.was.Name, t.was.SHA256, t.now.Name, t.now.SHA256)
		}
	}
	if was, now := a.manifest.LinksSHA256(), b.manifest.LinksSHA256(); was != now {
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
