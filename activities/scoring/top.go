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
func (t tops) Less(i, j int) bool { return before(&t[i].suspect, &t[j].suspect) > 0 }
func (t tops) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }
func (t *tops) Push(x any)        { *t = append(*t, x.(top)) }
func (t *tops) Pop() any {
	last := (*t)[len(*t)-1]
	*t = (*t)[:len(*t)-1]
	return last
}

// offer keeps s and its rows if it is among the first depth so far. s.id must be the caller's to keep;
// the rows are copied.
func (t *tops) offer(depth int, s suspect, rows []allegation) {
	if len(*t) == depth && before(&s, &(*t)[0].suspect) > 0 {
		return
	}
	own := make([]allegation, len(rows))
	for i, a := range rows {
		a.id, a.report, a.victim, a.suspect = bytes.Clone(a.id), bytes.Clone(a.report), bytes.Clone(a.victim), s.id
		own[i] = a
	}
	heap.Push(t, top{s, own})
	if len(*t) > depth {
		heap.Pop(t)
	}
}
