package p2p

import "strings"

// printable keeps the printable ASCII of a text that a peer chose, cut to max
// bytes.
func printable(s string, max int) string {
	var b strings.Builder
	for i := 0; i < len(s) && b.Len() < max; i++ {
		if s[i] >= ' ' && s[i] < 0x7f {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// flatError shows an error of several lines, such as libp2p's list of failed
// dials, as one line.
type flatError struct{ error }

func oneLine(err error) error {
	if err == nil || !strings.Contains(err.Error(), "\n") {
		return err
	}
	return flatError{err}
}

func (e flatError) Error() string {
	var parts []string
	for line := range strings.Lines(e.error.Error()) {
		if line = strings.TrimLeft(strings.TrimSpace(line), "* "); line != "" {
			parts = append(parts, line)
		}
	}
	return strings.Join(parts, "; ")
}

func (e flatError) Unwrap() error { return e.error }
