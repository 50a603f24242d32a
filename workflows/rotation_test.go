package workflows

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"harmstack/activities/casework"
	"harmstack/activities/casework/pseudonym"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
)

// Between two nights the pseudonym key is rotated: who has a tasking keeps it, with its allegations known, and whoever is
// new is named under the new key.
func TestNobodyIsTaskedAnewAfterARotation(t *testing.T) {
	d := newDeployment(t, threeSuspects()...)
	old, next := make([]byte, pseudonym.KeyBytes), bytes.Repeat([]byte{9}, pseudonym.KeyBytes)
	if _, _, _, err := d.store.SetUp(t.Context(), "", pseudonym.Fingerprint(old)); err != nil {
		t.Fatal(err)
	}
	d.approve(t, d.night(t, "night-1", schemas.NightRequest{AsOf: asOf}))
	before, err := casework.Marked(t.Context(), d.store)
	if err != nil || len(before) != 3 {
		t.Fatalf("%q, %v", before, err)
	}
	kept, _, err := casework.RotatePseudonyms(t.Context(), d.store, pseudonym.Fingerprint(old), pseudonym.Fingerprint(next),
		audit.Claims("somebody"), "the yearly change", time.Now())
	if err != nil || kept != 3 {
		t.Fatalf("%d keep their names, %v", kept, err)
	}
	if _, err := casework.Kept(t.Context(), d.store, []string{pseudonym.Fingerprint(next)}); err == nil {
		t.Error("without the old key three people would be tasked anew, and nobody says so")
	}
	names, err := casework.Kept(t.Context(), d.store, []string{pseudonym.Fingerprint(next), pseudonym.Fingerprint(old)})
	if err != nil {
		t.Fatal(err)
	}
	by, err := pseudonym.Open([][]byte{next, old}, names)
	if err != nil {
		t.Fatal(err)
	}
	d.acts.Tasking.Pseudonym, d.acts.Tasking.Keyed = by.Name, by.For
	d.write(t, append(threeSuspects(), rape("S-4", "Camden", "2026-06-30", 1))...)
	d.approve(t, d.night(t, "night-2", schemas.NightRequest{AsOf: asOf.AddDays(1)}))
	issued := "Hackney issued, issued"
	d.wants(t, "night 2", map[string]string{"S-1": issued, "S-2": issued, "S-3": "Barnet issued, issued", "S-4": "Camden issued, issued"},
		"S-1", "S-2", "S-3", "S-4")
	after, err := casework.Marked(t.Context(), d.store)
	newest, newErr := pseudonym.New(next)
	if err != nil || newErr != nil || len(after) != 4 || !slices.Contains(after, newest("S-4")) {
		t.Errorf("%q, %v, %v", after, err, newErr)
	}
	for _, name := range before {
		if !slices.Contains(after, name) {
			t.Errorf("%s lost their name", name)
		}
	}
}
