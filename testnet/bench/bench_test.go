package main

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"encoding/xml"
	"io"
	nethttp "net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMedian(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in   []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{9, 1}, 5}, {[]float64{5, 100, 1}, 5}} {
		if got := median(tt.in); got != tt.want {
			t.Errorf("median of %v: %v, want %v", tt.in, got, tt.want)
		}
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	s := series{"a": {400, 500, 450}, "b": {200}, "c": {149.6}}
	ratio := &aim{ratio: true, least: true, bound: 2.5}
	for name, tt := range map[string]struct {
		row  plannedRow
		want string
	}{
		"ratio missed": {plannedRow{ours: "a", peer: "b", who: "x", unit: rate, aim: ratio}, "450 MB/s|200 x|2.25|≥ 2.5 ×|no"},
		"value held":   {plannedRow{ours: "c", peer: "b", who: "x", unit: memory, aim: &aim{bound: 150}}, "150 MB|200 x|0.75|< 150|yes"},
		"no aim":       {plannedRow{ours: "a", peer: "b", who: "x", unit: rate}, "450 MB/s|200 x|2.25||"},
		"no peer":      {plannedRow{ours: "b", unit: elapsed, aim: &aim{bound: 50}, digits: 1}, "200 ms|||< 50|no"},
	} {
		mine, peer, ratio, aim, holds := tt.row.judge(s).cells()
		if got := strings.Join([]string{mine, peer, ratio, aim, holds}, "|"); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func TestSelectRows(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, r := range selectRows(regexp.MustCompile("")) {
		if names[r.name] {
			t.Errorf("two rows %s", r.name)
		}
		names[r.name] = true
	}
	plan := selectRows(regexp.MustCompile("^one-to-one/1GiB/http$"))
	if len(plan) != 1 || !needs(plan, "1-layer/ours") || !needs(plan, "1-layer/http") ||
		needs(plan, "1-layer/http-fsync") || needs(plan, "1-layer/aria2c") || needs(plan, "idle") {
		t.Errorf("%+v", plan)
	}
}

func TestBetween(t *testing.T) {
	t.Parallel()
	const marked = "<!-- bench -->\nT\n<!-- /bench -->"
	for page, want := range map[string]string{
		"":                      marked + "\n",
		"no marks":              marked + "\n",
		"<!-- bench --> no end": marked + "\n",
		"a <!-- bench -->\nold\n<!-- /bench --> b": "a " + marked + " b",
	} {
		if got := string(between([]byte(page), []byte("T\n"))); got != want {
			t.Errorf("%q: %q, want %q", page, got, want)
		}
	}
}

func TestChart(t *testing.T) {
	t.Parallel()
	s := series{"1-layer/ours/fetch/rate": {400}, "1-layer/aria2c/fetch/rate": {100}, "1-layer/http/fetch/rate": {500}}
	var rows []Row
	for _, r := range selectRows(regexp.MustCompile("one-to-one/1GiB/(aria2c|http)$")) {
		rows = append(rows, r.judge(s))
	}
	chart := drawChart(rows, machine{Cores: 2, Date: "2026-11-20"})
	if n := bytes.Count(chart, []byte("<rect")); n != 3 {
		t.Errorf("%d bars:\n%s", n, chart)
	}
	d := xml.NewDecoder(bytes.NewReader(chart))
	for {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

func TestImageAndTorrent(t *testing.T) {
	t.Parallel()
	for _, layers := range []int{oneLayer, tenLayers} {
		img, err := makeImage(filepath.Join(t.TempDir(), "image"), layers, 3<<20+7)
		if err != nil {
			t.Fatal(err)
		}
		var all []byte
		for _, name := range img.layers {
			b, err := os.ReadFile(filepath.Join(img.blobs(), name))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, b...)
		}
		if len(img.layers) != layers || int64(len(all)) != img.size || img.size != 3<<20+7 {
			t.Fatalf("%d layers, %d bytes, said to be %d", len(img.layers), len(all), img.size)
		}
		torrent, err := makeTorrent(img, "http://127.0.0.1:1/announce")
		if err != nil {
			t.Fatal(err)
		}
		last := sha1.Sum(all[3<<20:])
		const thirteen = "6:pieces260:" // of 256 KiB, but for the last
		if !bytes.HasSuffix(torrent, append(last[:], "ee"...)) || !bytes.Contains(torrent, []byte(thirteen)) {
			t.Errorf("last piece is not %s", hex.EncodeToString(last[:]))
		}
	}
}

func TestTracker(t *testing.T) {
	t.Parallel()
	tr, err := newTracker()
	if err != nil {
		t.Fatal(err)
	}
	defer tr.close()
	var got []string
	for _, q := range []string{"port=258&left=0", "port=772&left=9", "port=258&left=0&event=stopped", "port=x"} {
		res, err := nethttp.Get(tr.url() + "?" + q)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		got = append(got, string(b))
	}
	want := []string{
		"d8:intervali1e5:peers0:e",
		"d8:intervali1e5:peers6:\x7f\x00\x00\x01\x01\x02e",
		"d8:intervali1e5:peers6:\x7f\x00\x00\x01\x03\x04e",
		"d14:failure reason7:no porte",
	}
	if diff := cmp.Diff(want, got); diff != "" || tr.seeders() != 0 {
		t.Errorf("%d seeders (-want +got):\n%s", tr.seeders(), diff)
	}
}
