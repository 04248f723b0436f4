// Code, read or edited. Until CodeMirror is there, and where it cannot be fetched, the text itself is: as it is when read,
// in a plain text area when edited.
import { Component, Suspense, createElement as h, lazy } from "react";

const AGAIN_MS = 1000;

const fetched = () => import("$/public/external/lxc_dashboard/components/code/code_mirror.js");
const later = () => new Promise((done) => { setTimeout(done, AGAIN_MS); });

// Once more where the connection was lost for a moment.
const CodeMirror = lazy(() => fetched().catch(() => later().then(fetched)));

function Plain({ value, label, readOnly, onChange, waits }) {
  if (readOnly || waits) return h("pre", { className: "code", tabIndex: 0, role: "region", "aria-label": label }, h("code", null, value));
  return h("textarea", { className: "textarea mono code-plain", "aria-label": label, defaultValue: value, spellCheck: false,
    onBlur: (event) => onChange?.(event.target.value) });
}

class Fallback extends Component {
  constructor(props) {
    super(props);
    this.state = { failed: false };
  }

  static getDerivedStateFromError() {
    return { failed: true };
  }

  render() {
    return this.state.failed ? h(Plain, this.props.plain) : this.props.children;
  }
}

// `name` tells one text from another: another name makes a new editor, with an undo history of its own. With the same name a
// new `value` replaces what stands there, so that a server which echoes nothing overwrites nothing that is typed.
export function Code({ name, value, language, label, describedBy, readOnly, findings, wrap, goTo, longSaid, onChange }) {
  const shown = { value: value || "", label, readOnly: Boolean(readOnly), onChange };
  return h("div", { className: "code-box" }, h(Fallback, { key: name, plain: shown },
    h(Suspense, { fallback: h(Plain, { ...shown, waits: true }) },
      h(CodeMirror, { ...shown, language, describedBy, findings, wrap: Boolean(wrap), goTo, longSaid }))));
}
