// CodeMirror, in a chunk that only pages with code fetch. It uses the tokens of editor.css, and so follows the theme. Its
// styles are a <style> element, which our Content-Security-Policy allows.
import { createElement as h, useEffect, useRef, useState } from "react";
import { defaultKeymap, history, historyKeymap, indentLess, indentMore } from "@codemirror/commands";
import { HighlightStyle, StreamLanguage, bracketMatching, indentUnit, syntaxHighlighting } from "@codemirror/language";
import { lintGutter, lintKeymap, setDiagnostics } from "@codemirror/lint";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import { Compartment, EditorState, Transaction } from "@codemirror/state";
import { EditorView, drawSelection, highlightActiveLine, highlightActiveLineGutter, highlightSpecialChars, keymap, lineNumbers } from "@codemirror/view";
import { tags } from "@lezer/highlight";
import { tooLong } from "$/public/external/lxc_dashboard/components/code/long_text.js";

const TELL_AFTER_MS = 350;
const SEVERITIES = { error: "error", warning: "warning", info: "info", style: "hint" };

const MODES = {
  shell: () => import("@codemirror/legacy-modes/mode/shell").then((mode) => mode.shell),
  yaml: () => import("@codemirror/legacy-modes/mode/yaml").then((mode) => mode.yaml),
  toml: () => import("@codemirror/legacy-modes/mode/toml").then((mode) => mode.toml),
  nginx: () => import("@codemirror/legacy-modes/mode/nginx").then((mode) => mode.nginx),
  python: () => import("@codemirror/legacy-modes/mode/python").then((mode) => mode.python),
  properties: () => import("@codemirror/legacy-modes/mode/properties").then((mode) => mode.properties),
  javascript: () => import("@codemirror/legacy-modes/mode/javascript").then((mode) => mode.javascript),
  json: () => import("@codemirror/legacy-modes/mode/javascript").then((mode) => mode.json),
  css: () => import("@codemirror/legacy-modes/mode/css").then((mode) => mode.css),
  xml: () => import("@codemirror/legacy-modes/mode/xml").then((mode) => mode.xml),
  html: () => import("@codemirror/legacy-modes/mode/xml").then((mode) => mode.html),
  dockerfile: () => import("@codemirror/legacy-modes/mode/dockerfile").then((mode) => mode.dockerFile),
  diff: () => import("@codemirror/legacy-modes/mode/diff").then((mode) => mode.diff),
};

const colours = HighlightStyle.define([
  { tag: [tags.comment, tags.meta], color: "var(--code-comment)" },
  { tag: [tags.keyword, tags.controlKeyword, tags.definitionKeyword, tags.tagName], color: "var(--code-keyword)" },
  { tag: [tags.string, tags.special(tags.string), tags.regexp], color: "var(--code-string)" },
  { tag: [tags.number, tags.bool, tags.atom, tags.null], color: "var(--code-number)" },
  { tag: [tags.variableName, tags.propertyName, tags.attributeName, tags.definition(tags.variableName)], color: "var(--code-name)" },
  { tag: [tags.standard(tags.variableName), tags.function(tags.variableName), tags.className], color: "var(--code-builtin)" },
  { tag: [tags.inserted], color: "var(--good)" },
  { tag: [tags.deleted, tags.invalid], color: "var(--bad)" },
  { tag: [tags.heading, tags.strong], fontWeight: "600" },
]);

