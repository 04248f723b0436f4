// The list of shortcuts, opened by a button in the sidebar or by ?. It switches single-key shortcuts off and on.
import { createElement as h, useEffect, useId, useRef, useState } from "react";
import { createPortal } from "react-dom";
import { Dialog } from "$/public/external/lxc_dashboard/components/widgets/widgets.js";
import { isAlone, singleKeys, switchSingleKeys, typing, useSingleKeys } from "$/public/external/lxc_dashboard/components/frame/keys.js";

function Keys({ keys }) {
  return keys.map((key, number) => h("kbd", { key: number, className: "key" }, key));
}

function Group({ group, on, words }) {
  return h("section", { className: "keys-group" },
    h("h3", { className: "keys-title" }, group.title),
    h("dl", { className: "keys" }, group.shortcuts.map(({ keys, does, alone }) =>
      h("div", { key: does, className: alone && !on ? "off" : undefined },
        h("dt", null, h(Keys, { keys })),
        h("dd", null, does, alone && !on ? h("span", { className: "badge" }, words.off) : null)))));
}

function List({ groups, close, words }) {
  const on = useSingleKeys();
  const hint = useId();
  return h("div", { className: "stack-small" },
    h("label", { className: "check" },
      h("input", { type: "checkbox", checked: on, "aria-describedby": hint, autoFocus: true, onChange: (event) => switchSingleKeys(event.target.checked) }), words.single),
    h("p", { id: hint, className: "soft" }, words.single_hint),
    groups.map((group) => h(Group, { key: group.title, group, on, words })),
    h("div", { className: "dialog-actions" }, h("button", { type: "button", className: "button", onClick: close }, words.close)));
}

export function Shortcuts({ groups, words, children }) {
  const [open, setOpen] = useState(false);
  const [drawn, setDrawn] = useState(false); // not before it can be: the page is first made on the server
  const button = useRef(null);
  const show = () => { setDrawn(true); setOpen(true); };
  useEffect(() => {
    const press = (event) => {
      if (event.key !== "?" || !singleKeys() || !isAlone(event) || typing(event.target)) return;
      event.preventDefault();
      show();
    };
    window.addEventListener("keydown", press);
    return () => window.removeEventListener("keydown", press);
  }, []);
  // On a phone, the menu with the button has closed under the dialog.
  const wasOpen = useRef(false);
  useEffect(() => {
    if (wasOpen.current && !open && document.activeElement === document.body && !button.current?.offsetParent) document.querySelector(".drawer-button")?.focus();
    wasOpen.current = open;
  }, [open]);
  const close = () => setOpen(false);
  return h("span", null,
    h("button", { ref: button, type: "button", className: "nav-link", "aria-haspopup": "dialog", title: words.title, onClick: show },
      children, h("span", { className: "nav-text" }, words.title)),
    drawn ? createPortal(h(Dialog, { open, title: words.title, onClose: close }, h(List, { groups, close, words })), document.body) : null);
}
