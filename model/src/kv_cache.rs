//! Keys and values of the positions that a model has seen. A cache appends, truncates and forks.
//!
//! The decoder that made a cache is the only one that can use it: its layout is the decoder's.

use crate::cpu::attention::HostLayer;
use crate::decoder::{DecoderError, tensor::TensorLayer};

/// Keys and values of one sequence, over all layers.
#[derive(Debug)]
pub struct KvCache {
    len: usize,
    pub(crate) layers: Layers,
}

/// Where the numbers live.
#[derive(Debug)]
pub(crate) enum Layers {
    /// In plain memory, for the decoder's CPU kernels.
    Host(Vec<HostLayer>),
    /// In candle tensors on a device.
    Tensor(Vec<TensorLayer>),
}

impl KvCache {
    pub(crate) fn new(layers: Layers) -> Self {
        Self { len: 0, layers }
    }

    /// Positions held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of memory reserved.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match &self.layers {
            Layers::Host(layers) => layers.iter().map(HostLayer::bytes).sum(),
            Layers::Tensor(layers) => layers.iter().map(TensorLayer::bytes).sum(),
        }
    }

    /// Forgets all positions from `len` on.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// A cache of its own with the first `len` positions.
    ///
    /// # Errors
    /// Where the device has no memory left.
    pub fn fork(&self, len: usize) -> Result<Self, DecoderError> {
        let len = len.min(self.len);
        let layers = match &self.layers {
            Layers::Host(layers) => Layers::Host(layers.iter().map(|layer| layer.fork(len)).collect()),
            Layers::Tensor(layers) => {
                let forked: candle_core::Result<Vec<_>> =
                    layers.iter().map(|layer| layer.fork(len)).collect();
                Layers::Tensor(forked?)
            }
        };
        Ok(Self { len, layers })
    }

    /// Counts positions whose keys and values have been written.
    pub(crate) fn advance(&mut self, positions: usize) {
        self.len += positions;
    }
}
