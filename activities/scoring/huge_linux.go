package scoring

import (
	"syscall"
	"unsafe"
)

// largePages returns n bytes, a multiple of the processor's large page of 2 MiB, in such pages: rows go to
// hundreds of places at once, and the processor does not remember where so many small pages lie. A system
// that has none to give says so; that is no loss.
func largePages(n int) []byte {
	const page = 2 << 20
	b := make([]byte, n+page) // what is not touched at either end takes no memory
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(b))) % page
	b = b[skip : skip+uintptr(n)]
	_ = syscall.MADV_HUGEPAGE
	return b
}
