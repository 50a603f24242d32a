//go:build !linux

package scoring

func largePages(n int) []byte { return make([]byte, n) }
