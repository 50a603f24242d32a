package reference

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"harmstack/schemas"
)

// The expected weights are read off the published tables by hand.
func TestWeigh(t *testing.T) {
	first, err := LoadPaths(Paths{Rules: "vawg-v1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		scenario         string
		urn, code, class string
		female           bool
		want             Weight
	}{
		{"urn decides even where the pair is ambiguous", "8N.8.1.1", "008/01", "8N", true, Weight{Verdict: Weighed, Tenths: 5475, Rule: ByURN}},
		{"an unknown urn falls to the pair", "9.9.9", "019/08", "19C", true, Weight{Verdict: Weighed, Tenths: 18250, Rule: ByPair}},
		{"the ambiguous pair takes the lowest", "", "008/01", "8N", true, Weight{Verdict: Weighed, Tenths: 190, Rule: ByLowest}},
		{"a pair on constables is not VAWG", "", "008/01", "8S", true, Weight{}},
		{"a code with conflicting weights", "", "019/08", "", true, Weight{Verdict: Unscored}},
		{"a code whose rows disagree on VAWG", "", "008/06", "", true, Weight{Verdict: Unscored}},
		{"a code whose rows agree on the weight and disagree on VAWG", "", "008/73", "", true, Weight{Verdict: Unscored}},
		{"the same code against a man is not VAWG in any of its rows", "", "008/06", "", false, Weight{}},
		{"an unknown class falls to the code", "", "008/01", "ZZ", true, Weight{Verdict: Unscored}},
		{"the offence names a female victim", "", "019/08", "19C", false, Weight{Verdict: Weighed, Tenths: 18250, Rule: ByPair}},
		{"the supplement weighs", "", "008/77", "", true, Weight{Verdict: Weighed, Tenths: 5475, Rule: BySupplement}},
		{"the supplement lists without a weight", "", "008/78", "8N", true, Weight{Verdict: Unscored}},
		{"the supplement needs a female victim", "", "008/77", "", false, Weight{}},
		{"a code the tables lack", "", "999/99", "", true, Weight{}},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			sex := OtherSex
			if c.female {
				sex = Female
			}
			got := first.Weigh(Query{URN: c.urn, Code: c.code, Class: c.class, Victim: sex})
			got.Title, got.Resolution = "", ""
			if got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

// Rule set v2, its expected weights and verdicts read off the published tables by hand.
func TestWeighByRuleSetV2(t *testing.T) {
	tables, err := LoadPaths(Paths{Rules: "vawg-v2"})
	if err != nil {
		t.Fatal(err)
	}
	if got := [...]string{tables.Rules.Name, tables.Resolutions.Name}; got != [...]string{"vawg-v2", "resolutions-v2"} {
		t.Errorf("%v", got)
	}
	weighed := func(tenths int64, rule, resolution string) Weight {
		return Weight{Verdict: Weighed, Tenths: tenths, Rule: rule, Resolution: resolution}
	}
	no, unknown, unscored := Weight{}, Weight{Verdict: SexUnknown}, Weight{Verdict: Unscored}
	for _, c := range []struct {
		scenario string
		q        Query
		want     Weight
	}{
		{"a rape of a woman without its class", Query{Code: "019/08", Victim: Female}, weighed(18250, ByAsClass, "019/08 without its class as 19C")},
		{"and when nothing says that she is one: the offence does", Query{Code: "019/08"}, weighed(18250, ByAsClass, "019/08 without its class as 19C")},
		{"a class that the table lacks", Query{Code: "019/08", Class: "ZZ", Victim: Female}, weighed(18250, ByAsClass, "019/08 without its class as 19C")},
		{"a class that it has", Query{Code: "019/08", Class: "19C", Victim: Female}, weighed(18250, ByPair, "")},
		{"wounding without its class is the least of 8N", Query{Code: "008/01", Victim: Female}, weighed(190, ByLowest, "008/01 without its class as 8N; 008/01 8N lowest")},
		{"wounding as 8N", Query{Code: "008/01", Class: "8N", Victim: Female}, weighed(190, ByLowest, "008/01 8N lowest")},
		{"wounding by its urn", Query{URN: "8N.8.1.1", Code: "008/01", Class: "8N", Victim: Female}, weighed(5475, ByURN, "")},
		{"bodily harm without its class", Query{Code: "008/06", Victim: Female}, weighed(100, ByAsClass, "008/06 without its class as 8N")},
		{"bodily harm to a man", Query{Code: "008/06", Victim: OtherSex}, no},
		{"bodily harm to nobody knows whom", Query{Code: "008/06"}, unknown},
		{"the same under its class", Query{Code: "008/06", Class: "8N"}, unknown},
		{"bodily harm to a constable, whoever she is", Query{Code: "008/06", Class: "8S"}, no},
		{"intent without its class", Query{Code: "005/01", Victim: Female}, weighed(14600, ByAsClass, "005/01 without its class as 5D")},
		{"arson that endangers her life at home", Query{Code: "056/01", Class: "56A", Victim: Female, DomesticAbuse: true}, weighed(3650, ByPair, "")},
		{"arson by a stranger", Query{Code: "056/01", Class: "56A", Victim: Female}, no},
		{"arson at home of a man", Query{Code: "056/01", Class: "56A", Victim: OtherSex, DomesticAbuse: true}, no},
		{"arson at home of nobody knows whom", Query{Code: "056/01", Class: "56A", DomesticAbuse: true}, unknown},
		{"arson by a stranger of nobody knows whom", Query{Code: "056/01", Class: "56A"}, no},
		{"a breach of an order that protects her", Query{Code: "066/39", Class: "66", Victim: Female}, weighed(50, ByPair, "")},
		{"an abortion procured", Query{URN: "14.14.1.0", Code: "014/01", Class: "14", Victim: Female}, no},
		{"the supplement", Query{Code: "008/77", Victim: Female}, weighed(5475, BySupplement, "")},
		{"the supplement, of nobody knows whom", Query{Code: "008/77"}, unknown},
		{"the supplement without a weight", Query{Code: "008/78", Victim: Female}, unscored},
		{"a code the tables lack", Query{Code: "999/99"}, no},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			got := tables.Weigh(c.q)
			got.Title = ""
			if got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
	if !tables.URNContradicts("8N.8.1.1", "019/08") || tables.URNContradicts("8N.8.1.1", "008/01") || tables.URNContradicts("9.9", "019/08") {
		t.Error("a urn contradicts the code given when the table has it under another")
	}
}

func TestIsPlaceholder(t *testing.T) {
	for id, want := range map[string]bool{
		"": true, "unknown": true, "UNKNOWN MALE": true, "Unknown  (2)": true, "unk": true, "unkn": false, "Not\tknown": true, "n/k": true, "NK": true,
		"nkosi": false, "male": true, "males": false, "Refused to say": true, "0": true, "0000": true, "00010": false, "9999": true, "99991": false,
		"-": true, "--/--": true, "?": true, "test 1": true, "S-1": false, "x": true, "xxxx": false, "person  unknown": true, "Nil": true, "Nila": false,
	} {
		if Default().IsPlaceholder(id) != want {
			t.Errorf("%q: it should be %v", id, want)
		}
	}
}

func TestFindBorough(t *testing.T) {
	for given, want := range map[string]string{"Kingston": "Kingston upon Thames", "hammersmith & fulham": "Hammersmith and Fulham", "rbkc": "Kensington and Chelsea"} {
		if i, ok := Default().FindBorough(given); !ok || Default().Boroughs()[i].Name != want {
			t.Errorf("%s is %s", given, want)
		}
	}
	if i, ok := Default().FindBorough("TOWER hamlets"); !ok || Default().Boroughs()[i].BCUCode != "CE" {
		t.Error("a borough must be found in any letter case")
	}
	if _, ok := Default().FindBorough("City of London"); ok {
		t.Error("the City of London is none of the 32")
	}
	if n := len(Default().Boroughs()); n != 32 {
		t.Errorf("%d boroughs", n)
	}
}

func TestLoadRefuses(t *testing.T) {
	for _, c := range []struct{ scenario, file, from, to, want string }{
		{"a duplicate urn", EditionFile, "\n1.1.2.0,", "\n1.1.1.1,", "line 3: urn 1.1.1.1 stands twice"},
		{"a weight that is not whole tenths", EditionFile, ",547.5,", ",547.55,", `weight "547.55"`},
		{"a weight that is no number", EditionFile, ",547.5,", ",many,", `weight "many"`},
		{"a code in another form", EditionFile, ",001/01,", ",1/1,", `home_office_code "1/1"`},
		{"a borough without BCU", BoroughsFile, "Barnet,North West,NW", "Barnet,,NW", `borough "Barnet" needs`},
		{"a borough twice", BoroughsFile, "\nBexley,", "\nBarnet,", "borough Barnet stands twice"},
		{"a rule for an unknown urn", RulesFile, "\n1.1.2.0,", "\n1.1.2.99,", "urn 1.1.2.99 is not in the index"},
		{"a rule under another code", RulesFile, "\n1.1.2.0,001/02,", "\n1.1.2.0,001/03,", "is 001/02 1 in the index, 001/03 1 here"},
		{"neither yes nor no", SupplementFile, ",yes,547.5", ",maybe,547.5", `vawg is "maybe"`},
		{"a supplement of a code in the index", SupplementFile, "008/77", "008/01", "code 008/01 is in the index already"},
		{"an unknown rule", ResolutionsFile, ",lowest,", ",first,", `rule "first" of 008/01 8N is unknown`},
		{"a resolution of nothing", ResolutionsFile, "008/01", "008/99", "is not an ambiguous pair"},
		{"an alias of nothing", AliasesFile, ",Hammersmith and Fulham", ",Fulham", "line 2: Fulham is none of the boroughs"},
		{"an alias that is a borough", AliasesFile, "LBHF,", "Hackney,", `alias "Hackney" stands twice, is a borough, or is empty`},
		{"a placeholder in capitals", PlaceholdersFile, "\nunk,", "\nUNK,", `pattern "UNK" must be lower case`},
		{"a placeholder twice", PlaceholdersFile, "\nunk,", "\nnk,", `pattern "nk" stands twice`},
		{"a star in the middle", PlaceholdersFile, "unknown*", "un*known", `pattern "un*known" must be`},
		{"a negative weight", EditionFile, ",547.5,", ",-547.5,", `weight "-547.5"`},
		{"a weight of nothing", EditionFile, ",547.5,", ",0,", `weight "0"`},
		{"a row too short", EditionFile, "1.1.2.0,001/02,1,", "1.1.2.0,001/02,", "line 3: wrong number of fields"},
		{"two rules for an urn", RulesFile, "\n1.1.2.0,001/02,1,", "\n1.1.1.1,001/01,1,x,any,no,x\n1.1.2.0,001/02,1,", "line 3: urn 1.1.1.1 stands twice"},
		{"a sex that is none", RulesFile, ",any,", ",both,", `victim_sex_in_code is "both"`},
		{"a supplement twice", SupplementFile, "\n008/78,", "\n008/77,", "line 3: 008/77 stands twice"},
		{"faults beyond counting", RulesFile, ",any,", ",both,", "and 123 more faults"},
		{"another column", SupplementFile, ",days,basis", ",days,basis,note", "the header must be home_office_code,"},
		{"another header", BoroughsFile, "borough,bcu,", "name,bcu,", "the header must be borough,bcu,bcu_code"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			dir := fstest.MapFS{}
			for _, f := range []string{EditionFile, RulesFile, SupplementFile, ResolutionsFile, BoroughsFile, AliasesFile, PlaceholdersFile} {
				data, err := Files.ReadFile(f)
				if err != nil {
					t.Fatal(err)
				}
				if f == c.file {
					data = []byte(strings.Replace(string(data), c.from, c.to, times(c.scenario)))
				}
				dir[f] = &fstest.MapFile{Data: data}
			}
			_, err := load(dir, ruleSets[1], nil)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v does not say %q", err, c.want)
			}
		})
	}
}

func times(scenario string) int {
	if scenario == "faults beyond counting" {
		return -1
	}
	return 1
}

// A file takes the place of one table, and is named after itself. The weight is read off the changed line.
func TestLoadPaths(t *testing.T) {
	data, err := Files.ReadFile(EditionFile)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "cchi-2030.csv")
	changed := "\ufeff" + strings.ReplaceAll(string(data), "\r\n", "\n") // as saved elsewhere
	changed = strings.Replace(changed, "1.1.1.1,001/01,1,Murder - of persons aged 1 year or over,5475,", "1.1.1.1,001/01,1,Murder - of persons aged 1 year or over,6000.5,", 1)
	if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	tables, err := LoadPaths(Paths{Edition: path})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(changed))
	if want := (schemas.Named{Name: "cchi-2030", SHA256: hex.EncodeToString(sum[:])}); tables.Edition != want || tables.Rules != Default().Rules {
		t.Errorf("edition %+v, rules %+v", tables.Edition, tables.Rules)
	}
	if w := tables.Weigh(Query{URN: "1.1.1.1", Victim: Female}); w.Tenths != 60005 {
		t.Errorf("murder weighs %d tenths", w.Tenths)
	}
	if w := Default().Weigh(Query{URN: "1.1.1.1", Victim: Female}); w.Tenths != 54750 {
		t.Errorf("in the embedded edition murder weighs %d tenths", w.Tenths)
	}
	if same, err := LoadPaths(Paths{}); err != nil || same != Default() {
		t.Errorf("no path: %v", err)
	}
	if _, err := LoadPaths(Paths{Rules: "nowhere.csv"}); err == nil || !strings.Contains(err.Error(), "nowhere.csv") {
		t.Errorf("error %v", err)
	}
}
