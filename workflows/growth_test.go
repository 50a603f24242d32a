package workflows

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"harmstack/activities/nights"
	"harmstack/activities/retention"
	"harmstack/schemas"
)

// onDisk is how many bytes the files of a store take, each counted once however many names it has.
func (d *deployment) onDisk(t *testing.T) (bytes int64) {
	t.Helper()
	var seen []os.FileInfo
	err := filepath.WalkDir(strings.TrimPrefix(d.store.URL(), "file://"), func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		for _, other := range seen {
			if os.SameFile(info, other) {
				return nil
			}
		}
		seen = append(seen, info)
		bytes += info.Size()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

// keys lists the files below a prefix of the store.
func (d *deployment) keys(t *testing.T, prefix string) []string {
	t.Helper()
	keys, err := d.store.List(t.Context(), prefix)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// A store grows by what is new: an unchanged night that is run again adds its report and its records, whether its
// source is known before it is read or not.
func TestUnchangedNightsTakeNoRoom(t *testing.T) {
	var rows []schemas.Offence
	for i := range 6000 {
		rows = append(rows, rape(fmt.Sprintf("S-%d", i), "Barnet", "2026-06-27", i))
	}
	for scenario, c := range map[string]struct {
		identity  string
		shardRows int64
	}{
		"stages are reused":              {"build 1", 0},
		"stages of shards are reused":    {"build 1", 2500},
		"only the bytes show that it is": {"", 0}, // as of a database or a bucket
	} {
		t.Run(scenario, func(t *testing.T) {
			d := newDeployment(t, rows...)
			d.acts.Nightly.Build, d.acts.Nightly.ShardRows = c.identity, c.shardRows
			request := schemas.NightRequest{AsOf: asOf}
			first, _ := d.again(t, "n1", request)
			after1, extract := d.onDisk(t), int64(0)
			for _, o := range first.Outputs {
				if strings.Contains(o.URI, schemas.ExtractFolder) {
					extract += o.Bytes
				}
			}
			var last schemas.Manifest
			for i := range 4 {
				last, _ = d.again(t, fmt.Sprint("n", i+2), request)
			}
			after5 := d.onDisk(t)
			// Of its own each has a report, the changes and its records.
			most := int64(32 << 10)
			for _, o := range last.Outputs {
				if strings.HasSuffix(o.URI, schemas.ReportFile) || strings.HasSuffix(o.URI, schemas.ChangesFile) {
					most += o.Bytes
				}
			}
			if c.identity == "" { // the other stages are done again
				most += after1 - extract
			}
			if each := (after5 - after1) / 4; each > most {
				t.Errorf("each revision takes %d bytes, not at most %d; the extract is of %d", each, most, extract)
			}
			sameContents(t, d.contents(t, last), d.contents(t, first))
			// The day after, what passed between the stages is left of the last night alone.
			if err := retention.Clean(t.Context(), d.store, time.Now().Add(13*time.Hour)); err != nil {
				t.Fatal(err)
			}
			works := d.keys(t, schemas.WorkFolder)
			for _, key := range works {
				if !strings.HasPrefix(key, last.WorkPath()+"/") {
					t.Errorf("%s is left", key)
				}
			}
			if len(works) == 0 {
				t.Error("nothing is left for a rerun")
			}
			// What the last night took over outlives the nights it was made for.
			gone, err := retention.Dispose(t.Context(), d.store, retention.Rules{Extract: 1, Night: 1}, time.Now().AddDate(1, 0, 0), false)
			if err != nil || len(gone) != 4 {
				t.Errorf("%d went, %v", len(gone), err)
			}
			if all := d.contents(t, last); len(all) != 8 {
				t.Errorf("%d files are left", len(all))
			}
			if _, reused := d.again(t, "n6", request); c.identity != "" && len(reused) < 4 {
				t.Errorf("reused %q", reused)
			}
		})
	}
}

// Only what no night needs goes: not what the night left that was published last, nor that of one which runs.
func TestTidyBesideARunningNight(t *testing.T) {
	d := reusing(t, 0)
	d.again(t, "n1", schemas.NightRequest{AsOf: asOf})
	running, err := nights.Claim(t.Context(), d.store, asOf, "somebody")
	if err == nil {
		err = d.store.Replace(t.Context(), running.WorkPath()+"/suspects.parquet", []byte("half of them"))
	}
	if err != nil {
		t.Fatal(err)
	}
	last, _ := d.again(t, "n2", schemas.NightRequest{AsOf: asOf, Model: "sum"})
	for _, c := range []struct {
		scenario string
		after    time.Duration
		want     []string
	}{
		{"a night may be reset on the day", 11 * time.Hour, []string{"work/2026-06-30/r1", running.WorkPath(), last.WorkPath()}},
		{"the day after", 13 * time.Hour, []string{running.WorkPath(), last.WorkPath()}},
		{"a night that ended without being published", 8 * 24 * time.Hour, []string{last.WorkPath()}},
	} {
		if err := retention.Clean(t.Context(), d.store, time.Now().Add(c.after)); err != nil {
			t.Fatal(err)
		}
		var folders []string
		for _, key := range d.keys(t, schemas.WorkFolder) {
			folders = append(folders, path.Dir(key))
		}
		if folders = slices.Compact(folders); !slices.Equal(folders, c.want) {
			t.Errorf("%s: %q are left", c.scenario, folders)
		}
	}
	for _, days := range []int{29, 31} {
		if err := retention.Clean(t.Context(), d.store, time.Now().AddDate(0, 0, days)); err != nil {
			t.Fatal(err)
		}
		if notes := d.keys(t, schemas.ReuseFolder); (len(notes) == 0) != (days > 30) {
			t.Errorf("after %d days %q are left", days, notes)
		}
	}
}
