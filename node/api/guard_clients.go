package api

import "net/http"

// GuardClients is the Door of a registry on loopback.
func GuardClients(next http.Handler, hosts ...string) http.Handler {
	return Door{Hosts: hosts}.Clients(next)
}
