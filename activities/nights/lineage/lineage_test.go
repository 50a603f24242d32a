package lineage

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"harmstack/activities/store"
	"harmstack/schemas"
)

var stage = Stage{Run: "night-2026-06-30/run-1", Name: "check", Night: schemas.NightID{AsOf: schemas.MustDate("2026-06-30"), Revision: 1},
	Inputs:  []schemas.ArtifactRef{{URI: "nights/2026-06-30/r1/extract/part-00000.parquet", SHA256: "ab", Rows: 7, Bytes: 70, Schema: schemas.OffenceSchema}},
	Outputs: []schemas.ArtifactRef{{URI: "nights/2026-06-30/r1/quarantine.parquet", SHA256: "cd", Rows: 2, Bytes: 20, Schema: schemas.QuarantineSchema}},
	Nulls:   map[string]int64{"victim_id": 3}}

func emitter(t *testing.T, to string) *Emitter {
	t.Helper()
	st, err := store.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	m, err := New(to, st)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// What the specification requires of a run event (spec 2-0-2), written down from it: the fields, their formats, and of
// every facet _producer and _schemaURL.
func follows(t *testing.T, data []byte) map[string]any {
	t.Helper()
	var e map[string]any
	if err := json.Unmarshal(data, &e); err != nil {
		t.Fatal(err)
	}
	at := func(path string) any {
		var v any = e
		for _, name := range strings.Split(path, ".") {
			m, _ := v.(map[string]any)
			if v = m[name]; v == nil {
				t.Errorf("%s is missing in %s", path, data)
				return ""
			}
		}
		return v
	}
	for path, form := range map[string]string{
		"eventType": `^(START|RUNNING|COMPLETE|ABORT|FAIL|OTHER)$`,
		"eventTime": `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$`,
		"producer":  `^https?://`, "schemaURL": `^https://openlineage.io/spec/2-0-2/OpenLineage.json#/\$defs/RunEvent$`,
		"run.runId":     `^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`,
		"job.namespace": `.`, "job.name": `.`,
		"run.facets.parent.run.runId": `^[0-9a-f-]{36}$`, "run.facets.parent.job.name": `^night$`, "run.facets.parent.job.namespace": `.`,
		"run.facets.nominalTime.nominalStartTime": `^2026-06-29T23:00:00Z$`, // midnight of 30 June in London
	} {
		if text, _ := at(path).(string); !regexp.MustCompile(form).MatchString(text) {
			t.Errorf("%s is %q", path, text)
		}
	}
	var facets func(v any)
	facets = func(v any) {
		m, _ := v.(map[string]any)
		for key, next := range m {
			if group, ok := next.(map[string]any); ok && strings.HasSuffix(strings.ToLower(key), "facets") {
				for name, f := range group {
					f, _ := f.(map[string]any)
					if f["_producer"] == nil || f["_schemaURL"] == nil {
						t.Errorf("the facet %s lacks _producer or _schemaURL", name)
					}
				}
			}
			facets(next)
		}
	}
	facets(e)
	for _, list := range []string{"inputs", "outputs"} {
		for _, d := range at(list).([]any) {
			if d := d.(map[string]any); d["namespace"] == "" || d["name"] == "" {
				t.Errorf("a dataset without name: %v", d)
			}
			facets(d)
		}
	}
	return e
}

func TestEventsFollowTheSpecification(t *testing.T) {
	at := time.Date(2026, 7, 1, 2, 30, 0, 0, time.UTC)
	failed := stage
	failed.Failure = "DamagedArtifact"
	for _, c := range []struct {
		kind string
		Stage
	}{{Start, stage}, {Complete, stage}, {Fail, failed}} {
		data, err := json.Marshal(NewEvent(c.kind, at, "file:///store", c.Stage))
		if err != nil {
			t.Fatal(err)
		}
		follows(t, data)
		for _, part := range []string{`"rowCount":7}`, `"nullCount":3`, `"rowCount":2,"size":20`, `"datasetVersion":"ab"`, `{"name":"allegation_id","type":"utf8"}`} {
			if !strings.Contains(string(data), part) {
				t.Errorf("%s is not in %s", part, data)
			}
		}
	}
	other := stage
	other.Run = "night-2026-06-30/run-2"
	id := func(s Stage) string { return NewEvent(Start, time.Now(), "x", s).Run.RunID }
	if first := id(stage); first != id(stage) || first == id(other) {
		t.Error("an id must be the run's and the stage's alone")
	}
}

func TestFileGetsALineAnEvent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.ndjson")
	m := emitter(t, "file://"+path)
	for _, kind := range []string{Start, Complete} {
		if err := m.Emit(t.Context(), NewEvent(kind, time.Now(), "x", stage)); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	if err != nil || len(lines) != 2 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	for i, kind := range []string{Start, Complete} {
		if e := follows(t, []byte(lines[i])); e["eventType"] != kind {
			t.Errorf("line %d is %v", i, e["eventType"])
		}
	}
}

// A service that is down, slow or refuses: the stage goes on in time, nothing is lost, and all of it is sent once it is
// back, each with its own id.
func TestServiceThatIsAway(t *testing.T) {
	var mu sync.Mutex
	var got []string
	mode, release := "refuse", make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		how := mode
		mu.Unlock()
		body, _ := io.ReadAll(r.Body)
		switch how {
		case "refuse":
			w.WriteHeader(http.StatusServiceUnavailable)
		case "hang":
			<-release
		default:
			e := follows(t, body)
			mu.Lock()
			got = append(got, e["eventType"].(string)+" "+e["run"].(map[string]any)["runId"].(string))
			mu.Unlock()
		}
	}))
	defer s.Close()
	defer close(release)
	m := emitter(t, s.URL)
	events := []Event{NewEvent(Start, time.Now(), "x", stage), NewEvent(Complete, time.Now(), "x", stage)}
	third := stage
	third.Name = "score"
	events = append(events, NewEvent(Start, time.Now(), "x", third))
	for i, how := range []string{"refuse", "hang", "up"} {
		mu.Lock()
		mode = how
		mu.Unlock()
		began := time.Now()
		err := m.Emit(t.Context(), events[i])
		if (err != nil) != (how != "up") {
			t.Errorf("%s: %v", how, err)
		}
		if took := time.Since(began); how == "hang" && took < Patience || took > 20*Patience {
			t.Errorf("%s took %s", how, took)
		}
		if err != nil && strings.Contains(err.Error(), "127.0.0.1") {
			t.Errorf("the host is in %v", err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	want := map[string]bool{}
	for _, e := range events {
		want[e.EventType+" "+e.Run.RunID] = true
	}
	for _, one := range got {
		delete(want, one)
	}
	if len(got) != 3 || len(want) != 0 {
		t.Errorf("the service got %q", got)
	}
	if left, err := m.Store.List(t.Context(), "lineage/"); err != nil || len(left) != 0 {
		t.Errorf("kept %q, %v", left, err)
	}
}

func TestBadAddresses(t *testing.T) {
	for _, to := range []string{"ftp://host/x", "https://", "file://", "https://a:secret@host/x", "https://host/x?token=secret", "events.ndjson"} {
		if _, err := New(to, nil); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", to, err)
		}
	}
	if m, err := New("", nil); m != nil || err != nil {
		t.Errorf("%v, %v", m, err)
	}
}

func TestPersonLinksAreADatasetOfTheirOwn(t *testing.T) {
	s := stage
	s.Inputs = append(slices.Clone(s.Inputs), schemas.ArtifactRef{URI: "nights/2026-06-30/r1/links.parquet", SHA256: "ef", Rows: 3, Schema: schemas.PersonLinkSchema})
	data, err := json.Marshal(NewEvent(Start, time.Now(), "file:///store", s).Inputs[1])
	if err != nil || !strings.Contains(string(data), `"fields":[{"name":"person_id","type":"utf8"},{"name":"same_as","type":"utf8"}]`) {
		t.Errorf("%s, %v", data, err)
	}
}
