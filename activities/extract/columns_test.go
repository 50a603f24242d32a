package extract

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v16/arrow"
	"github.com/apache/arrow/go/v16/parquet"
	"github.com/apache/arrow/go/v16/parquet/schema"
	parquetgo "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"harmstack/schemas"
	"harmstack/schemas/sweep"
)

func openBytes(data []byte) (*File, error) { return Open(bytes.NewReader(data), int64(len(data))) }

// renamed is the file with columns under other names.
func renamed(t *testing.T, data []byte, names map[string]string) []byte {
	return withFooter(t, data, func(m *format.FileMetaData) {
		for i := range m.Schema {
			if to, ok := names[m.Schema[i].Name]; ok {
				m.Schema[i].Name = to
			}
		}
	})
}

func TestNamesOfColumns(t *testing.T) {
	t.Parallel()
	data := encode(t, sample(100))
	for _, c := range []struct {
		scenario string
		names    map[string]string
		want     string   // of the error; empty: none
		absent   []string // columns that read as null
		near     []string
	}{
		{"as they are", nil, "", nil, nil},
		{"another letter case", map[string]string{"suspect_age": "Suspect_Age", "suspect_id": "SUSPECT_ID"}, "", nil, nil},
		{"one twice", map[string]string{"victim_id": "suspect_id"}, "column suspect_id is there twice", nil, nil},
		{"one twice, neither as the contract has it", map[string]string{"victim_id": "Suspect_ID", "suspect_id": "Suspect_ID"}, "column suspect_id is there twice", nil, nil},
		{"one twice in different case", map[string]string{"victim_age": "Suspect_Age"}, "column suspect_age is there twice, in different letter case", nil, nil},
		{"twice, and one that may be null", map[string]string{"victim_age": "suspect_age"}, "column suspect_age is there twice", nil, nil},
		{"two further columns of one name are no matter", map[string]string{"victim_age": "officer", "committed_at": "officer"}, "", []string{"committed_at", "victim_age"}, nil},
		{"a space", map[string]string{"suspect_age": "suspect age"}, "", []string{"suspect_age"}, []string{"suspect_age"}},
		{"no underscore", map[string]string{"domestic_abuse": "DomesticAbuse"}, "", []string{"domestic_abuse"}, []string{"domestic_abuse"}},
		{"a letter missing", map[string]string{"suspect_age": "suspct_age"}, "", []string{"suspect_age"}, []string{"suspect_age"}},
		{"a letter too many", map[string]string{"suspect_age": "suspect_ages"}, "", []string{"suspect_age"}, []string{"suspect_age"}},
		{"another letter", map[string]string{"victim_age": "viktim_age"}, "", []string{"victim_age"}, []string{"victim_age"}},
		{"two letters that have changed places", map[string]string{"borough": "boruogh"}, "", []string{"borough"}, []string{"borough"}},
		{"something else", map[string]string{"suspect_age": "age_of_them"}, "", []string{"suspect_age"}, nil},
		{"one that must be there", map[string]string{"suspect_id": "suspect id"}, "column suspect_id: expected string, found no such column, but one that is called nearly so", nil, nil},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			f, err := openBytes(renamed(t, data, c.names))
			if c.want != "" {
				var mismatch *SchemaMismatch
				if !errors.As(err, &mismatch) || !strings.HasSuffix(err.Error(), ": "+c.want) {
					t.Errorf("error %v, want %q", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var absent []string
			for _, column := range schemas.Offences {
				if f.Forms()[column.Name] == Absent {
					absent = append(absent, column.Name)
				}
			}
			if !slices.Equal(absent, c.absent) || !slices.Equal(f.NearColumns(), c.near) {
				t.Errorf("absent %v, near %v", absent, f.NearColumns())
			}
			if strings.Contains(schemas.NearNote(f.NearColumns()), "viktim") {
				t.Error("the name of a further column is told")
			}
		})
	}
}

// A column of which the writer saw no value is of type Null: all of it is null.
func TestColumnsOfTypeNull(t *testing.T) {
	t.Parallel()
	rows := sample(500)
	for i := range rows {
		rows[i].SuspectAge, rows[i].SuspectID, rows[i].CommittedAt, rows[i].DomesticAbuse = nil, nil, nil, nil
	}
	empty := []string{"suspect_age", "suspect_id", "committed_at", "domestic_abuse"}
	for scenario, form := range map[string]arrowForm{
		"as pandas and Arrow write it": {parquet.Types.Int32, schema.NullLogicalType{}, -1, encodings.Plain, func(v int64) any { return int32(v) }},
		"as texts":                     {parquet.Types.ByteArray, schema.NullLogicalType{}, -1, encodings.Plain, nil},
		"as booleans":                  {parquet.Types.Boolean, schema.NullLogicalType{}, -1, encodings.Plain, nil},
	} {
		t.Run(scenario, func(t *testing.T) {
			data := writeArrow(t, rows, func(column int) arrowForm {
				if slices.Contains(empty, schemas.Offences[column].Name) {
					return form
				}
				return arrowForms(column, 0)
			}, false)
			got, err := scanAll(data, 2)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, got, expected(rows))
			f, _ := openBytes(data)
			if form := f.Forms()["suspect_age"]; form != Empty {
				t.Errorf("its form is %q", form)
			}
		})
	}
	data := writeArrow(t, make([]schemas.Offence, 10), func(column int) arrowForm {
		return arrowForm{parquet.Types.Int32, schema.NullLogicalType{}, -1, encodings.Plain, nil}
	}, false)
	var mismatch *SchemaMismatch
	if _, err := openBytes(data); !errors.As(err, &mismatch) || len(mismatch.Faults) != 7 || !strings.Contains(err.Error(), "column outcome: expected string, found a column without a value (of type Null)") {
		t.Errorf("of columns that may not be null: %v", err)
	}
}

