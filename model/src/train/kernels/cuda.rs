//! The inner parts on NVIDIA GPUs: own kernels (`training.cu`) around cuBLAS's products, in BF16 with sums in F32.
//!
//! What they take over from tensor operations is memory traffic: a norm's, a softmax's or a SwiGLU's gradient is one
//! pass here, dequantizing writes BF16 at once, and a LoRA pair's product is added where the frozen one's stands.
#![expect(unsafe_code, reason = "kernels and cuBLAS take raw device addresses")]

use std::ffi::c_void;

use candle_core::backend::BackendStorage;
use candle_core::cuda::WrapErr;
use candle_core::cuda::cudarc::cublas::result::gemm_ex;
use candle_core::cuda::cudarc::cublas::sys::{
    cublasComputeType_t, cublasGemmAlgo_t, cublasOperation_t, cudaDataType,
};
use candle_core::cuda::cudarc::driver::sys::{
    CUdevice, CUmemPool_attribute, CUresult, cuDeviceGetDefaultMemPool, cuMemPoolGetAttribute,
};
use candle_core::cuda::cudarc::driver::{DevicePtr, LaunchConfig, PushKernelArg};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{CudaDevice, CudaStorage, DType, Device, Layout, Result, Storage, Tensor, bail};
use half::bf16;

use super::plain::Plain;
use super::{Heads, Kernels, MOST_SCORES, Rotation};

const PTX: &str = include_str!(concat!(env!("OUT_DIR"), "/training.ptx"));
const THREADS: u32 = 256;

/// Kernels of our own.
#[derive(Debug)]
pub(super) struct Cuda;

impl Kernels for Cuda {
    fn free_memory(&self, device: &Device) -> Option<f64> {
        let stream = device.as_cuda_device().ok()?.cuda_stream();
        let (free, _) = stream.context().mem_get_info().ok()?;
        Some(free as f64)
    }

    /// What the allocator's pool held at most, and what was taken beside it: the context, the libraries.
    fn peak_memory(&self, device: &Device) -> Option<f64> {
        let stream = device.as_cuda_device().ok()?.cuda_stream();
        let (free, total) = stream.context().mem_get_info().ok()?;
        let [now, most] = [
            CUmemPool_attribute::CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT,
            CUmemPool_attribute::CU_MEMPOOL_ATTR_RESERVED_MEM_HIGH,
        ]
        .map(|attribute| pool_attribute(stream.context().cu_device(), attribute));
        Some((total - free) as f64 - now? as f64 + most? as f64)
    }

    fn dequantize(&self, weight: &QTensor, dtype: DType) -> Result<Tensor> {
        match kernel_of(weight, dtype)? {
            Some(kernel) => {
                let (rows, width) = weight.shape().dims2()?;
                dequantized(kernel, weight, None, (rows, width))
            }
            None => Plain.dequantize(weight, dtype),
        }
    }

    fn gather(&self, table: &QTensor, rows: &[u32], dtype: DType) -> Result<Option<Tensor>> {
        let Some(kernel) = kernel_of(table, dtype)? else {
            return Ok(None);
        };
        let shape = (rows.len(), table.shape().dims2()?.1);
        let rows = Tensor::new(rows, &table.device())?;
        dequantized(kernel, table, Some(&rows), shape).map(Some)
    }

    fn product(&self, a: &Tensor, b: &Tensor, scale: f64, dtype: DType) -> Result<Tensor> {
        let out = uninitialized((a.dim(0)?, b.dim(1)?), dtype, a.device())?;
        gemm(&out, a, b, scale as f32, 0.0)?;
        Ok(out)
    }

    fn add_product(&self, sum: Tensor, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        gemm(&sum, a, b, 1.0, 1.0)?;
        Ok(sum)
    }

    fn add_bias(&self, y: Tensor, bias: &Tensor) -> Result<Tensor> {
        let (_, width) = y.dims2()?;
        let eights = eights(&y)?;
        let arguments = [
            pointer(&y)?,
            pointer(bias)?,
            Argument::long(eights),
            Argument::int(width),
        ];
        launch(&y, "add_bias", blocks(eights), &arguments)?;
        Ok(y)
    }

