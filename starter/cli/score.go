package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"golang.org/x/sync/errgroup"

	"harmstack/activities/extract"
	"harmstack/activities/extract/sources"
	"harmstack/activities/nights"
	"harmstack/activities/nights/report"
	"harmstack/activities/pipeline"
	"harmstack/activities/scoring"
	"harmstack/activities/store"
	"harmstack/schemas"
	"harmstack/schemas/reference"
	"harmstack/schemas/text"
	"harmstack/schemas/yamlfile"
	"harmstack/worker/config"
	"harmstack/worker/service"
)

// scoreRequest is what `starter score` is asked for.
type scoreRequest struct {
	extract, out, model string
	links               string
	night, stability    string
	store               string
	tables              reference.Paths
	asOf                schemas.Date
	threads             int
	memory              int64
	unique              bool
	keepExtract         bool
}

func scoreCommand() *cobra.Command {
	var r scoreRequest
	var memory string
	cmd := &cobra.Command{
		Use:     "score --extract FILE [--links FILE] --as-of DATE --out DIR | --night NIGHT --out DIR",
		GroupID: groupTry,
		Short:   "Check, score and rank an extract, or a past night's, here and now, without Temporal",
		Long: `Check, score and rank an extract here and now, without Temporal. DIR then holds what a night
leaves: ranking.parquet, stack.parquet, stack.csv, contributions.parquet, stability.parquet,
cases.parquet, quarantine.parquet, report.html and, last, manifest.json.

With --night the rows are those that a published night kept, and the date is its date. Give another
edition of the index, rule set, supplement or model, and ` + "`starter diff`" + ` tells who would enter and
leave under it, and why. The night itself is not touched.`,
		Example: `  starter score --extract extract.parquet --as-of 2026-06-30 --out night
  starter score --extract big.parquet --as-of 2026-06-30 --out night --memory 256MiB
  starter score --extract extract.parquet --as-of 2026-06-30 --out night --model sum
  starter score --extract extract.parquet --links merged.csv --as-of 2026-06-30 --out night
  starter score --night 2026-06-30 --edition cchi-2025.csv --rules vawg-2025.csv --out under-2025
  starter diff 2026-06-30 ./under-2025`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if memory != "" {
				var err error
				if r.memory, err = config.ParseBytes(memory); err != nil {
					return fmt.Errorf("--memory: %w", err)
				}
				// The budget is the whole process's, of which the program itself takes some: the collector works
				// harder as the rest is neared.
				defer debug.SetMemoryLimit(debug.SetMemoryLimit(r.memory * 3 / 4))
			}
			start := time.Now()
			r.store, _ = cmd.Flags().GetString("store")
			m, err := scoreExtract(cmd.Context(), r, cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if err := table(out, dispositionRows(m.Dispositions)); err != nil {
				return err
			}
			say(out, "\n")
			if m.Form != nil && len(m.Form.Near) > 0 {
				note := schemas.NearNote(m.Form.Near)
				say(out, "%s\n", strings.ToUpper(note[:1])+note[1:])
			}
			for _, c := range m.Facts.ReadAsNull() {
				say(out, "%s\n", c)
			}
			if l := m.Facts.Links; l != nil {
				say(out, "%s\n", l)
			}
			for _, line := range m.Blind() {
				say(out, "%s\n", line)
			}
			say(
				out,
				"%s ranked, %s on the stack.%s\n%s, in %s\n",
				text.Count(m.Suspects, "suspect"),
				text.Number(m.Cut.Stack),
				cutNote(m.Cut),
				filepath.Join(r.out, schemas.ManifestFile),
				time.Since(start).Round(10*time.Millisecond),
			)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(
		&r.extract,
		"extract",
		"",
		"the `file` or folder to score: Parquet, CSV, or the YAML of a declared source; a path or a bucket's URL",
	)
	f.StringVar(
		&r.links,
		"links",
		"",
		"the `file` or folder that says which ids of persons were merged, Parquet or CSV (default: what the source declares, or the night kept)",
	)
	f.Var(dateFlag{&r.asOf}, "as-of", "the last full `date` to count")
	f.StringVar(
		&r.night,
		"night",
		"",
		"instead of an extract: a published `night` such as 2026-06-30 (the newest revision) or 2026-06-30-r2",
	)
	storeFlag(cmd)
	tableFlags(cmd, &r.tables)
	f.StringVar(&r.out, "out", "", "the `folder` to write to")
	f.StringVar(
		&r.model,
		"model",
		schemas.DefaultModel,
		"a built-in model ("+strings.Join(schemas.ModelNames(), ", ")+") or a YAML `file`",
	)
	f.StringVar(&r.stability, "stability", "", "YAML `file` of other models to compare the stack with")
	f.IntVar(&r.threads, "threads", scoring.Threads(), "how many goroutines")
	f.StringVar(
		&memory,
		"memory",
		"",
		"spill what exceeds this `amount`, such as 256MiB, into the folder HARMSTACK_TEMP (default: all in memory)",
	)
	f.BoolVar(&r.unique, "unique", false, "every allegation_id comes once: do not look for other versions")
	f.BoolVar(&r.keepExtract, "keep-extract", false, "keep the rows as read, typed, in DIR/extract")
	required(cmd, "out")
	cmd.MarkFlagsOneRequired("extract", "night")
	cmd.MarkFlagsMutuallyExclusive("extract", "night")
	cmd.MarkFlagsMutuallyExclusive("as-of", "night")
	cmd.MarkFlagsMutuallyExclusive("keep-extract", "night")
	return cmd
}

// tableFlags add a flag for each table that a file may replace.
func tableFlags(cmd *cobra.Command, p *reference.Paths) {
	f := cmd.Flags()
	f.StringVar(
		&p.Edition,
		"edition",
		"",
		"CSV `file` of another edition of the index, laid out like schemas/reference/"+reference.EditionFile,
	)
	f.StringVar(
		&p.Rules,
		"rules",
		"",
		"a built-in rule set ("+strings.Join(
			reference.RuleSets(),
			", ",
		)+") or a CSV `file` of another, like "+reference.RulesFile,
	)
	f.StringVar(&p.Supplement, "supplement", "", "CSV `file` of another supplement, like "+reference.SupplementFile)
	f.StringVar(&p.Resolutions, "resolutions", "", "CSV `file` of other resolutions, like "+reference.ResolutionsFile)
}

// loadModel finds a built-in model, or reads a file.
func loadModel(name string) (schemas.Model, error) {
	if ext := filepath.Ext(name); ext != ".yaml" && ext != ".yml" {
		return schemas.LoadModel(name)
	}
	data, err := yamlfile.Read(name, yamlfile.Small)
	if err != nil {
		return schemas.Model{}, fmt.Errorf("model: %w", err)
	}
	m, err := schemas.ParseModel(data)
	if err != nil {
		return m, fmt.Errorf("%s: %w", name, err)
	}
	return m, nil
}

// scoreExtract does a night's work in one pass over the extract. The manifest comes last, so that a
// folder without one is not taken for a whole night.
func scoreExtract(ctx context.Context, r scoreRequest, progress io.Writer) (m schemas.Manifest, err error) {
	if r.threads < 1 {
		return m, fmt.Errorf("--threads is %d, it must be at least 1", r.threads)
	}
	model, err := loadModel(r.model)
	if err != nil {
		return m, err
	}
	tables, err := reference.LoadPaths(r.tables)
	if err != nil {
		return m, err
	}
	stability, err := schemas.LoadStability(r.stability)
	if err != nil {
		return m, err
	}
	from, err := openRows(ctx, &r, progress)
	if err != nil {
		return m, err
	}
	defer from.close()
	// What a scoring holds has no pointers: to collect often costs little, and saves memory where there is much of it.
	collect := 400
	if from.Rows() > 1<<20 {
		collect = 40
	}
	defer debug.SetGCPercent(debug.SetGCPercent(collect))
	n := pipeline.Night{
		NightID:   schemas.NightID{AsOf: r.asOf, Revision: 1},
		Tables:    tables,
		Model:     model,
		Stability: stability,
		Threads:   r.threads,
		Memory:    r.memory,
		Temp:      tempDir(),
	}
	if from.links != nil {
		if n.Links, err = scoring.NewLinks(from.links.Rows, tables); err != nil {
			return m, err
		}
		from.links.Rows = nil // the memory is the scoring's
	}
	bad := n.NewQuarantine()
	defer bad.Close()
	engine, err := n.NewEngine(bad, r.unique)
	if err != nil {
		return m, err
	}
	defer func() {
		if closing := engine.Close(); err == nil {
			err = closing
		}
	}()
	scores, err := n.Score(ctx, engine, from, r.unique, tell(progress, "read", from.Rows()))
	if err != nil {
		return m, fmt.Errorf("%s: %w", cmp.Or(r.extract, r.night), err)
	}
	if n.Store, err = store.Open(ctx, r.out); err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, n.Store.Close()) }()
	// What lay here before is no longer whole.
	for _, file := range []string{schemas.ManifestFile, schemas.LinksFile} {
		if err := n.Store.Delete(ctx, file); err != nil {
			return m, err
		}
	}
	m = schemas.Manifest{NightID: n.NightID, RowsRead: scores.RowsRead, Dispositions: scores.Dispositions,
		Suspects: scores.Suspects, Facts: scores.Facts, Basis: tables.Basis(model), Code: service.Build()}
	if err := from.describe(&m); err != nil {
		return m, err
	}
	if err := writeNight(ctx, &n, &m, from, scores, bad); err != nil {
		return m, err
	}
	if n.Links != nil {
		kept, err := n.WriteLinks(ctx)
		if err != nil {
			return m, err
		}
		m.Outputs = append([]schemas.ArtifactRef{kept}, m.Outputs...)
	}
	if r.keepExtract {
		parts, err := extract.Snapshot(
			ctx,
			from.file,
			n.Store,
			schemas.ExtractFolder,
			r.threads,
			tell(progress, "kept", from.Rows()),
		)
		if err != nil {
			return m, err
		}
		m.Outputs = append(parts, m.Outputs...)
		if err := from.describe(&m); err != nil { // it was read once more
			return m, err
		}
	}
	data, err := nights.Encode(m)
	if err != nil {
		return m, err
	}
	return m, n.Store.Replace(ctx, schemas.ManifestFile, data)
}

