package nights

import (
	"context"
	"fmt"
	"math"
	"sort"

	"github.com/parquet-go/parquet-go"

	"harmstack/activities/store"
	"harmstack/activities/store/rowfile"
	"harmstack/schemas"
)

// Ranking is the ranking of a published night, open for looking here and there: of millions of suspects, a page reads
// the row group in which those it shows stand. It may be used by one goroutine at a time.
type Ranking struct {
	uri      string
	artifact *store.Artifact
	groups   *rowfile.Groups[schemas.Ranked]
	keys     map[int][]key // of row groups that were looked at
}

// key is what a row stands in the ranking by.
type key struct {
	score, victims, allegations, last int64
	suspect                           string
}

// OpenRanking opens the ranking of a night.
func OpenRanking(ctx context.Context, st *store.Store, m schemas.Manifest) (*Ranking, error) {
	ref, err := output(m, schemas.RankingFile)
	if err != nil {
		return nil, err
	}
	artifact, err := st.Open(ctx, ref)
	if err != nil {
		return nil, WhyMissing(ctx, st, m.NightID, err)
	}
	groups, err := rowfile.OpenGroups[schemas.Ranked](artifact, artifact.Size())
	if err != nil {
		artifact.Close()
		return nil, fmt.Errorf("%s: %w", ref.URI, err)
	}
	return &Ranking{ref.URI, artifact, groups, map[int][]key{}}, nil
}

// Close closes its file.
func (r *Ranking) Close() error { return r.artifact.Close() }

// Range is the rows from one position to another, both included, as far as there are such. Positions may have gaps: of
// people who were erased.
func (r *Ranking) Range(ctx context.Context, from, to int64) (rows []schemas.Ranked, err error) {
	for g := range r.groups.Len() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		low, high, ok := r.groups.Bounds(g, "position")
		if ok && high < from {
			continue
		}
		if ok && low > to {
			break
		}
		first, end := r.groups.Rows(g), int64(0)
		err := r.groups.Column(g, "position", func(row int64, v parquet.Value) bool {
			if p := v.Int64(); p >= from && p <= to {
				first, end = min(first, row), row+1
			}
			return v.Int64() <= to
		})
		if err != nil {
			return nil, r.wrong(err)
		}
		if first >= end {
			continue
		}
		found, err := r.groups.Read(g, first, end)
		if err != nil {
			return nil, r.wrong(err)
		}
		rows = append(rows, found...)
	}
	return rows, nil
}

// Find is the rows of some suspects by id, by position; who is not ranked has none.
func (r *Ranking) Find(ctx context.Context, ids ...string) (rows []schemas.Ranked, err error) {
	sought := map[string]bool{}
	for _, id := range ids {
		sought[id] = true
	}
	for g := 0; g < r.groups.Len() && len(sought) > 0; g++ {
		var at []int64
		err := r.texts(ctx, g, func(row int64, id []byte) bool {
			if sought[string(id)] {
				at = append(at, row)
				delete(sought, string(id))
			}
			return len(sought) > 0
		})
		if err != nil {
			return nil, err
		}
		if len(at) == 0 {
			continue
		}
		first := at[0]
		found, err := r.groups.Read(g, first, at[len(at)-1]+1)
		if err != nil {
			return nil, r.wrong(err)
		}
		for _, row := range at {
			rows = append(rows, found[row-first])
		}
	}
	return rows, nil
}

// Restricted is the ids of all who are restricted.
func (r *Ranking) Restricted(ctx context.Context) (ids map[string]bool, err error) {
	ids = map[string]bool{}
	for g := range r.groups.Len() {
		var at []int64
		err := r.groups.Column(g, "restricted", func(row int64, v parquet.Value) bool {
			if v.Boolean() {
				at = append(at, row)
			}
			return true
		})
		if err != nil {
			return nil, r.wrong(err)
		}
		if len(at) == 0 {
			continue
		}
		if err := r.texts(ctx, g, func(row int64, id []byte) bool {
			if row == at[0] {
				ids[string(id)] = true
				at = at[1:]
			}
			return len(at) > 0
		}); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// Above counts the rows that stand above a place, which need not be anybody's. The place is given by telling whether it
// is before a row, of which nothing is filled in but what the order goes by (contract, section 6).
func (r *Ranking) Above(ctx context.Context, before func(*schemas.Ranked) bool) (int64, error) {
	var failed error
	is := func(k key) bool {
		return before(&schemas.Ranked{Score: k.score, Victims: k.victims, Allegations: k.allegations,
			LastReported: k.last, SuspectID: k.suspect})
	}
	in := sort.Search(r.groups.Len(), func(g int) bool {
		// The last row has the least score of the group. Before every row of that score, or before none, the place is so
		// before the last too; the names are read only when it is among them.
		if least, _, ok := r.groups.Bounds(g, "score"); ok {
			if is(key{least, math.MaxInt64, math.MaxInt64, math.MaxInt64, ""}) {
				return true
			}
			if !is(key{least, math.MinInt64, math.MinInt64, math.MinInt64, "\xff"}) {
				return false
			}
		}
		keys, err := r.keysOf(ctx, g)
		if err != nil {
			failed = err
			return true
		}
		return is(keys[len(keys)-1])
	})
	above := int64(0)
	for g := range in {
		above += r.groups.Rows(g)
	}
	if failed != nil || in == r.groups.Len() {
		return above, failed
	}
	keys, err := r.keysOf(ctx, in)
	return above + int64(sort.Search(len(keys), func(i int) bool { return is(keys[i]) })), err
}

func (r *Ranking) keysOf(ctx context.Context, group int) ([]key, error) {
	if keys := r.keys[group]; keys != nil {
		return keys, nil
	}
	keys := make([]key, r.groups.Rows(group))
	numbers := map[string]func(k *key, n int64){
		"score":         func(k *key, n int64) { k.score = n },
		"victims":       func(k *key, n int64) { k.victims = n },
		"allegations":   func(k *key, n int64) { k.allegations = n },
		"last_reported": func(k *key, n int64) { k.last = n },
	}
	for column, set := range numbers {
		err := r.groups.Column(group, column, func(row int64, v parquet.Value) bool {
			set(&keys[row], v.Int64())
			return true
		})
		if err != nil {
			return nil, r.wrong(err)
		}
	}
	err := r.texts(ctx, group, func(row int64, id []byte) bool {
		keys[row].suspect = string(id)
		return true
	})
	r.keys[group] = keys
	return keys, err
}

// texts shows the ids of a row group.
func (r *Ranking) texts(ctx context.Context, group int, see func(row int64, id []byte) bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := r.groups.Column(group, "suspect_id", func(row int64, v parquet.Value) bool { return see(row, v.ByteArray()) })
	if err != nil {
		return r.wrong(err)
	}
	return nil
}

// wrong says in which file something is wrong.
func (r *Ranking) wrong(err error) error { return fmt.Errorf("%s: %w", r.uri, err) }

// RowOf is the row of a position; ok is false when nobody stands there.
func (r *Ranking) RowOf(ctx context.Context, position int64) (row schemas.Ranked, ok bool, err error) {
	rows, err := r.Range(ctx, position, position)
	if err != nil || len(rows) == 0 {
		return row, false, err
	}
	return rows[0], true, nil
}
