// The notes of each page with a feed: what does not answer since when, and why nothing is shown yet.
import { createElement as h } from "react";

export function fill(text, values) {
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

// The time of day, with the date unless it is today.
function clock(seconds) {
  const when = new Date(seconds * 1000);
  const time = when.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const today = when.toDateString() === new Date().toDateString();
  return today ? time : `${when.toLocaleDateString([], { day: "numeric", month: "short" })} ${time}`;
}

function exact(seconds) {
  return new Date(seconds * 1000).toLocaleString();
}

function downLine(node, words) {
  const since = fill(node.longer ? words.down_longer : words.down, { node: node.name, time: clock(node.down) });
  if (!node.containers) return since;
  return `${since}; ${fill(node.containers === 1 ? words.down_guest : words.down_guests, { count: node.containers.toLocaleString("en") })}`;
}

function silentLine(node, words) {
  return fill(words.silent_daemon, { node: node.name, time: clock(node.silent) });
}

function failing(meta, words) {
  return meta.failing ? fill(words.failing, { cause: meta.error, time: clock(meta.failing) }) : meta.error;
}

function again(load, words) {
  return h("button", { type: "button", className: "button small", onClick: load }, words.retry);
}

export function Notes({ failure, meta, load, words }) {
  const known = meta.at !== undefined;
  return h("div", { className: "stack-small" },
    failure ? h("div", { className: "note bad", role: "alert" }, h("span", { className: "grow" }, failure), again(load, words)) : null,
    meta.error && known ? h("div", { className: "note bad", role: "alert", title: meta.failing ? exact(meta.failing) : undefined }, `${failing(meta, words)}. ${words.as_old}`) : null,
    ...(meta.nodes || []).filter((node) => node.down || node.silent).map((node) =>
      h("div", { key: node.name, className: "note warm", role: "status", title: exact(node.down || node.silent) }, node.down ? downLine(node, words) : silentLine(node, words))));
}

// Before PVE first answers: the cause, a remedy, and Retry.
export function Unanswered({ meta, load, icon, words }) {
  return h("div", { className: "block", role: "alert" }, icon,
    h("h2", { className: "block-title" }, words.failed),
    h("p", null, `${failing(meta, words)}.`),
    h("p", null, meta.away ? words.remedy_away : words.remedy_wait),
    h("button", { type: "button", className: "button", onClick: load }, words.retry));
}

export function isUnanswered(feed) {
  return feed.v >= 0 && feed.meta.at === undefined && Boolean(feed.meta.error);
}

export function Skeleton({ words }) {
  return h("div", { className: "skeleton", "aria-busy": true, role: "status" },
    h("span", { className: "unseen" }, words.loading), ...[0, 1, 2, 3, 4, 5].map((n) => h("div", { key: n, className: "skeleton-row" })));
}
