// What runs at the endpoint: the number in the top bar of every page, and a drawer with the list.
import { createElement as h, useEffect, useRef, useState } from "react";
import { Link } from "react-router";
import { Ago, Dialog } from "$/public/external/lxc_dashboard/components/widgets/widgets.js";

const WATCH_AGAIN_MS = 30000;

// In the room while the page is visible. A new connection brings an empty `now`, and the page enters the room again.
function useRoom(now, onWatch, onLeave) {
  const calls = useRef({});
  calls.current = { onWatch, onLeave };
  const known = now?.count !== undefined;
  const first = useRef(true);
  useEffect(() => {
    const watch = () => { if (!document.hidden) calls.current.onWatch?.(); };
    const follow = () => { if (document.hidden) calls.current.onLeave?.(); else watch(); };
    watch();
    const timer = setInterval(watch, WATCH_AGAIN_MS);
    document.addEventListener("visibilitychange", follow);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", follow);
      calls.current.onLeave?.();
    };
  }, []);
  useEffect(() => {
    if (first.current) { first.current = false; return; }
    if (!known && !document.hidden) calls.current.onWatch?.();
  }, [now, known]);
}

function Entry({ entry, close, words }) {
  const { href, title, about, dot, word, percent, since } = entry;
  return h("li", { className: "running-entry" },
    h("div", { className: "running-head" },
      href ? h(Link, { to: href, onClick: close }, title) : h("span", null, title),
      h("span", { className: "job-state" }, h("span", { className: `dot ${dot}`, "aria-hidden": true }), word)),
    percent < 0 ? null : h("div", { className: "job-bar", role: "progressbar", "aria-label": `${words.progress} ${title}`, "aria-valuenow": percent, "aria-valuemin": 0, "aria-valuemax": 100 },
      h("div", { className: "job-bar-fill", style: { width: `${percent}%` } })),
    h("div", { className: "running-about soft" }, h("span", null, about), h(Ago, { at: since })));
}

function Drawer({ shown, close, jobsUrl, words }) {
  const { count, entries, more, silent } = shown;
  return h("div", { className: "stack-small" },
    silent ? h("p", { className: "note warm" }, words.silent) : null,
    count ? h("ul", { className: "running-list" }, entries.map((entry) => h(Entry, { key: entry.key, entry, close, words }))) : null,
    more ? h("p", { className: "soft" }, words.more.replace("{count}", more)) : null,
    count ? null : h("p", { className: "soft" }, count === 0 ? words.none : words.loading),
    h("div", { className: "dialog-actions" },
      h(Link, { className: "button", to: jobsUrl, onClick: close }, words.jobs),
      h("button", { type: "button", className: "button", onClick: close, autoFocus: true }, words.close)));
}

export function Running({ now, jobsUrl, words, onWatch, onLeave }) {
  const [open, setOpen] = useState(false);
  const shown = useRef({});
  if (now?.count !== undefined) shown.current = now;
  useRoom(now, onWatch, onLeave);
  const { count } = shown.current;
  const close = () => setOpen(false);
  return h("span", null,
    h("button", { type: "button", className: "button quiet running", "aria-haspopup": "dialog", title: words.title, onClick: () => setOpen(true) },
      h("span", { className: `dot ${count ? "changing" : "stopped"}`, "aria-hidden": true }),
      h("span", { className: "num" }, count === undefined ? "" : count.toLocaleString("en")), h("span", { className: "tool-word" }, words.running),
      h("span", { "aria-hidden": true, className: "tool-mark" }, "\u25be")),
    h(Dialog, { open, title: words.title, onClose: close, className: "drawer" }, h(Drawer, { shown: shown.current, close, jobsUrl, words })));
}