    fn rms_norm_backward(
        &self,
        x: &Tensor,
        weight: &Tensor,
        epsilon: f64,
        dy: &Tensor,
        sum: Option<Tensor>,
    ) -> Result<Tensor> {
        let (rows, width) = x.dims2()?;
        eights(x)?;
        let add = sum.is_some();
        let dx = match sum {
            Some(sum) => sum,
            None => uninitialized((rows, width), x.dtype(), x.device())?,
        };
        let arguments = [
            pointer(x)?,
            pointer(weight)?,
            pointer(dy)?,
            pointer(&dx)?,
            Argument::int(width),
            Argument::Float(epsilon as f32),
            Argument::Int(i32::from(add)),
        ];
        launch(x, "rms_norm_backward", rows, &arguments)?;
        Ok(dx)
    }

    fn swiglu(&self, gate: &Tensor, up: &Tensor) -> Result<Tensor> {
        let out = uninitialized(gate.dims2()?, gate.dtype(), gate.device())?;
        let eights = eights(gate)?;
        let arguments = [
            pointer(gate)?,
            pointer(up)?,
            pointer(&out)?,
            Argument::long(eights),
        ];
        launch(gate, "swiglu", blocks(eights), &arguments)?;
        Ok(out)
    }

    fn swiglu_backward(&self, gate: &Tensor, up: &Tensor, dy: &Tensor) -> Result<(Tensor, Tensor)> {
        let out = || uninitialized(gate.dims2()?, gate.dtype(), gate.device());
        let (d_gate, d_up) = (out()?, out()?);
        let eights = eights(gate)?;
        let arguments = [
            pointer(gate)?,
            pointer(up)?,
            pointer(dy)?,
            pointer(&d_gate)?,
            pointer(&d_up)?,
            Argument::long(eights),
        ];
        launch(gate, "swiglu_backward", blocks(eights), &arguments)?;
        Ok((d_gate, d_up))
    }

    fn split_heads(
        &self,
        x: &Tensor,
        batch: usize,
        heads: usize,
        rotation: Option<Rotation<'_>>,
    ) -> Result<Tensor> {
        let (rows, width) = x.dims2()?;
        let (tokens, head_dim) = (rows / batch, width / heads);
        let out = uninitialized((batch, heads, tokens, head_dim), x.dtype(), x.device())?;
        move_heads(x, &out, [tokens, heads, head_dim], true, rotation)?;
        Ok(out)
    }

    fn merge_heads(&self, x: &Tensor, rotation: Option<Rotation<'_>>) -> Result<Tensor> {
        let (batch, heads, tokens, head_dim) = x.dims4()?;
        let out = uninitialized((batch * tokens, heads * head_dim), x.dtype(), x.device())?;
        move_heads(x, &out, [tokens, heads, head_dim], false, rotation)?;
        Ok(out)
    }

    fn causal_mask(&self, _: usize, _: usize, _: usize, _: DType, _: &Device) -> Result<Option<Tensor>> {
        // The softmax knows it.
        Ok(None)
    }

    fn attention(&self, heads: &Heads, _: Option<&Tensor>) -> Result<Tensor> {
        let outputs = groups(heads)?.map(|(start, count)| {
            let some = Group::new(heads, start, count)?;
            let shape = heads.q.narrow(0, start, count)?.dims4()?;
            some.weights()?.matmul(&some.v)?.reshape(shape)
        });
        together(outputs.collect::<Result<_>>()?)
    }

    fn attention_backward(&self, heads: &Heads, _: Option<&Tensor>, dy: &Tensor) -> Result<Heads> {
        let (mut dq, mut dk, mut dv) = (Vec::new(), Vec::new(), Vec::new());
        for (start, count) in groups(heads)? {
            let some = Group::new(heads, start, count)?;
            let of_queries = heads.q.narrow(0, start, count)?.dims4()?;
            let of_keys = heads.k.narrow(0, start, count)?.dims4()?;
            let dy = dy.narrow(0, start, count)?.reshape(some.q.dims3()?)?;
            let weights = some.weights()?;
            dv.push(weights.t()?.matmul(&dy)?.reshape(of_keys)?);
            let d_scores = dy.matmul(&some.v.t()?)?;
            let (groups, rows, tokens) = d_scores.dims3()?;
            let arguments = [
                pointer(&weights)?,
                pointer(&d_scores)?,
                Argument::long(groups * rows),
                Argument::int(tokens),
                Argument::Float(some.scale),
            ];
            launch(
                &d_scores,
                "causal_softmax_backward",
                blocks(groups * rows * 32),
                &arguments,
            )?;
            drop(weights);
            dq.push(d_scores.matmul(&some.k)?.reshape(of_queries)?);
            dk.push(d_scores.t()?.matmul(&some.q)?.reshape(of_keys)?);
        }
        Ok(Heads {
            q: together(dq)?,
            k: together(dk)?,
            v: together(dv)?,
        })
    }

