package access_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"harmstack/activities/casework/teams"
	"harmstack/activities/trust/access"
	"harmstack/schemas"
	"harmstack/schemas/fault"
)

// Who may do what: each line is a person's roles, what they ask for and for which team.
func TestAllows(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		scenario, roles, act, team string
		allowed                    bool
	}{
		{"an officer approves", "officer", access.Approve, "", true},
		{"an officer takes an approval back", "officer", access.Revoke, "", true},
		{"an analyst does not approve", "analyst", access.Approve, "", false},
		{"an analyst runs a night", "analyst", access.Run, "", true},
		{"an officer does not run one", "officer", access.Run, "", false},
		{"an auditor reads the log", "auditor", access.Audit, "", true},
		{"an auditor sees no ids", "auditor", access.Look, "", false},
		{"an operator sees no ids", "operator", access.Ask, "", false},
		{"an operator changes a schedule", "operator", access.Operate, "", true},
		{"a borough acknowledges its own", "team:Hackney", schemas.DoAcknowledge, "Hackney", true},
		{"a borough in another letter case", "team:Hackney", schemas.DoClose, "hackney", true},
		{"a borough closes another's", "team:Hackney", schemas.DoClose, "Barnet", false},
		{"a borough does not approve", "team:Hackney", access.Approve, "", false},
		{"a borough reads nothing of Temporal's", "team:Hackney", access.Decode, "", false},
		{"a specialist team speaks for itself", "specialist:Child abuse", schemas.DoProgress, "Child abuse", true},
		{"the desk speaks for the central desk", "desk", schemas.DoTransfer, teams.CentralDesk, true},
		{"the desk speaks for the specialist desk", "desk", schemas.DoAcknowledge, teams.SpecialistDesk, true},
		{"the desk does not speak for a borough", "desk", schemas.DoAcknowledge, "Hackney", false},
		{"the desk does not speak for the restricted", "desk", schemas.DoAcknowledge, teams.RestrictedDesk, false},
		{"the restricted desk speaks for itself", "restricted", schemas.DoAcknowledge, teams.RestrictedDesk, true},
		{"an officer does not speak for a borough", "officer", schemas.DoClose, "Hackney", false},
		{"nobody does anything", "", access.Look, "", false},
		{"an act that there is not", "officer analyst", "terminate", "", false},
		{"a lead answers for none of its boroughs", "lead:Central_East", schemas.DoAcknowledge, "Hackney", false},
		{"a lead is no team of its own", "lead:Central_East", schemas.DoProgress, "Central East lead", false},
		{"a lead sees no stack", "lead:Central_East", access.Look, "", false},
		{"two roles allow what either does", "officer team:Hackney", schemas.DoClose, "Hackney", true},
		{"no team is spoken for by no name", "team:", schemas.DoClose, "", false},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			t.Parallel()
			roles := strings.Fields(c.roles)
			if strings.Contains(c.roles, "Child") { // a role with a space in it is one role
				roles = []string{c.roles}
			}
			for i, r := range roles {
				roles[i] = strings.ReplaceAll(r, "_", " ")
			}
			err := access.Allows(roles, c.act, c.team)
			if (err == nil) != c.allowed || err != nil && fault.Kind(err) != fault.NotAllowed {
				t.Error(err)
			}
		})
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	load := func(t *testing.T, text string) (access.Rules, error) {
		path := filepath.Join(t.TempDir(), "access.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return access.Load(path, teams.Nowhere())
	}
	r, err := load(t, access.Example)
	if err != nil {
		t.Fatal(err)
	}
	got := r.Roles([]string{"hackney-vawg", "vawg-superintendents", "hackney-vawg", "choir"})
	if r.Claim != "groups" || !slices.Equal(got, []string{"officer", "team:Hackney"}) {
		t.Errorf("%q, %q", r.Claim, got)
	}
	for _, c := range []struct{ scenario, text, want string }{
		{"a role that there is not", "groups:\n  a: [king]\n", `"king" is no role`},
		{"a team that there is not", "groups:\n  a: [\"team:Atlantis\"]\n", "no team of that name"},
		{"a team's other spelling", "groups:\n  a: [\"team:hackney\"]\n", "no team of that name"},
		{"a BCU that there is not", "groups:\n  a: [\"lead:Atlantis\"]\n", "no borough belongs to a BCU of that name"},
		{"a BCU of no name", "groups:\n  a: [\"lead:\"]\n", "no borough belongs to a BCU of that name"},
		{"a BCU's other spelling", "groups:\n  a: [\"lead:central east\"]\n", "no borough belongs to a BCU of that name"},
		{"a borough for a BCU", "groups:\n  a: [\"lead:Hackney\"]\n", "no borough belongs to a BCU of that name"},
		{"nobody", "claim: roles\n", "name at least one group"},
		{"a field that there is not", "group:\n  a: [officer]\n", "group"},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			t.Parallel()
			if _, err := load(t, c.text); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Error(err)
			}
		})
	}
	if _, err := access.Load(filepath.Join(t.TempDir(), "none"), teams.Nowhere()); err == nil || !strings.Contains(err.Error(), "--example") {
		t.Error(err)
	}
}

// A lead is that of its own BCU alone, whatever the letter case; who has no BCU, such as the central desk, has no lead.
func TestLeads(t *testing.T) {
	t.Parallel()
	lead := string(access.LeadRole("Central East"))
	for _, c := range []struct {
		scenario, bcu string
		roles         []string
		leads         bool
	}{
		{"its own", "Central East", []string{"analyst", lead}, true},
		{"its own, as its slug", "central-east", []string{lead}, true},
		{"another's", "Central North", []string{lead}, false},
		{"a team leads nothing", "Central East", []string{"team:Central East", "Central East"}, false},
		{"nobody's", "", []string{lead, "lead:"}, false},
		{"a name that is none", "-", []string{"lead:-"}, false},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			t.Parallel()
			if got := access.Leads(c.roles, c.bcu); got != c.leads {
				t.Error(got)
			}
		})
	}
	if got := access.Teams([]string{lead}); len(got) > 0 {
		t.Errorf("a lead speaks for %q", got)
	}
	if got := access.BCUs([]string{"officer", lead}); !slices.Equal(got, []string{"Central East"}) {
		t.Errorf("%q", got)
	}
}
