package main

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// sharedFiles tells what a program needs beside itself to run on Linux: the
// loader that its PT_INTERP names and, by name, the libraries of DT_NEEDED and
// what those need. A static program, and one that is no ELF file, needs nothing.
func sharedFiles(program string) (loader string, libraries map[string]string, err error) {
	if ok, err := isELF(program); !ok || err != nil {
		return "", nil, err
	}
	f, err := elf.Open(program)
	if err != nil {
		return "", nil, err
	}
	defer f.Close()
	if loader, err = interpreter(f); loader == "" || err != nil {
		return "", nil, err
	}
	s := librarySearch{machine: f.Machine, class: f.Class, dirs: libraryDirs(f, filepath.Dir(loader)), found: map[string]string{}}
	if err := s.addNeeded(f); err != nil {
		return "", nil, err
	}
	delete(s.found, filepath.Base(loader)) // libc names the loader as a library of its own
	return loader, s.found, nil
}

func isELF(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	magic := make([]byte, len(elf.ELFMAG))
	switch _, err := io.ReadFull(f, magic); {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return false, nil // shorter than the mark
	case err != nil:
		return false, err
	}
	return string(magic) == elf.ELFMAG, nil
}

func interpreter(f *elf.File) (string, error) {
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		b, err := io.ReadAll(io.LimitReader(p.Open(), 4096))
		return strings.TrimRight(string(b), "\x00"), err
	}
	return "", nil
}

// libraryDirs is where the loader would look, as far as can be told without it.
func libraryDirs(f *elf.File, loaderDir string) []string {
	var dirs []string
	for _, tag := range []elf.DynTag{elf.DT_RPATH, elf.DT_RUNPATH} {
		paths, _ := f.DynString(tag) // none is no error worth telling
		for _, p := range paths {
			dirs = append(dirs, filepath.SplitList(p)...)
		}
	}
	dirs = append(dirs, filepath.SplitList(os.Getenv("LD_LIBRARY_PATH"))...)
	dirs = append(dirs, loaderDir)
	for _, root := range []string{"/lib", "/usr/lib"} {
		triplets, _ := filepath.Glob(root + "/*-linux-*") // a fixed, valid pattern
		dirs = append(dirs, triplets...)
	}
	return append(dirs, "/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib")
}

type librarySearch struct {
	machine elf.Machine
	class   elf.Class
	dirs    []string
	found   map[string]string // path by name
}

func (s *librarySearch) addNeeded(f *elf.File) error {
	names, err := f.ImportedLibraries()
	if err != nil {
		return err
	}
	for _, name := range names {
		if _, ok := s.found[name]; ok {
			continue
		}
		if err := s.add(name); err != nil {
			return err
		}
	}
	return nil
}

// add finds a library made for the same machine, and what that needs.
func (s *librarySearch) add(name string) error {
	for _, dir := range s.dirs {
		path := filepath.Join(dir, name)
		f, err := elf.Open(path)
		if err != nil {
			continue
		}
		if f.Machine != s.machine || f.Class != s.class {
			_ = f.Close()
			continue
		}
		s.found[name] = path
		return errors.Join(s.addNeeded(f), f.Close())
	}
	return fmt.Errorf("library %s is nowhere to be found", name)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
