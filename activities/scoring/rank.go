package scoring

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"harmstack/schemas"
	"harmstack/schemas/reference"
)

// SuspectReader reads scored suspects in the order of the ranking, some at a time, and returns io.EOF
// after the last. What it returns is valid until the next call.
type SuspectReader interface {
	Read() ([]schemas.Suspect, error)
}

// Rank merges the suspects of several shards and yields them by position, as Scores.Ranking does. sums
// are how many suspects of all shards have each plain sum. It holds one tie in memory at a time.
func Rank(
	ctx context.Context,
	t *reference.Tables,
	sums map[int64]int64,
	shards []SuspectReader,
	yield func([]schemas.Ranked) error,
) error {
	p := newRanker(t, sums)
	m, err := newMerger(shards)
	if err != nil {
		return err
	}
	batch := make([]schemas.Ranked, 0, batchRows)
	flush := func() error {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := yield(batch)
		batch = batch[:0]
		return err
	}
	var tie []schemas.Suspect
	end := func() error {
		for i := range tie {
			batch = batch[:len(batch)+1]
			p.place(&tie[i], &batch[len(batch)-1], func() int64 { return int64(len(tie)) })
			if len(batch) == cap(batch) {
				if err := flush(); err != nil {
					return err
				}
			}
		}
		tie = tie[:0]
		return nil
	}
	for {
		s, err := m.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if len(tie) > 0 && tie[0].Score != s.Score {
			if err := end(); err != nil {
				return err
			}
		}
		tie = append(tie, s)
	}
	if err := end(); err != nil {
		return err
	}
	return flush()
}

// merger yields the suspects of sorted shards in one order.
type merger struct {
	shards []SuspectReader
	heads  [][]schemas.Suspect
}

func newMerger(shards []SuspectReader) (*merger, error) {
	m := &merger{shards: slices.Clone(shards), heads: make([][]schemas.Suspect, len(shards))}
	for i := len(shards) - 1; i >= 0; i-- {
		if err := m.fill(i); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// fill reads the next suspects of a shard, and drops the shard when there are none.
func (m *merger) fill(i int) (err error) {
	for len(m.heads[i]) == 0 {
		if m.heads[i], err = m.shards[i].Read(); errors.Is(err, io.EOF) {
			m.shards, m.heads = slices.Delete(m.shards, i, i+1), slices.Delete(m.heads, i, i+1)
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// next returns a copy of the next suspect, or io.EOF.
func (m *merger) next() (schemas.Suspect, error) {
	if len(m.heads) == 0 {
		return schemas.Suspect{}, io.EOF
	}
	first := 0
	for i := 1; i < len(m.heads); i++ {
		if compareSuspects(&m.heads[i][0], &m.heads[first][0]) < 0 {
			first = i
		}
	}
	s := m.heads[first][0]
	s.SuspectID = strings.Clone(s.SuspectID)
	s.Boroughs = slices.Clone(s.Boroughs)
	m.heads[first] = m.heads[first][1:]
	return s, m.fill(first)
}

func compareSuspects(a, b *schemas.Suspect) int {
	if a.Score != b.Score {
		return cmp.Compare(b.Score, a.Score)
	}
	x := sortKey{a.Score, a.Victims, a.Allegations, a.LastReported, view(a.SuspectID)}
	y := sortKey{b.Score, b.Victims, b.Allegations, b.LastReported, view(b.SuspectID)}
	return x.compare(&y)
}

// Sums are how many suspects have each plain sum of harm, in tenths of a day.
func (s *Scores) Sums() map[int64]int64 { return s.order.sums }
