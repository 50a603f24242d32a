package workflows

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"harmstack/activities/nights"
	"harmstack/schemas"
	"harmstack/schemas/reference"
)

// again runs a night and returns its manifest and the stages whose line says that they were reused.
func (d *deployment) again(t *testing.T, id string, request schemas.NightRequest) (schemas.Manifest, []string) {
	t.Helper()
	env := d.env(t, id)
	stopAtDecision(env)
	env.ExecuteWorkflow(NightlyRun, request)
	var result NightResult
	if err := env.GetWorkflowResult(&result); err != nil {
		t.Fatal(err)
	}
	var p NightProgress
	value, err := env.QueryWorkflow(Progress.Name)
	if err == nil {
		err = value.Get(&p)
	}
	if err != nil {
		t.Fatal(err)
	}
	var reused []string
	for _, s := range p.Stages {
		if strings.Contains(s.Notes, "reused") {
			reused = append(reused, s.Name)
		}
	}
	m, _, err := nights.LoadManifest(t.Context(), d.store, result.Night)
	if err != nil {
		t.Fatal(err)
	}
	return m, reused
}

// contents are the outputs of a night by name, as their bytes are.
func (d *deployment) contents(t *testing.T, m schemas.Manifest) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, o := range m.Outputs {
		name, home := strings.CutPrefix(o.URI, m.Path()+"/")
		if !home {
			t.Errorf("%s is not the night's own", o.URI)
		}
		// What is compared with the approved stack is not what the stages made.
		if name != schemas.ChangesFile && name != schemas.ReportFile {
			all[name] = fmt.Sprintf("%x", read(t, d.store, o.URI))
		}
	}
	return all
}

func sameContents(t *testing.T, got, want map[string]string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d files, not %d", len(got), len(want))
	}
	for name, bytes := range want {
		if got[name] != bytes {
			t.Errorf("%s has other bytes", name)
		}
	}
}

func reusing(t *testing.T, shardRows int64) *deployment {
	d := newDeployment(t, threeSuspects()...)
	d.acts.Nightly.Build, d.acts.Nightly.ShardRows = "build 1", shardRows
	return d
}

// A night that is run again does nothing twice, and leaves what it would have left otherwise.
func TestRerunReuses(t *testing.T) {
	request := schemas.NightRequest{AsOf: asOf}
	for _, c := range []struct {
		scenario  string
		shardRows int64
		stages    []string
	}{
		{"one worker", 0, []string{"extract", "check", "score", "rank"}},
		{"three shards", 2, []string{"extract", "check", "scatter", "deduplicate", "score", "rank"}},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			d := reusing(t, c.shardRows)
			first, reused := d.again(t, "n1", request)
			if len(reused) > 0 {
				t.Fatalf("%q of nothing", reused)
			}
			second, reused := d.again(t, "n2", request)
			if !slices.Equal(reused, c.stages) {
				t.Errorf("reused %q", reused)
			}
			forced, reused := d.again(t, "n3", schemas.NightRequest{AsOf: asOf, Force: true})
			if len(reused) > 0 {
				t.Errorf("%q reused by force", reused)
			}
			want := d.contents(t, forced)
			if len(want) != 8 {
				t.Errorf("%d files", len(want))
			}
			sameContents(t, d.contents(t, first), want)
			sameContents(t, d.contents(t, second), want)
		})
	}
}

