// Package seal encrypts the files of a store, one by one, under data keys that can be destroyed (trust, section 3).
//
// A sealed file is a header and packages of 64 KiB by AES-256-GCM in the format DARE 2.0, so that any part of it can be
// read alone. Its key is its own: derived from a data key, a salt and the file's name, so that two files that change
// places are found out like one that was changed or cut. Data keys lie beside the files, wrapped by a key-encryption key
// that lies elsewhere. Who destroys a data key has destroyed every copy of what was sealed under it.
//
// It lies below the store, which seals whatever it writes: were it in the room of trust, whose packages use the store,
// imports would go round in a circle. It must not know what the files hold, nor which of them share a data key.
package seal

import (
	"bytes"
	"context"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/minio/sio"

	"harmstack/schemas/fault"
)

var (
	// ErrDamaged is returned for a file that is not what was sealed under its name.
	ErrDamaged = fault.New(
		fault.DamagedArtifact,
		"it is not what was sealed under this name: it was changed or cut, or is another file",
	)
	// ErrNotSealed is returned for a file without a seal.
	ErrNotSealed = fault.New(fault.DamagedArtifact,
		"it is not sealed, in a store whose files are: find out who put it there, and delete it")
	// ErrKeyGone is returned for a file whose data key was destroyed: nobody can read it any more.
	ErrKeyGone = fault.New(fault.DisposedOf, "the key under which it was sealed was destroyed: nobody can read it any more")
)

// The header of a sealed file: what it is, the data key, and the salt of the file's own key. The packages follow.
const (
	magic       = "harmseal\x01"
	idBytes     = 16
	saltBytes   = 32
	headerBytes = 128
	maxName     = headerBytes - len(magic) - idBytes - saltBytes - 1
)

type header [headerBytes]byte

func newHeader(k *dataKey) *header {
	h := new(header)
	at := copy(h[:], magic)
	at += copy(h[at:], k.id[:])
	_, _ = rand.Read(h[at : at+saltBytes]) // never fails
	at += saltBytes
	h[at] = byte(len(k.name))
	copy(h[at+1:], k.name)
	return h
}

func (h *header) id() [idBytes]byte { return [idBytes]byte(h[len(magic):]) }
func (h *header) salt() []byte      { return h[len(magic)+idBytes:][:saltBytes] }

func (h *header) name() (string, error) {
	rest := h[len(magic)+idBytes+saltBytes:]
	if int(rest[0]) > maxName {
		return "", ErrDamaged
	}
	return string(rest[1:][:rest[0]]), nil
}

// Sealed tells whether data begins like a sealed file.
func Sealed(data []byte) bool { return bytes.HasPrefix(data, []byte(magic)) }

// HeaderBytes is how much of a sealed file NameOf needs.
const HeaderBytes = headerBytes

// NameOf is the name of the data key under which a file is sealed that begins so. Nothing proves it before the file is
// read.
func NameOf(begin []byte) (string, error) {
	if !Sealed(begin) || len(begin) < headerBytes {
		return "", ErrNotSealed
	}
	return (*header)(begin[:headerBytes]).name()
}

// config is for the packages of one file, from the nth on. The key follows from every byte of the header, and from the
// path.
func (h *header) config(k *dataKey, path string, n uint32) (sio.Config, error) {
	key, err := hkdf.Key(sha256.New, k.secret[:], h.salt(), "harmstack sealed file\x00"+string(h[:])+path, keyBytes)
	return sio.Config{
		MinVersion:     sio.Version20,
		MaxVersion:     sio.Version20,
		CipherSuites:   []byte{sio.AES_256_GCM},
		Key:            key,
		SequenceNumber: n,
	}, err
}

const (
	payloadBytes = 64 << 10
	packageBytes = payloadBytes + 32
	// trailer is one byte behind the content: DARE has no empty files.
	trailer = 1
)

// Size is how many bytes a sealed file of so many bytes holds, or ErrDamaged.
func Size(sealed int64) (int64, error) {
	if sealed <= headerBytes {
		return 0, ErrDamaged
	}
	n, err := sio.DecryptedSize(uint64(sealed - headerBytes))
	if err != nil || n < trailer {
		return 0, ErrDamaged
	}
	return int64(n) - trailer, nil
}

// Writer seals what is written to it for a file of that path, under the data key of that name, which is made when there
// is none. The file is whole once Close has returned; w stays open.
func (k *Keys) Writer(ctx context.Context, path, name string, w io.Writer) (io.WriteCloser, error) {
	key, err := k.forWriting(ctx, name)
	if err != nil {
		return nil, err
	}
	h := newHeader(key)
	config, err := h.config(key, path, 0)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(h[:]); err != nil {
		return nil, err
	}
	out, err := sio.EncryptWriter(struct{ io.Writer }{w}, config)
	return &writer{out}, err
}

type writer struct{ io.WriteCloser }

func (w *writer) Close() error {
	if _, err := w.Write(make([]byte, trailer)); err != nil {
		return err
	}
	return w.WriteCloser.Close()
}

// Read returns the content of a whole sealed file.
func (k *Keys) Read(ctx context.Context, path string, sealed []byte) ([]byte, error) {
	size, err := Size(int64(len(sealed)))
	if !Sealed(sealed) {
		err = ErrNotSealed
	}
	if err != nil {
		return nil, err
	}
	h := header(sealed[:headerBytes])
	config, err := k.config(ctx, &h, path, 0)
	if err != nil {
		return nil, err
	}
	data, err := sio.DecryptBuffer(make([]byte, 0, size+trailer), sealed[headerBytes:], config)
	if err != nil || int64(len(data)) != size+trailer {
		return nil, ErrDamaged
	}
	return data[:size], nil
}

func (k *Keys) config(ctx context.Context, h *header, path string, n uint32) (sio.Config, error) {
	name, err := h.name()
	if err != nil {
		return sio.Config{}, err
	}
	key, err := k.forReading(ctx, name, h.id())
	if err != nil {
		return sio.Config{}, err
	}
	return h.config(key, path, n)
}

// Open returns the content of a sealed file of so many bytes, for reading anywhere in it. That its end is there is made
// sure of here; every other part is as it is read.
func (k *Keys) Open(ctx context.Context, path string, r io.ReaderAt, sealed int64) (*io.SectionReader, error) {
	var h header
	if n, err := r.ReadAt(h[:], 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	} else if !Sealed(h[:n]) {
		return nil, ErrNotSealed
	}
	size, err := Size(sealed)
	if err != nil {
		return nil, err
	}
	last := (size + trailer - 1) / payloadBytes
	config, err := k.config(ctx, &h, path, uint32(last))
	if err != nil {
		return nil, err
	}
	packages := io.NewSectionReader(r, headerBytes, sealed-headerBytes)
	end, err := sio.DecryptReader(io.NewSectionReader(packages, last*packageBytes, packages.Size()), config)
	if err == nil {
		_, err = io.Copy(io.Discard, end)
	}
	if err != nil {
		return nil, damaged(err)
	}
	config.SequenceNumber = 0
	content, err := sio.DecryptReaderAt(packages, config)
	return io.NewSectionReader(&reader{content}, 0, size), err
}

type reader struct{ io.ReaderAt }

func (r *reader) ReadAt(p []byte, at int64) (int, error) {
	n, err := r.ReaderAt.ReadAt(p, at)
	return n, damaged(err)
}

// damaged says so of what the seal finds.
func damaged(err error) error {
	if found := (sio.Error{}); errors.As(err, &found) {
		return fmt.Errorf("%w (%w)", ErrDamaged, err)
	}
	return err
}
