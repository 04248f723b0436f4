// Keyboard and focus of a bucket's form, and the question before unsaved changes are left.
import { useEffect, useRef } from "react";

const ONE_AT_A_TIME = "(max-width: 899px)";

// Ctrl-S and Ctrl-Enter press Save. After a refusal the first invalid field gets the focus.
// A narrow screen hides the list with the focused link: the title gets the focus then.
// Leaving the site with unsaved changes shows the browser's own question.
export function BucketGuide({ form, title, opened, refusals, unsaved }) {
  const before = useRef(refusals);
  useEffect(() => {
    if (refusals === before.current) return;
    before.current = refusals;
    document.querySelector(`#${form} input[aria-invalid="true"]`)?.focus();
  }, [form, refusals]);
  useEffect(() => {
    if (window.matchMedia(ONE_AT_A_TIME).matches) document.getElementById(title)?.focus();
  }, [title, opened]);
  useEffect(() => {
    const press = (event) => {
      const saves = event.key === "Enter" || event.key.toLowerCase() === "s";
      if (!saves || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
      const pressed = document.getElementById(form);
      if (!pressed || document.querySelector("dialog[open]")) return;
      event.preventDefault();
      event.stopPropagation();
      document.dispatchEvent(new Event("code-flush"));
      document.activeElement?.blur?.();
      pressed.requestSubmit();
    };
    document.addEventListener("keydown", press, true);
    return () => document.removeEventListener("keydown", press, true);
  }, [form]);
  useEffect(() => {
    if (!unsaved) return undefined;
    const ask = (event) => { event.preventDefault(); };
    window.addEventListener("beforeunload", ask);
    return () => window.removeEventListener("beforeunload", ask);
  }, [unsaved]);
  return null;
}
