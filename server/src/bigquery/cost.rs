//! Bytes and what reading them costs.

use super::{Accuracy, Estimate};

const UNITS: [&str; 5] = ["bytes", "KiB", "MiB", "GiB", "TiB"];

/// What reading so many bytes costs at this price a TiB.
#[must_use]
pub fn price(bytes: u64, per_tib: f64) -> f64 {
    bytes as f64 / (1_u64 << 40) as f64 * per_tib
}

/// `1.2 GiB, 0.0073 USD`.
#[must_use]
pub fn text(bytes: u64, per_tib: f64) -> String {
    format!("{}, {} USD", size(bytes), rounded(price(bytes, per_tib)))
}

/// `SELECT reads at most 1.2 GiB, 0.0074 USD`.
#[must_use]
pub fn summary(estimate: &Estimate, price_per_tib: f64) -> String {
    let bound = match estimate.accuracy {
        Accuracy::LowerBound => "at least ",
        Accuracy::UpperBound => "at most ",
        Accuracy::Precise | Accuracy::Unknown => "",
    };
    let what = match estimate.statement_type.as_str() {
        "" => "statement",
        kind => kind,
    };
    format!(
        "{what} reads {bound}{}",
        text(estimate.bytes_processed, price_per_tib)
    )
}

/// As BigQuery's console says it: units of 1024.
#[must_use]
pub fn size(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{bytes} {}", UNITS[0])
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

/// Cents matter, and of small prices the first two digits.
fn rounded(price: f64) -> String {
    match price {
        0.0 => "0".to_owned(),
        price if price < 0.000_1 => "less than 0.0001".to_owned(),
        price if price < 0.1 => format!("{price:.4}"),
        price => format!("{price:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_prices_read_well() {
        assert_eq!(text(0, 6.25), "0 bytes, 0 USD");
        assert_eq!(text(1023, 6.25), "1023 bytes, less than 0.0001 USD");
        assert_eq!(text(1_288_490_188, 6.25), "1.2 GiB, 0.0073 USD");
        assert_eq!(text(3 << 40, 6.25), "3.0 TiB, 18.75 USD");
        assert_eq!(text(2048 << 40, 1.0), "2048.0 TiB, 2048.00 USD");
    }
}
