// Package lineage tells a lineage service, or a file, which stage of a night made what of what, as OpenLineage
// events (https://openlineage.io, spec 2-0-2).
//
// An event is sent once or kept in the store until it is; a service that is down never stops a night and never slows it
// by more than Patience a stage. The package must not know what a stage does, and no event holds anything personal.
package lineage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"

	"harmstack/activities/store"
	"harmstack/schemas"
)

// The states of a run that are told.
const (
	Start    = "START"
	Complete = "COMPLETE"
	Fail     = "FAIL"
)

const (
	producer  = "https://harmstack.invalid/activities/openlineage"
	schemaURL = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
	facets    = "https://openlineage.io/spec/facets/"
	namespace = "harmstack"
	// Patience is how long a stage waits for the service.
	Patience = 2 * time.Second
	unsent   = "lineage/unsent/"
)

// Event is one OpenLineage run event.
type Event struct {
	EventType string    `json:"eventType"`
	EventTime time.Time `json:"eventTime"`
	Producer  string    `json:"producer"`
	SchemaURL string    `json:"schemaURL"`
	Run       run       `json:"run"`
	Job       job       `json:"job"`
	Inputs    []dataset `json:"inputs"`
	Outputs   []dataset `json:"outputs"`
}

type run struct {
	RunID  string         `json:"runId"`
	Facets map[string]any `json:"facets,omitempty"`
}

type job struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
}

type dataset struct {
	Namespace    string         `json:"namespace"`
	Name         string         `json:"name"`
	Facets       map[string]any `json:"facets,omitempty"`
	InputFacets  map[string]any `json:"inputFacets,omitempty"`
	OutputFacets map[string]any `json:"outputFacets,omitempty"`
}

// Stage is what an event tells of.
type Stage struct {
	// Run names the run of the night, Name the stage, Part which of its shards.
	Run, Name string
	Part      string
	Night     schemas.NightID
	Inputs    []schemas.ArtifactRef
	Outputs   []schemas.ArtifactRef
	Nulls     map[string]int64 // by column, where the stage counted them over the inputs
	Failure   string           // the type of the failure; never its text
}

func facet(name string, fields map[string]any) map[string]any {
	fields["_producer"], fields["_schemaURL"] = producer, facets+name+".json"
	return fields
}

// id is the same for the same run and stage, whoever asks and how often.
func id(parts ...string) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte(producer+"/"+strings.Join(parts, "/"))).String()
}

// NewEvent makes the event of a stage; where is the store's URL.
func NewEvent(kind string, at time.Time, where string, s Stage) Event {
	e := Event{
		EventType: kind,
		EventTime: at.UTC(),
		Producer:  producer,
		SchemaURL: schemaURL,
		Inputs:    []dataset{},
		Outputs:   []dataset{},
		Job:       job{namespace, "night." + s.Name},
		Run: run{id(s.Run, s.Name, s.Part), map[string]any{
			"nominalTime": facet(
				"1-0-1/NominalTimeRunFacet",
				map[string]any{"nominalStartTime": s.Night.AsOf.Start().UTC().Format(time.RFC3339),
					"nominalEndTime": s.Night.AsOf.AddDays(1).Start().UTC().Format(time.RFC3339)},
			),
			"parent": facet(
				"1-0-1/ParentRunFacet",
				map[string]any{"run": map[string]any{"runId": id(s.Run)}, "job": job{namespace, "night"}},
			),
		}},
	}
	if s.Failure != "" {
		e.Run.Facets["errorMessage"] = facet(
			"1-0-1/ErrorMessageRunFacet",
			map[string]any{"message": s.Failure, "programmingLanguage": "Go"},
		)
	}
	for _, in := range s.Inputs {
		d := describe(where, in)
		columns := map[string]any{}
		for column, n := range s.Nulls {
			columns[column] = map[string]any{"nullCount": n}
		}
		d.InputFacets = map[string]any{"dataQualityMetrics": facet("1-0-2/DataQualityMetricsInputDatasetFacet",
			map[string]any{"rowCount": in.Rows, "bytes": in.Bytes, "columnMetrics": columns})}
		e.Inputs = append(e.Inputs, d)
	}
	for _, out := range s.Outputs {
		d := describe(where, out)
		d.OutputFacets = map[string]any{
			"outputStatistics": facet(
				"1-0-2/OutputStatisticsOutputDatasetFacet",
				map[string]any{"rowCount": out.Rows, "size": out.Bytes},
			),
		}
		e.Outputs = append(e.Outputs, d)
	}
	return e
}

