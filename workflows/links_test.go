package workflows

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.temporal.io/sdk/temporal"

	"harmstack/activities/nightly"
	"harmstack/activities/nights"
	"harmstack/schemas"
	"harmstack/schemas/fault"
)

// declared makes the default source one that declares the extract and these person links; none: no links.
func (d *deployment) declared(t *testing.T, links ...string) {
	t.Helper()
	dir := filepath.Dir(d.extract)
	yaml := "parquet: " + filepath.Base(d.extract) + "\n"
	if len(links) > 0 {
		yaml += "links: merged.csv\n"
	}
	source := filepath.Join(dir, "crimes.yaml")
	err := errors.Join(
		os.WriteFile(source, []byte(yaml), 0o600),
		os.WriteFile(filepath.Join(dir, "merged.csv"), []byte("person_id,same_as\n"+strings.Join(links, "\n")+"\n"), 0o600),
	)
	if err != nil {
		t.Fatal(err)
	}
	d.acts.Nightly.Sources = map[string]string{nightly.DefaultSource: source}
}

// A night with links ranks people, keeps the ids as given and the links beside them, and reuses of another night what
// the links do not touch.
func TestNightWithLinks(t *testing.T) {
	for _, c := range []struct {
		scenario  string
		shardRows int64
		all, rest []string // stages that are reused for the same again; when only the order of the links is another
		never     []string // those that other links always make anew: a range in which nothing changed may be reused
	}{
		{"one worker", 0, []string{"extract", "check", "score", "rank"}, []string{"check", "score", "rank"}, []string{"extract", "score", "rank"}},
		{"three shards", 2, []string{"extract", "check", "scatter", "deduplicate", "score", "rank"}, []string{"check", "scatter", "deduplicate", "score", "rank"},
			[]string{"extract", "scatter", "rank"}},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			d := reusing(t, c.shardRows)
			request := schemas.NightRequest{AsOf: asOf}
			plain, _ := d.again(t, "without", request)
			d.declared(t)
			none, _ := d.again(t, "declared without", request)
			sameContents(t, d.contents(t, none), d.contents(t, plain))
			if _, ok := none.Output(schemas.LinksFile); ok || none.Facts.Links != nil || len(none.Inputs) != 1 {
				t.Errorf("links of a source that has none: %+v", none.Inputs)
			}
			d.declared(t, "S-2,S-1", "V-S-1-1,V-S-1-2")
			m, reused := d.again(t, "with", request)
			anew := func(stage string) bool { return slices.Contains(c.never, stage) }
			if reused[0] != "check" || slices.ContainsFunc(reused, anew) {
				t.Errorf("reused %q of a night without links", reused)
			}
			// S-1 has two rows, one with the merged victim; S-2 one.
			if m.Suspects != 2 || m.Facts.Links == nil || *m.Facts.Links != (schemas.LinkFacts{Links: 2, RowsChanged: 2}) {
				t.Errorf("%d suspects, %+v", m.Suspects, m.Facts.Links)
			}
			if len(m.Inputs) != 2 || m.Inputs[1].Rows != 2 || m.Inputs[1].Schema != schemas.PersonLinkSchema || len(m.Inputs[1].SHA256) != 64 {
				t.Errorf("inputs %+v", m.Inputs)
			}
			stack, err := nights.ReadFile[schemas.Ranked](t.Context(), d.store, m, schemas.StackFile)
			if err != nil || stack[0].SuspectID != "S-1" || stack[0].Allegations != 3 || stack[0].Victims != 2 || stack[1].SuspectID != "S-3" {
				t.Errorf("%+v, %v", stack, err)
			}
			kept, err := nights.ReadFile[schemas.PersonLink](t.Context(), d.store, m, schemas.LinksFile)
			if want := []schemas.PersonLink{{PersonID: "S-2", SameAs: "S-1"}, {PersonID: "V-S-1-1", SameAs: "V-S-1-2"}}; err != nil || !slices.Equal(kept, want) {
				t.Errorf("%+v, %v", kept, err)
			}
			with, without := d.contents(t, m), d.contents(t, plain)
			if with["extract/part-00000.parquet"] != without["extract/part-00000.parquet"] {
				t.Error("the rows are not kept as they were given")
			}
			if with[schemas.RankingFile] == without[schemas.RankingFile] {
				t.Error("the ranking is that without links")
			}
			again, reused := d.again(t, "again", request)
			if !slices.Equal(reused, c.all) {
				t.Errorf("reused %q", reused)
			}
			sameContents(t, d.contents(t, again), with)
			d.declared(t, "V-S-1-1,V-S-1-2", "S-3,S-3", "S-2,S-1", "S-2,S-1")
			other, reused := d.again(t, "in another order", request)
			if !slices.Equal(reused, c.rest) || other.Inputs[1].SHA256 == m.Inputs[1].SHA256 || other.Inputs[1].Rows != 4 {
				t.Errorf("reused %q, %+v", reused, other.Inputs)
			}
			sameContents(t, d.contents(t, other), with)
			d.declared(t, "S-3,S-1")
			changed, reused := d.again(t, "other links", request)
			if reused[0] != "check" || slices.ContainsFunc(reused, anew) {
				t.Errorf("reused %q of a night with other links", reused)
			}
			request.Force = true
			forced, _ := d.again(t, "other links, by force", request)
			sameContents(t, d.contents(t, changed), d.contents(t, forced))
		})
	}
}

// One worker and many leave the same.
func TestLinksInShards(t *testing.T) {
	one, many := newDeployment(t, threeSuspects()...), newDeployment(t, threeSuspects()...)
	many.acts.Nightly.ShardRows = 1
	var contents []map[string]string
	var facts []schemas.LinkFacts
	for _, d := range []*deployment{one, many} {
		d.declared(t, "S-2,S-3", "V-S-3-1,S-1")
		m, _ := d.again(t, "night", schemas.NightRequest{AsOf: asOf})
		contents, facts = append(contents, d.contents(t, m)), append(facts, *m.Facts.Links)
	}
	sameContents(t, contents[1], contents[0])
	if facts[0] != facts[1] || facts[0].RowsChanged != 2 {
		t.Errorf("%+v", facts)
	}
}

// Links that cannot be followed fail the night, at once, and the error names nobody.
func TestNightWithLinksThatContradict(t *testing.T) {
	d := newDeployment(t, threeSuspects()...)
	for links, want := range map[string]string{
		"S-1,S-2 S-2,S-1":     "1 cycle, of 2 ids",
		"S-1,S-2 S-1,S-3":     "1 id has more than one target",
		"S-1,Unknown S-2,n/k": "2 links are from or to a placeholder",
		"S-1, ,S-2":           "2 links lack person_id or same_as",
	} {
		d.declared(t, strings.Fields(links)...)
		env := d.env(t, links)
		stopAtDecision(env)
		env.ExecuteWorkflow(NightlyRun, schemas.NightRequest{AsOf: asOf})
		var app *temporal.ApplicationError
		if err := env.GetWorkflowError(); !errors.As(err, &app) || app.Type() != fault.PersonLinks || !app.NonRetryable() || !strings.Contains(app.Error(), want) || strings.Contains(app.Error(), "S-") {
			t.Errorf("%s: %v", links, err)
		}
	}
	if all, err := nights.List(t.Context(), d.store); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
}
