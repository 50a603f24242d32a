// Package race tells tests whether they run under Go's race detector, which takes five to ten times as long: what tries very
// many cases in one goroutine then tries some of them. Nothing but tests may ask.
package race
