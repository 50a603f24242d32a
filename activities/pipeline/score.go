package pipeline

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"

	"harmstack/activities/extract"
	"harmstack/activities/nights"
	"harmstack/activities/scoring"
	"harmstack/activities/store/rowfile"
	"harmstack/activities/store/spill"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/schemas/text"
)

// NewEngine makes the engine that scores the night, or a shard of it. bad, if any, gets the rows that take no part;
// unique: no allegation comes twice. It must be closed when the scores are no longer needed.
func (n *Night) NewEngine(bad *extract.Quarantine, unique bool) (*scoring.Engine, error) {
	return n.newEngine(bad, unique, 0)
}

func (n *Night) newEngine(bad *extract.Quarantine, unique bool, counted schemas.Disposition) (*scoring.Engine, error) {
	o := n.options()
	o.Stability, o.Unique, o.Counted = n.Stability.For(n.Model), unique, counted
	if bad != nil {
		o.Quarantine = setAside(bad)
	}
	engine, err := scoring.New(o)
	if err != nil {
		return nil, fault.Errorf(fault.BadRequest, "%w", err)
	}
	return engine, nil
}

func (n *Night) options() scoring.Options {
	return scoring.Options{
		AsOf:   n.AsOf,
		Tables: n.Tables,
		Model:  n.Model,
		Links:  n.Links,
		Spill:  spill.Folder(n.Temp),
		Memory: n.Memory,
	}
}

// Feed reads every row into an engine once.
func (n *Night) Feed(ctx context.Context, e *scoring.Engine, from Source, progress func(rows int64)) error {
	return n.scan(ctx, from, nil, func() extract.Sink { return e.NewIngester() }, progress)
}

// Score reads the rows, the ids first to learn which allegations come more than once unless they are unique, and scores
// the suspects. Whatever of rows is lost is CountsDoNotReconcile; when nobody is scored the error is EmptyExtract,
// AllQuarantined or NobodyToRank.
func (n *Night) Score(
	ctx context.Context,
	e *scoring.Engine,
	from Source,
	unique bool,
	progress func(rows int64),
) (*scoring.Scores, error) {
	if !unique {
		prescan := func() extract.Sink { return e.NewPrescan() }
		err := n.scan(ctx, from, scoring.PrescanColumns, prescan, nil)
		if err != nil {
			return nil, err
		}
		if err := e.EndPrescan(ctx, from.Rows(), n.Threads); err != nil {
			return nil, err
		}
	}
	if err := n.Feed(ctx, e, from, progress); err != nil {
		return nil, err
	}
	s, err := e.Finish(ctx, n.Threads)
	if err != nil {
		return nil, err
	}
	if err := readable(s.Counts); err != nil {
		return nil, err
	}
	return s, Reconcile(from.Rows(), s.RowsRead, s.Dispositions, s.Suspects)
}

// Reconcile makes sure that no row was lost or counted twice, and that somebody can be ranked.
func Reconcile(promised, read int64, d schemas.Dispositions, suspects int64) error {
	switch {
	case read != promised || d.Sum() != promised:
		return fault.Errorf(
			fault.CountsDoNotReconcile,
			"the extract holds %s, %s read and %s accounted for",
			text.Count(promised, "row"),
			text.Count(read, "was", "were"),
			text.Count(d.Sum(), "is", "are"),
		)
	case suspects == 0:
		return fault.Errorf(
			fault.NobodyToRank,
			"nobody can be ranked: none of %s is scored; the largest disposition is %s",
			text.Count(read, "row"),
			largest(d),
		)
	}
	return nil
}

func largest(d schemas.Dispositions) (most schemas.Disposition) {
	for i := range d {
		if d[i] > d[most] {
			most = schemas.Disposition(i)
		}
	}
	return most
}

// Shard is what one scoring leaves for the ranking, when another process does that.
type Shard struct {
	// Suspects are in the order of the ranking.
	Suspects schemas.ArtifactRef `json:"suspects"`
	// Sums count them by plain sum.
	Sums schemas.ArtifactRef `json:"sums"`
	// Candidates are the contributions of those who may be on the stack.
	Candidates schemas.ArtifactRef `json:"candidates"`
	// Contenders may be among the first under another model. Its URI is empty when an older build scored.
	Contenders schemas.ArtifactRef `json:"contenders,omitzero"`
	// Stability are the models that they are contenders under.
	Stability schemas.Named `json:"stability,omitzero"`
}

// Refs are its files.
func (s *Shard) Refs() []*schemas.ArtifactRef {
	refs := []*schemas.ArtifactRef{&s.Suspects, &s.Sums, &s.Candidates}
	if s.Contenders.URI != "" {
		refs = append(refs, &s.Contenders)
	}
	return refs
}

