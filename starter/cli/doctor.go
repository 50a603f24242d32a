package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"harmstack/activities/casework/pseudonym"
	"harmstack/activities/casework/teams"
	"harmstack/activities/extract/sources"
	"harmstack/activities/messages/digest"
	"harmstack/activities/nightly"
	"harmstack/activities/nights"
	"harmstack/activities/store/seal"
	"harmstack/activities/trust/audit"
	"harmstack/activities/trust/sign"
	"harmstack/schemas/text"
	"harmstack/worker/config"
	"harmstack/worker/service"
	flows "harmstack/workflows/client"
)

// check is one line of the doctor's table. A fault has a cure.
type check struct {
	Name  string `json:"check"`
	OK    bool   `json:"ok"`
	Found string `json:"found"`
}

func doctorCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "doctor",
		GroupID: groupNight,
		Short:   "Check that everything is reachable and set up",
		Long: `Check that everything is reachable and set up, with the worker's environment. Ends with an error
when something is not.

` + config.Usage,
		Example: `  starter doctor`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			checks := examine(cmd.Context())
			faults := 0
			rows := [][]string{{"CHECK", "", "FOUND"}}
			for _, c := range checks {
				mark := "ok"
				if !c.OK {
					mark = "FAULT"
					faults++
				}
				rows = append(rows, []string{c.Name, mark, c.Found})
			}
			print := func() error { return table(cmd.OutOrStdout(), rows) }
			if asJSON {
				print = func() error { return printJSON(cmd.OutOrStdout(), checks) }
			}
			if err := print(); err != nil {
				return err
			}
			if faults > 0 {
				return fmt.Errorf("%d of %s found a fault", faults, text.Count(len(checks), "check"))
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func examine(ctx context.Context) (checks []check) {
	add := func(name, found string, err error) bool {
		if err != nil {
			found = strings.ReplaceAll(err.Error(), "\n", "; ")
		}
		checks = append(checks, check{name, err == nil, found})
		return err == nil
	}
	cfg, err := config.Load(os.Getenv)
	if add("configuration", "complete", err); cfg.Store != "" {
		found, err := examineStore(ctx, cfg)
		add("store", found, err)
	}
	if who, err := cfg.LoadTeams(); err != nil {
		add("teams", "", err)
	} else {
		found := fmt.Sprintf("%s, %s", text.Count(len(who.Owners()), "borough or desk", "boroughs and desks"), text.Count(len(who.Specialists()), "specialist team"))
		if cfg.TeamsFile == "" {
			found = "no file: every message leads nowhere"
		}
		add("teams", found, nil)
		add("taskings", pace(who), nil)
		add("restricted suspects", restrictedDesk(who), nil)
		add("mails", mails(cfg.Desk, who), nil)
		if wide := beyondASCII(who); len(wide) > 0 {
			add("addresses beyond ASCII", fmt.Sprintf("%d, and the mail server takes them", len(wide)), examineWide(ctx, cfg.Mail, wide))
		}
	}
	if _, ok := cfg.Sources[nightly.DefaultSource]; !ok {
		add("default extract", "", errors.New("none: set HARMSTACK_EXTRACT, or name an extract in every request"))
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Sources)) {
		found, err := sources.Check(ctx, cfg.Sources[name])
		line := "extract " + name
		if name == nightly.DefaultSource {
			line = "default extract"
		}
		add(line, found, err)
	}
	found, err := examineMail(ctx, cfg.Mail)
	add("mail", found, err)
	found, err = examineTemp(cfg.TempDir)
	add("temporary folder", found, err)
	machine, err := machineMemory("/")
	if err == nil {
		found, err = examineMemory(cfg.Memory, service.ComputeSlots, machine)
	}
	add("memory", found, err)
	switch r := cfg.Retention; {
	case r.Extract == 0 && r.Night == 0 && r.Tasking == 0:
		add(
			"retention",
			"everything is kept for ever: set HARMSTACK_KEEP_EXTRACTS and HARMSTACK_KEEP_NIGHTS by the force's retention schedule",
			nil,
		)
	default:
		add("retention", fmt.Sprintf("rows as read %s, nights %s, taskings %s", keptFor(r.Extract), keptFor(r.Night), keptFor(r.Tasking)), nil)
	}
	if cfg.TemporalTLS == config.PlainTemporal {
		add("TLS of Temporal", "not asked for: HARMSTACK_TEMPORAL_TLS says so", nil)
	}
	add("store encryption", storeEncryption(cfg.StoreKey), nil)
	switch {
	case len(cfg.Payloads.Keys) == 0:
		add("payload encryption", "off: no real data may pass", nil)
	case cfg.Payloads.Older:
		add("payload encryption", "on, and what was sent in clear before is still read", nil)
	default:
		add("payload encryption", "on", nil)
	}
	add("signatures", signing(cfg.Signing), nil)
	if cfg.Checkpoints != "" {
		found, err := examineCheckpoints(ctx, cfg)
		add("checkpoints", found, err)
	}
	c, err := cfg.Dial(quiet{})
	if !add("Temporal", "reachable", err) {
		return checks
	}
	defer c.Close()
	if found, err = examineNamespace(ctx, c); !add("namespace", found, err) {
		return checks // without one there is nothing to look at
	}
	found, err = examineQueue(ctx, c, cfg.TaskQueue, now())
	add("worker", found, err)
	found, err = examineCompute(ctx, c, cfg.TaskQueue, now())
	add("worker for stages", found, err)
	add("search attributes", "registered", examineAttributes(ctx, c))
	found, err = examineRunning(ctx, c, cfg)
	add("taskings run", found, err)
	for _, s := range flows.Schedules(cfg.Deployment, cfg.TaskQueue) {
		d, err := c.ScheduleClient().GetHandle(ctx, s.Options.ID).Describe(ctx)
		found := s.When
		if flows.Missing(err) {
			err = errors.New("none: `starter schedule apply` makes it")
		} else if err == nil && d.Schedule.State.Paused {
			found = "paused: " + d.Schedule.State.Note
		}
		add("schedule "+s.Name, found, err)
	}
	return checks
}

