package casework

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"harmstack/activities/store"
	"harmstack/schemas"
)

// bytesOf are the bytes of all files below a folder.
func bytesOf(t *testing.T, folder string) (n int) {
	t.Helper()
	err := filepath.WalkDir(folder, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		n += int(info.Size())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// say issues a tasking, has it acknowledged and then notes something so many times; after each hundredth it calls at.
func say(t *testing.T, st *store.Store, notes int, note string, at func(notes int)) {
	t.Helper()
	tasking := play(t, issue)
	if err := Save(t.Context(), st, tasking); err != nil {
		t.Fatal(err)
	}
	for i := range notes + 1 {
		before := *tasking
		before.Events = before.Events[max(0, len(before.Events)-latest):] // as Load has them, at least
		r, do := asTeam("Hackney"), schemas.DoProgress
		if i == 0 {
			do = schemas.DoAcknowledge
		}
		r.Note = note
		after, err := Apply(&before, Command{Key: fmt.Sprint("note-", i), At: monday.Add(time.Duration(i) * time.Minute), Do: do, Request: &r}, who)
		if err == nil {
			err = Save(t.Context(), st, after)
		}
		if err != nil {
			t.Fatal(i, err)
		}
		tasking = after
		if i > 0 && i%100 == 0 {
			at(i)
		}
	}
}

// The files of a tasking grow with what happens to it: twice as many notes, twice as many bytes. Before, 1,000 short
// ones were 89 MB.
func TestFilesGrowLinearly(t *testing.T) {
	for _, c := range []struct {
		scenario string
		notes    int
		note     string
		most     int // bytes for each note, files and all
	}{
		{"short notes", 1000, "called at the address", 6 << 10},
		{"notes of 4,000 characters", 1000, strings.Repeat("x", schemas.MaxNote), 6 << 10},
		{"notes of 4,000 characters of four bytes", 200, strings.Repeat("😀", schemas.MaxNote), 18 << 10},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			st, err := store.Open(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			defer st.Close()
			size := map[int]int{}
			say(t, st, c.notes, c.note, func(notes int) { size[notes] = bytesOf(t, filepath.Join(dir, "taskings")) })
			t.Logf("%d bytes after %d notes, %d after %d", size[c.notes/2], c.notes/2, size[c.notes], c.notes)
			if size[c.notes] > c.notes*c.most || size[c.notes] > size[c.notes/2]*21/10 {
				t.Error("that is too much")
			}
			events := c.notes + 2
			got, err := History(t.Context(), st, "k7qd")
			if err != nil || got.Version != events || len(got.Events) != events {
				t.Fatalf("%d events, %v", len(got.Events), err)
			}
			for i, e := range got.Events {
				if e.Number != i+1 || i > 0 && (e.Reason != c.note || e.Key != fmt.Sprint("note-", i-1)) {
					t.Fatalf("event %d: %+v", i+1, e)
				}
			}
			if late, err := Load(t.Context(), st, "k7qd"); err != nil || len(late.Events) < 32 || len(late.Events) > 100 || late.Events[len(late.Events)-1].Number != events {
				t.Errorf("%d events, %v", len(late.Events), err)
			}
			old, err := LoadVersion(t.Context(), st, "k7qd", 150)
			if err != nil || old.Version != 150 || old.Events[len(old.Events)-1].Number != 150 {
				t.Errorf("%+v, %v", old, err)
			}
			seen := 0
			if err := All(t.Context(), st, func(t *schemas.Tasking) error { seen = len(t.Events); return nil }); err != nil || seen != events {
				t.Errorf("%d events, %v", seen, err)
			}
		})
	}
}

// A store from before holds all events in each file: it is read, and goes on.
func TestOldFiles(t *testing.T) {
	st := openStore(t)
	tasking := play(t, issue)
	for i := range 300 {
		data, err := json.Marshal(tasking)
		if err == nil {
			err = st.CreateOnly(t.Context(), VersionKey("k7qd", tasking.Version), data)
		}
		if err != nil {
			t.Fatal(err)
		}
		next, err := Apply(tasking, Command{Key: fmt.Sprint("n", i), At: monday, Order: onStack(i, func(o *Order) { o.Facts.Victims = int64(i + 2) })}, who)
		if err != nil {
			t.Fatal(err)
		}
		tasking = next
	}
	for i := range 100 {
		before, err := Load(t.Context(), st, "k7qd")
		if err != nil {
			t.Fatal(err)
		}
		after, err := Apply(before, Command{Key: fmt.Sprint("later-", i), At: monday, Order: onStack(300+i, func(o *Order) { o.Facts.Victims = int64(1000 + i) })}, who)
		if err == nil {
			err = Save(t.Context(), st, after)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	got, err := History(t.Context(), st, "k7qd")
	if err != nil || got.Version != 400 || len(got.Events) != 400 || got.Events[0].Kind != schemas.EventIssued || got.Events[299].Key != "n298" || got.Events[300].Key != "later-0" {
		t.Errorf("%d events, %v", len(got.Events), err)
	}
}

// One tasking whose files are damaged keeps nobody from the others, and is named.
func TestOneIsUnreadable(t *testing.T) {
	st := openStore(t)
	for _, reference := range []string{"a", "b", "c"} {
		tasking := *play(t, issue)
		tasking.Reference = reference
		if err := Save(t.Context(), st, &tasking); err != nil {
			t.Fatal(err)
		}
	}
	if err := st.Replace(t.Context(), VersionKey("b", 1), []byte("{")); err != nil {
		t.Fatal(err)
	}
	var got []string
	err := All(t.Context(), st, func(t *schemas.Tasking) error { got = append(got, t.Reference); return nil })
	var unreadable *UnreadableError
	if !errors.As(err, &unreadable) || !slices.Equal(unreadable.References, []string{"b"}) || !slices.Equal(got, []string{"a", "c"}) {
		t.Errorf("%q, %v", got, err)
	}
}

// What people write is bounded in characters, whoever asks.
func TestTextsAreBounded(t *testing.T) {
	acknowledged := play(t, issue, step{do: "acknowledge", r: asTeam("Hackney"), want: "acknowledged acknowledged"})
	for _, c := range []struct {
		do     string
		change func(*schemas.TaskingRequest, string)
		limit  int
		field  string
	}{
		{schemas.DoProgress, func(r *schemas.TaskingRequest, s string) { r.Note = s }, 4000, "note"},
		{schemas.DoClose, func(r *schemas.TaskingRequest, s string) { r.Note = s }, 4000, "note"},
		{schemas.DoTransfer, func(r *schemas.TaskingRequest, s string) { r.Note = s }, 4000, "note"},
		{schemas.DoProgress, func(r *schemas.TaskingRequest, s string) { r.By = s }, 200, "by"},
	} {
		for _, text := range []string{strings.Repeat("é", c.limit), strings.Repeat("é", c.limit+1), "x" + strings.Repeat(" ", c.limit)} {
			r := asTeam("Hackney")
			c.change(&r, text)
			_, err := Apply(acknowledged, Command{Key: "x", At: monday, Do: c.do, Request: &r}, who)
			tooLong := fmt.Sprintf("the request cannot be carried out: %s: %d characters are too many, the limit is %d: shorten it", c.field, c.limit+1, c.limit)
			if long := len([]rune(text)) > c.limit; long && (!errors.Is(err, ErrBadRequest) || err.Error() != tooLong) || !long && err != nil {
				t.Errorf("%s, %s of %d: %v", c.do, c.field, len([]rune(text)), err)
			}
		}
	}
}
