package nights

import (
	"context"

	"harmstack/activities/store"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/schemas/text"
)

// Positions are the rows of a night's ranking from one position to another, both included, on the stack or not: at
// least one. With to 0 they are as many as the stack is deep. Its errors of kind fault.BadRequest say that there are
// none.
func Positions(
	ctx context.Context, st *store.Store, m schemas.Manifest, from, to int64,
) (list []schemas.Ranked, err error) {
	if to == 0 {
		to = max(from, from+m.Cut.Depth-1)
	}
	if from < 1 || to < from {
		return nil, fault.Errorf(fault.BadRequest,
			"from %d to %d: positions begin at 1, and the last is not before the first", from, to)
	}
	if from > m.Suspects {
		ranked := text.Count(m.Suspects, "suspect is", "suspects are")
		return nil, fault.Errorf(fault.BadRequest, "from %d: nobody is there: %s ranked", from, ranked)
	}
	ranking, err := OpenRanking(ctx, st, m)
	if err != nil {
		return nil, err
	}
	defer ranking.Close()
	if list, err = ranking.Range(ctx, from, to); err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fault.Errorf(
			fault.BadRequest, "night %s: %s holds no position from %d on", m.NightID, schemas.RankingFile, from)
	}
	return list, nil
}