const looks = EditorView.theme({
  "&": { color: "var(--text)", backgroundColor: "var(--sunken)", fontSize: "13px", borderRadius: "var(--radius)", border: "1px solid var(--line-strong)" },
  "&.cm-focused": { outline: "2px solid var(--accent)", outlineOffset: "-1px" },
  ".cm-scroller": { fontFamily: "var(--mono)", lineHeight: "18px", minHeight: "inherit", maxHeight: "inherit", overflow: "auto" },
  ".cm-content": { caretColor: "var(--text)", padding: "8px 0" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-gutters": { backgroundColor: "var(--sunken)", color: "var(--text-soft)", borderRight: "1px solid var(--line)" },
  ".cm-activeLine": { backgroundColor: "transparent" },
  "&.cm-focused .cm-activeLine": { backgroundColor: "var(--code-line)" },
  ".cm-activeLineGutter": { backgroundColor: "var(--code-line)", color: "var(--text)" },
  ".cm-selectionBackground, &.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground": { backgroundColor: "var(--code-selection)" },
  ".cm-selectionMatch": { backgroundColor: "var(--code-match)" },
  ".cm-matchingBracket, &.cm-focused .cm-matchingBracket": { backgroundColor: "var(--code-match)", outline: "1px solid var(--line-strong)" },
  ".cm-panels": { backgroundColor: "var(--surface)", color: "var(--text)", borderColor: "var(--line)" },
  ".cm-panels .cm-textfield, .cm-panels .cm-button": { backgroundColor: "var(--surface)", backgroundImage: "none", color: "var(--text)", border: "1px solid var(--line-strong)" },
  ".cm-tooltip": { backgroundColor: "var(--surface)", color: "var(--text)", border: "1px solid var(--line-strong)" },
  ".cm-diagnostic": { fontFamily: "var(--font)", color: "var(--text)" },
  ".cm-panel.cm-panel-lint ul [aria-selected]": { backgroundColor: "var(--hover)", color: "var(--text)" },
  ".cm-searchMatch": { backgroundColor: "var(--warm-soft)" },
});

// The server's findings, with lines and columns from 1, whose place still exists in the text.
function diagnostics(doc, findings) {
  return (findings || []).filter((found) => found.line >= 1 && found.line <= doc.lines).map((found) => {
    const line = doc.line(found.line);
    const from = Math.min(line.from + Math.max(0, (found.column || 1) - 1), line.to);
    return {
      from,
      to: line.to,
      severity: SEVERITIES[found.level] || "warning",
      source: found.code || undefined,
      message: found.message,
    };
  }).sort((one, other) => one.from - other.from);
}

// Reports the text shortly after the last key, and at once when the user leaves the editor or the page.
function teller(getTell) {
  let pending = null;
  const flush = () => {
    if (!pending) return;
    const { timer, tell, text } = pending;
    clearTimeout(timer);
    pending = null;
    tell?.(text());
  };
  const typed = (state) => {
    if (pending) clearTimeout(pending.timer);
    // Stored with the text: the editor may show another text by then.
    pending = { tell: getTell(), text: () => state.doc.toString(), timer: setTimeout(flush, TELL_AFTER_MS) };
  };
  return { flush, typed, text: () => pending?.text() };
}

// Refuses input that makes the text too long, and reports it.
function bounded(onLong) {
  return EditorState.changeFilter.of((transaction) => {
    if (isGiven(transaction)) return true;
    const { newDoc, startState } = transaction;
    const refused = newDoc.length > startState.doc.length && tooLong(newDoc.toString());
    onLong(refused);
    return !refused;
  });
}

// What may change while the user types: the name of the text, its label, and how it is shown.
function manners({ label, describedBy, readOnly, wrap }) {
  const described = describedBy ? { "aria-describedby": describedBy } : {};
  return [
    EditorState.readOnly.of(readOnly),
    ...(readOnly ? [] : [keymap.of([{ key: "Ctrl-]", run: indentMore }, { key: "Ctrl-[", run: indentLess }])]),
    EditorView.contentAttributes.of({ "aria-label": label, tabindex: "0", ...described, ...(readOnly ? { "aria-readonly": "true" } : {}) }),
    ...(wrap ? [EditorView.lineWrapping] : []),
  ];
}

function extensions(manner, language, tell, onLong) {
  return [
    lineNumbers(), highlightActiveLineGutter(), highlightActiveLine(), highlightSpecialChars(), drawSelection(),
    bracketMatching(), highlightSelectionMatches(), search({ top: true }), history(), indentUnit.of("  "), lintGutter(),
    EditorState.tabSize.of(4), bounded(onLong), syntaxHighlighting(colours), looks, language, manner,
    keymap.of([...defaultKeymap, ...searchKeymap, ...historyKeymap, ...lintKeymap]),
    EditorView.updateListener.of((update) => { if (update.docChanged && !update.transactions.some(isGiven)) tell.typed(update.state); }),
    EditorView.domEventHandlers({ blur: () => { tell.flush(); } }),
  ];
}

function isGiven(transaction) {
  return transaction.annotation(Transaction.userEvent) === "given";
}

export default function CodeMirror({ value, language, label, describedBy, readOnly, findings, wrap, goTo, longMessage, onChange }) {
  const [long, onLong] = useState(false);
  const box = useRef(null);
  const view = useRef(null);
  const parts = useRef(null);
  const tellNow = useRef(onChange);
  tellNow.current = onChange;
  const manner = { label, describedBy, readOnly, wrap };
  useEffect(() => {
    parts.current = { spoken: new Compartment(), manner: new Compartment() };
    const { spoken, manner: shown } = parts.current;
    const tell = teller(() => tellNow.current);
    const state = EditorState.create({ doc: value ?? "", extensions: extensions(shown.of(manners(manner)), spoken.of([]), tell, onLong) });
    const editor = new EditorView({ state, parent: box.current });
    view.current = editor;
    // A page that closes cannot wait for an answer: its own script may keep what was not sent.
    const leave = () => {
      const detail = tell.text();
      if (detail !== undefined) box.current?.dispatchEvent(new CustomEvent("code-unsent", { bubbles: true, detail }));
      tell.flush();
    };
    // Before the websocket closes for the same reason.
    window.addEventListener("pagehide", leave, { capture: true });
    window.addEventListener("beforeunload", leave, { capture: true });
    return () => {
      tell.flush();
      window.removeEventListener("pagehide", leave, { capture: true });
      window.removeEventListener("beforeunload", leave, { capture: true });
      editor.destroy();
    };
  }, []);
  // Never created again: a new editor would lose focus, cursor and history of a user who types faster than the server answers.
  useEffect(() => {
    view.current.dispatch({ effects: parts.current.manner.reconfigure(manners(manner)) });
  }, [label, describedBy, readOnly, wrap]);
  useEffect(() => {
    let wanted = true;
    const speak = (spoken) => { if (wanted) view.current.dispatch({ effects: parts.current.spoken.reconfigure(spoken) }); };
    if (MODES[language]) MODES[language]().then((mode) => speak(StreamLanguage.define(mode)));
    else speak([]);
    return () => { wanted = false; };
  }, [language]);
  useEffect(() => {
    const doc = view.current.state.doc;
    if ((value || "") === doc.toString()) return;
    view.current.dispatch({ changes: { from: 0, to: doc.length, insert: value || "" }, annotations: Transaction.userEvent.of("given") });
  }, [value]);
  useEffect(() => {
    view.current.dispatch(setDiagnostics(view.current.state, diagnostics(view.current.state.doc, findings)));
  }, [findings]);
  useEffect(() => {
    if (!goTo?.line || goTo.line > view.current.state.doc.lines) return;
    const at = view.current.state.doc.line(goTo.line).from;
    view.current.dispatch({ selection: { anchor: at }, effects: EditorView.scrollIntoView(at, { y: "center" }) });
    view.current.focus();
  }, [goTo]);
  return h("div", null,
    h("div", { ref: box, className: `code-editor${readOnly ? " reads" : ""}` }),
    h("span", { className: "field-error", role: "alert" }, long ? longMessage : ""));
}
