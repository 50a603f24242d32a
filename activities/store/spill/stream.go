package spill

import (
	"errors"
	"io"
)

// chunkBytes are sealed together in a stream: enough for the seal to cost little, and little enough to read for a few
// bytes.
const chunkBytes = 64 << 10

// Stream is a temporary file that is written from its beginning to its end and then read anywhere in it. Once nobody
// writes any more, many goroutines may read.
type Stream struct {
	file *File
	full int64  // chunks in the file
	tail []byte // what is behind them: it stays in memory
}

// Stream returns one that is empty.
func (f Folder) Stream() (*Stream, error) {
	file, err := f.Create()
	if err != nil {
		return nil, err
	}
	return &Stream{file: file, tail: make([]byte, 0, chunkBytes)}, nil
}

func (s *Stream) Write(data []byte) (n int, err error) {
	for n < len(data) {
		if len(s.tail) == chunkBytes {
			if _, err := s.file.Put(s.tail); err != nil {
				return n, err
			}
			s.full++
			s.tail = s.tail[:0]
		}
		room := chunkBytes - len(s.tail)
		part := data[n:min(len(data), n+room)]
		s.tail = append(s.tail, part...)
		n += len(part)
	}
	return n, nil
}

// Size is how many bytes were written.
func (s *Stream) Size() int64 { return s.full*chunkBytes + int64(len(s.tail)) }

// ReadAt is that of io.ReaderAt.
func (s *Stream) ReadAt(to []byte, at int64) (n int, err error) {
	if at < 0 {
		return 0, errors.New("spill: a negative offset")
	}
	for n < len(to) {
		chunk, from := at/chunkBytes, int(at%chunkBytes)
		var got int
		switch {
		case at >= s.Size():
			return n, io.EOF
		case chunk == s.full:
			got = copy(to[n:], s.tail[from:])
		default:
			if got, err = s.read(to[n:], chunk, from); err != nil {
				return n, err
			}
		}
		n += got
		at += int64(got)
	}
	return n, nil
}

// read reads of one chunk that is in the file.
func (s *Stream) read(to []byte, chunk int64, from int) (int, error) {
	p := Piece{chunk * (chunkBytes + tagBytes), chunkBytes}
	if from == 0 && len(to) >= chunkBytes {
		return chunkBytes, s.file.Get(to, p)
	}
	b := buffer(chunkBytes)
	defer buffers.Put(b)
	err := s.file.Get(*b, p)
	return copy(to, (*b)[from:]), err
}

// Reset empties the stream: what is written from here on is sealed under another key.
func (s *Stream) Reset() error {
	aead, err := newKey()
	if err != nil {
		return err
	}
	if err := s.file.file.Truncate(0); err != nil {
		return err
	}
	s.file.aead, s.full, s.tail = aead, 0, s.tail[:0]
	s.file.end.Store(0)
	return nil
}

// Close gives the file back.
func (s *Stream) Close() error { return s.file.Close() }
