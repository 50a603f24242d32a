package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"harmstack/activities/trust/sign"
	"harmstack/schemas"
)

// UnsignedFile names the records that were there before anything was signed. It is signed itself. What is added later
// stands, with all the rest, in a file of its own beside it (unsigned-0002.json …); the last counts.
const (
	UnsignedFile   = unsignedPrefix + ".json"
	unsignedPrefix = "trust/unsigned"
)

func unsignedKey(number int) string {
	if number == 1 {
		return UnsignedFile
	}
	return fmt.Sprintf("%s-%04d.json", unsignedPrefix, number)
}

// Unsigned is UnsignedFile: sha256 by key, and how long the audit log was.
type Unsigned struct {
	Records map[string]string `json:"records"`
	Log     int               `json:"log"`
}

// Record signs a record that is to be written under a key, if the store has the key for it.
func (s *Store) Record(key string, data []byte) []byte { return s.Keys.Sign(key, data) }

// ReadRecord is Read for a record that is to be signed. With keys to check it by, one without a signature is returned
// only if UnsignedFile names it as it is; sign.ErrUnsigned and sign.ErrForged say that somebody else wrote it.
func (s *Store) ReadRecord(ctx context.Context, key string) ([]byte, error) {
	data, err := s.Read(ctx, key)
	if err == nil {
		err = s.CheckRecord(ctx, key, data)
	}
	if err != nil {
		return nil, err
	}
	return data, nil
}

// CheckRecord is ReadRecord for bytes that were read already.
func (s *Store) CheckRecord(ctx context.Context, key string, data []byte) error {
	if !s.Keys.Checks() {
		return nil
	}
	_, err := s.Keys.Check(key, data)
	if errors.Is(err, sign.ErrUnsigned) {
		var known Unsigned
		known, err = s.LoadUnsigned(ctx)
		if err == nil && known.Records[key] != digest(data) { // perhaps another process has added it since
			known, _, err = s.lastUnsigned(ctx)
		}
		if err == nil && known.Records[key] != digest(data) {
			err = fmt.Errorf("%w: if it is from before records were signed, starter verify --adopt says so once",
				sign.ErrUnsigned)
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

// LoadUnsigned reads the last UnsignedFile, once; zero when there is none.
func (s *Store) LoadUnsigned(ctx context.Context) (Unsigned, error) {
	s.unsigned.Lock()
	known := s.unsigned.Unsigned
	s.unsigned.Unlock()
	if known.Records != nil {
		return known, nil
	}
	known, _, err := s.lastUnsigned(ctx)
	return known, err
}

// lastUnsigned is LoadUnsigned whatever was read before, and how many such files there are.
func (s *Store) lastUnsigned(ctx context.Context) (u Unsigned, files int, err error) {
	keys, err := s.List(ctx, unsignedPrefix)
	if err != nil || len(keys) == 0 {
		return u, 0, err
	}
	key := unsignedKey(len(keys))
	data, err := s.Read(ctx, key)
	if err == nil {
		_, err = s.Keys.Check(key, data)
	}
	if err == nil && json.Unmarshal(data, &u) != nil {
		err = ErrDamaged
	}
	if err != nil {
		return u, 0, fmt.Errorf("%s: %w", key, err)
	}
	s.unsigned.Lock()
	defer s.unsigned.Unlock()
	s.unsigned.Unsigned = u
	return u, len(keys), nil
}

// Adopt adds records as they are to those that may be unsigned, and the log up to a length. It returns the file, and
// its name. Two at once lose nothing: whoever comes second adds to what the first wrote.
func (s *Store) Adopt(ctx context.Context, records map[string]string, log int) (key string, data []byte, err error) {
	for {
		u, files, err := s.lastUnsigned(ctx)
		if err != nil {
			return "", nil, err
		}
		all := map[string]string{}
		maps.Copy(all, u.Records)
		maps.Copy(all, records)
		data, err := json.MarshalIndent(Unsigned{all, max(log, u.Log)}, "", "  ")
		if err != nil {
			return "", nil, err
		}
		key := unsignedKey(files + 1)
		data = s.Record(key, data)
		if err = s.CreateOnly(ctx, key, data); errors.Is(err, ErrExists) {
			continue
		}
		return key, data, err
	}
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Verify reads an artefact whole and compares it with its reference, whatever this process has seen of it before. Unlike
// Open it takes nothing else for it: of one that people were erased from, give Latest.
func (s *Store) Verify(ctx context.Context, ref schemas.ArtifactRef) error {
	s.verified.Delete(ref.URI)
	artifact, err := s.Open(ctx, ref)
	if err != nil {
		return err
	}
	if artifact.Ref.SHA256 != ref.SHA256 {
		err = fmt.Errorf("%s: %w: it is what it was before, or after, a person was erased from it", ref.URI, ErrDamaged)
	}
	return errors.Join(err, artifact.Close())
}
