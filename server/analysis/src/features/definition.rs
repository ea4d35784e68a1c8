//! Where a CTE or an alias is defined.

use std::ops::Range;

use super::Place;
use crate::resolve::Meaning;
use crate::schema::CatalogSnapshot;

/// The bytes of the name that defines what stands at an offset; none for tables, columns and everything else.
#[must_use]
pub fn definition(text: &str, offset: usize, snapshot: &CatalogSnapshot) -> Option<Range<usize>> {
    let resolution = Place::new(text, offset).resolution(text, snapshot)?;
    let found = resolution
        .uses
        .iter()
        .find(|u| u.range.start <= offset && offset <= u.range.end)?;
    match &found.what {
        Meaning::Cte(defined) | Meaning::Alias(defined, _) if *defined != (0..0) => Some(defined.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ctes_and_aliases() {
        let sql = "WITH a AS (SELECT 1 AS x) SELECT b.x FROM a AS b";
        let none = CatalogSnapshot::default();
        assert_eq!(definition(sql, sql.rfind("a AS b").unwrap(), &none), Some(5..6));
        let alias = sql.len() - 1;
        assert_eq!(
            definition(sql, sql.find("b.x").unwrap(), &none),
            Some(alias..alias + 1)
        );
        assert_eq!(definition(sql, 0, &none), None);
    }
}
