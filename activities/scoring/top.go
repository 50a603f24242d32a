package scoring

import (
	"bytes"
	"container/heap"
	"slices"
)

// top is a suspect who may be on the stack, with the rows that count.
type top struct {
	suspect
	rows []allegation
}

// tops keeps the first depth suspects that it was offered; of those in custody, when they are set aside, everybody who
// stands above the last of the others (contract, section 6, lanes).
type tops struct {
	depth           int
	aside           bool
	free, contained lastFirst[*top]
}

func newTops(depth int, aside bool) tops {
	heap := lastFirst[*top]{order: func(a, b *top) int { return a.compare(&b.sortKey) }}
	return tops{depth, aside, heap, heap}
}

// mostContained is how many in custody may stand beside a stack of this depth. More is a mistake in the data.
func mostContained(depth int) int { return 10*depth + 1_000 }

// lastFirst is a heap with the last of some people, by an order, in front.
type lastFirst[T any] struct {
	list  []T
	order func(a, b T) int
}

func (h *lastFirst[T]) Len() int           { return len(h.list) }
func (h *lastFirst[T]) Less(i, j int) bool { return h.order(h.list[i], h.list[j]) > 0 }
func (h *lastFirst[T]) Swap(i, j int)      { h.list[i], h.list[j] = h.list[j], h.list[i] }
func (h *lastFirst[T]) Push(x any)         { h.list = append(h.list, x.(T)) }
func (h *lastFirst[T]) Pop() any {
	var none T
	n := len(h.list) - 1
	last := h.list[n]
	h.list[n] = none // so that it can be collected
	h.list = h.list[:n]
	return last
}

// keep takes one in, and lets the last go when there are then more than so many.
func (h *lastFirst[T]) keep(one T, most int) {
	heap.Push(h, one)
	if len(h.list) > most {
		heap.Pop(h)
	}
}

// isBelow tells whether a suspect stands below the last of those who take places, and all places are taken.
func (t *tops) isBelow(s *sortKey) bool {
	return len(t.free.list) == t.depth && t.free.list[0].compare(s) <= 0
}

// offer keeps a copy of s and its rows if it may be on the stack.
func (t *tops) offer(s *suspect, rows []allegation) {
	if t.isBelow(&s.sortKey) {
		return
	}
	kept := *s
	kept.id, kept.boroughs, kept.others = bytes.Clone(s.id), nil, nil
	own := make([]allegation, len(rows))
	for i, a := range rows {
		a.id, a.report, a.victim, a.suspect = bytes.Clone(a.id), bytes.Clone(a.report), bytes.Clone(a.victim), kept.id
		a.own = a.own.clone()
		own[i] = a
	}
	t.keep(&top{kept, own})
}

func (t *tops) keep(one *top) {
	if t.aside && one.status == statusInCustody {
		t.contained.keep(one, mostContained(t.depth))
	} else {
		t.free.keep(one, t.depth)
	}
	for len(t.contained.list) > 0 && t.isBelow(&t.contained.list[0].sortKey) {
		heap.Pop(&t.contained)
	}
}

// add takes in what another was offered.
func (t *tops) add(o *tops) {
	for _, one := range slices.Concat(o.free.list, o.contained.list) {
		if !t.isBelow(&one.sortKey) {
			t.keep(one)
		}
	}
}

// sorted are all of them in the order of the ranking.
func (t *tops) sorted() []*top {
	all := slices.Concat(t.free.list, t.contained.list)
	slices.SortFunc(all, t.free.order)
	return all
}
