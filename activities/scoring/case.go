package scoring

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/apache/arrow/go/v16/arrow"
	"github.com/apache/arrow/go/v16/arrow/array"
	"github.com/apache/arrow/go/v16/arrow/memory"

	"harmstack/activities/scoring/bucket"
	"harmstack/schemas"
)

// Fate is what became of one row (section 4).
type Fate struct {
	Disposition schemas.Disposition
	// Suspect and Victim are who the row names, after links and as normalised; empty: nobody.
	Suspect, Victim string
	// OlderStands: a later version of the row is quarantined, and this one stands.
	OlderStands bool
	// Contribution is what a scored row adds; nil: it is not scored.
	Contribution *schemas.Contribution
}

// Fates tells what became of each of some rows, by the engine's own rules. It is what became of a row in the whole
// extract when all versions of its allegation are among them and, for each of its suspect's rows, all versions of that
// one's: see Search. Of equal versions of an allegation the first stays.
func Fates(ctx context.Context, o Options, rows []schemas.Offence) ([]Fate, error) {
	return fates(ctx, o, rows, nil)
}

// fates does so, and shows every suspect as scored; the suspect is valid only during the call. nil: nobody looks.
func fates(ctx context.Context, o Options, rows []schemas.Offence, see func(*suspect)) ([]Fate, error) {
	o.Quarantine, o.Spill, o.Memory = nil, nil, 0
	e, err := New(o)
	if err != nil {
		return nil, err
	}
	f := fateFinder{
		engine: e, tally: tally{pass: e.newRouter()}, fates: make([]Fate, len(rows)), kept: map[string]int{}, see: see,
	}
	if err := f.validate(rows); err != nil {
		return nil, err
	}
	if err := f.deduplicate(); err != nil {
		return nil, err
	}
	if err := f.score(ctx); err != nil {
		return nil, err
	}
	return f.fates, nil
}

// fateFinder takes rows through the engine, one after the other, and remembers which is which.
type fateFinder struct {
	engine *Engine
	tally  tally
	fates  []Fate
	rowOf  []int          // of each record
	kept   map[string]int // rows by allegation
	see    func(*suspect)
}

// validate normalises the rows and puts all of them, in their order, into the records of the tally.
func (f *fateFinder) validate(rows []schemas.Offence) error {
	v := newValidator(f.engine.vocabulary)
	v.links = f.engine.options.Links
	defer v.release()
	// One bucket, whatever the hashes: its records then are in the order of the rows.
	const oneBucket = 0
	to := bucket.NewSet(f.engine.storage, bucket.Count)
	w := bucket.NewScatterer(to)
	dispositions := make([]schemas.Disposition, min(len(rows), batchRows))
	for first := 0; first < len(rows); first += batchRows {
		batch := newBatch(rows[first:min(first+batchRows, len(rows))])
		if err := v.load(batch); err != nil {
			return err
		}
		if f.engine.options.Counted == schemas.VictimSexUnknown {
			v.takeAsFemale()
		}
		dispositions = dispositions[:batch.NumRows()]
		f.engine.rules.decide(v, dispositions)
		for i, d := range dispositions {
			fate := &f.fates[first+i]
			fate.Disposition, fate.Victim = d, string(v.text[schemas.VictimID].text(i))
			if !v.nobody[i] {
				fate.Suspect = string(v.text[schemas.SuspectID].text(i))
			}
			var err error
			if d != schemas.Quarantined {
				err = v.put(w, oneBucket, i, d)
			} else if id, updated, ok := v.version(i); ok {
				err = putQuarantined(w, oneBucket, id, updated)
			} else {
				continue
			}
			if err != nil {
				return err
			}
			f.rowOf = append(f.rowOf, first+i)
		}
		batch.Release()
	}
	if err := w.Close(); err != nil {
		return err
	}
	var err error
	f.tally.records, err = to.Take(oneBucket, nil)
	f.tally.work.starts = split(f.tally.records, nil)
	return err
}