func describe(where string, ref schemas.ArtifactRef) dataset {
	d := dataset{Namespace: where, Name: ref.URI, Facets: map[string]any{
		"version": facet("1-0-1/DatasetVersionDatasetFacet", map[string]any{"datasetVersion": ref.SHA256})}}
	var fields []map[string]any
	switch ref.Schema {
	case schemas.OffenceSchema:
		for _, c := range schemas.OffenceArrow.Fields() {
			fields = append(fields, map[string]any{"name": c.Name, "type": c.Type.String()})
		}
	case schemas.PersonLinkSchema:
		for _, name := range schemas.PersonLinkColumns {
			fields = append(fields, map[string]any{"name": name, "type": "utf8"})
		}
	}
	if fields != nil {
		d.Facets["schema"] = facet("1-1-1/SchemaDatasetFacet", map[string]any{"fields": fields})
	}
	return d
}

// Emitter sends events; a nil one sends none.
type Emitter struct {
	Store *store.Store
	file  string
	url   string
	http  http.Client
}

// New returns an emitter to a file:// URL, which gets a line an event, or to an http(s) endpoint, which gets a POST;
// nil for an empty URL.
func New(to string, st *store.Store) (*Emitter, error) {
	if to == "" {
		return nil, nil
	}
	u, err := url.Parse(to)
	switch {
	case err != nil || u.User != nil || schemas.ValidateSource(to) != nil:
		return nil, errors.New("give a URL without credentials")
	case u.Scheme == "file" && u.Path != "":
		return &Emitter{Store: st, file: filepath.FromSlash(u.Path)}, nil
	case (u.Scheme == "http" || u.Scheme == "https") && u.Host != "":
		return &Emitter{Store: st, url: to}, nil
	}
	return nil, errors.New("give file:///path/events.ndjson, or the http(s) URL that takes OpenLineage events")
}

// Emit sends an event, and those before it that could not be sent. One that cannot be sent now is kept in the store,
// and the error says so. It takes no longer than Patience, and the store's time.
func (m *Emitter) Emit(ctx context.Context, e Event) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	trying, stop := context.WithTimeout(ctx, Patience)
	defer stop()
	if err := m.send(trying, data); err != nil {
		return errors.Join(err, m.Keep(ctx, e))
	}
	return m.resend(trying)
}

// Keep leaves an event in the store for a later one to take along.
func (m *Emitter) Keep(ctx context.Context, e Event) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return m.Store.Replace(ctx, fmt.Sprintf("%s%s-%s.json", unsent, e.Run.RunID, e.EventType), data)
}

// resend sends what was kept, as far as the time allows.
func (m *Emitter) resend(ctx context.Context) error {
	keys, err := m.Store.List(ctx, unsent)
	if err != nil {
		return err
	}
	for _, key := range keys {
		data, err := m.Store.Read(ctx, key)
		if errors.Is(err, store.ErrNotFound) {
			continue // another worker was faster
		}
		if err == nil {
			err = m.send(ctx, data)
		}
		if err == nil {
			err = m.Store.Delete(ctx, key)
		}
		if err != nil {
			return nil // it stays for the next event
		}
	}
	return nil
}

func (m *Emitter) send(ctx context.Context, data []byte) error {
	if m.file != "" {
		f, err := os.OpenFile(m.file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		_, err = f.Write(append(data, '\n')) // one write, so that workers do not mix
		return errors.Join(err, f.Close())
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, m.url, bytes.NewReader(data))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := m.http.Do(request)
	if err != nil {
		var where *url.Error
		if errors.As(err, &where) {
			err = where.Err // without the URL
		}
		return fmt.Errorf("the lineage service: %w", err)
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<16))
	if answer.StatusCode >= 300 {
		return fmt.Errorf("the lineage service answered %s", answer.Status)
	}
	return nil
}
