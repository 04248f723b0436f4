// The terminal and its websocket: binary messages are input and output, text messages are JSON (see api/console.py).
import { createElement as h, useCallback, useEffect, useRef, useState } from "react";
import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";
import "@xterm/xterm/css/xterm.css";
import { copyText } from "$/public/external/lxc_dashboard/components/widgets/copy_text.js";

const OPEN = 1;
const SCROLLBACK_LINES = 5000;

// Always dark: programs choose their colours for a dark screen.
const THEME = { background: "#14171a", foreground: "#e6e8ea", cursor: "#e6e8ea", selectionBackground: "#3b4d66" };

function font() {
  return getComputedStyle(document.documentElement).getPropertyValue("--mono").trim() || "monospace";
}

function address(url) {
  const own = window.location;
  return `${own.protocol === "https:" ? "wss:" : "ws:"}//${own.host}${url}`;
}

// Keeps the screen over a new connection: PVE's session goes on, too.
function connect(terminal, url, onState) {
  const socket = new WebSocket(address(url));
  socket.binaryType = "arraybuffer";
  let cause = "";
  const size = () => socket.readyState === OPEN && socket.send(JSON.stringify({ columns: terminal.cols, rows: terminal.rows }));
  socket.onmessage = ({ data }) => {
    if (typeof data !== "string") return terminal.write(new Uint8Array(data));
    const told = JSON.parse(data);
    if (told.error) cause = told.error;
    if (told.open) { onState({ state: "open" }); size(); terminal.focus(); }
  };
  socket.onclose = () => onState({ state: "closed", cause });
  const typed = terminal.onData((text) => socket.readyState === OPEN && socket.send(new TextEncoder().encode(text)));
  const raw = terminal.onBinary((text) => socket.readyState === OPEN && socket.send(Uint8Array.from(text, (letter) => letter.charCodeAt(0))));
  const resized = terminal.onResize(size);
  return () => {
    for (const listener of [typed, raw, resized]) listener.dispose();
    socket.onclose = null;
    socket.close();
  };
}

// All keys go to the guest but these: leave the terminal, copy, and (by the browser) paste.
function keys(terminal, leave) {
  return (event) => {
    if (event.type !== "keydown" || !event.ctrlKey || !event.shiftKey) return true;
    if (event.code === "Escape" || event.code === "KeyX") { leave(); event.preventDefault(); return false; }
    if (event.code === "KeyC" && terminal.hasSelection()) { copyText(terminal.getSelection()).catch(() => null); event.preventDefault(); return false; }
    return event.code !== "KeyV";
  };
}

export default function ConsoleTerminal({ url, label, words }) {
  const [now, setNow] = useState({ state: "connecting", cause: "" });
  const [tries, setTries] = useState(0);
  const [terminal, setTerminal] = useState(null);
  const screen = useRef(null);
  const out = useRef(null);
  useEffect(() => {
    const made = new Terminal({ fontFamily: font(), theme: THEME, fontSize: 13, scrollback: SCROLLBACK_LINES, screenReaderMode: true, cursorBlink: false });
    const fit = new FitAddon();
    made.loadAddon(fit);
    made.open(screen.current);
    made.textarea?.setAttribute("aria-label", label);
    made.attachCustomKeyEventHandler(keys(made, () => out.current?.focus()));
    const fitted = new ResizeObserver(() => fit.fit());
    fitted.observe(screen.current);
    setTerminal(made);
    return () => { fitted.disconnect(); made.dispose(); };
  }, [label]);
  useEffect(() => (terminal ? connect(terminal, url, setNow) : undefined), [terminal, url, tries]);
  const again = useCallback(() => { setNow({ state: "connecting", cause: "" }); setTries((count) => count + 1); }, []);
  const waits = now.state === "connecting";
  return h("div", { className: "console-box" },
    h("div", { className: "console-bar" },
      h("span", { className: `dot ${{ open: "running", connecting: "changing", closed: "stopped" }[now.state]}`, "aria-hidden": true }),
      h("span", { role: "status", className: "grow" }, words[now.state]),
      // The focus moves here when the user leaves the terminal.
      h("button", { type: "button", ref: out, className: "button small", onClick: waits ? undefined : again, "aria-disabled": waits }, words.again)),
    now.cause ? h("div", { className: "note bad", role: "alert" }, now.cause) : null,
    h("div", { className: "console-screen", ref: screen }));
}
