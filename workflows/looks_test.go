package workflows

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"harmstack/activities/store/s3test"
	"harmstack/schemas"
)

// A store of years has thousands of nights: publishing one lists them before it compares and, since another may have
// been published at the same moment, after; and it asks once what each older one was decided.
func TestPublishingLooksThroughTheNightsOnce(t *testing.T) {
	d := newDeployment(t, threeSuspects()...)
	s3 := s3test.New(t)
	d.inBucket(t, s3.URL)
	const before = 4
	for i := range before {
		d.night(t, fmt.Sprint("before", i), schemas.NightRequest{AsOf: asOf.AddDays(i - before)})
	}
	var mu sync.Mutex
	lists, asked := 0, map[string]int{}
	publishing := false
	s3.Inject(func(_ int, r *http.Request) s3test.Fault {
		mu.Lock()
		defer mu.Unlock()
		key := r.URL.Path
		switch {
		case strings.HasSuffix(key, "/"+schemas.ContributionsFile) && r.Method == http.MethodPut: // the last that ranking writes
			publishing = true
		case !publishing || r.Method != http.MethodGet:
		case r.URL.Query().Get("prefix") == "nights/":
			lists++
		case strings.HasSuffix(key, "/"+schemas.DecisionFile):
			asked[key]++
		}
		return s3test.None
	})
	d.night(t, "last", schemas.NightRequest{AsOf: asOf})
	mu.Lock()
	defer mu.Unlock()
	if lists != 2 {
		t.Errorf("the nights were listed %d times", lists)
	}
	if len(asked) != before+1 {
		t.Errorf("of %d nights was asked what they were decided: %v", len(asked), asked)
	}
	own := fmt.Sprintf("/harmstack/%s/%s", schemas.NightID{AsOf: asOf, Revision: 1}.Path(), schemas.DecisionFile)
	for key, times := range asked {
		if key != own && times > 1 {
			t.Errorf("%s was asked for %d times", key, times)
		}
	}
}
