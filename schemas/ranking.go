package schemas

// Names of the schemas that a night writes; they stand in ArtifactRef.Schema.
const (
	RankingSchema      = "ranking-v1"
	SuspectSchema      = "suspect-v1"
	SumSchema          = "sum-v1"
	ContenderSchema    = "contender-v1"
	StabilitySchema    = "stability-v1"
	RowsSchema         = "rows-v1" // rows on their way between the workers that score a night
	ContributionSchema = "contribution-v1"
	ChangeSchema       = "change-v1"
	QuarantineSchema   = "quarantine-v1"
)

// TenthsPerDay and PPM are the whole-number scales of the score: harm in tenths of a day, recency
// and frequency in millionths. ScorePerDay turns a score into days (contract, section 6).
const (
	TenthsPerDay = 10
	PPM          = 1_000_000
	ScorePerDay  = TenthsPerDay * PPM
)

// The rows below ask for no dictionaries: the library encodes their indexes by other runs on some
// processors than on others, and equal rows must be equal bytes on any machine.

// Ranked is one row of ranking.parquet and stack.parquet: one suspect, by position. All measures are
// over the suspect's scored rows (contract, section 6). A nil is a null.
type Ranked struct {
	Position      int64    `parquet:"position,delta,uncompressed" json:"position"`
	Rank          int64    `parquet:"rank,delta,uncompressed" json:"rank"`
	TieSize       int64    `parquet:"tie_size,delta,uncompressed" json:"tie_size"`
	SuspectID     string   `parquet:"suspect_id,uncompressed" json:"suspect_id"`
	Score         int64    `parquet:"score,delta,uncompressed" json:"score"`
	ScoreDays     float64  `parquet:"score_days" json:"score_days"`
	SumDays       float64  `parquet:"sum_days" json:"sum_days"`
	MaxDays       float64  `parquet:"max_days" json:"max_days"`
	SumRank       int64    `parquet:"sum_rank,delta,uncompressed" json:"sum_rank"`
	Allegations   int64    `parquet:"allegations,delta,uncompressed" json:"allegations"`
	Reports       int64    `parquet:"reports,delta,uncompressed" json:"reports"`
	Victims       int64    `parquet:"victims,delta,uncompressed" json:"victims"`
	FirstReported int64    `parquet:"first_reported,timestamp(microsecond),delta,uncompressed" json:"first_reported"`
	LastReported  int64    `parquet:"last_reported,timestamp(microsecond),delta,uncompressed" json:"last_reported"`
	OwnerBorough  *string  `parquet:"owner_borough,optional" json:"owner_borough"`
	OwnerBCU      *string  `parquet:"owner_bcu,optional" json:"owner_bcu"`
	Boroughs      []string `parquet:"boroughs,list" json:"boroughs"`
	DomesticAbuse int64    `parquet:"domestic_abuse,delta,uncompressed" json:"domestic_abuse"`
	NonRecent     int64    `parquet:"non_recent,delta,uncompressed" json:"non_recent"`
	AlsoVictim    bool     `parquet:"also_victim" json:"also_victim"`
	SuspectStatus *string  `parquet:"suspect_status,optional" json:"suspect_status"`
	// Lane follows from the status: LaneFree, LaneBailed or LaneContained. Empty in a file of version 1.
	Lane string `parquet:"lane" json:"lane"`
	// AgesDisagree: the suspect's kept rows imply years of birth more than two apart (section 4). Restricted: some kept
	// row is of restricted handling (section 8).
	AgesDisagree bool `parquet:"ages_disagree" json:"ages_disagree"`
	Restricted   bool `parquet:"restricted" json:"restricted"`
	// Withdrawn counts scored rows whose victim does not support the case.
	Withdrawn int64 `parquet:"withdrawn,delta,uncompressed" json:"withdrawn"`
}

// The lanes of section 6: who is in custody can be visited by nobody at home.
const (
	LaneFree      = "free"
	LaneBailed    = "bailed"
	LaneContained = "contained"
)

