//go:build !linux

package devserver

import "syscall"

// childAttributes are Linux's. Elsewhere a server outlives a parent that was killed.
func childAttributes() *syscall.SysProcAttr { return nil }
