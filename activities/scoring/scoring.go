package scoring

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/apache/arrow/go/v16/arrow"
	"golang.org/x/sync/errgroup"

	"harmstack/activities/scoring/bucket"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/schemas/reference"
)

// ErrOverflow is returned when a sum or a score does not fit 64 bits: the model's figures are too
// large for the extract.
var ErrOverflow = fault.New(fault.BadRequest, "a score does not fit 64 bits: lower the model's figures")

// Options say how to score.
type Options struct {
	AsOf   schemas.Date
	Tables *reference.Tables
	Model  schemas.Model
	// Stability are the models that the stack is compared with, of the same window; nil: none.
	Stability []schemas.Model
	// Spill lends storage for what exceeds Memory, in bytes. Without it, or with Memory 0, everything
	// stays in memory.
	Spill  bucket.Spill
	Memory int64
	// Quarantine is handed the rows that take no part, by ingesters at once; nil: they are only counted.
	Quarantine func(batch arrow.Record, firstRow int64, rows []Quarantined) error
	// Counted asks what would be if the rows of a disposition counted: IntelligenceOnly, PoliceDetected or
	// VictimSexUnknown, with every victim whose sex nobody says taken as female. The zero value asks nothing.
	Counted schemas.Disposition
	// Unique: no allegation comes twice, so that rule 2 need not be tried.
	Unique bool
	// Links replace the ids of suspects and victims; nil: there are none. An engine that is only fed what others have
	// shuffled needs none. Their memory is part of Memory.
	Links *Links
}

// Engine scores one extract: let prescans see it first, if it can be read twice; feed it; close the
// ingesters; finish. It must be closed when the scores are no longer needed.
type Engine struct {
	options    Options
	vocabulary *vocabulary
	rules      rules
	storage    *bucket.Storage
	ids, named *bucket.Set // of rows by allegation and by suspect, for prescans
	versions   *bucket.Set // of rows that may share their allegation with another, by allegation
	suspects   *bucket.Set // by suspect
	marks      *bucket.Set // of people, as suspects are, by rows that are not scored
	recency    []int64
	others     *otherModels

	prescanned   bool
	repeated     rowSet
	mayBeSuspect people

	mu           sync.Mutex
	counts       Counts
	dispositions schemas.Dispositions // of rows that are deduplicated
	passed       int64                // rows that are their suspects'
	conflicting  int64
	olderStands  int64
	blindSpot    schemas.BlindSpot
}

// Counts are what the rows alone decide.
type Counts struct {
	RowsRead          int64            // or received
	OutOfRange        map[string]int64 // values read as null, by column; nil: none
	Placeholders      map[string]int64 // ids that name nobody, by column; nil: none
	Linked            int64            // rows, not quarantined, of which links replaced an id
	QuarantineReasons map[string]int64
}

// Quarantined is how many rows take no part.
func (c Counts) Quarantined() (n int64) {
	for _, rows := range c.QuarantineReasons {
		n += rows
	}
	return n
}

func (c *Counts) add(v *validator) {
	c.RowsRead += v.rows
	c.Linked += v.linked
	byColumn := func(to *map[string]int64, counts *[schemas.OffenceColumns]int64) {
		for i, n := range counts {
			if n > 0 {
				schemas.AddCount(to, schemas.Offences[i].Name, n)
			}
		}
	}
	byColumn(&c.OutOfRange, &v.outOfRange)
	byColumn(&c.Placeholders, &v.placeholder)
	if c.QuarantineReasons == nil {
		c.QuarantineReasons = map[string]int64{}
	}
	for f, n := range v.quarantined {
		if n > 0 {
			c.QuarantineReasons[rowFault(f).String()] += n
		}
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
	// The rest of the budget is for slabs that are being filled, buckets being worked on and batches being read.
	held := o.Memory / 16
	if held > 0 {
		held = max(1, (o.Memory-o.Links.Bytes())/16) // 0 would be without a limit
	}
	others, err := newOtherModels(o.Stability, o.Tables, v)
	if err != nil {
		return nil, err
	}
	s := bucket.NewStorage(o.Spill, held)
	return &Engine{
		options:    o,
		vocabulary: v,
		rules:      rules{newWindow(o.AsOf, o.Model.WindowDays), v, o.Counted},
		storage:    s,
		ids:        bucket.NewSet(s, bucket.Count),
		named:      bucket.NewSet(s, bucket.Count),
		versions:   bucket.NewSet(s, bucket.Count),
		suspects:   bucket.NewSet(s, bucket.Count),
		marks:      bucket.NewSet(s, bucket.Count),
		recency:    o.Model.Recency(),
		others:     others,
	}, nil
}

// Counts are the counts of all closed ingesters.
func (e *Engine) Counts() Counts { return e.counts }

// Close gives the lent storage back.
func (e *Engine) Close() error { return e.storage.Close() }

func (e *Engine) count(v *validator, p *router) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.counts.add(v)
	e.dispositions.Add(p.dispositions)
	e.passed += p.passed
	e.blindSpot.Add(p.left.named(e.vocabulary))
}

