package spill

import "io"

// Run is bytes that are written one after the other and read so again. Each Write is a piece, and a reader holds one
// piece: give it a bufio.Writer.
type Run struct {
	file   *File
	pieces []Piece
}

// NewRun begins a run.
func (f *File) NewRun() *Run { return &Run{file: f} }

func (r *Run) Write(data []byte) (n int, err error) {
	for len(data) > n {
		part := data[n:min(len(data), n+MaxPiece)]
		p, err := r.file.Put(part)
		if err != nil {
			return n, err
		}
		r.pieces = append(r.pieces, p)
		n += len(part)
	}
	return n, nil
}

// Reader reads the run from its beginning.
func (r *Run) Reader() io.Reader { return &runReader{file: r.file, pieces: r.pieces} }

type runReader struct {
	file   *File
	pieces []Piece
	buffer []byte
	left   []byte // of the buffer
}

func (r *runReader) Read(to []byte) (int, error) {
	for len(r.left) == 0 {
		if len(r.pieces) == 0 {
			return 0, io.EOF
		}
		p := r.pieces[0]
		if cap(r.buffer) < p.Len() {
			r.buffer = make([]byte, p.Len())
		}
		r.buffer = r.buffer[:p.Len()]
		if err := r.file.Get(r.buffer, p); err != nil {
			return 0, err
		}
		r.left, r.pieces = r.buffer, r.pieces[1:]
	}
	n := copy(to, r.left)
	r.left = r.left[n:]
	return n, nil
}
