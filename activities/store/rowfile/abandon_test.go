package rowfile

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"

	"harmstack/schemas"
)

// slowFile is a file whose first write takes until it is let go.
type slowFile struct {
	begun, goOn chan struct{}
	err         error
}

func (f *slowFile) Write(b []byte) (int, error) {
	select {
	case <-f.begun:
	default:
		close(f.begun)
	}
	<-f.goOn
	return len(b), f.err
}

// Whoever called WriteAll closes the file and frees the rows next, so nothing may use either any more, however it
// ended.
func TestWriteAllReturnsWhenNothingWritesAnyMore(t *testing.T) {
	t.Parallel()
	broken, full := errors.New("the rows broke off"), errors.New("the disk is full")
	group := sample(RowGroupRows)
	for _, c := range []struct {
		scenario string
		end      func() error // of the rows, while the first row group is being written
		write    error        // what writing it comes to
		want     error
	}{
		{"the rows end well", func() error { return nil }, nil, nil},
		{"the rows break off", func() error { return broken }, nil, broken},
		{"the rows break off and the file cannot be written", func() error { return broken }, full, broken},
		{"the file cannot be written", func() error { return nil }, full, full},
		{"the rows panic", func() error { panic(broken) }, nil, broken},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				file := &slowFile{make(chan struct{}), make(chan struct{}), c.write}
				var err error
				var returned bool
				go func() {
					defer func() {
						if p := recover(); p != nil {
							err = p.(error)
						}
						returned = true
					}()
					_, err = WriteAll(file, func(yield func([]schemas.Ranked) error) error {
						for range 2 {
							if err := yield(group); err != nil {
								return err
							}
						}
						<-file.begun
						return c.end()
					})
				}()
				synctest.Wait()
				if returned {
					t.Error("it returned while a row group was being written")
				}
				close(file.goOn)
				synctest.Wait()
				if !returned || !errors.Is(err, c.want) {
					t.Errorf("it gives %v, not %v", err, c.want)
				}
			})
		})
	}
}

// The encoders take whole rows, the last one too, and nothing behind it.
func TestTheLastRowOfAGroupEndsItsMemory(t *testing.T) {
	t.Parallel()
	rows := make([]everyType, 3)
	if _, err := WriteAll(io.Discard, func(yield func([]everyType) error) error { return yield(rows[:3:3]) }); err != nil {
		t.Fatal(err)
	}
}
