package task

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"

	"go.temporal.io/sdk/temporal"

	"harmstack/activities/extract"
	"harmstack/activities/extract/csvmap"
	"harmstack/activities/extract/postgres"
	"harmstack/activities/extract/sources"
	"harmstack/activities/messages/digest"
	"harmstack/activities/messages/webhook"
	"harmstack/activities/nights"
	"harmstack/activities/store"
	"harmstack/schemas/fault"
)

func TestOf(t *testing.T) {
	for _, c := range []struct {
		scenario string
		err      error
		want     string // empty: a retry may mend it
	}{
		{"nothing", nil, ""},
		{"a full disk", errors.New("no space left on device"), ""},
		{"a cancel, whatever it met", fmt.Errorf("%w: %w", context.Canceled, store.ErrDamaged), ""},
		{"a wrong column", fmt.Errorf("x: %w", &extract.SchemaMismatch{}), fault.SchemaMismatch},
		{"no Parquet", fmt.Errorf("x: %w", extract.ErrNotParquet), fault.SchemaMismatch},
		{"rows that the footer does not promise", extract.ErrRowsMismatch, fault.CountsDoNotReconcile},
		{"no extract", extract.ErrNoSource, fault.SourceNotFound},
		{"another CSV", fmt.Errorf("x: %w", csvmap.ErrMismatch), fault.SchemaMismatch},
		{"half a CSV", csvmap.ErrDamaged, fault.DamagedArtifact},
		{"an export under way", sources.ErrChanging, ""},
		{"an odd declaration", sources.ErrDeclaration, fault.BadRequest},
		{"a query that is none", postgres.ErrRefused, fault.SourceRefused},
		{"a webhook refused for good", &webhook.SendError{Status: 410, Permanent: true}, fault.DeliveryRefused},
		{"a webhook refused for now", &webhook.SendError{Status: 503}, ""},
		{"a changed file", fmt.Errorf("x: %w", store.ErrDamaged), fault.DamagedArtifact},
		{"a file that is gone", store.ErrNotFound, fault.DamagedArtifact},
		{"published already", nights.ErrSealed, fault.RevisionSealed},
		{"decided already", nights.ErrDecided, fault.AlreadyDecided},
		{"a newer stack", nights.ErrOvertaken, fault.Overtaken},
		{"a mail refused for good", &digest.SendError{Code: 550, Permanent: true}, fault.DeliveryRefused},
		{"a mail refused for now", &digest.SendError{Code: 451}, ""},
		{"one that is known stays what it is", Permanent(fault.NobodyToRank, store.ErrDamaged), fault.NobodyToRank},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			got := Of(c.err)
			if c.want == "" && got != c.err {
				t.Errorf("%v became %v", c.err, got)
			}
			var app *temporal.ApplicationError
			if c.want != "" && (!Is(got, c.want) || !errors.As(got, &app) || !app.NonRetryable()) {
				t.Errorf("%v", got)
			}
		})
	}
}

// Whoever waits is told at once of a store that cannot take what they say, and may say it again.
func TestWaiting(t *testing.T) {
	for _, c := range []struct {
		scenario string
		err      error
		want     string // empty: a retry may mend it
	}{
		{"nothing", nil, ""},
		{"no room", fmt.Errorf("create x: %w", store.ErrFull), fault.NotRecorded},
		{"not allowed to write", &fs.PathError{Op: "open", Path: "/store", Err: syscall.EACCES}, fault.NotRecorded},
		{"mounted to be read", &fs.PathError{Op: "open", Path: "/store", Err: syscall.EROFS}, fault.NotRecorded},
		{"a store that is away", errors.New("connection refused"), ""},
		{"decided already", nights.ErrDecided, fault.AlreadyDecided},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			got := Waiting(c.err)
			if c.want == "" && got != c.err || c.want != "" && !Is(got, c.want) {
				t.Errorf("%v became %v", c.err, got)
			}
		})
	}
}
