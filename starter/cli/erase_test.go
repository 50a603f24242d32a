package cli

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"harmstack/activities/casework/pseudonym"
	"harmstack/activities/nights"
	"harmstack/activities/store"
	"harmstack/activities/store/leaktest"
	"harmstack/activities/store/s3test"
	"harmstack/activities/trust/audit"
	"harmstack/activities/trust/sign"
	"harmstack/activities/trust/subject"
	"harmstack/activities/trust/verify"
	"harmstack/schemas"
)

// Who is erased, and the id that a later night merges into theirs.
const erased, alias = "P-7654321", "P-OLD-4711"

// signingKeys sets the keys of signatures.
func signingKeys(t *testing.T) {
	t.Helper()
	seed := bytes.Repeat([]byte{1}, ed25519.SeedSize)
	t.Setenv("HARMSTACK_SIGNING_KEY", base64.StdEncoding.EncodeToString(seed))
	t.Setenv("HARMSTACK_SIGNED_BY", "worker="+sign.Public(ed25519.NewKeyFromSeed(seed)))
}

// eraseFrom sets the environment of a store with signing keys, and publishes two nights of it: the person has two ids of
// which only the second knows that they are one, is a suspect, a victim, in a row that cannot be read, and on the stack.
func eraseFrom(t *testing.T, url string) {
	t.Helper()
	signingKeys(t)
	t.Setenv("HARMSTACK_STORE", url)
	t.Setenv("HARMSTACK_PSEUDONYM_KEY", base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32))))
	t.Setenv("HARMSTACK_OUTBOX", t.TempDir())
	rows := func(asOf schemas.Date) []schemas.Offence {
		unread := allegation(asOf, erased, "A-bad", "019/08", "19C", "", 0)
		unread.Source = new("nobody")
		harmed := allegation(asOf, erased, "A-bad2", "019/08", "19C", "", 0)
		harmed.Source, harmed.SuspectID, harmed.VictimID = new("nobody"), new("S-03"), new(" "+erased)
		against := allegation(asOf, "S-02", "A-against", "019/08", "19C", "", 1)
		against.VictimID = new(alias)
		of := allegation(asOf, erased, "A-of", "019/08", "19C", "", 3)
		of.VictimID = new("S-02")
		return append(edgeOfTheStack(asOf)[4:], unread, harmed, against, of, allegation(asOf, alias, "A-old", "019/08", "19C", "", 2))
	}
	first := schemas.MustDate("2026-06-29")
	publishNight(t, url, first, rows(first))
	publishNight(t, url, first.AddDays(1), rows(first.AddDays(1)), schemas.PersonLink{PersonID: alias, SameAs: erased})
	if _, err := run(t, "verify", "--adopt", "--why", "it was made by a test"); err != nil {
		t.Fatal(err)
	}
}

// hunt finds the person in everything that a store holds: in names, as it lies there, and in the values of Parquet.
func hunt(t *testing.T, st *store.Store) (in []string) {
	t.Helper()
	keys, err := st.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		data, err := st.Read(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		text := append([]byte(key+"\n"), data...)
		if strings.HasSuffix(key, ".parquet") {
			file, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
			if err != nil {
				t.Fatalf("%s: %v", key, err)
			}
			rows := parquet.NewReader(file)
			for batch := make([]parquet.Row, 64); ; {
				n, err := rows.ReadRows(batch)
				for _, row := range batch[:n] {
					text = fmt.Append(text, row)
				}
				if err != nil {
					if err != io.EOF {
						t.Fatalf("%s: %v", key, err)
					}
					break
				}
			}
		}
		if found := leaktest.Found(text, erased, alias); len(found) > 0 {
			in = append(in, key)
		}
	}
	return in
}

func problemsOf(t *testing.T, st *store.Store, in time.Duration) []audit.Problem {
	t.Helper()
	r, err := verify.Store(t.Context(), st, verify.Options{Now: time.Now().Add(in)})
	if err != nil {
		t.Fatal(err)
	}
	return r.Problems
}

