//! Dropout before a LoRA pair (Srivastava et al. 2014), where PEFT has it: on what enters A, not on what enters the base.
//!
//! The masks are drawn on the host from a seed, for a layer that is computed again must drop what it has dropped.

use candle_core::{DType, Device, Result, Tensor};

use crate::lora::Projection;

use crate::random::Random;

/// What is dropped in one forward pass.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dropout {
    rate: f64,
    seed: u64,
}

impl Dropout {
    /// None where nothing is dropped: without a rate, or of a batch that is only measured.
    pub(crate) fn new(rate: f64, seed: Option<u64>) -> Option<Self> {
        seed.filter(|_| rate > 0.0).map(|seed| Self { rate, seed })
    }

    /// That of one layer.
    pub(crate) fn of_layer(self, layer: usize) -> Self {
        self.derived(&format!("layer {layer}"))
    }

    /// That of one module of a layer.
    pub(crate) fn of_module(self, projection: Projection) -> Self {
        self.derived(projection.module())
    }

    fn derived(self, purpose: &str) -> Self {
        let seed = Random::new(self.seed, purpose).next();
        Self { seed, ..self }
    }

    /// What `x`, or a gradient by it, is multiplied with: zero for what is dropped, and more than one for the rest, so
    /// that the mean stays.
    pub(crate) fn mask_like(self, x: &Tensor) -> Result<Tensor> {
        let mask = self.mask(x.elem_count(), x.device())?;
        mask.reshape(x.shape())?.to_dtype(x.dtype())
    }

    fn mask(self, count: usize, device: &Device) -> Result<Tensor> {
        let mut random = Random::new(self.seed, "dropout");
        // Four decisions of 16 bits a number.
        let limit = (self.rate * f64::from(1 << 16)).round() as u64;
        let kept = (1.0 / (1.0 - self.rate)) as f32;
        let decide = |bits: u64| if bits & 0xffff < limit { 0.0 } else { kept };
        let numbers = std::iter::repeat_with(|| random.next());
        let mask: Vec<f32> = numbers
            .flat_map(|bits| [0, 16, 32, 48].map(|shift| decide(bits >> shift)))
            .take(count)
            .collect();
        Tensor::from_vec(mask, count, device)?.to_dtype(DType::F32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(seed: u64) -> Vec<f32> {
        let dropout = Dropout::new(0.25, Some(seed)).unwrap();
        dropout.mask(10_001, &Device::Cpu).unwrap().to_vec1().unwrap()
    }

    #[test]
    fn a_quarter_is_dropped_and_the_mean_stays() {
        let mask = mask(1);
        let dropped = mask.iter().filter(|x| **x == 0.0).count();
        assert!((2350..2650).contains(&dropped), "{dropped}");
        let mean = mask.iter().sum::<f32>() / mask.len() as f32;
        assert!((mean - 1.0).abs() < 0.02, "{mean}");
    }

    #[test]
    fn a_seed_repeats_and_places_differ() {
        assert_eq!(mask(1), mask(1));
        assert_ne!(mask(1), mask(2));
        let dropout = Dropout::new(0.5, Some(1)).unwrap();
        let seeds = [
            dropout.of_layer(0).of_module(Projection::Query).seed,
            dropout.of_layer(0).of_module(Projection::Key).seed,
            dropout.of_layer(1).of_module(Projection::Query).seed,
        ];
        assert!(seeds[0] != seeds[1] && seeds[0] != seeds[2] && seeds[1] != seeds[2]);
    }

    #[test]
    fn nothing_is_dropped_without_a_rate_or_in_measuring() {
        assert!(Dropout::new(0.0, Some(1)).is_none() && Dropout::new(0.1, None).is_none());
    }
}
