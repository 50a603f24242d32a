// Package access says who may do what: the roles of a person, by the groups that the identity provider names, and what
// each role allows (trust, section 1).
//
// It must not know how anybody signs in, nor how an act is carried out.
package access

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"harmstack/activities/casework/teams"
	"harmstack/schemas"
	"harmstack/schemas/fault"
	"harmstack/schemas/yamlfile"
)

// Role is what a person may be. Of a borough's team it is TeamRole(name), of a specialist team SpecialistRole(name), of
// the lead of a basic command unit LeadRole(name).
type Role string

// The roles.
const (
	Analyst    Role = "analyst"    // runs nights, looks at scores and explains them
	Officer    Role = "officer"    // approves, holds and revokes
	Desk       Role = "desk"       // speaks for the central and the specialist desk
	Restricted Role = "restricted" // speaks for the desk of restricted suspects, and sees them
	Auditor    Role = "auditor"    // reads the log, no personal data
	Operator   Role = "operator"   // schedules and doctor, no personal data
)

const (
	teamPrefix       = "team:"
	specialistPrefix = "specialist:"
	leadPrefix       = "lead:"
)

// TeamRole is the role of those who speak for a borough's team.
func TeamRole(borough string) Role { return Role(teamPrefix + borough) }

// SpecialistRole is the role of those who speak for a specialist team.
func SpecialistRole(team string) Role { return Role(specialistPrefix + team) }

// LeadRole is the role of those who lead a BCU: they see the taskings of its boroughs, and speak for none.
func LeadRole(bcu string) Role { return Role(leadPrefix + bcu) }

// The acts, beside those of a tasking (schemas.DoAcknowledge and so on). An attestation names one of them.
const (
	Approve = "approve"
	Hold    = "hold"
	Revoke  = "revoke"
	Run     = "run"     // start a night
	Decode  = "decode"  // read and write what passes through Temporal, as the web UI shows it
	Look    = "look"    // see a night's stack, with ids
	Ask     = "explain" // see one suspect's case
	Audit   = "audit"   // read the log
	Operate = "operate" // change a schedule
)

// byRole are the roles that allow each act. The acts of a tasking are a team's: see Allows.
var byRole = map[string][]Role{
	Approve: {Officer},
	Hold:    {Officer},
	Revoke:  {Officer},
	Run:     {Analyst},
	Decode:  {Analyst, Officer},
	Look:    {Analyst, Officer},
	Ask:     {Analyst, Officer},
	Audit:   {Auditor},
	Operate: {Operator},
}

// Allows is nil when one of the roles allows the act; for an act of a tasking, when it speaks for that team. Its errors
// are fault.NotAllowed and name the roles that would.
func Allows(roles []string, act, team string) error {
	if allowed, ok := byRole[act]; ok {
		if slices.ContainsFunc(allowed, func(r Role) bool { return slices.Contains(roles, string(r)) }) {
			return nil
		}
		return fault.Errorf(fault.NotAllowed, "your roles do not allow it: to %s takes the role %s", act, names(allowed))
	}
	switch act {
	case schemas.DoAcknowledge, schemas.DoProgress, schemas.DoClose, schemas.DoTransfer:
	default:
		return fault.Errorf(fault.NotAllowed, "no role allows %q", act)
	}
	if Speaks(roles, team) {
		return nil
	}
	return fault.Errorf(fault.NotAllowed, "your roles do not speak for the team %s", team)
}

func names(roles []Role) string {
	text := make([]string, len(roles))
	for i, r := range roles {
		text[i] = string(r)
	}
	return strings.Join(text, " or ")
}

// Speaks tells whether one of the roles speaks for a team.
func Speaks(roles []string, team string) bool {
	return team != "" && slices.ContainsFunc(roles, func(r string) bool {
		return slices.ContainsFunc(teamsOf(r), func(own string) bool { return teams.Slug(own) == teams.Slug(team) })
	})
}

// Teams are those that the roles speak for, in the order of the roles.
func Teams(roles []string) (own []string) {
	for _, r := range roles {
		own = append(own, teamsOf(r)...)
	}
	return own
}

