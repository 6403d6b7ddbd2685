//go:build !linux

package p2p

import "errors"

func setSharePort(uintptr) error { return errors.ErrUnsupported }

func setUp(uintptr, bool) error { return nil }

func portTaken(error) bool { return false }
