import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { runInNewContext } from "node:vm";

const SCRIPT = readFileSync(process.env.SIGN_IN, "utf8");

/** The sign-in page with the realms of its first endpoint; `answers` maps an endpoint to what is answered for it. */
function page(answers) {
  let changed;
  const endpoint = { value: "one", addEventListener: (_kind, heard) => { changed = heard; } };
  const realm = {
    dataset: { source: "/sign-in/realms", usual: process.env.USUAL },
    options: ["first"],
    replaceChildren(...options) { this.options = options.map((option) => option.value); },
  };
  runInNewContext(SCRIPT, {
    document: { getElementById: (id) => ({ endpoint, realm })[id] },
    Option: function Option(words, value) { this.words = words; this.value = value; },
    fetch: (address) => answers[new URL(address, "http://page").searchParams.get("endpoint")](),
  });
  const settled = () => new Promise((resolve) => { setImmediate(resolve); });
  return { realm, settled, choose: async (name) => { endpoint.value = name; changed(); await settled(); } };
}

const told = (...names) => () => Promise.resolve({ ok: true, json: async () => ({ realms: names.map((name) => ({ name })) }) });

test("the realms of another endpoint take the place of the first one's", async () => {
  const it = page({ two: told("ldap") });
  await it.choose("two");
  assert.deepEqual(it.realm.options, ["ldap"]);
});

test("where they cannot be read the usual ones are offered, not another endpoint's", async () => {
  const silent = { none: told(), refused: () => Promise.resolve({ ok: false }), away: () => Promise.reject(new Error("away")) };
  for (const name of Object.keys(silent)) {
    const it = page({ two: told("ldap"), ...silent });
    await it.choose("two");
    await it.choose(name);
    assert.deepEqual(it.realm.options, ["pam", "pve"], name);
  }
});

test("an answer for an endpoint that is chosen no more changes nothing", async () => {
  let answer;
  const late = () => new Promise((resolve) => { answer = resolve; });
  const it = page({ late, two: told("ldap") });
  await it.choose("late");
  await it.choose("two");
  answer({ ok: true, json: async () => ({ realms: [{ name: "late" }] }) });
  await it.settled();
  assert.deepEqual(it.realm.options, ["ldap"]);
});