func TestEncryptedFiles(t *testing.T) {
	t.Parallel()
	key := strings.Repeat("k", 16)
	column := func(name string) parquet.EncryptOption {
		return parquet.WithEncryptedColumns(parquet.ColumnPathToEncryptionPropsMap{name: parquet.NewColumnEncryptionProperties(name, parquet.WithKey(key))})
	}
	write := func(options ...parquet.EncryptOption) []byte {
		return writeArrow(t, sample(50), func(column int) arrowForm { return arrowForms(column, 0) }, false,
			parquet.WithEncryptionProperties(parquet.NewFileEncryptionProperties(key, options...)))
	}
	for scenario, c := range map[string]struct {
		data []byte
		want string
	}{
		"the footer":            {write(), "it is encrypted: give a file that is not"},
		"every column":          {write(parquet.WithPlaintextFooter()), "column allegation_id, like 18 others, is encrypted: give a file that is not, or one in which the columns of the contract are not"},
		"one column":            {write(parquet.WithPlaintextFooter(), column("victim_age")), "column victim_age is encrypted"},
		"one beyond those read": {bytes.ReplaceAll(write(parquet.WithPlaintextFooter(), column("victim_age")), []byte("victim_age"), []byte("officer_no")), ""},
	} {
		t.Run(scenario, func(t *testing.T) {
			f, err := openBytes(c.data)
			if c.want == "" {
				if err != nil || f.ExtraColumns() != 1 {
					t.Errorf("%v", err)
				}
				return
			}
			if err == nil || strings.Count(err.Error(), "encrypted") != 1 || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want %q once", err, c.want)
			}
		})
	}
}

// What is wrong with all columns is said once.
func TestCodecsThatAreNotRead(t *testing.T) {
	t.Parallel()
	data := encode(t, sample(10))
	for codec, want := range map[format.CompressionCodec]string{
		format.Lz4: "column allegation_id, like 18 others, is compressed by the old LZ4, of which there are several kinds: write the file with snappy, gzip, zstd, brotli, LZ4_RAW or none",
		format.LZO: "is compressed by LZO",
		77:         "is compressed by a codec that nobody knows (number 77)",
	} {
		_, err := openBytes(withFooter(t, data, func(m *format.FileMetaData) { setCodec(m, codec) }))
		var mismatch *SchemaMismatch
		if !errors.As(err, &mismatch) || len(mismatch.Faults) != 1 || !strings.Contains(err.Error(), want) {
			t.Errorf("codec %d: %v", codec, err)
		}
	}
	_, err := openBytes(withFooter(t, data, func(m *format.FileMetaData) { m.RowGroups[0].Columns[3].FilePath = "part.parquet" }))
	if err == nil || !strings.Contains(err.Error(), "column suspect_age lies in another file than this one") {
		t.Errorf("%v", err)
	}
}

