//! Choosing the next token: the likeliest, or one drawn from the nucleus (Holtzman et al. 2020) with a seed.

use crate::generate::Sampling;

/// Chooses tokens for one generation.
#[derive(Debug, Clone)]
pub struct Sampler {
    sampling: Sampling,
    random: SplitMix64,
}

impl Sampler {
    /// A sampler at the start of its random sequence.
    #[must_use]
    pub fn new(sampling: Sampling) -> Self {
        let seed = match sampling {
            Sampling::Greedy => 0,
            Sampling::Nucleus { seed, .. } => seed,
        };
        Self {
            sampling,
            random: SplitMix64(seed),
        }
    }

    /// The next token; none where no logit is a number, which only a broken model gives.
    pub fn sample(&mut self, logits: &[f32]) -> Option<u32> {
        match self.sampling {
            Sampling::Greedy => argmax(logits),
            Sampling::Nucleus {
                temperature, top_p, ..
            } => nucleus(logits, temperature, top_p, self.random.unit()),
        }
    }
}

/// The index of the greatest logit, the first of equals; NaN is never chosen.
#[must_use]
pub fn argmax(logits: &[f32]) -> Option<u32> {
    let mut best: Option<(usize, f32)> = None;
    for (index, logit) in logits.iter().enumerate() {
        if !logit.is_nan() && best.is_none_or(|(_, greatest)| *logit > greatest) {
            best = Some((index, *logit));
        }
    }
    best.map(|(index, _)| index as u32)
}

/// Draws from the smallest set of likeliest tokens whose probabilities reach `top_p`; `unit` is in [0, 1).
fn nucleus(logits: &[f32], temperature: f64, top_p: f64, unit: f64) -> Option<u32> {
    let greatest = logits[argmax(logits)? as usize];
    if temperature.is_nan() || temperature <= 0.0 {
        return argmax(logits);
    }
    let weight = |logit: f32| (f64::from(logit - greatest) / temperature).exp();
    let total: f64 = logits
        .iter()
        .filter(|logit| !logit.is_nan())
        .map(|logit| weight(*logit))
        .sum();
    // Tokens below this cannot matter and are many: sorting the rest is cheap.
    let floor = 1e-7;
    let mut candidates: Vec<(u32, f64)> = (0..)
        .zip(logits)
        .map(|(token, logit)| (token, weight(*logit) / total))
        .filter(|(_, probability)| *probability > floor)
        .collect();
    candidates.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let mut kept = 0.0;
    let size = candidates.iter().position(|(_, probability)| {
        kept += probability;
        kept >= top_p
    });
    candidates.truncate(size.map_or(candidates.len(), |last| last + 1));
    let mut left = unit * candidates.iter().map(|(_, probability)| probability).sum::<f64>();
    let drawn = candidates.iter().find(|(_, probability)| {
        left -= probability;
        left < 0.0
    });
    drawn.or(candidates.last()).map(|(token, _)| *token)
}

/// SplitMix64 (Steele et al. 2014): a few lines that give the same sequence on every machine for good.
#[derive(Debug, Clone)]
struct SplitMix64(u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In [0, 1).
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(seed: u64, top_p: f64) -> Vec<u32> {
        let mut sampler = Sampler::new(Sampling::Nucleus {
            temperature: 1.0,
            top_p,
            seed,
        });
        let logits = [1.0, 2.0, 0.5, f32::NAN, 1.9];
        (0..50).filter_map(|_| sampler.sample(&logits)).collect()
    }

    #[test]
    fn greedy_takes_the_first_of_the_greatest() {
        assert_eq!(
            Sampler::new(Sampling::Greedy).sample(&[0.0, 3.0, f32::NAN, 3.0]),
            Some(1)
        );
        assert_eq!(Sampler::new(Sampling::Greedy).sample(&[f32::NAN]), None);
    }

    #[test]
    fn a_seed_repeats_its_sequence_and_another_gives_another() {
        assert_eq!(draw(7, 1.0), draw(7, 1.0));
        assert_ne!(draw(7, 1.0), draw(8, 1.0));
    }

    #[test]
    fn the_nucleus_leaves_the_tail_out() {
        assert!(draw(1, 1.0).contains(&2));
        assert!(draw(1, 0.7).iter().all(|token| [1, 4].contains(token)));
        assert!(draw(1, 1e-9).iter().all(|token| *token == 1));
    }

    #[test]
    fn draws_follow_the_probabilities() {
        let mut sampler = Sampler::new(Sampling::Nucleus {
            temperature: 1.0,
            top_p: 1.0,
            seed: 3,
        });
        let logits = [0.0, (3.0f32).ln()];
        let ones = (0..4000).filter(|_| sampler.sample(&logits) == Some(1)).count();
        assert!(
            (2900..3100).contains(&ones),
            "{ones} of 4000 where 3000 are expected"
        );
    }
}
