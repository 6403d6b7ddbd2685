package api

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestGuardClients(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(GuardClients(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})))
	t.Cleanup(srv.Close)
	for _, c := range []struct {
		name   string
		host   string
		header http.Header
		want   int
	}{
		{"docker", "", nil, 204},
		{"by name", "localhost:5000", nil, 204},
		{"rebound name", "evil.example:5000", nil, 403},
		{"no host at all", ".", nil, 403},
		{"foreign page", "", http.Header{"Origin": {"http://evil.example"}}, 403},
		{"image on a foreign page", "", http.Header{"Sec-Fetch-Site": {"cross-site"}}, 403},
		{"typed into a browser", "", http.Header{"Sec-Fetch-Site": {"none"}}, 204},
	} {
		t.Run(c.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = c.host
			for k, v := range c.header {
				req.Header[k] = v
			}
			res, err := srv.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != c.want {
				t.Errorf("answered %d, want %d", res.StatusCode, c.want)
			}
		})
	}
}
