// What plain HTML cannot do: the age of a time, a dialog that keeps the focus, a copy button, notices.
import { Component, Fragment, createElement as h, useCallback, useEffect, useId, useRef, useState } from "react";
import { Link, useLocation } from "react-router";
import { copyText } from "$/public/external/lxc_dashboard/components/widgets/copy_text.js";

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const AGO_EVERY_MS = 10000;
const COPIED_MS = 4000;

export function iec(bytes) {
  let value = Number(bytes) || 0;
  let step = 0;
  while (value >= 1024 && step < UNITS.length - 1) { value /= 1024; step += 1; }
  return `${step === 0 || value >= 100 ? Math.round(value) : value.toFixed(1).replace(/\.0$/, "")} ${UNITS[step]}`;
}

export function span(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 172800) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86400)} d`;
}

function relative(when, now) {
  const seconds = Math.round((now - when) / 1000);
  if (Math.abs(seconds) < 5) return "now";
  return seconds >= 0 ? `${span(seconds)} ago` : `in ${span(-seconds)}`;
}

// at: an ISO 8601 time, or seconds since the epoch. Exact on hover.
export function Ago({ at, className }) {
  const when = typeof at === "number" ? at * 1000 : Date.parse(at);
  const [now, setNow] = useState(null);
  useEffect(() => {
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), AGO_EVERY_MS);
    return () => clearInterval(timer);
  }, [at]);
  if (!at || Number.isNaN(when) || now === null) return h("span", { className }, "");
  const exact = new Date(when);
  return h("time", { className, dateTime: exact.toISOString(), title: exact.toLocaleString() }, relative(when, now));
}

export function Bytes({ value, className }) {
  return h("span", { className: `num ${className || ""}`, title: `${Number(value || 0).toLocaleString()} B` }, iec(value));
}

// value and total in the same unit, or value as a share of 1 when total is absent.
export function Meter({ value, total, label, detail }) {
  const share = total === undefined || total === null ? value : total > 0 ? value / total : 0;
  const percent = Math.round(Math.min(1, Math.max(0, share || 0)) * 100);
  const level = percent >= 90 ? "high" : percent >= 70 ? "warm" : "calm";
  const word = level === "high" ? "very high" : level === "warm" ? "high" : "";
  return h("span", { className: `usage ${level}`, title: detail },
    h("span", { className: "usage-track", role: "meter", "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 100,
      "aria-valuenow": percent, "aria-valuetext": `${percent} %${word ? `, ${word}` : ""}` },
      h("span", { className: "usage-fill", style: { width: `${percent}%` } })),
    h("span", { className: "usage-text", "aria-hidden": true }, `${percent} %${level === "high" ? " !" : ""}`));
}

// [outcome, copy]: the result of the last `copy(text)` for a moment. A browser may refuse to copy.
export function useCopied() {
  const [outcome, setOutcome] = useState("");
  const timer = useRef(null);
  useEffect(() => () => clearTimeout(timer.current), []);
  const copy = useCallback(async (text) => {
    const came = await copyText(text).then(() => "copied", () => "failed");
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setOutcome(""), COPIED_MS);
    setOutcome(came);
  }, []);
  return [outcome, copy];
}

// `atOnce` copies when the button appears.
export function CopyButton({ value, label, done, failed, atOnce }) {
  const [outcome, copy] = useCopied();
  useEffect(() => { if (atOnce) copy(value); }, [atOnce, value, copy]);
  return h("button", { type: "button", className: "button quiet small", onClick: () => copy(value) },
    h("span", { "aria-live": "polite" }, { copied: done, failed }[outcome] || label));
}

// A modal on the browser's own <dialog>: focus stays inside, Escape closes, the page behind is inert.
export function Dialog({ open, title, onClose, children, className }) {
  const ref = useRef(null);
  const id = useId();
  useEffect(() => {
    const dialog = ref.current;
    if (!dialog) return;
    if (open && !dialog.open) dialog.showModal();
    if (!open && dialog.open) dialog.close();
  }, [open]);
  return h("dialog", { ref, className: `dialog ${className || ""}`, "aria-labelledby": id,
    onCancel: (event) => { event.preventDefault(); onClose?.(); } },
    open ? h("h2", { id, className: "dialog-title" }, title) : null, open ? children : null);
}

// A button that asks first. `expected`, when set, must be typed before the verb can be pressed.
export function ConfirmButton({ label, title, consequence, verb, cancel, ask, expected, kind, disabled, onConfirm, onTyped }) {
  const [open, setOpen] = useState(false);
  const [typed, setTyped] = useState("");
  const close = () => { setOpen(false); setTyped(""); };
  const ready = !expected || typed.trim() === String(expected);
  const submit = (event) => {
    event.preventDefault();
    event.stopPropagation();
    if (!ready) return;
    close();
    onConfirm?.();
    onTyped?.(typed.trim());
  };
  return h("span", { className: "confirm" },
    h("button", { type: "button", className: `button ${kind || "danger"}`, disabled, onClick: () => setOpen(true) }, label),
    h(Dialog, { open, title, onClose: close },
      h("form", { onSubmit: submit },
        h("p", { className: "dialog-text" }, consequence),
        expected ? h("label", { className: "field" }, h("span", { className: "field-label" }, ask),
          h("input", { className: "input mono", value: typed, autoComplete: "off", autoFocus: true,
            onChange: (event) => setTyped(event.target.value) })) : null,
        h("div", { className: "dialog-actions" },
          h("button", { type: "button", className: "button", onClick: close, autoFocus: !expected }, cancel),
          h("button", { type: "submit", className: `button ${kind === "primary" ? "primary" : "danger"}`, disabled: !ready }, verb)))));
}

// Beside the primary button if there is room, else in a menu. A dialog of theirs keeps the menu open.
export function More({ label, children }) {
  const [open, setOpen] = useState(false);
  const box = useRef(null);
  const id = useId();
  useEffect(() => {
    if (!open) return undefined;
    const elsewhere = (event) => { if (!box.current?.contains(event.target)) setOpen(false); };
    document.addEventListener("pointerdown", elsewhere);
    document.addEventListener("focusin", elsewhere);
    return () => { document.removeEventListener("pointerdown", elsewhere); document.removeEventListener("focusin", elsewhere); };
  }, [open]);
  const escape = (event) => {
    if (event.key !== "Escape" || !open || box.current.querySelector("dialog[open]")) return;
    setOpen(false);
    box.current.querySelector("button").focus();
  };
  return h("div", { ref: box, className: `more ${open ? "open" : ""}`, onKeyDown: escape },
    h("button", { type: "button", className: "button icon-only more-button", title: label, "aria-label": label, "aria-expanded": open, "aria-controls": id, onClick: () => setOpen(!open) },
      h("span", { "aria-hidden": true }, "\u22ef")),
    h("div", { id, className: "more-list" }, children));
}

const bare = (path) => path.replace(/\/+$/, "");

// The first child if `address` is the browser's, else the second: the server fills the state for a new address later.
export function Here({ address, children }) {
  const { pathname } = useLocation();
  return bare(pathname) === bare(address) ? children[0] : children[1];
}

const AWAY = "service-away";
const BACK = "service-back";
const LOOK_MS = 1000;

// The last `since` that was handled. It stays in the tab's state, and comes again with each page.
let answered = 0;

// Shown while PostgreSQL or Redis does not answer. `since`: when the server noticed.
export function Away({ since, message, source }) {
  const [away, setAway] = useState(false);
  const known = useRef(since);
  known.current = since;
  useEffect(() => {
    const begin = () => setAway(true);
    window.addEventListener(AWAY, begin);
    return () => window.removeEventListener(AWAY, begin);
  }, []);
  useEffect(() => { if (since && since !== answered) setAway(true); }, [since]);
  useEffect(() => {
    if (!away) return undefined;
    let over = false;
    const look = () => fetch(source, { headers: { Accept: "application/json" } }).then((answer) => {
      if (!answer.ok || over) return;
      answered = known.current;
      setAway(false);
      window.dispatchEvent(new Event(BACK));
    }).catch(() => null);
    const timer = setInterval(look, LOOK_MS);
    return () => { over = true; clearInterval(timer); };
  }, [away, source]);
  return h("div", { className: "away", role: "status" }, away ? message : null);
}

// On a page that waits for its content: fills it again when the services answer. `away`: they do not answer now.
export function Again({ away, onBack }) {
  const call = useRef(onBack);
  call.current = onBack;
  useEffect(() => {
    const back = () => call.current?.();
    window.addEventListener(BACK, back);
    return () => window.removeEventListener(BACK, back);
  }, []);
  useEffect(() => { if (away) window.dispatchEvent(new Event(AWAY)); }, [away]);
  return null;
}

// Shown after the second failed try, so that a quick reconnect does not show. A refused websocket may also mean that the
// session has ended: then the page reloads, and the server redirects to the sign-in page.
export function Offline({ errors, message, source }) {
  useEffect(() => {
    if (errors < 1) return;
    fetch(source, { headers: { Accept: "application/json" } })
      .then((answer) => { if (answer.status === 401) window.location.reload(); })
      .catch(() => null);
  }, [errors, source]);
  return h("div", { className: "offline", role: "status" }, errors >= 2 ? message : null);
}

const NOTICE_MS = 5000;
// A link needs time to be reached.
const LINKED_MS = 15000;
const SEEN_KEY = "notices-seen";

function takeNew(notices) {
  const seen = Number(sessionStorage.getItem(SEEN_KEY)) || 0;
  const fresh = notices.filter((notice) => notice.id > seen);
  if (fresh.length) sessionStorage.setItem(SEEN_KEY, String(Math.max(...fresh.map((notice) => notice.id))));
  return fresh;
}

// The shown notices: they stay when the page changes.
let showing = [];

// Shows each notice once in this tab, on any page. A bad one stays until the user closes it.
export function Notices({ notices, label, close, reference, job }) {
  const [shown, setShown] = useState(showing);
  const show = (next) => { showing = next; setShown(next); };
  const remove = (id) => show(showing.filter((notice) => notice.id !== id));
  const letGo = (some) => some.forEach((notice) => { if (notice.tone !== "bad") setTimeout(() => remove(notice.id), notice.href ? LINKED_MS : NOTICE_MS); });
  useEffect(() => letGo(showing), []);
  useEffect(() => {
    const fresh = takeNew(notices || []);
    if (!fresh.length) return;
    show([...showing, ...fresh].slice(-5));
    letGo(fresh);
  }, [notices]);
  return h("div", { className: "notices", role: "region", "aria-label": label },
    h("div", { "aria-live": "polite", className: "stack-small" }, shown.map((notice) =>
      h("div", { key: notice.id, className: `notice ${notice.tone}`, role: notice.tone === "bad" ? "alert" : undefined },
        h("div", { className: "grow" }, notice.message, notice.href ? h(Fragment, null, " ", h(Link, { to: notice.href, onClick: () => remove(notice.id) }, job)) : null,
          notice.reference ? h("div", { className: "notice-reference" }, `${reference} `, h("code", null, notice.reference)) : null),
        h("button", { type: "button", className: "button quiet small", onClick: () => remove(notice.id), "aria-label": close }, "\u00d7")))));
}

// An error in a page's own code breaks that page, not the way out of it.
export class Boundary extends Component {
  constructor(props) {
    super(props);
    this.state = { failed: false };
  }

  static getDerivedStateFromError() {
    return { failed: true };
  }

  componentDidCatch(error) {
    console.error(error);
  }

  render() {
    if (!this.state.failed) return this.props.children;
    const { title, detail, verb } = this.props;
    return h("main", { className: "gate" }, h("div", { className: "block", role: "alert" },
      h("h1", { className: "block-title" }, title), h("p", null, detail),
      h("button", { type: "button", className: "button primary", onClick: () => window.location.reload() }, verb)));
  }
}

// The server serves /sign-in. A page that was redirected there in the browser loads it.
export function LoadAgain() {
  useEffect(() => { window.location.reload(); }, []);
  return null;
}

// Puts the name of the page's object into the title of the tab.
export function NameInTab({ name, product }) {
  useEffect(() => { if (name) document.title = `${name} \u00b7 ${product}`; }, [name, product]);
  return null;
}
