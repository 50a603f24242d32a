// Package reference holds the tables that decide which offences count and what they weigh: the
// Cambridge Crime Harm Index, the VAWG rule set, its supplement and resolutions, and the boroughs.
//
// The tables are embedded as published, or files that a deployment names, and validated when they are loaded. The
// package must not know extracts or suspects: it is asked about one offence at a time.
package reference

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"harmstack/schemas"
	"harmstack/schemas/text"
)

// Names of the embedded tables. CCHI 2020: Institute of Criminology, University of Cambridge, and the
// Cambridge Centre for Evidence-Based Policing. Offence codes: Home Office counting rules. Boroughs
// and their offence counts: Metropolitan Police Service via the London Datastore.
const (
	EditionFile     = "cchi-2020.csv"
	RulesFile       = "vawg-offences.csv"
	SupplementFile  = "vawg-supplement.csv"
	ResolutionsFile = "resolutions.csv"
	BoroughsFile    = "boroughs.csv"
	// MixFile counts recorded offences by borough and kind over a year; the synthetic extract copies its mix.
	MixFile = "borough-offences-2025-07-to-2026-06.csv"
)

// Files are the embedded tables.
//
//go:embed *.csv
var Files embed.FS

// Verdict says what the tables make of an offence.
type Verdict uint8

// The three verdicts (contract, section 5).
const (
	NotVAWG  Verdict = iota // no violence against women and girls
	Unscored                // it is, or may be, but no single weight follows
	Weighed                 // it is, and has a weight
)

// Names of the rules by which a weight is found, as contributions.parquet shows them.
const (
	ByURN        = "urn"
	ByPair       = "pair"
	ByCode       = "code"
	ByLowest     = "lowest"
	BySupplement = "supplement"
)

// Weight is the answer to one look-up.
type Weight struct {
	Verdict Verdict
	Tenths  int64  // harm in tenths of a day; 0 unless Weighed
	Rule    string // how it was found; empty unless Weighed
	Title   string // the offence's title; empty unless Weighed
}

// Borough is one of the 32 and the command unit that polices it.
type Borough struct{ Name, BCU, BCUCode string }

// Tables are the validated tables of one edition.
type Tables struct {
	Edition, Rules, Supplement, Resolutions schemas.Named

	boroughs []Borough
	byLower  map[string]int
	byURN    map[string][]*offence
	byPair   map[pair][]*offence
	byCode   map[string][]*offence
	lowest   map[pair]bool
}

type pair struct{ code, class string }

// offence is one row of the index or of its supplement.
type offence struct {
	urn        string
	key        pair
	title      string
	tenths     int64
	weighed    bool // the supplement lists offences without a weight
	supplement bool
	ruled      bool // the rule set says whether it is VAWG
	vawg       bool
	female     bool // the offence itself names a female victim
}

// Default returns the embedded tables. They are part of the build, so a fault in them is a fault of
// the build, and panics.
var Default = sync.OnceValue(func() *Tables {
	t, err := Load(Files)
	if err != nil {
		panic(err)
	}
	return t
})

// Paths name files that take the place of embedded tables: a newer edition of the index, another rule set, a supplement,
// resolutions. An empty one is the embedded table.
type Paths struct{ Edition, Rules, Supplement, Resolutions string }

// LoadPaths reads and validates the tables as Load does, those that are named from their files. A table is named after
// its file: cchi-2025.csv is cchi-2025.
func LoadPaths(p Paths) (*Tables, error) {
	if p == (Paths{}) {
		return Default(), nil
	}
	return load(Files, map[string]string{EditionFile: p.Edition, RulesFile: p.Rules, SupplementFile: p.Supplement, ResolutionsFile: p.Resolutions})
}

// Load reads and validates the tables in a folder. The error names every fault by file and line.
func Load(dir fs.FS) (*Tables, error) { return load(dir, nil) }

func load(dir fs.FS, other map[string]string) (*Tables, error) {
	t := &Tables{
		byLower: map[string]int{},
		byURN:   map[string][]*offence{},
		byPair:  map[pair][]*offence{},
		byCode:  map[string][]*offence{},
		lowest:  map[pair]bool{},
	}
	l := loader{dir: dir, other: other}
	t.Edition = l.table(EditionFile, "cchi-2020", "urn,home_office_code,offence_class,title,days,proxy,notifiable,offence_group,offence_subgroup", t.addOffence)
	if err := l.err(); err != nil {
		return nil, err // the other tables would find nothing right in a wrong index
	}
	t.Rules = l.table(RulesFile, "vawg-v1", "urn,home_office_code,offence_class,title,victim_sex_in_code,vawg,reason", t.addRule)
	t.Supplement = l.table(SupplementFile, "vawg-supplement-v1", "home_office_code,offence_class,title,vawg,days,basis", t.addSupplement)
	t.Resolutions = l.table(ResolutionsFile, "resolutions-v1", "home_office_code,offence_class,rule,reason", t.addResolution)
	l.table(BoroughsFile, "boroughs", "borough,bcu,bcu_code", t.addBorough)
	if err := l.err(); err != nil {
		return nil, err
	}
	return t, nil
}

