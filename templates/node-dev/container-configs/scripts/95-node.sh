#!/bin/bash
# As the user: a package's script run by npm serves a page with Node, and asks for it
# timeout: 180
set -euo pipefail

# shellcheck disable=SC2016 # expanded by the user's shell
run_as_user sh -euc '
work=$(mktemp -d)
trap "rm -rf $work" EXIT
cd "$work"
cat >package.json <<JSON
{"name": "verify", "version": "1.0.0", "private": true, "scripts": {"verify": "node verify.js"}}
JSON
cat >verify.js <<JS
const http = require("http");
const server = http.createServer((request, response) => response.end("answered"));
server.listen(0, "127.0.0.1", () => {
  http.get({ port: server.address().port, agent: false }, (response) => {
    response.setEncoding("utf8");
    response.on("data", (text) => { process.exitCode = text === "answered" ? 0 : 1; });
    response.on("end", () => server.close());
  });
});
JS
npm run --silent verify
node --version
npm --version
cc --version | head -n 1
'
log_info "Node.js serves and npm runs a package's script"
