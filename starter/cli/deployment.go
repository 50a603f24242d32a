package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"

	"github.com/spf13/cobra"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"

	"harmstack/activities/casework/teams"
	"harmstack/activities/nights"
	"harmstack/activities/store"
	"harmstack/activities/trust/audit"
	"harmstack/activities/trust/subject"
	"harmstack/schemas"
	"harmstack/schemas/text"
	"harmstack/worker/config"
	"harmstack/workflows"
	flows "harmstack/workflows/client"
	"harmstack/workflows/plugin"
)

// openStore opens the store that --store or the environment names.
func openStore(cmd *cobra.Command) (*store.Store, error) {
	url, _ := cmd.Flags().GetString("store")
	return openStoreAt(cmd.Context(), url)
}

func openStoreAt(ctx context.Context, url string) (*store.Store, error) {
	if url == "" {
		url = os.Getenv("HARMSTACK_STORE")
	}
	if url == "" && os.Getenv(deskVariable) != "" {
		return nil, errors.New(
			"no store, and the desk does not do this: set HARMSTACK_STORE or give --store, where the store is",
		)
	}
	if url == "" {
		return nil, errors.New(
			"no store: set HARMSTACK_STORE or give --store (after a demo: --store harmstack-demo/store)",
		)
	}
	keys, err := config.LoadSigning(os.Getenv)
	if err != nil {
		return nil, err
	}
	st, _, err := store.OpenSetUp(ctx, url)
	if err != nil {
		return nil, err
	}
	st.Temp, st.Keys = tempDir(), keys
	if err := st.Unlock(ctx, os.Getenv("HARMSTACK_STORE_KEY")); err != nil {
		return nil, errors.Join(err, st.Close())
	}
	return st, nil
}

// tempDir is the folder for what spills and for what is converted or fetched; empty: the system's.
func tempDir() string { return os.Getenv("HARMSTACK_TEMP") }

// openDeployment opens the store of a deployment, and refuses another's.
func openDeployment(ctx context.Context, cfg config.Config) (*store.Store, error) {
	st, id, err := store.OpenSetUp(ctx, cfg.Store)
	if err != nil {
		return nil, err
	}
	st.Temp, st.Keys = cfg.TempDir, cfg.Signing
	if err := id.Match(string(cfg.Deployment), ""); err != nil {
		return nil, errors.Join(fmt.Errorf("store %s: %w", st.URL(), err), st.Close())
	}
	if err := st.Unlock(ctx, cfg.StoreKey); err != nil {
		return nil, errors.Join(err, st.Close())
	}
	return st, nil
}

// deployment is the name that the environment gives, for texts.
func deployment() workflows.Deployment {
	return workflows.Deployment(os.Getenv("HARMSTACK_DEPLOYMENT"))
}

// storeFlag adds --store.
func storeFlag(cmd *cobra.Command) {
	cmd.Flags().String("store", "", "folder or `URL` of the artefact store (default $HARMSTACK_STORE)")
}

// dial connects to Temporal as the environment says, unless what runs there is encrypted under keys that it does not
// name.
func dial(ctx context.Context) (client.Client, config.Config, error) {
	cfg, err := config.LoadClient(os.Getenv)
	if err != nil {
		return nil, cfg, err
	}
	c, err := cfg.Dial(quiet{})
	if err != nil {
		return nil, cfg, err
	}
	if err := recognise(ctx, c, cfg); err != nil {
		c.Close()
		return nil, cfg, err
	}
	return c, cfg, nil
}

// connect dials Temporal and opens the deployment's store.
func connect(ctx context.Context) (client.Client, config.Config, *store.Store, error) {
	c, cfg, err := dial(ctx)
	if err != nil {
		return nil, cfg, nil, err
	}
	st, err := openDeployment(ctx, cfg)
	if err != nil {
		c.Close()
		return nil, cfg, nil, err
	}
	return c, cfg, st, nil
}

// closeBoth ends what connect began.
func closeBoth(c client.Client, st *store.Store) {
	st.Close()
	c.Close()
}

// recognise refuses to speak in clear, or under other keys, to workflows that are encrypted: what is sent could be read
// by whoever runs Temporal, and what is answered could not be read here. It looks at the newest workflows that are
// there.
func recognise(ctx context.Context, c client.Client, cfg config.Config) error {
	// Workers encrypt what they write, whoever started the workflow, and under which keys.
	list, err := c.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{PageSize: 3, Query: fmt.Sprintf(
		"TaskQueue = '%s' AND WorkflowType IN ('NightlyRun', 'Decision', 'BoroughTasking', 'Tasking')", cfg.TaskQueue)})
	if err != nil {
		return fmt.Errorf("listing the workflows of Temporal: %w", err)
	}
	for _, e := range list.GetExecutions() {
		if err := readable(ctx, c, cfg, e.GetExecution().GetWorkflowId(), e.GetExecution().GetRunId()); err != nil {
			return err
		}
	}
	return nil
}

