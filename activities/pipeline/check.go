package pipeline

import (
	"context"

	"harmstack/activities/extract"
	"harmstack/activities/scoring"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/schemas/text"
)

// Checked is what a full read of the extract found.
type Checked struct {
	RowsRead   int64               `json:"rows_read"`
	Quarantine schemas.ArtifactRef `json:"quarantine"`
	Profile    *schemas.Profile    `json:"profile,omitempty"`
}

// Check reads every byte of the rows, applies the rules of a single row and writes quarantine.parquet. An extract
// without rows is EmptyExtract, one of which no row can be read AllQuarantined.
func (n *Night) Check(ctx context.Context, from Source, progress func(rows int64)) (r Checked, err error) {
	bad := n.NewQuarantine()
	defer bad.Close()
	checker := scoring.NewChecker(n.Tables, setAside(bad))
	profile := newProfiler(n.AsOf, n.Tables)
	if err := n.scan(ctx, from, nil, func() extract.Sink { return profile.beside(checker.NewIngester()) }, progress); err != nil {
		return r, err
	}
	counts := checker.Counts()
	r.Profile, r.RowsRead = profile.result(), counts.RowsRead
	if r.RowsRead != from.Rows() {
		return r, fault.Errorf(
			fault.CountsDoNotReconcile,
			"%s of %s read",
			text.Number(r.RowsRead),
			text.Count(from.Rows(), "row was", "rows were"),
		)
	}
	if err := readable(counts); err != nil {
		return r, err
	}
	r.Quarantine, err = n.WriteQuarantine(ctx, bad)
	return r, err
}

// readable refuses an extract of which no row can be read.
func readable(c scoring.Counts) error {
	switch {
	case c.RowsRead == 0:
		return fault.New(fault.EmptyExtract, NoRows)
	case c.Quarantined() == c.RowsRead:
		return fault.Errorf(
			fault.AllQuarantined,
			"none of %s can be read: the commonest fault is %q",
			text.Count(c.RowsRead, "row"),
			commonest(c.QuarantineReasons),
		)
	}
	return nil
}

// NoRows is what is said of an extract without any.
const NoRows = "the extract has no rows: has the export run?"

// commonest is the reason with most rows; of several, the first by name.
func commonest(reasons map[string]int64) (most string) {
	for reason, n := range reasons {
		if n > reasons[most] || n == reasons[most] && reason < most {
			most = reason
		}
	}
	return most
}
