//! AdamW (Loshchilov and Hutter 2019) over one flat vector, with its state at hand for checkpoints.

use candle_core::{DType, Result, Tensor};

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// The optimizer and its moments, `(parameters)` in F32 each.
#[derive(Debug, Clone)]
pub(crate) struct AdamW {
    pub(crate) first: Tensor,
    pub(crate) second: Tensor,
    /// Updates made.
    pub(crate) steps: u64,
    weight_decay: f64,
}

impl AdamW {
    /// An optimizer that has seen nothing, for parameters such as these.
    pub(crate) fn new(parameters: &Tensor, weight_decay: f64) -> Result<Self> {
        let zeros = || Tensor::zeros(parameters.shape(), DType::F32, parameters.device());
        Ok(Self {
            first: zeros()?,
            second: zeros()?,
            steps: 0,
            weight_decay,
        })
    }

    /// The parameters after one update.
    pub(crate) fn update(&mut self, parameters: &Tensor, gradient: &Tensor, rate: f64) -> Result<Tensor> {
        self.steps += 1;
        let steps = self.steps as f64;
        self.first = ((&self.first * BETA1)? + (gradient * (1.0 - BETA1))?)?;
        self.second = ((&self.second * BETA2)? + (gradient.sqr()? * (1.0 - BETA2))?)?;
        let first = (&self.first / (1.0 - BETA1.powf(steps)))?;
        let second = (&self.second / (1.0 - BETA2.powf(steps)))?;
        let change = (first / (second.sqrt()? + EPSILON)?)?;
        (parameters * (1.0 - rate * self.weight_decay))? - (change * rate)?
    }
}

/// Euclidean norm, in one transfer from the device.
pub(crate) fn norm(gradient: &Tensor) -> Result<f64> {
    let squares: f32 = gradient.sqr()?.sum_all()?.to_scalar()?;
    Ok(f64::from(squares).sqrt())
}

/// The gradient, shortened to `most` where its norm is larger.
pub(crate) fn clip(gradient: Tensor, norm: f64, most: f64) -> Result<Tensor> {
    if norm > most {
        gradient * (most / norm)
    } else {
        Ok(gradient)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn tensor(values: &[f32]) -> Tensor {
        Tensor::new(values, &Device::Cpu).unwrap()
    }

    /// The same recurrences written out for one number in F64.
    fn reference(gradients: &[f64], rate: f64, decay: f64) -> f64 {
        let (mut x, mut m, mut v) = (1.0, 0.0, 0.0);
        for (i, g) in gradients.iter().enumerate() {
            let t = i as i32 + 1;
            m = 0.9 * m + 0.1 * g;
            v = 0.999 * v + 0.001 * g * g;
            let (m, v) = (m / (1.0 - 0.9f64.powi(t)), v / (1.0 - 0.999f64.powi(t)));
            x = x * (1.0 - rate * decay) - rate * m / (v.sqrt() + 1e-8);
        }
        x
    }

    #[test]
    fn updates_are_those_of_the_paper() {
        let gradients = [0.5, -0.25, 2.0, 0.0, -1e-3];
        let mut x = tensor(&[1.0]);
        let mut optimizer = AdamW::new(&x, 0.1).unwrap();
        for gradient in gradients {
            x = optimizer.update(&x, &tensor(&[gradient as f32]), 0.01).unwrap();
        }
        let expected = reference(&gradients, 0.01, 0.1);
        let x = f64::from(x.to_vec1::<f32>().unwrap()[0]);
        assert!((x - expected).abs() < 1e-6, "{x} where {expected} is expected");
    }

    #[test]
    fn only_long_gradients_are_shortened() {
        let gradient = tensor(&[3.0, 4.0]);
        let length = norm(&gradient).unwrap();
        assert!((length - 5.0).abs() < 1e-6);
        let kept = clip(gradient.clone(), length, 6.0).unwrap();
        assert_eq!(kept.to_vec1::<f32>().unwrap(), [3.0, 4.0]);
        let clipped = clip(gradient, length, 1.0).unwrap();
        assert!((norm(&clipped).unwrap() - 1.0).abs() < 1e-6);
    }
}
