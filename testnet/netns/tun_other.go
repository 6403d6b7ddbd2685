//go:build !linux

package netns

import (
	"errors"
	"os"
)

func openTUN() (*os.File, string, error) { return nil, "", errors.ErrUnsupported }