// Only what a stage depends on keeps it from being reused, and all of that does.
func TestWhatKeepsFromReuse(t *testing.T) {
	table, err := reference.Files.ReadFile(reference.EditionFile)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "cchi-2030.csv")
	if err := os.WriteFile(path, bytes.Replace(table, []byte(",1825,"), []byte(",1826,"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	newer, err := reference.LoadPaths(reference.Paths{Edition: path})
	if err != nil {
		t.Fatal(err)
	}
	d := reusing(t, 0)
	d.again(t, "first", schemas.NightRequest{AsOf: asOf})
	for _, c := range []struct {
		scenario string
		change   func(*deployment, *schemas.NightRequest)
		want     []string
	}{
		{"threads, memory, a temporary folder and shards", func(d *deployment, _ *schemas.NightRequest) {
			d.acts.Nightly.Threads, d.acts.Nightly.Memory, d.acts.Nightly.ShardRows = 1, 1<<20, 1000
		}, []string{"extract", "check", "score", "rank"}},
		{"another date", func(_ *deployment, r *schemas.NightRequest) { r.AsOf = asOf.AddDays(1) }, []string{"extract"}},
		{"another model", func(_ *deployment, r *schemas.NightRequest) { r.Model = "sum" }, []string{"extract", "check"}},
		{"another edition", func(d *deployment, _ *schemas.NightRequest) { d.acts.Nightly.Tables = newer }, []string{"extract"}},
		{"another build", func(d *deployment, _ *schemas.NightRequest) { d.acts.Nightly.Build = "build 2" }, nil},
		{"a build that is not known", func(d *deployment, _ *schemas.NightRequest) { d.acts.Nightly.Build = "" }, nil},
		{"another extract", func(d *deployment, _ *schemas.NightRequest) {
			d.write(t, append(threeSuspects(), rape("S-4", "Barnet", "2026-06-27", 1))...)
		}, nil},
		{"the same bytes under another name", func(d *deployment, r *schemas.NightRequest) {
			data, err := os.ReadFile(d.extract)
			r.Extract = filepath.Join(filepath.Dir(d.extract), "copy.parquet")
			if err == nil {
				err = os.WriteFile(r.Extract, data, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}, []string{"extract", "check", "score", "rank"}},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			request, was := schemas.NightRequest{AsOf: asOf}, *d.acts.Nightly
			c.change(d, &request)
			m, reused := d.again(t, c.scenario, request)
			if !slices.Equal(reused, c.want) {
				t.Errorf("reused %q, not %q", reused, c.want)
			}
			if request.Extract != "" && m.Inputs[0].URI != request.Extract {
				t.Errorf("it names %s as its input", m.Inputs[0].URI)
			}
			if m.Edition != edition(d) {
				t.Errorf("it names %s", m.Edition.Name)
			}
			if n := len(reused); 0 < n && n < 4 {
				request.Force = true
				forced, _ := d.again(t, c.scenario+" by force", request)
				sameContents(t, d.contents(t, m), d.contents(t, forced))
			}
			*d.acts.Nightly = was
			d.write(t, threeSuspects()...)
		})
	}
}

// A file that is not what was made is made again, and never passed on.
func TestDamagedFilesAreNotReused(t *testing.T) {
	damages := []func([]byte) []byte{
		func(b []byte) []byte { b[len(b)/2] ^= 1; return b },
		func(b []byte) []byte { return b[:len(b)-1] },
		func(b []byte) []byte { return append(b, 0) },
		func([]byte) []byte { return nil },
	}
	for _, c := range []struct {
		shardRows int64
		stages    map[string]int // and how many of a stage's files to try
	}{
		{0, map[string]int{"extract": 1, "check": 1, "score": 3, "rank": 4}},
		{2, map[string]int{"scatter": 1, "deduplicate": 1, "score-shard": 1}},
	} {
		d, request := reusing(t, c.shardRows), schemas.NightRequest{AsOf: asOf}
		m, _ := d.again(t, "n", request)
		want := d.contents(t, m)
		tried := 0
		for stage, count := range c.stages {
			records, err := d.store.List(t.Context(), "reuse/"+stage+"/")
			if err != nil || len(records) == 0 {
				t.Fatalf("no record of %s: %v", stage, err)
			}
			for i := range count {
				uri := files(t, read(t, d.store, records[0]))[i] // where it is by now
				path := filepath.Join(strings.TrimPrefix(d.store.URL(), "file://"), uri)
				data, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if data = damages[tried%len(damages)](data); data == nil {
					err = os.Remove(path)
				} else {
					err = os.WriteFile(path, data, 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
				again, reused := d.again(t, fmt.Sprint("n", tried), request)
				sameContents(t, d.contents(t, again), want)
				if c.shardRows == 0 && (slices.Contains(reused, stage) || len(reused) != 3) {
					t.Errorf("%s was damaged, reused are %q", uri, reused)
				}
				tried++
			}
		}
		// A record that cannot be read is no result.
		records, err := d.store.List(t.Context(), "reuse/")
		if err == nil {
			err = d.store.Replace(t.Context(), records[0], []byte(`{"night":`))
		}
		if err != nil {
			t.Fatal(err)
		}
		again, _ := d.again(t, "last", request)
		sameContents(t, d.contents(t, again), want)
	}
}

// files are the URIs that a record names.
func files(t *testing.T, record []byte) (uris []string) {
	t.Helper()
	var all any
	if err := json.Unmarshal(record, &all); err != nil {
		t.Fatal(err)
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			uri, ok := v["uri"].(string)
			if ok && !filepath.IsAbs(uri) {
				uris = append(uris, uri)
			}
			for _, next := range v {
				walk(next)
			}
		case []any:
			for _, next := range v {
				walk(next)
			}
		}
	}
	walk(all)
	slices.Sort(uris)
	return uris
}

// A check that found rows ahead of the clock is made anew: the clock goes on.
func TestClockIsLookedAtAgain(t *testing.T) {
	rows := threeSuspects()
	rows[0].UpdatedAt = new(schemas.MustDate("2200-01-01").Start().UnixMicro())
	d := newDeployment(t, rows...)
	d.acts.Nightly.Build = "build 1"
	request := schemas.NightRequest{AsOf: asOf}
	d.again(t, "n1", request)
	if m, reused := d.again(t, "n2", request); !slices.Equal(reused, []string{"extract", "score", "rank"}) || m.Profile.AheadOfClock != 1 {
		t.Errorf("reused %q, %d ahead", reused, m.Profile.AheadOfClock)
	}
}

// edition is what a deployment's nights weigh by.
func edition(d *deployment) schemas.Named {
	if d.acts.Nightly.Tables != nil {
		return d.acts.Nightly.Tables.Edition
	}
	return reference.Default().Edition
}
