// Shortcuts without Ctrl or Alt. A user who dictates, or strikes keys by accident, can switch them off. Stored in this browser.
import { useSyncExternalStore } from "react";

const KEPT = "single-keys";
const OFF = "off";
const SWITCHED = "single-keys-switched";

// Without storage in the browser: for the life of the page.
let here = null;

export function singleKeys() {
  try { return localStorage.getItem(KEPT) !== OFF && here !== OFF; } catch { return here !== OFF; }
}

export function switchSingleKeys(on) {
  here = null;
  try {
    if (on) localStorage.removeItem(KEPT);
    else localStorage.setItem(KEPT, OFF);
  } catch { here = on ? null : OFF; }
  window.dispatchEvent(new Event(SWITCHED));
}

function subscribe(call) {
  window.addEventListener(SWITCHED, call);
  window.addEventListener("storage", call);
  return () => { window.removeEventListener(SWITCHED, call); window.removeEventListener("storage", call); };
}

export function useSingleKeys() {
  return useSyncExternalStore(subscribe, singleKeys, () => true);
}

export function typing(target) {
  return /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName) || target.isContentEditable;
}

// Whether a key was struck without modifiers, for the page and not for a dialog.
export function isAlone(event) {
  return !event.ctrlKey && !event.metaKey && !event.altKey && !document.querySelector("dialog[open]");
}
