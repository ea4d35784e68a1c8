//! All places of a CTE or an alias, and their renaming.

use std::ops::Range;

use super::Place;
use crate::resolve::{Meaning, Use};
use crate::schema::{CatalogSnapshot, quote_name};

/// All places of the CTE or alias at an offset, its definition first; empty where there is none.
#[must_use]
pub fn references(text: &str, offset: usize, snapshot: &CatalogSnapshot) -> Vec<Range<usize>> {
    let Some(resolution) = Place::new(text, offset).resolution(text, snapshot) else {
        return Vec::new();
    };
    let uses = &resolution.uses;
    let here = |r: &Range<usize>| r.start <= offset && offset <= r.end && *r != (0..0);
    // A use wins over a definition: `FROM a` defines the alias `a` and uses the CTE.
    let used = uses
        .iter()
        .filter(|u| here(&u.range))
        .find_map(|u| defined(&u.what));
    let Some(target) = used.or_else(|| uses.iter().filter_map(|u| defined(&u.what)).find(|d| here(d))) else {
        return Vec::new();
    };
    // An alias that is the name of the CTE in FROM leads to the CTE.
    let target = cte_behind(uses, &target).unwrap_or(target);
    let mut places = vec![target.clone()];
    for found in uses {
        let direct = defined(&found.what).as_ref() == Some(&target);
        let through = defined(&found.what).is_some_and(|d| cte_behind(uses, &d).as_ref() == Some(&target));
        if (direct || through) && !places.contains(&found.range) {
            places.push(found.range.clone());
        }
    }
    places
}

/// Edits that give the CTE or alias at an offset another name; none where nothing can be renamed or the name is empty.
#[must_use]
pub fn rename(
    text: &str,
    offset: usize,
    name: &str,
    snapshot: &CatalogSnapshot,
) -> Option<Vec<(Range<usize>, String)>> {
    let places = references(text, offset, snapshot);
    if places.is_empty() || name.trim().is_empty() || name.contains(['\n', '`']) {
        return None;
    }
    let new = quote_name(name.trim());
    Some(places.into_iter().map(|r| (r, new.clone())).collect())
}

fn defined(what: &Meaning) -> Option<Range<usize>> {
    match what {
        Meaning::Cte(range) | Meaning::Alias(range, _) if *range != (0..0) => Some(range.clone()),
        _ => None,
    }
}

/// The definition of the CTE that is used right at this place.
fn cte_behind(uses: &[Use], place: &Range<usize>) -> Option<Range<usize>> {
    uses.iter().find_map(|u| match &u.what {
        Meaning::Cte(range) if u.range == *place => Some(range.clone()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::apply_edits;

    fn renamed(sql: &str, at: &str) -> String {
        let none = CatalogSnapshot::default();
        let mut edits = rename(sql, sql.find(at).unwrap(), "fresh", &none).unwrap();
        edits.sort_by_key(|e| e.0.start);
        apply_edits(sql, &edits)
    }

    #[test]
    fn every_place_is_renamed() {
        assert_eq!(
            renamed(
                "WITH a AS (SELECT 1 AS x) SELECT a.x FROM a JOIN a AS c ON a.x = c.x",
                "a AS ("
            ),
            "WITH fresh AS (SELECT 1 AS x) SELECT fresh.x FROM fresh JOIN fresh AS c ON fresh.x = c.x"
        );
        assert_eq!(
            renamed(
                "WITH a AS (SELECT 1 AS x) SELECT c.x FROM a AS c WHERE c.x > 1",
                "c.x FROM"
            ),
            "WITH a AS (SELECT 1 AS x) SELECT fresh.x FROM a AS fresh WHERE fresh.x > 1"
        );
    }
}
