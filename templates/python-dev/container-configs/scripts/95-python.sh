#!/bin/bash
# Compiles an extension as the user, imports it in ~/venv, and asks pip
# timeout: 180
set -euo pipefail

# shellcheck disable=SC2016 # expanded by the user's shell
run_as_user sh -euc '
work=$(mktemp -d)
trap "rm -rf $work" EXIT
cd "$work"
cat >verify.c <<C
#include <Python.h>
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "verify", NULL, 0, NULL};
PyMODINIT_FUNC PyInit_verify(void) { return PyModule_Create(&module); }
C
cc -shared -fPIC $("$HOME/venv/bin/python" -c "import sysconfig; print(\"-I\" + sysconfig.get_path(\"include\"))") \
    -o verify.so verify.c
"$HOME/venv/bin/python" -c "import ssl, sqlite3, ctypes, verify"
"$HOME/venv/bin/python" -m pip --version
git --version
'
log_info "Python compiles, imports and has pip"
