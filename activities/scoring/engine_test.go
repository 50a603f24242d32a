package scoring

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apache/arrow/go/v16/arrow"
	"github.com/apache/arrow/go/v16/arrow/array"
	"github.com/apache/arrow/go/v16/arrow/memory"

	"harmstack/activities/scoring/bucket"
	"harmstack/activities/store/spill"
	"harmstack/schemas"
	"harmstack/schemas/reference"
	"harmstack/schemas/sweep"
)

var asOf = schemas.MustDate("2026-06-30")

// model is the one of version 2 of the contract, whatever is the default.
func model(t *testing.T) schemas.Model {
	t.Helper()
	m, err := schemas.LoadModel("rfs-v2")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func ptr[T any](v T) *T { return &v }

func at(s string) *int64 {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return ptr(t.UnixMicro())
}

// rape is an ordinary row: reported on as_of, 1,825 days, rest null.
func rape(id, suspect string) schemas.Offence {
	return schemas.Offence{AllegationID: &id, ReportID: ptr("R" + id), SuspectID: &suspect, OffenceCode: ptr("019/08"), OffenceClass: ptr("19C"),
		ReportedAt: at("2026-06-30T12:00:00Z"), UpdatedAt: at("2026-06-30T13:00:00Z"), Borough: ptr("Camden"), VictimSex: ptr("F"),
		VictimID: ptr("V" + id), Source: ptr("victim"), Outcome: ptr("open")}
}

// batch builds an Arrow record of rows, text columns as dictionaries where dict says so.
func batch(mem memory.Allocator, rows []schemas.Offence, dict func(column int) bool) arrow.Record {
	fields := make([]arrow.Field, schemas.OffenceColumns)
	columns := make([]arrow.Array, schemas.OffenceColumns)
	for i, c := range schemas.Offences {
		var t arrow.DataType = schemas.OffenceArrow.Field(i).Type
		if c.Type == schemas.String && dict(i) {
			t = schemas.ArrowDictionary
		}
		b := array.NewBuilder(mem, t)
		for r := range rows {
			appendValue(b, &rows[r], i)
		}
		columns[i] = b.NewArray()
		b.Release()
		fields[i] = arrow.Field{Name: c.Name, Type: t, Nullable: true}
	}
	rec := array.NewRecord(arrow.NewSchema(fields, nil), columns, int64(len(rows)))
	for _, c := range columns {
		c.Release()
	}
	return rec
}

func appendValue(b array.Builder, r *schemas.Offence, column int) {
	text := map[int]*string{schemas.AllegationID: r.AllegationID, schemas.ReportID: r.ReportID, schemas.SuspectID: r.SuspectID, schemas.SuspectStatus: r.SuspectStatus,
		schemas.OffenceCode: r.OffenceCode, schemas.OffenceClass: r.OffenceClass, schemas.OffenceURN: r.OffenceURN, schemas.BoroughName: r.Borough,
		schemas.VictimID: r.VictimID, schemas.VictimSex: r.VictimSex, schemas.Source: r.Source, schemas.Outcome: r.Outcome, schemas.Handling: r.Handling}
	times := map[int]*int64{schemas.ReportedAt: r.ReportedAt, schemas.CommittedAt: r.CommittedAt, schemas.UpdatedAt: r.UpdatedAt}
	ages := map[int]*int32{schemas.SuspectAge: r.SuspectAge, schemas.VictimAge: r.VictimAge}
	switch {
	case text[column] != nil:
		switch b := b.(type) {
		case *array.StringBuilder:
			b.Append(*text[column])
		case *array.BinaryDictionaryBuilder:
			if err := b.AppendString(*text[column]); err != nil {
				panic(err)
			}
		}
	case times[column] != nil:
		b.(*array.TimestampBuilder).Append(arrow.Timestamp(*times[column]))
	case ages[column] != nil:
		b.(*array.Int32Builder).Append(*ages[column])
	case column == schemas.DomesticAbuse && r.DomesticAbuse != nil:
		b.(*array.BooleanBuilder).Append(*r.DomesticAbuse)
	default:
		b.AppendNull()
	}
}

// layout is a way of feeding the same rows.
type layout struct {
	threads, batchRows int
	dict               func(column int) bool
	memory             int64
	shuffle            uint64
	prescans           bool
}

var plain = layout{threads: 1, batchRows: 1000, dict: func(int) bool { return false }}

func feed(t *testing.T, o Options, rows []schemas.Offence, l layout) (*Scores, error) {
	t.Helper()
	mem := memory.NewCheckedAllocator(memory.NewGoAllocator())
	defer mem.AssertSize(t, 0)
	if l.shuffle > 0 {
		rows = slices.Clone(rows)
		rand.New(rand.NewPCG(l.shuffle, 0)).Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	}
	if l.memory > 0 {
		o.Memory, o.Spill = l.memory, spill.Folder(t.TempDir())
	}
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	if l.prescans {
		inBatches(t, mem, rows, l, func() sink { return e.NewPrescan() })
		if err := e.EndPrescan(t.Context(), int64(len(rows)), l.threads); err != nil {
			t.Fatal(err)
		}
	}
	inBatches(t, mem, rows, l, func() sink { return e.NewIngester() })
	return e.Finish(t.Context(), l.threads)
}

type sink interface {
	Add(batch arrow.Record, firstRow int64) error
	Close() error
}

// inBatches gives every row to one of the sinks, which run at once.
func inBatches(t *testing.T, mem memory.Allocator, rows []schemas.Offence, l layout, newSink func() sink) {
	t.Helper()
	var wg sync.WaitGroup
	var mu sync.Mutex
	next := 0
	for range l.threads {
		wg.Go(func() {
			f := newSink()
			defer func() {
				if err := f.Close(); err != nil {
					t.Error(err)
				}
			}()
			for {
				mu.Lock()
				from := next
				next = min(next+l.batchRows, len(rows))
				to := next
				mu.Unlock()
				if from == to {
					return
				}
				rec := batch(mem, rows[from:to], l.dict)
				err := f.Add(rec, int64(from))
				rec.Release()
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func rankingOf(t *testing.T, s *Scores) (all []schemas.Ranked) {
	t.Helper()
	err := s.Ranking(t.Context(), func(rows []schemas.Ranked) error {
		for _, r := range rows {
			r.SuspectID = strings.Clone(r.SuspectID)
			all = append(all, r)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var tables = sync.OnceValues(func() (*reference.Tables, error) { return reference.LoadPaths(reference.Paths{Rules: "vawg-v2"}) })

func options(t *testing.T) Options {
	t.Helper()
	rules, err := tables()
	if err != nil {
		t.Fatal(err)
	}
	return Options{AsOf: asOf, Tables: rules, Model: model(t)}
}

// optionsOf are options of version 2, or of version 1 for every third seed.
func optionsOf(t *testing.T, seed uint64) Options {
	t.Helper()
	o := options(t)
	if seed%3 != 2 {
		return o
	}
	var err error
	if o.Model, err = schemas.LoadModel("rfs-v1"); err != nil {
		t.Fatal(err)
	}
	if o.Tables, err = reference.LoadPaths(reference.Paths{Rules: "vawg-v1"}); err != nil {
		t.Fatal(err)
	}
	return o
}

func score(t *testing.T, rows []schemas.Offence) *Scores {
	t.Helper()
	s, err := feed(t, options(t), rows, plain)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// random makes rows in which every rule bites, over few ids so that they meet.
func random(seed uint64, n int) []schemas.Offence {
	r := rand.New(rand.NewPCG(seed, 1))
	pick := func(values ...string) *string {
		if v := values[r.IntN(len(values))]; v != "NULL" {
			return &v
		}
		return nil
	}
	// now and then one of the rare values, else one of the usual ones
	mostly := func(percent int, rare []string, usual ...string) *string {
		if r.IntN(100) < percent {
			return pick(rare...)
		}
		return pick(usual...)
	}
	long := strings.Repeat("Ω", 5000)
	begin, end := *at("2025-06-27T00:00:00Z"), *at("2026-07-03T00:00:00Z")
	rows := make([]schemas.Offence, n)
	for i := range rows {
		reported := begin + r.Int64N(end-begin)
		switch r.IntN(20) {
		case 0: // the hours around midnight at the edges of the window
			reported = *at("2025-06-30T22:00:00Z") + r.Int64N(4)*1_800_000_000
		case 1:
			reported = *at("2026-06-30T22:00:00Z") + r.Int64N(4)*1_800_000_000
		case 2:
			reported = *at("2025-10-25T21:30:00Z") + r.Int64N(8)*1_800_000_000
		case 3: // far outside the window, where only what a kept row says of a person matters
			reported = begin + (r.Int64N(20)-10)*365*86_400_000_000
		case 4: // around the turn of a year, which implies another year of birth
			reported = *at("2025-12-31T23:00:00Z") + (r.Int64N(4)-1)*1_800_000_000
		}
		person := r.IntN(n/8 + 1)
		rows[i] = schemas.Offence{
			AllegationID: mostly(5, []string{long + fmt.Sprint(r.IntN(3))}, fmt.Sprintf("A%d", r.IntN(n)), fmt.Sprintf("A%d", r.IntN(n)), fmt.Sprintf(" A%d\u00a0", r.IntN(n))),
			ReportID:     pick(fmt.Sprintf("R%d", r.IntN(n/2+1))),
			SuspectID: mostly(10, []string{"NULL", " ", "N/K", "Unknown male", "not  KNOWN", "--", "00", "9999", "Refused", "xx", "Unk"},
				fmt.Sprintf("S%d", person), fmt.Sprintf("S%d", person), fmt.Sprintf(" S%d", person), fmt.Sprintf("s%d", person), long, "Élodie-1"),
			SuspectStatus: mostly(4, []string{"deceased", "deceased", "dead", "At_large"}, "NULL", "at_large", "on_bail", "in_custody", "unknown", " at_large"),
			OffenceCode: mostly(3, []string{"19-08", "0019/08"}, "019/08", "19/8", "01908", "008/01", "8/1", "8/1", "008/06", "195/94", "005/01", "008/77", "008/78", "999/99", "066/91", "020/05",
				"056/01", "008/61"),
			OffenceClass: pick("NULL", "NULL", "19C", "19C", "8N", "8N", "8S", "5D", "", "ZZ", "56A"),
			OffenceURN:   mostly(30, []string{"8N.8.1.1", "8N.8.1.2", "1.1.1.1", "0.0.0", "56A.56.1.0"}, "NULL"),
			ReportedAt:   &reported, UpdatedAt: ptr(reported + r.Int64N(4)*1_000_000),
			Borough: pick("Camden", "CAMDEN", " Barnet", "City of London", "NULL", "Westminster", "brent", "rbkc", "Kingston", "City of Westminster", "Hammersmith & fulham"),
			VictimID: mostly(15, []string{"NULL", "  ", "unknown female", "N/K", "0", "???"},
				fmt.Sprintf("V%d", r.IntN(n/3+1)), fmt.Sprintf("S%d", r.IntN(n/8+1))),
			VictimSex: pick("F", "F", "F", "F", "F", "F", "M", "X", "U", "NULL"),
			Source:    pick("victim", "victim", "victim", "victim", "witness", "witness", "third_party", "third_party", "police_detected", "intelligence"),
			Outcome: pick("open", "open", "open", "open", "charged", "convicted", "victim_does_not_support", "victim_does_not_support", "no_further_action",
				"acquitted", "no_crime", "transferred"),
			Handling: mostly(15, []string{"restricted", "restricted ", "Normal", "secret", "normal"}, "NULL", " "),
		}
		row := &rows[i]
		if r.IntN(2) == 0 {
			row.DomesticAbuse = ptr(r.IntN(2) == 0)
		}
		switch r.IntN(4) {
		case 0: // the age at the report of someone born in one year, or in one of two after it
			row.SuspectAge = ptr(int32(time.UnixMicro(reported).Year() - 1960 - person%40 - r.IntN(3)))
		case 1:
			row.SuspectAge, row.VictimAge = ptr(int32(r.IntN(60)+10)), ptr(int32(r.IntN(160)-10))
		}
		if r.IntN(3) == 0 {
			row.CommittedAt = ptr(reported - 365*86_400_000_000 + r.Int64N(3) - 1)
		}
		switch r.IntN(100) {
		case 0:
			row.ReportedAt = ptr(schemas.EndTimestamp)
		case 1:
			row.CommittedAt = ptr(schemas.MinTimestamp - 1)
		case 2:
			row.CommittedAt = ptr(schemas.EndTimestamp)
		case 3:
			row.Borough, row.OffenceClass = ptr("Cam\xffden"), ptr("19\xc3")
		case 4:
			row.UpdatedAt = nil
		case 5:
			row.Source = ptr("\u00a0\t")
		case 6:
			row.SuspectID, row.OffenceURN = ptr("S\xc3"), ptr("\xff")
		case 7:
			row.VictimID, row.VictimSex = ptr("V\xc3"), ptr("f")
		case 8:
			row.SuspectAge, row.Handling = ptr(int32(131)), ptr("restri\xffcted")
		case 9:
			row.ReportID = ptr("R\xff")
		}
		if i > 0 && r.IntN(10) == 0 { // the same again, perhaps with one value changed
			*row = rows[r.IntN(i)]
			switch r.IntN(4) {
			case 0:
				row.Outcome = pick("open", "charged", "no_crime", "transferred")
			case 1:
				row.Handling = pick("NULL", "normal", "restricted", "else")
			case 2: // a later version of which nothing is taken
				row.Outcome, row.UpdatedAt = ptr("lost"), ptr(reported+r.Int64N(10)*1_000_000)
			}
		}
	}
	return rows
}

// triesEverything fails where random rows leave out something that the contract has a rule for.
func triesEverything(t *testing.T, rows []schemas.Offence, want reading) {
	t.Helper()
	if want.counts.Sum() != int64(len(rows)) {
		t.Fatalf("%v account for %d of %d rows", want.counts, want.counts.Sum(), len(rows))
	}
	seen := map[string]int64{}
	for d, n := range want.counts {
		seen[schemas.Disposition(d).String()] = n
	}
	for i, c := range schemas.Offences {
		if !c.NotNull && i != schemas.DomesticAbuse {
			seen[c.Name+" out of range"] = want.facts.OutOfRange[c.Name]
		}
	}
	seen["placeholders of suspects"], seen["placeholders of victims"] = want.facts.Placeholders["suspect_id"], want.facts.Placeholders["victim_id"]
	seen["older versions"], seen["conflicting"] = want.facts.OlderStands, want.facts.Conflicting
	seen["contradictions"], seen["supplement"], seen["lowest"] = want.facts.URNContradicts, want.facts.Supplement, want.facts.Lowest
	seen["resolutions"] = int64(len(want.facts.Resolutions))
	seen["scored older versions"] = 0
	for _, c := range want.scored {
		if c.OlderStands {
			seen["scored older versions"]++
		}
	}
	for _, lane := range []string{"free", "bailed", "contained"} {
		seen[lane] = 0
	}
	for _, name := range []string{"ages disagree", "ages agree", "restricted", "unrestricted", "withdrawn", "victims too", "several rows", "without an owner"} {
		seen[name] = 0
	}
	for _, r := range want.ranking {
		seen[r.Lane]++
		for name, is := range map[string]bool{"ages disagree": r.AgesDisagree, "ages agree": !r.AgesDisagree, "restricted": r.Restricted, "unrestricted": !r.Restricted,
			"withdrawn": r.Withdrawn > 0, "victims too": r.AlsoVictim, "several rows": r.Allegations > 1, "without an owner": r.OwnerBorough == nil} {
			if is {
				seen[name]++
			}
		}
	}
	for what, n := range seen {
		if least := int64(3); n < least && what != "resolutions" && what != "scored older versions" || n == 0 {
			t.Errorf("%s: only %d", what, n)
		}
	}
}

// same compares two rankings, row by row and to the last digit.
func same(t *testing.T, got, want []schemas.Ranked) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d suspects, want %d", len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		g, _ := json.Marshal(got[i])
		w, _ := json.Marshal(want[i])
		if string(g) != string(w) {
			t.Fatalf("position %d:\n got %.600s\nwant %.600s", i+1, g, w)
		}
	}
}

// Every layout of a random extract gives what the slow reading gives.
func TestEngineAgreesWithTheSlowReading(t *testing.T) {
	layouts := map[string]layout{
		"plain":               plain,
		"row by row":          {threads: 1, batchRows: 1, dict: func(int) bool { return false }},
		"dictionaries":        {threads: 2, batchRows: 100, dict: func(int) bool { return true }},
		"mixed, four threads": {threads: 4, batchRows: 37, dict: func(c int) bool { return c%2 == 0 }, shuffle: 7},
		"spilling":            {threads: 3, batchRows: 64, dict: func(c int) bool { return c%3 == 0 }, memory: 1, shuffle: 9},
		"with a prescan":      {threads: 3, batchRows: 50, dict: func(c int) bool { return c%2 == 1 }, shuffle: 11, prescans: true},
		"a prescan, spilling": {threads: 2, batchRows: 200, dict: func(int) bool { return false }, memory: 1, prescans: true},
	}
	smallRanges(t)
	seeds := uint64(3)
	if sweep.Whole() {
		seeds = 12
	}
	for seed := range seeds {
		rows, o := random(seed, 2000), optionsOf(t, seed)
		want := slow(o, rows)
		triesEverything(t, rows, want)
		for name, l := range layouts {
			t.Run(fmt.Sprintf("seed %d, %s", seed, name), func(t *testing.T) {
				s, err := feed(t, o, rows, l)
				if err != nil {
					t.Fatal(err)
				}
				want.check(t, o, s.Dispositions, s.Facts, rankingOf(t, s), s.Candidates)
			})
		}
	}
}

// smallRanges makes the order cut its ranges small enough that a few suspects fill several.
func smallRanges(t *testing.T) {
	before := rangeSuspects
	rangeSuspects = 8
	t.Cleanup(func() { rangeSuspects = before })
}

// cutOff is the stack of a ranking, with its contributions.
func cutOff(t *testing.T, m schemas.Model, ranking []schemas.Ranked, candidates []schemas.Contribution) (*Stack, []schemas.Contribution) {
	stack := NewStack(m)
	for from := 0; from < len(ranking); from += 7 {
		if err := stack.Add(ranking[from:min(from+7, len(ranking))]); err != nil {
			t.Fatal(err)
		}
	}
	return stack, stack.Contributions(candidates)
}

// check compares what the engine made of an extract with the slow reading of it.
func (want reading) check(t *testing.T, o Options, d schemas.Dispositions, f schemas.Facts, ranking []schemas.Ranked, candidates []schemas.Contribution) {
	t.Helper()
	if d != want.counts {
		t.Errorf("dispositions\n got %v\nwant %v", d, want.counts)
	}
	quarantined := int64(0)
	for _, n := range f.QuarantineReasons {
		quarantined += n
	}
	if quarantined != d[schemas.Quarantined] {
		t.Errorf("%d rows are quarantined with a reason: %v", quarantined, f.QuarantineReasons)
	}
	f.QuarantineReasons = nil
	if got, wanted := fmt.Sprintf("%+v", f), fmt.Sprintf("%+v", want.facts); got != wanted {
		t.Errorf("facts\n got %s\nwant %s", got, wanted)
	}
	same(t, ranking, want.ranking)
	_, contributions := cutOff(t, o.Model, want.ranking, candidates)
	explained, rows, share := map[int64]bool{}, map[string]bool{}, 0.0
	for _, c := range contributions {
		suspect := want.ranking[c.Position-1]
		w, known := want.scored[c.AllegationID]
		if !known || rows[c.AllegationID] || c.SuspectID != suspect.SuspectID {
			t.Fatalf("position %d: %.100s was not scored, comes twice, or is another's", c.Position, c.AllegationID)
		}
		if adds := float64(c.Base) * float64(c.FrequencyPPM) / 1e6 / float64(suspect.Score); c.Share < adds-1e-6 || c.Share > adds+1e-6 {
			t.Errorf("position %d: a share of %f, want %f", c.Position, c.Share, adds)
		}
		got := schemas.Contribution{SuspectID: c.SuspectID, AllegationID: c.AllegationID, HarmDays: c.HarmDays, WeightRule: c.WeightRule, Age: c.Age, RecencyPPM: c.RecencyPPM,
			Base: c.Base, FrequencyPPM: c.FrequencyPPM, LeavesOn: c.LeavesOn, OlderStands: c.OlderStands, URNContradicts: c.URNContradicts}
		if got != w {
			t.Errorf("position %d:\n got %+v\nwant %+v", c.Position, got, w)
		}
		explained[c.Position], rows[c.AllegationID] = true, true
		share += c.Share
	}
	onStack := 0
	for _, r := range want.stack(o.Model) {
		onStack++
		if !explained[r.Position] {
			t.Errorf("position %d is on the stack and not explained", r.Position)
		}
	}
	if len(explained) != onStack || share < float64(onStack)-1e-6 || share > float64(onStack)+1e-6 {
		t.Errorf("%d of %d suspects are explained, by shares of %f", len(explained), onStack, share)
	}
}

// stack is the first so many who are not in custody, and those in custody above the last of them (section 6, lanes).
func (want reading) stack(m schemas.Model) (stack []schemas.Ranked) {
	counted, last := int64(0), 0
	for _, r := range want.ranking {
		if counted == m.Depth {
			break
		}
		if stack = append(stack, r); m.Custody == schemas.CustodyCounted || r.Lane != "contained" {
			counted++
			last = len(stack)
		}
	}
	return stack[:last]
}

// reader gives suspects some at a time, and spoils what it gave before.
type reader struct {
	rows []schemas.Suspect
	last []schemas.Suspect
	err  error
}

func (r *reader) Read() ([]schemas.Suspect, error) {
	for i := range r.last {
		r.last[i] = schemas.Suspect{}
	}
	if len(r.rows) == 0 {
		return nil, r.err
	}
	n := min(7, len(r.rows))
	r.last, r.rows = slices.Clone(r.rows[:n]), r.rows[n:]
	return r.last, nil
}

// The rank stage merges the suspects of any number of shards into the order of the engine.
func TestRankAgreesWithTheEngine(t *testing.T) {
	smallRanges(t)
	s := score(t, random(3, 3000))
	want := rankingOf(t, s)
	for _, n := range []int{1, 2, 9} {
		shards := make([]SuspectReader, n)
		for i := range shards {
			shards[i] = &reader{err: io.EOF}
		}
		i := 0
		err := s.SuspectRows(t.Context(), func(rows []schemas.Suspect) error {
			for _, row := range rows {
				r := shards[i*i%n].(*reader)
				r.rows = append(r.rows, row)
				i++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		var got []schemas.Ranked
		err = Rank(t.Context(), reference.Default(), s.Sums(), shards, func(rows []schemas.Ranked) error {
			got = append(got, rows...)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		same(t, got, want)
	}
	broken := errors.New("a damaged file")
	err := Rank(t.Context(), reference.Default(), s.Sums(), []SuspectReader{&reader{err: io.EOF}, &reader{rows: make([]schemas.Suspect, 3), err: broken}}, func([]schemas.Ranked) error { return nil })
	if !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

func TestFinishIsCancelled(t *testing.T) {
	e, err := New(options(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Finish(ctx, 2); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// Ids of every shape spread evenly over the buckets, and hardly two share the rest of their hash.
func TestHashSpreads(t *testing.T) {
	for _, shape := range []string{"P%07d", "%08d", "A%010d", "%016d", "%07d-0000", "suspect-%d", "%d", "00000000%08d", "a rather long id of a person, number %d"} {
		const n = 1 << 16
		var buckets [bucket.Count]int
		rest := map[uint32]int{}
		for i := range n {
			h := bucket.Hash(fmt.Appendf(nil, shape, i))
			buckets[bucket.Of(h)]++
			rest[uint32(h>>32)]++
		}
		if most, mean := slices.Max(buckets[:]), n/bucket.Count; most > mean*3/2 {
			t.Errorf("%s: a bucket holds %d of %d, %d would be even", shape, most, n, mean)
		}
		if twice := n - len(rest); twice > 5 {
			t.Errorf("%s: %d of %d share their hash's high half", shape, twice, n)
		}
	}
}
