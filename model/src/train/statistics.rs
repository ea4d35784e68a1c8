//! How sure a measured share is, whether one adapter is better than another, and how many examples it takes to see that.

use statrs::distribution::{Binomial, ContinuousCDF, DiscreteCDF, Normal};

/// The confidence of all intervals.
pub const CONFIDENCE: f64 = 0.95;

/// The standard normal distribution's quantile.
fn quantile(share: f64) -> f64 {
    Normal::standard().inverse_cdf(share)
}

/// The quantile for a two-sided interval or test at [`CONFIDENCE`].
fn two_sided() -> f64 {
    quantile(0.5 + CONFIDENCE / 2.0)
}

/// The interval of a share, `successes` of `trials` (Wilson 1927); everything is possible without a trial.
#[must_use]
pub fn interval(successes: usize, trials: usize) -> (f64, f64) {
    if trials == 0 {
        return (0.0, 1.0);
    }
    let (n, z) = (trials as f64, two_sided());
    let share = successes as f64 / n;
    let centre = share + z * z / (2.0 * n);
    let spread = z * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z * z / n;
    (
        ((centre - spread) / scale).max(0.0),
        ((centre + spread) / scale).min(1.0),
    )
}

/// What two models made of the same examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Paired {
    /// Right with both.
    pub both: usize,
    /// Right with the first only.
    pub first: usize,
    /// Right with the second only.
    pub second: usize,
    /// Wrong with both.
    pub neither: usize,
}

impl Paired {
    /// Counts verdicts about the same examples.
    #[must_use]
    pub fn count(pairs: impl IntoIterator<Item = (bool, bool)>) -> Self {
        let mut counts = Self::default();
        for pair in pairs {
            match pair {
                (true, true) => counts.both += 1,
                (true, false) => counts.first += 1,
                (false, true) => counts.second += 1,
                (false, false) => counts.neither += 1,
            }
        }
        counts
    }

    fn total(&self) -> usize {
        self.both + self.first + self.second + self.neither
    }

    /// The first's share less the second's.
    #[must_use]
    pub fn difference(&self) -> f64 {
        (self.first as f64 - self.second as f64) / self.total().max(1) as f64
    }

    /// The interval of the difference (Newcombe 1998, "Improved confidence intervals for the difference between binomial
    /// proportions based on paired data", method 10).
    #[must_use]
    pub fn interval(&self) -> (f64, f64) {
        let n = self.total();
        if n == 0 {
            return (-1.0, 1.0);
        }
        let (of_first, of_second) = (self.both + self.first, self.both + self.second);
        let shares = [of_first, of_second].map(|count| count as f64 / n as f64);
        let (low_first, high_first) = interval(of_first, n);
        let (low_second, high_second) = interval(of_second, n);
        let correlation = self.correlation();
        let spread = |a: f64, b: f64| (a * a - 2.0 * correlation * a * b + b * b).max(0.0).sqrt();
        let down = spread(shares[0] - low_first, high_second - shares[1]);
        let up = spread(high_first - shares[0], shares[1] - low_second);
        let difference = self.difference();
        ((difference - down).max(-1.0), (difference + up).min(1.0))
    }

    /// Of the two verdicts, with the correction for small numbers that the method has.
    fn correlation(&self) -> f64 {
        let [a, b, c, d] = [self.both, self.first, self.second, self.neither].map(|count| count as f64);
        let product = (a + b) * (c + d) * (a + c) * (b + d);
        let half = (a + b + c + d) / 2.0;
        let excess = a * d - b * c;
        let corrected = if excess > half {
            excess - half
        } else {
            excess.min(0.0)
        };
        if product > 0.0 {
            corrected / product.sqrt()
        } else {
            0.0
        }
    }

