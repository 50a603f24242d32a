package schemas

import "harmstack/schemas/text"

// The two ways of reading a source that can tell what changed.
const (
	ReadInFull        = "full"
	ReadIncrementally = "incremental"
)

// Reading says how a source that can tell what changed was read.
type Reading struct {
	Mode string `json:"mode"`
	// Why everything was read.
	Why string `json:"why,omitempty"`
	// Changed counts the rows that were read of the source; of an incremental reading.
	Changed int64 `json:"rows_changed,omitempty"`
	// Missed: this full reading found that an incremental one would have been taken for right, and was not.
	Missed bool `json:"missed,omitempty"`
}

// String is the line of the stage table.
func (r Reading) String() string {
	if r.Mode == ReadIncrementally {
		return "incremental: " + text.Count(r.Changed, "row") + " changed"
	}
	return r.Mode + ": " + r.Why
}
