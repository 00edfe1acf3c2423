package database

import (
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// unacknowledged has the kernel end a connection whose peer is silent, long
// before it gives up sending again, which takes a quarter of an hour.
func unacknowledged(network, _ string, conn syscall.RawConn) error {
	if !strings.HasPrefix(network, "tcp") {
		return nil
	}
	var failed error
	err := conn.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(silence.Milliseconds()))
	})
	if err != nil {
		return err
	}
	return failed
}
