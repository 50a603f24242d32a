package schemas

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"
)

// DefaultSource is the name of the source that a request without one reads.
const DefaultSource = "default"

// NightRequest starts a night. Its zero value, `{}` in the start form, is last night from the
// configured source.
type NightRequest struct {
	// AsOf is the last full day to count; empty means yesterday in London (section 2).
	AsOf Date `json:"as_of,omitzero"`
	// Extract is the name of a configured source, or a path or URL below HARMSTACK_EXTRACT_PREFIXES; empty means the default
	// source.
	Extract string `json:"extract,omitempty"`
	// Model is a built-in model; empty means the default.
	Model string `json:"model,omitempty"`
	// AcceptDrift says why an extract is to be taken though it lost a column, or has one of another type, since the
	// night published last from the same source.
	AcceptDrift string `json:"accept_drift,omitempty"`
	// DryRun publishes nothing and tasks nobody: it ends with the counts.
	DryRun bool `json:"dry_run,omitempty"`
	// Wait waits for a source that is not there yet, or not of the night, as a night of the schedule does.
	Wait bool `json:"wait,omitempty"`
	// Force does every stage again, also those whose result from the same inputs is there already.
	Force bool `json:"force,omitempty"`
	// Attestation is the desk's word on who starts the night; without one, what Temporal knows counts.
	Attestation string `json:"attestation,omitempty"`
}

// Validate refuses a URL with credentials in it (section 9), a model that does not exist and a reason that is too long.
func (r NightRequest) Validate() error {
	if err := errors.Join(CheckText("accept_drift", r.AcceptDrift, MaxReason),
		CheckText("attestation", r.Attestation, MaxAttestation)); err != nil {
		return err
	}
	if err := ValidateSource(r.Extract); err != nil {
		return err
	}
	if r.Model != "" {
		_, err := LoadModel(r.Model)
		return err
	}
	return nil
}

// ValidateSource refuses a source that holds credentials. The error never repeats the source.
func ValidateSource(source string) error {
	if !strings.Contains(source, "://") {
		return nil
	}
	u, err := url.Parse(source)
	if err != nil {
		return errors.New(
			"the extract's URL cannot be read: give a path, a URL without credentials, or the name of a configured source",
		)
	}
	if u.User != nil {
		return errors.New(
			"the extract's URL holds credentials: configure a named source on the worker and give its name",
		)
	}
	for key := range u.Query() {
		switch k := strings.ToLower(key); {
		case strings.Contains(k, "password"), strings.Contains(k, "secret"), strings.Contains(k, "token"),
			strings.Contains(k, "signature"), strings.Contains(k, "credential"), k == "sig", k == "key", k == "access_key":
			return errors.New(
				"the extract's URL holds credentials in its query: configure a named source on the worker and give its name",
			)
		}
	}
	return nil
}

// DecisionRequest is what an officer says of a night, on what they were shown.
type DecisionRequest struct {
	// Revision and ManifestSHA256 name what was shown; both must match the night.
	Revision       int    `json:"revision"`
	ManifestSHA256 string `json:"manifest_sha256"`
	By             string `json:"by"`
	Reason         string `json:"reason"`
	// Override says why a stack is approved though a check blocks it.
	Override string `json:"override,omitempty"`
	// Attestation is the desk's word on who decides (trust, section 1).
	Attestation string `json:"attestation,omitempty"`
}

// Claimed is who asks, as they say.
func (r DecisionRequest) Claimed() string { return r.By }

// Validate asks for a name, a reason and the exact night, in texts that are not too long.
func (r DecisionRequest) Validate() error {
	errs := []error{Decision{By: r.By, Reason: r.Reason, Override: r.Override, Attestation: r.Attestation}.CheckTexts()}
	if TrimSpace(r.By) == "" {
		errs = append(errs, errors.New("by: name the officer who decides"))
	}
	if TrimSpace(r.Reason) == "" {
		errs = append(errs, errors.New("reason: say why"))
	}
	if r.Revision < 1 {
		errs = append(errs, fmt.Errorf("revision: %d is none, the first is 1", r.Revision))
	}
	if len(r.ManifestSHA256) != 64 {
		errs = append(errs, errors.New("manifest_sha256: give the 64 hex digits shown with the stack"))
	}
	return errors.Join(errs...)
}

// RevokeRequest takes the approval of a night back.
type RevokeRequest struct {
	AsOf     Date   `json:"as_of"`
	Revision int    `json:"revision"`
	By       string `json:"by"`
	Reason   string `json:"reason"`
	// Attestation is the desk's word on who takes it back (trust, section 1).
	Attestation string `json:"attestation,omitempty"`
}

// Night is the night that was approved.
func (r RevokeRequest) Night() NightID { return NightID{AsOf: r.AsOf, Revision: r.Revision} }

// Validate asks for a name, a reason and the exact night.
func (r RevokeRequest) Validate() error {
	var errs []error
	if r.AsOf.IsZero() {
		errs = append(errs, errors.New("as_of: give the date of the night"))
	}
	if r.Revision < 1 {
		errs = append(errs, fmt.Errorf("revision: %d is none, the first is 1", r.Revision))
	}
	errs = append(errs, CheckText("attestation", r.Attestation, MaxAttestation))
	if n := utf8.RuneCountInString(TrimSpace(r.By)); n == 0 || n > MaxWho {
		errs = append(errs, fmt.Errorf("by: name the officer who takes it back, in at most %d characters", MaxWho))
	}
	if n := utf8.RuneCountInString(TrimSpace(r.Reason)); n == 0 || n > MaxReason {
		errs = append(errs, fmt.Errorf("reason: say why, in at most %d characters", MaxReason))
	}
	return errors.Join(errs...)
}
