package extsort

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"iter"
	"math/big"
	"strconv"

	"github.com/parquet-go/parquet-go"
	"golang.org/x/sync/errgroup"

	"harmstack/schemas"
)

const (
	batchRows = 4096
	groupRows = 256 << 10
)

// Sum is what a stream of rows comes to.
type Sum struct {
	Rows  int64
	Bytes int64 // of the records
	// SHA256 is over the records, in order: equal for equal rows, whatever file they are in.
	SHA256 string
	// Stamps is the sum over all rows of 60 bits of sha256 over allegation_id and updated_at, whatever their order.
	Stamps string
	// Newest is the greatest updated_at, in microseconds; of no row 0.
	Newest int64
}

// sum adds up batches.
type sum struct {
	Sum
	all      hash.Hash
	high, lo uint64 // of stamps, as 2^32 * high + lo
	text     []byte
}

func (s *sum) add(b *batch, stamps bool) {
	s.all.Write(b.records)
	s.Rows += int64(b.rows)
	s.Bytes += int64(len(b.records))
	if !stamps {
		return
	}
	for at := 0; at < len(b.records); {
		r := Record(b.records[at:])
		// The text that the database hashes: see postgres.Stamps.
		s.text = append(append(s.text[:0], r.Key()...), '|')
		field := at
		for i := range schemas.UpdatedAt {
			field += fieldSize(b.records[field:], schemas.Offences[i].Type)
		}
		updated := Record(b.records[field:])
		if updated[0] != 0 {
			micros := int64(binary.LittleEndian.Uint64(updated[1:]))
			s.text = strconv.AppendInt(s.text, micros, 10)
			s.Newest = max(s.Newest, micros)
		}
		digest := sha256.Sum256(s.text)
		bits := binary.BigEndian.Uint64(digest[:]) & (1<<60 - 1)
		s.high += bits >> 32
		s.lo += bits & (1<<32 - 1)
		at = field
		for _, c := range schemas.Offences[schemas.UpdatedAt:] {
			at += fieldSize(b.records[at:], c.Type)
		}
	}
}

func (s *sum) result() Sum {
	s.SHA256 = hex.EncodeToString(s.all.Sum(nil))
	total := new(big.Int).Lsh(new(big.Int).SetUint64(s.high), 32)
	s.Stamps = total.Add(total, new(big.Int).SetUint64(s.lo)).String()
	return s.Sum
}

// batch is some rows, one after the other.
type batch struct {
	records []byte
	rows    int
	columns [schemas.OffenceColumns][]parquet.Value
}

// Write writes rows that come in order as a Parquet file of the contract, by so many goroutines, and says what they
// come to. out may be nil, when nothing but that is asked. stamps asks for Stamps and Newest too. progress, if not nil,
// is told the rows so far.
func Write(
	ctx context.Context,
	records iter.Seq2[Record, error],
	out io.Writer,
	threads int,
	stamps bool,
	progress func(rows int64),
) (Sum, error) {
	w := &writer{sum: sum{all: sha256.New()}, threads: max(threads, 1), stamps: stamps}
	if out != nil {
		// It is read once, soon, by this process: compressing it would not pay.
		w.out = parquet.NewGenericWriter[schemas.Offence](
			out,
			parquet.CreatedBy("harmstack", "1", ""),
			parquet.Compression(&parquet.Uncompressed),
		)
		w.columns = w.out.ColumnWriters()
	}
	full, empty := make(chan *batch, 1), make(chan *batch, 2)
	empty <- new(batch)
	empty <- new(batch)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(full)
		return gather(ctx, records, empty, full)
	})
	g.Go(func() error {
		for b := range full {
			if err := w.add(b); err != nil {
				return err
			}
			if progress != nil {
				progress(w.sum.Rows)
			}
			b.records, b.rows = b.records[:0], 0
			empty <- b
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return Sum{}, err
	}
	if w.out != nil {
		if err := w.out.Close(); err != nil {
			return Sum{}, err
		}
	}
	return w.sum.result(), nil
}

// gather fills batches, and makes sure of the order.
func gather(ctx context.Context, records iter.Seq2[Record, error], empty <-chan *batch, full chan<- *batch) error {
	var b *batch
	var before Record
	send := func() error {
		select {
		case full <- b:
			b = nil
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	for r, err := range records {
		if err != nil {
			return err
		}
		if b == nil {
			select {
			case b = <-empty:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if before != nil && Compare(before, r) > 0 {
			return errOrder
		}
		at := len(b.records)
		b.records = append(b.records, r...)
		before = b.records[at:]
		if b.rows++; b.rows == batchRows {
			// The batch is another's from here on.
			before = append(Record(nil), before...)
			if err := send(); err != nil {
				return err
			}
		}
	}
	if b != nil && b.rows > 0 {
		return send()
	}
	return ctx.Err()
}

type writer struct {
	sum     sum
	out     *parquet.GenericWriter[schemas.Offence]
	columns []*parquet.ColumnWriter
	threads int
	stamps  bool
}

func (w *writer) add(b *batch) error {
	var g errgroup.Group
	g.Go(func() error {
		w.sum.add(b, w.stamps)
		return nil
	})
	if w.out != nil {
		for i := range b.columns {
			b.columns[i] = b.columns[i][:0]
		}
		for rest := b.records; len(rest) > 0; {
			rest = decode(rest, &b.columns)
		}
		for t := range w.threads {
			g.Go(func() error {
				for i := t; i < len(w.columns); i += w.threads {
					if _, err := w.columns[i].WriteRowValues(b.columns[i]); err != nil {
						return fmt.Errorf("write column %s: %w", schemas.Offences[i].Name, err)
					}
				}
				return nil
			})
		}
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if w.out != nil && w.sum.Rows%groupRows == 0 {
		return w.out.Flush()
	}
	return nil
}
