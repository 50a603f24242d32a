package schemas

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"harmstack/schemas/yamlfile"
)

//go:embed models/*.yaml
var models embed.FS

// DefaultModel is the model that makes the stack.
const DefaultModel = "rfs-v2"

// Model declares how a suspect is scored (contract, section 6). Every figure is a whole number, so
// that the result is the same for any order, sharding or machine.
type Model struct {
	Name string `yaml:"name" json:"name"`
	// HalfLifeDays: an allegation this old weighs half. 0 means that age does not count.
	HalfLifeDays int `yaml:"half_life_days" json:"half_life_days"`
	// FrequencyStepPPM is added to the factor for each further allegation, in millionths.
	FrequencyStepPPM int64 `yaml:"frequency_step_ppm" json:"frequency_step_ppm"`
	// FrequencyCap is how many further allegations count.
	FrequencyCap int64 `yaml:"frequency_cap" json:"frequency_cap"`
	// FrequencyApply is FrequencyEach or FrequencyAll; empty is FrequencyAll, as the models of version 1 have it.
	FrequencyApply string `yaml:"frequency_apply" json:"frequency_apply,omitempty"`
	// NonRecent is NonRecentFull or NonRecentAside; empty is NonRecentFull.
	NonRecent string `yaml:"non_recent" json:"non_recent,omitempty"`
	// PerReport is PerReportAll or PerReportGravest; empty is PerReportAll.
	PerReport string `yaml:"per_report" json:"per_report,omitempty"`
	// Custody is CustodyAside or CustodyCounted; empty is CustodyAside.
	Custody string `yaml:"custody" json:"custody,omitempty"`
	// WindowDays: an allegation counts while its age in days is below this.
	WindowDays int `yaml:"window_days" json:"window_days"`
	// Depth is how many suspects the stack holds.
	Depth int64 `yaml:"depth" json:"depth"`
	// MinimumAllegations keeps suspects with fewer scored allegations off the stack. They are ranked
	// all the same.
	MinimumAllegations int64 `yaml:"minimum_allegations" json:"minimum_allegations"`
	// Edition is a file of another edition of the index, which weighs what the night scores: of a model that a stack is
	// compared with alone. Empty: the night's own edition.
	Edition string `yaml:"edition" json:"edition,omitempty"`

	sha256  string
	edition string // what is in the file
}

// EditionTable is what is in the file of Edition.
func (m Model) EditionTable() string { return m.edition }

// What a model may say (contract, section 6).
const (
	FrequencyAll     = "all"     // the whole sum is multiplied by the factor of the last allegation
	FrequencyEach    = "each"    // each allegation by its own: the gravest by 1, each further one by more
	NonRecentFull    = "full"    // what was committed long before its report counts in full
	NonRecentAside   = "aside"   // it does not count
	PerReportAll     = "all"     // every allegation counts
	PerReportGravest = "gravest" // of one report and one victim only the gravest does
	CustodyAside     = "aside"   // who is in custody takes no place on the stack, and stands beside it
	CustodyCounted   = "counted" // they take places as everybody does, as by version 1
)

// LoadModel returns the built-in model of that name.
func LoadModel(name string) (Model, error) {
	data, err := models.ReadFile("models/" + name + ".yaml")
	if err != nil {
		names := ModelNames()
		return Model{}, fmt.Errorf("no model %q: the built-in models are %s", name, strings.Join(names, ", "))
	}
	return ParseModel(data)
}

// ModelNames lists the built-in models.
func ModelNames() (names []string) {
	entries, _ := models.ReadDir("models") // an embedded folder cannot fail to be read
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	return names
}

// ParseModel reads and validates a model. A field it does not know is an error: a misspelt
// half-life must not silently fall back to a default.
func ParseModel(data []byte) (Model, error) {
	var m Model
	file, err := yamlfile.Decode(data, yamlfile.Small, &m)
	if err == nil {
		err = m.Validate()
		if m.Edition != "" {
			err = errors.Join(err, yamlfile.Wrong("edition", "only a model that a stack is compared with has one of its own"))
		}
		err = file.Place(err)
	}
	if err != nil {
		return Model{}, fmt.Errorf("model: %w", err)
	}
	sum := sha256.Sum256(data)
	m.sha256 = hex.EncodeToString(sum[:])
	return m, nil
}

// Named is the model by name and the hash of its declaration.
func (m Model) Named() Named { return Named{m.Name, m.sha256} }

// Validate names every figure that is out of its range.
func (m Model) Validate() error {
	var errs []error
	within := func(field string, v, low, high int64) {
		if v < low || v > high {
			errs = append(errs, yamlfile.Wrong(field, "it is %d, it must be from %d to %d", v, low, high))
		}
	}
	if m.Name == "" {
		errs = append(errs, yamlfile.Wrong("name", "it is missing"))
	}
	within("half_life_days", int64(m.HalfLifeDays), 0, 36_500)
	within("frequency_step_ppm", m.FrequencyStepPPM, 0, PPM)
	within("frequency_cap", m.FrequencyCap, 0, 1_000)
	within("window_days", int64(m.WindowDays), 1, 36_500)
	within("depth", m.Depth, 1, 1_000_000)
	within("minimum_allegations", m.MinimumAllegations, 1, 1_000_000)
	oneOf := func(field, v string, allowed ...string) {
		if v != "" && !slices.Contains(allowed, v) {
			errs = append(errs, yamlfile.Wrong(field, "it must be %s", strings.Join(allowed, " or ")))
		}
	}
	oneOf("frequency_apply", m.FrequencyApply, FrequencyAll, FrequencyEach)
	oneOf("non_recent", m.NonRecent, NonRecentFull, NonRecentAside)
	oneOf("per_report", m.PerReport, PerReportAll, PerReportGravest)
	oneOf("custody", m.Custody, CustodyAside, CustodyCounted)
	return errors.Join(errs...)
}

// Recency is r(age) in millionths for every age in the window: round(1,000,000 * 2^(-age/half-life)).
func (m Model) Recency() []int64 {
	table := make([]int64, m.WindowDays)
	for age := range table {
		table[age] = PPM
		if m.HalfLifeDays > 0 {
			table[age] = int64(math.Round(PPM * math.Exp2(-float64(age)/float64(m.HalfLifeDays))))
		}
	}
	return table
}

// Frequency is f(n) in millionths, n >= 1: of the n-th allegation, by what it adds, or of all when there are n.
func (m Model) Frequency(n int64) int64 {
	return PPM + m.FrequencyStepPPM*min(n-1, m.FrequencyCap)
}
