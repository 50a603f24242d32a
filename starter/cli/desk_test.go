package cli

import (
	"log/slog"
	"testing"

	"harmstack/schemas"
	"harmstack/schemas/reference"
	"harmstack/worker/config"
	flows "harmstack/workflows/client"
)

// A desk whose configuration names no tables explains nights by those of this program.
func TestDeskHasTheTablesOfTheProgram(t *testing.T) {
	t.Parallel()
	model, err := schemas.LoadModel(schemas.DefaultModel)
	if err != nil {
		t.Fatal(err)
	}
	o := deskOptions(config.Config{}, flows.Deployment{}, slog.New(slog.DiscardHandler))
	n, err := o.Night(nil, schemas.Manifest{Basis: reference.Default().Basis(model)})
	if err != nil || n.Tables == nil || n.Model.Name != schemas.DefaultModel {
		t.Errorf("%+v, %v", n, err)
	}
	if n, err := o.Night(nil, schemas.Manifest{}); err != nil || n.Tables != nil {
		t.Errorf("of another basis: %+v, %v", n, err)
	}
}
