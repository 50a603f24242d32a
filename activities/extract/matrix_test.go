package extract

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v16/parquet"
	"github.com/apache/arrow/go/v16/parquet/compress"
	"github.com/apache/arrow/go/v16/parquet/file"
	"github.com/apache/arrow/go/v16/parquet/schema"
	parquetgo "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"harmstack/schemas"
	"harmstack/schemas/sweep"
)

// form is how a column of one of the contract's types is written.
type arrowForm struct {
	physical parquet.Type
	logical  schema.LogicalType // nil: none
	length   int
	encoding parquet.Encoding
	put      func(v int64) any // the value as it is written; nil: as it is
}

var (
	dictionaryForm = parquet.Encodings.RLEDict
	encodings      = parquet.Encodings
)

func decimalOf(digits, scale int32) schema.LogicalType {
	return schema.NewDecimalLogicalType(digits, scale)
}

// bigEndian is a number in two's complement, in so many bytes.
func bigEndian(v *big.Int, length int) []byte {
	if v.Sign() < 0 {
		v = new(big.Int).Add(v, new(big.Int).Lsh(big.NewInt(1), uint(8*length)))
	}
	return v.FillBytes(make([]byte, length))
}

func scaled(digits int) func(int64) *big.Int {
	per := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil)
	return func(v int64) *big.Int { return new(big.Int).Mul(big.NewInt(v), per) }
}

// What each type of the contract may come in, as Arrow can write it.
var (
	textForms = []arrowForm{
		{parquet.Types.ByteArray, schema.StringLogicalType{}, -1, encodings.Plain, nil},
		{parquet.Types.ByteArray, schema.StringLogicalType{}, -1, dictionaryForm, nil},
		{parquet.Types.ByteArray, schema.StringLogicalType{}, -1, encodings.DeltaLengthByteArray, nil},
		{parquet.Types.ByteArray, schema.EnumLogicalType{}, -1, encodings.DeltaByteArray, nil},
		{parquet.Types.ByteArray, nil, -1, dictionaryForm, nil},
	}
	flagForms = []arrowForm{
		{parquet.Types.Boolean, nil, -1, encodings.Plain, nil},
		{parquet.Types.Boolean, nil, -1, encodings.RLE, nil},
	}
	wholeForms = func() (all []arrowForm) {
		as32, as64 := func(v int64) any { return int32(v) }, func(v int64) any { return v }
		for _, e := range []parquet.Encoding{encodings.Plain, dictionaryForm, encodings.DeltaBinaryPacked} {
			all = append(all,
				arrowForm{parquet.Types.Int32, nil, -1, e, as32},
				arrowForm{parquet.Types.Int32, schema.NewIntLogicalType(8, false), -1, e, as32},
				arrowForm{parquet.Types.Int64, schema.NewIntLogicalType(64, true), -1, e, as64},
				arrowForm{parquet.Types.Int32, decimalOf(4, 1), -1, e, func(v int64) any { return int32(10 * v) }},
				arrowForm{parquet.Types.Int64, decimalOf(18, 3), -1, e, func(v int64) any { return 1000 * v }})
		}
		for _, e := range []parquet.Encoding{encodings.Plain, dictionaryForm} {
			fixed := func(digits, scale int32, length int) arrowForm {
				return arrowForm{parquet.Types.FixedLenByteArray, decimalOf(digits, scale), length, e,
					func(v int64) any { return parquet.FixedLenByteArray(bigEndian(scaled(int(scale))(v), length)) }}
			}
			all = append(all,
				arrowForm{parquet.Types.Double, nil, -1, e, func(v int64) any { return float64(v) }},
				arrowForm{parquet.Types.Float, nil, -1, e, func(v int64) any { return float32(v) }},
				fixed(4, 1, 2), fixed(38, 18, 16),
				arrowForm{parquet.Types.ByteArray, decimalOf(9, 2), -1, e, func(v int64) any { return parquet.ByteArray(bigEndian(scaled(2)(v), 1+int(v%3)+2)) }})
		}
		return all
	}()
	timeForms = func() (all []arrowForm) {
		for _, e := range []parquet.Encoding{encodings.Plain, dictionaryForm, encodings.DeltaBinaryPacked} {
			for _, u := range []struct {
				unit schema.TimeUnitType
				of   func(micros int64) any
			}{{schema.TimeUnitMillis, func(v int64) any { return v / 1000 }}, {schema.TimeUnitMicros, func(v int64) any { return v }}, {schema.TimeUnitNanos, func(v int64) any { return v * 1000 }}} {
				all = append(all, arrowForm{parquet.Types.Int64, schema.NewTimestampLogicalType(true, u.unit), -1, e, u.of})
			}
		}
		for _, e := range []parquet.Encoding{encodings.Plain, dictionaryForm} {
			all = append(all, arrowForm{parquet.Types.Int96, nil, -1, e, func(v int64) any {
				const day = 86_400_000_000
				var at parquet.Int96
				binary.LittleEndian.PutUint64(at[:8], uint64(v%day)*1000)
				binary.LittleEndian.PutUint32(at[8:], uint32(v/day+2_440_588))
				return at
			}})
		}
		return all
	}()
)

