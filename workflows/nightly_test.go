package workflows

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"harmstack/activities/nightly"
	"harmstack/activities/nights"
	"harmstack/activities/task"
	"harmstack/schemas"
	"harmstack/schemas/fault"
)

var stages *nightly.Activities

// The nights of 2026 on which the clocks change are 29 March (01:00 becomes 02:00) and 25 October (02:00
// becomes 01:00); 2028 has a 29 February.
func TestBusinessDate(t *testing.T) {
	for _, c := range []struct{ scenario, asked, scheduled, now, want string }{
		{"as asked, whatever the time", "2026-05-05", "2026-07-01T02:30:00Z", "2026-07-02T09:00:00Z", "2026-05-05"},
		{"the scheduled night", "", "2026-07-01T02:30:00Z", "2026-07-01T02:30:05Z", "2026-06-30"},
		{"a backfill, months later", "", "2026-01-10T03:30:00Z", "2026-07-01T09:00:00Z", "2026-01-09"},
		{"a worker that was away over midnight", "", "2026-07-01T02:30:00Z", "2026-07-02T00:10:00Z", "2026-06-30"},
		{"the night the clocks go forward", "", "2026-03-29T02:30:00Z", "2026-03-29T02:30:00Z", "2026-03-28"},
		{"the night after it", "", "2026-03-30T02:30:00Z", "2026-03-30T02:30:00Z", "2026-03-29"},
		{"the night the clocks go back", "", "2026-10-25T03:30:00Z", "2026-10-25T03:30:00Z", "2026-10-24"},
		{"the night after it", "", "2026-10-26T03:30:00Z", "2026-10-26T03:30:00Z", "2026-10-25"},
		{"the morning after a leap day", "", "2028-03-01T03:30:00Z", "2028-03-01T03:30:00Z", "2028-02-29"},
		{"by hand in summer, when it is the next day in London only", "", "", "2026-06-30T23:30:00Z", "2026-06-30"},
		{"by hand in winter at the same hour", "", "", "2026-12-31T23:30:00Z", "2026-12-30"},
		{"by hand in the hour that comes twice", "", "", "2026-10-25T00:30:00Z", "2026-10-24"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			d := newDeployment(t)
			env := d.env(t, "night")
			now, err := time.Parse(time.RFC3339, c.now)
			if err != nil {
				t.Fatal(err)
			}
			env.SetStartTime(now)
			var request schemas.NightRequest
			if c.asked != "" {
				request.AsOf = schemas.MustDate(c.asked)
			}
			if c.scheduled != "" {
				at, err := time.Parse(time.RFC3339, c.scheduled)
				if err != nil {
					t.Fatal(err)
				}
				if err := env.SetTypedSearchAttributesOnStart(temporal.NewSearchAttributes(scheduledStart.ValueSet(at))); err != nil {
					t.Fatal(err)
				}
			}
			env.ExecuteWorkflow(func(ctx workflow.Context) (schemas.Date, error) { return businessDate(ctx, request), nil })
			var got schemas.Date
			if err := env.GetWorkflowResult(&got); err != nil || got.String() != c.want {
				t.Errorf("got %s, want %s (%v)", got, c.want, err)
			}
		})
	}
}

