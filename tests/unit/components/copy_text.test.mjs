import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

const { copyText } = await import(process.env.COPY_TEXT);

let page;

function pretend(name, value) {
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
}

function box(name) {
  return { name, held: [], append(area) { this.held.push(area); area.box = this; } };
}

beforeEach(() => {
  page = { body: box("body"), dialog: box("dialog"), selected: "", copied: [], answer: true, focused: 0 };
  pretend("navigator", {});
  pretend("document", {
    body: page.body,
    activeElement: { closest: () => null, focus: () => { page.focused += 1; } },
    createElement: () => ({ style: {}, select() { page.selected = this.value; }, remove() { this.box.held = []; } }),
    execCommand: (command) => { page.copied.push([command, page.selected]); return page.answer; },
  });
});

test("over TLS the browser's own clipboard takes it", async () => {
  const taken = [];
  pretend("navigator", { clipboard: { writeText: async (text) => { taken.push(text); } } });
  await copyText("web-01");
  assert.deepEqual(taken, ["web-01"]);
  assert.deepEqual(page.copied, []);
});

test("over plain http it is copied too, and nothing of that stays on the page", async () => {
  await copyText("10.0.0.11\n");
  assert.deepEqual(page.copied, [["copy", "10.0.0.11\n"]]);
  assert.deepEqual(page.body.held, []);
  assert.equal(page.focused, 1);
});

test("within a modal dialog, which lets nothing outside have the focus", async () => {
  document.activeElement.closest = () => page.dialog;
  const seen = [];
  document.execCommand = () => { seen.push(page.dialog.held.length); return true; };
  await copyText("link");
  assert.deepEqual(seen, [1]);
});

test("a browser that copies nothing is not said to have copied", async () => {
  page.answer = false;
  await assert.rejects(copyText("x"));
  assert.deepEqual(page.body.held, []);
});
