package scoring

import (
	"sync"

	"github.com/apache/arrow/go/v16/arrow"

	"harmstack/schemas/reference"
)

// Checker applies rule 1 of section 4 alone: it finds the rows to be quarantined, as the engine would,
// and scores nothing.
type Checker struct {
	vocabulary *vocabulary
	quarantine func(batch arrow.Record, firstRow int64, rows []Quarantined) error

	mu     sync.Mutex
	counts Counts
}

// NewChecker returns a checker that hands quarantined rows to quarantine, from feeders at once.
func NewChecker(t *reference.Tables, quarantine func(batch arrow.Record, firstRow int64, rows []Quarantined) error) *Checker {
	return &Checker{vocabulary: newVocabulary(t), quarantine: quarantine}
}

// CheckFeeder takes the batches of one goroutine into a Checker.
type CheckFeeder struct {
	checker *Checker
	judge   *judge
}

// NewFeeder returns a feeder for one goroutine. It must be closed.
func (c *Checker) NewFeeder() *CheckFeeder { return &CheckFeeder{c, newJudge(c.vocabulary)} }

// Add checks one batch, as Feeder.Add takes it.
func (f *CheckFeeder) Add(batch arrow.Record, firstRow int64) error {
	if err := f.judge.load(batch); err != nil {
		return err
	}
	return f.judge.report(batch, firstRow, f.checker.quarantine)
}

// Close adds the feeder's counts to the checker's.
func (f *CheckFeeder) Close() error {
	f.judge.release()
	f.checker.mu.Lock()
	defer f.checker.mu.Unlock()
	f.checker.counts.add(f.judge)
	return nil
}

// Counts are the counts of all closed feeders.
func (c *Checker) Counts() Counts { return c.counts }