// deduplicate applies rule 2, and sends what stays to its suspects.
func (f *fateFinder) deduplicate() error {
	t := &f.tally
	record := func(i int32) []byte { return t.records[t.work.starts[i]:] }
	versions := map[string][]int32{}
	for i := range t.work.starts {
		id := string(idOf(record(int32(i))))
		versions[id] = append(versions[id], int32(i))
	}
	lost := map[int32]bool{}
	var a, best allegation
	for _, list := range versions {
		f.engine.keepOne(t, list, lost)
		stays := slices.IndexFunc(list, func(i int32) bool { return !lost[i] && !isQuarantined(record(i)) })
		if stays < 0 {
			continue
		}
		best.decode(record(list[stays]))
		for _, i := range list {
			if lost[i] {
				fate := &f.fates[f.rowOf[i]]
				fate.Disposition = schemas.Duplicate
				if a.decode(record(i)); a.updated < best.updated {
					fate.Disposition = schemas.Superseded
				}
			}
		}
	}
	for i, start := range t.work.starts {
		if lost[int32(i)] || isQuarantined(record(int32(i))) {
			continue
		}
		a.decode(record(int32(i)))
		f.kept[string(a.id)] = f.rowOf[i]
		f.fates[f.rowOf[i]].OlderStands = a.older
		if err := t.pass.pass(t.records[start:bucket.Next(t.records, start)]); err != nil {
			return err
		}
	}
	return t.pass.close()
}

// score scores the suspects.
func (f *fateFinder) score(ctx context.Context) error {
	f.tally.left = func(id []byte, d schemas.Disposition) { f.fates[f.kept[string(id)]].Disposition = d }
	return eachBucket(ctx, []*tally{&f.tally}, func(t **tally, number int) error {
		return f.engine.aggregate(*t, number, func(s *suspect, rows []allegation) error {
			if f.see != nil {
				f.see(s)
				return nil
			}
			for _, c := range f.engine.contributions(rows) {
				f.fates[f.kept[c.AllegationID]].Contribution = &c
			}
			return nil
		})
	})
}

// newBatch makes a batch of schemas.OffenceArrow.
func newBatch(rows []schemas.Offence) arrow.Record {
	b := array.NewRecordBuilder(memory.NewGoAllocator(), schemas.OffenceArrow)
	defer b.Release()
	for r := range rows {
		row := reflect.ValueOf(&rows[r]).Elem()
		for i := range schemas.OffenceColumns {
			field := row.Field(i)
			if field.IsNil() {
				b.Field(i).AppendNull()
				continue
			}
			switch v := field.Interface().(type) {
			case *string:
				b.Field(i).(*array.StringBuilder).Append(*v)
			case *int32:
				b.Field(i).(*array.Int32Builder).Append(*v)
			case *bool:
				b.Field(i).(*array.BooleanBuilder).Append(*v)
			case *int64:
				b.Field(i).(*array.TimestampBuilder).Append(arrow.Timestamp(*v))
			}
		}
	}
	return b.NewRecord()
}

// Search finds every row of an extract that names one of some people, and all those that have a say in what became of
// them, in three readings: each pass must be fed every row before the next begins. What it holds is the rows it finds.
type Search struct {
	options   Options
	positions map[string]int64
	people    *idSet // who is looked for
	beside    func(id []byte) bool

	mu          sync.Mutex
	suspects    *idSet  // of rows that name them
	naming      []int64 // the ordinals of those rows
	allegations *idSet  // of those rows and of all their suspects'
	rows        []foundRow

	ordered func() (rows []schemas.Offence, ordinals []int64) // of the extract, in its order, once every pass is done
}

// foundRow is a row as it was read.
type foundRow struct {
	ordinal int64
	schemas.Offence
}

// NewSearch looks for people by their ids, after links, each with a position in the ranking.
func NewSearch(o Options, people map[string]int64) *Search {
	s := &Search{options: o, positions: people, people: newIDSet(), suspects: newIDSet(), allegations: newIDSet()}
	s.ordered = sync.OnceValues(s.inOrder)
	for id := range people {
		s.people.add(view(id))
	}
	return s
}

// Beside makes the search find the rows of other suspects too, of whom Cases does not tell; an id is valid only during
// the call, which comes from several goroutines.
func (s *Search) Beside(is func(id []byte) bool) { s.beside = is }

// SearchPass is one reading of a search.
type SearchPass struct {
	// Columns are those that it looks at; nil: all.
	Columns []int
	// New returns a searcher for one goroutine. It must be closed.
	New func() *Searcher
}

// Passes are the readings, in order.
func (s *Search) Passes() []SearchPass {
	pass := func(columns []int, add func(f *Searcher, batch arrow.Record, firstRow int64) error, to *idSet) SearchPass {
		return SearchPass{columns, func() *Searcher {
			f := &Searcher{search: s, add: add, to: to}
			for _, column := range searched {
				f.text[column] = &textColumn{}
			}
			return f
		}}
	}
	return []SearchPass{
		pass([]int{schemas.SuspectID, schemas.VictimID}, (*Searcher).findPeople, s.suspects),
		pass([]int{schemas.AllegationID, schemas.SuspectID}, (*Searcher).findAllegations, s.allegations),
		pass(nil, (*Searcher).findRows, nil),
	}
}

