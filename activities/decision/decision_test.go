package decision

import (
	"strings"
	"testing"

	"go.temporal.io/sdk/testsuite"

	"harmstack/activities/failure"
	"harmstack/activities/store"
	"harmstack/schemas"
)

// A text that is too long is refused by the activity too, whoever asks for it: nothing is recorded.
func TestDecideRefusesLongTexts(t *testing.T) {
	st, err := store.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	a := &Activities{Store: st}
	env.RegisterActivity(a)
	_, err = env.ExecuteActivity(a.Decide, DecideParams{Decision: schemas.Decision{Decision: schemas.Held, By: "DCI Example", Reason: strings.Repeat("é", schemas.MaxReason+1)}})
	if !failure.Is(err, failure.BadRequest) || !strings.Contains(err.Error(), "reason: 2001 characters are too many") {
		t.Error(err)
	}
	if keys, err := st.List(t.Context(), ""); err != nil || len(keys) > 0 {
		t.Errorf("%q, %v", keys, err)
	}
}
