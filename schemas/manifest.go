package schemas

import (
	"fmt"
	"time"

	"harmstack/schemas/text"
)

// Manifest says what a night took in, what it made of it and what it left behind. It is written once,
// last of the night's files, and never changed (contract, section 7).
type Manifest struct {
	NightID
	RowsRead     int64        `json:"rows_read"`
	Dispositions Dispositions `json:"dispositions"`
	Suspects     int64        `json:"suspects"`
	// Facts are the counts that are no disposition but that an officer should see.
	Facts Facts `json:"facts"`
	// Stability names the models that the stack was compared with; empty in a night of version 1.
	Stability *Named `json:"stability,omitempty"`
	// Cut tells whether the stack's edge falls inside a tie.
	Cut Cut `json:"cut"`

	Basis

	Inputs []ArtifactRef `json:"inputs"`
	// Form is in which form the extract came; nil in a manifest from before that was noted.
	Form    *ExtractForm  `json:"extract_form,omitempty"`
	Outputs []ArtifactRef `json:"outputs"`
	// Reading says how the input was read, when it is a source that can tell what changed.
	Reading *Reading `json:"reading,omitempty"`
	// Night is the published night whose extract was scored again by `starter score --night`; nil otherwise.
	Night *ManifestRef `json:"scored_again,omitempty"`
	// Previous is the manifest of the approved stack that the changes were counted against; nil when
	// there was none.
	Previous *ManifestRef `json:"previous,omitempty"`
	Changes  *ChangeCount `json:"changes,omitempty"`
	// Profile and Checks tell whether the night looks as nights do; a folder of `starter score` has neither.
	Profile *Profile       `json:"profile,omitempty"`
	Checks  []CheckOutcome `json:"checks,omitempty"`
	// Stages say which stage made what of which; a night of an older build, and a folder of `starter score`, has none.
	Stages []StageRecord `json:"stages,omitempty"`
	// StartedBy is who started the night; nil in a folder of `starter score`, and in a night of an older build.
	StartedBy *StartedBy `json:"started_by,omitempty"`
	// Identity is how the deployment knows who somebody is: IdentityRequired or IdentityClaimed.
	Identity string `json:"identity,omitempty"`
	// Code names the build that wrote this.
	Code string `json:"code"`
}

// How a deployment knows who somebody is (trust, section 1): by the desk's word, or by what they say themselves, for a
// trial without real data.
const (
	IdentityRequired = "required"
	IdentityClaimed  = "claimed"
)

// The ways in which a night is started. A schedule that somebody triggers is the schedule.
const (
	WaySchedule = "schedule"
	WayBackfill = "backfill" // by a schedule, for a time that was past
	WayPerson   = "person"
	WayReset    = "reset" // begun again in the middle, from the web UI or the command line of Temporal
)

// How it is known who started a night.
const (
	ByDesk   = "attested" // the desk's attestation
	ByServer = "server"   // the principal that Temporal's server noted
	ByClaim  = "claimed"  // what the client called itself
	BySystem = "system"   // the schedule
)

// StartedBy is who started a night, and how that is known (trust, section 1).
type StartedBy struct {
	Way string `json:"way"`
	// Name is the person or client, Subject the person as the identity provider or Temporal's server knows them.
	Name     string    `json:"name,omitempty"`
	Subject  string    `json:"subject,omitempty"`
	Verified string    `json:"verified"`
	At       time.Time `json:"at"`
}

// ByHand tells whether a person started it, who must not be the one to approve it.
func (s *StartedBy) ByHand() bool { return s != nil && s.Way != WaySchedule }

// String says it in words.
func (s *StartedBy) String() string {
	switch {
	case s == nil:
		return ""
	case s.Way == WaySchedule:
		return "the schedule"
	}
	who, way := s.Name, map[string]string{WayBackfill: "a backfill by ", WayReset: "a reset by "}[s.Way]
	if who == "" {
		who = s.Subject
	}
	if who == "" {
		who = "somebody unknown"
	}
	if s.Verified == ByClaim {
		return way + who + ", which nobody has verified"
	}
	return way + who + ", verified"
}

