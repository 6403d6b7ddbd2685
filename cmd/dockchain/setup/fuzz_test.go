package setup

import (
	"bytes"
	"encoding/json"
	"maps"
	"testing"
)

// Whatever daemon.json says, it says the same with the mirror in it, and is what it
// was once that is taken out.
func FuzzDaemonJSON(f *testing.F) {
	for _, c := range found["docker"] {
		f.Add([]byte(c["etc/docker/daemon.json"]))
	}
	f.Add([]byte(`{"registry-mirrors":["http://127.0.0.1:5005"],"é":{"registry-mirrors":[]}}`))
	m := mirrors{"http://127.0.0.1:5005"}
	f.Fuzz(func(t *testing.T, text []byte) {
		after, err := m.add(text)
		if err != nil {
			return
		}
		var was, is map[string]json.RawMessage
		if err := json.Unmarshal(after, &is); err != nil {
			t.Fatalf("%q became %q: %v", text, after, err)
		}
		if len(bytes.TrimSpace(text)) > 0 {
			if err := json.Unmarshal(text, &was); err != nil {
				t.Fatalf("%q was taken: %v", text, err)
			}
		}
		delete(was, mirrorsKey)
		delete(is, mirrorsKey)
		if !maps.EqualFunc(was, is, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) {
			t.Fatalf("%q became %q", text, after)
		}
		if bytes.Equal(after, text) {
			return // it was there
		}
		left, err := m.cut(after, text)
		if err != nil || !isEmpty(text) && !bytes.Equal(left, text) {
			t.Fatalf("%q became %q and then %q, %v", text, after, left, err)
		}
	})
}

// Whatever a TOML file says, it still says with a block of ours in it.
func FuzzTOML(f *testing.F) {
	for _, client := range []string{"containerd", "podman"} {
		for _, files := range found[client] {
			for _, text := range files {
				f.Add([]byte(text))
			}
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		doc, err := tomlIn(text)
		if err != nil {
			return
		}
		for _, k := range []kind{hostsFile("http://127.0.0.1:5000"), criBlock(criTable[2], doc), emptyValue{criTable[2]}} {
			after, err := k.add(text)
			if err != nil || bytes.Contains(text, []byte("dockchain setup")) {
				continue
			}
			if _, err := tomlIn(after); err != nil {
				t.Fatalf("%q became %q: %v", text, after, err)
			}
			left, err := k.cut(after, text)
			if err != nil || !bytes.Equal(bytes.TrimSuffix(left, []byte("\n")), bytes.TrimSuffix(text, []byte("\n"))) && !bytes.Contains(after, []byte(wasEmpty)) {
				t.Fatalf("%q became %q and then %q, %v", text, after, left, err)
			}
		}
	})
}

func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"version":1,"files":[{"path":"/etc/docker/daemon.json","before":"ab-daemon.json","after":"ab"}],"made":["/etc/dockchain"]}`))
	f.Add([]byte(`{"version":2,"files":[]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := decodeRecord(text)
		for _, w := range r.Files {
			if err == nil && (w.Path == "" || w.Path[0] != '/') {
				t.Fatalf("%q was taken", text)
			}
		}
	})
}
