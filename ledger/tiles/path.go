package tiles

import (
	"fmt"
	"strconv"
	"strings"
)

const (
	maxLevel = 63
	maxIndex = 1 << 40 // of a tile, beyond any log
)

// Path names a tile or an entry bundle.
type Path struct {
	Entries bool   // a bundle; then Level is 0
	Level   int    // 0: hashes of entries
	N       uint64 // index in the level
	Width   int    // 1 to 256, which is a full one
}

// String returns the path below the prefix of the log.
func (p Path) String() string {
	var b strings.Builder
	b.WriteString("tile/")
	if p.Entries {
		b.WriteString("entries")
	} else {
		b.WriteString(strconv.Itoa(p.Level))
	}
	b.WriteString(number(p.N))
	if p.Width != fullWidth {
		fmt.Fprintf(&b, ".p/%d", p.Width)
	}
	return b.String()
}

// number writes 1234067 as /x001/x234/067.
func number(n uint64) string {
	out := fmt.Sprintf("/%03d", n%1000)
	for n /= 1000; n > 0; n /= 1000 {
		out = fmt.Sprintf("/x%03d", n%1000) + out
	}
	return out
}

// ParsePath reads what String wrote.
func ParsePath(s string) (Path, error) {
	p, ok := parsePath(s)
	if !ok || p.String() != s {
		return Path{}, ErrBadPath
	}
	return p, nil
}

// parsePath takes a path apart; whether it is the one spelling is for the
// caller to see.
func parsePath(s string) (Path, bool) {
	p := Path{Width: fullWidth}
	rest, ok := strings.CutPrefix(s, "tile/")
	if !ok || len(s) > 100 {
		return p, false
	}
	level, rest, ok := strings.Cut(rest, "/")
	if !ok {
		return p, false
	}
	if p.Entries = level == "entries"; !p.Entries {
		l, err := strconv.Atoi(level)
		if err != nil || l < 0 || l > maxLevel {
			return p, false
		}
		p.Level = l
	}
	if digits, width, partial := strings.Cut(rest, ".p/"); partial {
		w, err := strconv.Atoi(width)
		if err != nil || w < 1 || w >= fullWidth {
			return p, false
		}
		p.Width, rest = w, digits
	}
	for part := range strings.SplitSeq(rest, "/") {
		n, err := strconv.ParseUint(strings.TrimPrefix(part, "x"), 10, 10)
		if err != nil || n > 999 || p.N > maxIndex/1000 {
			return p, false
		}
		p.N = p.N*1000 + n
	}
	return p, true
}

// widthAt is how much of tile n of a level a log of this size has; 0: nothing.
func widthAt(level int, n, size uint64) int {
	if level*height >= 64 {
		return 0
	}
	have := size >> (level * height)
	if first := n * fullWidth; n <= maxIndex && have > first {
		return int(min(have-first, fullWidth))
	}
	return 0
}
