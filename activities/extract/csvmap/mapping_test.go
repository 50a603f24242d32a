package csvmap

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"harmstack/schemas"
)

// convert gives back the rows of the file that the text becomes.
func convert(t testing.TB, text string, m *Mapping) ([]schemas.Offence, Result, error) {
	t.Helper()
	var out bytes.Buffer
	result, err := Convert(t.Context(), strings.NewReader(text), m, &out, nil)
	if err != nil {
		return nil, result, err
	}
	rows, err := parquet.Read[schemas.Offence](bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(rows)) != result.Rows {
		t.Errorf("%d rows in the file, %d converted", len(rows), result.Rows)
	}
	return rows, result, nil
}

// header has every column of the contract.
func header() (names []string) {
	for _, c := range schemas.Offences {
		names = append(names, c.Name)
	}
	return names
}

// written is an offence as fields of text.
func written(o schemas.Offence) (fields []string) {
	v := reflect.ValueOf(o)
	for i := range v.NumField() {
		f := v.Field(i)
		switch {
		case f.IsNil():
			fields = append(fields, "")
		case schemas.Offences[i].Type == schemas.Timestamp:
			fields = append(fields, time.UnixMicro(f.Elem().Int()).UTC().Format("2006-01-02T15:04:05.999999Z"))
		default:
			fields = append(fields, fmt.Sprint(f.Elem().Interface()))
		}
	}
	return fields
}

// sample makes rows with nulls everywhere and with texts that CSV finds hard.
func sample(n int) (rows []schemas.Offence) {
	random := rand.New(rand.NewPCG(1, 2))
	texts := []string{"plain", `with "quotes"`, "with, comma", "two\nlines", "ünïcode €", " spaces ", "'=1+1"}
	for range n {
		var o schemas.Offence
		v := reflect.ValueOf(&o).Elem()
		for i := range v.NumField() {
			if random.IntN(4) == 0 {
				continue
			}
			f := reflect.New(v.Field(i).Type().Elem())
			switch schemas.Offences[i].Type {
			case schemas.String:
				f.Elem().SetString(texts[random.IntN(len(texts))])
			case schemas.Int32:
				f.Elem().SetInt(int64(random.IntN(200) - 20))
			case schemas.Bool:
				f.Elem().SetBool(random.IntN(2) == 0)
			case schemas.Timestamp:
				f.Elem().SetInt(random.Int64N(2e15))
			}
			v.Field(i).Set(f)
		}
		rows = append(rows, o)
	}
	return rows
}

func text(rows []schemas.Offence, comma rune, crlf bool) string {
	var b strings.Builder
	w := csv.NewWriter(&b)
	w.Comma, w.UseCRLF = comma, crlf
	w.Write(header())
	for _, o := range rows {
		w.Write(written(o))
	}
	w.Flush()
	return b.String()
}

func zipped(s string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, s)
	w.Close()
	return b.String()
}

func encoded(s string, err error) string {
	if err != nil {
		panic(err)
	}
	return s
}

// The same rows, however they are written, and over the edge of a batch.
func TestEveryWayOfWriting(t *testing.T) {
	rows := sample(batchRows + 300)
	plain := text(rows, ',', false)
	for _, c := range []struct {
		scenario, text string
		m              Mapping
	}{
		{"plain", plain, Mapping{}},
		{"with a byte order mark", "\ufeff" + plain, Mapping{}},
		{"gzipped", zipped(plain), Mapping{}},
		{"gzipped, with a mark", zipped("\ufeff" + plain), Mapping{}},
		{"semicolons", text(rows, ';', false), Mapping{Delimiter: ";"}},
		{"windows-1252", encoded(charmap.Windows1252.NewEncoder().String(plain)), Mapping{Encoding: "windows-1252"}},
		{"utf-16", encoded(unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewEncoder().String(plain)), Mapping{Encoding: "utf-16"}},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			got, result, err := convert(t, c.text, &c.m)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, rows) || len(result.Unreadable) > 0 || result.ExtraColumns != 0 {
				t.Errorf("%d rows, %+v", len(got), result)
			}
		})
	}
	crlf, _, err := convert(t, strings.ReplaceAll(plain, "\n", "\r\n"), &Mapping{})
	if err != nil || len(crlf) != len(rows) || !reflect.DeepEqual(crlf[0].UpdatedAt, rows[0].UpdatedAt) {
		t.Errorf("CRLF: %d rows, %v", len(crlf), err)
	}
}