func teamsOf(role string) []string {
	switch Role(role) {
	case Desk:
		return []string{teams.CentralDesk, teams.SpecialistDesk}
	case Restricted:
		return []string{teams.RestrictedDesk}
	}
	for _, prefix := range []string{teamPrefix, specialistPrefix} {
		if name, ok := strings.CutPrefix(role, prefix); ok {
			return []string{name}
		}
	}
	return nil
}

// Leads tells whether one of the roles is that of the lead of a BCU. No BCU, as that of the central desk, has none.
func Leads(roles []string, bcu string) bool {
	return bcu != "" && slices.ContainsFunc(BCUs(roles), func(own string) bool { return teams.Slug(own) == teams.Slug(bcu) })
}

// BCUs are those that the roles lead, in the order of the roles.
func BCUs(roles []string) (own []string) {
	for _, r := range roles {
		if bcu, ok := strings.CutPrefix(r, leadPrefix); ok && teams.Slug(bcu) != "" {
			own = append(own, bcu)
		}
	}
	return own
}

// Rules are access.yaml: the roles of each group of the identity provider.
type Rules struct {
	// Claim is the claim of the identity token that lists a person's groups.
	Claim string `yaml:"claim"`
	// Groups are the roles of each group.
	Groups map[string][]string `yaml:"groups"`
}

// Load reads access.yaml. Each role must be one there is, of a team that the teams' file names.
func Load(path string, who *teams.Teams) (r Rules, err error) {
	data, err := yamlfile.Read(path, yamlfile.Large)
	if errors.Is(err, fs.ErrNotExist) {
		return r, errors.New("there is no such file: `starter desk --example` prints one")
	}
	if err != nil {
		return r, err
	}
	if _, err := yamlfile.Decode(data, yamlfile.Large, &r); err != nil {
		return r, err
	}
	if r.Claim == "" {
		r.Claim = "groups"
	}
	if len(r.Groups) == 0 {
		return r, errors.New("groups: name at least one group and its roles")
	}
	for _, group := range slices.Sorted(maps.Keys(r.Groups)) {
		for _, role := range r.Groups[group] {
			if err := check(role, who); err != nil {
				return r, fmt.Errorf("groups: %s: %w", group, err)
			}
		}
	}
	return r, nil
}

func check(role string, who *teams.Teams) error {
	switch Role(role) {
	case Analyst, Officer, Desk, Auditor, Operator, Restricted:
		return nil
	}
	if bcu, ok := strings.CutPrefix(role, leadPrefix); ok {
		if bcu == "" || !slices.ContainsFunc(who.Owners(), func(p teams.Party) bool { return p.BCU == bcu }) {
			return fmt.Errorf("%q: no borough belongs to a BCU of that name", role)
		}
		return nil
	}
	own := teamsOf(role)
	if len(own) == 0 {
		return fmt.Errorf("%q is no role: give analyst, officer, team:<Borough>, specialist:<team>, lead:<BCU>, desk, "+
			"restricted, auditor or operator", role)
	}
	p, ok := who.Find(own[0])
	if !ok || p.Name != own[0] {
		return fmt.Errorf("%q: the teams' file has no team of that name", role)
	}
	return nil
}

// Roles are those of a person who is in those groups, each once, in order.
func (r Rules) Roles(groups []string) []string {
	var roles []string
	for _, g := range groups {
		roles = append(roles, r.Groups[g]...)
	}
	slices.Sort(roles)
	return slices.Compact(roles)
}

// Example is an access.yaml to start from.
const Example = `# Who may do what at the desk: the groups of the identity provider, and the roles that each gives.
# Roles: analyst (run, score, explain), officer (approve, hold, revoke), team:<Borough>, specialist:<team>,
# lead:<BCU> (sees the taskings of its boroughs), desk (the central and the specialist desk), restricted, auditor (the
# log), operator (schedules).

# The claim of the identity token that lists a person's groups.
claim: groups

groups:
  vawg-analysts: [analyst]
  vawg-superintendents: [officer]
  hackney-vawg: ["team:Hackney"]
  westminster-vawg: ["team:Westminster"]
  central-east-leads: ["lead:Central East"]
  central-desk: [desk]
  professional-standards: [restricted]
  audit: [auditor]
  platform: [operator]
`
