package workflows

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"harmstack/activities/nights/lineage"
	"harmstack/schemas"
)

// A night tells of each stage once at its start and once at its end; what a stage reads is what another has left;
// nothing in it is anybody's.
func TestNightTellsItsLineage(t *testing.T) {
	d := newDeployment(t, threeSuspects()...)
	path := filepath.Join(t.TempDir(), "events.ndjson")
	var err error
	if d.acts.Nightly.Lineage, err = lineage.New("file://"+path, d.store); err != nil {
		t.Fatal(err)
	}
	d.night(t, "n1", schemas.NightRequest{AsOf: asOf})
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var told, left []string
	runs := map[string]string{}
	for line := range bytes.Lines(data) {
		var e lineage.Event
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		told = append(told, e.Job.Name+" "+e.EventType)
		if was, ok := runs[e.Job.Name]; ok && was != e.Run.RunID {
			t.Errorf("%s has two ids", e.Job.Name)
		}
		runs[e.Job.Name] = e.Run.RunID
		for _, in := range e.Inputs {
			if e.Job.Name != "night.extract" && !slices.Contains(left, in.Name) {
				t.Errorf("%s reads %s, which nobody left", e.Job.Name, in.Name)
			}
		}
		for _, out := range e.Outputs {
			left = append(left, out.Name)
		}
	}
	var want []string
	for _, stage := range []string{"extract", "check", "score", "rank", "publish"} {
		want = append(want, "night."+stage+" "+lineage.Start, "night."+stage+" "+lineage.Complete)
	}
	if !slices.Equal(told, want) {
		t.Errorf("told %q", told)
	}
	for _, id := range []string{"S-1", "A-S-2", "R-S-3", "V-S-1"} {
		if bytes.Contains(data, []byte(id)) {
			t.Errorf("%s is told", id)
		}
	}
}
