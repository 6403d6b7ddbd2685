package api

import (
	"fmt"
	"net/http"
)

// GuardClients stands before a handler on a loopback listener that programs use
// without a token, as docker does the registry. It asks the Host header to name
// this machine, and refuses whatever comes from a page that is not this
// listener's own, reading too: a foreign page could make the node download.
func GuardClients(next http.Handler, hosts ...string) http.Handler {
	cross := http.NewCrossOriginProtection()
	return guardHost(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := cross.Check(r)
		if err == nil && foreign(r) {
			err = fmt.Errorf("cross-origin request")
		}
		if err != nil {
			writeError(w, fmt.Errorf("%w: %w", ErrRefused, err))
			return
		}
		next.ServeHTTP(w, r)
	}), hosts)
}
