package extract

import (
	"strings"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"

	"harmstack/schemas"
)

// field is a column of the schema's first level; leaf is -1 when others lie in it.
type field struct {
	element *format.SchemaElement
	leaf    int
}

// top are the columns of the schema's first level.
func (f *footer) top() (names []string, fields []field) {
	leaves, skip := 0, int32(0)
	for i := 1; i < len(f.schema); i++ {
		e := &f.schema[i]
		if skip == 0 {
			names = append(names, e.Name)
			fields = append(fields, field{e, -1})
			if e.Type.Valid {
				fields[len(fields)-1].leaf = leaves
			}
		} else {
			skip--
		}
		if e.Type.Valid {
			leaves++
		} else {
			skip += e.NumChildren.V
		}
	}
	return names, fields
}

// formOf says in which form a field holds a column of type t; ok is false for a wrong type.
func formOf(e *format.SchemaElement, t schemas.ColumnType) (c column, ok bool) {
	if !e.Type.Valid || e.RepetitionType.V == format.Repeated {
		return c, false
	}
	c = column{physical: e.Type.V, optional: e.RepetitionType.V == format.Optional, length: int(e.TypeLength.V)}
	if c.physical == format.FixedLenByteArray && c.length <= 0 {
		return c, false
	}
	logical, old := e.LogicalType.Value, int32(-1) // what writers from before 2018 say instead
	if e.ConvertedType.Valid && logical == nil {
		old = int32(e.ConvertedType.V)
	}
	if _, isNull := logical.(*format.NullType); isNull {
		c.kind = nothing
		return c, true
	}
	switch t {
	case schemas.String:
		// Without an annotation it is text all the same: older writers leave it out.
		switch logical.(type) {
		case nil:
			ok = old < 0 || old == int32(deprecated.UTF8) || old == int32(deprecated.Enum)
		case *format.StringType, *format.EnumType:
			ok = true
		}
		c.kind = text
		return c, ok && c.physical == format.ByteArray
	case schemas.Bool:
		c.kind = boolean
		return c, c.physical == format.Boolean
	case schemas.Int32:
		return c.number(e, logical, old)
	}
	return c.instant(logical, old)
}

// number is the form of a whole number.
func (c column) number(e *format.SchemaElement, logical format.LogicalTypeValue, old int32) (column, bool) {
	decimal, isDecimal := logical.(*format.DecimalType)
	switch {
	case isDecimal:
		c.scale = int(decimal.Scale)
	case old == int32(deprecated.Decimal):
		c.scale, isDecimal = int(e.Scale.V), true
	}
	if isDecimal {
		const mostDigits = 76
		c.kind = decimals
		switch c.physical {
		case format.Int32, format.Int64, format.ByteArray, format.FixedLenByteArray:
			return c, c.scale >= 0 && c.scale <= mostDigits
		}
		return c, false
	}
	_, isInt := logical.(*format.IntType)
	isInt = isInt || logical == nil && (old < 0 || old >= int32(deprecated.Uint8) && old <= int32(deprecated.Int64))
	switch c.physical {
	case format.Int32:
		c.kind = int32s
		return c, isInt
	case format.Int64:
		c.kind = int64s
		return c, isInt
	case format.Float:
		c.kind = floats
	case format.Double:
		c.kind = doubles
	default:
		return c, false
	}
	return c, logical == nil && old < 0
}

// instant is the form of a timestamp.
func (c column) instant(logical format.LogicalTypeValue, old int32) (column, bool) {
	if c.physical == format.Int96 {
		c.kind = timeInt96
		return c, true
	}
	switch old {
	case int32(deprecated.TimestampMillis):
		c.kind = timeMillis
		return c, c.physical == format.Int64
	case int32(deprecated.TimestampMicros):
		c.kind = timeMicros
		return c, c.physical == format.Int64
	}
	stamp, ok := logical.(*format.TimestampType)
	if !ok || c.physical != format.Int64 {
		return c, false
	}
	switch stamp.Unit.Value.(type) {
	case *format.MilliSeconds:
		c.kind = timeMillis
	case *format.MicroSeconds:
		c.kind = timeMicros
	case *format.NanoSeconds:
		c.kind = timeNanos
	default:
		return c, false
	}
	return c, true
}

// describe says what a column is, in words for a person.
func describe(e *format.SchemaElement) string {
	switch {
	case !e.Type.Valid:
		return "a nested column"
	case e.RepetitionType.V == format.Repeated:
		return "a repeated column"
	case e.LogicalType.Value != nil:
		return strings.ToLower(e.LogicalType.Value.String())
	case e.ConvertedType.Valid && e.ConvertedType.V == deprecated.UTF8:
		return "string"
	}
	return strings.ToLower(e.Type.V.String())
}
