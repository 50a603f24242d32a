package schemas

import (
	"reflect"
	"strings"
)

// CaseSchema names the schema of cases.parquet.
const CaseSchema = "case-v1"

// CasesFile is every row read that names somebody of the stack (contract, section 7).
const CasesFile = "cases.parquet"

// What a person is in a row of a case.
const (
	RoleSuspect = "suspect"
	RoleVictim  = "victim"
)

// Case is one row of cases.parquet: a row of the extract that names somebody of the stack, as suspect or as victim, and
// what became of it (contract, section 7). A row that names two of them, or one in both roles, is there twice. Ordered
// by position, role, reported_at, allegation_id (null first) and row.
//
// The columns of the contract are as they were read, but for bytes that are no UTF-8, which are U+FFFD.
type Case struct {
	Position int64 `parquet:"position" json:"position"`
	// PersonID is the person, and OtherID who is named beside them in the other role, after links and as normalised; nil:
	// nobody.
	PersonID string  `parquet:"person_id" json:"person_id"`
	OtherID  *string `parquet:"other_id,optional" json:"other_id"`
	Role     string  `parquet:"role" json:"role"`
	Row      int64   `parquet:"row" json:"row"` // which row of the extract, from 0

	AllegationID  *string `parquet:"allegation_id,optional" json:"allegation_id"`
	ReportID      *string `parquet:"report_id,optional" json:"report_id"`
	SuspectID     *string `parquet:"suspect_id,optional" json:"suspect_id"`
	SuspectAge    *int32  `parquet:"suspect_age,optional" json:"suspect_age"`
	SuspectStatus *string `parquet:"suspect_status,optional" json:"suspect_status"`
	OffenceCode   *string `parquet:"offence_code,optional" json:"offence_code"`
	OffenceClass  *string `parquet:"offence_class,optional" json:"offence_class"`
	OffenceURN    *string `parquet:"offence_urn,optional" json:"offence_urn"`
	ReportedAt    *int64  `parquet:"reported_at,optional,timestamp(microsecond)" json:"reported_at"`
	CommittedAt   *int64  `parquet:"committed_at,optional,timestamp(microsecond)" json:"committed_at"`
	Borough       *string `parquet:"borough,optional" json:"borough"`
	VictimID      *string `parquet:"victim_id,optional" json:"victim_id"`
	VictimSex     *string `parquet:"victim_sex,optional" json:"victim_sex"`
	VictimAge     *int32  `parquet:"victim_age,optional" json:"victim_age"`
	DomesticAbuse *bool   `parquet:"domestic_abuse,optional" json:"domestic_abuse"`
	Source        *string `parquet:"source,optional" json:"source"`
	Outcome       *string `parquet:"outcome,optional" json:"outcome"`
	UpdatedAt     *int64  `parquet:"updated_at,optional,timestamp(microsecond)" json:"updated_at"`
	Handling      *string `parquet:"handling,optional" json:"handling"`

	Disposition string `parquet:"disposition" json:"disposition"`
	// OlderStands: a later version of the row is quarantined, and this one stands (section 4, rule 2).
	OlderStands bool `parquet:"older_version_stands" json:"older_version_stands,omitempty"`
	// What follows is what a scored row adds to its suspect's score, as in Contribution; nil: it is not scored.
	Offence      *string  `parquet:"offence,optional" json:"offence"`
	WeightRule   *string  `parquet:"weight_rule,optional" json:"weight_rule"`
	HarmDays     *float64 `parquet:"harm_days,optional" json:"harm_days"`
	RecencyPPM   *int64   `parquet:"recency_ppm,optional" json:"recency_ppm"`
	FrequencyPPM *int64   `parquet:"frequency_ppm,optional" json:"frequency_ppm"`
	Base         *int64   `parquet:"base,optional" json:"base"`
	Share        *float64 `parquet:"share,optional" json:"share"`
}

// caseFirst is the first field of a Case that is a column of the extract.
const caseFirst = 5

func init() {
	row, of := reflect.TypeFor[Case](), reflect.TypeFor[Offence]()
	MustHaveEvery("schemas: Case", func(i int) bool {
		name, _, _ := strings.Cut(row.Field(caseFirst+i).Tag.Get("parquet"), ",")
		return name == Offences[i].Name && row.Field(caseFirst+i).Type == of.Field(i).Type
	})
}

// SetOffence fills in the columns of the contract.
func (c *Case) SetOffence(o *Offence) {
	to, from := reflect.ValueOf(c).Elem(), reflect.ValueOf(o).Elem()
	for i := range OffenceColumns {
		value := from.Field(i)
		if s, ok := value.Interface().(*string); ok && s != nil {
			valid := strings.ToValidUTF8(*s, "\uFFFD")
			value = reflect.ValueOf(&valid)
		}
		to.Field(caseFirst + i).Set(value)
	}
}

// Counted tells whether the row is scored.
func (c *Case) Counted() bool { return c.Disposition == Scored.String() }

// Restricted tells whether the row is of restricted handling. A value that is none of the two is: it fails safe (section 3).
func (c *Case) Restricted() bool {
	if c.Handling == nil {
		return false
	}
	v := TrimSpace(*c.Handling)
	return v != "" && v != HandlingNormal
}

// Is tells whether a column of the row, trimmed, holds this value.
func Is(column *string, value string) bool { return column != nil && TrimSpace(*column) == value }