// searched are the columns that decide whether a row is found.
var searched = [...]int{schemas.AllegationID, schemas.SuspectID, schemas.VictimID}

// Searcher takes the batches of one goroutine into a search.
type Searcher struct {
	search *Search
	add    func(f *Searcher, batch arrow.Record, firstRow int64) error
	text   [schemas.OffenceColumns]*textColumn
	to     *idSet // takes the ids that the pass finds

	found  []string
	naming []int64
	rows   []foundRow
}

// Add takes in one batch, as Ingester.Add takes it.
func (f *Searcher) Add(batch arrow.Record, firstRow int64) error { return f.add(f, batch, firstRow) }

// findPeople notes the rows that name somebody who is looked for, and their suspects.
func (f *Searcher) findPeople(batch arrow.Record, firstRow int64) error {
	if err := f.load(batch, schemas.SuspectID, schemas.VictimID); err != nil {
		return err
	}
	people, suspects, victims := f.search.people, f.text[schemas.SuspectID], f.text[schemas.VictimID]
	for i := range int(batch.NumRows()) {
		suspect := f.search.person(suspects.text(i))
		if !people.has(suspect) && !people.has(f.search.person(victims.text(i))) &&
			(f.search.beside == nil || !f.search.beside(suspect)) {
			continue
		}
		f.naming = append(f.naming, firstRow+int64(i))
		if len(suspect) > 0 && !isBroken(suspect) && !f.search.options.Tables.IsPlaceholder(text(suspect)) {
			f.found = append(f.found, string(suspect))
		}
	}
	return nil
}

// person is who an id stands for.
func (s *Search) person(id []byte) []byte { return s.options.Links.End(id) }

// findAllegations notes the allegations of the rows that were found, and of their suspects' other rows.
func (f *Searcher) findAllegations(batch arrow.Record, firstRow int64) error {
	if err := f.load(batch, schemas.SuspectID); err != nil {
		return err
	}
	suspects, ids := f.text[schemas.SuspectID], f.text[schemas.AllegationID]
	named, loaded := f.search.named(firstRow, batch), false
	for i := range int(batch.NumRows()) {
		if !named(i) && !f.search.suspects.has(f.search.person(suspects.text(i))) {
			continue
		}
		if !loaded {
			if err := f.load(batch, schemas.AllegationID); err != nil {
				return err
			}
			loaded = true
		}
		if id := ids.text(i); len(id) > 0 && !isBroken(id) {
			f.found = append(f.found, string(id))
		}
	}
	return nil
}

// findRows copies all versions of the allegations that were found, and what names somebody but no allegation.
func (f *Searcher) findRows(batch arrow.Record, firstRow int64) error {
	if err := f.load(batch, schemas.AllegationID); err != nil {
		return err
	}
	ids, named := f.text[schemas.AllegationID], f.search.named(firstRow, batch)
	for i := range int(batch.NumRows()) {
		if named(i) || f.search.allegations.has(ids.text(i)) {
			f.rows = append(f.rows, foundRow{firstRow + int64(i), offenceAt(batch, i)})
		}
	}
	return nil
}

// named tells of the rows of a batch, asked for in their order, whether they name somebody who is looked for.
func (s *Search) named(firstRow int64, batch arrow.Record) func(row int) bool {
	at, _ := slices.BinarySearch(s.naming, firstRow)
	return func(row int) bool {
		if at == len(s.naming) || s.naming[at] != firstRow+int64(row) {
			return false
		}
		at++
		return true
	}
}

func (f *Searcher) load(batch arrow.Record, columns ...int) error {
	for _, column := range columns {
		if err := f.text[column].load(batch.Column(column)); err != nil {
			return fmt.Errorf("column %s: %w", schemas.Offences[column].Name, err)
		}
	}
	return nil
}

// Close hands over what the searcher has found.
func (f *Searcher) Close() error {
	for _, column := range searched {
		f.text[column].release()
	}
	s := f.search
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range f.found {
		f.to.add(view(id))
	}
	s.rows = append(s.rows, f.rows...)
	if len(f.naming) > 0 { // in the first pass alone: in later ones others read what it found
		s.naming = append(s.naming, f.naming...)
		slices.Sort(s.naming)
	}
	return nil
}

