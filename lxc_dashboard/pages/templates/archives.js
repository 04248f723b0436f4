// Export and import of templates: plain HTTP, so that a large file never passes the websocket.
import { createElement as h, useEffect, useId, useRef, useState } from "react";
import { Dialog, iec } from "$/public/external/lxc_dashboard/components/widgets/widgets.js";

const FIELD = "archive";
const ACCEPTED = ".zip,.tar.gz,.tgz,application/zip,application/gzip";

function filled(words, values) {
  return words.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));
}

// The server's error, or a generic one.
function refusalOf(text, status, words) {
  if (status === 401) { window.location.reload(); return null; }
  try {
    const answer = JSON.parse(text);
    if (answer && answer.error) return { message: answer.error, reference: answer.reference || "" };
  } catch { /* not one of the dashboard's own answers */ }
  return { message: filled(words.failed, { status }), reference: "" };
}

function Failure({ failure, words }) {
  if (!failure) return null;
  return h("div", { className: "note bad", role: "alert" }, h("div", null, failure.message,
    failure.reference ? h("div", { className: "block-reference" }, `${words.reference} `, h("code", null, failure.reference)) : null));
}

// Import

function send(address, file, { onProgress, onDone, onLost }) {
  const request = new XMLHttpRequest();
  const form = new FormData();
  form.append(FIELD, file, file.name);
  request.upload.onprogress = (event) => { if (event.lengthComputable) onProgress(event.loaded / event.total); };
  request.upload.onload = () => onProgress(1);
  request.onload = () => onDone(request.status, request.responseText);
  request.onerror = onLost;
  request.open("POST", address);
  request.setRequestHeader("Accept", "application/json");
  request.send(form);
  return request;
}

function Names({ title, names }) {
  if (!names.length) return null;
  return h("div", null, h("h3", { className: "field-label" }, `${title} (${names.length})`),
    h("ul", { className: "archive-names" }, names.map((name) => h("li", { key: name }, name))));
}

function Report({ report, name, words }) {
  const changed = report.added.length + report.changed.length > 0;
  const head = changed ? words.done : report.refused.length ? words.only_refused : words.nothing;
  return h("div", { className: "stack-small archive-report" },
    h("p", { role: "status" }, filled(head, { name })),
    h(Names, { title: words.added, names: report.added }),
    h(Names, { title: words.changed, names: report.changed }),
    report.refused.length ? h("div", null, h("h3", { className: "field-label" }, `${words.refused} (${report.refused.length})`),
      h("ul", null, report.refused.map((one, place) => h("li", { key: place },
        one.file ? h("code", null, one.line ? `${one.file}:${one.line}` : one.file) : null, " ", one.why)))) : null);
}

function Sending({ share, name, words }) {
  const label = filled(share < 1 ? words.sending : words.reading, { name });
  const bar = share < 1 ? { value: share, max: 1 } : {};
  return h("div", { className: "stack-small" }, h("p", { role: "status" }, label),
    h("progress", { className: "archive-progress", "aria-label": label, ...bar }));
}

function Choose({ file, limit, words, onChoose }) {
  const id = useId();
  const [over, setOver] = useState(false);
  const take = (event) => { event.preventDefault(); setOver(false); onChoose(event.dataTransfer.files[0] || null); };
  return h("div", { className: over ? "archive-drop over" : "archive-drop",
    onDragOver: (event) => { event.preventDefault(); setOver(true); }, onDragLeave: () => setOver(false), onDrop: take },
    h("label", { className: "field-label", htmlFor: id }, words.choose),
    h("input", { id, type: "file", accept: ACCEPTED, "aria-describedby": `${id}-hint`,
      onChange: (event) => onChoose(event.target.files[0] || null) }),
    h("span", { id: `${id}-hint`, className: "field-hint" }, `${words.drop}. ${filled(words.limit, { size: iec(limit) })}`),
    file ? h("p", null, h("span", { className: "mono" }, file.name), ` ${iec(file.size)}`) : null);
}