// rows are what is scored: an extract, or the parts of a published night.
type rows struct {
	pipeline.Source
	file  *extract.File                 // nil: parts
	links *sources.ReadLinks            // nil: there are none
	name  func(*schemas.Manifest) error // says in a manifest where they come from
	close func()
}

// describe says in a manifest where the rows and the links come from.
func (f *rows) describe(m *schemas.Manifest) error {
	err := f.name(m)
	if f.links != nil {
		m.Inputs = append(m.Inputs, f.links.Ref)
	}
	return err
}

// openRows opens what is asked for. A night says which date it is of.
func openRows(ctx context.Context, r *scoreRequest, progress io.Writer) (from *rows, err error) {
	if r.night != "" {
		from, err = openNight(ctx, r)
	} else {
		from, err = openSource(ctx, r, progress)
	}
	if err == nil && r.links != "" {
		from.links, err = sources.OpenLinks(ctx, r.links, sources.Options{Temp: tempDir(), Memory: r.memory})
		if err != nil {
			from.close()
		}
	}
	return from, err
}

func openSource(ctx context.Context, r *scoreRequest, progress io.Writer) (*rows, error) {
	if r.asOf.IsZero() {
		return nil, errors.New("--as-of: name the last full date to count")
	}
	file, err := sources.Open(
		ctx,
		r.extract,
		sources.Options{
			Temp:     tempDir(),
			Progress: tell(progress, "converted", 0),
			Threads:  r.threads,
			Memory:   r.memory,
			AsOf:     r.asOf,
		},
	)
	if err != nil {
		return nil, err
	}
	return &rows{
		Source: pipeline.File{File: file.File},
		file:   file.File,
		links:  file.Links,
		close:  func() { file.Close() },
		name: func(m *schemas.Manifest) error {
			ref, err := file.Ref()
			m.Inputs, m.Form = []schemas.ArtifactRef{
				ref,
			}, &schemas.ExtractForm{
				Source:  r.extract,
				Columns: file.Forms(),
				Near:    file.NearColumns(),
			}
			m.Facts.ExtraColumns, m.Facts.Unreadable = int64(file.ExtraColumns()), file.Unreadable
			return err
		},
	}, nil
}

