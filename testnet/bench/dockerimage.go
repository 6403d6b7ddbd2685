package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mrand "math/rand/v2"
	nethttp "net/http"
	"os"
	"os/exec"
	"path/filepath"
)

// loadDockerImage makes an image of random files in the Docker Engine, one in a
// layer. It is written as an archive twice: for the digests, and to be loaded.
func loadDockerImage(ctx context.Context, name string, layers int, size int64) error {
	seeds := make([][32]byte, layers)
	var diffs, files []string
	for i := range seeds {
		if _, err := rand.Read(seeds[i][:]); err != nil {
			return err
		}
		h := sha256.New()
		if err := writeLayer(h, i, seeds[i], size/int64(layers)); err != nil {
			return err
		}
		diffs = append(diffs, "sha256:"+hex.EncodeToString(h.Sum(nil)))
		files = append(files, fmt.Sprintf("layer%d.tar", i))
	}
	config, err := json.Marshal(map[string]any{
		"architecture": "amd64", "os": "linux", "config": map[string]any{}, "rootfs": map[string]any{"type": "layers", "diff_ids": diffs},
	})
	if err != nil {
		return err
	}
	manifest, err := json.Marshal([]any{map[string]any{"Config": "config.json", "RepoTags": []string{name}, "Layers": files}})
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "docker", "load", "-q")
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return err
	}
	w := tar.NewWriter(in)
	err = errors.Join(writeTarFile(w, "config.json", config), writeTarFile(w, "manifest.json", manifest))
	for i, seed := range seeds {
		if err == nil {
			err = w.WriteHeader(&tar.Header{Name: files[i], Mode: 0o644, Size: layerSize(size / int64(layers))})
		}
		if err == nil {
			err = writeLayer(w, i, seed, size/int64(layers))
		}
	}
	err = errors.Join(err, w.Close(), in.Close(), cmd.Wait())
	if err != nil {
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(out.Bytes()))
	}
	return nil
}

func writeTarFile(w *tar.Writer, name string, b []byte) error {
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(b))}); err != nil {
		return err
	}
	_, err := w.Write(b)
	return err
}

// layerSize is how long a tar of one file is: its header, its blocks and two
// empty ones.
func layerSize(size int64) int64 { return 512 + (size+511)/512*512 + 1024 }

func writeLayer(w io.Writer, i int, seed [32]byte, size int64) error {
	t := tar.NewWriter(w)
	if err := t.WriteHeader(&tar.Header{Name: fmt.Sprintf("file%d", i), Mode: 0o644, Size: size}); err != nil {
		return err
	}
	if _, err := io.CopyBuffer(t, io.LimitReader(mrand.NewChaCha8(seed), size), make([]byte, 1<<20)); err != nil {
		return err
	}
	return t.Close()
}

// pushLayout pushes an image of a layout, as tag 1, to a repository's base.
func pushLayout(ctx context.Context, img imageDir, base string) error {
	index, err := os.ReadFile(filepath.Join(img.path, "index.json"))
	if err != nil {
		return err
	}
	var top struct {
		Manifests []struct {
			MediaType, Digest string
		}
	}
	if err := json.Unmarshal(index, &top); err != nil {
		return err
	}
	root := top.Manifests[0].Digest
	entries, err := os.ReadDir(img.blobs())
	if err != nil {
		return err
	}
	for _, e := range entries {
		if d := "sha256:" + e.Name(); d != root {
			if err := pushBlob(ctx, filepath.Join(img.blobs(), e.Name()), d, base); err != nil {
				return err
			}
		}
	}
	b, err := os.ReadFile(filepath.Join(img.blobs(), root[len("sha256:"):]))
	if err != nil {
		return err
	}
	_, err = send(ctx, nethttp.MethodPut, base+"manifests/1", top.Manifests[0].MediaType, b)
	return err
}

func pushBlob(ctx context.Context, path, digest, base string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	res, err := send(ctx, nethttp.MethodPost, base+"blobs/uploads/", "", nil)
	if err != nil {
		return err
	}
	at, err := res.Location()
	if err != nil {
		return err
	}
	q := at.Query()
	q.Set("digest", digest)
	at.RawQuery = q.Encode()
	_, err = send(ctx, nethttp.MethodPut, at.String(), "application/octet-stream", b)
	return err
}

// send wants 201 or 202.
func send(ctx context.Context, method, url, contentType string, body []byte) (*nethttp.Response, error) {
	req, err := nethttp.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	res, err := nethttp.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	said, err := io.ReadAll(io.LimitReader(res.Body, 1<<10))
	if err == nil && res.StatusCode != nethttp.StatusCreated && res.StatusCode != nethttp.StatusAccepted {
		err = fmt.Errorf("%s %s: %s: %s", method, url, res.Status, said)
	}
	return res, err
}
