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

// NewChecker returns a checker that hands quarantined rows to quarantine, from ingesters at once.
func NewChecker(
	t *reference.Tables,
	quarantine func(batch arrow.Record, firstRow int64, rows []Quarantined) error,
) *Checker {
	return &Checker{vocabulary: newVocabulary(t), quarantine: quarantine}
}

// CheckIngester takes the batches of one goroutine into a Checker.
type CheckIngester struct {
	checker   *Checker
	validator *validator
}

// NewIngester returns an ingester for one goroutine. It must be closed.
func (c *Checker) NewIngester() *CheckIngester { return &CheckIngester{c, newValidator(c.vocabulary)} }

// Add checks one batch, as Ingester.Add takes it.
func (f *CheckIngester) Add(batch arrow.Record, firstRow int64) error {
	if err := f.validator.load(batch); err != nil {
		return err
	}
	return f.validator.report(batch, firstRow, f.checker.quarantine)
}

// Close adds the ingester's counts to the checker's.
func (f *CheckIngester) Close() error {
	f.validator.release()
	f.checker.mu.Lock()
	defer f.checker.mu.Unlock()
	f.checker.counts.add(f.validator)
	return nil
}

// Counts are the counts of all closed ingesters.
func (c *Checker) Counts() Counts { return c.counts }