// cell is the value of a column in a row; nil: null.
func cell(r *schemas.Offence, column int) any {
	if s := textAt(r, column); s != nil {
		if *s == nil {
			return nil
		}
		return **s
	}
	switch column {
	case schemas.SuspectAge, schemas.VictimAge:
		p := map[int]*int32{schemas.SuspectAge: r.SuspectAge, schemas.VictimAge: r.VictimAge}[column]
		if p == nil {
			return nil
		}
		return int64(*p)
	case schemas.DomesticAbuse:
		if r.DomesticAbuse == nil {
			return nil
		}
		return *r.DomesticAbuse
	}
	p := map[int]*int64{schemas.ReportedAt: r.ReportedAt, schemas.CommittedAt: r.CommittedAt, schemas.UpdatedAt: r.UpdatedAt}[column]
	if p == nil {
		return nil
	}
	return *p
}

// textAt is where a row holds a column of texts; nil: the column is of another type.
func textAt(r *schemas.Offence, column int) **string {
	return map[int]**string{schemas.AllegationID: &r.AllegationID, schemas.ReportID: &r.ReportID, schemas.SuspectID: &r.SuspectID, schemas.SuspectStatus: &r.SuspectStatus,
		schemas.OffenceCode: &r.OffenceCode, schemas.OffenceClass: &r.OffenceClass, schemas.OffenceURN: &r.OffenceURN, schemas.BoroughName: &r.Borough,
		schemas.VictimID: &r.VictimID, schemas.VictimSex: &r.VictimSex, schemas.Source: &r.Source, schemas.Outcome: &r.Outcome, schemas.Handling: &r.Handling}[column]
}

