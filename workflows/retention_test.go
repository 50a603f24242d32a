package workflows

import (
	"errors"
	"strings"
	"testing"
	"time"

	"harmstack/activities/retention"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
)

// A year and more after two nights, of which the newer is kept as the newest, the older one goes.
func TestRetention(t *testing.T) {
	d := newDeployment(t, threeSuspects()...)
	first := d.night(t, "first", schemas.NightRequest{AsOf: asOf.AddDays(-1)})
	second := d.night(t, "second", schemas.NightRequest{AsOf: asOf})
	d.acts.Retention = &retention.Activities{Store: d.store, Rules: retention.Rules{Night: 400}}
	for _, c := range []struct {
		dry  bool
		gone bool
	}{{true, false}, {false, true}} {
		env := d.env(t, "retention")
		env.SetStartTime(time.Now().AddDate(2, 0, 0))
		env.ExecuteWorkflow(Retention, RetentionRequest{DryRun: c.dry})
		var r retention.DisposeResult
		if err := errors.Join(env.GetWorkflowError(), env.GetWorkflowResult(&r)); err != nil {
			t.Fatal(err)
		}
		if len(r.Disposals) != 1 || r.Disposals[0].Night != first.Night || !strings.Contains(disposals(RetentionRequest{DryRun: c.dry}, r), "| 2026-06-29-r1 |") {
			t.Errorf("dry run %v: %+v", c.dry, r)
		}
		if _, err := d.store.Open(t.Context(), first.Ranking); (err != nil) != c.gone {
			t.Errorf("dry run %v: the ranking: %v", c.dry, err)
		}
		if _, err := d.store.Open(t.Context(), second.Ranking); err != nil {
			t.Error(err)
		}
	}
	if log, err := audit.Read(t.Context(), d.store); err != nil || len(log) == 0 || log[len(log)-1].Why != "nights are kept for 400 days" {
		t.Errorf("%v, %+v", err, log)
	}
}
