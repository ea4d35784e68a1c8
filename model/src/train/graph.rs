//! An operation whose gradient is written by hand: what `torch.autograd.Function` is to PyTorch.
//!
//! candle's quantized product and its fused norm, rotary embedding and softmax stop gradients without a word. Here the
//! forward pass is computed with any of those on detached tensors, and the node of the graph carries a closure for the
//! backward pass. This is device-independent: the finished output is handed over as it is, at the price of one copy.

use std::sync::{Mutex, PoisonError};

use candle_core::backend::BackendStorage;
use candle_core::{
    CpuStorage, CudaStorage, CustomOp1, CustomOp2, CustomOp3, Layout, MetalStorage, Result, Shape, Storage,
    Tensor, bail,
};

/// Inputs and the output's gradient of one node, all detached.
pub(crate) struct Node<'a> {
    /// The tensors that the operation was applied to.
    pub(crate) inputs: &'a [Tensor],
    /// The gradient of the loss by the output, in its shape.
    pub(crate) gradient: &'a Tensor,
}

/// The gradients of the inputs, in their order; none for an input that is not tracked.
pub(crate) type Gradients = Vec<Option<Tensor>>;

type Backward = dyn Fn(&Node<'_>) -> Result<Gradients> + Send + Sync;

struct GraphOp {
    name: &'static str,
    output: Mutex<Option<Tensor>>,
    tracked: Vec<bool>,
    backward: Box<Backward>,
}

/// Puts an operation into the graph: `output` was computed from detached `inputs` (one to three), and `backward` gives
/// their gradients. Where no input is tracked, the output is returned as it is.
pub(crate) fn apply(
    name: &'static str,
    inputs: &[&Tensor],
    output: Tensor,
    backward: impl Fn(&Node<'_>) -> Result<Gradients> + Send + Sync + 'static,
) -> Result<Tensor> {
    let tracked: Vec<bool> = inputs.iter().map(|input| input.track_op()).collect();
    if !tracked.contains(&true) {
        return Ok(output);
    }
    let op = GraphOp {
        name,
        output: Mutex::new(Some(output.contiguous()?)),
        tracked,
        backward: Box::new(backward),
    };
    match inputs {
        [a] => a.apply_op1(op),
        [a, b] => a.apply_op2(b, op),
        [a, b, c] => a.apply_op3(b, c, op),
        _ => bail!("{name}: a node has one to three inputs, not {}", inputs.len()),
    }
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

    fn gradients(&self, inputs: &[&Tensor], gradient: &Tensor) -> Result<Gradients> {
        let inputs: Vec<Tensor> = inputs.iter().map(|input| input.detach()).collect();
        let node = Node {
            inputs: &inputs,
            gradient: &gradient.detach(),
        };
        let gradients = (self.backward)(&node)?;
        let given: Vec<bool> = gradients.iter().map(Option::is_some).collect();
        if given != self.tracked {
            bail!(
                "{}: gradients for {given:?} where {:?} are tracked",
                self.name,
                self.tracked
            );
        }
        Ok(gradients)
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
        Ok(self.gradients(&[a], gradient)?.pop().flatten())
    }
}

impl CustomOp2 for GraphOp {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        self.cpu()
    }

    fn cuda_fwd(
        &self,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.cuda()
    }

    fn metal_fwd(
        &self,
        _: &MetalStorage,
        _: &Layout,
        _: &MetalStorage,
        _: &Layout,
    ) -> Result<(MetalStorage, Shape)> {
        self.metal()
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let mut gradients = self.gradients(&[a, b], gradient)?.into_iter();
        Ok((gradients.next().flatten(), gradients.next().flatten()))
    }
}

impl CustomOp3 for GraphOp {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(
        &self,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        self.cpu()
    }

    fn cuda_fwd(
        &self,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        self.cuda()
    }

    fn metal_fwd(
        &self,
        _: &MetalStorage,
        _: &Layout,
        _: &MetalStorage,
        _: &Layout,
        _: &MetalStorage,
        _: &Layout,
    ) -> Result<(MetalStorage, Shape)> {
        self.metal()
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        c: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let mut gradients = self.gradients(&[a, b, c], gradient)?.into_iter();
        Ok((
            gradients.next().flatten(),
            gradients.next().flatten(),
            gradients.next().flatten(),
        ))
    }
}