// StageRecord is what one stage of a night read and left.
type StageRecord struct {
	Stage string `json:"stage"`
	// Reads are the stages whose files it read; none: the inputs.
	Reads []string `json:"reads,omitempty"`
	// Outputs are the files as it left them. Those for the next stage alone lie in work/ and may be gone.
	Outputs []ArtifactRef `json:"outputs"`
	// Code names the build that made them, Reused the night for which they were made when it was not this one.
	Code   string   `json:"code,omitempty"`
	Reused *NightID `json:"reused,omitempty"`
}

// Basis is what decides which rows count and what they weigh, by name and hash.
type Basis struct {
	Edition     Named `json:"edition"`
	Rules       Named `json:"rules"`
	Supplement  Named `json:"supplement"`
	Resolutions Named `json:"resolutions"`
	Model       Named `json:"model"`
}

// Output finds an output by its file name; ok is false when the night has none of that name.
func (m Manifest) Output(file string) (ref ArtifactRef, ok bool) {
	for _, o := range m.Outputs {
		if n := len(o.URI) - len(file); n >= 0 && o.URI[n:] == file && (n == 0 || o.URI[n-1] == '/') {
			return o, true
		}
	}
	return ArtifactRef{}, false
}

// LinksSHA256 is the hash of the person links in their normal form; empty: the night has none.
func (m Manifest) LinksSHA256() string {
	ref, _ := m.Output(LinksFile)
	return ref.SHA256
}

// ExtractForm is what an extract looked like before it was typed, and how that differed from the night published last
// from the same source.
type ExtractForm struct {
	// Source is the configured name, or the path or URL, that was asked for.
	Source string `json:"source"`
	// Columns is the physical form of each column of the contract, such as "timestamp in us", "text" or "absent".
	Columns map[string]string `json:"columns"`
	// Near are columns of the contract that a dropped column is called nearly like. Its own name is not kept.
	Near []string `json:"columns_called_nearly,omitempty"`
	// Drift says in words what differed.
	Drift []string `json:"drift,omitempty"`
	// Accepted is why columns that were lost or retyped were taken all the same.
	Accepted string `json:"drift_accepted,omitempty"`
}

// Facts are counts beside the dispositions.
type Facts struct {
	// Conflicting counts duplicates whose values differed from the row that stayed.
	Conflicting int64 `json:"conflicting_duplicates"`
	// OutOfRange counts values that a nullable column cannot hold and that were read as null, by column: an age outside
	// 0 to 130, a date before 1900, a status or sex that is none, text that is not UTF-8 (section 3).
	OutOfRange map[string]int64 `json:"out_of_range,omitempty"`
	// Placeholders counts ids that name nobody, by column (section 4, rule 5).
	Placeholders map[string]int64 `json:"placeholders,omitempty"`
	// Links tell of the person links; nil: the source has none (section 3).
	Links *LinkFacts `json:"person_links,omitempty"`
	// OlderStands counts rows that stay although a later version of them is quarantined (section 4, rule 2).
	OlderStands int64 `json:"older_version_stands,omitempty"`
	// Resolutions counts scored rows by the rule of resolutions.csv that their weight took, URNContradicts those whose
	// URN belongs to another offence code than theirs (section 5).
	Resolutions    map[string]int64 `json:"resolutions,omitempty"`
	URNContradicts int64            `json:"urn_contradicts_code,omitempty"`
	// Unreadable counts values that were not what their column holds (text of CSV or a database, numbers that are not
	// whole) and were read as null, by column.
	Unreadable map[string]int64 `json:"unreadable_values,omitempty"`
	// ExtraColumns counts columns beyond the contract. Their names are not kept: they may hold names.
	ExtraColumns int64 `json:"extra_columns"`
	// Lowest counts scored rows whose weight came from the rule `lowest`, Supplement those whose
	// weight came from the supplement.
	Lowest     int64 `json:"weight_by_lowest_rule"`
	Supplement int64 `json:"weight_by_supplement"`
	// UnknownBoroughs counts scored rows whose borough is given and none of the 32.
	UnknownBoroughs int64 `json:"unknown_boroughs,omitempty"`
	// BlindSpot is what the night leaves out.
	BlindSpot BlindSpot `json:"blind_spot,omitzero"`
	// QuarantineReasons counts quarantined rows by reason.
	QuarantineReasons map[string]int64 `json:"quarantine_reasons"`
}

