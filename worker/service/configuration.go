package service

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"time"

	"harmstack/activities/store"
	"harmstack/activities/trust/audit"
	"harmstack/schemas"
	"harmstack/schemas/reference"
	"harmstack/worker/config"
)

// configurationFile is what the last worker that started was configured with, by hash.
const configurationFile = "trust/configuration.json"

// noteConfiguration notes in the audit log with what the worker works, when that is not what the last one had: what a
// stack comes from can be changed by more than decisions. Only hashes are kept.
func noteConfiguration(ctx context.Context, st *store.Store, cfg config.Config) error {
	parts, err := configuration(cfg)
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(struct {
		Parts []audit.File `json:"parts"`
	}{parts}, "", "  ")
	if err != nil {
		return err
	}
	data = st.Record(configurationFile, data)
	was, err := st.Read(ctx, configurationFile)
	if err == nil && bytes.Equal(was, data) || err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	written := audit.Written(configurationFile, data)
	identity, err := audit.Stored(ctx, st, store.IdentityFile)
	if err != nil {
		return err
	}
	err = audit.Append(ctx, st, audit.Entry{At: time.Now().UTC(), Operation: audit.Alteration, Actor: audit.Worker,
		Did: "began with another configuration", On: audit.Object{Thing: "configuration"}, Inputs: parts,
		Files: append(written, identity...)})
	if err != nil {
		return err
	}
	return st.Replace(ctx, configurationFile, data)
}

// configuration is what the results and the messages of a worker follow from, each part by the hash of what it says.
func configuration(cfg config.Config) (parts []audit.File, err error) {
	tables := cfg.Tables
	if tables == nil {
		tables = reference.Default()
	}
	var team []byte
	if cfg.TeamsFile != "" {
		if team, err = os.ReadFile(cfg.TeamsFile); err != nil {
			return nil, err
		}
	}
	for _, part := range []struct {
		name string
		of   any
	}{
		{"program", Identity()}, {"sources", cfg.Sources}, {"prefixes", cfg.Prefixes.String()}, {"tables", tables.Basis(schemas.Model{})},
		{"checks", cfg.Checks}, {"stability", cfg.Stability}, {"retention", cfg.Retention}, {"teams", team},
		{"mail", []string{cfg.Mail.Outbox, cfg.Mail.SMTP.Host, cfg.Mail.SMTP.From}},
		{"checkpoints", cfg.Checkpoints}, {"code", Build()},
	} {
		data, err := json.Marshal(part.of)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(data)
		parts = append(parts, audit.File{Name: part.name, SHA256: hex.EncodeToString(sum[:])})
	}
	return parts, nil
}