const declared = `
columns:
  allegation_id: crime_ref
  report_id: crime_ref
  suspect_id: nominal
  reported_at: {from: date_reported, zone: Europe/London, layouts: ["02/01/2006 15:04"]}
  updated_at: {from: changed}
  outcome: {from: disposal, values: {NFA: no_further_action, CHG: charged}}
  source: {constant: victim}
  offence_code: ho_code
  victim_sex: sex
`

func mapping(t testing.TB, yaml string) *Mapping {
	t.Helper()
	m, err := ParseMapping([]byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMapping(t *testing.T) {
	rows, result, err := convert(t, `crime_ref,nominal,date_reported,changed,disposal,ho_code,sex,officer,suspect_age,domestic_abuse
C1,S1,01/07/2026 09:30,2026-07-01 09:00:00.123456789+02,NFA,19/8,F,PS Example,34,Yes
C2,,31/12/2026 23:59,2027-01-01,open,019/08,F,PS Example,old,maybe
C3,S2,soon,2027-01-01T00:00:00Z, CHG ,019/08,F,,,
`, mapping(t, declared))
	if err != nil {
		t.Fatal(err)
	}
	micro := func(s string) *int64 {
		at, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return new(at.UnixMicro())
	}
	want := []schemas.Offence{
		{AllegationID: new("C1"), ReportID: new("C1"), SuspectID: new("S1"), ReportedAt: micro("2026-07-01T08:30:00Z"), UpdatedAt: micro("2026-07-01T07:00:00.123456Z"),
			Outcome: new("no_further_action"), Source: new("victim"), OffenceCode: new("19/8"), VictimSex: new("F"), SuspectAge: new(int32(34)), DomesticAbuse: new(true)},
		{AllegationID: new("C2"), ReportID: new("C2"), ReportedAt: micro("2026-12-31T23:59:00Z"), UpdatedAt: micro("2027-01-01T00:00:00Z"),
			Outcome: new("open"), Source: new("victim"), OffenceCode: new("019/08"), VictimSex: new("F")},
		{AllegationID: new("C3"), ReportID: new("C3"), SuspectID: new("S2"), UpdatedAt: micro("2027-01-01T00:00:00Z"),
			Outcome: new("charged"), Source: new("victim"), OffenceCode: new("019/08"), VictimSex: new("F")},
	}
	if !reflect.DeepEqual(rows, want) {
		t.Errorf("%+v", rows)
	}
	if !reflect.DeepEqual(result.Unreadable, map[string]int64{"reported_at": 1, "suspect_age": 1, "domestic_abuse": 1}) || result.ExtraColumns != 1 {
		t.Errorf("%+v", result)
	}
}

func TestMappingFaults(t *testing.T) {
	for yaml, want := range map[string]string{
		"columns: {alegation_id: x}":                            "columns.alegation_id: the contract has no such column",
		"columns: {source: {from: a, constant: b}}":             "columns.source: give either",
		"columns: {source: {values: {a: b}}}":                   "columns.source: give either",
		"columns: {source: {from: a, zone: Europe/London}}":     "columns.source: zone and layouts are for timestamps",
		"columns: {reported_at: {from: a, zone: Europe/Lodon}}": "columns.reported_at.zone: it is no time zone",
		"encoding: ebcdic":                                      "encoding: it is not known",
		"delimiter: '||'":                                       "delimiter: it has 2 characters",
		"colums: {}":                                            `unknown field "colums"`,
		"columns: {source: {form: a}}":                          `unknown field "form"`,
		"columns: [allegation_id, crime_no]":                    "mapping: ",
	} {
		if _, err := ParseMapping([]byte(yaml)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", yaml, err)
		}
	}
}

func TestTextFaults(t *testing.T) {
	good := text(sample(3), ',', false)
	for _, c := range []struct{ scenario, text, want string }{
		{"nothing", "", "the text is empty"},
		{"no such column", "allegation_id,report_id\n", "column suspect_id: expected, found none"},
		{"a column twice", "allegation_id, allegation_id \n", `column allegation_id is there twice`},
		{"a column twice in different letter case", "allegation_id,Allegation_ID\n", "column allegation_id is there twice, in different letter case"},
		{"a name with a space", "allegation_id,report_id,suspect id\n", "column suspect_id: expected, found none but one that is called nearly so"},
		{"a field too few", good + "hidden,value\n", "line 5: wrong number of fields"},
		{"a quote that does not end", good + `"hidden value`, `line 5: extraneous or missing " in quoted-field`},
		{"a gzip cut short", zipped(good)[:60], "cannot be read to its end: unexpected EOF"},
		{"no gzip", "\x1f\x8b no", "gzip: "},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			if c.scenario[:7] == "a quote" || c.scenario[:7] == "a field" {
				c.text = strings.ReplaceAll(c.text, "two\nlines", "two lines") // so that lines are rows
			}
			_, _, err := convert(t, c.text, &Mapping{})
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hidden") {
				t.Errorf("%v", err)
			}
		})
	}
	if _, result, err := convert(t, strings.Join(header(), ",")+"\n", &Mapping{}); err != nil || result.Rows != 0 {
		t.Errorf("a header alone: %+v, %v", result, err)
	}
	if _, _, err := convert(t, "crime_ref\n", mapping(t, declared)); !errors.Is(err, ErrMismatch) || !strings.Contains(err.Error(), `column suspect_id: expected in "nominal"`) {
		t.Error(err)
	}
}

