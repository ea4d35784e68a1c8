//! An operation whose gradient is written by hand: what `torch.autograd.Function` is to PyTorch.
//!
//! candle's quantized product and its fused norm, rotary embedding and softmax stop gradients without a word. Here the
//! forward pass is computed with any of those on a detached tensor, and the node of the graph carries a closure for the
//! backward pass. This is device-independent: the finished output is handed over as it is, at the price of one copy.

use std::sync::{Mutex, PoisonError};

use candle_core::backend::BackendStorage;
use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, Layout, MetalStorage, Result, Shape, Storage, Tensor, bail,
};

type Backward = dyn Fn(&Tensor, &Tensor) -> Result<Tensor> + Send + Sync;

struct GraphOp {
    name: &'static str,
    output: Mutex<Option<Tensor>>,
    backward: Box<Backward>,
}

/// Puts an operation into the graph: `output` was computed from the detached `input`, and `backward` gives the gradient by
/// the input from the input and the gradient by the output, both detached. Where the input is not tracked, the output is
/// returned as it is.
pub(crate) fn apply(
    name: &'static str,
    input: &Tensor,
    output: Tensor,
    backward: impl Fn(&Tensor, &Tensor) -> Result<Tensor> + Send + Sync + 'static,
) -> Result<Tensor> {
    if !input.track_op() {
        return Ok(output);
    }
    input.apply_op1(GraphOp {
        name,
        output: Mutex::new(Some(output.contiguous()?)),
        backward: Box::new(backward),
    })
}

impl GraphOp {
    /// The output, once.
    fn take(&self) -> Result<Tensor> {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        match output.take() {
            Some(tensor) => Ok(tensor),
            None => bail!("{}: its output was taken already", self.name),
        }
    }

    fn cpu(&self) -> Result<(CpuStorage, Shape)> {
        let output = self.take()?;
        let (storage, layout) = output.storage_and_layout();
        match &*storage {
            Storage::Cpu(storage) => Ok((storage.try_clone(layout)?, layout.shape().clone())),
            _ => bail!("{}: inputs and output are on different devices", self.name),
        }
    }

    fn cuda(&self) -> Result<(CudaStorage, Shape)> {
        let output = self.take()?;
        let (storage, layout) = output.storage_and_layout();
        match &*storage {
            Storage::Cuda(storage) => Ok((storage.try_clone(layout)?, layout.shape().clone())),
            _ => bail!("{}: inputs and output are on different devices", self.name),
        }
    }

    fn metal(&self) -> Result<(MetalStorage, Shape)> {
        let output = self.take()?;
        let (storage, layout) = output.storage_and_layout();
        match &*storage {
            Storage::Metal(storage) => Ok((storage.try_clone(layout)?, layout.shape().clone())),
            _ => bail!("{}: inputs and output are on different devices", self.name),
        }
    }
}

impl CustomOp1 for GraphOp {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        self.cpu()
    }

    fn cuda_fwd(&self, _: &CudaStorage, _: &Layout) -> Result<(CudaStorage, Shape)> {
        self.cuda()
    }

    fn metal_fwd(&self, _: &MetalStorage, _: &Layout) -> Result<(MetalStorage, Shape)> {
        self.metal()
    }

    fn bwd(&self, a: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        (self.backward)(&a.detach(), &gradient.detach()).map(Some)
    }
}
