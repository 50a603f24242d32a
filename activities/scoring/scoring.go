// Package scoring is the engine: it judges every row of an extract, keeps one version of each allegation,
// scores every suspect and puts them in order (contract, sections 4 to 6).
//
// It takes Arrow batches from concurrent feeders and yields suspects by position. It must not know
// files, stores or Temporal; what does not fit its memory it spills to storage that it is lent.
//
// Rows are scattered by the hash of their allegation into buckets, so that the versions of one
// allegation meet; those that stay are scattered by the hash of their suspect, so that a suspect's
// rows meet. Buckets share nothing. All sums are of whole numbers, so the result does not depend on
// the order, the layout or the number of feeders.
package scoring

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"runtime"
	"sync"

	"github.com/apache/arrow/go/v16/arrow"
	"golang.org/x/sync/errgroup"

	"harmstack/schemas"
	"harmstack/schemas/reference"
)

// ErrOverflow is returned when a sum or a score does not fit 64 bits: the model's figures are too
// large for the extract.
var ErrOverflow = errors.New("a score does not fit 64 bits: lower the model's figures")

// Options say how to score.
type Options struct {
	AsOf   schemas.Date
	Tables *reference.Tables
	Model  schemas.Model
	// Spill lends storage for what exceeds Memory, in bytes. Without it, or with Memory 0, everything
	// stays in memory.
	Spill  Spill
	Memory int64
	// Quarantine is handed the rows that take no part, by feeders at once; nil: they are only counted.
	Quarantine func(batch arrow.Record, firstRow int64, rows []Quarantined) error
}

// Engine scores one extract: feed it, close the feeders, finish.
type Engine struct {
	options    Options
	vocabulary *vocabulary
	rules      rules
	seed       maphash.Seed
	storage    *storage
	versions   *buckets // by allegation
	suspects   *buckets // by suspect
	victims    *buckets // of rows in the window, as suspects are
	recency    []int64

	mu     sync.Mutex
	counts Counts
}

// Counts are what the rows alone decide.
type Counts struct {
	RowsRead          int64
	AgesOutOfRange    int64
	QuarantineReasons map[string]int64
}

// Quarantined is how many rows take no part.
func (c Counts) Quarantined() (n int64) {
	for _, rows := range c.QuarantineReasons {
		n += rows
	}
	return n
}

func (c *Counts) add(j *judge) {
	c.RowsRead += j.rows
	c.AgesOutOfRange += j.agesOutOfRange
	if c.QuarantineReasons == nil {
		c.QuarantineReasons = map[string]int64{}
	}
	for reason, n := range j.quarantined {
		c.QuarantineReasons[reason] += n
	}
}

// New returns an engine ready to be fed.
func New(o Options) (*Engine, error) {
	if o.AsOf.IsZero() {
		return nil, errors.New("scoring: as_of is missing")
	}
	if o.Tables == nil {
		return nil, errors.New("scoring: the reference tables are missing")
	}
	if err := o.Model.Validate(); err != nil {
		return nil, err
	}
	v := newVocabulary(o.Tables)
	// A part of the budget is for the buckets being worked on and the batches being read.
	s := &storage{spill: o.Spill, limit: o.Memory / 2}
	return &Engine{
		options:    o,
		vocabulary: v,
		rules:      rules{newWindow(o.AsOf, o.Model.WindowDays), v},
		seed:       maphash.MakeSeed(),
		storage:    s,
		versions:   &buckets{storage: s},
		suspects:   &buckets{storage: s},
		victims:    &buckets{storage: s},
		recency:    o.Model.Recency(),
	}, nil
}

func (e *Engine) count(j *judge) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.counts.add(j)
}

// Scores are the suspects of one extract, scored and counted.
type Scores struct {
	Counts
	Dispositions schemas.Dispositions
	Facts        schemas.Facts
	Suspects     int64
	Cut          schemas.Cut
	// Contributions are the scored rows of the stack's suspects: by position, the largest first.
	Contributions []schemas.Contribution

	ranking *ranking
}

// Finish scores what the feeders brought, with so many goroutines. Every feeder must be closed.
func (e *Engine) Finish(ctx context.Context, threads int) (_ *Scores, err error) {
	defer func() { err = errors.Join(err, e.storage.close()) }()
	tallies := make([]tally, max(threads, 1))
	err = e.eachBucket(ctx, tallies, func(t *tally, i int) error { return e.keepLatest(t, i) })
	if err != nil {
		return nil, err
	}
	for i := range tallies {
		if err := errors.Join(tallies[i].scatter.close(), tallies[i].victims.close()); err != nil {
			return nil, err
		}
	}
	ranking := newRanking(e.vocabulary, e.options.Model)
	err = e.eachBucket(ctx, tallies, func(t *tally, i int) error { return e.aggregate(t, ranking, i) })
	if err != nil {
		return nil, err
	}
	s := &Scores{Counts: e.counts, ranking: ranking}
	s.Dispositions[schemas.Quarantined] = e.counts.Quarantined()
	for i := range tallies {
		t := &tallies[i]
		for d, n := range t.dispositions {
			s.Dispositions[d] += n
		}
		s.Facts.Conflicting += t.conflicting
		s.Facts.Lowest += t.lowest
		s.Facts.Supplement += t.supplement
		ranking.take(&t.ranked)
	}
	s.Facts.AgesOutOfRange = e.counts.AgesOutOfRange
	s.Facts.QuarantineReasons = maps.Clone(e.counts.QuarantineReasons)
	if sum := s.Dispositions.Sum(); sum != e.counts.RowsRead {
		return nil, fmt.Errorf("the dispositions account for %d of %d rows read", sum, e.counts.RowsRead)
	}
	s.Suspects = ranking.suspects()
	stack, cut := ranking.stack()
	s.Cut = cut
	for _, t := range stack {
		s.Contributions = append(s.Contributions, e.contributions(t.position, t.rows)...)
	}
	return s, nil
}

// tally is what one goroutine of Finish counts.
type tally struct {
	scatter      *scatterer
	victims      *scatterer
	records      []byte
	marks        []byte
	dispositions schemas.Dispositions
	conflicting  int64
	lowest       int64
	supplement   int64
	ranked       ranked
	work         aggregation
}

// eachBucket runs do over all buckets, a tally a goroutine.
func (e *Engine) eachBucket(ctx context.Context, tallies []tally, do func(*tally, int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	todo := make(chan int, bucketCount)
	for i := range bucketCount {
		todo <- i
	}
	close(todo)
	for i := range tallies {
		t := &tallies[i]
		if t.scatter == nil {
			t.scatter, t.victims = &scatterer{to: e.suspects}, &scatterer{to: e.victims}
		}
		g.Go(func() error {
			for bucket := range todo {
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := do(t, bucket); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// Threads is how many goroutines to use when nobody says.
func Threads() int { return runtime.GOMAXPROCS(0) }
