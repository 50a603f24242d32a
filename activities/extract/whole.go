package extract

import (
	"encoding/binary"
	"math"
	"math/big"

	"github.com/apache/arrow/go/v16/arrow"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"
)

// What became of a number that was to be whole.
const (
	isWhole  = iota
	notWhole // it reads as null, and is counted
	noNumber // NaN, which is how NumPy writes that there is none: null
)

// wide is how many bytes a value of a physical type takes; 0: texts have a length each.
func (c *column) wide() int {
	switch c.physical {
	case format.Int32, format.Float:
		return 4
	case format.Int64, format.Double:
		return 8
	case format.Int96:
		return 12
	case format.FixedLenByteArray:
		return c.length
	}
	return 0
}

// wholes turns values as they stand in a page into whole numbers, and says of each whether it was one; nil: all were.
func (c *column) wholes(raw []byte, offsets []uint32, scratch []int32) (values []int32, states []uint8) {
	switch c.kind {
	case int32s:
		return arrow.Int32Traits.CastFromBytes(raw), nil
	case int64s:
		return convert(scratch, arrow.Int64Traits.CastFromBytes(raw), saturate32), nil
	}
	var at func(i int) (int32, uint8)
	n := 0
	if wide := c.wide(); wide > 0 {
		n = len(raw) / wide
	} else {
		n = len(offsets) - 1
	}
	switch c.kind {
	case floats:
		list := arrow.Float32Traits.CastFromBytes(raw)
		at = func(i int) (int32, uint8) { return wholeOf(float64(list[i])) }
	case doubles:
		list := arrow.Float64Traits.CastFromBytes(raw)
		at = func(i int) (int32, uint8) { return wholeOf(list[i]) }
	default:
		d := newDecimal(c.scale)
		at = func(i int) (int32, uint8) {
			switch c.physical {
			case format.Int32:
				return d.whole(int64(int32(binary.LittleEndian.Uint32(raw[4*i:]))))
			case format.Int64:
				return d.whole(int64(binary.LittleEndian.Uint64(raw[8*i:])))
			case format.FixedLenByteArray:
				return d.bytes(raw[i*c.length : (i+1)*c.length])
			}
			return d.bytes(raw[offsets[i]:offsets[i+1]])
		}
	}
	values = grow(scratch, n)
	for i := range values {
		var state uint8
		if values[i], state = at(i); state != isWhole {
			if states == nil {
				states = make([]uint8, n)
			}
			states[i] = state
		}
	}
	return values, states
}

// wholeOf takes a floating-point number that is whole; one beyond 32 bits is out of range all the same.
func wholeOf(v float64) (int32, uint8) {
	switch {
	case math.IsNaN(v):
		return 0, noNumber
	case v != math.Trunc(v) || math.IsInf(v, 0):
		return 0, notWhole
	}
	return int32(max(math.MinInt32, min(math.MaxInt32, v))), isWhole
}

// decimal reads numbers with so many digits behind the point.
type decimal struct {
	scale       int
	per         *big.Int
	number, rem big.Int
}

func newDecimal(scale int) *decimal {
	return &decimal{scale: scale, per: new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)}
}

func (d *decimal) whole(v int64) (int32, uint8) {
	for range d.scale {
		if v%10 != 0 {
			return 0, notWhole
		}
		v /= 10
	}
	return saturate32(v), isWhole
}

// bytes reads a big-endian number in two's complement.
func (d *decimal) bytes(b []byte) (int32, uint8) {
	if len(b) == 0 {
		return 0, notWhole
	}
	if len(b) <= 8 {
		v := int64(int8(b[0]))
		for _, next := range b[1:] {
			v = v<<8 | int64(next)
		}
		return d.whole(v)
	}
	d.number.SetBytes(b)
	if b[0]&0x80 != 0 {
		d.number.Sub(&d.number, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	d.number.QuoRem(&d.number, d.per, &d.rem)
	switch {
	case d.rem.Sign() != 0:
		return 0, notWhole
	case d.number.IsInt64():
		return saturate32(d.number.Int64()), isWhole
	case d.number.Sign() < 0:
		return math.MinInt32, isWhole
	}
	return math.MaxInt32, isWhole
}

// instants turns values as they stand in a page into microseconds since 1970.
func (c *column) instants(raw []byte, scratch []int64) []int64 {
	switch c.kind {
	case timeMillis:
		return convert(scratch, arrow.Int64Traits.CastFromBytes(raw), millisToMicros)
	case timeNanos:
		return convert(scratch, arrow.Int64Traits.CastFromBytes(raw), nanosToMicros)
	case timeInt96:
		values := grow(scratch, len(raw)/12)
		for i := range values {
			v := raw[12*i:]
			values[i] = int96Micros(deprecated.Int96{le.Uint32(v), le.Uint32(v[4:]), le.Uint32(v[8:])})
		}
		return values
	}
	return arrow.Int64Traits.CastFromBytes(raw)
}

func convert[T, U any](scratch []U, values []T, to func(T) U) []U {
	out := grow(scratch, len(values))
	for i, v := range values {
		out[i] = to(v)
	}
	return out
}

// saturate32 keeps a wide age out of range rather than let it wrap into one.
func saturate32(v int64) int32 { return int32(max(math.MinInt32, min(math.MaxInt32, v))) }

// millisToMicros saturates: such an instant is out of the contract's range either way.
func millisToMicros(v int64) int64 {
	if v > math.MaxInt64/1000 || v < math.MinInt64/1000 {
		return math.MaxInt64
	}
	return v * 1000
}

// nanosToMicros floors, before 1970 too.
func nanosToMicros(v int64) int64 {
	q := v / 1000
	if v%1000 < 0 {
		q--
	}
	return q
}

// int96Micros reads the old timestamp: nanoseconds of the day, then the Julian day. It saturates, as
// millisToMicros does: a day far out must not wrap into the valid range.
func int96Micros(v deprecated.Int96) int64 {
	const unixEpoch, dayMicros, farOut = 2_440_588, 86_400_000_000, 100_000_000
	nanos := int64(uint64(v[1])<<32 | uint64(v[0]))
	days := int64(int32(v[2])) - unixEpoch
	if days < -farOut || days > farOut {
		return math.MaxInt64
	}
	return days*dayMicros + nanosToMicros(nanos)
}
