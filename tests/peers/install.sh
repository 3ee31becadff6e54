#!/usr/bin/env bash
# Installs the peers into a folder: transformers in a virtual environment, and llama.cpp built from
# the source package of llama-cpp-python, for this processor or as LLAMA_FLAGS tell cmake. What is there
# already stays.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1" && cd "$1"

[ -x python/bin/python ] || python3 -m venv python
python/bin/pip install --quiet --disable-pip-version-check \
    --requirement "$here/../../model/reference/requirements.txt" \
    cmake ninja scikit-build-core flit-core setuptools wheel diskcache
version=0.3.36
if [ ! -d llama_cpp_python-$version ]; then
    # Only this package as source: its build tools need not be built.
    PATH=$PWD/python/bin:$PATH python/bin/pip download --quiet --no-deps --no-build-isolation \
        --no-binary llama-cpp-python llama-cpp-python==$version
    tar xf llama_cpp_python-$version.tar.gz
fi
if [ ! -e build/bin/libmtmd.so ]; then
    python/bin/cmake -G Ninja -DCMAKE_MAKE_PROGRAM="$PWD/python/bin/ninja" -B build \
        -S llama_cpp_python-$version/vendor/llama.cpp -DCMAKE_BUILD_TYPE=Release \
        -DLLAMA_BUILD_MTMD=ON -DLLAMA_CURL=OFF -DLLAMA_BUILD_TESTS=OFF \
        -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_BUILD_TOOLS=OFF \
        ${LLAMA_FLAGS:-}
    python/bin/cmake --build build --target llama mtmd
fi