// Scores are the suspects of one extract, scored and counted. They are the engine's, and gone when it is
// closed.
type Scores struct {
	Counts
	Dispositions schemas.Dispositions
	Facts        schemas.Facts
	Suspects     int64
	// Candidates are the scored rows of those who may be on the stack: by suspect in the order of the
	// ranking, then the largest first. The stack gives them their positions.
	Candidates []schemas.Contribution
	// Contenders may be among the first under a model of Options.Stability.
	Contenders []schemas.Contender

	tables *reference.Tables
	order  *order
}

// Deduplicated is what rule 2 and the rules of single rows make of the rows.
type Deduplicated struct {
	Counts
	Dispositions schemas.Dispositions
	Conflicting  int64
	OlderStands  int64
	BlindSpot    schemas.BlindSpot
	// Passed rows stay, and are a suspect's.
	Passed int64
}

// Deduplicate decides which version of each allegation stays, with so many goroutines, and sends the rows that
// count to their suspects. Every ingester must be closed.
func (e *Engine) Deduplicate(ctx context.Context, threads int) (s Deduplicated, err error) {
	tallies := make([]tally, max(threads, 1))
	for i := range tallies {
		tallies[i].pass = e.newRouter()
	}
	if err := eachBucket(ctx, tallies, e.keepLatest); err != nil {
		return s, err
	}
	for i := range tallies {
		t := &tallies[i]
		if err := t.pass.close(); err != nil {
			return s, err
		}
		e.dispositions.Add(t.pass.dispositions)
		e.passed += t.pass.passed
		e.blindSpot.Add(t.pass.left.named(e.vocabulary))
		e.conflicting += t.conflicting
		e.olderStands += t.olderStands
	}
	s = Deduplicated{e.counts, e.dispositions, e.conflicting, e.olderStands, e.blindSpot, e.passed}
	s.Dispositions[schemas.Quarantined] = e.counts.Quarantined()
	if n := s.Dispositions.Sum() + s.Passed; n != s.RowsRead {
		return s, fmt.Errorf("of the rows read, %d of %d are accounted for", n, s.RowsRead)
	}
	return s, nil
}

// Finish deduplicates the rows, if that is still to do, and scores the suspects, with so many goroutines.
// Every ingester must be closed.
func (e *Engine) Finish(ctx context.Context, threads int) (*Scores, error) {
	deduplicated, err := e.Deduplicate(ctx, threads)
	if err != nil {
		return nil, err
	}
	return e.Score(ctx, deduplicated, threads)
}

