//go:build !linux && !darwin

package store

func room(string) error { return nil }
