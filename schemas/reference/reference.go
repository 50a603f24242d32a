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
	AliasesFile     = "borough-aliases.csv" // other ways to write a borough
	// PlaceholdersFile lists what stands for "nobody named" where a person's id is expected.
	PlaceholdersFile = "placeholders.csv"
	// MixFile counts recorded offences by borough and kind over a year; the synthetic extract copies its mix.
	MixFile = "borough-offences-2025-07-to-2026-06.csv"
)

// Files are the embedded tables.
//
//go:embed *.csv
var Files embed.FS

// Borough is one of the 32 and the command unit that polices it.
type Borough struct{ Name, BCU, BCUCode string }

// Tables are the validated tables of one edition.
type Tables struct {
	Edition, Rules, Supplement, Resolutions schemas.Named

	boroughs []Borough
	byLower  map[string]int // with aliases
	set      ruleSet
	files    map[string]content // what the tables were read from, by the names of the embedded files

	byURN   map[string][]*offence
	byPair  map[pair][]*offence
	byCode  map[string][]*offence
	lowest  map[pair]bool
	asClass map[string]string // by code: the class as which one is read whose class is missing or not in the table

	placeholders map[string]bool // in lower case, runs of space as one
	prefixes     []string        // likewise
	least        bool            // see Least
	// By first bytes, so that the ids of people cost next to nothing: those that a placeholder may begin with.
	mayBeNobody [256]bool
	mayBegin    [256][256]bool
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
	vawg       bool // when the victim is female
	ifDomestic bool // and the row is flagged as domestic abuse
	female     bool // the offence itself names a female victim
}

// Default returns the embedded tables. They are part of the build, so a fault in them is a fault of
// the build, and panics.
var Default = sync.OnceValue(func() *Tables {
	t, err := load(Files, ruleSets[0], nil)
	if err != nil {
		panic(err)
	}
	return t
})

// Paths name files that take the place of embedded tables: a newer edition of the index, another rule set, a
// supplement, resolutions. An empty one is the embedded table; Rules may also be the name of an embedded rule set,
// which brings its own resolutions along.
type Paths struct{ Edition, Rules, Supplement, Resolutions string }

// ruleSet is an embedded rule set and the resolutions that belong to it.
type ruleSet struct{ name, rules, resolutionsName, resolutions string }

// The rule sets that are part of the build (contract, section 5). The first is taken when none is named.
var ruleSets = []ruleSet{
	{"vawg-v2", "vawg-offences-v2.csv", "resolutions-v2", "resolutions-v2.csv"},
	{"vawg-v1", RulesFile, "resolutions-v1", ResolutionsFile},
}

// RuleSets are the names of the embedded rule sets.
func RuleSets() (names []string) {
	for _, s := range ruleSets {
		names = append(names, s.name)
	}
	return names
}

// LoadPaths reads and validates the tables, those that are named from their files; the error names every fault by file
// and line. A table is named after its file: cchi-2025.csv is cchi-2025.
func LoadPaths(p Paths) (*Tables, error) {
	if p == (Paths{}) {
		return Default(), nil
	}
	set := ruleSets[0]
	for _, s := range ruleSets {
		if s.name == p.Rules {
			set, p.Rules = s, ""
		}
	}
	return load(
		Files,
		set,
		map[string]string{
			EditionFile:     p.Edition,
			set.rules:       p.Rules,
			SupplementFile:  p.Supplement,
			set.resolutions: p.Resolutions,
		},
	)
}

// WithEdition are the same tables with another edition of the index, which has the name of its file.
func (t *Tables) WithEdition(file, text string) (*Tables, error) {
	files := maps.Clone(t.files)
	files[EditionFile] = content{file, nameOf(file), []byte(text)}
	return read(loader{files: files}, t.set)
}

