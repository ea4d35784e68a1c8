//! Draws out of one stream of random numbers.

use crate::random::Random;

/// A stream of draws.
#[derive(Debug, Clone)]
pub(super) struct Dice(Random);

impl Dice {
    /// The stream of this seed for this purpose.
    pub(super) fn new(seed: u64, purpose: &str) -> Self {
        Self(Random::new(seed, purpose))
    }

    /// A number below `limit`; 0 where that is 0.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        if limit == 0 { 0 } else { self.0.below(limit) }
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        let width = usize::try_from(high - low + 1).unwrap_or(1);
        low + i64::try_from(self.below(width)).unwrap_or(0)
    }

    /// A number from 0 to 1, 1 not included.
    pub(super) fn unit(&mut self) -> f64 {
        f64::from(self.0.unit())
    }

    /// A number below `limit`, small ones more often.
    pub(super) fn low(&mut self, limit: usize) -> usize {
        let one = self.below(limit);
        one.min(self.below(limit))
    }

    /// True with this probability.
    pub(super) fn chance(&mut self, probability: f32) -> bool {
        self.0.unit() < probability
    }

    /// One of the items, if there is one.
    pub(super) fn pick<'t, T>(&mut self, items: &'t [T]) -> Option<&'t T> {
        items.get(self.below(items.len()))
    }

    /// One of the items by weight; none where no weight is above 0.
    pub(super) fn weighted<T: Copy>(&mut self, items: &[(T, f32)]) -> Option<T> {
        let total: f32 = items.iter().map(|(_, weight)| weight.max(0.0)).sum();
        let mut at = self.0.unit() * total;
        for (item, weight) in items.iter().filter(|(_, weight)| *weight > 0.0) {
            if at < *weight {
                return Some(*item);
            }
            at -= weight;
        }
        items
            .iter()
            .rev()
            .find(|(_, weight)| *weight > 0.0)
            .map(|(item, _)| *item)
    }

    /// One of several wordings.
    pub(super) fn word(&mut self, wordings: &[&'static str]) -> &'static str {
        self.pick(wordings).copied().unwrap_or_default()
    }

    /// The items in a random order.
    pub(super) fn shuffled<T>(&mut self, mut items: Vec<T>) -> Vec<T> {
        self.0.shuffle(&mut items);
        items
    }
}
