package tasking

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"harmstack/activities/casework/teams"
	"harmstack/schemas"
	"harmstack/schemas/reference"
)

// Everybody but Barnet has a system that listens. Who is told of what, by hand.
func TestAudience(t *testing.T) {
	declared := strings.NewReplacer(`.uk>"]}`, `.uk>"], webhook: {url: "https://hooks.example.police.uk/x", secret_env: HOOK}}`,
		"  - name: Stalking and harassment\n", "  - name: Stalking and harassment\n    webhook: {url: \"https://hooks.example.police.uk/x\", secret_env: HOOK}\n").Replace(string(teams.Example()))
	declared = strings.Replace(declared, `<vawg.barnet@example.police.uk>"], webhook: {url: "https://hooks.example.police.uk/x", secret_env: HOOK}}`, `<vawg.barnet@example.police.uk>"]}`, 1)
	who, err := teams.Parse([]byte(declared), func(string) string { return "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 32)) }, reference.Default())
	if err != nil {
		t.Fatal(err)
	}
	tasking := &schemas.Tasking{Team: "Hackney", BCU: "Central East", Specialists: []string{"Stalking and harassment", "a team that is no more"}}
	for _, c := range []struct {
		scenario string
		event    schemas.TaskingEvent
		want     []string
	}{
		{"issued", schemas.TaskingEvent{Kind: schemas.EventIssued, Team: "Hackney"}, []string{"webhook Hackney", "webhook Stalking and harassment"}},
		{"reminded", schemas.TaskingEvent{Kind: schemas.EventReminded, Team: "Hackney"}, []string{"mail Hackney", "webhook Hackney", "webhook Stalking and harassment"}},
		{"to the lead", schemas.TaskingEvent{Kind: schemas.EventLead, Team: "Hackney"},
			[]string{"mail Central East lead", "webhook Hackney", "webhook Stalking and harassment", "webhook Central East lead"}},
		{"to the desk", schemas.TaskingEvent{Kind: schemas.EventDesk, Team: "Hackney"},
			[]string{"mail Specialist desk", "webhook Hackney", "webhook Stalking and harassment", "webhook Specialist desk"}},
		{"transferred by a night", schemas.TaskingEvent{Kind: schemas.EventTransferred, Team: "Hackney", From: "Barnet"}, []string{"webhook Hackney", "webhook Stalking and harassment"}},
		{"transferred by a person", schemas.TaskingEvent{Kind: schemas.EventTransferred, Team: "Hackney", From: "Barnet", By: "PS Example"},
			[]string{"mail Hackney", "mail Barnet", "webhook Hackney", "webhook Stalking and harassment"}},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			var got []string
			for _, r := range audience(tasking, c.event, who) {
				got = append(got, r.channel+" "+r.Name)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%q", got)
			}
		})
	}
}
