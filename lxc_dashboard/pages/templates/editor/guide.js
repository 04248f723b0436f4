// The template editor in the browser: sends text while the user types, moves scripts by drag and by Alt with the arrow keys,
// uploads files, and asks before unsaved changes are left.
import { createElement as h, useEffect, useRef, useState } from "react";
import { useBlocker } from "react-router";
import { Dialog } from "$/public/external/lxc_dashboard/components/widgets/widgets.js";
import { tooLong } from "$/public/external/lxc_dashboard/components/code/long_text.js";

const TELL_AFTER_MS = 350;
const STAYED_AFTER_MS = 5000;
const UNSENT = "editor-unsent";
const OPEN = "editor-open";

// Text that may not have been sent when the tab was closed or reloaded: it is sent at the next load.
function remember(draft, path, value) {
  const kept = JSON.parse(sessionStorage.getItem(UNSENT) || "[]").filter((known) => known.path !== path);
  sessionStorage.setItem(UNSENT, JSON.stringify([...kept, { draft, path, value }]));
  // If the user stays on the page, the page sends it itself.
  setTimeout(() => sessionStorage.removeItem(UNSENT), STAYED_AFTER_MS);
}

// Sends pending text by field: after a pause in typing, and when the field loses the focus.
function pendingFields() {
  const pending = new Map();
  const flush = (path) => {
    const waiting = pending.get(path);
    if (!waiting) return;
    pending.delete(path);
    clearTimeout(waiting.timer);
    waiting.tell(path, waiting.value);
  };
  const put = (path, value, tell) => {
    clearTimeout(pending.get(path)?.timer);
    pending.set(path, { value, tell, timer: setTimeout(() => flush(path), TELL_AFTER_MS) });
  };
  return { flush, put, all: () => [...pending.entries()].map(([path, waiting]) => [path, waiting.value]) };
}

// Whether the value is short enough; otherwise restores the previous one, and the browser says why.
function takes(input, before, message) {
  const refused = tooLong(input.value);
  if (refused) input.value = before.get(input) ?? input.defaultValue;
  before.set(input, input.value);
  input.setCustomValidity(refused ? message : "");
  if (refused) input.reportValidity();
  return !refused;
}

// Every input with data-field sends its value while the user types.
export function Typed({ form, onField, epoch, draft, longMessage }) {
  const tell = useRef(onField);
  tell.current = (path, value) => onField(epoch, path, value);
  useEffect(() => {
    const unsent = draft ? JSON.parse(sessionStorage.getItem(UNSENT) || "[]") : [];
    if (!unsent.length) return;
    sessionStorage.removeItem(UNSENT);
    for (const known of unsent) if (known.draft === draft) onField("", known.path, known.value);
  }, [draft, epoch]);
  useEffect(() => {
    const root = document.getElementById(form);
    const pending = pendingFields();
    const before = new WeakMap();
    const flushAll = () => pending.all().forEach(([path]) => pending.flush(path));
    const onInput = (event) => {
      const path = event.target.dataset?.field;
      if (!path || !takes(event.target, before, longMessage)) return;
      const box = event.target.type === "checkbox";
      pending.put(path, box ? (event.target.checked ? "on" : "") : event.target.value, tell.current);
      if (box || event.target.tagName === "SELECT") pending.flush(path);
    };
    const onLeave = (event) => { if (event.target.dataset?.field) pending.flush(event.target.dataset.field); };
    const onUnsent = (event) => {
      const path = event.target.closest("[data-field]")?.dataset.field;
      if (path) remember(draft, path, event.detail);
    };
    const onGone = () => {
      for (const [path, value] of pending.all()) remember(draft, path, value);
      flushAll();
    };
    root.addEventListener("input", onInput);
    root.addEventListener("focusout", onLeave);
    root.addEventListener("code-unsent", onUnsent);
    // Must run before the websocket closes.
    window.addEventListener("pagehide", onGone, { capture: true });
    window.addEventListener("beforeunload", onGone, { capture: true });
    return () => {
      flushAll();
      root.removeEventListener("input", onInput);
      root.removeEventListener("focusout", onLeave);
      root.removeEventListener("code-unsent", onUnsent);
      window.removeEventListener("pagehide", onGone, { capture: true });
      window.removeEventListener("beforeunload", onGone, { capture: true });
    };
  }, [form, draft, longMessage]);
  return null;
}

// Remembers what is open, to tell a server that was restarted.
export function Opened({ draft, epoch, part, script, file, onReopen }) {
  const tell = useRef(onReopen);
  tell.current = onReopen;
  useEffect(() => {
    if (!draft) return;
    const before = JSON.parse(sessionStorage.getItem(OPEN) || "{}");
    sessionStorage.setItem(OPEN, JSON.stringify({ draft, epoch, part, script, file }));
    const other = before.part !== part || before.script !== script || before.file !== file;
    if (before.draft === draft && before.epoch !== epoch && other) tell.current(before.part, before.script, before.file);
  }, [draft, epoch, part, script, file]);
  return null;
}