// looks are commands that show a night from which somebody was erased.
var looks = [][]string{
	{"stack", "--as-of", "2026-06-29", "--why", "a look"}, {"explain", "S-05", "--as-of", "2026-06-29", "--why", "a look"},
	{"case", "S-02", "--as-of", "2026-06-29", "--why", "a look"}, {"diff", "2026-06-29", "2026-06-30", "--why", "a look"},
	{"stack", "--as-of", "2026-06-30", "--from", "90", "--to", "97", "--why", "a look"}, {"lineage", "2026-06-30"},
	{"subject", "S-02", "--why", "a look"},
}

func TestErase(t *testing.T) {
	dir := t.TempDir()
	eraseFrom(t, dir)
	outbox := os.Getenv("HARMSTACK_OUTBOX")
	mail := "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/csv\r\n" +
		"Content-Transfer-Encoding: base64\r\n\r\n%s\r\n--b--\r\n"
	for name, id := range map[string]string{"theirs.eml": erased, "another.eml": erased + "9"} {
		data := fmt.Sprintf(mail, base64.StdEncoding.EncodeToString([]byte("position,suspect_id\n1,"+id+"\n")))
		if err := os.WriteFile(filepath.Join(outbox, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	st, err := openStoreAt(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if found := hunt(t, st); len(found) < 14 {
		t.Fatalf("they are in %q alone", found)
	}
	before := contentsOf(t, st)
	for _, c := range []struct{ why, says string }{{"court", "give --yes"}, {"for " + erased, "leave the person's id out"}} {
		args := []string{"subject", alias, "--erase", "--why", c.why}
		if c.why != "court" {
			args = append(args, "--yes")
		}
		if _, err := run(t, args...); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.why, err)
		}
		now := contentsOf(t, st)
		maps.DeleteFunc(now, func(key, _ string) bool { return before[key] == "" && strings.HasPrefix(key, "audit/") })
		if !maps.Equal(before, now) {
			t.Errorf("%s: something was changed", c.why)
		}
	}
	was := ranked(t, st)
	said, err := run(t, "subject", alias, "--why", "court", "--erase", "--yes")
	if err != nil || !strings.Contains(said, "Erased one person from") || !strings.Contains(said, "contributions.parquet") {
		t.Fatalf("%v\n%s", err, said)
	}
	if found := hunt(t, st); len(found) > 0 {
		t.Errorf("they are still in %q", found)
	}
	if left, err := filepath.Glob(outbox + "/*"); err != nil || len(left) != 1 || filepath.Base(left[0]) != "another.eml" {
		t.Errorf("the outbox has %q", left)
	}
	// Others stay where they were.
	for id, night := range was {
		delete(night, erased)
		delete(night, alias)
		if now := ranked(t, st)[id]; !maps.Equal(now, night) {
			t.Errorf("%s: %v became %v", id, night, now)
		}
	}
	if said, err := run(t, "verify"); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
	for _, look := range looks {
		var out, beside bytes.Buffer
		err := Run(t.Context(), look, &out, &beside)
		if err != nil || leaktest.Found(append(out.Bytes(), beside.Bytes()...), erased, alias) != nil {
			t.Errorf("%q: %v\n%s", look, err, out.String())
		}
		if look[0] == "stack" && !strings.Contains(beside.String(), "1 person was erased from night "+look[2]) {
			t.Errorf("%q: %s", look, beside.String())
		}
	}
	for _, rest := range [][]string{{"score", "--night", "2026-06-30", "--out", filepath.Join(t.TempDir(), "out")},
		{"report", "--as-of", "2026-06-29", "--why", "a look", "--out", filepath.Join(t.TempDir(), "report.html")}} {
		if said, err := run(t, rest...); err != nil {
			t.Errorf("%q: %v\n%s", rest, err, said)
		}
		if found := leaktest.Folder(t, filepath.Dir(rest[len(rest)-1]), erased, alias); len(found) > 0 {
			t.Errorf("%q: %v", rest, found)
		}
		if rest[0] == "report" && !strings.Contains(string(read(t, rest[len(rest)-1])), "Somebody was erased from this page") {
			t.Error("the report does not say so")
		}
	}
	for _, id := range []string{erased, alias} {
		if said, err := run(t, "subject", id, "--why", "once more", "--erase", "--yes"); err != nil || !strings.Contains(said, "No file names them") {
			t.Errorf("%s once more: %v\n%s", id, err, said)
		}
	}
	if said, err := run(t, "subject", erased, "--why", "what is left"); err != nil || !strings.Contains(said, "erased one person from 2 nights") {
		t.Errorf("%v\n%s", err, said)
	}
	tamperWithErasure(t, dir, before)
}

// ranked are the positions of everybody in every night.
func ranked(t *testing.T, st *store.Store) map[schemas.NightID]map[string]int64 {
	t.Helper()
	all, err := nights.List(t.Context(), st)
	if err != nil {
		t.Fatal(err)
	}
	by := map[schemas.NightID]map[string]int64{}
	for _, n := range all {
		m, _, err := nights.LoadManifest(t.Context(), st, n.ID)
		if err != nil {
			t.Fatal(err)
		}
		rows, err := nights.ReadFile[schemas.Ranked](t.Context(), st, m, schemas.RankingFile)
		if err != nil {
			t.Fatal(err)
		}
		by[n.ID] = map[string]int64{}
		for _, r := range rows {
			by[n.ID][r.SuspectID] = r.Position
		}
	}
	return by
}

// tamperWithErasure changes what an erasure left in every way, and looks whether that is found.
func tamperWithErasure(t *testing.T, dir string, before map[string]string) {
	const night = "nights/2026-06-29/r1/"
	const record, stack = night + "erasure-000001.json", night + "stack.parquet"
	write := func(key string, data []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, key), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	stranger := bytes.Repeat([]byte{2}, ed25519.SeedSize)
	theirs, err := sign.Parse(base64.StdEncoding.EncodeToString(stranger), "worker="+sign.Public(ed25519.NewKeyFromSeed(stranger)))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		scenario string
		tamper   func()
		file     string
		shown    bool // the stack is still shown, for it is what its manifest names
	}{
		{"a record that says something else", func() {
			write(record, bytes.Replace(read(t, dir, record), []byte(`"rows": `), []byte(`"rows": 1`), 1))
		}, record, false},
		{"a record that is gone", func() { os.Remove(filepath.Join(dir, record)) }, record, false},
		{"a file as it was before", func() { write(stack, []byte(before[stack])) }, stack, true},
		{"a file that is neither", func() { write(stack, append(read(t, dir, stack), 0)) }, stack, false},
		{"a stranger's record of another file", func() {
			data := append(read(t, dir, stack), 0)
			is := audit.Written("", data)[0].SHA256
			write(stack, data)
			forged := fmt.Appendf(nil, `{"as_of":"2026-06-29","revision":1,"files":[{"was":{"uri":%q},"is":{"uri":%q,"sha256":%q,"rows":98,"bytes":%d}}]}`,
				stack, stack, is, len(data))
			write(night+"erasure-000002.json", theirs.Sign(night+"erasure-000002.json", forged))
		}, night + "erasure-000002.json", false},
	} {
		kept := map[string][]byte{record: read(t, dir, record), stack: read(t, dir, stack)}
		c.tamper()
		said, err := run(t, "verify")
		if err == nil || !strings.Contains(said+err.Error(), c.file) {
			t.Errorf("%s: %v\n%s", c.scenario, err, said)
		}
		if _, err := run(t, "stack", "--as-of", "2026-06-29", "--why", "a look"); (err == nil) != c.shown {
			t.Errorf("%s: the stack: %v", c.scenario, err)
		}
		os.Remove(filepath.Join(dir, night+"erasure-000002.json"))
		for key, data := range kept {
			write(key, data)
		}
	}
	if said, err := run(t, "verify"); err != nil {
		t.Errorf("as it was: %v\n%s", err, said)
	}
	// Once another person is erased as well, what lay there in between is not taken for it any more.
	between := read(t, dir, stack)
	for _, args := range [][]string{{"subject", "S-10", "--why", "court", "--erase", "--yes"}, {"verify"}} {
		if said, err := run(t, args...); err != nil {
			t.Errorf("%q: %v\n%s", args, err, said)
		}
	}
	write(stack, between)
	if said, err := run(t, "verify"); err == nil || !strings.Contains(said+err.Error(), stack) {
		t.Errorf("a file as it was before the second was erased: %v\n%s", err, said)
	}
}

// A process that dies at any write or delete is completed by the next, which is given another id of the person: no byte
// of them is left, and the nights are as if it had not died.
func TestEraseAfterAKill(t *testing.T) {
	origin := s3test.New(t)
	eraseFrom(t, origin.URL)
	st, err := openStoreAt(t.Context(), origin.URL)
	if err != nil {
		t.Fatal(err)
	}
	before := contentsOf(t, st)
	st.Close()
	hide, err := pseudonym.Open([][]byte{[]byte(strings.Repeat("k", 32))}, nil)
	if err != nil {
		t.Fatal(err)
	}
	why := subject.Erasing{By: audit.Claims("somebody"), Why: "court", Now: time.Now()}
	erase := func(ctx context.Context, st *store.Store, id string) error {
		ids, err := subject.IDs(ctx, st, id)
		if err == nil {
			_, err = subject.Erase(ctx, st, hide, ids, why)
		}
		return err
	}
	var want map[string]string // what the files of the nights are then
	step := 3
	if os.Getenv("HARMSTACK_E2E") == "full" {
		step = 1
	}
	for after := -1; ; after += step {
		s3 := s3test.New(t)
		st, err := store.Open(t.Context(), s3.URL)
		for key, data := range before {
			if err == nil {
				err = st.Replace(t.Context(), key, []byte(data))
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		st.Close()
		if st, err = openStoreAt(t.Context(), s3.URL); err != nil {
			t.Fatal(err)
		}
		ctx, kill := context.WithCancel(t.Context())
		seen := 0
		s3.Inject(func(_ int, r *http.Request) s3test.Fault {
			if r.Method == http.MethodDelete || r.Method == http.MethodPut {
				if seen++; after >= 0 && seen > after {
					kill()
					return s3test.Cut
				}
			}
			return s3test.None
		})
		died := erase(ctx, st, erased)
		kill()
		s3.Inject(nil)
		if err := erase(t.Context(), st, alias); err != nil {
			t.Fatal(err)
		}
		if found := hunt(t, st); len(found) > 0 {
			t.Errorf("killed at step %d: they are still in %q", after, found)
		}
		if problems := problemsOf(t, st, time.Hour); len(problems) > 0 {
			t.Errorf("killed at step %d: %+v", after, problems)
		}
		left := contentsOf(t, st)
		maps.DeleteFunc(left, func(key, _ string) bool {
			return !strings.HasPrefix(key, "nights/") || strings.Contains(key, "erasure-")
		})
		if want == nil {
			want = left
		}
		if !maps.Equal(left, want) {
			t.Errorf("killed at step %d: the nights are others", after)
		}
		st.Close()
		if died == nil && after >= 0 {
			if after < 30 {
				t.Errorf("only %d steps", after)
			}
			return
		}
	}
}

func TestEraseFromASealedStore(t *testing.T) {
	dir := t.TempDir()
	eraseFrom(t, dir)
	key := filepath.Join(t.TempDir(), "store.key")
	if err := os.WriteFile(key, []byte(base64.StdEncoding.EncodeToString([]byte(strings.Repeat("s", 32)))), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HARMSTACK_STORE_KEY", "file://"+key)
	for _, args := range [][]string{{"keys", "seal"}, {"subject", erased, "--why", "court", "--erase", "--yes"}, {"verify"},
		{"stack", "--as-of", "2026-06-30", "--why", "a look"}} {
		if said, err := run(t, args...); err != nil {
			t.Fatalf("%q: %v\n%s", args, err, said)
		}
	}
	st, err := openStoreAt(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if found := hunt(t, st); len(found) > 0 || !st.IsSealed() {
		t.Errorf("they are still in %q", found)
	}
}

func contentsOf(t *testing.T, st *store.Store) map[string]string {
	t.Helper()
	keys, err := st.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, key := range keys {
		data, err := st.Read(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		all[key] = string(data)
	}
	return all
}
