package e2e

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/temporalproto"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"golang.org/x/sync/errgroup"

	"harmstack/activities/nights"
	"harmstack/activities/store/leaktest"
	"harmstack/activities/store/seal"
	"harmstack/activities/task"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/schemas/sweep"
	"harmstack/workflows"
	flows "harmstack/workflows/client"
)

// The worker is killed in every activity, while it writes or when it has written, in the whole sweep in both: the
// ranking is the same to the byte, and no team gets a second message.
func TestKilledWorker(t *testing.T) {
	t.Parallel()
	const few = 40 // whom one shard holds, and whose taskings are soon made
	many := few
	if sweep.Whole() {
		many = 3000
	}
	undisturbed := map[int][]byte{} // the ranking, by the number of suspects
	for _, suspects := range slices.Compact([]int{few, many}) {
		t.Run(fmt.Sprintf("undisturbed, %d suspects", suspects), func(t *testing.T) {
			d := deploy(t, extract(suspects), "")
			_, n := d.night(schemas.NightRequest{AsOf: asOf})
			undisturbed[suspects] = d.read(n.Ranking.URI)
			if len(undisturbed[suspects]) == 0 || n.Suspects != int64(suspects) {
				t.Fatalf("%+v", n)
			}
		})
	}
	same := func(d *deployment, suspects int) workflows.NightResult {
		_, n := d.night(schemas.NightRequest{AsOf: asOf})
		if n.Night.Revision != 1 || !bytes.Equal(undisturbed[suspects], d.read("nights/2026-06-30/r1/ranking.parquet")) {
			d.t.Errorf("night %s, and the ranking is another", n.Night)
		}
		return n
	}
	t.Run("killed", func(t *testing.T) {
		// Many at once, however few processors there are: each waits half a minute for a heartbeat that does not come.
		// Not all at once: a server that starts among sixteen others is out of time before it has answered.
		var wg errgroup.Group
		wg.SetLimit(8)
		defer wg.Wait()
		shared := []string{"", "Scatter:during Settle:after", "Settle:during ScoreShard:after", "ScoreShard:during Scatter:after"}
		if !sweep.Whole() {
			shared = shared[2:3]
		}
		for _, deaths := range shared {
			wg.Go(func() error {
				t.Run("three workers, "+deaths, func(t *testing.T) {
					same(deploy(t, extract(many), deaths, fmt.Sprintf("HARMSTACK_SHARD_ROWS=%d", many*2/3), threeWorkers), many)
				})
				return nil
			})
		}
		for i, activities := range []string{"Claim Decide", "Extract Swap", "Check Plan", "Score Deliver", "Rank Order", "Publish Apply"} {
			for j, moment := range []string{":during", ":after"} {
				if (i%3 != 0 || i%2 != j) && !sweep.Whole() { // two of the twelve
					continue
				}
				deaths := strings.Join(strings.Fields(activities), moment+" ") + moment
				wg.Go(func() error {
					t.Run(deaths, func(t *testing.T) {
						d := deploy(t, extract(few), deaths)
						if got := d.approve(same(d, few)).Tasking; got.Sent+got.Unchanged != 34 || got.Failed != 0 {
							t.Errorf("%+v", got)
						}
						messages := d.mail.messages()
						if len(messages) != 34 {
							t.Errorf("%d teams were written to", len(messages))
						}
						for to, ids := range messages {
							if len(ids) != 1 {
								t.Errorf("%s got %d different messages", to, len(ids))
							}
						}
					})
					return nil
				})
			}
		}
	})
}

