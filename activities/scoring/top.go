package scoring

import (
	"bytes"
	"container/heap"
)

// top is a suspect who may be on the stack, with the rows that count.
type top struct {
	suspect
	rows []allegation
}

// tops keeps the first so many suspects that it was offered: a heap with the last of them in front.
type tops []top

func (t tops) Len() int           { return len(t) }
func (t tops) Less(i, j int) bool { return t[i].compare(&t[j].sortKey) > 0 }
func (t tops) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t *tops) Push(x any)        { *t = append(*t, x.(top)) }
func (t *tops) Pop() any {
	last := (*t)[len(*t)-1]
	*t = (*t)[:len(*t)-1]
	return last
}

// offer keeps a copy of s and its rows if it is among the first depth so far.
func (t *tops) offer(depth int, s *suspect, rows []allegation) {
	if len(*t) == depth && (*t)[0].compare(&s.sortKey) <= 0 {
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
	heap.Push(t, top{kept, own})
	if len(*t) > depth {
		heap.Pop(t)
	}
}
