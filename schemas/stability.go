package schemas

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"harmstack/schemas/yamlfile"
)

//go:embed stability.yaml
var defaultStability []byte

// Stability names the models that reasonable people would also take (contract, section 6): a night tells who is among
// the first under each of them, so that an officer sees whose place hangs on the choice of a model.
type Stability struct {
	Models []Model `yaml:"models"`

	sha256 string
}

// modelColumn is what a model may be called whose positions stand in a column.
var modelColumn = regexp.MustCompile(`^[a-z][a-z0-9_]{0,60}$`)

// LoadStability reads the models from a YAML file; empty: the default ten.
func LoadStability(path string) (Stability, error) {
	data := defaultStability
	if path != "" {
		var err error
		if data, err = yamlfile.Read(path, yamlfile.Small); err != nil {
			return Stability{}, fmt.Errorf("stability: %w", err)
		}
	}
	var s Stability
	file, err := yamlfile.Decode(data, yamlfile.Small, &s)
	if err == nil {
		err = file.Place(s.validate())
	}
	if err != nil {
		return Stability{}, fmt.Errorf("stability: %w", err)
	}
	for i := range s.Models {
		m := &s.Models[i]
		if m.Edition == "" {
			continue
		}
		table, err := os.ReadFile(filepath.Join(filepath.Dir(path), m.Edition))
		if err != nil {
			return Stability{}, fmt.Errorf("stability: model %s: its edition: %w", m.Name, err)
		}
		m.edition = string(table)
		data = append(data, table...) // another table is another comparison
	}
	sum := sha256.Sum256(data)
	s.sha256 = hex.EncodeToString(sum[:])
	return s, nil
}

// MostModels is how many a night can be compared with.
const MostModels = 32

func (s Stability) validate() error {
	if len(s.Models) == 0 || len(s.Models) > MostModels {
		return yamlfile.Wrong("models", "there are %d, there must be from 1 to %d", len(s.Models), MostModels)
	}
	var errs []error
	for i, m := range s.Models {
		field := func(name string) string { return fmt.Sprintf("models[%d].%s", i, name) }
		same := func(o Model) bool { return o.Name == m.Name }
		switch {
		case !modelColumn.MatchString(m.Name) || slices.Contains(StandingColumns, m.Name):
			errs = append(errs, yamlfile.Wrong(field("name"), "it must be lower-case letters, digits and _, for it names a column"))
		case slices.IndexFunc(s.Models, same) < i:
			errs = append(errs, yamlfile.Wrong(field("name"), "it stands twice"))
		case m.WindowDays != 0 || m.Depth != 0 || m.MinimumAllegations != 0 || m.Custody != "":
			errs = append(errs, yamlfile.Wrong(field("name"),
				"window_days, depth, minimum_allegations and custody are the night's own: leave them out"))
		case m.Edition != "" && (m.Edition != filepath.Base(m.Edition) || !filepath.IsLocal(m.Edition)):
			errs = append(errs, yamlfile.Wrong(field("edition"), "it must be the name of a file beside this one"))
		default:
			errs = append(errs, s.of(m, Model{WindowDays: 1, Depth: 1, MinimumAllegations: 1}).Validate())
		}
	}
	return errors.Join(errs...)
}

// For are the models as they score a night of the model given.
func (s Stability) For(night Model) (list []Model) {
	for _, m := range s.Models {
		list = append(list, s.of(m, night))
	}
	return list
}

func (s Stability) of(m, night Model) Model {
	m.WindowDays, m.Depth, m.MinimumAllegations = night.WindowDays, night.Depth, night.MinimumAllegations
	return m
}

// Named is the declaration by name and hash.
func (s Stability) Named() Named { return Named{"stability", s.sha256} }

// StandingColumns begin stability.parquet; a column for each model follows.
var StandingColumns = []string{"suspect_id", "position", "models", "standing"}

// The two standings.
const (
	Core   = "core"   // among the first under every model
	Fringe = "fringe" // under some
)

// Standing is a row of stability.parquet: somebody who is among the first of any model.
type Standing struct {
	SuspectID string `json:"suspect_id"`
	// Position is in the night's own ranking, lanes left aside.
	Position int64 `json:"position"`
	// Models is under how many they are among the first; Standing is Core or Fringe.
	Models   int64  `json:"models"`
	Standing string `json:"standing"`
	// Positions are under each model, in the order of their declaration; nil: not among the first.
	Positions []*int64 `json:"positions"`
}

// Contender is somebody who may be among the first under a model: what one scoring hands to the ranking, a row a model.
type Contender struct {
	SuspectID    string `parquet:"suspect_id"`
	Victims      int64  `parquet:"victims"`
	Allegations  int64  `parquet:"allegations"`
	LastReported int64  `parquet:"last_reported,timestamp(microsecond)"`
	// Model is which, by the order of declaration; Score is under it.
	Model int64 `parquet:"model"`
	Score int64 `parquet:"score"`
}
