package registry

import (
	"errors"
	"net/http"
	"slices"
	"strings"
)

// exchanged is a request with what is known about it.
type exchanged struct {
	w    *writer
	req  *http.Request
	repo repository
	last string // the last part of the path: a reference, digest or upload id
	host string // of whose names a client means all, without saying so
	ns   bool   // the client named the registry with ?ns=
}

// endpoint is what a path names.
type endpoint struct {
	methods map[string]func(*Registry, *exchanged) error
}

var endpoints = map[string]endpoint{
	"manifests": {map[string]func(*Registry, *exchanged) error{
		http.MethodGet: (*Registry).getManifest, http.MethodHead: (*Registry).getManifest,
		http.MethodPut: (*Registry).putManifest, http.MethodDelete: (*Registry).deleteManifest,
	}},
	"blobs": {map[string]func(*Registry, *exchanged) error{
		http.MethodGet: (*Registry).getBlob, http.MethodHead: (*Registry).getBlob,
		http.MethodDelete: (*Registry).deleteBlob,
	}},
	"uploads": {map[string]func(*Registry, *exchanged) error{
		http.MethodPost: (*Registry).beginUpload,
	}},
	"upload": {map[string]func(*Registry, *exchanged) error{
		http.MethodGet: (*Registry).uploadStatus, http.MethodHead: (*Registry).uploadStatus,
		http.MethodPatch: (*Registry).patchUpload, http.MethodPut: (*Registry).putUpload,
		http.MethodDelete: (*Registry).cancelUpload,
	}},
	"tags": {map[string]func(*Registry, *exchanged) error{
		http.MethodGet: (*Registry).listTags, http.MethodHead: (*Registry).listTags,
	}},
	"referrers": {map[string]func(*Registry, *exchanged) error{
		http.MethodGet: (*Registry).listReferrers, http.MethodHead: (*Registry).listReferrers,
	}},
	"catalog": {map[string]func(*Registry, *exchanged) error{
		http.MethodGet: (*Registry).listRepositories, http.MethodHead: (*Registry).listRepositories,
	}},
}

// reads are the endpoints that ?ns= makes those of another registry.
var reads = []string{"manifests", "blobs", "tags", "referrers"}

// parsePath takes a path apart: names may contain slashes, so the verb is sought
// from the right.
func parsePath(path string) (verb, name, last string, ok bool) {
	path, ok = strings.CutPrefix(path, "/v2/")
	if !ok {
		return "", "", "", false
	}
	if path == "_catalog" {
		return "catalog", "", "", true
	}
	parts := strings.Split(path, "/")
	n := len(parts)
	join := func(k int) string { return strings.Join(parts[:k], "/") }
	switch {
	case n >= 4 && parts[n-3] == "blobs" && parts[n-2] == "uploads" && parts[n-1] == "":
		return "uploads", join(n - 3), "", true
	case n >= 4 && parts[n-3] == "blobs" && parts[n-2] == "uploads":
		return "upload", join(n - 3), parts[n-1], true
	case n >= 3 && parts[n-2] == "blobs" && parts[n-1] == "uploads":
		return "uploads", join(n - 2), "", true
	case n >= 3 && parts[n-2] == "tags" && parts[n-1] == "list":
		return "tags", join(n - 2), "", true
	case n >= 3 && (parts[n-2] == "manifests" || parts[n-2] == "blobs" || parts[n-2] == "referrers"):
		return parts[n-2], join(n - 2), parts[n-1], true
	}
	return "", "", "", false
}

func (r *Registry) serve(w http.ResponseWriter, req *http.Request, host string) {
	w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
	if req.URL.Path == "/v2/" {
		r.ping(w, req)
		return
	}
	select {
	case r.requests <- struct{}{}:
		defer func() { <-r.requests }()
	default:
		r.refuse(w, req, refusal(http.StatusTooManyRequests, "TOOMANYREQUESTS", "too many requests at once"))
		return
	}
	x := &exchanged{w: newWriter(w, r.Stall), req: req, host: host}
	if err := r.route(x); err != nil && !x.w.began {
		r.refuse(x.w, req, err)
	}
}

// ping says that this is a registry, whatever the network does.
func (r *Registry) ping(w http.ResponseWriter, req *http.Request) {
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		r.refuse(w, req, notAllowed(w, endpoints["catalog"]))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", "2")
	if req.Method == http.MethodGet {
		_, _ = w.Write([]byte("{}"))
	}
}

func (r *Registry) route(x *exchanged) (err error) {
	verb, name, last, ok := parsePath(x.req.URL.Path)
	if !ok {
		return refusal(http.StatusNotFound, "UNSUPPORTED", "this registry has no such endpoint")
	}
	x.last = last
	e := endpoints[verb]
	do, ok := e.methods[x.req.Method]
	if !ok {
		return notAllowed(x.w, e)
	}
	if verb == "catalog" {
		return do(r, x)
	}
	if x.repo, err = r.repositoryOf(x, verb, name); err != nil {
		return err
	}
	if !x.repo.writable() && !slices.Contains([]string{http.MethodGet, http.MethodHead}, x.req.Method) {
		return denied(x.repo)
	}
	return do(r, x)
}

func notAllowed(w http.ResponseWriter, e endpoint) *Error {
	var methods []string
	for m := range e.methods {
		methods = append(methods, m)
	}
	slices.Sort(methods)
	w.Header().Set("Allow", strings.Join(methods, ", "))
	return refusal(http.StatusMethodNotAllowed, "UNSUPPORTED", "this method is not for this path")
}

// denied says why nobody can push here.
func denied(repo repository) *Error {
	first, _, _ := strings.Cut(repo.asked, "/")
	why := first + " is another author: push to me/NAME, and publish it with dockchain publish me/NAME"
	if repo.owner == ownUpstream {
		why = first + " is a registry of its own: push there; this one only reads from it"
	}
	return refusal(http.StatusForbidden, "DENIED", why)
}

// repositoryOf is what the name means to this client: of the registry that it
// names with ?ns=, or that this listener stands for.
func (r *Registry) repositoryOf(x *exchanged, verb, name string) (repository, error) {
	host := x.host
	if ns := x.req.URL.Query().Get("ns"); ns != "" && slices.Contains(reads, verb) && ns != x.req.Host {
		if !hostGrammar.MatchString(ns) || !isHost(ns) {
			return repository{}, badName("ns names no registry")
		}
		x.w.Header().Set("OCI-Namespace", ns)
		host, x.ns = ns, true
	}
	if host == "" {
		return r.parseRepository(name)
	}
	if !nameGrammar.MatchString(name) || len(host)+1+len(name) > maxName {
		return repository{}, badName("a name is lower-case words joined by . _ - or /")
	}
	name = host + "/" + name
	return repository{name: name, asked: name, owner: ownUpstream}, nil
}

// errClient marks what the client did not send or did not take.
var errClient = errors.New("client ended early")