// Row groups may be compressed in different ways.
func TestCodecsByRowGroup(t *testing.T) {
	t.Parallel()
	rows := sample(400)
	data := encode(t, rows[:200], parquetgo.Compression(&parquetgo.Zstd))
	other := encode(t, rows[200:], parquetgo.Compression(&parquetgo.Lz4Raw))
	moved := int64(len(data))
	joined := withFooter(t, data, func(*format.FileMetaData) {}, func(before []byte, m *format.FileMetaData) []byte {
		moved = int64(len(before))
		withFooter(t, other, func(o *format.FileMetaData) {
			group := o.RowGroups[0]
			for i := range group.Columns {
				c := &group.Columns[i].MetaData
				c.DataPageOffset += moved
				if c.DictionaryPageOffset != 0 {
					c.DictionaryPageOffset += moved
				}
			}
			m.RowGroups = append(m.RowGroups, group)
			m.NumRows += o.NumRows
		})
		return append(before, other...)
	})
	got, err := scanAll(joined, 2)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, got, expected(rows))
}

// A file of forty thousand row groups has a footer of some hundred mebibytes.
func TestVeryManyRowGroups(t *testing.T) {
	t.Parallel()
	groups := 10_000
	if sweep.Whole() {
		groups = 40_000
	}
	rows := int64(3 * groups)
	data := encode(t, sample(3))
	many := withFooter(t, data, func(m *format.FileMetaData) {
		m.RowGroups = thrift.Slice[format.RowGroup](slices.Repeat(m.RowGroups, groups))
		m.NumRows *= int64(groups)
	})
	f, err := openBytes(many)
	if err != nil {
		t.Fatal(err)
	}
	if f.Rows() != rows {
		t.Fatalf("%d rows", f.Rows())
	}
	want := expected(sample(3))
	c := &collector{rows: map[int64]string{}}
	seen := int64(0)
	err = f.Scan(t.Context(), 1, 0, func() Sink {
		return sinkFunc(func(b arrow.Record, first int64) error {
			seen += b.NumRows()
			if first == 0 || first == rows-3 {
				return c.sink().Add(b, first)
			}
			return nil
		})
	}, nil)
	if err != nil || seen != rows {
		t.Fatalf("%d rows, %v", seen, err)
	}
	for i := range int64(3) {
		last := strings.Replace(c.rows[rows-3+i], fmt.Sprint(rows-3+i), fmt.Sprint(i), 1)
		if c.rows[i] != want[i] || last != want[i] {
			t.Errorf("row %d:\n got %s\n and %s\nwant %s", i, c.rows[i], last, want[i])
		}
	}
}

// A long footer is read, though few row groups stand in it: some writers say much of each.
func TestLongFooter(t *testing.T) {
	t.Parallel()
	const more = 100 << 20
	data := encode(t, sample(3))
	end := len(data) - 8
	length := le.Uint32(data[end:])
	// In front of its end, the footer gets a text in a field that nobody knows (number 1,000, in long form).
	long := binary.AppendUvarint(append(bytes.Clone(data[:end-1]), byte(thrift.BINARY), 0xd0, 0x0f), more)
	grown := len(long) - (end - 1) + more
	long = le.AppendUint32(append(append(long, make([]byte, more)...), 0), length+uint32(grown))
	if f, err := openBytes(append(long, "PAR1"...)); err != nil || f.Rows() != 3 {
		t.Error(err)
	}
}

// One page may be as large as half of the memory; where it is larger, the error says how much would do.
func TestOneLargePage(t *testing.T) {
	t.Parallel()
	rows := sample(700)
	for i := range rows {
		rows[i].ReportID = ptr(strings.Repeat(string(rune('a'+i%26)), 100_000))
	}
	data := encode(t, rows, parquetgo.PageBufferSize(1<<30), parquetgo.Compression(&parquetgo.Snappy))
	f, err := openBytes(data)
	if err != nil {
		t.Fatal(err)
	}
	f.Limit(100 << 20)
	never := func() Sink { return sinkFunc(func(arrow.Record, int64) error { t.Error("a row was fed"); return nil }) }
	err = f.Scan(context.Background(), 4, 0, never, nil)
	if !errors.Is(err, ErrTooLarge) || errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "of column report_id alone 71, and there are 50 for them: allow 1") {
		t.Errorf("error %v", err)
	}
	f.Limit(200 << 20)
	c := &collector{rows: map[int64]string{}}
	if err := f.Scan(context.Background(), 4, 0, c.sink, nil); err != nil {
		t.Fatal(err)
	}
	want := expected(rows)
	if !maps.Equal(c.rows, want) {
		t.Error("other rows than were written")
	}
}