// openNight opens the rows that a published night kept.
func openNight(ctx context.Context, r *scoreRequest) (_ *rows, err error) {
	n, err := parseNight(r.night)
	if err != nil {
		return nil, err
	}
	st, err := openStoreAt(ctx, r.store)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			st.Close()
		}
	}()
	was, ref, err := n.find(ctx, st)
	if err != nil {
		return nil, err
	}
	r.asOf = was.AsOf
	parts, err := pipeline.KeptParts(ctx, st, was)
	if err != nil {
		return nil, err
	}
	var links *sources.ReadLinks
	if kept := pipeline.KeptLinks(was); kept != nil && r.links == "" {
		links = &sources.ReadLinks{Ref: *kept}
		if links.Rows, err = nights.ReadFile[schemas.PersonLink](ctx, st, was, schemas.LinksFile); err != nil {
			return nil, err
		}
		links.Ref.URI = st.URL() + "/" + kept.URI
	}
	return &rows{Source: parts, links: links, close: func() { st.Close() }, name: func(m *schemas.Manifest) error {
		m.Inputs, m.Night = slices.Clone(parts.Refs), &ref
		for i := range m.Inputs {
			m.Inputs[i].URI = st.URL() + "/" + m.Inputs[i].URI
		}
		m.Facts.ExtraColumns, m.Facts.Unreadable = was.Facts.ExtraColumns, was.Facts.Unreadable
		return nil
	}}, look(ctx, st, "scored the extract again", was.NightID, "")
}

