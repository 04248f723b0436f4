// Text into the clipboard, also where the page came over plain http: there browsers have no navigator.clipboard.
export async function copyText(text) {
  if (navigator.clipboard) { await navigator.clipboard.writeText(text); return; }
  const before = document.activeElement;
  const area = document.createElement("textarea");
  area.value = text;
  area.readOnly = true;
  area.style.position = "fixed"; // nothing scrolls for it
  area.style.opacity = "0";
  // A modal dialog lets nothing outside of it have the focus.
  (before?.closest?.("dialog[open]") || document.body).append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  before?.focus?.();
  if (!copied) throw new Error("the browser copied nothing");
}
