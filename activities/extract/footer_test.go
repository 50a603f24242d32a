package extract

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"harmstack/schemas"
)

// withFooter is the file under another footer; more appends to the pages before it.
func withFooter(t *testing.T, data []byte, edit func(*format.FileMetaData), more ...func(before []byte, m *format.FileMetaData) []byte) []byte {
	t.Helper()
	const tail = len("\x00\x00\x00\x00PAR1")
	end := len(data) - tail
	start := end - int(binary.LittleEndian.Uint32(data[end:]))
	var footer format.FileMetaData
	var protocol thrift.CompactProtocol
	if err := thrift.Unmarshal(&protocol, data[start:end], &footer); err != nil {
		t.Fatal(err)
	}
	edit(&footer)
	before := bytes.Clone(data[:start])
	for _, add := range more {
		before = add(before, &footer)
	}
	changed, err := thrift.Marshal(&protocol, footer)
	if err != nil {
		t.Fatal(err)
	}
	out := append(before, changed...)
	return append(binary.LittleEndian.AppendUint32(out, uint32(len(changed))), "PAR1"...)
}

// A footer that promises other rows than the pages hold fails the scan, also where a row group is split.
func TestRowsMismatch(t *testing.T) {
	t.Parallel()
	few := encode(t, sample(2000))
	many := encode(t, make([]schemas.Offence, 5*minSplit))
	for scenario, c := range map[string]struct {
		data          []byte
		footer, group int64 // rows promised beyond those there
	}{
		"the footer promises one more":    {few, 1, 0},
		"the footer promises one less":    {few, -1, 0},
		"the row group promises one more": {few, 1, 1},
		"the row group promises one less": {few, -1, -1},
		"split, one more":                 {many, 1, 1},
		"split, one less":                 {many, -1, -1},
	} {
		t.Run(scenario, func(t *testing.T) {
			_, err := scanAll(withFooter(t, c.data, func(m *format.FileMetaData) {
				m.NumRows += c.footer
				m.RowGroups[0].NumRows += c.group
			}), 4)
			if !errors.Is(err, ErrRowsMismatch) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// A page index whose place or length is a lie is an error of the file, not the end of the process.
func TestDamagedPageIndex(t *testing.T) {
	t.Parallel()
	data := encode(t, make([]schemas.Offence, 2*minSplit))
	for scenario, edit := range map[string]func(*format.ColumnChunk){
		"a negative length":   func(c *format.ColumnChunk) { c.OffsetIndexLength = -1 },
		"a negative place":    func(c *format.ColumnChunk) { c.OffsetIndexOffset = -5 },
		"beyond the file":     func(c *format.ColumnChunk) { c.OffsetIndexOffset = 1 << 40 },
		"something else's":    func(c *format.ColumnChunk) { c.OffsetIndexOffset = 4 },
		"longer than it is":   func(c *format.ColumnChunk) { c.OffsetIndexLength *= 3 },
		"shorter than it is":  func(c *format.ColumnChunk) { c.OffsetIndexLength /= 2 },
		"one of no bytes":     func(c *format.ColumnChunk) { c.OffsetIndexLength = 0 },
		"none of this column": func(c *format.ColumnChunk) { c.OffsetIndexOffset, c.OffsetIndexLength = 0, 0 },
	} {
		t.Run(scenario, func(t *testing.T) {
			rows, err := scanAll(withFooter(t, data, func(m *format.FileMetaData) { edit(&m.RowGroups[0].Columns[0]) }), 4)
			if err == nil && len(rows) != 2*minSplit {
				t.Errorf("%d rows and no error", len(rows))
			}
		})
	}
}

// Writers from before 2018 know only the old annotations, and some write text without any.
func TestOldAnnotations(t *testing.T) {
	rows := sample(2000)
	data := encode(t, rows)
	for scenario, edit := range map[string]func(*format.SchemaElement){
		"no logical types": func(e *format.SchemaElement) { e.LogicalType = format.LogicalType{} },
		"bare text": func(e *format.SchemaElement) {
			if e.Type.V == format.ByteArray {
				e.LogicalType, e.ConvertedType.Valid = format.LogicalType{}, false
			}
		},
	} {
		t.Run(scenario, func(t *testing.T) {
			got, err := scanAll(withFooter(t, data, func(m *format.FileMetaData) {
				for i := range m.Schema {
					edit(&m.Schema[i])
				}
			}), 1)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, got, expected(rows))
		})
	}
}

func TestChecksumsAreVerified(t *testing.T) {
	data := encode(t, sample(2000), parquet.Compression(&parquet.Uncompressed))
	at := bytes.Index(data, []byte("A1000A1001"))
	if at < 0 {
		t.Fatal("the ids do not stand in the file as written")
	}
	data[at+2] ^= 1
	if _, err := scanAll(data, 1); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "column allegation_id") {
		t.Errorf("error %v", err)
	}
}

// An INT96 day is 32 bits wide: no day may wrap into the range that is valid.
func TestInt96NeverWrapsIntoTheValidRange(t *testing.T) {
	const unixEpoch, day = 2_440_588, 86_400_000_000
	if got := int96Micros(deprecated.Int96{1999, 0, unixEpoch + 1}); got != day+1 {
		t.Errorf("1999 ns into 2 January 1970: %d", got)
	}
	for julian := int64(-1 << 31); julian < 1<<31; julian += 9973 {
		want := julian >= unixEpoch+schemas.MinTimestamp/day && julian < unixEpoch+schemas.EndTimestamp/day
		got := int96Micros(deprecated.Int96{0, 0, uint32(julian)})
		if valid := got >= schemas.MinTimestamp && got < schemas.EndTimestamp; valid != want {
			t.Fatalf("Julian day %d reads as %d", julian, got)
		}
	}
}

// A damaged file gives an error or, where the damage lies in bytes that nothing checks, the same number
// of rows; it never panics.
func TestDamagedFilesNeverPanic(t *testing.T) {
	t.Parallel()
	for name, good := range map[string][]byte{
		"small pages":    encode(t, sample(3000), parquet.PageBufferSize(2000)),
		"another system": encode(t, asForeign(sample(2000))),
	} {
		t.Run(name, func(t *testing.T) {
			for i := range 50 {
				if _, err := scanAll(good[:len(good)*i/50], 2); err == nil {
					t.Errorf("cut at %d/50: no error", i)
				}
			}
			r := rand.New(rand.NewPCG(3, 4))
			for range 400 {
				bad := bytes.Clone(good)
				for range 1 + r.IntN(4) {
					bad[r.IntN(len(bad))] ^= byte(1 + r.IntN(255))
				}
				scanAll(bad, 2) //nolint:errcheck // that it returns is the point
			}
		})
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(encode(f, sample(50)))
	f.Add(encode(f, asForeign(sample(20)), parquet.PageBufferSize(100)))
	f.Fuzz(func(t *testing.T, data []byte) {
		scanAll(data, 1)
	})
}
