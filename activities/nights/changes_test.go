package nights

import (
	"errors"
	"iter"
	"reflect"
	"testing"
	"time"

	"harmstack/schemas"
)

// ranked makes rows by position; the score is 1,000 less the position.
func ranked(ids ...string) (rows []schemas.Ranked) {
	for i, id := range ids {
		rows = append(rows, schemas.Ranked{Position: int64(i + 1), SuspectID: id, ScoreDays: 999 - float64(i)})
	}
	return rows
}

func rowsOf[T any](rows []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func reported(id, at string) schemas.Contribution {
	t, err := time.Parse(time.RFC3339, at)
	if err != nil {
		panic(err)
	}
	return schemas.Contribution{SuspectID: id, ReportedAt: t.UnixMicro()}
}

func TestChanges(t *testing.T) {
	// As of 30 June 2026 the oldest date in the window is 1 July 2025 (age 364).
	asOf := schemas.MustDate("2026-06-30")
	one := func(kind, reason string, position, previous int64) schemas.Change {
		c := schemas.Change{SuspectID: "a", Kind: kind}
		if reason != "" {
			c.Reason = &reason
		}
		if position > 0 {
			c.Position, c.ScoreDays = &position, new(1000-float64(position))
		}
		if previous > 0 {
			c.Previous, c.PreviousDays = &previous, new(1000-float64(previous))
		}
		return c
	}
	named := func(id string, c schemas.Change) schemas.Change {
		c.SuspectID = id
		return c
	}
	for _, c := range []struct {
		scenario                 string
		previous, stack, ranking []string
		contributions            []schemas.Contribution
		want                     []schemas.Change
	}{
		{"no stack before", nil, []string{"a"}, []string{"a"}, nil, []schemas.Change{one("entered", "", 1, 0)}},
		{"the same place", []string{"a"}, []string{"a"}, []string{"a"}, nil, []schemas.Change{one("stayed", "", 1, 1)}},
		{"two change places", []string{"a", "b"}, []string{"b", "a"}, nil, nil,
			[]schemas.Change{named("b", one("moved", "", 1, 2)), one("moved", "", 2, 1)}},
		{"one is outranked by another", []string{"a"}, []string{"b"}, []string{"b", "c", "a"}, []schemas.Contribution{reported("a", "2025-01-01T12:00:00Z")},
			[]schemas.Change{named("b", one("entered", "", 1, 0)), one("left", "outranked", 0, 1)}},
		{"the only allegation leaves the window", []string{"a"}, nil, []string{"b"}, []schemas.Contribution{reported("a", "2025-06-30T22:59:59Z")},
			[]schemas.Change{one("left", "aged_out", 0, 1)}},
		{"reported a second later, it was 1 July in London and is in the window", []string{"a"}, nil, []string{"b"},
			[]schemas.Contribution{reported("a", "2025-06-30T23:00:00Z")}, []schemas.Change{one("left", "no_longer_scored", 0, 1)}},
		{"one of two allegations is still in the window", []string{"a"}, nil, nil,
			[]schemas.Contribution{reported("a", "2026-05-01T12:00:00Z"), reported("a", "2025-01-01T12:00:00Z")}, []schemas.Change{one("left", "no_longer_scored", 0, 1)}},
		{"nothing is known of what put them there", []string{"a"}, nil, nil, []schemas.Contribution{reported("x", "2025-01-01T12:00:00Z")},
			[]schemas.Change{one("left", "no_longer_scored", 0, 1)}},
		{"those who left come last, by where they were", []string{"z", "y", "b", "a"}, []string{"n", "b"}, nil, nil, []schemas.Change{
			named("n", one("entered", "", 1, 0)), named("b", one("moved", "", 2, 3)),
			named("z", one("left", "no_longer_scored", 0, 1)), named("y", one("left", "no_longer_scored", 0, 2)), one("left", "no_longer_scored", 0, 4)}},
		{"one was merged into another, and links of others say nothing", []string{"a", "merged", "c"}, []string{"other"}, []string{"other", "c"}, []schemas.Contribution{reported("merged", "2025-01-01T12:00:00Z")},
			[]schemas.Change{named("other", one("entered", "", 1, 0)), one("left", "no_longer_scored", 0, 1), named("merged", one("left", "merged", 0, 2)), named("c", one("left", "outranked", 0, 3))}},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			got, err := Comparison{Previous: ranked(c.previous...), Contributions: c.contributions, Stack: ranked(c.stack...),
				Ranking: rowsOf(ranked(c.ranking...)), Links: rowsOf([]schemas.PersonLink{{PersonID: "x", SameAs: "a"}, {PersonID: "merged", SameAs: "other"}}), AsOf: asOf, WindowDays: 365}.Changes()
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("%v\ngot  %+v\nwant %+v", err, got, c.want)
			}
		})
	}
}

// The ranking may hold millions: it is not read when nobody left, nor further than the last who did.
func TestChangesReadOnlyWhatTheyNeed(t *testing.T) {
	broken := func(after int) iter.Seq2[schemas.Ranked, error] {
		return func(yield func(schemas.Ranked, error) bool) {
			for _, r := range ranked("a", "b", "c")[:after] {
				if !yield(r, nil) {
					return
				}
			}
			yield(schemas.Ranked{}, errors.New("read too far"))
		}
	}
	for _, c := range []struct {
		scenario        string
		previous, stack []string
		readable        int
		fails           bool
	}{
		{"nobody left", []string{"a"}, []string{"a"}, 0, false},
		{"the one who left is second", []string{"b"}, []string{"a"}, 2, false},
		{"the one who left is nowhere", []string{"z"}, []string{"a"}, 3, true},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			_, err := Comparison{Previous: ranked(c.previous...), Stack: ranked(c.stack...), Ranking: broken(c.readable)}.Changes()
			if (err != nil) != c.fails {
				t.Error(err)
			}
		})
	}
}

func TestCountChanges(t *testing.T) {
	got := CountChanges([]schemas.Change{{Kind: "entered"}, {Kind: "left"}, {Kind: "left"}, {Kind: "moved"}, {Kind: "moved"}, {Kind: "moved"}, {Kind: "stayed"}})
	if want := (schemas.ChangeCount{Entered: 1, Left: 2, Moved: 3, Stayed: 1}); got != want {
		t.Errorf("got %+v", got)
	}
}
