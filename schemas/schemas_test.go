package schemas

import (
	"encoding/json"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
)

func TestNormaliseOffenceCode(t *testing.T) {
	for in, want := range map[string]string{
		"019/08": "019/08", "19/8": "019/08", "01908": "019/08", "9/8": "009/08", "019/8": "019/08", "19/08": "019/08",
		"": "", "1908": "", "0190/08": "", "019/008": "", "/08": "", "019/": "", "019-08": "", "０１９/08": "", "019/08/1": "", "190 8": "", "+1/+2": "",
	} {
		got, ok := NormaliseOffenceCode(in)
		if got != want || ok != (want != "") {
			t.Errorf("%q: got %q, %v", in, got, ok)
		}
	}
}

func TestTrimSpace(t *testing.T) {
	if got := TrimSpace("\u00a0\t a\u00a0b \r\n"); got != "a\u00a0b" {
		t.Errorf("got %q", got)
	}
	if got := TrimSpace("\u2003a"); got != "\u2003a" {
		t.Errorf("an em space is no white space of the contract: got %q", got)
	}
}

// The hours around the two clock changes of 2026 (29 March and 25 October, 01:00 UTC), and a leap day.
func TestLondonDate(t *testing.T) {
	for utc, want := range map[string]string{
		"2026-03-28T23:59:59Z": "2026-03-28", // still on Greenwich time
		"2026-03-29T00:30:00Z": "2026-03-29",
		"2026-03-29T22:59:59Z": "2026-03-29",
		"2026-03-29T23:00:00Z": "2026-03-30", // midnight of summer time
		"2026-10-24T23:00:00Z": "2026-10-25",
		"2026-10-25T23:00:00Z": "2026-10-25", // midnight moved back
		"2026-10-26T00:00:00Z": "2026-10-26",
		"2028-02-29T12:00:00Z": "2028-02-29",
	} {
		at, err := time.Parse(time.RFC3339, utc)
		if err != nil {
			t.Fatal(err)
		}
		if got := LondonDate(at).String(); got != want {
			t.Errorf("%s: got %s, want %s", utc, got, want)
		}
	}
	if n := MustDate("2028-03-01").DaysSince(MustDate("2027-03-01")); n != 366 {
		t.Errorf("a leap year has 366 days, got %d", n)
	}
	if got := MustDate("2026-03-29").Start().UTC(); !got.Equal(time.Date(2026, 3, 29, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("start %s", got)
	}
	if got := MustDate("2026-03-30").Start().UTC(); !got.Equal(time.Date(2026, 3, 29, 23, 0, 0, 0, time.UTC)) {
		t.Errorf("start %s", got)
	}
}

func TestDateText(t *testing.T) {
	var r NightRequest
	if err := json.Unmarshal([]byte(`{}`), &r); err != nil || !r.AsOf.IsZero() {
		t.Errorf("{}: %v, %v", r, err)
	}
	if data, err := json.Marshal(r); err != nil || string(data) != `{}` {
		t.Errorf("the zero request is %s, %v", data, err)
	}
	if err := json.Unmarshal([]byte(`{"as_of":"2026-02-30"}`), &r); err == nil || !strings.Contains(err.Error(), "2026-02-30") {
		t.Errorf("the 30th of February: %v", err)
	}
}

// Recency is checked in exact arithmetic: x is right when (x -/+ 1/2)^180 lie on either side of
// 1,000,000^180 * 2^-age.
func TestRecency(t *testing.T) {
	m, err := LoadModel(DefaultModel)
	if err != nil {
		t.Fatal(err)
	}
	table := m.Recency()
	if len(table) != 365 || table[0] != 1_000_000 || table[180] != 500_000 || table[360] != 250_000 {
		t.Fatalf("%d entries, r(0)=%d, r(180)=%d, r(360)=%d", len(table), table[0], table[180], table[360])
	}
	pow := func(x int64) *big.Int { return new(big.Int).Exp(big.NewInt(x), big.NewInt(180), nil) }
	for age, r := range table {
		// Both sides are doubled, and multiplied by 2^age, to stay whole.
		middle := pow(2 * PPM)
		low := new(big.Int).Lsh(pow(2*r-1), uint(age))
		high := new(big.Int).Lsh(pow(2*r+1), uint(age))
		if low.Cmp(middle) > 0 || high.Cmp(middle) <= 0 {
			t.Errorf("r(%d) = %d is not the nearest whole number", age, r)
		}
		if exact := PPM * math.Exp2(-float64(age)/180); math.Abs(exact-math.Floor(exact)-0.5) < 1e-6 {
			t.Errorf("r(%d) lies so near a half that machines could differ", age)
		}
	}
}

func TestFrequency(t *testing.T) {
	m, _ := LoadModel(DefaultModel)
	for n, want := range map[int64]int64{1: 1_000_000, 2: 1_100_000, 10: 1_900_000, 11: 2_000_000, 12: 2_000_000, 10_000: 2_000_000} {
		if got := m.Frequency(n); got != want {
			t.Errorf("f(%d) = %d, want %d", n, got, want)
		}
	}
}

func TestModelRefuses(t *testing.T) {
	good, err := models.ReadFile("models/rfs-v1.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ scenario, from, to, want string }{
		{"a field that is unknown", "half_life_days:", "half_live_days:", "half_live_days"},
		{"a half-life below nothing", "half_life_days: 180", "half_life_days: -1", "line 3: half_life_days: it is -1"},
		{"a window of no days", "window_days: 365", "window_days: 0", "line 6: window_days: it is 0"},
		{"a stack of nobody", "depth: 100", "depth: 0", "line 7: depth: it is 0"},
		{"a minimum of none", "minimum_allegations: 1", "minimum_allegations: 0", "line 8: minimum_allegations: it is 0"},
		{"no name", "name: rfs-v1", `name: ""`, "line 2: name: it is missing"},
		{"no whole number", "depth: 100", "depth: many", "depth"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			_, err := ParseModel([]byte(strings.Replace(string(good), c.from, c.to, 1)))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v does not say %q", err, c.want)
			}
		})
	}
	if _, err := LoadModel("../offence"); err == nil {
		t.Error("a model outside the folder was loaded")
	}
}