    fn cross_entropy(
        &self,
        logits: Tensor,
        targets: &Tensor,
        slopes: bool,
    ) -> Result<(Tensor, Option<Tensor>)> {
        let (rows, vocabulary) = logits.dims2()?;
        let losses = uninitialized(rows, DType::F32, logits.device())?;
        let arguments = [
            pointer(&logits)?,
            pointer(targets)?,
            pointer(&losses)?,
            Argument::int(vocabulary),
        ];
        launch(&logits, "cross_entropy", rows, &arguments)?;
        Ok((losses, slopes.then_some(logits)))
    }
}

/// Bytes, of the pool that tensors are allocated from.
fn pool_attribute(device: CUdevice, attribute: CUmemPool_attribute) -> Option<u64> {
    let mut pool = std::ptr::null_mut();
    let mut bytes = 0u64;
    // SAFETY: both write what they are asked for into a place of that type; this attribute is a 64-bit number.
    let results = unsafe {
        [
            cuDeviceGetDefaultMemPool(&raw mut pool, device),
            cuMemPoolGetAttribute(pool, attribute, (&raw mut bytes).cast::<c_void>()),
        ]
    };
    results
        .iter()
        .all(|result| *result == CUresult::CUDA_SUCCESS)
        .then_some(bytes)
}

/// Some sequences of a batch, a matrix for each key's head: queries `(groups, heads / kv_heads · tokens, head_dim)`, keys
/// and values `(groups, tokens, head_dim)`.
struct Group {
    q: Tensor,
    k: Tensor,
    v: Tensor,
    scale: f32,
}

impl Group {
    fn new(heads: &Heads, start: usize, count: usize) -> Result<Self> {
        let (_, all, tokens, head_dim) = heads.q.dims4()?;
        let kv_heads = heads.k.dim(1)?;
        let of = |tensor: &Tensor, rows: usize| {
            let some = tensor.narrow(0, start, count)?;
            some.reshape((count * kv_heads, rows, head_dim))
        };
        Ok(Self {
            q: of(&heads.q, all / kv_heads * tokens)?,
            k: of(&heads.k, tokens)?,
            v: of(&heads.v, tokens)?,
            scale: 1.0 / (head_dim as f32).sqrt(),
        })
    }

    fn weights(&self) -> Result<Tensor> {
        let scores = self.q.matmul(&self.k.t()?)?;
        let (groups, rows, tokens) = scores.dims3()?;
        let arguments = [
            pointer(&scores)?,
            Argument::long(groups * rows),
            Argument::int(tokens),
            Argument::Float(self.scale),
        ];
        launch(&scores, "causal_softmax", blocks(groups * rows * 32), &arguments)?;
        Ok(scores)
    }
}

/// Starts and counts of the sequences whose scores exist together.
fn groups(heads: &Heads) -> Result<impl Iterator<Item = (usize, usize)> + use<>> {
    let (batch, count, tokens, _) = heads.q.dims4()?;
    let step = (MOST_SCORES / (count * tokens * tokens).max(1)).clamp(1, batch.max(1));
    Ok((0..batch)
        .step_by(step)
        .map(move |start| (start, step.min(batch - start))))
}

fn together(mut parts: Vec<Tensor>) -> Result<Tensor> {
    match (parts.pop(), parts.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(last), false) => {
            parts.push(last);
            Tensor::cat(&parts, 0)
        }
        (None, _) => bail!("a batch without sequences"),
    }
}

/// The kernel that dequantizes this weight to that type, where there is one.
fn kernel_of(weight: &QTensor, dtype: DType) -> Result<Option<&'static str>> {
    if dtype != DType::BF16 || weight.shape().dims2()?.1 % 8 != 0 {
        return Ok(None);
    }
    Ok(match weight.dtype() {
        GgmlDType::Q4_0 => Some("dequantize_q4_0"),
        GgmlDType::Q4_1 => Some("dequantize_q4_1"),
        GgmlDType::Q5_0 => Some("dequantize_q5_0"),
        GgmlDType::Q5_1 => Some("dequantize_q5_1"),
        GgmlDType::Q8_0 => Some("dequantize_q8_0"),
        GgmlDType::Q4K => Some("dequantize_q4_k"),
        GgmlDType::Q5K => Some("dequantize_q5_k"),
        GgmlDType::Q6K => Some("dequantize_q6_k"),
        _ => None,
    })
}

