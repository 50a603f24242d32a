// Package workflows is what Harmstack does over time: a night (nightly.go), the decision on it (decision.go,
// revoke.go), telling the teams (borough.go), the life of a tasking (tasking.go), the watch over all of it (watch.go)
// and the disposal of what is over its time (retention.go), with the messages they take and the schedules that start
// them.
//
// It must not know files, rows or scores: it hands references from one activity to the next.
//
// testdata/histories holds recorded runs that every later version must replay. To record new ones, after
// a change that makes new histories (which needs a version marker first):
//
//	HARMSTACK_RECORD=$PWD/workflows/testdata/histories go test ./starter/e2e -run 'TestRecordHistories|TestSource|TestDecisionStartedAgain|TestFailedNights|TestDamagedTasking'
package workflows