func TestValidateSource(t *testing.T) {
	for _, good := range []string{"", "default", "/data/a b.parquet", "file:///data/x.parquet", "s3://bucket/prefix?region=eu-west-2"} {
		if err := ValidateSource(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{"postgres://me:hunter2@db/x", "s3://b/k?awssdk=v2&secret_key=hunter2", "https://h/x?sig=hunter2", "https://me@h/x", "a://%zz:hunter2@x"} {
		err := ValidateSource(bad)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestDispositionsJSON(t *testing.T) {
	var d Dispositions
	d[Quarantined], d[Scored] = 3, 4
	data, err := json.Marshal(d)
	if err != nil || !strings.HasPrefix(string(data), `{"quarantined":3,"superseded":0,`) || !strings.HasSuffix(string(data), `,"scored":4}`) {
		t.Errorf("%s, %v", data, err)
	}
	var back Dispositions
	if err := json.Unmarshal(data, &back); err != nil || back != d || back.Sum() != 7 {
		t.Errorf("%v, %v", back, err)
	}
	if err := json.Unmarshal([]byte(`{"lost":1}`), &back); err == nil {
		t.Error("an unknown disposition was dropped")
	}
}

// The row types must name the contract's columns in the contract's order.
func TestRowTypesFollowTheContract(t *testing.T) {
	for _, c := range []struct {
		row  any
		skip int
	}{{Offence{}, 0}, {Quarantine{}, 2}} {
		fields := parquet.SchemaOf(c.row).Fields()[c.skip:]
		if len(fields) != int(OffenceColumns) {
			t.Fatalf("%T has %d columns of the contract's %d", c.row, len(fields), OffenceColumns)
		}
		for i, f := range fields {
			if f.Name() != Offences[i].Name || !f.Optional() {
				t.Errorf("%T: column %d is %s, want %s, optional", c.row, i, f.Name(), Offences[i].Name)
			}
		}
	}
}

func TestManifestOutput(t *testing.T) {
	m := Manifest{Outputs: []ArtifactRef{{URI: "nights/2026-06-30/r1/stack.parquet"}, {URI: "ranking.parquet"}}}
	for file, want := range map[string]bool{StackFile: true, RankingFile: true, "tack.parquet": false, ReportFile: false} {
		if _, ok := m.Output(file); ok != want {
			t.Errorf("%s: %v", file, ok)
		}
	}
}

// Characters count, not bytes; spaces count like the rest. The error says what is too long and does not repeat it.
func TestTextsAreBounded(t *testing.T) {
	t.Parallel()
	decision := func(by, reason, override string) error {
		return DecisionRequest{Revision: 1, ManifestSHA256: strings.Repeat("0", 64), By: by, Reason: reason, Override: override}.Validate()
	}
	e := func(n int) string { return strings.Repeat("é", n) }
	for _, c := range []struct {
		scenario, want string // empty: taken
		err            error
	}{
		{"all at their bounds", "", decision(e(200), e(2000), e(2000))},
		{"who decides", "by: 201 characters are too many, the limit is 200: shorten it", decision(e(201), "why", "")},
		{"the reason", "reason: 2001 characters are too many, the limit is 2000: shorten it", decision("DCI Example", "x"+strings.Repeat(" ", 2000), "")},
		{"the override", "override: 2001 characters are too many, the limit is 2000: shorten it", decision("DCI Example", "why", e(2001))},
		{"why a drift is accepted", "accept_drift: 2001 characters are too many, the limit is 2000: shorten it", NightRequest{AcceptDrift: e(2001)}.Validate()},
		{"a drift at its bound", "", NightRequest{AcceptDrift: e(2000)}.Validate()},
		{"a note", "note: 4001 characters are too many, the limit is 4000: shorten it", TaskingRequest{Team: "Hackney", By: "PS Example", Note: e(4001)}.Validate(DoProgress)},
		{"a note at its bound", "", TaskingRequest{Team: "Hackney", By: "PS Example", Note: e(4000)}.Validate(DoProgress)},
		{"a team", "team: 201 characters are too many, the limit is 200: shorten it", TaskingRequest{Team: e(201), By: "PS Example"}.Validate(DoAcknowledge)},
		{"where it goes", "to: 201 characters are too many, the limit is 200: shorten it", TaskingRequest{Team: "Hackney", By: "PS Example", To: e(201), Note: "moved"}.Validate(DoTransfer)},
	} {
		if c.want == "" && c.err != nil || c.want != "" && (c.err == nil || c.err.Error() != c.want) {
			t.Errorf("%s: %v", c.scenario, c.err)
		}
	}
}