func TestNight(t *testing.T) {
	d := newDeployment(t, append(threeSuspects(), rape("unknown", "Hackney", "2026-06-30", 1))...)
	env := d.env(t, "night")
	var asked DecisionParams
	env.OnWorkflow(Decision, mock.Anything, mock.Anything).Return(func(_ workflow.Context, p DecisionParams) (DecisionResult, error) {
		asked = p
		return DecisionResult{}, nil
	})
	env.ExecuteWorkflow(NightlyRun, schemas.NightRequest{AsOf: asOf})
	var got NightResult
	if err := errors.Join(env.GetWorkflowError(), env.GetWorkflowResult(&got)); err != nil {
		t.Fatal(err)
	}
	if got.Night.String() != "2026-06-30-r1" || got.RowsRead != 5 || got.Suspects != 3 || got.Cut.Stack != 3 || got.Decision != "decision-2026-06-30-r1" || got.Superseded {
		t.Errorf("%+v", got)
	}
	if got.Dispositions[schemas.Scored] != 4 || got.Dispositions[schemas.NoNamedSuspect] != 1 || *got.Changes != (schemas.ChangeCount{Entered: 3}) {
		t.Errorf("%+v, %+v", got.Dispositions, got.Changes)
	}
	m, ref, err := nights.LoadManifest(t.Context(), d.store, got.Night)
	if err != nil || ref != *got.Manifest || asked.Manifest != ref || m.Code != "test" || m.Inputs[0].URI != d.extract {
		t.Errorf("%v\n%+v\n%+v\n%+v", err, ref, got.Manifest, asked.Manifest)
	}
	value, err := env.QueryWorkflow(Progress.Name)
	if err != nil {
		t.Fatal(err)
	}
	var progress NightProgress
	if err := value.Get(&progress); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, s := range progress.Stages {
		lines = append(lines, fmt.Sprintf("%s %s %d %s", s.Name, s.State, s.Rows, s.Notes))
	}
	want := []string{"claim done 0 revision 1", "extract done 5 1 part", "check done 5 0 quarantined", "score done 5 4 rows scored, 3 suspects",
		"rank done 3 3 on the stack", "publish done 3 3 entered, 0 left, 0 moved, 0 stayed"}
	if strings.Join(lines, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s", strings.Join(lines, "\n"))
	}
	page := progress.Markdown()
	for _, part := range []string{"### Night of 2026-06-30, revision 1", "| score | done | 5 |", "| no_named_suspect | 1 |", "| **read** | **5** |", ref.SHA256, "decision-2026-06-30-r1"} {
		if !strings.Contains(page, part) {
			t.Errorf("%q is not on the page:\n%s", part, page)
		}
	}
	if d.current(t) != "" || d.mails(t) != 0 {
		t.Error("a night that nobody approved became current or tasked somebody")
	}
}

