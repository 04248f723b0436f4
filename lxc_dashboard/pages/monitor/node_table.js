// The dashboard's nodes and counts of containers, from the feed without its rows.
import { createElement as h } from "react";
import { Link } from "react-router";
import { Meter, iec as bytes, span } from "$/public/external/lxc_dashboard/components/widgets/widgets.js";
import { useFeed } from "$/public/external/lxc_dashboard/components/list_parts/guest_feed.js";
import { Notes, Skeleton, Unanswered, fill, isUnanswered } from "$/public/external/lxc_dashboard/components/list_parts/feed_notes.js";

const COLUMNS = [["node", ""], ["state", ""], ["cpu", ""], ["mem", ""], ["mem_total", "num wide spare"], ["containers", "num"], ["uptime", "num wide"]];

function count(number) {
  return number.toLocaleString("en");
}

function listed(url, name, value) {
  return `${url}?${new URLSearchParams({ [name]: value })}`;
}

function sum(nodes, name) {
  return nodes.reduce((all, node) => all + node[name], 0);
}

function Figure({ label, children }) {
  return h("div", { className: "figure" }, h("dt", { className: "figure-label" }, label), h("dd", { className: "figure-value num" }, children));
}

function Figures({ nodes, listUrl, words }) {
  const running = sum(nodes, "running");
  const stopped = sum(nodes, "stopped");
  const unknown = sum(nodes, "containers") - running - stopped;
  const link = (status, number) => h(Link, { to: listed(listUrl, "status", status) }, count(number));
  return h("dl", { className: "figures" },
    h(Figure, { label: words.nodes_online }, `${nodes.filter((node) => !node.down).length}/${nodes.length}`),
    h(Figure, { label: words.containers_running }, link("running", running)),
    h(Figure, { label: words.containers_stopped }, link("stopped", stopped)),
    unknown ? h(Figure, { label: words.containers_unknown }, link("unknown", unknown)) : null);
}

// A node's figure: empty while it is down, "unknown" if PVE does not show it to the user.
function Known({ node, words, children }) {
  if (node.down) return null;
  return node.maxmem ? children : h("span", { className: "soft", title: fill(words.no_figures, { node: node.name }) }, words.unknown);
}

function Line({ node, listUrl, words }) {
  const detail = fill(words.used_of, { used: bytes(node.mem), total: bytes(node.maxmem) });
  return h("tr", null,
    h("td", null, h(Link, { className: "mono", to: listed(listUrl, "node", node.name) }, node.name)),
    h("td", null, h("span", { className: `dot ${node.down ? "unknown" : "running"}`, "aria-hidden": true }), " ", node.down ? words.offline : words.online),
    h("td", null, h(Known, { node, words }, h(Meter, { value: node.cpu, label: words.cpu, detail: fill(words.of_cores, { cores: node.maxcpu }) }))),
    h("td", null, h(Known, { node, words }, h(Meter, { value: node.mem, total: node.maxmem, label: words.mem, detail }))),
    h("td", { className: "num wide spare" }, node.maxmem ? bytes(node.maxmem) : null),
    h("td", { className: "num" }, `${node.down ? "?" : count(node.running)}/${count(node.containers)}`),
    h("td", { className: "num wide" }, node.since ? span(Date.now() / 1000 - node.since) : null));
}

function Nodes({ nodes, listUrl, words }) {
  return h("div", { className: "table-scroll", tabIndex: 0, role: "region", "aria-label": words.title },
    h("table", { className: "table", "aria-label": words.title },
      h("thead", null, h("tr", null, COLUMNS.map(([key, kind]) => h("th", { key, className: kind || undefined, scope: "col" }, words[key])))),
      h("tbody", null, nodes.map((node) => h(Line, { key: node.name, node, listUrl, words })))));
}

function None({ createUrl, words }) {
  return h("div", { className: "row" }, h("p", { className: "soft" }, words.empty), h(Link, { className: "button", to: createUrl }, words.create));
}

function Shown({ nodes, listUrl, createUrl, words }) {
  if (!nodes.length) return h("div", { className: "empty" }, h("p", null, words.no_nodes), h("p", null, words.no_nodes_next));
  return h("div", { className: "stack" },
    h(Figures, { nodes, listUrl, words }),
    sum(nodes, "containers") ? null : h(None, { createUrl, words }),
    h(Nodes, { nodes, listUrl, words }));
}

export function NodeTable({ snapshotUrl, listUrl, createUrl, patch, words, onWatch, onLeave, children }) {
  const [feed, , failure, load] = useFeed(snapshotUrl, patch, words, onWatch, onLeave);
  const nodes = feed.meta.nodes;
  return h("div", { className: "stack" },
    h(Notes, { failure, meta: feed.meta, load, words }),
    isUnanswered(feed) ? h(Unanswered, { meta: feed.meta, load, icon: children, words }) : null,
    nodes ? h(Shown, { nodes, listUrl, createUrl, words }) : null,
    nodes || failure || isUnanswered(feed) ? null : h(Skeleton, { words }));
}
