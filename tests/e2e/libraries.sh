#!/usr/bin/env bash
# tests/e2e/libraries.sh GEMEL MAKE_HOSTS [PICTURE_LIBRARY…] - artifacts whose host operators stand on
# other people's libraries are linked with exactly those, and give what `gemel run` gives.
set -euo pipefail
gemel=$(realpath "$1") make_hosts=$(realpath "$2")
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

"$make_hosts" .
# expect NAME [LIBRARY…]: what NAME.so needs beside libc and libm.
expect() {
    local name=$1 needed wanted
    shift
    "$gemel" compile "$name.onnx" -o "$name.so" >/dev/null
    needed=$(readelf -dW "$name.so" | sed -n 's/.*(NEEDED).*\[lib\(.*\)\.so.*/\1/p' |
        grep -vxE 'c|m' | sort | tr '\n' ' ' || true)
    wanted=$(printf '%s\n' "$@" | sort | tr '\n' ' ')
    if [[ $needed != "${wanted# }" ]]; then
        echo "$name.so needs '$needed' where '$wanted' is right"
        exit 1
    fi
    "$gemel" run "$name.onnx" --output-dir model >/dev/null
    "$gemel" run "$name.so" --output-dir artifact >/dev/null
    cmp model/output_0.npy artifact/output_0.npy
}
expect plain
expect regex pcre2-8
expect upper utf8proc
expect split utf8proc
expect picture "$@"