type loader struct {
	dir   fs.FS
	other map[string]string // paths of files that take the place of those in dir
	errs  []error
}

// shownFaults is how many faults of the tables are told: one wrong column is a fault of every row.
const shownFaults = 10

func (l *loader) err() error {
	if n := len(l.errs) - shownFaults; n > 0 {
		return errors.Join(append(l.errs[:shownFaults:shownFaults], errors.New("and "+text.Count(n, "more fault")))...)
	}
	return errors.Join(l.errs...)
}

func (l *loader) fault(format string, args ...any) {
	l.errs = append(l.errs, fmt.Errorf("reference table "+format, args...))
}

// table hands every row of a file to add and collects the faults with file and line.
func (l *loader) table(file, name, header string, add func(row []string) error) schemas.Named {
	data, err := fs.ReadFile(l.dir, file)
	if path := l.other[file]; path != "" {
		data, err = os.ReadFile(path)
		file, name = path, strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
	}
	if err != nil {
		l.fault("%s: %w", file, err)
		return schemas.Named{}
	}
	text := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff")))) // as spreadsheets write it
	row, err := text.Read()
	if err != nil || strings.Join(row, ",") != header {
		l.fault("%s: the header must be %s", file, header)
		return schemas.Named{}
	}
	for {
		row, err := text.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			l.fault("%s: %w", file, err) // with its line
			break
		}
		if err := add(row); err != nil {
			line, _ := text.FieldPos(0)
			l.fault("%s, line %d: %w", file, line, err)
		}
	}
	sum := sha256.Sum256(data)
	return schemas.Named{Name: name, SHA256: hex.EncodeToString(sum[:])}
}

func (t *Tables) addOffence(row []string) error {
	tenths, err := parseTenths(row[4])
	if err != nil {
		return err
	}
	o := &offence{urn: row[0], key: pair{row[1], row[2]}, title: row[3], tenths: tenths, weighed: true}
	if o.urn == "" {
		return errors.New("urn is missing")
	}
	if len(t.byURN[o.urn]) > 0 {
		return fmt.Errorf("urn %s stands twice", o.urn)
	}
	t.byURN[o.urn] = []*offence{o}
	return t.index(o)
}

func (t *Tables) index(o *offence) error {
	if code, ok := schemas.NormaliseOffenceCode(o.key.code); !ok || code != o.key.code {
		return fmt.Errorf("home_office_code %q is not written 019/08", o.key.code)
	}
	t.byPair[o.key] = append(t.byPair[o.key], o)
	t.byCode[o.key.code] = append(t.byCode[o.key.code], o)
	return nil
}

func (t *Tables) addRule(row []string) error {
	found := t.byURN[row[0]]
	if found == nil {
		return fmt.Errorf("urn %s is not in the index", row[0])
	}
	o := found[0]
	if o.key != (pair{row[1], row[2]}) {
		return fmt.Errorf("urn %s is %s %s in the index, %s %s here", row[0], o.key.code, o.key.class, row[1], row[2])
	}
	var err error
	if o.ruled {
		return fmt.Errorf("urn %s stands twice", row[0])
	}
	o.ruled = true
	if o.female = row[4] == "female"; !o.female && !slices.Contains([]string{"any", "male"}, row[4]) {
		return fmt.Errorf("victim_sex_in_code is %q, it must be any, female or male", row[4])
	}
	o.vawg, err = parseYes(row[5])
	return err
}

func (t *Tables) addSupplement(row []string) error {
	o := &offence{key: pair{row[0], row[1]}, title: row[2], supplement: true}
	if len(t.byPair[o.key]) > 0 && t.byPair[o.key][0].supplement {
		return fmt.Errorf("%s stands twice", schemas.TrimSpace(row[0]+" "+row[1]))
	}
	if t.byCode[row[0]] != nil && !t.byCode[row[0]][0].supplement {
		return fmt.Errorf("code %s is in the index already", row[0])
	}
	var err error
	if o.vawg, err = parseYes(row[3]); err != nil {
		return err
	}
	if row[4] != "" {
		o.weighed = true
		if o.tenths, err = parseTenths(row[4]); err != nil {
			return err
		}
	}
	return t.index(o)
}

