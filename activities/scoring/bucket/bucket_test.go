package bucket

import (
	"encoding/binary"
	"strings"
	"testing"

	"harmstack/activities/store/leaktest"
	"harmstack/activities/store/spill"
)

func TestSpilledRecordsCannotBeRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := NewStorage(spill.Folder(dir), 1)
	defer s.Close()
	set := NewSet(s, 2)
	w := NewScatterer(set)
	const id = "S-0012345"
	record := binary.LittleEndian.AppendUint32(nil, uint32(LengthBytes+len(id)))
	record = append(record, id...)
	for range 2000 {
		to, err := w.Record(1, len(record))
		if err != nil {
			t.Fatal(err)
		}
		copy(to, record)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if size, found := leaktest.OpenFiles(t, dir, id); size < 20_000 || len(found) > 0 {
		t.Errorf("%d bytes spilled, %q found", size, found)
	}
	back, err := set.Take(1, nil)
	if want := strings.Repeat(string(record), 2000); string(back) != want || err != nil {
		t.Errorf("%d bytes, %v", len(back), err)
	}
}
