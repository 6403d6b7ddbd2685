package p2p

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// setSharePort lets other sockets of this user that want it too use the port.
func setSharePort(fd uintptr) error {
	return errors.Join(
		unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1),
		unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
}

// setUp bounds how long bytes may stay unacknowledged. Far away, where a loss of a
// percent would leave a few per cent of the link to the usual congestion control,
// it takes BBR where the kernel has it and lets this user have it.
func setUp(fd uintptr, far bool) error {
	err := unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(ackPatience.Milliseconds()))
	if far {
		err = errors.Join(err, unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, "bbr"))
	}
	return err
}

// portTaken says that a dial could not leave from the port it was to.
func portTaken(err error) bool {
	return errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, syscall.EADDRNOTAVAIL)
}
