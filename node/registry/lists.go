package registry

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
)

// page is what a client wants of a list.
type page struct {
	n    int
	last string
}

// parsePage reads n and last. Whatever n says, an answer has no more than most
// entries (CVE-2023-2253).
func parsePage(q url.Values, most int) (page, error) {
	p := page{n: most, last: q.Get("last")}
	if len(p.last) > maxName {
		return p, refusal(http.StatusBadRequest, "PAGINATION_NUMBER_INVALID", "last is no name of a list")
	}
	text := q.Get("n")
	if text == "" {
		return p, nil
	}
	for _, c := range text {
		if c < '0' || c > '9' {
			return p, refusal(http.StatusBadRequest, "PAGINATION_NUMBER_INVALID", "n is no number")
		}
	}
	if n, err := strconv.Atoi(text); err == nil && n < most { // more digits than fit are more than most
		p.n = n
	}
	return p, nil
}

// listTags answers the tags of a repository in ascending order of bytes.
func (r *Registry) listTags(x *exchanged) error {
	p, err := parsePage(x.req.URL.Query(), r.Page)
	if err != nil {
		return err
	}
	if !x.repo.writable() {
		return refusal(http.StatusNotFound, "NAME_UNKNOWN", "the tags of others are not listed; dockchain search finds them")
	}
	known, err := r.shelf.known(x.repo.name)
	if err != nil {
		return err
	}
	if !known {
		return noRepo(x.repo.asked)
	}
	tags, more, err := r.shelf.list(tagKey(x.repo.name, ""), p.last, p.n, isTag)
	if err != nil {
		return err
	}
	link(x, p, tags, more)
	return answerJSON(x, "application/json", map[string]any{"name": x.repo.asked, "tags": tags})
}

// listRepositories answers the repositories of this node.
func (r *Registry) listRepositories(x *exchanged) error {
	p, err := parsePage(x.req.URL.Query(), r.Page)
	if err != nil {
		return err
	}
	names, more, err := r.shelf.list(repoKey(""), p.last, p.n, func(string, []byte) bool { return true })
	if err != nil {
		return err
	}
	link(x, p, names, more)
	return answerJSON(x, "application/json", map[string]any{"repositories": names})
}

// link names the next page, if there is one (RFC 8288).
func link(x *exchanged, p page, list []string, more bool) {
	if !more || len(list) == 0 {
		return
	}
	q := x.req.URL.Query()
	q.Set("n", strconv.Itoa(p.n))
	q.Set("last", list[len(list)-1])
	x.w.Header().Set("Link", "<"+x.req.URL.EscapedPath()+"?"+q.Encode()+`>; rel="next"`)
}

func answerJSON(x *exchanged, mediaType string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	h := x.w.Header()
	h.Set("Content-Type", mediaType)
	h.Set("Content-Length", strconv.Itoa(len(b)))
	x.w.WriteHeader(http.StatusOK)
	if x.req.Method != http.MethodHead {
		_, _ = x.w.Write(b)
	}
	return nil
}