/// A matrix, or of its rows those that are named.
fn dequantized(
    kernel: &str,
    weight: &QTensor,
    rows: Option<&Tensor>,
    shape: (usize, usize),
) -> Result<Tensor> {
    let out = uninitialized(shape, DType::BF16, &weight.device())?;
    let eights = eights(&out)?;
    let arguments = [
        Argument::Pointer(weight.device_ptr()? as u64),
        rows.map_or(Ok(Argument::Pointer(0)), pointer)?,
        pointer(&out)?,
        Argument::long(eights),
        Argument::int(shape.1),
    ];
    launch(&out, kernel, blocks(eights), &arguments)?;
    Ok(out)
}

fn move_heads(
    x: &Tensor,
    out: &Tensor,
    [tokens, heads, head_dim]: [usize; 3],
    split: bool,
    rotation: Option<Rotation<'_>>,
) -> Result<()> {
    let pairs = x.elem_count() / 2;
    let (cos, sin, direction) = match rotation {
        Some(rotation) => (
            pointer(rotation.cos)?,
            pointer(rotation.sin)?,
            if rotation.back { -1.0 } else { 1.0 },
        ),
        None => (Argument::Pointer(0), Argument::Pointer(0), 1.0),
    };
    let arguments = [
        pointer(x)?,
        cos,
        sin,
        pointer(out)?,
        Argument::long(pairs),
        Argument::int(tokens),
        Argument::int(heads),
        Argument::int(head_dim),
        Argument::Int(i32::from(split)),
        Argument::Float(direction),
    ];
    launch(x, "move_heads", blocks(pairs), &arguments)
}

/// What a kernel is given.
enum Argument {
    Pointer(u64),
    Long(i64),
    Int(i32),
    Float(f32),
}

impl Argument {
    fn long(value: usize) -> Self {
        Self::Long(value as i64)
    }

    fn int(value: usize) -> Self {
        Self::Int(value as i32)
    }
}

/// Blocks of threads for so many threads.
fn blocks(threads: usize) -> usize {
    threads.div_ceil(THREADS as usize)
}

/// How often eight values fit, which is how kernels read rows.
fn eights(tensor: &Tensor) -> Result<usize> {
    let width = tensor.dims().last().copied().unwrap_or(0);
    if tensor.dtype() != DType::BF16 || width % 8 != 0 {
        bail!(
            "rows of {width} {:?} where BF16 and whole eights are needed",
            tensor.dtype()
        );
    }
    Ok(tensor.elem_count() / 8)
}

/// Starts a kernel of `training.cu` on the tensor's device; work there runs in the order in which it was started.
fn launch(on: &Tensor, kernel: &str, blocks: usize, arguments: &[Argument]) -> Result<()> {
    let function = on
        .device()
        .as_cuda_device()?
        .get_or_load_custom_func(kernel, "bigquill-training", PTX)?;
    let mut builder = function.builder();
    for argument in arguments {
        match argument {
            Argument::Pointer(value) => builder.arg(value),
            Argument::Long(value) => builder.arg(value),
            Argument::Int(value) => builder.arg(value),
            Argument::Float(value) => builder.arg(value),
        };
    }
    let config = LaunchConfig {
        grid_dim: (blocks as u32, 1, 1),
        block_dim: (THREADS, 1, 1),
        shared_mem_bytes: 0,
    };
    // SAFETY: the callers pass what the kernel declares, addresses of whole tensors of the sizes that it is told.
    unsafe { builder.launch(config) }.w()?;
    Ok(())
}

/// Memory that the next kernel fills.
fn uninitialized(shape: impl Into<candle_core::Shape>, dtype: DType, device: &Device) -> Result<Tensor> {
    // SAFETY: every caller starts a kernel or a product that writes all of it, before anything can read it.
    unsafe { Tensor::empty(shape, dtype, device) }
}

