package pipeline

import (
	"context"

	"harmstack/activities/scoring"
	"harmstack/schemas"
)

// IfCounted is what would be if the rows that a night leaves out for one reason counted.
type IfCounted struct {
	Reason string `json:"reason"`
	// Rows is how many more would be scored.
	Rows int64 `json:"rows"`
	// Enter is how many would be on the stack, or beside it, who are not.
	Enter int64 `json:"would_enter"`
}

// Blind are the dispositions that IfCounted can be asked about. Who is not named cannot be ranked.
var Blind = []schemas.Disposition{
	schemas.IntelligenceOnly, schemas.PoliceDetected, schemas.VictimSexUnknown, schemas.UnscoredOffence,
}

// IfCounted scores the night's rows once more with those of one disposition counted, each victim whose sex nobody says
// as female, or each offence without a single weight at the least that it may have, and compares the stacks.
func (n *Night) IfCounted(
	ctx context.Context,
	from Source,
	m schemas.Manifest,
	stack []schemas.Ranked,
	reason schemas.Disposition,
) (r IfCounted, err error) {
	other := *n
	other.Stability = schemas.Stability{}
	if reason == schemas.UnscoredOffence {
		other.Tables = n.Tables.Least()
	}
	engine, err := other.newEngine(nil, false, reason)
	if err != nil {
		return r, err
	}
	defer engine.Close()
	scores, err := other.Score(ctx, engine, from, false, nil)
	if err != nil {
		return r, err
	}
	top := scoring.NewStack(n.Model)
	if err := scores.Ranking(ctx, top.Add); err != nil {
		return r, err
	}
	r = IfCounted{Reason: reason.String(), Rows: scores.Dispositions[schemas.Scored] - m.Dispositions[schemas.Scored]}
	on := map[string]bool{}
	for _, s := range stack {
		on[s.SuspectID] = true
	}
	for _, s := range top.Rows {
		if !on[s.SuspectID] {
			r.Enter++
		}
	}
	return r, nil
}
