package registry

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/opencontainers/go-digest"
)

// BenchmarkRequests measures small requests by several clients: go test -bench
// Requests -cpu 8 ./node/registry. testnet/bench compares with another registry.
func BenchmarkRequests(b *testing.B) {
	f := newFixture(b)
	img := makeImage(b, "layer")
	f.push("team/app", "1", img)
	for name, r := range map[string][2]string{
		"HEAD manifest": {"HEAD", "/v2/team/app/manifests/1"}, "GET manifest": {"GET", "/v2/team/app/manifests/1"},
		"HEAD blob": {"HEAD", "/v2/team/app/blobs/" + digest.FromString("layer").String()},
		"GET blob":  {"GET", "/v2/team/app/blobs/" + digest.FromString("layer").String()},
	} {
		b.Run(name, func(b *testing.B) {
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
			defer client.CloseIdleConnections()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if a := send(b, client, r[0], f.server.URL+r[1], nil); a.status != 200 {
						b.Errorf("%d", a.status)
					}
				}
			})
			f.events.take()
		})
	}
}

// BenchmarkTransfer measures a layer of 64 MiB, pushed as docker pushes it and
// pulled.
func BenchmarkTransfer(b *testing.B) {
	f := newFixture(b)
	data := make([]byte, 64<<20)
	b.Run("push", func(b *testing.B) {
		b.SetBytes(int64(len(data)))
		for i := range b.N {
			copy(data, fmt.Sprint(i))
			d := digest.FromBytes(data)
			loc := f.begin("team/app", "")
			f.want(f.do("PATCH", loc, data), 202)
			f.want(f.do("PUT", loc+"?digest="+d.String(), nil), 201)
		}
	})
	b.Run("pull", func(b *testing.B) {
		d := f.pushBlob("team/app", data)
		b.SetBytes(int64(len(data)))
		for range b.N {
			res, err := f.server.Client().Get(f.server.URL + "/v2/team/app/blobs/" + d.String())
			if err != nil {
				b.Fatal(err)
			}
			n, err := io.Copy(io.Discard, res.Body)
			res.Body.Close()
			if err != nil || n != int64(len(data)) {
				b.Fatalf("%d bytes, %v", n, err)
			}
		}
	})
}