// writeNight writes the night's files and names them in the manifest.
func writeNight(
	ctx context.Context,
	n *pipeline.Night,
	m *schemas.Manifest,
	from pipeline.Source,
	s *scoring.Scores,
	bad *extract.Quarantine,
) error {
	all, page := report.NewCollector(m.AsOf, m.Suspects, n.Model.Depth), report.Page{Model: n.Model}
	var kept schemas.ArtifactRef
	var ranked pipeline.Ranked
	// The quarantine is put in order beside the ranking, where memory is not short.
	g, beside := errgroup.WithContext(ctx)
	if n.Memory > 0 {
		g.SetLimit(1)
	}
	g.Go(func() (err error) {
		kept, err = n.WriteQuarantine(beside, bad)
		return err
	})
	g.Go(func() (err error) {
		ranked, page.Stack, page.Contributions, err = n.RankWithCases(beside, from, s, s.Candidates, s.Contenders, all.Add)
		return err
	})
	err := g.Wait()
	if err != nil {
		return err
	}
	m.Outputs = []schemas.ArtifactRef{kept}
	for _, ref := range ranked.Refs() {
		m.Outputs = append(m.Outputs, *ref)
	}
	m.Cut, m.Stability, m.Facts.BlindSpot.Enter = ranked.Cut, ranked.CompareWith, ranked.Enter
	page.Manifest, page.Standings, page.Models = *m, ranked.Standings, len(n.Stability.Models)
	if page.Distribution, err = all.Distribution(); err != nil {
		return err
	}
	html, err := n.WriteReport(ctx, page)
	m.Outputs = append(m.Outputs, html)
	return err
}

// tell returns a callback that prints how far a long reading is, every few seconds.
func tell(out io.Writer, verb string, total int64) func(rows int64) {
	last := time.Now()
	return serial(func(rows int64) {
		if time.Since(last) >= 2*time.Second {
			last = time.Now()
			of := ""
			if total > 0 {
				of = " of " + text.Number(total)
			}
			say(out, "%s %s%s %s\n", verb, text.Number(rows), of, text.Noun(max(rows, total), "row"))
		}
	})
}

// serial lets one call through at a time, and drops those that would have to wait.
func serial(f func(int64)) func(int64) {
	turn := make(chan struct{}, 1)
	return func(n int64) {
		select {
		case turn <- struct{}{}:
			f(n)
			<-turn
		default:
		}
	}
}