// A name in another letter case is taken when there is no other; one that is only called nearly so is told, by the
// contract's name.
func TestNamesOfColumns(t *testing.T) {
	t.Parallel()
	rows := sample(20)
	good := text(rows, ',', false)
	head, body, _ := strings.Cut(good, "\n")
	for _, c := range []struct {
		scenario string
		from, to string // in the header
		mapping  string
		near     []string
		absent   []string
	}{
		{"as they are", "", "", "", nil, nil},
		{"another letter case", "suspect_age", "Suspect_Age", "", nil, nil},
		{"an age with a space", "suspect_age", "Suspect Age", "", []string{"suspect_age"}, []string{"suspect_age"}},
		{"one that the mapping knows", "suspect_age", "Suspect Age", "suspect_age: Suspect Age", nil, nil},
		{"one that the mapping knows in another case", "suspect_age", "SUSPECT AGE", "suspect_age: Suspect Age", nil, nil},
		{"two further columns of one name", "borough", "officer", "victim_age: {constant: '7'}", nil, []string{"borough"}},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			names := strings.Replace(head, c.from, c.to, 1)
			if c.to == "officer" {
				names = strings.Replace(names, "victim_age", "officer", 1)
			}
			_, result, err := convert(t, names+"\n"+body, mapping(t, "columns: {"+c.mapping+"}"))
			if err != nil || !slices.Equal(result.Near, c.near) || !slices.Equal(result.Absent, c.absent) || result.Rows != int64(len(rows)) {
				t.Errorf("near %v, absent %v, %d rows, %v", result.Near, result.Absent, result.Rows, err)
			}
		})
	}
}

