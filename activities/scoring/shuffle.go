package scoring

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"harmstack/activities/scoring/bucket"
	"harmstack/schemas"
)

// Many machines share a scoring by ranges of buckets: one reads some of the rows and shuffles them by
// allegation, another deduplicates the allegations of a range and shuffles what stays by suspect, a third
// scores the suspects of a range. What is shuffled is the buckets as they are, with the texts behind
// the numbers of the engine that filled them.

// shuffleMagic begins whatever is shuffled; another layout gets another number.
const shuffleMagic = "HARMSTACK ROWS 5\n"

// shuffled are the buckets that go to another machine, in this order.
func (e *Engine) shuffled() [3]*bucket.Set {
	return [...]*bucket.Set{e.versions, e.suspects, e.marks}
}

// words are the texts behind the numbers in shuffled rows.
type words struct {
	Offences [][3]string `json:"offences"`
	Boroughs []string    `json:"boroughs"`
}

// Shuffle writes the rows of one of so many ranges of buckets and returns how many there are. Ingesters must
// be closed.
func (e *Engine) Shuffle(w io.Writer, shard, shards int) (rows int64, err error) {
	var known words
	for _, o := range *e.vocabulary.offences.Load() {
		known.Offences = append(known.Offences, [3]string{o.code, o.class, o.urn})
	}
	for _, b := range *e.vocabulary.boroughs.Load() {
		known.Boroughs = append(known.Boroughs, b.name)
	}
	head, err := json.Marshal(known)
	if err != nil {
		return 0, err
	}
	out := bufio.NewWriterSize(w, 1<<20)
	// What fails here fails again in Flush.
	_, _ = out.WriteString(shuffleMagic)
	_ = binary.Write(out, binary.LittleEndian, uint64(len(head)))
	_, _ = out.Write(head)
	var buf []byte
	for kind, b := range e.shuffled() {
		for i := bucket.Count * shard / shards; i < bucket.Count*(shard+1)/shards; i++ {
			if buf, err = b.Read(i, buf); err != nil {
				return 0, err
			}
			_ = binary.Write(out, binary.LittleEndian, [3]uint64{uint64(kind), uint64(i), uint64(len(buf))})
			_, _ = out.Write(buf)
			if kind != marks {
				for at := 0; at < len(buf); at = bucket.Next(buf, at) {
					if !isQuarantined(buf[at:]) {
						rows++
					}
				}
			}
		}
	}
	return rows, out.Flush()
}

// Places in what is shuffled.
const (
	deduplicated = 1 // rows that their suspects decide
	marks        = 2 // of people, which are no rows
)

var errShuffle = errors.New("the shuffled rows cannot be read")

// Receive takes in what another engine has shuffled.
func (e *Engine) Receive(r io.Reader) error {
	in := bufio.NewReaderSize(r, 1<<20)
	magic := make([]byte, len(shuffleMagic))
	if _, err := io.ReadFull(in, magic); err != nil || string(magic) != shuffleMagic {
		return fmt.Errorf("%w: they are of another build", errShuffle)
	}
	var size uint64
	if err := binary.Read(in, binary.LittleEndian, &size); err != nil {
		return fmt.Errorf("%w: %w", errShuffle, err)
	}
	text, err := io.ReadAll(io.LimitReader(in, int64(size)))
	if err != nil {
		return fmt.Errorf("%w: %w", errShuffle, err)
	}
	var known words
	if err := json.Unmarshal(text, &known); err != nil {
		return fmt.Errorf("%w: %w", errShuffle, err)
	}
	t := translation{
		known:    known,
		offences: make([]uint32, len(known.Offences)),
		boroughs: make([]uint32, len(known.Boroughs)),
	}
	for i, o := range known.Offences {
		t.offences[i] = e.vocabulary.offenceNumber(offenceKey{o[0], o[1], o[2]})
	}
	for i, b := range known.Boroughs {
		if b != "" {
			t.boroughs[i] = e.vocabulary.boroughNumber(b)
		}
	}
	shuffled := e.shuffled()
	var scatter [len(shuffled)]*bucket.Scatterer
	for i, b := range shuffled {
		scatter[i] = bucket.NewScatterer(b)
	}
	for {
		var head struct{ Kind, Bucket, Bytes uint64 }
		err := binary.Read(in, binary.LittleEndian, &head)
		if err == io.EOF {
			break
		}
		if err == nil && (head.Kind >= uint64(len(shuffled)) || head.Bucket >= bucket.Count) {
			err = errors.New("a bucket has a number that none has")
		}
		if err == nil {
			err = e.unload(in, scatter[head.Kind], int(head.Bucket), int64(head.Bytes), int(head.Kind), &t)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errShuffle, err)
		}
	}
	for _, s := range scatter {
		if err := s.Close(); err != nil {
			return err
		}
	}
	return nil
}