// Score scores the suspects of deduplicated rows, with so many goroutines.
func (e *Engine) Score(ctx context.Context, deduplicated Deduplicated, threads int) (*Scores, error) {
	tallies := make([]tally, max(threads, 1))
	for i := range tallies {
		tallies[i].contenders = e.others.contenders(e.options.Model.Depth)
		tallies[i].tops = newTops(int(e.options.Model.Depth), e.options.Model.Custody != schemas.CustodyCounted)
	}
	order, err := e.aggregateAll(ctx, tallies)
	if err != nil {
		return nil, err
	}
	s := &Scores{
		Counts:       deduplicated.Counts,
		Dispositions: deduplicated.Dispositions,
		Suspects:     order.suspects(),
		tables:       e.options.Tables,
		order:        order,
	}
	s.Facts = schemas.Facts{
		OutOfRange:        maps.Clone(deduplicated.OutOfRange),
		Placeholders:      maps.Clone(deduplicated.Placeholders),
		OlderStands:       deduplicated.OlderStands,
		BlindSpot:         deduplicated.BlindSpot,
		Conflicting:       deduplicated.Conflicting,
		QuarantineReasons: maps.Clone(deduplicated.QuarantineReasons),
	}
	if l := e.options.Links; l != nil {
		s.Facts.Links = &schemas.LinkFacts{Links: l.Len(), RowsChanged: deduplicated.Linked}
	}
	tops, contenders := &tallies[0].tops, &tallies[0].contenders
	for i := range tallies {
		t := &tallies[i]
		s.Dispositions[schemas.SuspectUnder18] += t.under18
		s.Dispositions[schemas.SuspectDeceased] += t.deceased
		s.Dispositions[schemas.Scored] += t.scored
		s.Facts.Lowest += t.lowest
		s.Facts.Supplement += t.supplement
		s.Facts.URNContradicts += t.contradicts
		s.Facts.UnknownBoroughs += t.unknownBoroughs
		for name, n := range t.resolutions {
			schemas.AddCount(&s.Facts.Resolutions, name, n)
		}
		if i > 0 {
			tops.add(&t.tops)
			contenders.add(&t.contenders)
		}
	}
	s.Contenders = contenders.rows()
	if sum := s.Dispositions.Sum(); sum != s.RowsRead {
		return nil, fmt.Errorf("of the rows read, the dispositions account for %d of %d", sum, s.RowsRead)
	}
	for _, t := range tops.sorted() {
		s.Candidates = append(s.Candidates, e.contributions(t.rows)...)
	}
	return s, nil
}

// aggregateAll scores all suspects and puts them in order. Those of the first bucket are a sample of all,
// since a hash chose them.
func (e *Engine) aggregateAll(ctx context.Context, tallies []tally) (*order, error) {
	minimum := e.options.Model.MinimumAllegations
	var sample []suspect
	err := e.aggregate(&tallies[0], 0, func(s *suspect, rows []allegation) error {
		if s.allegations >= minimum {
			tallies[0].tops.offer(s, rows)
		}
		kept := *s
		kept.id, kept.boroughs, kept.others = bytes.Clone(s.id), slices.Clone(s.boroughs), nil
		for _, name := range s.others {
			kept.others = append(kept.others, strings.Clone(name))
		}
		sample = append(sample, kept)
		return nil
	})
	if err != nil {
		return nil, err
	}
	order := newOrder(e.vocabulary, e.storage, sample, int64(len(sample))*bucket.Count)
	for i := range tallies {
		tallies[i].sorter = order.newSorter()
	}
	for i := range sample {
		if err := tallies[0].sorter.add(&sample[i]); err != nil {
			return nil, err
		}
	}
	err = eachBucket(ctx, tallies, func(t *tally, number int) error {
		return e.aggregate(t, number, func(s *suspect, rows []allegation) error {
			if s.allegations >= minimum {
				t.tops.offer(s, rows)
			}
			return t.sorter.add(s)
		})
	})
	for i := range tallies {
		err = errors.Join(err, tallies[i].sorter.close())
	}
	e.storage.Trim()
	return order, err
}

// tally is what one goroutine of Finish counts and works with.
type tally struct {
	pass        router
	sorter      *sorter
	tops        tops
	contenders  contenders
	records     []byte
	marks       []byte
	conflicting int64
	olderStands int64
	under18     int64 // rows, by other rows of their suspects
	deceased    int64 // rows
	scored      int64
	lowest      int64
	supplement  int64
	contradicts int64
	// unknownBoroughs are scored rows of a borough that is none of the 32.
	unknownBoroughs int64
	resolutions     map[string]int64 // scored rows by the rule that their weight took
	work            aggregation
	left            func(allegation []byte, d schemas.Disposition) // told of rows that are not scored after all; nil: nobody
}

// eachBucket runs do over all buckets, one of the workers a goroutine.
func eachBucket[W any](ctx context.Context, workers []W, do func(*W, int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	for i := range workers {
		g.Go(func() error {
			for {
				if err := ctx.Err(); err != nil {
					return err
				}
				b := int(next.Add(1)) - 1
				if b >= bucket.Count {
					return nil
				}
				if err := do(&workers[i], b); err != nil {
					return err
				}
			}
		})
	}
	return g.Wait()
}

// Threads is how many goroutines to use when nobody says.
func Threads() int { return runtime.GOMAXPROCS(0) }
