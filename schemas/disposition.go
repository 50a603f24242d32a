package schemas

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Disposition says what became of a row that was read. Each row gets exactly one: the first that
// applies, in the order of the constants (contract, section 4).
type Disposition uint8

// The dispositions in the order in which they apply.
const (
	Quarantined Disposition = iota
	Superseded
	Duplicate
	AfterAsOf
	OutsideWindow
	NoNamedSuspect
	IntelligenceOnly
	PoliceDetected
	Cleared
	Transferred // to another force, whose it is now
	NotVAWG
	VictimSexUnknown // it would be VAWG if the victim were female
	UnscoredOffence
	SuspectUnder18
	SuspectDeceased
	Scored
	DispositionCount // how many there are
)

var dispositionNames = [DispositionCount]string{
	"quarantined", "superseded", "duplicate", "after_as_of", "outside_window", "no_named_suspect",
	"intelligence_only", "police_detected", "cleared", "transferred", "not_vawg",
	"victim_sex_unknown", "unscored_offence",
	"suspect_under_18", "suspect_deceased", "scored",
}

// String is the name in the manifest, the report and the current details.
func (d Disposition) String() string { return dispositionNames[d] }

// Dispositions counts rows by disposition. As JSON it is an object from name to count that holds
// every name, zeros too, in the order of the rules.
type Dispositions [DispositionCount]int64

// Sum is the number of rows accounted for.
func (d Dispositions) Sum() (n int64) {
	for _, c := range d {
		n += c
	}
	return n
}

// Add counts o's rows in.
func (d *Dispositions) Add(o Dispositions) {
	for i, n := range o {
		d[i] += n
	}
}

// MarshalJSON keeps the order of the rules, which a map would lose.
func (d Dispositions) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	for i, n := range d {
		sep := ','
		if i == 0 {
			sep = '{'
		}
		fmt.Fprintf(&b, "%c%q:%d", sep, Disposition(i).String(), n)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// UnmarshalJSON refuses a name it does not know: a count must not vanish.
func (d *Dispositions) UnmarshalJSON(data []byte) error {
	counts := map[string]int64{}
	if err := json.Unmarshal(data, &counts); err != nil {
		return err
	}
	*d = Dispositions{}
	for i, name := range dispositionNames {
		d[i] = counts[name]
		delete(counts, name)
	}
	for name := range counts {
		return fmt.Errorf("unknown disposition %q", name)
	}
	return nil
}
