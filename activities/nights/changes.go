package nights

import (
	"cmp"
	"iter"
	"slices"
	"time"

	"harmstack/schemas"
)

// Comparison is what the changes of a night follow from.
type Comparison struct {
	// Previous is the stack of the baseline, Contributions what put its suspects there; empty when no
	// stack was ever approved.
	Previous      []schemas.Ranked
	Contributions []schemas.Contribution
	// Stack is the new one, Ranking all suspects of the new night by position. Ranking is read only as
	// far as it takes to find those who left, and not at all when nobody did.
	Stack   []schemas.Ranked
	Ranking iter.Seq2[schemas.Ranked, error]
	AsOf    schemas.Date
	// Links are the new night's person links; nil: there are none.
	Links iter.Seq2[schemas.PersonLink, error]
	// WindowDays is the new model's window.
	WindowDays int
}

// Changes tells who entered, left, moved or stayed, ordered by new position, then those who left by
// previous position. Its errors are those of the ranking.
func (c Comparison) Changes() ([]schemas.Change, error) {
	previous := map[string]schemas.Ranked{}
	for _, r := range c.Previous {
		previous[r.SuspectID] = r
	}
	changes := make([]schemas.Change, 0, len(c.Stack))
	for _, r := range c.Stack {
		change := schemas.Change{
			SuspectID: r.SuspectID,
			Kind:      schemas.ChangeEntered,
			Position:  new(r.Position),
			ScoreDays: new(r.ScoreDays),

			Restricted: r.Restricted,
		}
		if p, ok := previous[r.SuspectID]; ok {
			change.Previous, change.PreviousDays = new(p.Position), new(p.ScoreDays)
			change.Kind = schemas.ChangeStayed
			if p.Position != r.Position {
				change.Kind = schemas.ChangeMoved
			}
			delete(previous, r.SuspectID)
		}
		changes = append(changes, change)
	}
	reasons, restricted, err := c.whyLeft(previous)
	if err != nil {
		return nil, err
	}
	entered := len(changes)
	for id, p := range previous {
		changes = append(changes, schemas.Change{SuspectID: id, Kind: schemas.ChangeLeft, Reason: new(reasons[id]),
			Previous: new(p.Position), PreviousDays: new(p.ScoreDays), Restricted: p.Restricted || restricted[id]})
	}
	slices.SortFunc(changes[:entered], func(a, b schemas.Change) int { return cmp.Compare(*a.Position, *b.Position) })
	slices.SortFunc(changes[entered:], func(a, b schemas.Change) int { return cmp.Compare(*a.Previous, *b.Previous) })
	return changes, nil
}

// whyLeft gives the reason of each suspect in left: whoever is still ranked was outranked; whoever was merged into
// another was merged; whoever is neither, and had nothing on record that is younger than the window, aged out; what
// remains was cleared, withdrawn or reclassified. restricted are those who are ranked and by now of restricted handling.
func (c Comparison) whyLeft(left map[string]schemas.Ranked) (reasons map[string]string, restricted map[string]bool, _ error) {
	reasons, restricted = map[string]string{}, map[string]bool{}
	for _, row := range c.Contributions {
		if _, ok := left[row.SuspectID]; !ok || reasons[row.SuspectID] == schemas.LeftNoScore {
			continue
		}
		reasons[row.SuspectID] = schemas.LeftAgedOut
		if c.AsOf.DaysSince(schemas.LondonDate(time.UnixMicro(row.ReportedAt))) < c.WindowDays {
			reasons[row.SuspectID] = schemas.LeftNoScore
		}
	}
	for id := range left {
		reasons[id] = cmp.Or(reasons[id], schemas.LeftNoScore)
	}
	if len(left) == 0 {
		return reasons, restricted, nil
	}
	if c.Links != nil {
		for l, err := range c.Links {
			if err != nil {
				return nil, nil, err
			}
			if _, ok := left[l.PersonID]; ok {
				reasons[l.PersonID] = schemas.LeftMerged
			}
		}
	}
	outranked := 0
	for r, err := range c.Ranking {
		if err != nil {
			return nil, nil, err
		}
		if _, ok := left[r.SuspectID]; ok {
			reasons[r.SuspectID], restricted[r.SuspectID] = schemas.LeftOutranked, r.Restricted
			if outranked++; outranked == len(left) {
				break
			}
		}
	}
	return reasons, restricted, nil
}

// CountChanges counts changes by kind.
func CountChanges(changes []schemas.Change) (n schemas.ChangeCount) {
	for _, c := range changes {
		switch c.Kind {
		case schemas.ChangeEntered:
			n.Entered++
		case schemas.ChangeLeft:
			n.Left++
		case schemas.ChangeMoved:
			n.Moved++
		case schemas.ChangeStayed:
			n.Stayed++
		}
	}
	return n
}