// translation turns the numbers of the engine that shuffled into those of the one that receives.
type translation struct {
	known              words
	offences, boroughs []uint32
	record             []byte // scratch
}

// of translates a record, which is then longer by the texts that this engine has no numbers for. It says no to one that
// holds what it cannot.
func (t *translation) of(r *rules, rec []byte, kind int) ([]byte, bool) {
	a, end, ok := r.sound(rec, kind)
	if !ok || a.disposition == schemas.Quarantined {
		return rec, ok
	}
	own := a.own.clone()
	if own == nil {
		own = &ownTexts{}
	}
	if a.offence != unnumbered {
		if int(a.offence) >= len(t.offences) {
			return nil, false
		}
		texts := t.known.Offences[a.offence]
		own.offenceKey, a.offence = offenceKey{texts[0], texts[1], texts[2]}, t.offences[a.offence]
	}
	if a.borough != unnumbered {
		if int(a.borough) >= len(t.boroughs) {
			return nil, false
		}
		own.borough, a.borough = t.known.Boroughs[a.borough], t.boroughs[a.borough]
	}
	rec = append(rec[:end], make([]byte, own.size(a.offence, a.borough))...)
	own.put(a.offence, a.borough, rec[end:])
	le := binary.LittleEndian
	le.PutUint32(rec, uint32(len(rec)))
	le.PutUint32(rec[atOffence:], a.offence)
	le.PutUint32(rec[atBorough:], a.borough)
	return rec, true
}

// unload copies the records of one bucket.
func (e *Engine) unload(in io.Reader, to *bucket.Scatterer, number int, size int64, kind int, t *translation) error {
	var length [bucket.LengthBytes]byte
	rows := int64(0)
	for size > 0 {
		if _, err := io.ReadFull(in, length[:]); err != nil {
			return err
		}
		n := int64(binary.LittleEndian.Uint32(length[:]))
		least := int64(atTexts)
		if kind == marks {
			least = markHead
		}
		if n < least || n > size {
			return errors.New("a record is longer or shorter than it can be")
		}
		t.record = grow(t.record, int(n))
		copy(t.record, length[:])
		if _, err := io.ReadFull(in, t.record[bucket.LengthBytes:]); err != nil {
			return err
		}
		if kind != marks {
			translated, ok := t.of(&e.rules, t.record, kind)
			if !ok {
				return errors.New("a record holds what it cannot")
			}
			t.record = translated
			if !isQuarantined(translated) {
				rows++
			}
		}
		rec, err := to.Record(number, len(t.record))
		if err != nil {
			return err
		}
		copy(rec, t.record)
		size -= n
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.counts.RowsRead += rows
	if kind == deduplicated {
		e.passed += rows
	}
	return nil
}

// sound tells whether the numbers of a record are such that nothing outside it, and no table, is read
// beyond its end. With it comes what the record holds, and where its own texts begin.
func (r *rules) sound(rec []byte, kind int) (a allegation, end int, ok bool) {
	at, sum := atTexts, 0
	for range 4 {
		n, size := binary.Uvarint(rec[at:])
		if size <= 0 || n > uint64(len(rec)) {
			return a, 0, false
		}
		at, sum = at+size, sum+int(n)
	}
	if end = at + sum; end > len(rec) {
		return a, 0, false
	}
	le := binary.LittleEndian
	if _, ok := cutOwn(le.Uint32(rec[atOffence:]), le.Uint32(rec[atBorough:]), rec[end:]); !ok {
		return a, 0, false
	}
	a.decode(rec)
	for _, e := range [...]struct{ column, position int }{
		{schemas.SuspectStatus, int(a.status)}, {schemas.VictimSex, int(a.sex)}, {schemas.Source, int(a.source)}, {schemas.Outcome, int(a.outcome)}, {schemas.Handling, int(a.handling)},
	} {
		if e.position > len(schemas.Offences[e.column].Enum) {
			return a, 0, false
		}
	}
	if a.disposition == schemas.Scored {
		return a, end, r.window.of(a.reported) == schemas.Scored
	}
	return a, end, a.disposition < schemas.DispositionCount && kind != deduplicated
}
