package spill

import (
	"os"
	"testing"
)

func TestCreateLeavesNoName(t *testing.T) {
	dir := t.TempDir()
	f, err := Folder(dir).Create()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte("abc"), 5); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 3)
	if _, err := f.ReadAt(b, 5); err != nil || string(b) != "abc" {
		t.Errorf("read %q, %v", b, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("%d names left, %v", len(left), err)
	}
}

func TestCreateInAMissingFolder(t *testing.T) {
	if _, err := Folder(t.TempDir() + "/missing").Create(); err == nil {
		t.Error("no error")
	}
}
