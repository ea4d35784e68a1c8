//! Compiles the CUDA kernels of the training operations, where the `cuda` feature is on.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "cuda")]
    kernels();
}

/// `training.ptx` in `OUT_DIR`; the compute capability is the GPU's or `CUDA_COMPUTE_CAP`, as for candle's own kernels.
#[cfg(feature = "cuda")]
fn kernels() {
    let built = cudaforge::KernelBuilder::new()
        .source_files(["src/train/kernels/training.cu"])
        .args(["-std=c++17", "-O3"])
        .build_ptx();
    if let Err(error) = built {
        eprintln!("nvcc could not compile src/train/kernels/training.cu: {error}");
        std::process::exit(1);
    }
}
