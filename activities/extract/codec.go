package extract

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"
)

// padding is how many bytes lie behind those of a page: who unpacks bits reads beyond their end.
const padding = 16

// readable tells whether pages of a codec can be read.
func readable(c format.CompressionCodec) bool {
	switch c {
	case format.Uncompressed, format.Snappy, format.Gzip, format.Brotli, format.Zstd, format.Lz4Raw:
		return true
	}
	return false
}

// codecName names a codec for a person.
func codecName(c format.CompressionCodec) string {
	switch {
	case c == format.Lz4:
		return "the old LZ4, of which there are several kinds"
	case c < 0 || c > format.Lz4Raw:
		return fmt.Sprintf("a codec that nobody knows (number %d)", c)
	}
	return c.String()
}

// The most that a byte can become. A page that would have to grow more than its codec can is refused before there is
// memory for it.
const (
	mostBySnappy = 32   // 64 bytes of 3
	mostByGzip   = 1032 // 258 bytes of 2 bits
	mostByLZ4    = 256
)

var (
	errCompression = errors.New("a page is not compressed as the footer says")
	errLonger      = errors.New("a page is longer than its header says")
)

var (
	unzippers sync.Pool // of *gzip.Reader
	unzstd    = sync.OnceValues(func() (*zstd.Decoder, error) {
		return zstd.NewReader(nil, zstd.WithDecodeAllCapLimit(true))
	})
)

// decompress makes at most plain bytes of a page's, into dst when they fit.
func decompress(codec format.CompressionCodec, dst, src []byte, plain int) ([]byte, error) {
	if len(src) == 0 {
		return dst[:0], nil
	}
	room := func(most int64) error {
		if int64(plain) > most {
			return errors.New("a page cannot become as long as its header says")
		}
		dst = growPage(dst, plain)
		return nil
	}
	switch codec {
	case format.Snappy:
		n, err := s2.DecodedLen(src)
		switch {
		case err != nil:
			return nil, errCompression
		case n > plain:
			return nil, errLonger
		case n > mostBySnappy*len(src):
			return nil, errCompression
		}
		if dst, err = s2.Decode(growPage(dst, n), src); err != nil {
			return nil, errCompression
		}
		return dst, nil
	case format.Lz4Raw:
		if err := room(mostByLZ4 * int64(len(src))); err != nil {
			return nil, err
		}
		n, err := lz4.UncompressBlock(src, dst)
		if err != nil {
			return nil, errCompression
		}
		return dst[:n], nil
	case format.Zstd:
		most, err := mostByZstd(src)
		if err == nil {
			err = room(most)
		}
		if err != nil {
			return nil, err
		}
		decoder, err := unzstd()
		if err != nil {
			return nil, err
		}
		made, err := decoder.DecodeAll(src, dst[:0:plain])
		if errors.Is(err, zstd.ErrDecoderSizeExceeded) {
			return nil, errLonger
		} else if err != nil {
			return nil, errCompression
		}
		return dst[:len(made)], nil
	case format.Gzip:
		if err := room(mostByGzip * int64(len(src))); err != nil {
			return nil, err
		}
		z, _ := unzippers.Get().(*gzip.Reader)
		if z == nil {
			z = new(gzip.Reader)
		}
		defer unzippers.Put(z)
		if err := z.Reset(bytes.NewReader(src)); err != nil {
			return nil, errCompression
		}
		return readAll(z, dst)
	case format.Brotli:
		// Nothing says how much it can become: memory grows with what is there.
		var b bytes.Buffer
		if n, err := io.Copy(&b, io.LimitReader(brotli.NewReader(bytes.NewReader(src)), int64(plain)+1)); err != nil {
			return nil, errCompression
		} else if n > int64(plain) {
			return nil, errLonger
		}
		return append(growPage(dst, b.Len())[:0], b.Bytes()...), nil
	}
	return nil, fmt.Errorf("compression by %s cannot be read", codecName(codec))
}

// readAll fills dst, which may be longer than the text.
func readAll(r io.Reader, dst []byte) ([]byte, error) {
	var more [1]byte
	for n := 0; ; {
		into := dst[n:]
		if len(into) == 0 {
			into = more[:]
		}
		read, err := r.Read(into)
		switch {
		case read > 0 && n == len(dst):
			return nil, errLonger
		case err == io.EOF:
			return dst[:n+read], nil
		case err != nil:
			return nil, errCompression
		}
		n += read
	}
}

// growPage makes room for n bytes and the padding.
func growPage(b []byte, n int) []byte {
	if cap(b) < n+padding {
		b = make([]byte, n+padding)
	}
	return b[:n]
}

// mostByZstd adds up what the blocks can at most become, without decompressing them.
func mostByZstd(src []byte) (total int64, err error) {
	const block = 128 << 10
	cut := func(n int) bool {
		if n < 0 || n > len(src) {
			return false
		}
		src = src[n:]
		return true
	}
	for len(src) > 0 {
		var frame zstd.Header
		if frame.Decode(src) != nil {
			return 0, errCompression
		}
		if frame.Skippable {
			if !cut(frame.HeaderSize) || uint64(frame.SkippableSize) > uint64(len(src)) ||
				!cut(int(frame.SkippableSize)) {
				return 0, errCompression
			}
			continue
		}
		blocks := int64(0)
		ok := cut(frame.HeaderSize)
		for last := false; ok && !last; {
			if len(src) < 3 {
				return 0, errCompression
			}
			bits := binary.LittleEndian.Uint32(append([]byte{}, src[0], src[1], src[2], 0))
			last = bits&1 == 1
			length := int(bits >> 3)
			switch bits >> 1 & 3 {
			case 0:
				blocks += int64(length)
			case 1:
				blocks, length = blocks+int64(length), 1
			case 2:
				blocks += block
			default:
				return 0, errCompression
			}
			ok = cut(3 + length)
		}
		if frame.HasCheckSum {
			ok = ok && cut(4)
		}
		if !ok {
			return 0, errCompression
		}
		if frame.HasFCS && frame.FrameContentSize < uint64(blocks) {
			blocks = int64(frame.FrameContentSize)
		}
		total += blocks
	}
	return total, nil
}
