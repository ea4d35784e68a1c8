#!/usr/bin/env bash
# Makes a CUDA 13.0 toolkit good enough to build `--features cuda` on a machine that has no GPU, driver or CUDA.
#
# usage: model/cuda-toolkit.sh DIR      then:  source DIR/env && cargo build --release --features cuda
#
# nvcc and its headers come from NVIDIA's wheels by pip; the libraries that only a machine with a driver has
# (libcuda, cuBLAS, cuRAND, NVRTC) are replaced by link-time stubs made from the names that cudarc declares.
# A binary linked against them runs where the real libraries are on LD_LIBRARY_PATH.
set -euo pipefail

toolkit=$(mkdir -p "${1:?usage: model/cuda-toolkit.sh DIR}" && cd "$1" && pwd)
here=$(cd "$(dirname "$0")/.." && pwd)
python3 -m venv "$toolkit/venv"
"$toolkit/venv/bin/pip" install --quiet --no-deps nvidia-cuda-nvcc==13.0.88 nvidia-nvvm==13.0.88 \
    nvidia-cuda-crt==13.0.88 nvidia-cuda-cccl==13.0.85 nvidia-cuda-runtime==13.0.96
wheels=$(echo "$toolkit"/venv/lib/python3*/site-packages/nvidia/cu13)
cuda=$toolkit/cuda
mkdir -p "$cuda/lib64"
cp -r "$wheels/bin" "$wheels/nvvm" "$wheels/include" "$cuda/"
chmod -R +x "$cuda/bin" "$cuda/nvvm/bin"
cp "$wheels"/lib/libcudart* "$wheels"/lib/libcudadevrt.a "$cuda/lib64/"
cp "$wheels"/lib/libnvvm.so* "$cuda/lib64/" 2>/dev/null || true
ln -sfn lib64 "$cuda/lib"
ln -sf libcudart.so.13 "$cuda/lib64/libcudart.so"

cudarc=$(cd "$here" && cargo metadata --format-version 1 --all-features | python3 -c '
import json, os, sys
packages = json.load(sys.stdin)["packages"]
print(os.path.dirname(next(p["manifest_path"] for p in packages if p["name"] == "cudarc")))')
# stub LIBRARY MODULE PREFIX SONAME: a shared library with every function that cudarc declares there.
stub() {
    grep -ohE "\bfn $3[A-Za-z0-9_]+" "$cudarc/src/$2/sys/mod.rs" |
        awk '{print "int "$2"(void){return 999;}"}' | sort -u >"$toolkit/$1.c"
    gcc -shared -fPIC -w -Wl,-soname,"$4" -o "$cuda/lib64/lib$1.so" "$toolkit/$1.c"
}
stub cuda driver cu libcuda.so.1
stub cublas cublas cublas libcublas.so.13
stub cublasLt cublaslt cublasLt libcublasLt.so.13
stub curand curand curand libcurand.so.10
stub nvrtc nvrtc nvrtc libnvrtc.so.13

cat >"$toolkit/env" <<EOF
export CUDA_HOME=$cuda PATH=$cuda/bin:\$PATH LIBRARY_PATH=$cuda/lib64\${LIBRARY_PATH:+:\$LIBRARY_PATH}
# One build per GPU family: 90 is Hopper (H100, H200). CUDARC_CUDA_VERSION is nvcc's.
export CUDA_COMPUTE_CAP=\${CUDA_COMPUTE_CAP:-90} CUDAFORGE_THREADS=\${CUDAFORGE_THREADS:-2}
EOF
echo "toolkit in $toolkit; next: source $toolkit/env && cargo build --release --features cuda"
