package main

import nethttp "net/http"

// requestRate is the unit of many small requests.
const requestRate = "requests/s"

const debianRegistry = "docker-registry"

// registryRows are those of the front door, beside Debian's docker-registry.
func registryRows() []plannedRow {
	row := func(name, what, unit, of string, a *aim) plannedRow {
		r := plannedRow{name: "registry/" + name, what: what, unit: unit, ours: "registry/" + ours + "/" + of, aim: a}
		if a != nil && a.ratio {
			r.who, r.peer = debianRegistry, "registry/"+debianRegistry+"/"+of
		}
		return r
	}
	within := func(times float64) *aim { return &aim{ratio: true, least: true, bound: round(1/times, 2)} }
	fromPeer := row("pull-from-peer", "docker pull of 1 GiB in ten layers that only a peer has, beside one that is at the registry", rate, "pull-from-peer", within(1.3))
	fromPeer.peer = "registry/" + debianRegistry + "/pull"
	return []plannedRow{
		row("push", "docker push, 1 GiB in ten layers", rate, "push", within(1.1)),
		row("pull", "docker pull, 1 GiB in ten layers", rate, "pull", within(1.1)),
		fromPeer,
		row("head-manifest", nethttp.MethodHead+" of a manifest by tag, 16 clients", requestRate, "head", &aim{ratio: true, least: true, bound: 1}),
		row("get-small", "GET of a blob of 4 KiB, 16 clients", requestRate, "get", &aim{ratio: true, least: true, bound: 1}),
		row("rss-50-pulls", "peak memory while 50 clients pull 128 MiB that only a peer has", memory, "rss-50", &aim{bound: 200}),
	}
}
