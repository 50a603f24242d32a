package scoring

import (
	"strings"

	"harmstack/schemas"
	"harmstack/schemas/fault"
)

// Stack cuts the first suspects off a ranking and describes the edge: the first who are not in custody and, beside
// them, those in custody who stand above the last of those (contract, section 6, lanes).
type Stack struct {
	Rows []schemas.Ranked
	Cut  schemas.Cut

	minimum int64
	aside   bool             // those in custody are
	waiting []schemas.Ranked // in custody, below the last so far
	most    int
}

// NewStack returns an empty stack of the model's depth.
func NewStack(m schemas.Model) *Stack {
	return &Stack{
		Cut: schemas.Cut{Depth: m.Depth}, minimum: m.MinimumAllegations, aside: m.Custody != schemas.CustodyCounted,
		most: mostContained(int(m.Depth)),
	}
}

// Add takes the next rows of the ranking, by position, and copies those of the stack. It fails when more people in
// custody stand above the last of the stack than can be true.
func (s *Stack) Add(rows []schemas.Ranked) error {
	for i := range rows {
		row, cut := &rows[i], &s.Cut
		contained := s.aside && row.Lane == schemas.LaneContained
		switch {
		case row.Allegations < s.minimum:
		case cut.Stack < cut.Depth && contained:
			if len(s.waiting) <= s.most {
				s.waiting = append(s.waiting, own(row))
			}
		case cut.Stack < cut.Depth:
			if row.Score != cut.Score {
				cut.Score, cut.TiedIn = row.Score, 0
			}
			cut.Stack++
			cut.TiedIn++
			if cut.Contained += int64(len(s.waiting)); cut.Contained > int64(s.most) {
				return fault.Errorf(fault.BadRequest,
					"more than %d people in custody stand above the last of the stack: suspect_status must be wrong",
					s.most)
			}
			s.Rows = append(append(s.Rows, s.waiting...), own(row))
			s.waiting = s.waiting[:0]
		case contained:
		case row.Score == cut.Score:
			cut.TiedOut++
			cut.InsideTie = true
		default:
			return nil // nobody further down is on the stack or tied with its end
		}
	}
	return nil
}

// own is a copy of a row that is valid only for now.
func own(row *schemas.Ranked) schemas.Ranked {
	kept := *row
	kept.SuspectID = strings.Clone(row.SuspectID)
	return kept
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
