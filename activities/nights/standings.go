package nights

import (
	"context"
	"fmt"
	"io"
	"reflect"

	"github.com/parquet-go/parquet-go"

	"harmstack/activities/store"
	"harmstack/schemas"
	"harmstack/schemas/fault"
)

// standingRow is the type of a row of stability.parquet: a column a model, called after it.
func standingRow(s schemas.Stability) reflect.Type {
	column := func(field, name string, of reflect.Type) reflect.StructField {
		return reflect.StructField{Name: field, Type: of, Tag: reflect.StructTag(fmt.Sprintf("parquet:%q", name))}
	}
	fields := []reflect.StructField{
		column("SuspectID", schemas.StandingColumns[0], reflect.TypeFor[string]()),
		column("Position", schemas.StandingColumns[1], reflect.TypeFor[int64]()),
		column("Models", schemas.StandingColumns[2], reflect.TypeFor[int64]()),
		column("Standing", schemas.StandingColumns[3], reflect.TypeFor[string]()),
	}
	for i, m := range s.Models {
		fields = append(fields, column(fmt.Sprintf("Model%d", i), m.Name+",optional", reflect.TypeFor[*int64]()))
	}
	return reflect.StructOf(fields)
}

// WriteStandings writes stability.parquet (contract, sections 6 and 7).
func WriteStandings(w io.Writer, s schemas.Stability, rows []schemas.Standing) (int64, error) {
	of := standingRow(s)
	out := parquet.NewWriter(w, parquet.SchemaOf(reflect.New(of).Interface()), parquet.CreatedBy("harmstack", "1", ""))
	for _, r := range rows {
		row := reflect.New(of)
		to := row.Elem()
		to.Field(0).SetString(r.SuspectID)
		to.Field(1).SetInt(r.Position)
		to.Field(2).SetInt(r.Models)
		to.Field(3).SetString(r.Standing)
		for i, p := range r.Positions {
			to.Field(len(schemas.StandingColumns) + i).Set(reflect.ValueOf(p))
		}
		if err := out.Write(row.Interface()); err != nil {
			return 0, err
		}
	}
	return int64(len(rows)), out.Close()
}

// Standings reads stability.parquet of a night: who is among the first under which models, by their names. A night of
// version 1 has none, and nobody.
func Standings(ctx context.Context, st *store.Store, m schemas.Manifest) (models []string, rows []schemas.Standing, err error) {
	ref, ok := m.Output(schemas.StabilityFile)
	if !ok {
		return nil, nil, nil
	}
	artifact, err := st.Open(ctx, ref)
	if err != nil {
		return nil, nil, WhyMissing(ctx, st, m.NightID, err)
	}
	defer artifact.Close()
	file, err := parquet.OpenFile(artifact, artifact.Size())
	if err != nil {
		return nil, nil, fault.Errorf(fault.DamagedArtifact, "%s: %w", ref.URI, err)
	}
	fixed := len(schemas.StandingColumns)
	for i, column := range file.Schema().Columns() {
		if i < fixed && column[0] != schemas.StandingColumns[i] {
			return nil, nil, fault.Errorf(fault.DamagedArtifact, "%s has other columns than it should", ref.URI)
		}
		if i >= fixed {
			models = append(models, column[0])
		}
	}
	reader := parquet.NewReader(file)
	defer reader.Close()
	read := make([]parquet.Row, 64)
	for {
		n, err := reader.ReadRows(read)
		for _, row := range read[:n] {
			s := schemas.Standing{
				SuspectID: string(row[0].ByteArray()), Position: row[1].Int64(), Models: row[2].Int64(),
				Standing: string(row[3].ByteArray()), Positions: make([]*int64, len(models)),
			}
			for i := range models {
				if v := row[fixed+i]; !v.IsNull() {
					s.Positions[i] = new(v.Int64())
				}
			}
			rows = append(rows, s)
		}
		if err == io.EOF {
			return models, rows, nil
		}
		if err != nil {
			return nil, nil, fault.Errorf(fault.DamagedArtifact, "%s: %w", ref.URI, err)
		}
	}
}