    /// The probability of so large a difference, in either direction, where the two are equally good: McNemar's test in
    /// its exact form, on the examples of which only one is right.
    #[must_use]
    pub fn p_value(&self) -> f64 {
        let differing = (self.first + self.second) as u64;
        let fewer = self.first.min(self.second) as u64;
        match Binomial::new(0.5, differing) {
            Ok(binomial) => (2.0 * binomial.cdf(fewer)).min(1.0),
            Err(_) => 1.0,
        }
    }
}

/// How many examples it takes for McNemar's test to find a difference of shares with a probability of `power`, where
/// the two models are right about different examples in a share `differing` of all (Connor 1987); none where the
/// difference is larger than that share or is 0.
#[must_use]
pub fn examples_needed(difference: f64, differing: f64, power: f64) -> Option<usize> {
    let possible = difference > 0.0 && difference <= differing && differing <= 1.0;
    possible.then(|| {
        let spread = two_sided() * differing.sqrt()
            + quantile(power) * (differing - difference * difference).max(0.0).sqrt();
        (spread / difference).powi(2).ceil() as usize
    })
}

/// The smallest difference that so many examples find with a probability of `power`; none where not even the largest
/// possible one is found.
#[must_use]
pub fn visible_difference(examples: usize, differing: f64, power: f64) -> Option<f64> {
    let enough = |difference: f64| {
        examples_needed(difference, differing, power).is_some_and(|needed| needed <= examples)
    };
    if !enough(differing) {
        return None;
    }
    // The number falls as the difference grows.
    let (mut low, mut high) = (0.0, differing);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if enough(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    Some(high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 6e-5
    }

    #[test]
    fn intervals_of_a_share_are_wilsons() {
        // Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3.
        for (successes, trials, low, high) in [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ] {
            let found = interval(successes, trials);
            assert!(near(found.0, low) && near(found.1, high), "{found:?}");
        }
        assert_eq!(interval(0, 0), (0.0, 1.0));
    }

    #[test]
    fn intervals_of_a_paired_difference_are_newcombes() {
        // Worked out from the paper's formulas, apart from this code.
        let paired = Paired {
            both: 20,
            first: 12,
            second: 2,
            neither: 16,
        };
        assert!(near(paired.difference(), 0.2));
        let (low, high) = paired.interval();
        assert!(near(low, 0.0562) && near(high, 0.3292), "{low} {high}");
        // All examples alike: nothing is known of the difference but how few there are.
        let same = Paired {
            both: 10,
            ..Paired::default()
        };
        let (low, high) = same.interval();
        assert!(low < 0.0 && near(low, -high), "{low} {high}");
    }

    #[test]
    fn mcnemars_test_is_exact() {
        let p = |first, second| {
            Paired {
                first,
                second,
                ..Paired::default()
            }
            .p_value()
        };
        // 2 · (1 + 14 + 91) / 2¹⁴
        assert!(near(p(12, 2), 0.012_939), "{}", p(12, 2));
        assert!(near(p(2, 12), p(12, 2)));
        assert_eq!(p(3, 3), 1.0);
        assert_eq!(p(0, 0), 1.0);
        // 2 / 2⁵
        assert!(near(p(5, 0), 0.0625));
    }

    #[test]
    fn pairs_are_counted() {
        let counts = Paired::count([(true, true), (true, false), (false, false), (true, false)]);
        assert_eq!(
            (counts.both, counts.first, counts.second, counts.neither),
            (1, 2, 0, 1)
        );
        assert!(near(counts.difference(), 0.5));
    }

    #[test]
    fn examples_that_a_difference_takes_are_connors() {
        // (1.95996·√0.3 + 0.84162·√(0.3 − 0.01))² / 0.01
        assert_eq!(examples_needed(0.1, 0.3, 0.8), Some(234));
        assert_eq!(examples_needed(0.3, 0.2, 0.8), None);
        assert_eq!(examples_needed(0.0, 0.2, 0.8), None);
        let visible = visible_difference(234, 0.3, 0.8).unwrap();
        assert!((0.0998..=0.1001).contains(&visible), "{visible}");
        assert_eq!(visible_difference(5, 0.3, 0.8), None);
    }
}