// signing says who signs, and whose signatures count.
func signing(k *sign.Keys) string {
	switch {
	case !k.Checks():
		return "off: whoever can write to the store can rewrite what happened; no real data may pass"
	case !k.Signs():
		return "checked, by the keys of " + strings.Join(k.Names(), ", ") + "; this machine has none to sign with"
	}
	return "signed as " + k.Name() + ", checked by the keys of " + strings.Join(k.Names(), ", ")
}

// examineCheckpoints reads the second store, and proves that the log goes on from what is kept there.
func examineCheckpoints(ctx context.Context, cfg config.Config) (string, error) {
	if !cfg.Signing.Checks() {
		return "", errors.New("HARMSTACK_CHECKPOINTS without HARMSTACK_SIGNED_BY: nobody can sign or check them")
	}
	st, err := openDeployment(ctx, cfg)
	if err != nil {
		return "", err
	}
	defer st.Close()
	kept, err := audit.Kept(ctx, cfg.Checkpoints, cfg.Signing)
	if err != nil {
		return "", err
	}
	log, err := audit.Examine(ctx, st)
	if err != nil {
		return "", err
	}
	for _, c := range kept {
		if p := log.Against(c); p != nil {
			return "", p
		}
	}
	return text.Count(len(kept), "checkpoint") + " kept, and the log goes on from each", nil
}

// pace says how new taskings are issued and taskings stood down.
func pace(who *teams.Teams) string {
	after := "once below the stack"
	if n := who.StandDownAfter(0); n > 0 {
		after = fmt.Sprintf("once below position %d and the stack", n)
	}
	return fmt.Sprintf("new ones %s, stood down %s", who.Cadence(), after)
}

// mails says where mails lead, and who gets ids by them.
func mails(desk digest.Desk, who *teams.Teams) string {
	lead := "they name the starter's commands: set HARMSTACK_DESK and they lead to the desk"
	if desk != "" {
		lead = "they lead to " + string(desk)
	}
	if domains := who.PackDomains(); len(domains) > 0 {
		return lead + "; packs, with ids, to addresses of " + strings.Join(domains, ", ") + " alone"
	}
	return lead + "; no ids"
}

func restrictedDesk(who *teams.Teams) string {
	if desk, ok := who.Restricted(); ok {
		return desk.Name + " alone is told of them"
	}
	return "nobody is told of them: name a desk `restricted` in the teams' file"
}

func storeEncryption(key string) string {
	if key == "" || key == seal.None {
		return "off: whoever copies the store reads every row; no real data may lie there"
	}
	return "on"
}

// examineStore reads what is there and proves that it can be written to, and that two runs cannot write the same.
// Nothing is left of that.
func examineStore(ctx context.Context, cfg config.Config) (string, error) {
	st, err := openDeployment(ctx, cfg)
	if err != nil {
		return "", err
	}
	defer st.Close()
	if len(cfg.PseudonymKey) > 0 {
		id, err := st.Recognise(ctx)
		if err == nil {
			err = id.Match(string(cfg.Deployment), pseudonym.Fingerprint(cfg.PseudonymKey))
		}
		if err == nil {
			_, err = cfg.Names(ctx, st)
		}
		if err != nil {
			return "", err
		}
	}
	if err := errors.Join(st.Writable(), st.Probe(ctx)); err != nil {
		return "", err
	}
	if foreign, err := st.Foreign(); err != nil || foreign != "" {
		if err == nil {
			err = fmt.Errorf(
				"%s belongs to another user than the store, who is shut out: chown -R --reference=%s %s",
				foreign,
				strings.TrimPrefix(st.URL(), "file://"),
				foreign,
			)
		}
		return "", err
	}
	all, err := nights.List(ctx, st)
	if err != nil {
		return "", err
	}
	entries, err := audit.Read(ctx, st)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("writable, create-only holds, %s, audit log of %s unbroken", text.Count(len(all), "night"), text.Count(len(entries), "entry", "entries")), nil
}

// examineRunning counts the taskings on the stack whose workflow ended: by a failure that no retry mends, or a hand.
func examineRunning(ctx context.Context, c client.Client, cfg config.Config) (string, error) {
	st, err := openDeployment(ctx, cfg)
	if err != nil {
		return "", err
	}
	defer st.Close()
	stopped, err := stoppedTaskings(ctx, c, cfg.TaskQueue, st)
	if err == nil && stopped > 0 {
		err = fmt.Errorf(
			"%s on the stack %s not: look in the web UI why, then `starter tasking resume`",
			text.Count(stopped, "tasking"),
			text.Noun(stopped, "does", "do"),
		)
	}
	return "all on the stack", err
}