// Moves the focus to the first invalid field, and presses Save for Ctrl-S and Ctrl-Enter.
export function InvalidFocus({ form, refusals, save }) {
  const before = useRef(refusals);
  useEffect(() => {
    if (refusals === before.current) return;
    before.current = refusals;
    const wrong = [...document.querySelectorAll(`#${form} [aria-invalid="true"]`)].find((input) => input.offsetParent);
    wrong?.focus();
  }, [form, refusals]);
  useEffect(() => {
    const press = (event) => {
      const wanted = (event.ctrlKey || event.metaKey) && (event.key === "s" || event.key === "Enter");
      if (!wanted || event.isComposing) return;
      event.preventDefault();
      const open = document.querySelector("dialog[open] [type=submit]");
      const button = open || document.getElementById(save);
      if (!button || button.disabled || (open && event.key === "s")) return;
      document.activeElement?.blur?.();
      button.click();
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, [save]);
  return null;
}

// Rows with data-row, moved by drag or by Alt with the arrow keys. The moved row keeps the focus, and its new place is
// announced to screen readers.
export function Sortable({ order, message, onMove, children, className, label }) {
  const list = useRef(null);
  const moved = useRef(null);
  const dragged = useRef(null);
  const [over, setOver] = useState(null);
  const keys = order || [];
  useEffect(() => {
    const wanted = moved.current;
    if (!wanted) return;
    moved.current = null;
    const row = list.current.querySelector(`[data-row="${wanted.row}"]`);
    (row?.querySelector(`[data-part="${wanted.part}"]:not(:disabled)`) || row?.querySelector("[data-part]"))?.focus();
  }, [order]);
  const move = (row, to, part) => {
    if (!row || to < 0 || to >= keys.length || keys.indexOf(row) === to) return;
    moved.current = { row, part };
    onMove(row, to);
  };
  const rowOf = (event) => event.target.closest?.("[data-row]");
  const onKeyDown = (event) => {
    const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const row = rowOf(event)?.dataset.row;
    if (!by || !event.altKey || !row) return;
    event.preventDefault();
    move(row, keys.indexOf(row) + by, event.target.dataset.part);
  };
  const onClick = (event) => {
    const by = Number(event.target.closest?.("[data-by]")?.dataset.by);
    const row = rowOf(event)?.dataset.row;
    if (by && row) move(row, keys.indexOf(row) + by, event.target.closest("[data-part]")?.dataset.part);
  };
  const onDragStart = (event) => {
    dragged.current = rowOf(event)?.dataset.row || null;
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", dragged.current || "");
  };
  const onDragOver = (event) => {
    if (!dragged.current) return;
    event.preventDefault();
    setOver(rowOf(event)?.dataset.row || null);
  };
  const onDrop = (event) => {
    const target = rowOf(event)?.dataset.row;
    event.preventDefault();
    if (dragged.current && target) move(dragged.current, keys.indexOf(target), "choose");
    dragged.current = null;
    setOver(null);
  };
  const onDragEnd = () => { dragged.current = null; setOver(null); };
  return h("div", null,
    h("ol", { ref: list, className, "aria-label": label, "data-over": over, onKeyDown, onClick, onDragStart, onDragOver, onDrop, onDragEnd }, children),
    h("div", { className: "unseen", "aria-live": "polite", role: "status" }, message));
}

// Uploads each chosen file to `url`, and reports its name, SHA-256 and size.
export function Upload({ url, label, many, most, tooLong, failed, busy, onDone }) {
  const input = useRef(null);
  const [sending, setSending] = useState("");
  const [problem, setProblem] = useState("");
  const send = async (file) => {
    if (file.size > most) throw new Error(tooLong.replace("{name}", file.name));
    setSending(busy.replace("{name}", file.name));
    const answer = await fetch(url, { method: "POST", body: file, headers: { "Content-Type": "application/octet-stream" } });
    const told = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Error(`${failed.replace("{name}", file.name)}: ${told.error || answer.status}`);
    onDone(file.name, told.sha256, told.size);
  };
  const onChange = async () => {
    setProblem("");
    for (const file of [...input.current.files]) {
      try {
        await send(file);
      } catch (error) {
        setProblem(error instanceof TypeError ? failed.replace("{name}", file.name) : error.message);
      }
    }
    input.current.value = "";
    setSending("");
  };
  return h("div", { className: "upload" },
    h("label", { className: `button plain${sending ? " busy" : ""}` }, label,
      h("input", { ref: input, type: "file", className: "unseen", multiple: Boolean(many), onChange, disabled: Boolean(sending) })),
    h("span", { className: "soft", role: "status" }, sending),
    problem ? h("span", { className: "field-error", role: "alert" }, problem) : null);
}

// Closing or reloading the tab shows the browser's question. Going to another page of the dashboard shows ours, which says
// that the draft is stored.
export function Leaving({ dirty, title, consequence, stay, leave }) {
  const asks = useRef(dirty);
  asks.current = dirty;
  const blocker = useBlocker(({ currentLocation, nextLocation }) => asks.current && currentLocation.pathname !== nextLocation.pathname);
  useEffect(() => {
    const before = (event) => { if (asks.current) event.preventDefault(); };
    window.addEventListener("beforeunload", before);
    return () => window.removeEventListener("beforeunload", before);
  }, []);
  const open = blocker.state === "blocked";
  return h(Dialog, { open, title, onClose: () => blocker.reset?.() },
    h("p", { className: "dialog-text" }, consequence),
    h("div", { className: "dialog-actions" },
      h("button", { type: "button", className: "button", autoFocus: true, onClick: () => blocker.reset?.() }, stay),
      h("button", { type: "button", className: "button primary", onClick: () => blocker.proceed?.() }, leave)));
}

// The time of day of an ISO 8601 time, inserted into `message`.
export function Kept({ at, message }) {
  if (!at) return null;
  const time = new Date(at);
  const two = (value) => String(value).padStart(2, "0");
  const clock = `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
  return h("time", { dateTime: at, title: time.toLocaleString() }, message.replace("{at}", clock));
}