// CheckEditions reads the editions of the models that a stack is compared with.
func (t *Tables) CheckEditions(s schemas.Stability) error {
	var errs []error
	for _, m := range s.Models {
		if m.Edition != "" {
			_, err := t.WithEdition(m.Edition, m.EditionTable())
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func load(dir fs.FS, set ruleSet, other map[string]string) (*Tables, error) {
	return read(loader{dir: dir, other: other, files: map[string]content{}}, set)
}

func read(l loader, set ruleSet) (*Tables, error) {
	t := &Tables{
		set:          set,
		files:        l.files,
		byLower:      map[string]int{},
		byURN:        map[string][]*offence{},
		byPair:       map[pair][]*offence{},
		byCode:       map[string][]*offence{},
		lowest:       map[pair]bool{},
		asClass:      map[string]string{},
		placeholders: map[string]bool{},
	}
	t.Edition = l.table(
		EditionFile,
		"cchi-2020",
		"urn,home_office_code,offence_class,title,days,proxy,notifiable,offence_group,offence_subgroup",
		t.addOffence,
	)
	if err := l.err(); err != nil {
		return nil, err // the other tables would find nothing right in a wrong index
	}
	t.Rules = l.table(
		set.rules,
		set.name,
		"urn,home_office_code,offence_class,title,victim_sex_in_code,vawg,reason",
		t.addRule,
	)
	t.Supplement = l.table(
		SupplementFile,
		"vawg-supplement-v1",
		"home_office_code,offence_class,title,vawg,days,basis",
		t.addSupplement,
	)
	t.Resolutions = l.table(set.resolutions, set.resolutionsName, resolutionsV1+" or "+resolutionsV2, t.addResolution)
	l.table(BoroughsFile, "boroughs", "borough,bcu,bcu_code", t.addBorough)
	l.table(AliasesFile, "borough-aliases", "alias,borough", t.addAlias)
	l.table(PlaceholdersFile, "placeholders", "pattern,reason", t.addPlaceholder)
	t.notePlaceholders()
	if err := l.err(); err != nil {
		return nil, err
	}
	return t, nil
}

// The two layouts of resolutions: the first knows the rule "lowest" alone, for a pair that the table has.
const (
	resolutionsV1 = "home_office_code,offence_class,rule,reason"
	resolutionsV2 = "home_office_code,offence_class,given_class,rule,as_class,reason"
)

type loader struct {
	dir   fs.FS
	other map[string]string // paths of files that take the place of those in dir
	files map[string]content
	errs  []error
}

// content is what a table is read from.
type content struct {
	path, name string
	data       []byte
}

// nameOf is the name of a table that is not embedded.
func nameOf(path string) string { return strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)) }

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
	c, ok := l.files[file]
	if !ok {
		var err error
		c = content{path: file, name: name}
		if path := l.other[file]; path != "" {
			c.path, c.name = path, nameOf(path)
			c.data, err = os.ReadFile(path)
		} else {
			c.data, err = fs.ReadFile(l.dir, file)
		}
		if err != nil {
			l.fault("%s: %w", c.path, err)
			return schemas.Named{}
		}
		l.files[file] = c
	}
	file, name, data := c.path, c.name, c.data
	text := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\ufeff")))) // as spreadsheets write it
	row, err := text.Read()
	if err != nil || !slices.Contains(strings.Split(header, " or "), strings.Join(row, ",")) {
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
	if o.ruled {
		return fmt.Errorf("urn %s stands twice", row[0])
	}
	o.ruled = true
	if o.female = row[4] == "female"; !o.female && !slices.Contains([]string{"any", "male"}, row[4]) {
		return fmt.Errorf("victim_sex_in_code is %q, it must be any, female or male", row[4])
	}
	var err error
	if o.ifDomestic = row[5] == "if_domestic"; o.ifDomestic {
		o.vawg = true
	} else if o.vawg, err = parseYes(row[5]); err != nil {
		return fmt.Errorf("vawg is %q, it must be yes, no or if_domestic", row[5])
	}
	return nil
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
	if len(row) == strings.Count(resolutionsV1, ",")+1 {
		row = []string{row[0], row[1], "known", row[2], "", row[3]}
	}
	code, class, given, rule, as := row[0], row[1], row[2], row[3], row[4]
	switch {
	case given == "known" && rule == ByLowest && as == "":
		key := pair{code, class}
		if len(t.byPair[key]) < 2 {
			return fmt.Errorf("%s %s is not an ambiguous pair of the index", code, class)
		}
		if t.lowest[key] {
			return fmt.Errorf("%s %s stands twice", code, class)
		}
		t.lowest[key] = true
	case given == "missing" && rule == ByAsClass && class == "":
		if t.byPair[pair{code, as}] == nil {
			return fmt.Errorf("as_class: %s %s is not in the index", code, as)
		}
		if t.asClass[code] != "" {
			return fmt.Errorf("%s without a class stands twice", code)
		}
		t.asClass[code] = as
	default:
		return fmt.Errorf(
			"rule %q of %s is unknown: a class that is known takes %s, one that is missing %s with the class in as_class",
			rule,
			schemas.TrimSpace(code+" "+class),
			ByLowest,
			ByAsClass,
		)
	}
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

func (t *Tables) addAlias(row []string) error {
	i, ok := t.byLower[strings.ToLower(row[1])]
	if !ok {
		return fmt.Errorf("%s is none of the boroughs", row[1])
	}
	lower := strings.ToLower(row[0])
	if _, twice := t.byLower[lower]; twice || lower == "" {
		return fmt.Errorf("alias %q stands twice, is a borough, or is empty", row[0])
	}
	t.byLower[lower] = i
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
	return schemas.Basis{
		Edition:     t.Edition,
		Rules:       t.Rules,
		Supplement:  t.Supplement,
		Resolutions: t.Resolutions,
		Model:       m.Named(),
	}
}

// Boroughs are the 32, in the order of their names.
func (t *Tables) Boroughs() []Borough { return t.boroughs }

// FindBorough finds one of the 32 in any letter case, also by an alias.
func (t *Tables) FindBorough(name string) (index int, ok bool) {
	index, ok = t.byLower[strings.ToLower(name)]
	return index, ok
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
		if o := t.byURN[urn][0]; o.vawg && !o.ifDomestic {
			list = append(list, Offence{o.urn, o.key.code, o.key.class, o.title, o.tenths, o.female})
		}
	}
	return list
}