// AddCount adds to a count by name, in a map that is made for the first.
func AddCount(to *map[string]int64, name string, n int64) {
	if *to == nil {
		*to = map[string]int64{}
	}
	(*to)[name] += n
}

// ColumnCount counts values of one of the contract's columns.
type ColumnCount struct {
	Column string
	Values int64
}

// String says in words what was made of them.
func (c ColumnCount) String() string {
	taken := "null"
	if c.Column == Offences[Handling].Name { // fails safe (section 3)
		taken = HandlingRestricted
	}
	return fmt.Sprintf("Could not be read, and taken as %s: %s of %s.", taken, text.Count(c.Values, "value"), c.Column)
}

// ReadAsNull counts the values, not blank, that became null because their column cannot hold them, in the order of the
// columns: Unreadable and OutOfRange.
func (f Facts) ReadAsNull() (list []ColumnCount) {
	for _, c := range Offences {
		if n := f.Unreadable[c.Name] + f.OutOfRange[c.Name]; n > 0 {
			list = append(list, ColumnCount{c.Name, n})
		}
	}
	return list
}

// Blind says in words which rules had nothing to go by, because the extract lacks the column.
func (m Manifest) Blind() (list []string) {
	for _, rule := range [][2]string{{"suspect_age", "nobody was left out as under 18"}, {"suspect_status", "nobody was left out as deceased"}} {
		if m.Form == nil {
			continue
		}
		switch m.Form.Columns[rule[0]] {
		case FormAbsent:
			list = append(list, fmt.Sprintf("The extract has no column %s: %s.", rule[0], rule[1]))
		case FormEmpty:
			list = append(list, fmt.Sprintf("The extract has no value in column %s: %s.", rule[0], rule[1]))
		}
	}
	for _, e := range m.Facts.BlindSpot.Enter {
		if e.NotCounted != "" {
			list = append(list, fmt.Sprintf("How many would enter the stack if rows of %s counted could not be found: %s.",
				e.Reason, e.NotCounted))
		}
	}
	return list
}

// Forms of a column that has no value.
const (
	FormAbsent = "absent"   // the extract does not have it
	FormEmpty  = "no value" // its type is Null
)

// Cut describes the edge of the stack.
type Cut struct {
	Depth int64 `json:"depth"` // how many the model puts on the stack
	Stack int64 `json:"stack"` // how many are on it
	Score int64 `json:"score"` // of the last one on it
	// InsideTie: the next suspect has the same score, so the edge was drawn by the tie-breaks.
	InsideTie bool `json:"inside_tie"`
	// TiedIn and TiedOut count suspects with the edge's score on the stack and below it.
	TiedIn  int64 `json:"tied_in"`
	TiedOut int64 `json:"tied_out"`
	// Contained counts those in custody who stand above the last one, beside the stack.
	Contained int64 `json:"contained,omitempty"`
}

// ChangeCount counts the rows of changes.parquet by kind.
type ChangeCount struct {
	Entered int64 `json:"entered"`
	Left    int64 `json:"left"`
	Moved   int64 `json:"moved"`
	Stayed  int64 `json:"stayed"`
}

// ManifestRef names a manifest, exactly.
type ManifestRef struct {
	NightID
	URI    string `json:"uri"`
	SHA256 string `json:"sha256"`
}

// The three ways in which a night is decided.
const (
	Approved     = "approved"
	Held         = "held"
	SupersededBy = "superseded"
)

// Decision is decision.json: what was decided of one revision, by whom, when and why. Final.
type Decision struct {
	Decision string      `json:"decision"`
	Manifest ManifestRef `json:"manifest"`
	By       string      `json:"by"`
	Reason   string      `json:"reason"`
	// Override is why the stack was approved though a check blocks it.
	Override string    `json:"override,omitempty"`
	At       time.Time `json:"at"`
	// Subject is the person as the identity provider knows them, Attestation the desk's word on it; both are empty when By
	// is what somebody claims.
	Subject     string `json:"subject,omitempty"`
	Attestation string `json:"attestation,omitempty"`
	// First is the officer who asked for the override; By is the second, who confirmed it.
	First *Decision `json:"first,omitempty"`
}

