// The search over everything with a page. Ctrl-K or the button in the top bar opens it, arrows and Enter choose.
import { createElement as h, useEffect, useId, useRef, useState } from "react";
import { useNavigate } from "react-router";
import { Dialog } from "$/public/external/lxc_dashboard/components/widgets/widgets.js";

const ASKED_AFTER_MS = 150;

// In a terminal Ctrl-K belongs to the shell.
function useShortcut(press) {
  const call = useRef(press);
  call.current = press;
  useEffect(() => {
    const down = (event) => {
      if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey) return;
      if (event.target.closest?.(".console-screen")) return;
      event.preventDefault();
      call.current();
    };
    window.addEventListener("keydown", down);
    return () => window.removeEventListener("keydown", down);
  }, []);
}

const wordsOf = (query) => query.split(/\s+/).filter(Boolean);

function pagesOf(pages, query, title) {
  const words = wordsOf(query.toLowerCase());
  const hits = pages.filter((page) => words.every((word) => page.title.toLowerCase().includes(word)));
  return hits.length ? [{ title, hits }] : [];
}

function Hits({ groups, active, id, choose, go }) {
  let index = -1;
  return h("div", { id, role: "listbox", className: "palette-hits", "aria-labelledby": `${id}-label` }, groups.map((group, number) =>
    h("div", { key: group.title, role: "group", "aria-labelledby": `${id}-g${number}` },
      h("div", { id: `${id}-g${number}`, className: "nav-label palette-group" }, group.title),
      group.hits.map((hit) => {
        index += 1;
        const at = index;
        return h("div", {
          key: hit.href, id: `${id}-${at}`, role: "option", "aria-selected": at === active, className: `palette-hit${at === active ? " current" : ""}`,
          onMouseMove: () => choose(at), onClick: () => go(hit),
        }, h("span", null, hit.title), hit.about ? h("span", { className: "soft" }, hit.about) : null);
      }))));
}

function Finder({ pages, found, of, failure, words, chars, onLoad, onFind, go, close }) {
  const [query, setQuery] = useState("");
  const [active, setActive] = useState(0);
  const waiting = useRef(false);
  const id = useId();
  const wanted = wordsOf(query).join(" ");
  const known = of === wanted;
  // A new search begins without the last result. While the user types, a result stays until the next one.
  const groups = [...pagesOf(pages, query, words.pages), ...(known || wanted ? found : [])];
  const hits = groups.flatMap((group) => group.hits);
  const at = Math.min(active, hits.length - 1);
  useEffect(() => {
    if (!wanted) { onLoad(); return undefined; }
    const timer = setTimeout(() => onFind(wanted), ASKED_AFTER_MS);
    return () => clearTimeout(timer);
  }, [wanted]);
  useEffect(() => {
    if (!known || !waiting.current) return;
    waiting.current = false;
    if (hits.length) go(hits[0]);
  }, [known, found]);
  useEffect(() => { document.getElementById(`${id}-${at}`)?.scrollIntoView({ block: "nearest" }); }, [at, id]);
  const press = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && hits.length) { event.preventDefault(); setActive((at + step + hits.length) % hits.length); }
    if (event.key !== "Enter" || event.nativeEvent.isComposing) return;
    event.preventDefault();
    if (known && hits[at]) go(hits[at]);
    else waiting.current = !known;
  };
  return h("div", { className: "palette" },
    h("label", { id: `${id}-label`, className: "unseen", htmlFor: `${id}-input` }, words.label),
    h("div", { className: "palette-field" }, h("input", {
      id: `${id}-input`, className: "input", role: "combobox", autoComplete: "off", spellCheck: false, maxLength: chars, placeholder: words.hint, value: query,
      "aria-expanded": hits.length > 0, "aria-controls": hits.length ? id : undefined, "aria-autocomplete": "list", "aria-activedescendant": hits.length ? `${id}-${at}` : undefined,
      onChange: (event) => { setQuery(event.target.value); setActive(0); waiting.current = false; }, onKeyDown: press,
    }), h("button", { type: "button", className: "button palette-close", onClick: close }, words.close)),
    failure ? h("p", { className: "note bad", role: "alert" }, failure) : null,
    hits.length ? h(Hits, { groups, active: at, id, choose: setActive, go }) : null,
    known && !failure && !hits.length ? h("p", { className: "soft" }, words.none) : null);
}

export function Palette({ pages, found, of, failure, words, chars, onLoad, onFind, children }) {
  const [open, setOpen] = useState(false);
  const navigate = useNavigate();
  useShortcut(() => { if (open) setOpen(false); else if (!document.querySelector("dialog[open]")) setOpen(true); });
  const go = (hit) => { setOpen(false); navigate(hit.href); };
  return h("span", null,
    h("button", { type: "button", className: "button quiet search", "aria-haspopup": "dialog", "aria-keyshortcuts": "Control+K", title: words.label, onClick: () => setOpen(true) },
      children, h("span", { className: "tool-word" }, words.verb), h("kbd", { className: "tool-key", "aria-hidden": true }, words.key)),
    h(Dialog, { open, title: words.label, onClose: () => setOpen(false), className: "search-dialog" },
      h(Finder, { pages, found, of, failure, words, chars, onLoad, onFind, go, close: () => setOpen(false) })));
}
