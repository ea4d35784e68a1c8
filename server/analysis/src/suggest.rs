//! "Did you mean": the nearest of some names, where one is near enough.

/// The nearest name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nearest<'n> {
    /// The name.
    pub name: &'n str,
    /// No other is as near: good enough to be put in unasked.
    pub sure: bool,
}

/// The candidate that a person most likely meant, if any is near enough.
pub fn nearest<'n>(wrong: &str, candidates: impl IntoIterator<Item = &'n str>) -> Option<Nearest<'n>> {
    let lower = wrong.to_lowercase();
    let mut best: Option<(u32, &str)> = None;
    let mut second = u32::MAX;
    for candidate in candidates {
        let Some(cost) = cost(&lower, candidate) else {
            continue;
        };
        match best {
            Some((b, name)) if cost >= b => {
                if name != candidate {
                    second = second.min(cost);
                }
            }
            _ => {
                second = best.filter(|(_, n)| *n != candidate).map_or(second, |(b, _)| b);
                best = Some((cost, candidate));
            }
        }
    }
    best.map(|(cost, name)| Nearest {
        name,
        sure: cost < second,
    })
}

/// How far two names are apart; none where they are too far. Edits count 10 each; shared words are cheaper than many
/// edits.
fn cost(lower: &str, candidate: &str) -> Option<u32> {
    let other = candidate.to_lowercase();
    if lower == other {
        return Some(0);
    }
    let length = lower.chars().count().max(other.chars().count());
    let allowed = match length {
        0..=2 => 0,
        3..=4 => 1,
        5..=8 => 2,
        9..=14 => 3,
        _ => 4,
    };
    let edits = if lower.len().abs_diff(other.len()) <= allowed * 4 {
        let distance = strsim::osa_distance(lower, &other);
        (distance <= allowed).then_some(distance as u32 * 10)
    } else {
        None
    };
    edits.or_else(|| shared_words(lower, &other))
}

/// `customer_name` for `name`, `user_count` for `count_users`: every word of the shorter is in the longer.
fn shared_words(a: &str, b: &str) -> Option<u32> {
    let squeeze = |s: &str| s.replace('_', "");
    if squeeze(a) == squeeze(b) {
        return Some(5);
    }
    let words = |s: &str| -> Vec<String> {
        s.split('_')
            .filter(|w| !w.is_empty())
            .map(|w| w.strip_suffix('s').unwrap_or(w).to_owned())
            .collect()
    };
    let (a, b) = (words(a), words(b));
    let (short, long) = if a.len() <= b.len() { (&a, &b) } else { (&b, &a) };
    let letters: usize = short.iter().map(String::len).sum();
    let all = !short.is_empty() && short.iter().all(|w| long.contains(w));
    let extra = long.len() - short.len();
    (all && letters >= 4 && extra <= 2).then_some(35 + 10 * extra as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(wrong: &str, names: &[&'static str]) -> Option<(&'static str, bool)> {
        nearest(wrong, names.iter().copied()).map(|n| (n.name, n.sure))
    }

    #[test]
    fn typos_and_words() {
        assert_eq!(near("gendre", &["gender", "country"]), Some(("gender", true)));
        assert_eq!(
            near("singer_ids", &["singer_id", "stadium_id"]),
            Some(("singer_id", true))
        );
        assert_eq!(
            near("name", &["first_name", "last_name"]),
            Some(("first_name", false))
        );
        assert_eq!(near("customer_name", &["name", "city"]), Some(("name", true)));
        assert_eq!(near("createdat", &["created_at"]), Some(("created_at", true)));
        assert_eq!(near("xyz", &["gender"]), None);
        assert_eq!(near("ab", &["ac"]), None);
    }
}
