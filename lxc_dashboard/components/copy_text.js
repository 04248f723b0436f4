// Copies text, also on a page over plain http, where browsers have no navigator.clipboard.
export async function copyText(text) {
  if (navigator.clipboard) { await navigator.clipboard.writeText(text); return; }
  const before = document.activeElement;
  const area = document.createElement("textarea");
  area.value = text;
  area.readOnly = true;
  area.style.position = "fixed"; // nothing scrolls for it
  area.style.opacity = "0";
  // A modal dialog keeps the focus inside.
  (before?.closest?.("dialog[open]") || document.body).append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  before?.focus?.();
  if (!copied) throw new Error("the browser copied nothing");
}
