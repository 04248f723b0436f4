// The wizard in the browser: moves the focus to a new step or an invalid field, presses Next on Ctrl-Enter, filters the templates,
// and presses the button of an input on Enter.
import { useEffect, useRef } from "react";

export function WizardGuide({ form, step, refusals, aim }) {
  const before = useRef({ step, refusals });
  useEffect(() => {
    const { step: oldStep, refusals: oldRefusals } = before.current;
    before.current = { step, refusals };
    const section = document.getElementById(`step-${step}`);
    if (!section) return;
    const wrong = section.querySelector('[aria-invalid="true"]');
    if (wrong && (refusals !== oldRefusals || step !== oldStep)) {
      wrong.closest("details")?.setAttribute("open", "");
      wrong.focus();
    } else if (step !== oldStep) {
      section.focus({ preventScroll: true });
      window.scrollTo(0, 0);
    }
  }, [step, refusals]);
  const last = useRef(aim);
  useEffect(() => {
    if (aim === last.current) return;
    last.current = aim;
    const field = aim.slice(0, aim.lastIndexOf("#"));
    const input = document.getElementById(field) || document.getElementById(field.replace(/source$/, "from"));
    if (!input) return;
    input.closest("details")?.setAttribute("open", "");
    input.focus();
  }, [aim]);
  useEffect(() => {
    const press = (event) => {
      if (event.key !== "Enter" || event.isComposing) return;
      const button = event.target.dataset?.enter && document.getElementById(event.target.dataset.enter);
      if (event.ctrlKey || event.metaKey) {
        event.preventDefault();
        const next = document.querySelector(`#${form} [type="submit"]`);
        if (document.querySelector("dialog[open]") || !next || next.disabled) return;
        event.target.blur?.(); // sends its text before the step changes
        next.click();
      } else if (button) {
        event.preventDefault();
        event.target.blur();
        button.click();
      } else if (event.target.type === "search") {
        event.preventDefault(); // the search runs while the user types
      }
    };
    const take = (event) => {
      const input = document.getElementById(event.target.dataset?.takes || "");
      if (!input) return;
      input.value = "";
      input.focus();
    };
    const find = (event) => {
      if (event.target.id !== "find-template") return;
      const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
      let found = 0;
      document.querySelectorAll(".template-card").forEach((card) => {
        const text = card.textContent.toLowerCase();
        card.hidden = !words.every((word) => text.includes(word));
        found += card.hidden ? 0 : 1;
      });
      document.getElementById("find-template-none").hidden = found > 0;
    };
    document.addEventListener("keydown", press);
    document.addEventListener("click", take);
    document.addEventListener("input", find);
    return () => {
      document.removeEventListener("input", find);
      document.removeEventListener("keydown", press);
      document.removeEventListener("click", take);
    };
  }, [form]);
  return null;
}
