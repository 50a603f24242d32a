package extract

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"testing"
)

// uvarints are whole numbers as runs and differences begin with them.
func uvarints(values ...uint64) (b []byte) {
	for _, v := range values {
		b = binary.AppendUvarint(b, v)
	}
	return b
}

// Runs by hand, as the format describes them (bits from the lowest of the first byte on).
func TestRunsOfFlags(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		scenario string
		src      []byte
		want     []byte // nil: refused
	}{
		{"a run of three", slices.Concat(uvarints(3<<1), []byte{1}), []byte{1, 1, 1}},
		{"three and two", slices.Concat(uvarints(3<<1), []byte{1}, uvarints(2<<1), []byte{0}), []byte{1, 1, 1, 0, 0}},
		{"eight that are packed", []byte{1<<1 | 1, 0b1010_0110}, []byte{0, 1, 1, 0, 0, 1, 0, 1}},
		{"packed ones cut short by the end", []byte{1<<1 | 1, 0b0000_0101}, []byte{1, 0, 1}},
		{"a run longer than the page", slices.Concat(uvarints(math.MaxUint64&^1), []byte{1}), []byte{1, 1}},
		{"packed ones longer than the page", slices.Concat(uvarints(math.MaxUint64), []byte{0xff}), []byte{1, 1}},
		{"runs of nothing", slices.Concat(make([]byte, 0), uvarints(0, 0, 1<<1), []byte{1}), []byte{1}},
		{"too few", slices.Concat(uvarints(3<<1), []byte{1}), nil},
		{"a run without its value", uvarints(3 << 1), nil},
		{"packed ones that are not there", []byte{9<<1 | 1, 1}, nil},
		{"runs of nothing without end", make([]byte, 1<<16), nil},
		{"a number without end", bytes.Repeat([]byte{0xff}, 100), nil},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			n := len(c.want)
			if c.want == nil {
				n = 10
			}
			got := make([]byte, n)
			if err := flags(got, c.src); (err == nil) != (c.want != nil) || err == nil && !bytes.Equal(got, c.want) {
				t.Errorf("%v, %v, want %v", got, err, c.want)
			}
		})
	}
}

func TestPlacesInADictionary(t *testing.T) {
	t.Parallel()
	got := make([]int32, 11)
	// Three bits each: 0 to 7 packed as the format's own example has it, then 5 three times.
	if err := indexes(got, slices.Concat([]byte{3, 1<<1 | 1, 0b10001000, 0b11000110, 0b11111010}, uvarints(3<<1), []byte{5})); err != nil || !slices.Equal(got, []int32{0, 1, 2, 3, 4, 5, 6, 7, 5, 5, 5}) {
		t.Errorf("%v, %v", got, err)
	}
	if err := indexes(got, slices.Concat([]byte{0}, uvarints(11<<1))); err != nil || !slices.Equal(got, make([]int32, 11)) {
		t.Errorf("of no bits: %v, %v", got, err)
	}
	for _, bad := range [][]byte{nil, {33, 3}, {32, 1<<1 | 1, 1}, {8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 0}} {
		if indexes(got, bad) == nil {
			t.Errorf("%v was read", bad)
		}
	}
}

// What a page says of itself costs no more than it may hold.
func TestHostileDifferences(t *testing.T) {
	t.Parallel()
	for scenario, src := range map[string][]byte{
		"values without end":       uvarints(128, 4, 1<<62, 0),
		"a block without end":      uvarints(1<<62, 4, 5, 0),
		"a block of nothing":       uvarints(0, 4, 5, 0),
		"blocks of no parts":       uvarints(128, 0, 5, 0),
		"blocks of too many parts": uvarints(128, 1<<61, 5, 0),
		"no blocks":                uvarints(128, 4, 5, 0),
		"bits beyond the end":      slices.Concat(uvarints(128, 4, 5, 0, 0), []byte{64, 64, 64, 64}, make([]byte, 100)),
		"more bits than there are": slices.Concat(uvarints(128, 4, 5, 0, 0), []byte{255, 0, 0, 0}, make([]byte, 1000)),
	} {
		if _, _, err := deltas(nil, src, 5); err == nil {
			t.Errorf("%s: it was read", scenario)
		}
	}
	// 7, 5, 3, 1, 2, 3, 4, 5: the example of the format, whose least difference is -2.
	values, rest, err := deltas(nil, slices.Concat(uvarints(128, 4, 8, 14, 3), []byte{2, 0, 0, 0}, []byte{0b11_00_00_00, 0b00_11_11_11}, make([]byte, 6), []byte("rest")), 8)
	if err != nil || !slices.Equal(values, []int64{7, 5, 3, 1, 2, 3, 4, 5}) || string(rest) != "rest" {
		t.Errorf("%v, %q, %v", values, rest, err)
	}
}

// A thousand texts, each but the first as long as the one before it and with nothing of its own, are a few bytes.
func TestTextsThatGrow(t *testing.T) {
	t.Parallel()
	const n, length = 1000, 500
	same := func(first, each uint64) []byte { // n numbers: one, then n-1 of another
		b := uvarints(1024, 1, n, first<<1)
		step := int64(each) - int64(first)
		b = append(binary.AppendVarint(b, min(step, 0)), byte(64))
		for i := range 1024 {
			d := uint64(0)
			if i == 0 {
				d = uint64(step - min(step, 0))
			} else {
				d = uint64(-min(step, 0))
			}
			b = binary.LittleEndian.AppendUint64(b, d)
		}
		return b
	}
	src := slices.Concat(same(0, length), same(length, 0), bytes.Repeat([]byte("x"), length))
	offsets := make([]uint32, n+1)
	texts, err := prefixTexts(nil, src, offsets, nil, n*length)
	if err != nil || len(texts) != n*length || offsets[n] != n*length {
		t.Errorf("%d bytes, %v", len(texts), err)
	}
	if _, err := prefixTexts(nil, src, offsets, nil, n*length-1); err == nil {
		t.Error("more than the most was made")
	}
}
