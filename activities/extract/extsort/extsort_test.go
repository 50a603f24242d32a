package extsort

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/big"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"harmstack/activities/extract"
	"harmstack/activities/store/leaktest"
	"harmstack/activities/store/spill"
	"harmstack/schemas"
)

// sample makes rows with nulls everywhere, ids that come twice, and rows that do.
func sample(n int) (rows []schemas.Offence) {
	random := rand.New(rand.NewPCG(3, 4))
	for i := range n {
		if i > 0 && random.IntN(10) == 0 {
			rows = append(rows, rows[random.IntN(i)])
			continue
		}
		var o schemas.Offence
		v := reflect.ValueOf(&o).Elem()
		for c := range v.NumField() {
			if random.IntN(5) == 0 {
				continue
			}
			f := reflect.New(v.Field(c).Type().Elem())
			switch schemas.Offences[c].Type {
			case schemas.String:
				f.Elem().SetString([]string{"", "C", "C\x00", "Cü", "long prefix "}[random.IntN(5)] + fmt.Sprint(random.IntN(n)))
			case schemas.Int32:
				f.Elem().SetInt(int64(random.IntN(200) - 20))
			case schemas.Bool:
				f.Elem().SetBool(random.IntN(2) == 0)
			case schemas.Timestamp:
				f.Elem().SetInt(random.Int64N(2e15) - 1e14)
			}
			v.Field(c).Set(f)
		}
		rows = append(rows, o)
	}
	return rows
}

// row is an offence as values.
func row(o schemas.Offence) (r Row) {
	v := reflect.ValueOf(o)
	for c := range r {
		if f := v.Field(c); !f.IsNil() {
			r[c] = parquet.ValueOf(f.Elem().Interface())
		}
	}
	return r
}

func id(o schemas.Offence) string {
	if o.AllegationID == nil {
		return ""
	}
	return *o.AllegationID
}

func sorted(t *testing.T, rows []schemas.Offence, memory int64) *Sorter {
	t.Helper()
	s := NewSorter(spill.Folder(t.TempDir()), memory)
	t.Cleanup(func() { s.Close() })
	for _, o := range rows {
		if err := s.Add(new(row(o))); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Finish(); err != nil {
		t.Fatal(err)
	}
	return s
}

// written are the rows of the file, and what they come to.
func written(t *testing.T, records iter.Seq2[Record, error]) ([]schemas.Offence, Sum, []byte) {
	t.Helper()
	var out bytes.Buffer
	sum, err := Write(t.Context(), records, &out, 3, true, nil)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := parquet.Read[schemas.Offence](bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	return rows, sum, out.Bytes()
}

// text is a row as text, to count rows by.
func text(o schemas.Offence) string {
	var b strings.Builder
	v := reflect.ValueOf(o)
	for c := range v.NumField() {
		if f := v.Field(c); f.IsNil() {
			b.WriteString("null,")
		} else {
			fmt.Fprintf(&b, "%q,", fmt.Sprint(f.Elem().Interface()))
		}
	}
	return b.String()
}

func texts(rows []schemas.Offence) (all []string) {
	for _, o := range rows {
		all = append(all, text(o))
	}
	slices.Sort(all)
	return all
}

func TestOneOrder(t *testing.T) {
	rows := sample(60_000)
	got, sum, file := written(t, sorted(t, rows, 1<<40).Records())
	if !slices.IsSortedFunc(got, func(a, b schemas.Offence) int { return cmp.Compare(id(a), id(b)) }) {
		t.Error("not by allegation_id")
	}
	if !slices.Equal(texts(got), texts(rows)) {
		t.Error("other rows")
	}
	stamps, newest := new(big.Int), int64(0)
	for _, o := range rows {
		line := id(o) + "|"
		if o.UpdatedAt != nil {
			line += fmt.Sprint(*o.UpdatedAt)
			newest = max(newest, *o.UpdatedAt)
		}
		digest := sha256.Sum256([]byte(line))
		stamps.Add(stamps, new(big.Int).SetUint64(binary.BigEndian.Uint64(digest[:8])&(1<<60-1)))
	}
	if sum.Rows != 60_000 || sum.Stamps != stamps.String() || sum.Newest != newest {
		t.Errorf("%+v: want %s, %d", sum, stamps, newest)
	}
	// The same in another order, spilled, and read from the file again.
	rand.New(rand.NewPCG(5, 6)).Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	spilled := sorted(t, rows, 0)
	if len(spilled.runs) < 2 {
		t.Fatalf("%d runs", len(spilled.runs))
	}
	if size, found := leaktest.OpenFiles(t, string(spilled.temp), "long prefix "); size == 0 || len(found) > 0 {
		t.Errorf("%d bytes spilled, %q found", size, found)
	}
	f, err := extract.Open(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	for name, records := range map[string]iter.Seq2[Record, error]{"spilled": spilled.Records(), "from the file": Records(t.Context(), f)} {
		_, again, bytesAgain := written(t, records)
		if again != sum || !bytes.Equal(bytesAgain, file) {
			t.Errorf("%s: %+v", name, again)
		}
	}
	if _, err := Write(t.Context(), func(yield func(Record, error) bool) {
		for r, err := range Records(t.Context(), f) {
			if !yield(r, err) {
				return
			}
		}
		yield(Record(append([]byte{2, '0'}, make([]byte, schemas.OffenceColumns-1)...)), nil)
	}, io.Discard, 1, false, nil); !errors.Is(err, errOrder) {
		t.Errorf("out of order: %v", err)
	}
}

func TestMerge(t *testing.T) {
	rows := sample(5000)
	base, changed := rows[:3000], rows[3000:]
	limit := int64(5e14)
	keep := func(o schemas.Offence) bool { return o.ReportedAt == nil || *o.ReportedAt >= limit }
	replaced := map[string]bool{}
	for _, o := range changed {
		replaced[id(o)] = true
	}
	want := slices.Clone(changed)
	for _, o := range base {
		if !replaced[id(o)] && keep(o) {
			want = append(want, o)
		}
	}
	if len(want) < 3000 || len(want) > 4900 {
		t.Fatalf("%d rows: the case shows nothing", len(want))
	}
	_, wanted, file := written(t, sorted(t, want, 0).Records())
	keepRecord := func(r Record) bool {
		micros, ok := r.Time(schemas.ReportedAt)
		return !ok || micros >= limit
	}
	_, sum, merged := written(t, Merge(sorted(t, base, 0).Records(), sorted(t, changed, 0).Records(), keepRecord))
	if sum != wanted || !bytes.Equal(merged, file) {
		t.Errorf("%+v, want %+v", sum, wanted)
	}
	for name, failing := range map[string]func(a, b iter.Seq2[Record, error]) iter.Seq2[Record, error]{
		"base":    func(a, b iter.Seq2[Record, error]) iter.Seq2[Record, error] { return Merge(broken(a), b, keepRecord) },
		"changed": func(a, b iter.Seq2[Record, error]) iter.Seq2[Record, error] { return Merge(a, broken(b), keepRecord) },
	} {
		if _, err := Write(t.Context(), failing(sorted(t, base, 0).Records(), sorted(t, changed, 0).Records()), nil, 1, true, nil); !errors.Is(err, errBroken) {
			t.Errorf("%s breaks off: %v", name, err)
		}
	}
}

var errBroken = errors.New("broken")

// broken ends in its middle.
func broken(records iter.Seq2[Record, error]) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		n := 0
		for r, err := range records {
			if n++; n == 1000 {
				yield(nil, errBroken)
				return
			}
			if !yield(r, err) {
				return
			}
		}
	}
}