// A night that is cancelled ends within the time of a heartbeat, and nothing of it is published.
func TestCancelledNight(t *testing.T) {
	t.Parallel()
	d := deploy(t, extract(40), "Score:stuck")
	run, err := d.client.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: "night", TaskQueue: workflows.TaskQueue}, workflows.NightlyRun, schemas.NightRequest{AsOf: asOf})
	if err != nil {
		t.Fatal(err)
	}
	d.eventually(func() bool {
		progress, err := workflows.Progress.Ask(t.Context(), d.client, run.GetID(), run.GetRunID())
		n := len(progress.Stages)
		return err == nil && n > 0 && // an answer that is late on a busy machine is asked for again
			progress.Stages[n-1].Name == "score"
	})
	if err := d.client.CancelWorkflow(t.Context(), run.GetID(), run.GetRunID()); err != nil {
		t.Fatal(err)
	}
	if err := run.Get(t.Context(), nil); !temporal.IsCanceledError(err) {
		t.Errorf("it ended with %v", err)
	}
	progress, err := workflows.Progress.Ask(t.Context(), d.client, run.GetID(), run.GetRunID())
	if err != nil || progress.Stages[len(progress.Stages)-1].State != workflows.StageCancelled {
		t.Errorf("%+v, %v", progress, err)
	}
	if all, err := nights.List(t.Context(), d.store); err != nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
}

// Nothing personal passes through Temporal, nor stands in a log, a metric, the ledger or a refusal; and with a key
// nothing at all can be read in Temporal but ids and search attributes. With a key of its own, nothing can in the store.
func TestNothingPersonalGetsOut(t *testing.T) {
	t.Parallel()
	// Both at once, however many processors there are: most of it is waiting for a mail server to make up its mind.
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, c := range []struct {
		scenario, key string
		readable      bool
	}{
		{"without a key", "", true},
		{"with a key", "HARMSTACK_PAYLOAD_KEYS=k1=" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{2}, 32)), false},
	} {
		wg.Go(func() {
			t.Run(c.scenario, func(t *testing.T) {
				log := filepath.Join(t.TempDir(), "log")
				port, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				port.Close()
				storeKey := filepath.Join(t.TempDir(), "store.key")
				if err := os.WriteFile(storeKey, []byte(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{3}, 32))), 0o600); err != nil {
					t.Fatal(err)
				}
				sealed := "HARMSTACK_STORE_KEY=file://" + storeKey
				if c.readable {
					sealed = "HARMSTACK_STORE_KEY=" + seal.None
				}
				d := deploy(t, extract(16), "", c.key, sealed, "E2E_LOG="+log, "HARMSTACK_METRICS="+port.Addr().String())
				hasty(t, d)
				d.mail.greylist() // trouble makes a log talk
				run, n := d.night(schemas.NightRequest{AsOf: asOf})
				d.approve(n)
				histories := map[string]bool{run.GetID(): true, n.Decision: true, workflows.BoroughWorkflowID(n.Night, "Hackney"): true}
				refusals := ""
				for reference, tasking := range d.taskings() {
					id := workflows.TaskingWorkflowID(reference)
					histories[id] = true
					answer := func(u workflows.Update[schemas.TaskingRequest, schemas.Tasking], r schemas.TaskingRequest) error {
						r.By = "PS Someone 4321"
						_, err := u.Call(t.Context(), d.client, id, fmt.Sprint(u.Name, r.Team), r)
						return err
					}
					refusals += fmt.Sprintln(answer(workflows.Acknowledge, schemas.TaskingRequest{Team: "Bexley"}))
					err := errors.Join(answer(workflows.Acknowledge, schemas.TaskingRequest{Team: tasking.Team}),
						answer(workflows.Report, schemas.TaskingRequest{Team: tasking.Team, Note: "Sergeant Nobody looks into it"}),
						answer(workflows.Transfer, schemas.TaskingRequest{Team: tasking.Team, To: "Bexley", Note: "Sergeant Nobody says so"}))
					if err != nil {
						t.Error(err)
					}
					refusals += fmt.Sprintln(answer(workflows.Close, schemas.TaskingRequest{Team: tasking.Team, Outcome: "arrested"}))
				}
				if got := strings.Count(refusals, "not your tasking"); got != 2*len(d.taskings()) {
					t.Errorf("%d refusals:\n%s", got, refusals)
				}
				d.settled()

				var history bytes.Buffer
				for id := range histories {
					history.Write(marshal(t, d.history(id, ""), map[string]any{commonpb.EnablePayloadShorthandMetadataKey: true}))
				}
				listed, err := d.client.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{PageSize: 1000})
				if err != nil || len(listed.Executions) < len(histories) {
					t.Fatalf("%d workflows, %v", len(listed.GetExecutions()), err)
				}
				answer, err := http.Get("http://" + port.Addr().String() + "/metrics")
				if err != nil {
					t.Fatal(err)
				}
				defer answer.Body.Close()
				metrics, err := io.ReadAll(answer.Body)
				if err != nil {
					t.Fatal(err)
				}
				logged, err := os.ReadFile(log)
				if err != nil {
					t.Fatal(err)
				}
				var ledger bytes.Buffer
				keys, err := d.store.List(t.Context(), "deliveries/")
				if err != nil {
					t.Fatal(err)
				}
				for _, key := range keys {
					ledger.Write(d.read(key))
				}
				for place, c := range map[string]struct{ text, has string }{
					"the list of workflows": {fmt.Sprint(listed.Executions), "HarmstackBorough"}, "the metrics": {string(metrics), "harmstack_"},
					"the log": {string(logged), "refused for now"}, "the ledger": {ledger.String(), "digest"}, "the refusals": {refusals, "with Bexley"},
				} {
					for _, word := range []string{"marked-", "PS Someone", "Sergeant Nobody", "DCI Example"} {
						if strings.Contains(c.text, word) {
							t.Errorf("%q is in %s", word, place)
						}
					}
					if !strings.Contains(c.text, c.has) {
						t.Errorf("%s is not what it should be: %.2000s", place, c.text)
					}
				}
				atRest := leaktest.Folder(t, filepath.Join(d.dir, "store"), "marked-", "PS Someone", "Sergeant Nobody", "DCI Example")
				if got := len(atRest) > 0; got != c.readable {
					t.Errorf("in the store can be read: %q", atRest)
				}
				if strings.Contains(history.String(), "marked-") {
					t.Error("an id of a person, a report or an allegation is in a history")
				}
				for _, word := range []string{"ranking.parquet", "DCI Example", "PS Someone", "Sergeant Nobody"} {
					if got := strings.Contains(history.String(), word); got != c.readable {
						t.Errorf("%q can be read in the histories: %v", word, got)
					}
				}
			})
		})
	}
}