// A night that is shared by several workers leaves the very bytes of one that is not.
func TestSharedNight(t *testing.T) {
	rows := append(threeSuspects(), rape("S-4", "Brent", "2026-06-30", 1), rape("unknown", "Hackney", "2026-06-30", 1))
	older := rape("S-4", "Brent", "2026-06-30", 1)
	older.UpdatedAt, older.SuspectID = new(*older.UpdatedAt-1), new("S-2")
	broken := rape("S-5", "Brent", "2026-06-30", 1)
	broken.Source = nil
	rows = append(rows, older, rape("S-3", "Barnet", "2026-06-28", 1), broken)
	alone, shared := newDeployment(t, rows...), newDeployment(t, rows...)
	shared.acts.Nightly.ShardRows = 3
	want := alone.night(t, "night", schemas.NightRequest{AsOf: asOf})

	env := shared.env(t, "night")
	stopAtDecision(env)
	env.ExecuteWorkflow(NightlyRun, schemas.NightRequest{AsOf: asOf})
	var got NightResult
	if err := errors.Join(env.GetWorkflowError(), env.GetWorkflowResult(&got)); err != nil {
		t.Fatal(err)
	}
	if got.Ranking.SHA256 != want.Ranking.SHA256 || got.Dispositions != want.Dispositions || got.Cut != want.Cut || got.Suspects != 4 {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
	if fmt.Sprint(got.Facts) != fmt.Sprint(want.Facts) || got.Facts.QuarantineReasons["source: missing"] != 1 {
		t.Errorf("facts\n got %+v\nwant %+v", got.Facts, want.Facts)
	}
	for _, file := range []string{schemas.StackFile, schemas.StackCSVFile, schemas.ContributionsFile, schemas.QuarantineFile} {
		path := got.Night.Path() + "/" + file
		if !bytes.Equal(read(t, shared.store, path), read(t, alone.store, path)) {
			t.Errorf("%s differs", file)
		}
	}
	value, err := env.QueryWorkflow(Progress.Name)
	var progress NightProgress
	if err := errors.Join(err, value.Get(&progress)); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, s := range progress.Stages[3:6] {
		lines = append(lines, fmt.Sprintf("%s %s %d %s", s.Name, s.State, s.Rows, s.Notes))
	}
	if want := []string{"scatter done 9 by one worker", "deduplicate done 8 3 of 3", "score done 5 3 of 3"}; strings.Join(lines, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s", strings.Join(lines, "\n"))
	}
}

// One shard that cannot be scored ends the night; the others are not waited for longer than they need.
func TestSharedNightFails(t *testing.T) {
	for _, c := range []struct {
		scenario string
		breakIt  func(*deployment, *testsuite.TestWorkflowEnvironment)
		want     string
	}{
		{"a shard is damaged", func(_ *deployment, env *testsuite.TestWorkflowEnvironment) {
			env.OnActivity(stages.Settle, mock.Anything, mock.MatchedBy(func(p nightly.ShardParams) bool { return p.Shard == 1 })).
				Return(nightly.DeduplicateResult{}, task.Permanent(fault.DamagedArtifact, errors.New("broken")))
			env.OnActivity(stages.Settle, mock.Anything, mock.Anything).Return(nightly.DeduplicateResult{}, nil)
		}, fault.DamagedArtifact},
		{"a row is lost on the way", func(d *deployment, env *testsuite.TestWorkflowEnvironment) {
			env.OnActivity(stages.Settle, mock.Anything, mock.Anything).Return(func(ctx context.Context, p nightly.ShardParams) (nightly.DeduplicateResult, error) {
				r, err := d.acts.Nightly.Settle(ctx, p)
				r.RowsRead++
				return r, err
			})
		}, fault.CountsDoNotReconcile},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			d := newDeployment(t, threeSuspects()...)
			d.acts.Nightly.ShardRows = 1
			env := d.env(t, "night")
			c.breakIt(d, env)
			env.ExecuteWorkflow(NightlyRun, schemas.NightRequest{AsOf: asOf})
			if err := env.GetWorkflowError(); !task.Is(err, c.want) {
				t.Fatal(err)
			}
			value, err := env.QueryWorkflow(Progress.Name)
			var progress NightProgress
			if err := errors.Join(err, value.Get(&progress)); err != nil {
				t.Fatal(err)
			}
			if s := progress.Stages[len(progress.Stages)-1]; s.State != StageFailed || s.Notes == "" {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestDryRunPublishesNothing(t *testing.T) {
	d := newDeployment(t, threeSuspects()...)
	got := d.night(t, "night", schemas.NightRequest{AsOf: asOf, DryRun: true})
	if got.Manifest != nil || got.Decision != "" || got.Suspects != 3 || got.Ranking.Rows != 3 {
		t.Errorf("%+v", got)
	}
	if all, err := nights.List(t.Context(), d.store); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
}

func TestPermanentFailures(t *testing.T) {
	bad := rape("S-1", "Hackney", "2026-06-30", 1)
	bad.Outcome = new("guilty as sin")
	early := rape("S-1", "Hackney", "2025-01-01", 1)
	folder := t.TempDir()
	file := func(name, content string) schemas.NightRequest {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return schemas.NightRequest{Extract: path}
	}
	for _, c := range []struct {
		scenario string
		rows     []schemas.Offence
		request  schemas.NightRequest
		stage    string
		want     string
	}{
		{"a source that is not configured", threeSuspects(), schemas.NightRequest{Extract: "warehouse"}, "claim", fault.BadRequest},
		{"credentials in the request", threeSuspects(), schemas.NightRequest{Extract: "https://me:hunter2@host/x"}, "claim", fault.BadRequest},
		{"a path outside the prefixes", threeSuspects(), schemas.NightRequest{Extract: "/etc/extract.parquet"}, "claim", fault.BadRequest},
		{"a path that climbs out", threeSuspects(), schemas.NightRequest{Extract: "/nowhere/../etc/x.parquet"}, "claim", fault.BadRequest},
		{"the metadata service", threeSuspects(), schemas.NightRequest{Extract: "http://169.254.169.254/latest/x.parquet"}, "claim", fault.BadRequest},
		{"a declaration of the request's own", threeSuspects(), file("own.yaml", "csv: a.csv\n"), "claim", fault.BadRequest},
		{"a model that does not exist", threeSuspects(), schemas.NightRequest{Model: "gut-feeling"}, "claim", fault.BadRequest},
		{"a source that is not there", threeSuspects(), schemas.NightRequest{Extract: "/nowhere/at/all.parquet"}, "extract", fault.SourceNotFound},
		{"a file that is no extract", threeSuspects(), schemas.NightRequest{Extract: "./fixture_test.go"}, "extract", fault.SchemaMismatch},
		{"a CSV that lacks columns", nil, file("lacks.csv", "allegation_id,suspect_id\nA-1,S-1\n"), "extract", fault.SchemaMismatch},
		{"a CSV that is cut short", nil, file("short.csv", csvHeader+"\"guilty"), "extract", fault.DamagedArtifact},
		{"a CSV without rows", nil, file("empty.csv", csvHeader), "extract", fault.EmptyExtract},
		{"a declaration that cannot be meant", nil, file("odd.yaml", "csv: a.csv\ncolumns: {odd: x}\n"), "extract", fault.BadRequest},
		{"a declared file that is not there", nil, file("gone.yaml", "csv: nowhere.csv\n"), "extract", fault.SourceNotFound},
		{"no rows", nil, schemas.NightRequest{}, "extract", fault.EmptyExtract},
		{"no row can be read", []schemas.Offence{bad}, schemas.NightRequest{}, "check", fault.AllQuarantined},
		{"no row is scored", []schemas.Offence{early}, schemas.NightRequest{}, "score", fault.NobodyToRank},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			d := newDeployment(t, c.rows...)
			if strings.HasSuffix(c.request.Extract, ".yaml") && c.stage != "claim" { // which is the worker's to name
				d.acts.Nightly.Sources["declared"] = c.request.Extract
				c.request.Extract = "declared"
			}
			env := d.env(t, "night")
			c.request.AsOf = asOf
			var last string
			tries, alerts := 0, 0
			env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) {
				if info.ActivityType.Name == "Alert" {
					alerts++
					return
				}
				last = strings.ToLower(info.ActivityType.Name)
				tries++
			})
			env.ExecuteWorkflow(NightlyRun, c.request)
			err := env.GetWorkflowError()
			if !task.Is(err, c.want) || last != c.stage {
				t.Fatalf("stage %s: %v", last, err)
			}
			if strings.Contains(err.Error(), "guilty") || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "S-1") {
				t.Errorf("the error repeats a value: %v", err)
			}
			if want := map[string]int{"claim": 1, "extract": 2, "check": 3, "score": 4}[c.stage]; tries != want {
				t.Errorf("%d activities ran, want %d: no retry mends this", tries, want)
			}
			if alerts != 1 {
				t.Errorf("it was told %d times", alerts)
			}
			if all, err := nights.List(t.Context(), d.store); err != nil || len(all) != 0 {
				t.Errorf("a failed night was published: %v, %v", all, err)
			}
			value, err := env.QueryWorkflow(Progress.Name)
			var progress NightProgress
			if err := errors.Join(err, value.Get(&progress)); err != nil {
				t.Fatal(err)
			}
			if s := progress.Stages[len(progress.Stages)-1]; s.Name != c.stage || s.State != StageFailed || s.Notes == "" {
				t.Errorf("%+v", s)
			}
		})
	}
}

