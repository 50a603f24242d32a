package devserver

import "syscall"

// childAttributes have the kernel end the server when this process is gone, however
// it went, and keep a terminal's Ctrl-C from it: those who use it stop first.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
