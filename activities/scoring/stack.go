package scoring

import (
	"strings"

	"harmstack/schemas"
)

// Stack cuts the first suspects off a ranking and describes the edge.
type Stack struct {
	Rows []schemas.Ranked
	Cut  schemas.Cut

	minimum int64
}

// NewStack returns an empty stack of the model's depth.
func NewStack(m schemas.Model) *Stack {
	return &Stack{Cut: schemas.Cut{Depth: m.Depth}, minimum: m.MinimumAllegations}
}

// Add takes the next rows of the ranking, by position, and copies those of the stack.
func (s *Stack) Add(rows []schemas.Ranked) {
	for i := range rows {
		row, cut := &rows[i], &s.Cut
		switch {
		case row.Allegations < s.minimum:
		case cut.Stack < cut.Depth:
			if row.Score != cut.Score {
				cut.Score, cut.TiedIn = row.Score, 0
			}
			cut.Stack++
			cut.TiedIn++
			s.Rows = append(s.Rows, *row)
			s.Rows[len(s.Rows)-1].SuspectID = strings.Clone(row.SuspectID)
		case row.Score == cut.Score:
			cut.TiedOut++
			cut.InsideTie = true
		default:
			return // nobody further down is on the stack or tied with its end
		}
	}
}

// Contributions are those of the stack's suspects, by position, the largest first. candidates are the
// contributions of all who may be on the stack, each suspect's together.
func (s *Stack) Contributions(candidates []schemas.Contribution) (list []schemas.Contribution) {
	of := map[string][]schemas.Contribution{}
	for from, to := 0, 0; from < len(candidates); from = to {
		for to < len(candidates) && candidates[to].SuspectID == candidates[from].SuspectID {
			to++
		}
		of[candidates[from].SuspectID] = candidates[from:to]
	}
	for _, row := range s.Rows {
		for _, c := range of[row.SuspectID] {
			c.Position = row.Position
			list = append(list, c)
		}
	}
	return list
}
