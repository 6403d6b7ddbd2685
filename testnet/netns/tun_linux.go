package netns

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// openTUN makes a TUN device in this process's namespace. It lasts as long as the
// file, also when it was moved into another namespace.
func openTUN() (_ *os.File, name string, err error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, "", fmt.Errorf("opening /dev/net/tun: %w", err)
	}
	req, err := unix.NewIfreq("dclab%d") // the kernel counts
	if err == nil {
		req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, "", fmt.Errorf("making a TUN device: %w", err)
	}
	return os.NewFile(uintptr(fd), "/dev/net/tun"), req.Name(), nil
}
