package ledger

import (
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Fit returns the release with what people and image builders write freely
// brought within the limits: texts on one line and cut, labels and platforms
// that do not fit left out, Created in whole seconds of UTC. Names, digests and
// sizes are for Check to refuse.
func (r Release) Fit() Release {
	r.Title = fitText(r.Title, MaxTitle)
	r.Description = fitText(r.Description, MaxDescription)
	r.Created = r.Created.UTC().Truncate(time.Second)
	r.Labels = fitLabels(r.Labels)
	var platforms []string
	for _, p := range r.Platforms {
		if isPlatform(p) && !slices.Contains(platforms, p) && len(platforms) < MaxPlatforms {
			platforms = append(platforms, p)
		}
	}
	r.Platforms = platforms
	return r
}

// fitText puts a space where a character would break the line, and cuts
// between characters.
func fitText(s string, limit int) string {
	s = strings.Map(func(c rune) rune {
		if isUnprintable(c) || c == utf8.RuneError {
			return ' '
		}
		return c
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= limit {
		return s
	}
	const ellipsis = "…"
	cut := max(limit-len(ellipsis), 0)
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return strings.TrimRight(s[:cut], " ") + ellipsis
}

// fitLabels keeps, in the order of their keys, the labels that fit. A value is
// never cut: half of one could mean something else.
func fitLabels(labels map[string]string) map[string]string {
	out := map[string]string{}
	total := 0
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		v := labels[k]
		if !isText(v, MaxLabelValue) {
			v = fitText(v, len(v))
		}
		fits := k != "" && isText(k, MaxLabelKey) && isText(v, MaxLabelValue) &&
			len(out) < MaxLabels && total+len(k)+len(v) <= MaxLabelBytes
		if fits {
			out[k] = v
			total += len(k) + len(v)
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}
