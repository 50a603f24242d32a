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
	free, contained topHeap
}

// mostContained is how many in custody may stand beside a stack of this depth. More is a mistake in the data.
func mostContained(depth int) int { return 10*depth + 1_000 }

// topHeap has the last of them in front.
type topHeap []top

func (t topHeap) Len() int           { return len(t) }
func (t topHeap) Less(i, j int) bool { return t[i].compare(&t[j].sortKey) > 0 }
func (t topHeap) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t *topHeap) Push(x any)        { *t = append(*t, x.(top)) }
func (t *topHeap) Pop() any {
	last := (*t)[len(*t)-1]
	(*t)[len(*t)-1] = top{}
	*t = (*t)[:len(*t)-1]
	return last
}

// isBelow tells whether a suspect stands below the last of those who take places, and all places are taken.
func (t *tops) isBelow(s *sortKey) bool {
	return len(t.free) == t.depth && t.free[0].compare(s) <= 0
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
	t.keep(top{kept, own})
}

func (t *tops) keep(one top) {
	if t.aside && one.status == statusInCustody {
		heap.Push(&t.contained, one)
	} else {
		heap.Push(&t.free, one)
	}
	if len(t.free) > t.depth {
		heap.Pop(&t.free)
	}
	for len(t.contained) > 0 && (t.isBelow(&t.contained[0].sortKey) || len(t.contained) > mostContained(t.depth)) {
		heap.Pop(&t.contained)
	}
}

// add takes in what another was offered.
func (t *tops) add(o *tops) {
	for _, one := range slices.Concat(o.free, o.contained) {
		if !t.isBelow(&one.sortKey) {
			t.keep(one)
		}
	}
}

// sorted are all of them in the order of the ranking.
func (t *tops) sorted() []top {
	all := slices.Concat(t.free, t.contained)
	slices.SortFunc(all, func(a, b top) int { return a.compare(&b.sortKey) })
	return all
}
