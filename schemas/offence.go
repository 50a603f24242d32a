package schemas

import (
	"strings"
	"time"

	"github.com/apache/arrow/go/v16/arrow"
)

// OffenceSchema names the schema of the extract (contract, section 3).
const OffenceSchema = "offence-v2"

// ColumnType is what a column of the contract holds.
type ColumnType uint8

// The four types of the contract.
const (
	String    ColumnType = iota // UTF-8 text
	Int32                       // whole number
	Bool                        // true or false
	Timestamp                   // microseconds since 1970 UTC
)

// String names the type as the errors and the documentation do.
func (t ColumnType) String() string {
	return [...]string{"string", "int32", "bool", "timestamp"}[t]
}

// Column is one column of the contract.
type Column struct {
	Name string
	Type ColumnType
	// NotNull: a row without a value is quarantined.
	NotNull bool
	// MustExist: an extract without the column is refused.
	MustExist bool
	// Enum lists the values allowed, exactly as written; nil allows any.
	Enum []string
}

// Positions of the columns in Offences and in every batch that follows OffenceArrow.
const (
	AllegationID = iota
	ReportID
	SuspectID
	SuspectAge
	SuspectStatus
	OffenceCode
	OffenceClass
	OffenceURN
	ReportedAt
	CommittedAt
	BoroughName
	VictimID
	VictimSex
	VictimAge
	DomesticAbuse
	Source
	Outcome
	UpdatedAt
	Handling
	OffenceColumns // how many there are
)

// Enum values that rules of the contract name.
const (
	StatusOnBail               = "on_bail"
	StatusInCustody            = "in_custody"
	StatusDeceased             = "deceased"
	SexFemale                  = "F"
	SexUnknown                 = "U"
	SourceWitness              = "witness"
	SourceIntelligence         = "intelligence"
	SourcePoliceDetected       = "police_detected"
	OutcomeNoCrime             = "no_crime"
	OutcomeAcquitted           = "acquitted"
	OutcomeWithdrawn           = "victim_does_not_support"
	OutcomeTransferred         = "transferred"
	HandlingNormal             = "normal"
	HandlingRestricted         = "restricted"
	AdultAge             int32 = 18
	MaxAge               int32 = 130
)

// Offences are the columns of the extract in the contract's order, which is also the order in which
// two versions of a row are compared (section 4, rule 2).
var Offences = [OffenceColumns]Column{
	AllegationID: {Name: "allegation_id", NotNull: true, MustExist: true},
	ReportID:     {Name: "report_id", NotNull: true, MustExist: true},
	SuspectID:    {Name: "suspect_id", MustExist: true},
	SuspectAge:   {Name: "suspect_age", Type: Int32},
	SuspectStatus: {
		Name: "suspect_status",
		Enum: []string{"at_large", StatusOnBail, StatusInCustody, StatusDeceased, "unknown"},
	},
	OffenceCode:   {Name: "offence_code", NotNull: true, MustExist: true},
	OffenceClass:  {Name: "offence_class"},
	OffenceURN:    {Name: "offence_urn"},
	ReportedAt:    {Name: "reported_at", Type: Timestamp, NotNull: true, MustExist: true},
	CommittedAt:   {Name: "committed_at", Type: Timestamp},
	BoroughName:   {Name: "borough"},
	VictimID:      {Name: "victim_id"},
	VictimSex:     {Name: "victim_sex", MustExist: true, Enum: []string{SexFemale, "M", "X", SexUnknown}},
	VictimAge:     {Name: "victim_age", Type: Int32},
	DomesticAbuse: {Name: "domestic_abuse", Type: Bool},
	Source: {Name: "source", NotNull: true, MustExist: true,
		Enum: []string{"victim", SourceWitness, "third_party", SourcePoliceDetected, SourceIntelligence}},
	Outcome: {Name: "outcome", NotNull: true, MustExist: true,
		Enum: []string{"open", "charged", "convicted", OutcomeWithdrawn, "no_further_action", OutcomeAcquitted, OutcomeNoCrime, OutcomeTransferred}},
	UpdatedAt: {Name: "updated_at", Type: Timestamp, NotNull: true, MustExist: true},
	Handling:  {Name: "handling", Enum: []string{HandlingNormal, HandlingRestricted}},
}