// LaneOf is the lane of a suspect by status; nil is a status that nobody knows.
func LaneOf(status *string) string {
	switch {
	case status == nil:
	case *status == StatusInCustody:
		return LaneContained
	case *status == StatusOnBail:
		return LaneBailed
	}
	return LaneFree
}

// Contribution is one row of contributions.parquet: one scored allegation against a suspect of the
// stack, and what it adds. It answers "why is this person here?". Ordered by position, then
// contribution (largest first), then allegation_id.
type Contribution struct {
	Position     int64   `parquet:"position" json:"position"`
	SuspectID    string  `parquet:"suspect_id" json:"suspect_id"`
	AllegationID string  `parquet:"allegation_id" json:"allegation_id"`
	ReportID     string  `parquet:"report_id" json:"report_id"`
	VictimID     *string `parquet:"victim_id,optional" json:"victim_id"`
	ReportedAt   int64   `parquet:"reported_at,timestamp(microsecond)" json:"reported_at"`
	CommittedAt  *int64  `parquet:"committed_at,optional,timestamp(microsecond)" json:"committed_at"`
	Borough      *string `parquet:"borough,optional" json:"borough"`
	OffenceCode  string  `parquet:"offence_code" json:"offence_code"`
	OffenceClass *string `parquet:"offence_class,optional" json:"offence_class"`
	OffenceURN   *string `parquet:"offence_urn,optional" json:"offence_urn"`
	// Offence is the title in the table the weight comes from.
	Offence string `parquet:"offence" json:"offence"`
	// WeightRule says how the weight was found: `urn`, `pair`, `code`, `lowest` or `supplement`.
	WeightRule string  `parquet:"weight_rule" json:"weight_rule"`
	HarmDays   float64 `parquet:"harm_days" json:"harm_days"`
	Age        int64   `parquet:"age" json:"age"`
	// RecencyPPM is r(age) in millionths.
	RecencyPPM int64 `parquet:"recency_ppm" json:"recency_ppm"`
	// Base is harm tenths times r(age); the suspect's bases sum to the score before frequency.
	Base int64 `parquet:"base" json:"base"`
	// FrequencyPPM is the frequency factor in millionths; 0: the model sets this allegation aside, and it adds nothing.
	FrequencyPPM int64 `parquet:"frequency_ppm" json:"frequency_ppm"`
	// Share is what it adds, of the suspect's whole score.
	Share         float64 `parquet:"share" json:"share"`
	DomesticAbuse *bool   `parquet:"domestic_abuse,optional" json:"domestic_abuse"`
	Source        string  `parquet:"source" json:"source"`
	Outcome       string  `parquet:"outcome" json:"outcome"`
	// LeavesOn is the first as_of for which it is out of the window, as 2026-06-30.
	LeavesOn string `parquet:"leaves_on" json:"leaves_on,omitempty"`
	// OlderStands: a later version of the row is quarantined, and this one stands (section 4, rule 2).
	OlderStands bool `parquet:"older_version_stands" json:"older_version_stands,omitempty"`
	// URNContradicts: the tables have the URN under another code (section 5).
	URNContradicts bool `parquet:"urn_contradicts_code" json:"urn_contradicts_code,omitempty"`
}

// The kinds of a Change.
const (
	ChangeEntered = "entered"
	ChangeLeft    = "left"
	ChangeMoved   = "moved"
	ChangeStayed  = "stayed"
)

// Why a suspect left the stack.
const (
	LeftOutranked = "outranked"        // still ranked, below the cut
	LeftAgedOut   = "aged_out"         // the allegations left the window
	LeftMerged    = "merged"           // the id was merged into another, which stands for both now
	LeftNoScore   = "no_longer_scored" // cleared, withdrawn, deceased or no longer VAWG
)

