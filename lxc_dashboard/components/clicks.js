// A press counts, even if the page moves before the button is up: leaving a field can show an error above what was pressed.
import { useEffect } from "react";

const CONTROLS = "a, button, input, label, select, summary";
const SAME_PLACE_PX = 5;

export function Clicks() {
  useEffect(() => {
    let pressed = null;
    const press = (event) => { pressed = { control: event.target.closest(CONTROLS), x: event.clientX, y: event.clientY }; };
    // The browser sends a click between two elements to what contains both of them.
    const click = (event) => {
      const { control, x, y } = pressed ?? {};
      pressed = null;
      if (!control?.isConnected || control.contains(event.target) || Math.hypot(event.clientX - x, event.clientY - y) > SAME_PLACE_PX) return;
      event.preventDefault();
      event.stopPropagation();
      control.click();
    };
    document.addEventListener("pointerdown", press, { capture: true });
    document.addEventListener("click", click, { capture: true });
    return () => {
      document.removeEventListener("pointerdown", press, { capture: true });
      document.removeEventListener("click", click, { capture: true });
    };
  }, []);
  return null;
}
