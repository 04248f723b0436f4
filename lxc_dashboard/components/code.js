// Code, read-only or editable. Until CodeMirror is loaded, or if it cannot be, shows the plain text, or a text area to edit it.
import { Component, Suspense, createElement as h, lazy } from "react";

const AGAIN_MS = 1000;

const fetched = () => import("$/public/external/lxc_dashboard/components/code/code_mirror.js");
const later = () => new Promise((done) => { setTimeout(done, AGAIN_MS); });

// Tries again after a lost connection.
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

// `name` identifies the text: a new name makes a new editor with its own undo history. With the same name a new `value`
// replaces the text. A server that echoes nothing overwrites nothing that the user types.
export function Code({ name, value, language, label, describedBy, readOnly, findings, wrap, goTo, longMessage, onChange }) {
  const shown = { value: value || "", label, readOnly: Boolean(readOnly), onChange };
  return h("div", { className: "code-box" }, h(Fallback, { key: name, plain: shown },
    h(Suspense, { fallback: h(Plain, { ...shown, waits: true }) },
      h(CodeMirror, { ...shown, language, describedBy, findings, wrap: Boolean(wrap), goTo, longMessage }))));
}