// readable refuses a workflow that is encrypted under a key that is not configured; an empty runID is its latest run.
func readable(ctx context.Context, c client.Client, cfg config.Config, id, runID string) error {
	const enough = 20 // events, by which a worker has written something
	history := c.GetWorkflowHistory(ctx, id, runID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for range enough {
		if !history.HasNext() {
			break
		}
		e, err := history.Next()
		if flows.Missing(err) {
			return nil // whoever sends it something is told so
		}
		key := ""
		if err == nil {
			key, err = plugin.UnknownKey(ctx, e, cfg.Payloads.Keys)
		}
		if err != nil {
			return fmt.Errorf("workflow %s cannot be looked at: %w", id, err)
		}
		if key != "" {
			return fmt.Errorf(
				"what runs there is encrypted with the key %q, which HARMSTACK_PAYLOAD_KEYS does not name: "+
					"give the worker's keys (nothing was sent)",
				key,
			)
		}
	}
	return nil
}

// loadTeams reads the teams as the environment says.
func loadTeams() (*teams.Teams, error) {
	tables, err := config.LoadTables(os.Getenv)
	if err != nil {
		return nil, err
	}
	return config.Config{TeamsFile: os.Getenv("HARMSTACK_TEAMS"), Tables: tables}.LoadTeams()
}

// quiet keeps the Temporal client's log off the terminal: what matters comes back as an error.
type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}

// whoami is the name under which somebody looked, for the audit log.
func whoami() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown user"
}

// look notes who looked at what and, where the key is at hand, at whom by pseudonym.
func look(ctx context.Context, st *store.Store, did string, night schemas.NightID, why string, ids ...string) error {
	keys, err := config.LoadPseudonyms(os.Getenv)
	if err != nil {
		return err
	}
	var names []string
	if len(ids) > 0 && len(keys) > 0 {
		by, err := config.Names(ctx, st, keys)
		if err != nil {
			return err
		}
		for _, id := range ids {
			names = append(names, by.Name(id))
		}
	}
	return audit.Append(ctx, st, audit.Entry{At: now(), Operation: audit.Consultation, Actor: audit.Claims(whoami()), Did: did,
		On: audit.Object{Night: night.String(), Pseudonyms: names}, Why: why})
}

// nightFlags choose a night: --as-of and --revision; without them, the approved stack.
type nightFlags struct {
	asOf     schemas.Date
	revision int
}

func (n *nightFlags) add(cmd *cobra.Command) {
	cmd.Flags().Var(dateFlag{&n.asOf}, "as-of", "the night of this `date` (default: the approved stack)")
	cmd.Flags().IntVar(&n.revision, "revision", 0, "its revision (default: the newest)")
}

// open opens the store, which must be closed, and finds the chosen night in it.
func (n *nightFlags) open(cmd *cobra.Command) (*store.Store, schemas.Manifest, error) {
	st, err := openStore(cmd)
	if err != nil {
		return nil, schemas.Manifest{}, err
	}
	m, _, err := n.find(cmd.Context(), st)
	if err == nil {
		err = tellErased(cmd, st, m.NightID)
	}
	if err != nil {
		st.Close()
		return nil, m, err
	}
	return st, m, nil
}

// tellErased says how many people were erased from a night since it was published, beside what is shown of it.
func tellErased(cmd *cobra.Command, st *store.Store, id schemas.NightID) error {
	n, err := subject.Of(cmd.Context(), st, id)
	if n > 0 {
		say(cmd.ErrOrStderr(), "%s erased from night %s since it was published: others stay where they were.\n",
			text.Count(n, "person was", "people were"), id)
	}
	return err
}

// find returns the chosen night's manifest.
func (n *nightFlags) find(ctx context.Context, st *store.Store) (schemas.Manifest, schemas.ManifestRef, error) {
	id := schemas.NightID{AsOf: n.asOf, Revision: n.revision}
	if n.asOf.IsZero() {
		current, err := nights.LoadCurrent(ctx, st)
		if err != nil {
			return schemas.Manifest{}, schemas.ManifestRef{}, err
		}
		if current == nil {
			return schemas.Manifest{}, schemas.ManifestRef{}, errors.New(
				"no stack is approved yet: give --as-of to look at a published one",
			)
		}
		id = current.Manifest.NightID
	} else if id.Revision == 0 {
		var err error
		if id, err = newest(ctx, st, n.asOf); err != nil {
			return schemas.Manifest{}, schemas.ManifestRef{}, err
		}
	}
	m, ref, err := nights.LoadManifest(ctx, st, id)
	if errors.Is(err, store.ErrNotFound) {
		err = fmt.Errorf("night %s is not published", id)
	}
	return m, ref, err
}

// newest is the newest published revision of a night.
func newest(ctx context.Context, st *store.Store, asOf schemas.Date) (id schemas.NightID, err error) {
	all, err := nights.List(ctx, st)
	if err != nil {
		return id, err
	}
	for _, n := range all {
		if n.ID.AsOf == asOf {
			id = n.ID // oldest first
		}
	}
	if id.Revision == 0 {
		return id, fmt.Errorf("no night of %s is published: `starter status` lists those that are", asOf)
	}
	return id, nil
}