const csvHeader = "allegation_id,report_id,suspect_id,offence_code,offence_class,reported_at,borough,victim_sex,source,outcome,updated_at,officer,suspect_age\n"

// A night from CSV: dropped columns and values that cannot be read are counted in its manifest.
func TestNightFromCSV(t *testing.T) {
	d := newDeployment(t)
	path := filepath.Join(t.TempDir(), "crimes.csv")
	if err := os.WriteFile(path, []byte(csvHeader+"A-1,R-1,S-1,019/08,19C,2026-06-30 12:00:00,Hackney,F,victim,open,2026-06-30,PC Example,old\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n := d.night(t, "night", schemas.NightRequest{AsOf: asOf, Extract: path})
	m, _, err := nights.LoadManifest(t.Context(), d.store, n.Night)
	if err != nil || m.Suspects != 1 || m.Facts.ExtraColumns != 1 || !maps.Equal(m.Facts.Unreadable, map[string]int64{"suspect_age": 1}) || m.Inputs[0].URI != path || m.Inputs[0].Rows != 1 {
		t.Errorf("%+v, %v", m, err)
	}
}

// A stage that fails leaves the approved stack as it was.
func TestFailingStageLeavesCurrentUntouched(t *testing.T) {
	for _, failing := range []struct{ activity, result any }{
		{stages.Claim, nightly.ClaimResult{}}, {stages.Extract, nightly.ExtractResult{}}, {stages.Check, nightly.CheckResult{}},
		{stages.Score, nightly.ScoreResult{}}, {stages.Rank, nightly.RankResult{}}, {stages.Publish, nightly.PublishResult{}},
	} {
		d := newDeployment(t, threeSuspects()...)
		first := d.night(t, "night-1", schemas.NightRequest{AsOf: asOf})
		d.approve(t, first)
		before := read(t, d.store, schemas.CurrentPath)
		env := d.env(t, "night-2")
		env.OnActivity(failing.activity, mock.Anything, mock.Anything).Return(failing.result, task.Permanent(fault.DamagedArtifact, errors.New("broken")))
		env.ExecuteWorkflow(NightlyRun, schemas.NightRequest{AsOf: asOf.AddDays(1)})
		if !task.Is(env.GetWorkflowError(), fault.DamagedArtifact) {
			t.Fatal(env.GetWorkflowError())
		}
		if !bytes.Equal(before, read(t, d.store, schemas.CurrentPath)) {
			t.Error("current.json changed")
		}
	}
}

// A transient fault is tried again, and the night goes on.
func TestTransientFailureIsRetried(t *testing.T) {
	d := newDeployment(t, threeSuspects()...)
	env := d.env(t, "night")
	env.OnWorkflow(Decision, mock.Anything, mock.Anything).Return(DecisionResult{}, nil)
	tries := 0
	env.OnActivity(stages.Check, mock.Anything, mock.Anything).Return(func(ctx context.Context, p nightly.CheckParams) (nightly.CheckResult, error) {
		if tries++; tries < 4 {
			return nightly.CheckResult{}, errors.New("the disk is away")
		}
		return d.acts.Nightly.Check(ctx, p)
	})
	env.ExecuteWorkflow(NightlyRun, schemas.NightRequest{AsOf: asOf})
	if err := env.GetWorkflowError(); err != nil || tries != 4 {
		t.Errorf("%d tries: %v", tries, err)
	}
}

// A Reset of a published night runs again from some stage with what the stages before it left, in the
// next revision; nothing of the published one changes.
func TestResetOfAPublishedNight(t *testing.T) {
	for reset, name := range []string{"extract", "check", "score", "rank", "publish"} {
		t.Run("from "+name, func(t *testing.T) {
			d := newDeployment(t, threeSuspects()...)
			left := record(d, t)
			first := left.result
			manifest := read(t, d.store, first.Manifest.URI)

			env := d.env(t, "night-reset")
			claims := 0
			env.OnActivity(stages.Claim, mock.Anything, mock.Anything).Return(func(ctx context.Context, p nightly.ClaimParams) (nightly.ClaimResult, error) {
				if claims++; claims == 1 {
					return nightly.ClaimResult{Night: first.Night}, nil
				}
				return d.acts.Nightly.Claim(ctx, p)
			})
			replayed := []struct{ activity, result any }{
				{stages.Extract, left.extracted}, {stages.Check, left.checked}, {stages.Score, left.scored}, {stages.Rank, left.ranked}}
			for _, r := range replayed[:reset] {
				env.OnActivity(r.activity, mock.Anything, mock.Anything).Return(r.result, nil)
			}
			env.OnWorkflow(Decision, mock.Anything, mock.Anything).Return(DecisionResult{}, nil)
			env.OnSignalExternalWorkflow(mock.Anything, "decision-2026-06-30-r1", "", Supersede.Name, mock.Anything).Return(nil).Once()
			env.ExecuteWorkflow(NightlyRun, schemas.NightRequest{AsOf: asOf})
			var second NightResult
			if err := errors.Join(env.GetWorkflowError(), env.GetWorkflowResult(&second)); err != nil {
				t.Fatal(err)
			}
			if second.Night.String() != "2026-06-30-r2" || claims != 2 {
				t.Fatalf("%+v after %d claims", second.Night, claims)
			}
			env.AssertExpectations(t)
			if !bytes.Equal(manifest, read(t, d.store, first.Manifest.URI)) {
				t.Error("the published manifest changed")
			}
			m, _, err := nights.LoadManifest(t.Context(), d.store, second.Night)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range m.Outputs {
				if !strings.HasPrefix(o.URI, "nights/2026-06-30/r2/") {
					t.Errorf("%s is not in the night's folder", o.URI)
				}
				a, err := d.store.Open(t.Context(), o)
				if err != nil {
					t.Errorf("%v", err)
					continue
				}
				a.Close()
			}
			if !bytes.Equal(read(t, d.store, "nights/2026-06-30/r1/ranking.parquet"), read(t, d.store, "nights/2026-06-30/r2/ranking.parquet")) {
				t.Error("the rankings differ")
			}
			if second.Ranking.URI != "nights/2026-06-30/r2/ranking.parquet" {
				t.Error(second.Ranking.URI)
			}
		})
	}
}

// left is a night and what each stage of it handed on.
type left struct {
	extracted nightly.ExtractResult
	checked   nightly.CheckResult
	scored    nightly.ScoreResult
	ranked    nightly.RankResult
	result    NightResult
}

func record(d *deployment, t *testing.T) (l left) {
	t.Helper()
	env := d.env(t, "night-1")
	env.OnWorkflow(Decision, mock.Anything, mock.Anything).Return(DecisionResult{}, nil)
	env.SetOnActivityCompletedListener(func(info *activity.Info, result converter.EncodedValue, err error) {
		to := map[string]any{"Extract": &l.extracted, "Check": &l.checked, "Score": &l.scored, "Rank": &l.ranked}[info.ActivityType.Name]
		if to != nil {
			err = errors.Join(err, result.Get(to))
		}
		if err != nil {
			t.Error(err)
		}
	})
	env.ExecuteWorkflow(NightlyRun, schemas.NightRequest{AsOf: asOf})
	if err := errors.Join(env.GetWorkflowError(), env.GetWorkflowResult(&l.result)); err != nil {
		t.Fatal(err)
	}
	return l
}

// The publish stage dies after each of its writes; its retry ends as if nothing had happened.
func TestPublishRetriedAfterItSealed(t *testing.T) {
	d := newDeployment(t, threeSuspects()...)
	env := d.env(t, "night")
	env.OnWorkflow(Decision, mock.Anything, mock.Anything).Return(DecisionResult{}, nil)
	var first nightly.PublishResult
	tries := 0
	env.OnActivity(stages.Publish, mock.Anything, mock.Anything).Return(func(ctx context.Context, p nightly.PublishParams) (nightly.PublishResult, error) {
		r, err := d.acts.Nightly.Publish(ctx, p)
		if tries++; tries == 1 && err == nil {
			first = r
			d.acts.Nightly.Code = "a build that was deployed meanwhile"
			return nightly.PublishResult{}, errors.New("the worker died before it could say so")
		}
		if fmt.Sprint(first) != fmt.Sprint(r) {
			t.Errorf("first %+v\nagain %+v", first, r)
		}
		return r, err
	})
	env.ExecuteWorkflow(NightlyRun, schemas.NightRequest{AsOf: asOf})
	var got NightResult
	if err := errors.Join(env.GetWorkflowError(), env.GetWorkflowResult(&got)); err != nil || tries != 2 || got.Night.Revision != 1 {
		t.Errorf("%d tries, %+v: %v", tries, got.Night, err)
	}
}

func TestNightOlderThanAPendingOne(t *testing.T) {
	d := newDeployment(t, threeSuspects()...)
	newer := d.night(t, "night-2", schemas.NightRequest{AsOf: asOf.AddDays(1)})
	older := d.night(t, "night-1", schemas.NightRequest{AsOf: asOf})
	if !older.Superseded || older.Decision != "" || newer.Superseded {
		t.Errorf("%+v", older)
	}
	decided, err := nights.LoadDecision(t.Context(), d.store, older.Night)
	if err != nil || decided == nil || decided.Decision != schemas.SupersededBy {
		t.Errorf("%+v, %v", decided, err)
	}
}

// The same rows, read by any number of goroutines, give the same bytes.
func TestRerunGivesTheSameBytes(t *testing.T) {
	d := newDeployment(t, threeSuspects()...)
	d.night(t, "night-1", schemas.NightRequest{AsOf: asOf})
	d.acts.Nightly.Threads = 1
	d.night(t, "night-2", schemas.NightRequest{AsOf: asOf})
	for _, file := range []string{"ranking.parquet", "stack.parquet", "stack.csv", "contributions.parquet", "changes.parquet", "quarantine.parquet", "report.html", "extract/part-00000.parquet"} {
		if !bytes.Equal(read(t, d.store, "nights/2026-06-30/r1/"+file), read(t, d.store, "nights/2026-06-30/r2/"+file)) {
			t.Errorf("%s differs", file)
		}
	}
}