// Bare takes the desk's words out of a decision: they stay in the store.
func (d *Decision) Bare() *Decision {
	for one := d; one != nil; one = one.First {
		one.Attestation = ""
	}
	return d
}

// SamePerson tells whether two decisions are of one person, as far as is known.
func (d Decision) SamePerson(other Decision) bool {
	if d.Subject != "" && other.Subject != "" {
		return d.Subject == other.Subject
	}
	return d.By == other.By
}

// Says tells whether it is what a request asks for: the same decision on the same manifest, by the same person, for the
// same reason.
func (d Decision) Says(kind string, r DecisionRequest) bool {
	return d.Decision == kind && d.Manifest.SHA256 == r.ManifestSHA256 && d.By == TrimSpace(r.By) &&
		d.Reason == TrimSpace(r.Reason)
}

// Revoked is what has become of a night whose approval was taken back. Its decision.json says approved for ever.
const Revoked = "revoked"

// Current is the record of an approval, or of one that was taken back, approvals/<number>.json: which stack is the
// approved one from then on. current.json is a copy of the last. It is swapped last.
type Current struct {
	Number int `json:"approval,omitempty"` // from 1; 0 in a current.json from before there were records
	// Manifest and what follows are zero when no stack is approved, because the only approval was taken back.
	Manifest ManifestRef `json:"manifest,omitzero"`
	Stack    ArtifactRef `json:"stack,omitzero"`
	By       string      `json:"approved_by,omitempty"`
	At       time.Time   `json:"approved_at,omitzero"`
	// Revocations are all that were ever made, the oldest first, so that the last record alone tells which
	// approvals count.
	Revocations []Revocation `json:"revocations,omitempty"`
}

// Revocation is an approval taken back: which, by whom, why and when.
type Revocation struct {
	Number   int         `json:"approval"` // of the record that says so
	Manifest ManifestRef `json:"manifest"`
	By       string      `json:"by"`
	Reason   string      `json:"reason"`
	At       time.Time   `json:"at"`
	// Attestation is the desk's word on who By is; empty when that is what somebody claims.
	Attestation string `json:"attestation,omitempty"`
}

// Revocation is what the record is of, nil when it is of an approval.
func (c Current) Revocation() *Revocation {
	if n := len(c.Revocations); n > 0 && c.Revocations[n-1].Number == c.Number {
		return &c.Revocations[n-1]
	}
	return nil
}

// Occasion names what the record is of: the taskings follow each once.
func (c Current) Occasion() string {
	if r := c.Revocation(); r != nil {
		return Occasion(c.Manifest.NightID, r.Manifest.NightID)
	}
	return Occasion(c.Manifest.NightID, NightID{})
}

// Occasion names the approval of a night or, when revoked is not zero, that the approval of that one was taken back.
func Occasion(night, revoked NightID) string {
	if revoked != (NightID{}) {
		return "revoked-" + revoked.String()
	}
	return night.String()
}

// RevokedNights are the nights whose approval was taken back.
func (c Current) RevokedNights() (nights []NightID) {
	for _, r := range c.Revocations {
		nights = append(nights, r.Manifest.NightID)
	}
	return nights
}

// Disposal is disposal.json, or disposal-extract.json: what of a night is gone for good, when and under which
// rule. It is written before the first file is deleted, and holds nothing personal.
type Disposal struct {
	NightID
	Rule string    `json:"rule"` // "nights are kept for 400 days"
	At   time.Time `json:"at"`
	// Manifest is the sha256 of the manifest, which stays; empty when the night was never published.
	Manifest string `json:"manifest_sha256,omitempty"`
	// Files are those that go, as the manifest names them; what it does not name stands by its key alone.
	Files []ArtifactRef `json:"files"`
}

// RecordsDisposal is disposals/<number>.json: what beside nights is gone for good, when and under which rule. It is
// written before the first file is deleted, and holds nothing personal: taskings go by their pseudonyms.
type RecordsDisposal struct {
	What  string        `json:"what"` // "taskings"
	Rule  string        `json:"rule"` // "taskings are kept after they ended for 2,192 days"
	At    time.Time     `json:"at"`
	Files []ArtifactRef `json:"files"`
}

// DisposalKey is where the record of that number lies.
func DisposalKey(number int) string { return fmt.Sprintf("%s%06d.json", DisposalsFolder, number) }
