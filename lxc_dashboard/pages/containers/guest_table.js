// The list of containers: a windowed table that draws only visible rows, or cards on a narrow screen.
import { createElement as h, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { Link, useLocation, useNavigate } from "react-router";
import { Dialog, Meter, iec as bytes, span } from "$/public/external/lxc_dashboard/components/widgets/widgets.js";
import { FILTERS, choices, readView, stateOf, useFeed, useShown, writeView } from "$/public/external/lxc_dashboard/components/list_parts/guest_feed.js";
import { Notes, Skeleton, Unanswered, fill, isUnanswered } from "$/public/external/lxc_dashboard/components/list_parts/feed_notes.js";
import { isAlone, singleKeys, typing, useSingleKeys } from "$/public/external/lxc_dashboard/components/frame/keys.js";

const ROW_PX = 32;
const CARD_PX = 76;
const NARROW_PX = 700;
const OVERSCAN = 12;
const COLUMNS = [
  ["vmid", "num"],
  ["name", ""],
  ["recipe", ""],
  ["node", ""],
  ["address", "mono"],
  ["cpu", "num"],
  ["mem", "num"],
  ["disk", "num"],
  ["net", "num"],
  ["since", "num"],
];

function count(number) {
  return number.toLocaleString("en");
}

// Both in the unit of the larger one: ↓38.2 ↑29.1 KiB/s.
function rates(rx, tx) {
  const [greatest, unit] = bytes(Math.max(rx, tx)).split(" ");
  const factor = Math.max(rx, tx) / (Number(greatest) || 1) || 1;
  const shown = (rate) => String(Math.round((10 * rate) / factor) / 10);
  return `↓${shown(rx)} ↑${shown(tx)} ${unit}/s`;
}

// Empty if unknown, as for a guest whose node is down.
function sizeOf(total) {
  return total ? bytes(total) : "";
}

function meterOf(used, total, label, words) {
  return h(Meter, { value: used, total, label, detail: fill(words.used_of, { used: bytes(used), total: bytes(total) }) });
}

// PVE's lock on a guest (backup, snapshot, migrate) replaces its tags, so that it fits beside a long name.
function marks(row, words) {
  if (row.lock) return [h("span", { key: "lock", className: "badge warm lock", title: fill(words.locked, { lock: row.lock }) }, fill(words.lock, { lock: row.lock }))];
  return (row.tags || []).slice(0, 3).map((tag) => h("span", { key: tag, className: "badge" }, tag));
}

function name(row, words) {
  const shown = row.job ? h(Link, { to: `/jobs/${row.job}`, title: words.how_created }, row.name) : h("span", { title: row.name }, row.name);
  return h("span", { className: "guest-name", title: [row.name, ...(row.tags || [])].join(", ") }, shown, ...marks(row, words));
}

function cell(row, key, words) {
  const running = row.status === "running";
  if (key === "vmid") return row.vmid;
  if (key === "name") return name(row, words);
  if (key === "cpu") return running ? h(Meter, { value: row.cpu || 0, label: words.cpu, detail: fill(words.of_cores, { cores: row.maxcpu }) }) : "";
  if (key === "mem") return running ? meterOf(row.mem, row.maxmem, words.mem, words) : sizeOf(row.maxmem);
  if (key === "disk") return row.disk ? meterOf(row.disk, row.maxdisk, words.disk, words) : sizeOf(row.maxdisk);
  if (key === "net") return running ? rates(row.rx || 0, row.tx || 0) : "";
  if (key === "since") return running && row.since ? span(Date.now() / 1000 - row.since) : "";
  return row[key] ? h("span", { title: row[key] }, row[key]) : "";
}

// The needed privilege that the user lacks, in words. Empty before PVE has answered: PVE then refuses the act itself.
function barredBy({ rights }, vmid, needed, words) {
  const privilege = needed.find((each) => rights?.[each] && rights[each].usual === rights[each].others.includes(vmid));
  return privilege && fill(words.missing, { privilege, path: `/vms/${vmid}` });
}

function Console({ row, barred, consoleUrl, words }) {
  const label = `${words.console} CT ${row.vmid} ${row.name}`;
  const shared = { className: "button small mono", title: barred || words.console, onClick: (event) => event.stopPropagation() };
  if (!barred) return h(Link, { ...shared, to: fill(consoleUrl, { vmid: row.vmid }), "aria-label": label }, ">_");
  return h("button", { ...shared, type: "button", disabled: true, "aria-label": `${label}. ${barred}` }, ">_");
}

function Acts({ row, act, barredFrom, consoleUrl, words }) {
  const idle = !row.busy && row.status !== "unknown" && row.lifecycle !== "creating";
  const button = (action) => {
    const barred = barredFrom(row.vmid, action);
    const label = `${words[action]} CT ${row.vmid} ${row.name}`;
    return h("button", {
      key: action, type: "button", className: "button small", disabled: !idle || Boolean(barred), title: barred, "aria-label": barred ? `${label}. ${barred}` : label,
      onClick: (event) => { event.stopPropagation(); act(row, action); },
    }, words[action]);
  };
  if (row.status !== "running") return h("span", { className: "guest-acts" }, button("start"));
  return h("span", { className: "guest-acts" },
    h(Console, { row, barred: barredFrom(row.vmid, "console"), consoleUrl, words }),
    ["shutdown", "stop"].map(button));
}

function Mark({ row, words }) {
  const [shape, word] = stateOf(row, words);
  return h("span", { className: `dot ${shape}`, title: word, role: "img", "aria-label": word });
}

function Line({ row, index, rowPx, narrow, chosen, choose, act, barredFrom, consoleUrl, words }) {
  const props = {
    role: "row", "aria-rowindex": index + 2, "aria-current": chosen ? "true" : undefined, "data-vmid": row.vmid, "data-status": row.status,
    className: `${narrow ? "guest-card" : "guest-row"}${chosen ? " selected" : ""}`, style: { top: index * rowPx }, onClick: () => choose(row.vmid),
  };
  if (narrow) {
    return h("div", props,
      h("div", { role: "cell", className: "guest-card-head" }, h(Mark, { row, words }), h("span", { className: "num" }, row.vmid), name(row, words), h("span", { className: "soft" }, stateOf(row, words)[1])),
      h("div", { role: "cell", className: "guest-card-foot" }, h("span", { className: "mono" }, [row.node, row.address].filter(Boolean).join(" · ")), h(Acts, { row, act, barredFrom, consoleUrl, words })));
  }
  return h("div", props,
    h("div", { role: "cell", className: "guest-cell mark" }, h(Mark, { row, words })),
    ...COLUMNS.map(([key, kind]) => h("div", { key, role: "cell", className: `guest-cell ${kind} col-${key}` }, cell(row, key, words))),
    h("div", { role: "cell", className: "guest-cell acts" }, h(Acts, { row, act, barredFrom, consoleUrl, words })));
}

function Head({ view, change, words }) {
  const direction = view.down ? "descending" : "ascending";
  const sorted = (key) => (view.sort === key ? h("span", { "aria-hidden": true }, view.down ? " ↓" : " ↑") : null);
  return h("div", { role: "rowgroup" }, h("div", { role: "row", "aria-rowindex": 1, className: "guest-head" },
    h("div", { role: "columnheader", className: "guest-cell mark" }, h("span", { className: "unseen" }, words.status)),
    ...COLUMNS.map(([key, kind]) => h("div", { key, role: "columnheader", className: `guest-cell ${kind === "num" ? "num" : ""} col-${key}`, "aria-sort": view.sort === key ? direction : "none" },
      h("button", { type: "button", className: "sort", onClick: () => change({ sort: key, down: view.sort === key ? !view.down : false }) }, words[key], sorted(key)))),
    h("div", { role: "columnheader", className: "guest-cell acts" }, h("span", { className: "unseen" }, words.actions))));
}

function Filters({ view, change, found, inputRef, words }) {
  return h("div", { className: "filter-row", role: "search" },
    h("input", {
      ref: inputRef, type: "search", className: "input", placeholder: words.filter_hint, "aria-label": words.filter, "aria-keyshortcuts": useSingleKeys() ? "/" : undefined, value: view.q,
      onChange: (event) => change({ q: event.target.value }),
      onKeyDown: (event) => { if (event.key === "Escape" || event.key === "Enter") event.target.blur(); },
    }),
    ...FILTERS.map((key) => found[key].length > 0 && h("select", { key, className: "select", "aria-label": words[`filter_${key}`], value: view[key], onChange: (event) => change({ [key]: event.target.value }) },
      h("option", { value: "" }, words[`any_${key}`]), ...found[key].map((value) => h("option", { key: value, value }, key === "status" ? words[value] || value : value)))));
}

function Nothing({ feed, failure, load, clear, icon, words }) {
  if (feed.v < 0) return failure ? null : h(Skeleton, { words });
  if (feed.rows.size > 0) return h("div", { className: "empty" }, h("p", null, words.no_match), h("button", { type: "button", className: "button", onClick: clear }, words.clear));
  if (isUnanswered(feed)) return h(Unanswered, { meta: feed.meta, load, icon, words });
  if (failure || feed.meta.error) return null;
  return h("div", { className: "empty" }, h("p", null, words.empty));
}

function Confirm({ asked, close, onAct, words }) {
  const { row, action } = asked || {};
  const submit = (event) => { event.preventDefault(); close(); onAct(row.vmid, row.node, row.name, action); };
  return h(Dialog, { open: Boolean(asked), title: asked ? fill(words.ask, { verb: words[action], vmid: row.vmid, name: row.name }) : "", onClose: close },
    h("form", { onSubmit: submit }, h("p", { className: "dialog-text" }, words[`${action}_means`]),
      h("div", { className: "dialog-actions" }, h("button", { type: "button", className: "button", onClick: close, autoFocus: true }, words.cancel), h("button", { type: "submit", className: "button danger" }, words[action]))));
}

function useNarrow() {
  const [narrow, setNarrow] = useState(window.innerWidth < NARROW_PX);
  useEffect(() => {
    const follow = () => setNarrow(window.innerWidth < NARROW_PX);
    window.addEventListener("resize", follow);
    return () => window.removeEventListener("resize", follow);
  }, []);
  return narrow;
}

function useWindow(total, rowPx) {
  const box = useRef(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(800);
  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const seen = new ResizeObserver(() => setHeight(element.clientHeight));
    seen.observe(element);
    return () => seen.disconnect();
  }, []);
  const first = Math.max(0, Math.floor(top / rowPx) - OVERSCAN);
  const last = Math.min(total, Math.ceil((top + height) / rowPx) + OVERSCAN);
  return { box, first, last, onScroll: (event) => setTop(event.currentTarget.scrollTop) };
}