/// The address of a tensor that lies in memory as a whole.
fn pointer(tensor: &Tensor) -> Result<Argument> {
    let (storage, layout) = tensor.storage_and_layout();
    if !layout.is_contiguous() {
        bail!(
            "a kernel needs its rows one after the other, not {:?}",
            layout.stride()
        );
    }
    Ok(Argument::Pointer(address(&storage, layout)?))
}

fn address(storage: &Storage, layout: &Layout) -> Result<u64> {
    let Storage::Cuda(storage) = storage else {
        bail!("a kernel's arguments have to be on its device");
    };
    let start = layout.start_offset();
    match storage.dtype() {
        DType::BF16 => first::<bf16>(storage, start),
        DType::F32 => first::<f32>(storage, start),
        DType::U32 => first::<u32>(storage, start),
        other => bail!("kernels take no {other:?}"),
    }
}

fn first<T: candle_core::cuda::CudaDType + candle_core::cuda::cudarc::driver::DeviceRepr>(
    storage: &CudaStorage,
    start: usize,
) -> Result<u64> {
    let stream = storage.device.cuda_stream();
    let slice = storage.as_cuda_slice::<T>()?.slice(start..);
    // The one stream orders this use before the memory is given back.
    let (address, _) = slice.device_ptr(&stream);
    Ok(address)
}

/// A matrix as cuBLAS is told of it: row after row, or column after column.
struct Operand {
    address: u64,
    stride: i32,
    transposed: bool,
}

impl Operand {
    fn new(matrix: &Tensor) -> Result<Self> {
        if matrix.dtype() != DType::BF16 {
            bail!("products are of BF16, not {:?}", matrix.dtype());
        }
        let (storage, layout) = matrix.storage_and_layout();
        let (rows, columns) = matrix.dims2()?;
        let (stride, transposed) = match layout.stride() {
            [stride, 1] => (*stride, false),
            [1, stride] => (*stride, true),
            // A single row or column has any stride.
            [stride, _] if columns == 1 => (*stride, false),
            [_, stride] if rows == 1 => (*stride, true),
            other => bail!("a product needs rows or columns one after the other, not {other:?}"),
        };
        Ok(Self {
            address: address(&storage, layout)?,
            stride: stride.max(1) as i32,
            transposed,
        })
    }

    /// cuBLAS counts columns first: what is row after row to us is transposed to it already.
    fn operation(&self) -> cublasOperation_t {
        if self.transposed {
            cublasOperation_t::CUBLAS_OP_T
        } else {
            cublasOperation_t::CUBLAS_OP_N
        }
    }
}

/// `out = scale·a·b + keep·out`: a `(m, k)`, b `(k, n)` in BF16, out `(m, n)` in BF16 or F32.
fn gemm(out: &Tensor, a: &Tensor, b: &Tensor, scale: f32, keep: f32) -> Result<()> {
    let ((m, k), (rows, n)) = (a.dims2()?, b.dims2()?);
    if rows != k || out.dims2()? != (m, n) {
        bail!(
            "no product of {:?} and {:?} in {:?}",
            a.dims(),
            b.dims(),
            out.dims()
        );
    }
    let kind = match out.dtype() {
        DType::BF16 => cudaDataType::CUDA_R_16BF,
        DType::F32 => cudaDataType::CUDA_R_32F,
        other => bail!("no product in {other:?}"),
    };
    let Argument::Pointer(result) = pointer(out)? else {
        bail!("no address")
    };
    let device: &CudaDevice = out.device().as_cuda_device()?;
    device.cuda_stream().context().bind_to_thread().w()?;
    let (first, second) = (Operand::new(b)?, Operand::new(a)?);
    // SAFETY: the addresses are those of matrices of these sizes and strides on the handle's device, in its stream.
    unsafe {
        gemm_ex(
            *device.cublas_handle().handle(),
            first.operation(),
            second.operation(),
            n as i32,
            m as i32,
            k as i32,
            (&raw const scale).cast::<c_void>(),
            first.address as *const c_void,
            cudaDataType::CUDA_R_16BF,
            first.stride,
            second.address as *const c_void,
            cudaDataType::CUDA_R_16BF,
            second.stride,
            (&raw const keep).cast::<c_void>(),
            result as *mut c_void,
            kind,
            n as i32,
            cublasComputeType_t::CUBLAS_COMPUTE_32F,
            cublasGemmAlgo_t::CUBLAS_GEMM_DEFAULT,
        )
    }
    .w()?;
    Ok(())
}

#[cfg(test)]
mod tests;
