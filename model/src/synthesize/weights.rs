//! How often what is drawn: a table in TOML that a team can set.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::shapes::SHAPES;

/// The weights that are in force where nobody sets others.
const DEFAULT: &str = include_str!("weights.toml");

/// How often shapes and sources are drawn, and how often one query may come again.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// By the name of the shape; 0 leaves it out.
    pub shapes: BTreeMap<String, f32>,
    /// By what rows come from: a table, the elements of a list, joins.
    pub sources: BTreeMap<String, f32>,
    /// Bounds on repetition.
    pub limits: Limits,
}

/// Bounds on repetition.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Largest share of a catalog's pairs that one form of query may have: the query without its names and literals.
    pub form_share: f32,
    /// Most questions for one and the same query.
    pub questions_per_query: usize,
}

/// Why weights cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The text is not TOML of this form.
    #[error("the weights cannot be read: {0}")]
    Toml(String),
    /// A name that there is not.
    #[error("there is no {kind} {name:?}; there are {known}")]
    Name {
        /// "shape" or "source".
        kind: &'static str,
        /// The name.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// A weight below 0, or no weight above it.
    #[error("{0}")]
    Value(String),
}

/// The file of a team: only what it wants to be otherwise.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Partial {
    shapes: BTreeMap<String, f32>,
    sources: BTreeMap<String, f32>,
    limits: PartialLimits,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PartialLimits {
    form_share: Option<f32>,
    questions_per_query: Option<usize>,
}

impl Weights {
    /// The weights that are in force where nobody sets others.
    ///
    /// # Errors
    /// Never with the text that is built in; a test reads it.
    pub fn built_in() -> Result<Self, WeightsError> {
        toml::from_str(DEFAULT).map_err(|error| WeightsError::Toml(error.to_string()))
    }

    /// These weights with the ones of a text in place of theirs.
    ///
    /// # Errors
    /// Where the text is no table of weights, or has a name or value that there is not.
    pub fn with(mut self, text: &str) -> Result<Self, WeightsError> {
        let set: Partial = toml::from_str(text).map_err(|error| WeightsError::Toml(error.to_string()))?;
        replace("shape", &mut self.shapes, set.shapes)?;
        replace("source", &mut self.sources, set.sources)?;
        if let Some(share) = set.limits.form_share {
            self.limits.form_share = share;
        }
        if let Some(most) = set.limits.questions_per_query {
            self.limits.questions_per_query = most;
        }
        if !(self.limits.form_share > 0.0 && self.limits.form_share <= 1.0)
            || self.limits.questions_per_query == 0
        {
            return Err(WeightsError::Value(
                "form_share lies above 0 and up to 1, questions_per_query is at least 1".to_owned(),
            ));
        }
        if !self.shapes.values().any(|weight| *weight > 0.0) {
            return Err(WeightsError::Value(
                "every shape has the weight 0; give one of them more".to_owned(),
            ));
        }
        Ok(self)
    }

    /// The shapes by weight, as indices of all shapes.
    pub(super) fn of_shapes(&self) -> Vec<(usize, f32)> {
        let weight = |name: &str| self.shapes.get(name).copied().unwrap_or(0.0);
        SHAPES
            .iter()
            .enumerate()
            .map(|(index, shape)| (index, weight(shape.name)))
            .collect()
    }
}

fn replace(
    kind: &'static str,
    all: &mut BTreeMap<String, f32>,
    set: BTreeMap<String, f32>,
) -> Result<(), WeightsError> {
    for (name, weight) in set {
        if !(weight >= 0.0 && weight.is_finite()) {
            return Err(WeightsError::Value(format!(
                "the weight of {name} is {weight}; give a number of at least 0"
            )));
        }
        if !all.contains_key(&name) {
            let known: Vec<&str> = all.keys().map(String::as_str).collect();
            return Err(WeightsError::Name {
                kind,
                name,
                known: known.join(", "),
            });
        }
        all.insert(name, weight);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_has_a_weight_and_every_weight_a_shape() {
        let weights = Weights::built_in().expect("the built-in text");
        let names: std::collections::BTreeSet<&str> = SHAPES.iter().map(|s| s.name).collect();
        let weighed: std::collections::BTreeSet<&str> = weights.shapes.keys().map(String::as_str).collect();
        assert_eq!(names, weighed);
        assert_eq!(names.len(), SHAPES.len(), "a name stands twice");
    }

    #[test]
    fn a_team_sets_what_it_wants_otherwise() {
        let built_in = Weights::built_in().expect("the built-in text");
        let set = built_in
            .clone()
            .with("[shapes]\nrows = 0\n[limits]\nform_share = 0.5")
            .expect("a table");
        assert_eq!((set.shapes["rows"], set.limits.form_share), (0.0, 0.5));
        assert_eq!(set.shapes["count"], built_in.shapes["count"]);
        let refused = |text| built_in.clone().with(text).expect_err("refused").to_string();
        assert!(refused("[shapes]\nrowz = 1").starts_with("there is no shape \"rowz\"; there are "));
        assert!(refused("[shapes]\nrows = -1").contains("at least 0"));
        assert!(refused("[limits]\nform_share = 2.0").contains("form_share"));
        assert!(refused("rows = 1").contains("cannot be read"));
    }
}
