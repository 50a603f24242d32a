// Package spill lends temporary files to work that exceeds its memory budget, and to what is fetched or converted. What
// is written to them is sealed with AES-256-GCM under a key that each file is given at random and that is nowhere but
// in this process: who copies the folder, or finds the blocks on the disk later, reads nothing, and what was changed
// there is an error (trust, section 3). It must not know what is written to them.
package spill

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"sync"
	"sync/atomic"
)

// ErrDamaged is returned when what is read back is not what was written.
var ErrDamaged = errors.New(
	"what was spilled is not what was written: the disk is failing, or somebody changed the file. Run it again",
)

// Folder lends files in one folder; empty means the system's folder for temporary files.
type Folder string

// File is one temporary file. Many goroutines may use it.
type File struct {
	file *os.File
	aead cipher.AEAD
	end  atomic.Int64
}

// Piece is where bytes that were put lie.
type Piece struct {
	offset int64
	length int32 // of the bytes themselves
}

// Len is how many bytes were put.
func (p Piece) Len() int { return int(p.length) }

// MaxPiece is how many bytes can be put at once.
const MaxPiece = math.MaxInt32

const (
	keyBytes   = 32
	nonceBytes = 12
	tagBytes   = 16
)

// Create returns a file that has no name any more: nobody else can open it, and it is gone when it is
// closed or the process ends.
func (f Folder) Create() (*File, error) {
	aead, err := newKey()
	if err != nil {
		return nil, err
	}
	file, err := os.CreateTemp(string(f), "harmstack-spill-*")
	if err != nil {
		return nil, fmt.Errorf("spill: %w", err)
	}
	if err := os.Remove(file.Name()); err != nil {
		file.Close()
		return nil, fmt.Errorf("spill: %w", err)
	}
	return &File{file: file, aead: aead}, nil
}

func newKey() (cipher.AEAD, error) {
	var key [keyBytes]byte
	_, _ = rand.Read(key[:]) // never fails
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// nonce is where a piece lies: no two pieces of a file, and so of a key, have the same.
func nonce(offset int64) []byte {
	return binary.LittleEndian.AppendUint64(make([]byte, nonceBytes-8, nonceBytes), uint64(offset))
}

// buffers are for what is sealed, as it goes to a file and comes back.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

func buffer(n int) *[]byte {
	b := buffers.Get().(*[]byte)
	if cap(*b) < n {
		*b = make([]byte, n)
	}
	*b = (*b)[:n]
	return b
}

// Put keeps at most MaxPiece bytes.
func (f *File) Put(data []byte) (Piece, error) {
	n := len(data) + tagBytes
	p := Piece{f.end.Add(int64(n)) - int64(n), int32(len(data))}
	b := buffer(n)
	defer buffers.Put(b)
	if _, err := f.file.WriteAt(f.aead.Seal((*b)[:0], nonce(p.offset), data, nil), p.offset); err != nil {
		return p, fmt.Errorf("spill %d bytes: %w", len(data), err)
	}
	return p, nil
}

// Get reads a piece back into the beginning of to, which must have room for it.
func (f *File) Get(to []byte, p Piece) error {
	b := buffer(p.Len() + tagBytes)
	defer buffers.Put(b)
	if _, err := f.file.ReadAt(*b, p.offset); errors.Is(err, io.EOF) {
		return ErrDamaged
	} else if err != nil {
		return fmt.Errorf("read %d spilled bytes back: %w", p.length, err)
	}
	if _, err := f.aead.Open(to[:0:p.Len()], nonce(p.offset), *b, nil); err != nil {
		return ErrDamaged
	}
	return nil
}

// Close gives the file back.
func (f *File) Close() error { return f.file.Close() }