// What real exports hold, and what they must not take along.
func TestRealExports(t *testing.T) {
	rows := sample(50)
	plain := text(rows, ',', false)
	var spread strings.Builder // as a spreadsheet writes it: empty columns at the end
	r := csv.NewReader(strings.NewReader(plain))
	w := csv.NewWriter(&spread)
	for {
		record, err := r.Read()
		if err == io.EOF {
			break
		}
		w.Write(append(record, "", ""))
	}
	w.Flush()
	middle := strings.Index(plain, "\n") + 1
	for scenario, s := range map[string]string{
		"empty columns at the end": spread.String(),
		"several gzip members":     zipped(plain[:middle]) + zipped(plain[middle:]),
		"no end of the last line":  strings.TrimSuffix(plain, "\n"),
	} {
		if got, _, err := convert(t, s, &Mapping{}); err != nil || !reflect.DeepEqual(got, rows) {
			t.Errorf("%s: %d rows, %v", scenario, len(got), err)
		}
	}
	few := "allegation_id,report_id,suspect_id,offence_code,reported_at,victim_sex,source,outcome,updated_at\n"
	got, result, err := convert(t, few+"\"A\x00\r\nB\",\xff\xfe,,019/08,2026-03-29 01:30,F,victim,open,2026-01-01\n", &Mapping{})
	if err != nil || *got[0].AllegationID != "A\x00\nB" && *got[0].AllegationID != "A\x00\r\nB" || *got[0].ReportID != "\xff\xfe" || got[0].SuspectID != nil || len(result.Unreadable) > 0 {
		t.Errorf("%+v, %v, %v", got, result, err)
	}
	for scenario, c := range map[string]struct{ text, want string }{
		"lines that end with CR": {strings.ReplaceAll(few, "\n", "\r") + "a,b,c,d,e,f,g,h,i\r", "CR alone"},
		"UTF-16 undeclared":      {encoded(unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewEncoder().String(few)), "UTF-16"},
		"gzip, then something":   {zipped(plain) + "more", "cannot be read to its end"},
	} {
		if _, _, err := convert(t, c.text, &Mapping{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", scenario, err)
		}
	}
}

// endless gives a head, then one byte without end.
type endless struct {
	head strings.Reader
	read int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.head.Len() > 0 {
		return e.head.Read(p)
	}
	for i := range p {
		p[i] = 'x'
	}
	e.read += len(p)
	return len(p), nil
}

// A line, a quoted value or a header without end takes bounded memory, also when little gzip makes much of it.
func TestEndlessText(t *testing.T) {
	few := "allegation_id,report_id,suspect_id,offence_code,reported_at,victim_sex,source,outcome,updated_at\n"
	for _, head := range []string{"", few, few + "\""} {
		e := &endless{head: *strings.NewReader(head)}
		_, err := Convert(t.Context(), e, &Mapping{}, io.Discard, nil)
		if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "a row of more than 16 MiB") || e.read > 2*maxRecord {
			t.Errorf("%.20q: %v after %d bytes", head, err, e.read)
		}
	}
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	io.CopyN(z, &endless{head: *strings.NewReader(few)}, 64<<20)
	z.Close()
	if _, err := Convert(t.Context(), &bomb, &Mapping{}, io.Discard, nil); !errors.Is(err, ErrDamaged) {
		t.Errorf("%d bytes: %v", bomb.Len(), err)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Convert(ctx, strings.NewReader(text(sample(batchRows+1), ',', false)), &Mapping{}, io.Discard, nil); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// Whatever the text, there is no panic, and as many rows as the library sees records.
func FuzzConvert(f *testing.F) {
	f.Add(text(sample(3), ',', false))
	f.Add(zipped(text(sample(1), ',', false)))
	f.Add("allegation_id\n\"")
	f.Fuzz(func(t *testing.T, s string) {
		_, result, err := convert(t, s, &Mapping{})
		if err != nil {
			return
		}
		plain, err := (&Mapping{}).text(strings.NewReader(s))
		if err != nil {
			t.Fatal(err)
		}
		records, err := csv.NewReader(plain).ReadAll()
		if err != nil || int64(len(records)) != result.Rows+1 {
			t.Errorf("%d records, %d rows, %v", len(records), result.Rows, err)
		}
	})
}

func BenchmarkConvert(b *testing.B) {
	rows := sample(100_000)
	s := text(rows, ',', false)
	b.SetBytes(int64(len(s)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Convert(b.Context(), strings.NewReader(s), &Mapping{}, io.Discard, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*float64(len(rows))/b.Elapsed().Seconds(), "rows/s")
}
