//! Date-sharded tables: `events_20240101`, `events_20240102`, … are one family, `events_*`.

use std::collections::BTreeMap;

/// A table to read, and the name that it goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The table's own id: of a family the newest shard's.
    pub id: String,
    /// The name in the catalog: `events_*` for a family.
    pub name: String,
}

impl Member {
    /// Whether a written name means it: its own, or that of a shard of the family.
    pub(super) fn is(&self, written: &str) -> bool {
        let of_family = |family: &str| written.len() > family.len() && written.starts_with(family);
        self.name == written || self.name.strip_suffix('*').is_some_and(of_family)
    }
}

/// The tables of a dataset with each family as one, by name.
pub(super) fn families(ids: Vec<String>) -> Vec<Member> {
    let mut members: BTreeMap<String, String> = BTreeMap::new();
    for id in ids {
        match prefix(&id) {
            Some(prefix) => {
                let newest = members.entry(format!("{prefix}*")).or_default();
                *newest = std::mem::take(newest).max(id);
            }
            None => {
                members.insert(id.clone(), id);
            }
        }
    }
    members
        .into_iter()
        .map(|(name, id)| Member { id, name })
        .collect()
}

/// `events_` of `events_20240101`.
fn prefix(id: &str) -> Option<&str> {
    let (prefix, date) = id.split_at_checked(id.len().checked_sub(8)?)?;
    let number = |range: std::ops::Range<usize>| date.get(range)?.parse::<u32>().ok();
    let is_date = date.bytes().all(|b| b.is_ascii_digit())
        && (1900..2200).contains(&number(0..4)?)
        && (1..=12).contains(&number(4..6)?)
        && (1..=31).contains(&number(6..8)?);
    (is_date && prefix.len() > 1 && prefix.ends_with('_')).then_some(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(ids: &[&str]) -> Vec<(String, String)> {
        families(ids.iter().map(ToString::to_string).collect())
            .into_iter()
            .map(|m| (m.name, m.id))
            .collect()
    }

    #[test]
    fn shards_are_one_family_with_the_newest_schema() {
        let pair = |name: &str, id: &str| (name.to_owned(), id.to_owned());
        assert_eq!(
            names(&[
                "events_20240229",
                "orders",
                "events_20240301",
                "events_intraday_20240302"
            ]),
            [
                pair("events_*", "events_20240301"),
                pair("events_intraday_*", "events_intraday_20240302"),
                pair("orders", "orders"),
            ]
        );
    }

    #[test]
    fn what_is_no_date_is_a_table() {
        for id in [
            "t_12345678",
            "t_20241301",
            "20240101",
            "_20240101",
            "t20240101",
            "a_2024010é",
            "x",
        ] {
            assert_eq!(names(&[id]), [(id.to_owned(), id.to_owned())]);
        }
    }
}
