// Parts of pages about jobs: a running duration, the room of the list, and secrets that are revealed one at a time.
import { createElement as h, useEffect, useRef, useState } from "react";
import { CopyButton } from "$/public/external/lxc_dashboard/components/widgets/widgets.js";

const SHOWN_FOR_MS = 60000;
const WATCH_AGAIN_MS = 30000;
const TICKS_EVERY_MS = 1000;

export function clockOf(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (value) => String(value).padStart(2, "0");
  const rest = `${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
  return whole < 3600 ? rest : `${Math.floor(whole / 3600)}:${rest}`;
}

// seconds: by the server, so that the browser's clock does not matter. They count on while `running`.
export function Elapsed({ seconds, running, label }) {
  const [more, setMore] = useState(0);
  useEffect(() => {
    setMore(0);
    if (!running) return undefined;
    const begin = performance.now();
    const timer = setInterval(() => setMore((performance.now() - begin) / 1000), 500);
    return () => clearInterval(timer);
  }, [seconds, running]);
  if (seconds < 0) return null;
  return h("span", { className: "num elapsed" }, label ? h("span", { className: "unseen" }, `${label} `) : null, clockOf(seconds + more));
}

// Enters the room of the list, also after a lost connection, and reads the changes with each new tick.
export function Watch({ tick, onWatch, onTick, onLeave }) {
  const calls = useRef({});
  calls.current = { onWatch, onTick, onLeave };
  useEffect(() => {
    const watch = () => { if (!document.hidden) calls.current.onWatch?.(); };
    watch();
    const timer = setInterval(watch, WATCH_AGAIN_MS);
    document.addEventListener("visibilitychange", watch);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", watch);
      calls.current.onLeave?.();
    };
  }, []);
  const held = useRef({ first: true, timer: null });
  useEffect(() => {
    const state = held.current;
    if (state.first) { state.first = false; return; }
    if (state.timer || document.hidden) return;
    state.timer = setTimeout(() => { state.timer = null; calls.current.onTick?.(); }, state.late ? TICKS_EVERY_MS : 0);
    state.late = true;
  }, [tick]);
  useEffect(() => () => clearTimeout(held.current.timer), []);
  return null;
}

function Secret({ name, base, words, shown, show }) {
  const [values, setValues] = useState(null);
  const [fault, setFault] = useState("");
  useEffect(() => {
    if (!shown) { setValues(null); return undefined; }
    const timer = setTimeout(() => show(""), SHOWN_FOR_MS);
    return () => clearTimeout(timer);
  }, [shown]);
  const reveal = async () => {
    setFault("");
    const answer = await fetch(`${base}/credentials`, { method: "POST", credentials: "same-origin", body: new URLSearchParams({ name }) }).catch(() => null);
    const body = await answer?.json().catch(() => null) || {};
    if (!answer?.ok || !body.values) { setFault([body.error || words.failed, body.reference].filter(Boolean).join(", ")); return; }
    setValues(body.values);
    show(name);
  };
  const rows = shown && values ? Object.entries(values) : [];
  return h("div", { className: "secret" },
    h("div", { className: "row" },
      h("span", { className: "mono grow" }, name),
      h("button", { type: "button", className: "button small", "aria-expanded": shown, onClick: () => (shown ? show("") : reveal()) },
        shown ? words.hide : words.reveal, h("span", { className: "unseen" }, ` ${name}`))),
    fault ? h("p", { className: "field-error", role: "alert" }, fault) : null,
    rows.map(([key, value]) => h("div", { key, className: "row secret-value" },
      h("span", { className: "soft" }, key), h("code", { className: "grow" }, value), h(CopyButton, { value, label: words.copy, done: words.copied, failed: words.copy_failed }))));
}

// Each secret is requested when the user reveals it, exists in this component only, and hides by itself.
export function Credentials({ base, names, words }) {
  const [shown, setShown] = useState("");
  return h("div", { className: "secrets" }, names.map((name) => h(Secret, { key: name, name, base, words, shown: shown === name, show: setShown })));
}
