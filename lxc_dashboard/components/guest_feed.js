// The rows of the feed, outside of React's state: a patch changes a few of thousands.
// The snapshot comes over HTTP ({v, columns: {field: [value]}, meta}, without columns for a page without rows), then patches
// ({v, prev, rows or packed, gone: [vmid], meta}). `prev` names the patch before. If that is not the last merged one, a patch
// was missed, and the snapshot is fetched again.
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { changesOf, rowsOf } from "$/public/external/lxc_dashboard/components/list_parts/guest_rows.js";

const SILENT_AFTER_MS = 9000;
export const FILTERS = ["status", "node", "pool", "tag"];
const order = new Intl.Collator(undefined, { numeric: true });

export function share(used, total) {
  return total > 0 ? Math.min(1, used / total) : 0;
}

// The shape of a row's state mark, and its word.
export function stateOf(row, words) {
  if (row.busy) return ["changing", row.busy];
  if (row.lifecycle === "error") return ["error", `${words[row.status] || row.status}, ${words.creation_failed}`];
  if (row.lifecycle === "creating") return ["changing", words.creating];
  return [row.status === "running" || row.status === "stopped" ? row.status : "unknown", words[row.status] || row.status];
}

function sortValue(row, key) {
  if (key === "since") return row.since ? Date.now() / 1000 - row.since : 0;
  if (key === "mem") return share(row.mem, row.maxmem);
  if (key === "disk") return share(row.disk, row.maxdisk);
  if (key === "net") return (row.rx || 0) + (row.tx || 0);
  return row[key] === undefined ? "" : row[key];
}

function matches(row, view, wanted) {
  if (view.status && row.status !== view.status) return false;
  if (view.node && row.node !== view.node) return false;
  if (view.pool && row.pool !== view.pool) return false;
  if (view.tag && !(row.tags || []).includes(view.tag)) return false;
  return wanted.every((word) => row.text.includes(word));
}

const SEARCHED = ["name", "node", "address", "pool", "recipe", "tags"];

function withText(row) {
  row.text = [row.vmid, ...SEARCHED.map((name) => row[name]).flat()].join(" ").toLowerCase();
  return row;
}

// The view is in the address, so that a reload or a shared link shows the same.
export function readView() {
  const query = new URLSearchParams(window.location.search);
  const view = { q: query.get("q") || "", sort: query.get("sort") || "vmid", down: query.get("down") === "1" };
  for (const name of FILTERS) view[name] = query.get(name) || "";
  return view;
}

export function writeView(view) {
  const query = new URLSearchParams();
  for (const name of ["q", ...FILTERS]) if (view[name]) query.set(name, view[name]);
  if (view.sort !== "vmid") query.set("sort", view.sort);
  if (view.down) query.set("down", "1");
  const text = query.toString();
  window.history.replaceState(window.history.state, "", window.location.pathname + (text ? `?${text}` : ""));
}

function merge(feed, patch) {
  for (const [vmid, fields] of feed.listed ? patch.changes : []) {
    const row = { ...(feed.rows.get(vmid) || {}), ...fields };
    feed.rows.set(vmid, SEARCHED.some((name) => name in fields) ? withText(row) : row);
  }
  for (const vmid of patch.gone || []) feed.rows.delete(String(vmid));
  if (patch.meta) feed.meta = { ...feed.meta, ...patch.meta };
  feed.v = patch.v;
}

async function snapshot(url, words) {
  const answer = await fetch(url, { credentials: "same-origin", headers: { Accept: "application/json" } });
  if (answer.status === 401) {
    const here = window.location.pathname + window.location.search;
    window.location.assign(`/sign-in?next=${encodeURIComponent(here)}`);
    return null;
  }
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.error || words.unreadable.replace("{status}", answer.status));
  return body;
}

// [feed, version, failure, load]: version grows with each change of feed.
export function useFeed(snapshotUrl, patch, words, onWatch, onLeave) {
  const store = useRef({ v: -1, here: false, listed: true, rows: new Map(), meta: {}, heard: 0, loading: false, later: [], taking: Promise.resolve() });
  const [version, setVersion] = useState(0);
  const [failure, setFailure] = useState("");
  const bump = useCallback(() => setVersion((n) => n + 1), []);

  const load = useCallback(async () => {
    const feed = store.current;
    if (feed.loading) return;
    feed.loading = true;
    let missed = false;
    try {
      const body = await snapshot(snapshotUrl, words);
      if (!body) return;
      feed.listed = body.columns !== undefined;
      feed.rows = new Map(rowsOf(body.columns || {}).map((row) => [String(row.vmid), withText(row)]));
      feed.v = body.v;
      feed.meta = body.meta;
      feed.heard = Date.now();
      const waiting = feed.later.filter((entry) => entry.v > feed.v);
      feed.later = [];
      missed = !waiting.every((entry) => entry.prev === feed.v && (merge(feed, entry), true));
      setFailure("");
    } catch (error) {
      setFailure(error instanceof TypeError || !error.message ? words.silent : error.message);
    } finally {
      feed.loading = false;
      // The server sends what changed since this version.
      if (feed.here) onWatch(feed.v);
      bump();
    }
    if (missed) await load();
  }, [snapshotUrl, bump]);

  const take = useCallback(async (patch) => {
    const feed = store.current;
    const entry = { ...patch, changes: feed.listed ? await changesOf(patch) : [] };
    if (entry.v <= feed.v) return;
    if (feed.loading) { feed.later.push(entry); return; }
    // A patch was missed, or the snapshot could not be read before.
    if (entry.prev !== feed.v) { load(); return; }
    merge(feed, entry);
    setFailure("");
    bump();
  }, [load, bump]);

  useEffect(() => {
    store.current.here = true;
    load();
    return () => { store.current.here = false; onLeave(); };
  }, [load]);
  useEffect(() => {
    const feed = store.current;
    if (!patch || patch.v === undefined || patch.v <= feed.v) return;
    feed.heard = Date.now();
    // In their order: unpacking is asynchronous.
    feed.taking = feed.taking.then(() => take(patch)).catch(load);
  }, [patch, take, load]);
  useEffect(() => {
    const timer = setInterval(() => {
      if (Date.now() - store.current.heard < SILENT_AFTER_MS || document.hidden) return;
      store.current.heard = Date.now();
      load();
    }, 1000);
    return () => clearInterval(timer);
  }, [load]);
  return [store.current, version, failure, load];
}

export function useShown(feed, version, view) {
  return useMemo(() => {
    const wanted = view.q.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = [...feed.rows.values()].filter((row) => matches(row, view, wanted));
    const sign = view.down ? -1 : 1;
    const keyed = rows.map((row) => [sortValue(row, view.sort), row]);
    keyed.sort(([x, a], [y, b]) => {
      if (x === y) return a.vmid - b.vmid;
      return sign * (typeof x === "number" && typeof y === "number" ? x - y : order.compare(x, y));
    });
    return keyed.map(([, row]) => row);
  }, [feed, version, view]);
}

// The options of each filter: all existing values, and the chosen one.
export function choices(rows, view) {
  const found = Object.fromEntries(FILTERS.map((name) => [name, new Set(view[name] ? [view[name]] : [])]));
  for (const row of rows.values()) {
    found.status.add(row.status);
    found.node.add(row.node);
    if (row.pool) found.pool.add(row.pool);
    (row.tags || []).forEach((tag) => found.tag.add(tag));
  }
  return Object.fromEntries(FILTERS.map((name) => [name, [...found[name]].sort(order.compare)]));
}