// j and k move through the rows, Enter opens the job of the chosen one, / goes to the filter.
function useKeys(rows, vmid, choose, inputRef, box, rowPx) {
  const navigate = useNavigate();
  useEffect(() => {
    const at = rows.findIndex((row) => row.vmid === vmid);
    const move = (to) => {
      const next = Math.max(0, Math.min(rows.length - 1, to));
      const element = box.current;
      if (!rows[next] || !element) return;
      choose(rows[next].vmid);
      if (next * rowPx < element.scrollTop) element.scrollTop = next * rowPx;
      else if ((next + 1) * rowPx > element.scrollTop + element.clientHeight) element.scrollTop = (next + 1) * rowPx - element.clientHeight;
    };
    const press = (event) => {
      if (typing(event.target) || !isAlone(event)) return;
      const single = singleKeys() ? event.key : "";
      if (single === "/") { event.preventDefault(); inputRef.current?.focus(); }
      else if (single === "j") move(at + 1);
      else if (single === "k") move(at < 0 ? 0 : at - 1);
      else if (event.key === "Enter" && (event.target === document.body || event.target === box.current) && rows[at]?.job) navigate(`/jobs/${rows[at].job}`);
    };
    window.addEventListener("keydown", press);
    return () => window.removeEventListener("keydown", press);
  }, [rows, vmid, choose, inputRef, box, rowPx, navigate]);
}