// Change is one row of changes.parquet: a suspect of this stack or of the last approved one. A nil
// position means "not on that stack". Reason is set for those who left.
type Change struct {
	SuspectID    string   `parquet:"suspect_id" json:"suspect_id"`
	Kind         string   `parquet:"change" json:"change"`
	Reason       *string  `parquet:"reason,optional" json:"reason"`
	Position     *int64   `parquet:"position,optional" json:"position"`
	Previous     *int64   `parquet:"previous_position,optional" json:"previous_position"`
	ScoreDays    *float64 `parquet:"score_days,optional" json:"score_days"`
	PreviousDays *float64 `parquet:"previous_score_days,optional" json:"previous_score_days"`
	// Restricted: the suspect is, or was when on the last stack, of restricted handling.
	Restricted bool `parquet:"restricted" json:"restricted,omitempty"`
}

// Quarantine is one row of quarantine.parquet: the row as it was read, and why it takes no part.
// A text column is raw bytes here, because "not UTF-8" is one of the reasons.
type Quarantine struct {
	Row int64 `parquet:"row"` // which row of the extract, from 0
	// Reason names the column and the rule, never the value.
	Reason        string `parquet:"reason"`
	AllegationID  []byte `parquet:"allegation_id,optional"`
	ReportID      []byte `parquet:"report_id,optional"`
	SuspectID     []byte `parquet:"suspect_id,optional"`
	SuspectAge    *int32 `parquet:"suspect_age,optional"`
	SuspectStatus []byte `parquet:"suspect_status,optional"`
	OffenceCode   []byte `parquet:"offence_code,optional"`
	OffenceClass  []byte `parquet:"offence_class,optional"`
	OffenceURN    []byte `parquet:"offence_urn,optional"`
	ReportedAt    *int64 `parquet:"reported_at,optional,timestamp(microsecond)"`
	CommittedAt   *int64 `parquet:"committed_at,optional,timestamp(microsecond)"`
	Borough       []byte `parquet:"borough,optional"`
	VictimID      []byte `parquet:"victim_id,optional"`
	VictimSex     []byte `parquet:"victim_sex,optional"`
	VictimAge     *int32 `parquet:"victim_age,optional"`
	DomesticAbuse *bool  `parquet:"domestic_abuse,optional"`
	Source        []byte `parquet:"source,optional"`
	Outcome       []byte `parquet:"outcome,optional"`
	UpdatedAt     *int64 `parquet:"updated_at,optional,timestamp(microsecond)"`
	Handling      []byte `parquet:"handling,optional"`
}

// Suspect is one scored suspect before the ranking: what passes from the score stage to the rank
// stage. Harm is in tenths of a day.
type Suspect struct {
	SuspectID     string   `parquet:"suspect_id,uncompressed"`
	Score         int64    `parquet:"score,delta,uncompressed"`
	SumTenths     int64    `parquet:"sum_tenths,delta,uncompressed"`
	MaxTenths     int64    `parquet:"max_tenths,delta,uncompressed"`
	Allegations   int64    `parquet:"allegations,delta,uncompressed"`
	Reports       int64    `parquet:"reports,delta,uncompressed"`
	Victims       int64    `parquet:"victims,delta,uncompressed"`
	FirstReported int64    `parquet:"first_reported,timestamp(microsecond),delta,uncompressed"`
	LastReported  int64    `parquet:"last_reported,timestamp(microsecond),delta,uncompressed"`
	OwnerBorough  *string  `parquet:"owner_borough,optional"`
	Boroughs      []string `parquet:"boroughs,list"`
	DomesticAbuse int64    `parquet:"domestic_abuse,delta,uncompressed"`
	NonRecent     int64    `parquet:"non_recent,delta,uncompressed"`
	AlsoVictim    bool     `parquet:"also_victim"`
	SuspectStatus *string  `parquet:"suspect_status,optional"`
	AgesDisagree  bool     `parquet:"ages_disagree"`
	Restricted    bool     `parquet:"restricted"`
	Withdrawn     int64    `parquet:"withdrawn,delta,uncompressed"`
}

// SumCount says how many suspects have a plain sum of harm, in tenths of a day.
type SumCount struct {
	SumTenths int64 `parquet:"sum_tenths"`
	Suspects  int64 `parquet:"suspects"`
}