// The instants between which a timestamp is valid, in microseconds since 1970 UTC:
// MinTimestamp <= t < EndTimestamp (section 3).
var (
	MinTimestamp = time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	EndTimestamp = time.Date(2201, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
)

// ArrowTimestamp is the type of every timestamp in memory.
var ArrowTimestamp = &arrow.TimestampType{Unit: arrow.Microsecond, TimeZone: "UTC"}

// ArrowDictionary is the other type a string column of a batch may have: few values, looked up once.
var ArrowDictionary = &arrow.DictionaryType{IndexType: arrow.PrimitiveTypes.Int32, ValueType: arrow.BinaryTypes.String}

// OffenceArrow is the Arrow schema of a batch of offences. A string column may also come as
// ArrowDictionary. Every column is nullable: what may not be null is for the rules to say, row by row.
var OffenceArrow = func() *arrow.Schema {
	fields := make([]arrow.Field, OffenceColumns)
	for i, c := range Offences {
		fields[i] = arrow.Field{Name: c.Name, Nullable: true, Type: [...]arrow.DataType{
			String:    arrow.BinaryTypes.String,
			Int32:     arrow.PrimitiveTypes.Int32,
			Bool:      arrow.FixedWidthTypes.Boolean,
			Timestamp: ArrowTimestamp,
		}[c.Type]}
	}
	return arrow.NewSchema(fields, nil)
}()

// Offence is one row of the extract as Parquet holds it; a nil is a null. The tags are the
// contract's columns, in its order.
type Offence struct {
	AllegationID  *string `parquet:"allegation_id,optional"`
	ReportID      *string `parquet:"report_id,optional"`
	SuspectID     *string `parquet:"suspect_id,optional"`
	SuspectAge    *int32  `parquet:"suspect_age,optional"`
	SuspectStatus *string `parquet:"suspect_status,optional,dict"`
	OffenceCode   *string `parquet:"offence_code,optional,dict"`
	OffenceClass  *string `parquet:"offence_class,optional,dict"`
	OffenceURN    *string `parquet:"offence_urn,optional,dict"`
	ReportedAt    *int64  `parquet:"reported_at,optional,timestamp(microsecond)"`
	CommittedAt   *int64  `parquet:"committed_at,optional,timestamp(microsecond)"`
	Borough       *string `parquet:"borough,optional,dict"`
	VictimID      *string `parquet:"victim_id,optional"`
	VictimSex     *string `parquet:"victim_sex,optional,dict"`
	VictimAge     *int32  `parquet:"victim_age,optional"`
	DomesticAbuse *bool   `parquet:"domestic_abuse,optional"`
	Source        *string `parquet:"source,optional,dict"`
	Outcome       *string `parquet:"outcome,optional,dict"`
	UpdatedAt     *int64  `parquet:"updated_at,optional,timestamp(microsecond)"`
	Handling      *string `parquet:"handling,optional,dict"`
}

// TrimSpace cuts the white space of section 3 from both ends: space, tab, CR, LF and the
// non-breaking space. Other white space belongs to the value.
func TrimSpace(s string) string { return strings.Trim(s, " \t\r\n\u00a0") }

// NormaliseOffenceCode turns the three accepted forms of a Home Office code (`019/08`, `19/8`,
// `01908`) into the first; ok is false for anything else.
func NormaliseOffenceCode(s string) (code string, ok bool) {
	class, sub, slash := strings.Cut(s, "/")
	if !slash {
		if len(s) != 5 {
			return "", false
		}
		class, sub = s[:3], s[3:]
	}
	if !digits(class, 3) || !digits(sub, 2) {
		return "", false
	}
	if len(class) == 3 && len(sub) == 2 && slash {
		return s, true
	}
	return "000"[len(class):] + class + "/" + "00"[len(sub):] + sub, true
}

func digits(s string, most int) bool {
	if s == "" || len(s) > most {
		return false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