// WriteShard writes scored suspects into a folder of the store.
func (n *Night) WriteShard(ctx context.Context, folder string, s *scoring.Scores) (shard Shard, err error) {
	var sums []schemas.SumCount
	for sum, count := range s.Sums() {
		sums = append(sums, schemas.SumCount{SumTenths: sum, Suspects: count})
	}
	slices.SortFunc(sums, func(a, b schemas.SumCount) int { return cmp.Compare(a.SumTenths, b.SumTenths) })
	if shard.Sums, err = n.Store.Write(ctx, folder+"/sums.parquet", schemas.SumSchema, rowsOf(sums)); err != nil {
		return shard, err
	}
	if shard.Candidates, err = n.Store.Write(ctx, folder+"/candidates.parquet", schemas.ContributionSchema, rowsOf(s.Candidates)); err != nil {
		return shard, err
	}
	if shard.Contenders, err = n.Store.Write(ctx, folder+"/contenders.parquet", schemas.ContenderSchema, rowsOf(s.Contenders)); err != nil {
		return shard, err
	}
	shard.Stability = n.Stability.Named()
	shard.Suspects, err = n.Store.Write(
		ctx,
		folder+"/suspects.parquet",
		schemas.SuspectSchema,
		func(w io.Writer) (int64, error) {
			return rowfile.WriteAll(
				w,
				func(yield func([]schemas.Suspect) error) error { return s.SuspectRows(ctx, yield) },
			)
		},
	)
	return shard, err
}

// Scored are the suspects of several shards, open for reading.
type Scored struct {
	Candidates []schemas.Contribution
	Contenders []schemas.Contender

	night    *Night
	sums     map[int64]int64
	suspects []scoring.SuspectReader
	open     []io.Closer
}

// OpenShards opens what scorings have left. It must be closed.
func (n *Night) OpenShards(ctx context.Context, shards []Shard) (s *Scored, err error) {
	s = &Scored{night: n, sums: map[int64]int64{}}
	defer func() {
		if err != nil {
			s.Close()
		}
	}()
	for _, shard := range shards {
		err := nights.ReadRows(ctx, n.Store, shard.Sums, func(batch []schemas.SumCount) error {
			for _, c := range batch {
				s.sums[c.SumTenths] += c.Suspects
			}
			return nil
		})
		if err != nil {
			return s, err
		}
		err = nights.ReadRows(ctx, n.Store, shard.Candidates, func(batch []schemas.Contribution) error {
			s.Candidates = append(s.Candidates, batch...)
			return nil
		})
		if err != nil {
			return s, err
		}
		switch {
		case shard.Contenders.URI == "":
			n.Stability = schemas.Stability{}
		case n.Stability.Models != nil && shard.Stability != n.Stability.Named():
			return s, fault.New(
				fault.BadRequest,
				"the worker that scored compares the stack with other models than the one that ranks: give them the same "+
					"HARMSTACK_STABILITY and start the night again",
			)
		case n.Stability.Models != nil:
			err = nights.ReadRows(ctx, n.Store, shard.Contenders, func(batch []schemas.Contender) error {
				s.Contenders = append(s.Contenders, batch...)
				return nil
			})
			if err != nil {
				return s, err
			}
		}
		artifact, err := n.Store.Open(ctx, shard.Suspects)
		if err != nil {
			return s, err
		}
		s.open = append(s.open, artifact)
		suspects, err := rowfile.NewReader[schemas.Suspect](artifact, artifact.Size())
		if err != nil {
			return s, err
		}
		s.open, s.suspects = append(s.open, suspects), append(s.suspects, suspects)
	}
	return s, nil
}

// Ranking yields everybody by position.
func (s *Scored) Ranking(ctx context.Context, yield func([]schemas.Ranked) error) error {
	return scoring.Rank(ctx, s.night.Tables, s.sums, s.suspects, yield)
}

// Close closes the files.
func (s *Scored) Close() {
	for _, c := range slices.Backward(s.open) {
		c.Close()
	}
}

// Shuffle writes what an engine holds into a folder of the store, a file a range of the next shards.
func (n *Night) Shuffle(
	ctx context.Context,
	e *scoring.Engine,
	folder string,
	shards int,
) (refs []schemas.ArtifactRef, err error) {
	for to := range shards {
		ref, err := n.Store.Write(
			ctx,
			fmt.Sprintf("%s/range-%03d.rows", folder, to),
			schemas.RowsSchema,
			func(w io.Writer) (int64, error) {
				return e.Shuffle(w, to, shards)
			},
		)
		if err != nil {
			return nil, err
		}
		refs = append(refs, ref)
	}
	return refs, nil
}

// Receive reads what Shuffle wrote into an engine.
func (n *Night) Receive(
	ctx context.Context,
	e *scoring.Engine,
	inputs []schemas.ArtifactRef,
	progress func(rows int64),
) error {
	rows := int64(0)
	for _, ref := range inputs {
		if err := ctx.Err(); err != nil {
			return err
		}
		artifact, err := n.Store.Open(ctx, ref)
		if err != nil {
			return err
		}
		err = e.Receive(io.NewSectionReader(artifact, 0, artifact.Size()))
		artifact.Close()
		if err != nil {
			return fault.Errorf(fault.DamagedArtifact, "%s: %w", ref.URI, err)
		}
		rows += ref.Rows
		progress(rows)
	}
	return nil
}
