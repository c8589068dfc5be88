#!/usr/bin/env bash
# Rebuilds src/sift, the bindings of protos/sift, with pinned generators in an environment of their own.
#
#   scripts/build_protos.sh          rebuild
#   scripts/build_protos.sh --check  rebuild elsewhere and fail if src/sift differs
#
# The generators are pinned low on purpose: generated code asks for at least their protobuf and
# grpcio, so the pins are the oldest versions that a user may have.
set -euo pipefail
cd "$(dirname "$0")/.."

env=build/protos-venv
if [ ! -x "$env/bin/python" ]; then
    python3 -m venv "$env"
    "$env/bin/pip" install --quiet \
        grpcio-tools==1.74.0 protobuf==6.31.1 mypy-protobuf==3.6.0 googleapis-common-protos==1.70.0
fi

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
includes=$("$env/bin/python" -c 'import google.api, os; print(os.path.dirname(os.path.dirname(os.path.dirname(google.api.__file__ or list(google.api.__path__)[0] + "/_"))))')
find protos/sift -name '*.proto' | sort | PATH="$PWD/$env/bin:$PATH" xargs \
    "$env/bin/python" -m grpc_tools.protoc -Iprotos -I"$includes" \
    --python_out="$out" --grpc_python_out="$out" --mypy_out=quiet:"$out" --mypy_grpc_out=quiet:"$out"
find "$out/sift" -type d -exec touch {}/__init__.py {}/py.typed \;
find "$out/sift" -mindepth 1 -name py.typed ! -path "$out/sift/py.typed" -delete

if [ "${1:-}" = --check ]; then
    diff -r -x __pycache__ "$out/sift" src/sift || {
        echo "src/sift is not what protos/sift makes: run 'make protos' and commit the result" >&2
        exit 1
    }
else
    rm -rf src/sift
    cp -r "$out/sift" src/sift
fi
