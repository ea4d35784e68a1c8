//! How the learning rate goes, and in which order the data comes.

use crate::random::Random;

/// Updates whose items are sorted by length together: enough for little padding, few enough to keep the order random.
const POOL: usize = 32;

/// The learning rate of an update (from 0): up in a straight line over the first `warmup` updates, then down along a
/// half cosine to 0 at `total` (Loshchilov and Hutter 2017).
pub(crate) fn learning_rate(peak: f64, step: u64, warmup: u64, total: u64) -> f64 {
    if step < warmup {
        return peak * (step + 1) as f64 / warmup as f64;
    }
    let share = (step - warmup) as f64 / total.saturating_sub(warmup).max(1) as f64;
    peak * 0.5 * (1.0 + (std::f64::consts::PI * share.min(1.0)).cos())
}

/// The items of each update of an epoch: every item once, in an order that seed and epoch decide. Items of an update
/// have similar lengths and stand sorted by them, so that little is padded.
pub(crate) fn order(lengths: &[usize], batch: usize, seed: u64, epoch: u64) -> Vec<Vec<usize>> {
    let batch = batch.max(1);
    let mut random = Random::new(seed, &format!("order {epoch}"));
    let mut items: Vec<usize> = (0..lengths.len()).collect();
    random.shuffle(&mut items);
    for pool in items.chunks_mut(batch * POOL) {
        pool.sort_by_key(|item| lengths[*item]);
    }
    let mut updates: Vec<Vec<usize>> = items.chunks(batch).map(<[usize]>::to_vec).collect();
    random.shuffle(&mut updates);
    updates
}

/// The share of what is computed in the first epoch that is padding: items of these lengths, `together` of an update's at
/// once.
#[must_use]
pub fn padding_share(lengths: &[usize], batch: usize, together: usize, seed: u64) -> f64 {
    let (mut computed, mut real) = (0, 0);
    for items in &order(lengths, batch, seed, 0) {
        for part in items.chunks(together.max(1)) {
            let lengths = part.iter().map(|item| lengths[*item]);
            computed += lengths.clone().max().unwrap_or(0) * part.len();
            real += lengths.sum::<usize>();
        }
    }
    1.0 - real as f64 / computed.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_and_falls() {
        let rates: Vec<f64> = (0..10).map(|step| learning_rate(1.0, step, 4, 10)).collect();
        assert_eq!(rates[..4], [0.25, 0.5, 0.75, 1.0]);
        assert!((rates[4] - 1.0).abs() < 1e-12);
        assert!((rates[7] - 0.5).abs() < 1e-12);
        assert!(rates[4..].windows(2).all(|pair| pair[1] < pair[0]));
        assert!(learning_rate(1.0, 10, 4, 10).abs() < 1e-12);
    }

    #[test]
    fn every_item_comes_once_an_epoch_and_in_another_order_each_time() {
        let lengths: Vec<usize> = (0..103).map(|i| i * 37 % 50).collect();
        let epochs: Vec<Vec<Vec<usize>>> = (0..2).map(|epoch| order(&lengths, 8, 1, epoch)).collect();
        for updates in &epochs {
            let mut items: Vec<usize> = updates.concat();
            items.sort_unstable();
            assert_eq!(items, (0..103).collect::<Vec<_>>());
            assert_eq!(updates.len(), 13);
        }
        assert_ne!(epochs[0], epochs[1]);
        assert_eq!(epochs[0], order(&lengths, 8, 1, 0));
        assert_ne!(epochs[0], order(&lengths, 8, 2, 0));
    }

    #[test]
    fn little_is_padded() {
        let lengths: Vec<usize> = (0..256).map(|i| 1 + i * 37 % 256).collect();
        let share = padding_share(&lengths, 8, 4, 1);
        assert!(share > 0.0 && share < 0.02, "{share}");
        // Four neighbours of a random order: about 3/8 of what is computed.
        let random: usize = lengths.chunks(4).map(|part| part.iter().max().unwrap() * 4).sum();
        let random = 1.0 - lengths.iter().sum::<usize>() as f64 / random as f64;
        assert!(random > 0.2, "{random}");
        assert_eq!(padding_share(&[7, 7, 7], 2, 2, 1), 0.0);
    }
}
