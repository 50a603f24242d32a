package decision

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"harmstack/activities/nights"
	"harmstack/activities/store"
	"harmstack/activities/task"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/schemas/fault"
)

const nobody = 65534

// A worker that may not write to the audit log says so at once, to be retried by nobody, and has recorded nothing; once
// it may, the same decision stands.
func TestDecideOnAnUnwritableLog(t *testing.T) {
	if dir := os.Getenv("DECISION_TEST_FOLDER"); dir != "" {
		decideAsNobody(t, dir)
		return
	}
	if os.Geteuid() != 0 {
		t.Log("nobody but root can act as somebody else")
		return
	}
	above, err := os.MkdirTemp("/tmp", "harmstack-decision-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(above) })
	dir, program := filepath.Join(above, "store"), filepath.Join(above, "test")
	st, err := store.Open(t.Context(), dir)
	if err == nil {
		err = publishNight(t.Context(), st)
	}
	if err != nil {
		t.Fatal(err)
	}
	audit := filepath.Join(dir, "audit")
	err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Chown(path, nobody, nobody))
	})
	if err := errors.Join(err, os.RemoveAll(audit), os.Mkdir(audit, 0o700), os.Chmod(above, 0o755)); err != nil { // as an older `starter stack` by root left it
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", os.Args[0], program).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{"refused", "recorded"} {
		child := exec.Command(program, "-test.run=^"+t.Name()+"$", "-test.v")
		child.Dir, child.Env = "/", append(os.Environ(), "DECISION_TEST_FOLDER="+dir)
		child.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		if out, err := child.CombinedOutput(); err != nil || !strings.Contains(string(out), "it is "+want) {
			t.Fatalf("not %s: %v: %s", want, err, out)
		}
		if err := os.Chown(audit, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
}

var night = schemas.NightID{AsOf: schemas.MustDate("2026-06-30"), Revision: 1}

func publishNight(ctx context.Context, st *store.Store) error {
	id, err := nights.Claim(ctx, st, night.AsOf, "run")
	if err != nil {
		return err
	}
	m := schemas.Manifest{NightID: id, RowsRead: 1, Suspects: 1}
	m.Dispositions[schemas.Scored] = 1
	for _, file := range []string{schemas.QuarantineFile, schemas.RankingFile, schemas.StackFile, schemas.StackCSVFile, schemas.ContributionsFile,
		schemas.ChangesFile, schemas.ReportFile} {
		ref, err := st.Write(ctx, id.Path()+"/"+file, "", func(w io.Writer) (int64, error) { return 0, nil })
		if err != nil {
			return err
		}
		m.Outputs = append(m.Outputs, ref)
	}
	_, err = nights.Publish(ctx, st, m)
	return err
}

func decideAsNobody(t *testing.T, dir string) {
	st, err := store.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	_, ref, err := nights.LoadManifest(t.Context(), st, night)
	if err != nil {
		t.Fatal(err)
	}
	var suite testsuite.WorkflowTestSuite
	env := suite.NewTestActivityEnvironment()
	acts := &Activities{Store: st}
	env.RegisterActivity(acts)
	_, err = env.ExecuteActivity(acts.Decide, DecideParams{Decision: schemas.Decision{Decision: schemas.Held, Manifest: ref, By: "DCI Example", Reason: "looked at it"}})
	standing, loadErr := nights.LoadDecision(t.Context(), st, night)
	if loadErr != nil {
		t.Fatal(loadErr)
	}
	var app *temporal.ApplicationError
	switch {
	case err == nil && standing != nil:
		t.Log("it is recorded")
	case standing == nil && errors.As(err, &app) && app.Type() == fault.StoreDenied && app.NonRetryable() &&
		strings.Contains(app.Message(), "user nobody may not write "+dir+"/audit, which belongs to root:root"):
		t.Log("it is refused")
	default:
		t.Errorf("%v, and %+v stands", err, standing)
	}
}

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
	if !task.Is(err, fault.BadRequest) || !strings.Contains(err.Error(), "reason: 2001 characters are too many") {
		t.Error(err)
	}
	// Nothing but that it was refused, without the text.
	keys, err := st.List(t.Context(), "")
	if err != nil || len(keys) != 1 {
		t.Errorf("%q, %v", keys, err)
	}
	log, err := audit.Read(t.Context(), st)
	if err != nil || len(log) != 1 || log[0].Outcome != audit.Refused || log[0].Actor.Name != "DCI Example" || strings.Contains(log[0].Why, "é") {
		t.Errorf("%+v, %v", log, err)
	}
}