// An analyst resets a published night in the UI: it becomes the next revision, and the one before is
// superseded.
func TestResetOfAPublishedNight(t *testing.T) {
	t.Parallel()
	d := deploy(t, extract(40), "")
	run, first := d.night(schemas.NightRequest{AsOf: asOf})
	manifest := d.read(first.Manifest.URI)
	at := int64(0)
	for _, e := range d.history(run.GetID(), run.GetRunID()).Events {
		if e.EventType == enumspb.EVENT_TYPE_WORKFLOW_TASK_COMPLETED {
			at = e.EventId // in the end, the one that asked for the ranking
		}
		if s := e.GetActivityTaskScheduledEventAttributes(); s != nil && s.ActivityType.Name == "Rank" {
			break
		}
	}
	reset, err := d.client.ResetWorkflowExecution(t.Context(), &workflowservice.ResetWorkflowExecutionRequest{
		Namespace: "default", WorkflowExecution: &commonpb.WorkflowExecution{WorkflowId: run.GetID(), RunId: run.GetRunID()},
		Reason: "look again", WorkflowTaskFinishEventId: at, RequestId: uuid.NewString()})
	if err != nil {
		t.Fatal(err)
	}
	var second workflows.NightResult
	if err := d.client.GetWorkflow(t.Context(), run.GetID(), reset.RunId).Get(t.Context(), &second); err != nil {
		t.Fatal(err)
	}
	if second.Night.Revision != 2 || second.Decision == first.Decision || !bytes.Equal(manifest, d.read(first.Manifest.URI)) {
		t.Errorf("%+v", second)
	}
	if !bytes.Equal(d.read("nights/2026-06-30/r1/ranking.parquet"), d.read("nights/2026-06-30/r2/ranking.parquet")) {
		t.Error("the rankings differ")
	}
	var superseded workflows.DecisionResult
	if err := d.client.GetWorkflow(t.Context(), first.Decision, "").Get(t.Context(), &superseded); err != nil || superseded.Decision.Decision != schemas.SupersededBy {
		t.Errorf("the first decision: %+v, %v", superseded, err)
	}
	if _, err := workflows.Approve.Call(t.Context(), d.client, second.Decision, "u1", decisionOn(first)); !task.Is(err, fault.OtherManifest) {
		t.Errorf("approving what was shown before: %v", err)
	}
	again, err := workflows.Approve.Call(t.Context(), d.client, second.Decision, "u2", decisionOn(second))
	if err != nil {
		t.Fatal(err)
	}
	// A double click, even after the workflow has ended, gives the first answer.
	if err := d.client.GetWorkflow(t.Context(), second.Decision, "").Get(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if twice, err := workflows.Approve.Call(t.Context(), d.client, second.Decision, "u2", decisionOn(second)); err != nil || twice != again {
		t.Errorf("%+v, %v", twice, err)
	}
}

// A backfill starts nights now that are meant for long ago: each gets the date it was meant for.
func TestBackfillThroughTheSchedule(t *testing.T) {
	t.Parallel()
	d := deploy(t, extract(300), "")
	options := flows.Schedule(workflows.TaskQueue)
	options.Paused = true
	schedule, err := d.client.ScheduleClient().Create(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	defer schedule.Delete(t.Context())
	// The nights on which the clocks go forward and back, one request after the other: of two that reach
	// a schedule as it starts, the server now and then loses one.
	for _, c := range []struct{ asOf, id string }{{"2026-03-28", "night-2026-03-29T02:30:00Z"}, {"2026-10-24", "night-2026-10-25T03:30:00Z"}} {
		fires := schemas.MustDate(c.asOf).AddDays(1).Start()
		err := schedule.Backfill(t.Context(), client.ScheduleBackfillOptions{Backfill: []client.ScheduleBackfill{{
			Start: fires, End: fires.Add(20 * time.Hour), Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL}}})
		if err != nil {
			t.Fatal(err)
		}
		var n workflows.NightResult
		d.eventually(func() bool { // the schedule starts it in its own time
			err = d.client.GetWorkflow(t.Context(), c.id, "").Get(t.Context(), &n)
			var missing *serviceerror.NotFound
			return !errors.As(err, &missing)
		})
		if err != nil || n.Night.AsOf.String() != c.asOf {
			t.Errorf("%s is the night of %s: %v", c.id, n.Night.AsOf, err)
		}
	}
}

// TestRecordHistories writes the histories that every later version must replay into the folder that
// HARMSTACK_RECORD names; without it, it makes sure that what it would write replays.
func TestRecordHistories(t *testing.T) {
	t.Parallel()
	folder := os.Getenv("HARMSTACK_RECORD")
	if folder == "" {
		folder = t.TempDir()
	}
	d := deploy(t, extract(40), "")
	held, first := d.night(schemas.NightRequest{AsOf: asOf})
	if _, err := workflows.Hold.Call(t.Context(), d.client, first.Decision, "u1", decisionOn(first)); err != nil {
		t.Fatal(err)
	}
	_, second := d.night(schemas.NightRequest{AsOf: asOf})
	third, last := d.night(schemas.NightRequest{AsOf: asOf})
	d.approve(last)
	dry, _ := d.night(schemas.NightRequest{AsOf: asOf, DryRun: true})
	broken, err := d.client.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: "night-broken", TaskQueue: workflows.TaskQueue}, workflows.NightlyRun, schemas.NightRequest{AsOf: asOf, Extract: "./none.parquet"})
	if err != nil {
		t.Fatal(err)
	}
	if err := broken.Get(t.Context(), nil); !task.Is(err, fault.SourceNotFound) {
		t.Fatal(err)
	}
	d.record(folder, map[string][2]string{
		"night-first": {held.GetID(), held.GetRunID()}, "night-supersedes-another": {third.GetID(), third.GetRunID()},
		"night-dry": {dry.GetID(), dry.GetRunID()}, "night-without-extract": {broken.GetID(), broken.GetRunID()},
		"decision-held": {first.Decision, ""}, "decision-superseded": {second.Decision, ""}, "decision-approved": {last.Decision, ""},
		"borough-with-orders": {workflows.BoroughWorkflowID(last.Night, "Hackney"), ""},
	})
	if os.Getenv("HARMSTACK_RECORD") == "" && !sweep.Whole() {
		return
	}
	tasked := deploy(t, changing(0), "")
	hasty(t, tasked)
	tasked.wholeNight(0)
	tasked.wholeNight(3)
	lives := map[string][2]string{}
	for reference, life := range tasked.taskings() {
		name := fmt.Sprintf("tasking-%s-%d", life.State, life.Chased)
		if _, ok := lives[name]; !ok {
			lives[name] = [2]string{workflows.TaskingWorkflowID(reference), ""}
		}
	}
	if len(lives) < 4 {
		t.Errorf("%v", lives)
	}
	tasked.record(folder, lives)
	// Those that wait for somebody: their deadlines are hours away.
	waiting := deploy(t, changing(0), "")
	waiting.nightOf(0)
	lives = map[string][2]string{}
	for reference, life := range waiting.taskings() {
		name := []string{"issued", "transferred", "in_progress"}[min(len(lives), 2)]
		for i, u := range map[string][]workflows.Update[schemas.TaskingRequest, schemas.Tasking]{
			"transferred": {workflows.Transfer}, "in_progress": {workflows.Acknowledge, workflows.Report}}[name] {
			r := schemas.TaskingRequest{Team: life.Team, By: "PS Example", To: "Bexley", Note: "because"}
			if _, err := u.Call(t.Context(), waiting.client, workflows.TaskingWorkflowID(reference), fmt.Sprint("u", i), r); err != nil {
				t.Error(err)
			}
		}
		lives["tasking-"+name+"-0"] = [2]string{workflows.TaskingWorkflowID(reference), ""}
		if len(lives) == 3 {
			break
		}
	}
	waiting.record(folder, lives)
	sharing := deploy(t, extract(40), "", "HARMSTACK_SHARD_ROWS=40")
	shared, _ := sharing.night(schemas.NightRequest{AsOf: asOf})
	sharing.record(folder, map[string][2]string{"night-shared": {shared.GetID(), shared.GetRunID()}})
}

// record writes the histories of runs as files of those names.
func (d *deployment) record(folder string, runs map[string][2]string) {
	d.t.Helper()
	if folder == "" {
		return
	}
	host, err := os.Hostname()
	if err != nil {
		d.t.Fatal(err)
	}
	for name, run := range runs {
		data := bytes.ReplaceAll(marshal(d.t, d.history(run[0], run[1]), nil), []byte(host), []byte("host"))
		if err := os.WriteFile(filepath.Join(folder, name+".json"), data, 0o644); err != nil {
			d.t.Fatal(err)
		}
	}
}

func (d *deployment) history(id, runID string) *historypb.History {
	d.t.Helper()
	h := &historypb.History{}
	for it := d.client.GetWorkflowHistory(d.t.Context(), id, runID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT); it.HasNext(); {
		e, err := it.Next()
		if err != nil {
			d.t.Fatal(err)
		}
		h.Events = append(h.Events, e)
	}
	return h
}

// marshal writes a history as JSON; with the metadata for it, payloads that are JSON stand in plain text.
func marshal(t testing.TB, h *historypb.History, metadata map[string]any) []byte {
	t.Helper()
	data, err := temporalproto.CustomJSONMarshalOptions{Indent: " ", Metadata: metadata}.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
