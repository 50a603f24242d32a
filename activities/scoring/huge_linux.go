package scoring

import "syscall"

// inLargePages asks for memory in large pages: rows go to hundreds of places at once, and the processor
// does not remember where so many small pages lie. A system that has none to give says so; that is no loss.
func inLargePages(b []byte) []byte {
	_ = syscall.Madvise(b, syscall.MADV_HUGEPAGE)
	return b
}
