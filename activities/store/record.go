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

// UnsignedFile names the records that were there before anything was signed. It is signed itself.
const UnsignedFile = "trust/unsigned.json"

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
		if known, err = s.LoadUnsigned(ctx); err == nil && known.Records[key] != digest(data) {
			err = fmt.Errorf("%w: if it is from before records were signed, starter verify --adopt says so once",
				sign.ErrUnsigned)
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	return nil
}

// LoadUnsigned reads UnsignedFile, once; zero when there is none.
func (s *Store) LoadUnsigned(ctx context.Context) (Unsigned, error) {
	s.unsigned.Lock()
	defer s.unsigned.Unlock()
	if s.unsigned.Records != nil {
		return s.unsigned.Unsigned, nil
	}
	data, err := s.Read(ctx, UnsignedFile)
	if errors.Is(err, ErrNotFound) {
		return Unsigned{}, nil
	}
	var u Unsigned
	if err == nil {
		_, err = s.Keys.Check(UnsignedFile, data)
	}
	if err == nil && json.Unmarshal(data, &u) != nil {
		err = ErrDamaged
	}
	if err != nil {
		return u, fmt.Errorf("%s: %w", UnsignedFile, err)
	}
	s.unsigned.Unsigned = u
	return u, nil
}

// Adopt adds records as they are to those that may be unsigned, and the log up to a length. It returns the file.
func (s *Store) Adopt(ctx context.Context, records map[string]string, log int) ([]byte, error) {
	u, err := s.LoadUnsigned(ctx)
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	maps.Copy(all, u.Records)
	maps.Copy(all, records)
	data, err := json.MarshalIndent(Unsigned{all, max(log, u.Log)}, "", "  ")
	if err == nil {
		data = s.Record(UnsignedFile, data)
		err = s.Replace(ctx, UnsignedFile, data)
	}
	s.unsigned.Lock()
	s.unsigned.Unsigned = Unsigned{}
	s.unsigned.Unlock()
	return data, err
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