// writeArrow writes rows with Arrow's writer, each column in the form that forms says.
func writeArrow(t *testing.T, rows []schemas.Offence, forms func(column int) arrowForm, required bool, options ...parquet.WriterProperty) []byte {
	t.Helper()
	repetition := parquet.Repetitions.Optional
	if required {
		repetition = parquet.Repetitions.Required
	}
	options = append(options, parquet.WithDictionaryDefault(false))
	var fields schema.FieldList
	for i, c := range schemas.Offences {
		f := forms(i)
		node, err := schema.NewPrimitiveNodeLogical(c.Name, repetition, logicalOr(f.logical), f.physical, f.length, -1)
		if err != nil {
			t.Fatal(err)
		}
		fields = append(fields, node)
		if f.encoding == dictionaryForm {
			options = append(options, parquet.WithDictionaryFor(c.Name, true))
		} else {
			options = append(options, parquet.WithEncodingFor(c.Name, f.encoding))
		}
	}
	root, err := schema.NewGroupNode("schema", parquet.Repetitions.Required, fields, -1)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := file.NewParquetWriter(&b, root, file.WithWriterProps(parquet.NewWriterProperties(options...)))
	group := w.AppendRowGroup()
	for i := range schemas.Offences {
		column, err := group.NextColumn()
		if err != nil {
			t.Fatal(err)
		}
		levels, f := make([]int16, len(rows)), forms(i)
		var values []any
		for row := range rows {
			if v := cell(&rows[row], i); v != nil {
				levels[row] = 1
				if n, isNumber := v.(int64); isNumber {
					v = f.put(n)
				} else if s, isText := v.(string); isText {
					v = parquet.ByteArray(s)
				}
				values = append(values, v)
			}
		}
		if required {
			levels = nil
		}
		switch w := column.(type) {
		case *file.ByteArrayColumnChunkWriter:
			_, err = w.WriteBatch(listOf[parquet.ByteArray](values), levels, nil)
		case *file.FixedLenByteArrayColumnChunkWriter:
			_, err = w.WriteBatch(listOf[parquet.FixedLenByteArray](values), levels, nil)
		case *file.Int32ColumnChunkWriter:
			_, err = w.WriteBatch(listOf[int32](values), levels, nil)
		case *file.Int64ColumnChunkWriter:
			_, err = w.WriteBatch(listOf[int64](values), levels, nil)
		case *file.Int96ColumnChunkWriter:
			_, err = w.WriteBatch(listOf[parquet.Int96](values), levels, nil)
		case *file.Float32ColumnChunkWriter:
			_, err = w.WriteBatch(listOf[float32](values), levels, nil)
		case *file.Float64ColumnChunkWriter:
			_, err = w.WriteBatch(listOf[float64](values), levels, nil)
		case *file.BooleanColumnChunkWriter:
			_, err = w.WriteBatch(listOf[bool](values), levels, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func logicalOr(l schema.LogicalType) schema.LogicalType {
	if l == nil {
		return schema.NoLogicalType{}
	}
	return l
}

func listOf[T any](values []any) []T {
	list := make([]T, len(values))
	for i, v := range values {
		list[i] = v.(T)
	}
	return list
}

// runs are rows whose flags come in runs, of which few are as long as a multiple of eight.
func runs(rows []schemas.Offence) []schemas.Offence {
	length, flag := 1, false
	for i, left := 0, 1; i < len(rows); i, left = i+1, left-1 {
		if left == 0 {
			length = length*7%61 + 1
			flag, left = !flag, length
		}
		if i%500 > 250 && rows[i].DomesticAbuse != nil {
			rows[i].DomesticAbuse = ptr(flag)
		}
	}
	return rows
}

// filled are rows without a null.
func filled(rows []schemas.Offence) []schemas.Offence {
	for i := range rows {
		r := &rows[i]
		for column := range schemas.Offences {
			if s := textAt(r, column); s != nil && *s == nil {
				*s = ptr(fmt.Sprint("filled ", i%17))
			}
		}
		fill := func(p **int64) {
			if *p == nil {
				*p = ptr(int64(1_760_000_000_000_000 + i*1000))
			}
		}
		fill(&r.ReportedAt)
		fill(&r.CommittedAt)
		fill(&r.UpdatedAt)
		if r.SuspectAge == nil {
			r.SuspectAge, r.VictimAge, r.DomesticAbuse = ptr(int32(i%130)), ptr(int32(i%7)), ptr(i%3 == 0)
		}
	}
	return rows
}

// Every physical type that a column of the contract may come in, in every encoding, page version and codec that Arrow's
// writer has, with nulls and without, in pages of a few values and in one: each value is what was written.
func TestEveryEncodingByValue(t *testing.T) {
	t.Parallel()
	const n = 300
	rows, full := runs(sample(n)), runs(filled(sample(n)))
	want := map[bool]map[int64]string{false: expected(rows), true: expected(full)}
	codecs := []compress.Compression{compress.Codecs.Uncompressed, compress.Codecs.Snappy, compress.Codecs.Gzip, compress.Codecs.Brotli, compress.Codecs.Zstd}
	written := map[bool][]schemas.Offence{false: rows, true: full}
	for turn := range len(wholeForms) { // the longest list
		forms := func(column int) arrowForm { return arrowForms(column, turn) }
		for _, version := range []parquet.DataPageVersion{parquet.DataPageV1, parquet.DataPageV2} {
			for i, codec := range codecs {
				if i >= 2 && turn%5 != i && !sweep.Whole() {
					continue // their compressors take most of the time: each meets every fifth turn
				}
				for _, required := range []bool{false, true} {
					pageSize := int64(1 << 20)
					if i < 2 && turn%2 == 0 { // Arrow makes the other compressors anew for every page
						pageSize = 200
					}
					name := fmt.Sprintf("%s %s, %s %s, %s %s, %s, pages v%d of %d, %s, required %t", forms(schemas.SuspectAge).physical, forms(schemas.SuspectAge).encoding,
						forms(schemas.ReportedAt).physical, forms(schemas.ReportedAt).encoding, forms(schemas.SuspectID).encoding, forms(schemas.DomesticAbuse).encoding,
						forms(schemas.DomesticAbuse).physical, version+1, pageSize, codec, required)
					data := writeArrow(t, written[required], forms, required, parquet.WithDataPageVersion(version), parquet.WithCompression(codec),
						parquet.WithDataPageSize(pageSize), parquet.WithBatchSize(32))
					got, err := scanAll(data, 1+turn%2)
					if err != nil {
						t.Errorf("%s: %v", name, err)
						continue
					}
					if len(got) != n {
						t.Errorf("%s: %d rows", name, len(got))
					}
					for row, w := range want[required] {
						if got[row] != w {
							t.Errorf("%s: row %d:\n got %s\nwant %s", name, row, got[row], w)
							break
						}
					}
				}
			}
		}
	}
}

// split is a layout that Arrow cannot write.
type split struct {
	AllegationID  string   `parquet:"allegation_id,delta"`
	ReportID      string   `parquet:"report_id,delta"`
	SuspectID     string   `parquet:"suspect_id,dict"`
	SuspectAge    *int32   `parquet:"suspect_age,optional,split"`
	OffenceCode   string   `parquet:"offence_code"`
	ReportedAt    int64    `parquet:"reported_at,timestamp(microsecond),split"`
	CommittedAt   *int64   `parquet:"committed_at,optional,timestamp(nanosecond),split"`
	VictimSex     string   `parquet:"victim_sex"`
	VictimAge     *float64 `parquet:"victim_age,optional,split"`
	DomesticAbuse *bool    `parquet:"domestic_abuse,optional"`
	Source        string   `parquet:"source"`
	Outcome       string   `parquet:"outcome"`
	UpdatedAt     int64    `parquet:"updated_at,timestamp(millisecond),split"`
}

// BYTE_STREAM_SPLIT, and LZ4_RAW, are written by parquet-go.
func TestEncodingsOfParquetGoByValue(t *testing.T) {
	t.Parallel()
	rows := filled(sample(1000))
	made := make([]split, len(rows))
	for i := range rows {
		r := &rows[i]
		r.SuspectStatus, r.OffenceClass, r.OffenceURN, r.Borough, r.VictimID, r.Handling = nil, nil, nil, nil, nil, nil
		made[i] = split{AllegationID: *r.AllegationID, ReportID: *r.ReportID, SuspectID: *r.SuspectID, OffenceCode: *r.OffenceCode, ReportedAt: *r.ReportedAt,
			VictimSex: *r.VictimSex, DomesticAbuse: r.DomesticAbuse, Source: *r.Source, Outcome: *r.Outcome, UpdatedAt: *r.UpdatedAt / 1000}
		if i%3 == 0 {
			r.SuspectAge, r.CommittedAt, r.VictimAge = nil, nil, nil
			continue
		}
		made[i].SuspectAge, made[i].CommittedAt, made[i].VictimAge = r.SuspectAge, ptr(*r.CommittedAt*1000), ptr(float64(*r.VictimAge))
	}
	for _, version := range []int{1, 2} {
		for _, codec := range []parquetgo.WriterOption{parquetgo.Compression(&parquetgo.Uncompressed), parquetgo.Compression(&parquetgo.Lz4Raw)} {
			got, err := scanAll(encode(t, made, parquetgo.DataPageVersion(version), codec, parquetgo.PageBufferSize(3000)), 2)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, got, expected(rows))
		}
	}
}

// A number that is not whole is null, and counted once for all readings; NaN is null.
func TestNumbersThatAreNotWhole(t *testing.T) {
	t.Parallel()
	rows := filled(sample(3000))
	wholes := map[string]arrowForm{
		"floating-point": {parquet.Types.Double, nil, -1, encodings.Plain, func(v int64) any { return float64(v) / 2 }},
		"a dictionary":   {parquet.Types.Double, nil, -1, dictionaryForm, func(v int64) any { return float64(v) / 2 }},
		"numeric(4,1)":   {parquet.Types.Int32, decimalOf(4, 1), -1, encodings.Plain, func(v int64) any { return int32(v) * 5 }},
		"wide":           {parquet.Types.FixedLenByteArray, decimalOf(38, 18), 16, dictionaryForm, func(v int64) any { return parquet.FixedLenByteArray(bigEndian(scaled(17)(v*5), 16)) }},
	}
	for scenario, form := range wholes {
		t.Run(scenario, func(t *testing.T) {
			halved, odd := append([]schemas.Offence{}, rows...), int64(0)
			for i := range halved {
				if half := *rows[i].SuspectAge / 2; *rows[i].SuspectAge%2 == 0 {
					halved[i].SuspectAge = &half
				} else {
					halved[i].SuspectAge, odd = nil, odd+1
				}
			}
			data := writeArrow(t, rows, func(column int) arrowForm {
				if column == schemas.SuspectAge {
					return form
				}
				return arrowForms(column, 0)
			}, false, parquet.WithDataPageSize(2000), parquet.WithBatchSize(64))
			f, err := Open(bytes.NewReader(data), int64(len(data)))
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				c := &collector{rows: map[int64]string{}}
				if err := f.Scan(context.Background(), 3, 0, c.sink, nil); err != nil {
					t.Fatal(err)
				}
				compare(t, c.rows, expected(halved))
				if n := f.Unreadable()["suspect_age"]; n != odd || len(f.Unreadable()) != 1 {
					t.Errorf("%v were unreadable, want %d ages", f.Unreadable(), odd)
				}
			}
		})
	}
}

func arrowForms(column, turn int) arrowForm {
	list := map[schemas.ColumnType][]arrowForm{schemas.String: textForms, schemas.Bool: flagForms, schemas.Int32: wholeForms, schemas.Timestamp: timeForms}[schemas.Offences[column].Type]
	return list[turn%len(list)]
}

// An encoding that is not read is refused by name, with the column.
func TestRefusedEncodings(t *testing.T) {
	t.Parallel()
	data := encode(t, sample(100), parquetgo.DataPageVersion(1), parquetgo.Compression(&parquetgo.Uncompressed))
	for scenario, c := range map[string]struct {
		edit func(h *format.DataPageHeader)
		want string
	}{
		"nulls in the oldest encoding":      {func(h *format.DataPageHeader) { h.DefinitionLevelEncoding = format.BitPacked }, "BIT_PACKED"},
		"texts as differences of numbers":   {func(h *format.DataPageHeader) { h.Encoding = format.DeltaBinaryPacked }, "BYTE_ARRAY in the encoding DELTA_BINARY_PACKED"},
		"texts in streams of bytes":         {func(h *format.DataPageHeader) { h.Encoding = format.ByteStreamSplit }, "BYTE_STREAM_SPLIT"},
		"an encoding that nobody knows yet": {func(h *format.DataPageHeader) { h.Encoding = 77 }, "BYTE_ARRAY in the encoding"},
	} {
		t.Run(scenario, func(t *testing.T) {
			_, err := scanAll(withPages(t, data, schemas.AllegationID, func(_ int, h *format.PageHeader, body []byte) []byte {
				c.edit(&h.DataPageHeader.V)
				return body
			}), 1)
			if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "column allegation_id") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v", err)
			}
		})
	}
}
