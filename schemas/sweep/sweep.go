// Package sweep tells tests that try very many cases whether to try all of them or a part. Nothing but tests may ask.
package sweep

import "os"

// Whole is whether all cases are to be tried: where HARMSTACK_E2E is full, as in CI. It never is under Go's race
// detector, which takes five to ten times as long and finds nothing in what one goroutine does.
func Whole() bool { return !raced && os.Getenv("HARMSTACK_E2E") == "full" }
