// Parts of pages with a list: a search field that filters while the user types, a switch of layouts, keys.
import { createElement as h, useEffect, useRef, useState } from "react";
import { isAlone, singleKeys, typing, useSingleKeys } from "$/public/external/lxc_dashboard/components/frame/keys.js";

const LAYOUT_KEY = "templates-layout";

function writeQuery(value) {
  const query = new URLSearchParams(window.location.search);
  query.delete("page");
  if (value) query.set("q", value);
  else query.delete("q");
  const text = query.toString();
  // Keeps React Router's state, so that going back works. Letters make no entries in the history.
  window.history.replaceState(window.history.state, "", window.location.pathname + (text ? `?${text}` : ""));
}

// value: the server's text. An echo of the typed text changes nothing; any other value, as after going back, is shown.
export function SearchBox({ value, label, placeholder, chars, onSearch }) {
  const [typed, setTyped] = useState(value);
  const sent = useRef([]);
  const input = useRef(null);
  useEffect(() => {
    const at = sent.current.indexOf(value);
    sent.current = at < 0 ? [] : sent.current.slice(at + 1);
    if (at < 0) setTyped(value);
  }, [value]);
  useEffect(() => {
    const press = (event) => {
      if (event.key !== "/" || !singleKeys() || typing(event.target) || !isAlone(event)) return;
      event.preventDefault();
      input.current?.focus();
    };
    window.addEventListener("keydown", press);
    return () => window.removeEventListener("keydown", press);
  }, []);
  const change = (next) => {
    sent.current.push(next);
    setTyped(next);
    writeQuery(next);
    onSearch(next);
  };
  return h("input", {
    ref: input, type: "search", className: "input", value: typed, placeholder, maxLength: chars, "aria-label": label, "aria-keyshortcuts": useSingleKeys() ? "/" : undefined, autoComplete: "off",
    onChange: (event) => change(event.target.value),
    onBlur: () => { sent.current = []; },
    onKeyDown: (event) => { if (event.key === "Escape" || event.key === "Enter") event.target.blur(); },
  });
}

export function LayoutSwitch({ layout, labels, label, onChoose, onRemembered }) {
  useEffect(() => {
    const last = localStorage.getItem(LAYOUT_KEY);
    if (last && last !== layout && !new URLSearchParams(window.location.search).has("layout")) onRemembered(last);
  }, []);
  const choose = (name) => { localStorage.setItem(LAYOUT_KEY, name); onChoose(name); };
  return h("div", { className: "switch", role: "group", "aria-label": label }, Object.entries(labels).map(([name, text]) =>
    h("button", { key: name, type: "button", className: "button", "aria-pressed": name === layout, onClick: () => choose(name) }, text)));
}

// j and k move through elements with data-line, Enter opens one, x chooses it.
export function ListKeys() {
  useEffect(() => {
    const press = (event) => {
      if (!singleKeys() || !isAlone(event)) return;
      const box = event.target.type === "checkbox";
      if (typing(event.target) && !box) return;
      const lines = [...document.querySelectorAll("[data-line]")];
      const at = lines.findIndex((line) => line.contains(document.activeElement));
      const to = event.key === "j" ? at + 1 : event.key === "k" ? Math.max(0, at - 1) : -1;
      if (to >= 0 && to < lines.length) lines[to].querySelector("a")?.focus();
      else if (event.key === "x" && at >= 0) lines[at].querySelector('input[type="checkbox"]')?.click();
    };
    window.addEventListener("keydown", press);
    return () => window.removeEventListener("keydown", press);
  }, []);
  return null;
}