export function ImportButton({ address, label, limit, words, onDone }) {
  const [open, setOpen] = useState(false);
  const [file, setFile] = useState(null);
  const [share, setShare] = useState(null);
  const [report, setReport] = useState(null);
  const [failure, setFailure] = useState(null);
  const running = useRef(null);
  useEffect(() => () => running.current?.abort(), []);

  const forget = () => { setFile(null); setShare(null); setReport(null); setFailure(null); };
  const close = () => { running.current?.abort(); running.current = null; setOpen(false); forget(); };
  const choose = (chosen) => {
    const tooLarge = chosen && chosen.size > limit;
    setFile(tooLarge ? null : chosen);
    setFailure(tooLarge ? { message: filled(words.too_large, { name: chosen.name, size: iec(limit) }), reference: "" } : null);
  };
  const ended = (status, text) => {
    running.current = null;
    setShare(null);
    if (status !== 200) { setFailure(refusalOf(text, status, words)); return; }
    const told = JSON.parse(text);
    setReport(told);
    if (told.added.length + told.changed.length) onDone?.();
  };
  const lost = () => { running.current = null; setShare(null); setFailure({ message: words.unreachable, reference: "" }); };
  const submit = (event) => {
    event.preventDefault();
    event.stopPropagation();
    if (!file || share !== null) return;
    setFailure(null);
    setShare(0);
    running.current = send(address, file, { onProgress: setShare, onDone: ended, onLost: lost });
  };

  const buttons = report
    ? [h("button", { key: "more", type: "button", className: "button", onClick: forget }, words.another),
      h("button", { key: "close", type: "button", className: "button primary", onClick: close, autoFocus: true }, words.close)]
    : [h("button", { key: "cancel", type: "button", className: "button", onClick: close }, words.cancel),
      h("button", { key: "send", type: "submit", className: "button primary", disabled: !file || share !== null }, words.send)];
  return h("span", { className: "confirm" },
    h("button", { type: "button", className: "button plain", onClick: () => setOpen(true) }, label),
    h(Dialog, { open, title: words.title, onClose: close, className: "archive-dialog" },
      h("form", { className: "stack-small", onSubmit: submit },
        report ? h(Report, { report, name: file.name, words }) : h("p", { className: "dialog-text" }, words.lead),
        report ? null : share === null ? h(Choose, { file, limit, words, onChoose: choose }) : h(Sending, { share, name: file.name, words }),
        h(Failure, { failure, words }),
        h("div", { className: "dialog-actions" }, buttons))));
}

// Export

function nameOf(answer, kind) {
  const header = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition") || "");
  return header ? header[1] : `templates.${kind}`;
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 0);
}

async function fetched(address, ids, kind, words, signal) {
  const query = new URLSearchParams([["kind", kind], ...ids.map((id) => ["id", id])]);
  const answer = await fetch(`${address}?${query}`, { headers: { Accept: "application/json" }, signal });
  if (!answer.ok) return refusalOf(await answer.text(), answer.status, words);
  save(await answer.blob(), nameOf(answer, kind));
  return null;
}

export function ExportButton({ address, label, ids, kinds, words, small }) {
  const [open, setOpen] = useState(false);
  const [kind, setKind] = useState(kinds[0]);
  const [working, setWorking] = useState(false);
  const [failure, setFailure] = useState(null);
  const running = useRef(null);
  const name = useId();
  useEffect(() => () => running.current?.abort(), []);

  const close = () => { running.current?.abort(); setOpen(false); setFailure(null); setWorking(false); };
  const submit = async (event) => {
    event.preventDefault();
    event.stopPropagation();
    if (working) return;
    const mine = new AbortController();
    running.current = mine;
    setFailure(null);
    setWorking(true);
    try {
      const refused = await fetched(address, ids, kind, words, mine.signal);
      if (mine.signal.aborted) return;
      setFailure(refused);
      setWorking(false);
      if (!refused) setOpen(false);
    } catch (error) {
      if (mine.signal.aborted) return;
      setFailure({ message: words.unreachable, reference: "" });
      setWorking(false);
    }
  };

  return h("span", { className: "confirm" },
    h("button", { type: "button", className: small ? "button plain small" : "button plain", disabled: !ids.length,
      onClick: () => setOpen(true) }, label),
    h(Dialog, { open, title: words.title, onClose: close, className: "archive-dialog" },
      h("form", { className: "stack-small", onSubmit: submit },
        h("p", { className: "dialog-text" }, words.lead),
        h("p", { className: "num" }, ids.length === 1 ? words.count_one : filled(words.count, { count: ids.length })),
        h("fieldset", { className: "archive-kinds" }, h("legend", { className: "field-label" }, words.kind),
          kinds.map((one) => h("label", { key: one, className: "check" },
            h("input", { type: "radio", name, value: one, checked: kind === one, onChange: () => setKind(one) }), ` ${words[one] || one}`))),
        h(Failure, { failure, words }),
        h("div", { className: "dialog-actions" },
          h("button", { type: "button", className: "button", onClick: close }, words.cancel),
          h("button", { type: "submit", className: "button primary", disabled: working, autoFocus: true },
            working ? words.working : words.send)))));
}
