// Keys that work alone, without Ctrl or Alt. Whether they do is the user's choice, kept in this browser: who speaks to a computer, or
// strikes keys by chance, has them off.
import { useSyncExternalStore } from "react";

const KEPT = "single-keys";
const OFF = "off";
const SWITCHED = "single-keys-switched";

// Where the browser keeps nothing: as long as the page lives.
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

// Whether a key was struck by itself, for the page and not for a dialog.
export function isAlone(event) {
  return !event.ctrlKey && !event.metaKey && !event.altKey && !document.querySelector("dialog[open]");
}
