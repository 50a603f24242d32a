// Package workflows is what Harmstack does over time: a night (nightly.go), the decision on it
// (decision.go) and telling the teams (tasking.go), with the messages they take, the failures they end
// with and the schedule that starts them.
//
// It must not know files, rows or scores: it hands references from one activity to the next.
//
// testdata/histories holds recorded runs that every later version must replay. To record new ones, after
// a change that makes new histories (which needs a version marker first):
//
//	HARMSTACK_RECORD=$PWD/workflows/testdata/histories go test ./starter/e2e -run 'TestRecordHistories|TestSource|TestDecisionStartedAgain|TestFailedNights|TestDamagedTasking'
package workflows
