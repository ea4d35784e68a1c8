//! Random numbers that are the same on every machine and every run: SplitMix64 (Steele, Lea and Flood 2014).
//!
//! candle's CPU generator cannot be seeded, and a run that is resumed must see the numbers of the run that was cut.

/// A stream of numbers, decided by a seed and what they are for.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// The stream of this seed for this purpose; streams of different purposes have nothing in common.
    pub(crate) fn new(seed: u64, purpose: &str) -> Self {
        // FNV-1a: the same on every platform, unlike the standard library's hasher.
        let hash = purpose.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let mut random = Self(seed ^ hash);
        random.next();
        random
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In `[0, 1)`.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u32 << 24) as f32
    }

    /// In `[-bound, bound)`.
    pub(crate) fn uniform(&mut self, bound: f32) -> f32 {
        (2.0 * self.unit() - 1.0) * bound
    }

    /// Below `limit`, which is not 0. The bias is at most `limit` / 2⁶⁴.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        ((u128::from(self.next()) * limit as u128) >> 64) as usize
    }

    /// Puts items into a random order (Fisher and Yates).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last + 1);
            items.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ() {
        let draw = |seed, purpose| {
            let mut random = Random::new(seed, purpose);
            [random.next(), random.next(), random.next()]
        };
        assert_eq!(draw(1, "order"), draw(1, "order"));
        assert_ne!(draw(1, "order"), draw(1, "weights"));
        assert_ne!(draw(1, "order"), draw(2, "order"));
    }

    #[test]
    fn a_shuffle_keeps_every_item_and_reaches_every_order() {
        let mut random = Random::new(7, "shuffle");
        let mut orders = std::collections::HashSet::new();
        for _ in 0..200 {
            let mut items = [0, 1, 2];
            random.shuffle(&mut items);
            let mut sorted = items;
            sorted.sort_unstable();
            assert_eq!(sorted, [0, 1, 2]);
            orders.insert(items);
        }
        assert_eq!(orders.len(), 6);
    }

    #[test]
    fn uniform_numbers_fill_their_range() {
        let mut random = Random::new(3, "range");
        let numbers: Vec<f32> = (0..10_000).map(|_| random.uniform(2.0)).collect();
        let mean = numbers.iter().sum::<f32>() / 10_000.0;
        let (low, high) = numbers
            .iter()
            .fold((0f32, 0f32), |(low, high), n| (low.min(*n), high.max(*n)));
        assert!(mean.abs() < 0.05 && (-2.0..-1.99).contains(&low) && (1.99..2.0).contains(&high));
    }
}