func (t *Tables) addResolution(row []string) error {
	key := pair{row[0], row[1]}
	if len(t.byPair[key]) < 2 {
		return fmt.Errorf("%s %s is not an ambiguous pair of the index", key.code, key.class)
	}
	if row[2] != ByLowest {
		return fmt.Errorf("rule %q is unknown: the only rule is %s", row[2], ByLowest)
	}
	t.lowest[key] = true
	return nil
}

func (t *Tables) addBorough(row []string) error {
	b := Borough{Name: row[0], BCU: row[1], BCUCode: row[2]}
	if b.Name == "" || b.BCU == "" || b.BCUCode == "" {
		return fmt.Errorf("borough %q needs a name, a BCU and its code", b.Name)
	}
	lower := strings.ToLower(b.Name)
	if _, twice := t.byLower[lower]; twice {
		return fmt.Errorf("borough %s stands twice", b.Name)
	}
	t.byLower[lower] = len(t.boroughs)
	t.boroughs = append(t.boroughs, b)
	return nil
}

func parseYes(s string) (bool, error) {
	if s != "yes" && s != "no" {
		return false, fmt.Errorf("vawg is %q, it must be yes or no", s)
	}
	return s == "yes", nil
}

// parseTenths reads days with at most one decimal: the index is exact in tenths of a day.
func parseTenths(s string) (int64, error) {
	whole, tenth, point := strings.Cut(s, ".")
	if !point {
		tenth = "0"
	}
	n, err := strconv.ParseUint(whole+tenth, 10, 31)
	if err != nil || len(tenth) != 1 || whole == "" || n == 0 {
		return 0, fmt.Errorf("weight %q is not a positive number of days in whole tenths", s)
	}
	return int64(n), nil
}

// Basis names the tables, beside a model.
func (t *Tables) Basis(m schemas.Model) schemas.Basis {
	return schemas.Basis{Edition: t.Edition, Rules: t.Rules, Supplement: t.Supplement, Resolutions: t.Resolutions, Model: m.Named()}
}

// Boroughs are the 32, in the order of their names.
func (t *Tables) Boroughs() []Borough { return t.boroughs }

// FindBorough finds one of the 32 in any letter case.
func (t *Tables) FindBorough(name string) (index int, ok bool) {
	index, ok = t.byLower[strings.ToLower(name)]
	return index, ok
}

// Weigh looks an offence up (contract, section 5): by urn where the table knows it, else by (code,
// class), else by code where all its rows agree. code is in the form 019/08; an empty urn or class is
// not given. female says that the victim on the record is female.
func (t *Tables) Weigh(urn, code, class string, female bool) Weight {
	if rows := t.byURN[urn]; rows != nil {
		return t.verdict(rows, ByURN, female)
	}
	if rows := t.byPair[pair{code, class}]; rows != nil && class != "" {
		return t.verdict(rows, ByPair, female)
	}
	return t.verdict(t.byCode[code], ByCode, female)
}

// verdict decides over every row that the offence may be: VAWG if all of them are, not if none is, and
// with a weight if they agree on it or a resolution says how to choose.
func (t *Tables) verdict(rows []*offence, rule string, female bool) Weight {
	vawg := 0
	for _, o := range rows {
		if o.vawg && (female || o.female) {
			vawg++
		}
	}
	if vawg == 0 {
		return Weight{}
	}
	least := slices.MinFunc(rows, func(a, b *offence) int { return int(a.tenths - b.tenths) })
	agree := !slices.ContainsFunc(rows, func(o *offence) bool { return o.tenths != least.tenths })
	switch {
	case vawg < len(rows) || !least.weighed:
		return Weight{Verdict: Unscored}
	case agree && least.supplement:
		rule = BySupplement
	case !agree && rule == ByPair && t.lowest[least.key]:
		rule = ByLowest
	case !agree:
		return Weight{Verdict: Unscored}
	}
	return Weight{Verdict: Weighed, Tenths: least.tenths, Rule: rule, Title: least.title}
}

// Offence is one VAWG row with a weight, for those who list the tables.
type Offence struct {
	URN, Code, Class, Title string
	Tenths                  int64
	NamesFemale             bool
}

// VAWGOffences lists the weighed VAWG rows of the index, by urn.
func (t *Tables) VAWGOffences() []Offence {
	var list []Offence
	for _, urn := range slices.Sorted(maps.Keys(t.byURN)) {
		if o := t.byURN[urn][0]; o.vawg {
			list = append(list, Offence{o.urn, o.key.code, o.key.class, o.title, o.tenths, o.female})
		}
	}
	return list
}