// A link to the list, followed while it is shown, changes its view.
function useLedTo(setView) {
  const { key } = useLocation();
  const first = useRef(key);
  useEffect(() => { if (key !== first.current) setView(readView()); first.current = key; }, [key, setView]);
}

function counted(shown, feed, words) {
  if (feed.v < 0 || isUnanswered(feed)) return "";
  const all = feed.rows.size;
  if (shown.length !== all) return fill(all === 1 ? words.counted_some_one : words.counted_some, { shown: count(shown.length), all: count(all) });
  return fill(all === 1 ? words.counted_one : words.counted, { all: count(all) });
}

export function GuestTable({ snapshotUrl, consoleUrl, needs, patch, words, onAct, onWatch, onLeave, children }) {
  const [feed, version, failure, load] = useFeed(snapshotUrl, patch, words, onWatch, onLeave);
  const [view, setView] = useState(readView);
  useLedTo(setView);
  const [chosen, choose] = useState(0);
  const [asked, setAsked] = useState(null);
  const inputRef = useRef(null);
  const narrow = useNarrow();
  const rowPx = narrow ? CARD_PX : ROW_PX;
  const change = useCallback((part) => setView((old) => { const next = { ...old, ...part }; writeView(next); return next; }), []);
  const shown = useShown(feed, version, view);
  const found = useMemo(() => choices(feed.rows, view), [feed, version, ...FILTERS.map((name) => view[name])]);
  const { box, first, last, onScroll } = useWindow(shown.length, rowPx);
  useKeys(shown, chosen, choose, inputRef, box, rowPx);
  const act = (row, action) => (words[`${action}_means`] ? setAsked({ row, action }) : onAct(row.vmid, row.node, row.name, action));
  const barredFrom = (vmid, action) => barredBy(feed.meta, vmid, needs[action], words);
  const clear = () => change({ q: "", status: "", node: "", pool: "", tag: "" });
  const lines = shown.slice(first, last).map((row, offset) => h(Line, { key: row.vmid, row, index: first + offset, rowPx, narrow, chosen: row.vmid === chosen, choose, act, barredFrom, consoleUrl, words }));
  return h("section", { className: `guests${narrow ? " narrow" : ""}`, "aria-label": words.title },
    h("p", { className: "count", role: "status" }, counted(shown, feed, words)),
    feed.v >= 0 && feed.rows.size === 0 ? null : h(Filters, { view, change, found, inputRef, words }),
    h(Notes, { failure, meta: feed.meta, load, words }),
    shown.length === 0 ? h(Nothing, { feed, failure, load, clear, icon: children, words }) : null,
    h("div", { role: "table", "aria-label": words.title, "aria-rowcount": shown.length + 1, className: "guest-table", hidden: shown.length === 0 },
      narrow ? null : h(Head, { view, change, words }),
      h("div", { ref: box, className: "guest-rows", onScroll, tabIndex: 0, role: "rowgroup", "aria-label": words.rows },
        h("div", { style: { height: shown.length * rowPx, position: "relative" }, role: "presentation" }, lines))),
    h(Confirm, { asked, close: () => setAsked(null), onAct, words }));
}
