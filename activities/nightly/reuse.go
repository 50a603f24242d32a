package nightly

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"go.temporal.io/sdk/activity"

	"harmstack/schemas"
)

// step is one stage of one night: what its bytes follow from.
type step struct {
	night schemas.NightID
	stage string
	// inputs are the files that it reads.
	inputs []schemas.ArtifactRef
	// asOf and basis are there where the bytes depend on them; also is what else they depend on. Threads, memory,
	// paths and the revision never matter.
	asOf  schemas.Date
	basis schemas.Basis
	also  any
	// find, when set, finds inputs and also: where that takes a while.
	find func(ctx context.Context) (inputs []schemas.ArtifactRef, also any)
	// force does the work though the result is there already.
	force bool
	// part is which of several that share a stage.
	part string
}

// outcome is what the work of a stage came to, beside what it hands back.
type outcome struct {
	// doubt: the result holds for now alone.
	doubt bool
	// inputs are the files that were read, where that was not known before; nil: those of the step.
	inputs []schemas.ArtifactRef
	// nulls are those of the inputs, by column, where they were counted.
	nulls map[string]int64
}

// Origin says who made what a stage hands back.
type Origin struct {
	// Code names the build.
	Code string `json:"code,omitempty"`
	// Reused is the night for which it was made, from the same inputs by the same code; nil: made anew.
	Reused *schemas.NightID `json:"reused,omitempty"`
	// Unsent is how many lineage events of the stage could not be sent yet.
	Unsent int `json:"untold,omitempty"`
}

func (o *Origin) origin() *Origin { return o }

// outcome of most stages: the result holds for good.
func (*Origin) outcome() outcome { return outcome{} }

// ReusedFrom is the night for which the result was made, nil when it was made anew.
func (o Origin) ReusedFrom() *schemas.NightID { return o.Reused }

// UnsentEvents is how many lineage events could not be sent yet.
func (o Origin) UnsentEvents() int { return o.Unsent }

// result is what a stage hands back: files, and who made them.
type result[R any] interface {
	*R
	origin() *Origin
	outcome() outcome
	refs() []*schemas.ArtifactRef
}

// files are the files of a result.
func files(refs []*schemas.ArtifactRef) []schemas.ArtifactRef {
	list := make([]schemas.ArtifactRef, len(refs))
	for i, ref := range refs {
		list[i] = *ref
	}
	return list
}

// pointers points to every one of several references.
func pointers(list []schemas.ArtifactRef) []*schemas.ArtifactRef {
	refs := make([]*schemas.ArtifactRef, len(list))
	for i := range list {
		refs[i] = &list[i]
	}
	return refs
}

// made is a small file of the store that says what came of a task.
type made[R any] struct {
	Night  schemas.NightID `json:"night"`
	Result R               `json:"result"`
}

// key is where the store keeps what came of a task; empty when nothing is to be reused.
func (a *Activities) key(t step) (string, error) {
	if a.Build == "" || t.inputs == nil {
		return "", nil
	}
	type content struct {
		SHA256      string
		Rows, Bytes int64
		Schema      string
	}
	contents := make([]content, len(t.inputs))
	for i, in := range t.inputs {
		contents[i] = content{in.SHA256, in.Rows, in.Bytes, in.Schema}
	}
	data, err := json.Marshal(struct {
		Stage, Identity string
		AsOf            string
		Basis           schemas.Basis
		Also            any
		Inputs          []content
	}{t.stage, a.Build, t.asOf.String(), t.basis, t.also, contents})
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return fmt.Sprintf(schemas.ReuseFolder+"%s/%s.json", t.stage, hex.EncodeToString(sum[:])), nil
}

// reuse finds what the same task came to before, and gives its files names of the night's own, so that no night needs
// another's. Every file is read and compared with its sha256: at the least doubt the work is done again.
func reuse[R any, P result[R]](ctx context.Context, a *Activities, key string, night schemas.NightID) (r R, ok bool) {
	data, err := a.Store.ReadRecord(ctx, key)
	var was made[R]
	if err != nil || json.Unmarshal(data, &was) != nil {
		return r, false
	}
	refs := P(&was.Result).refs()
	moved := false
	for _, ref := range refs {
		home, err := a.Store.Link(ctx, *ref, home(night, ref.URI))
		if err != nil {
			return r, false
		}
		moved = moved || home != *ref
		*ref = home
	}
	if moved { // the files under the other names may go with their night
		keep(ctx, a, key, was.Night, was.Result)
	}
	if was.Night != night { // its own, of an attempt whose answer was lost
		P(&was.Result).origin().Reused = &was.Night
	}
	return was.Result, len(refs) > 0
}

// home is the name that a file of any night has in the folders of this one.
func home(night schemas.NightID, uri string) string {
	parts := strings.SplitN(uri, "/", 4) // nights/<as_of>/r<n>/…, or work/…
	if len(parts) < 4 {
		return uri
	}
	if parts[0]+"/" == schemas.WorkFolder {
		return night.WorkPath() + "/" + parts[3]
	}
	return night.Path() + "/" + parts[3]
}

// keep notes what a task came to. It is no fault of the night when that cannot be noted.
func keep[R any](ctx context.Context, a *Activities, key string, night schemas.NightID, r R) {
	data, err := json.Marshal(made[R]{night, r})
	if err == nil {
		err = a.Store.Replace(ctx, key, a.Store.Record(key, data))
	}
	if err != nil {
		activity.GetLogger(ctx).Warn("a stage's result cannot be kept for reuse", "error", err)
	}
}