func (s *Search) inOrder() (rows []schemas.Offence, ordinals []int64) {
	slices.SortFunc(s.rows, func(a, b foundRow) int { return cmp.Compare(a.ordinal, b.ordinal) })
	for i := range s.rows {
		rows, ordinals = append(rows, s.rows[i].Offence), append(ordinals, s.rows[i].ordinal)
	}
	s.rows = nil // they are held once
	return rows, ordinals
}

// Cases are the rows that name somebody who was looked for, in the order of schemas.Case, and what of them is scored as
// contributions, in theirs.
func (s *Search) Cases(ctx context.Context) ([]schemas.Case, []schemas.Contribution, error) {
	rows, ordinals := s.ordered()
	fates, err := Fates(ctx, s.options, rows)
	if err != nil {
		return nil, nil, err
	}
	var cases []schemas.Case
	var contributions []schemas.Contribution
	for i := range fates {
		f := &fates[i]
		add := func(person, role, other string) bool {
			position, ok := s.positions[person]
			if ok {
				c := newCase(f, &rows[i])
				c.Position, c.PersonID, c.OtherID, c.Role, c.Row = position, person, orNil(other), role, ordinals[i]
				cases = append(cases, c)
			}
			return ok
		}
		if add(f.Suspect, schemas.RoleSuspect, f.Victim) && f.Contribution != nil {
			f.Contribution.Position = s.positions[f.Suspect]
			contributions = append(contributions, *f.Contribution)
		}
		add(f.Victim, schemas.RoleVictim, f.Suspect)
	}
	slices.SortFunc(cases, compareCases)
	slices.SortFunc(contributions, func(a, b schemas.Contribution) int {
		return cmp.Or(cmp.Compare(a.Position, b.Position), compareContributions(a, b))
	})
	return cases, contributions, nil
}

func newCase(f *Fate, row *schemas.Offence) schemas.Case {
	c := schemas.Case{Disposition: f.Disposition.String(), OlderStands: f.OlderStands}
	c.SetOffence(row)
	if k := f.Contribution; k != nil {
		c.Offence, c.WeightRule, c.HarmDays, c.RecencyPPM = &k.Offence, &k.WeightRule, &k.HarmDays, &k.RecencyPPM
		c.FrequencyPPM, c.Base, c.Share = &k.FrequencyPPM, &k.Base, &k.Share
	}
	return c
}

func compareCases(a, b schemas.Case) int {
	return cmp.Or(
		cmp.Compare(a.Position, b.Position),
		cmp.Compare(a.Role, b.Role), // the suspect's first
		compareNullable(a.ReportedAt, b.ReportedAt),
		compareNullable(a.AllegationID, b.AllegationID),
		cmp.Compare(a.Row, b.Row),
	)
}

// compareNullable puts null first.
func compareNullable[T cmp.Ordered](a, b *T) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	}
	return cmp.Compare(*a, *b)
}

// offenceAt copies a row out of a batch.
func offenceAt(batch arrow.Record, row int) (o schemas.Offence) {
	to := reflect.ValueOf(&o).Elem()
	for i := range schemas.OffenceColumns {
		col := batch.Column(i)
		if col.IsNull(row) {
			continue
		}
		var value any
		switch col := col.(type) {
		case *array.String:
			value = new(strings.Clone(col.Value(row)))
		case *array.Dictionary:
			value = new(strings.Clone(col.Dictionary().(*array.String).Value(col.GetValueIndex(row))))
		case *array.Int32:
			value = new(col.Value(row))
		case *array.Boolean:
			value = new(col.Value(row))
		case *array.Timestamp:
			value = new(int64(col.Value(row)))
		}
		to.Field(i).Set(reflect.ValueOf(value))
	}
	return o
}

// idSet is a set of ids. Few rows are of one of them: a look at a few bits tells that of most others.
type idSet struct {
	bits [1 << 12]uint64
	ids  map[string]struct{}
}

func newIDSet() *idSet { return &idSet{ids: map[string]struct{}{}} }

func (s *idSet) add(id []byte) {
	h := bucket.Hash(id)
	s.bits[h>>6%uint64(len(s.bits))] |= 1 << (h % 64)
	s.ids[string(id)] = struct{}{}
}

func (s *idSet) has(id []byte) bool {
	h := bucket.Hash(id)
	if s.bits[h>>6%uint64(len(s.bits))]>>(h%64)&1 == 0 {
		return false
	}
	_, ok := s.ids[string(id)]
	return ok
}
