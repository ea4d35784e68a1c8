//! Examples to learn from and examples to measure on, with no table in both.
//!
//! A model is asked about tables it has not seen: measured on tables it has learned, it looks better than it is.

use std::collections::HashMap;

use crate::random::Random;

use super::{Preparation, Prepared};

/// Takes about `share` of the examples out of a preparation, whole groups of them: examples that show a common table
/// belong together, and so do those that a chain of such tables joins. The seed decides which.
#[must_use]
pub fn hold_out(preparation: &mut Preparation, share: f64, seed: u64) -> Preparation {
    let groups = groups(&preparation.examples);
    let mut sizes: HashMap<usize, usize> = HashMap::new();
    for group in &groups {
        *sizes.entry(*group).or_default() += 1;
    }
    let mut order: Vec<usize> = sizes.keys().copied().collect();
    order.sort_unstable();
    Random::new(seed, "held out").shuffle(&mut order);
    let wanted = (preparation.examples.len() as f64 * share.clamp(0.0, 1.0)).round() as usize;
    let mut held = Vec::new();
    let mut count = 0;
    for group in order {
        // A group that would take much more than what is wanted stays where it is.
        if count < wanted && count + sizes[&group] <= wanted + wanted / 2 + 1 {
            count += sizes[&group];
            held.push(group);
        }
    }
    let mut taken = Preparation::default();
    let mut index = 0;
    preparation.examples.retain(|example| {
        let out = held.contains(&groups[index]);
        if out {
            taken.examples.push(example.clone());
        }
        index += 1;
        !out
    });
    taken.read = taken.examples.len();
    preparation.read -= taken.read;
    taken
}

/// The number of each example's group: the first example that a chain of tables joins it with.
fn groups(examples: &[Prepared]) -> Vec<usize> {
    let mut parents: Vec<usize> = (0..examples.len()).collect();
    let mut first_of: HashMap<&str, usize> = HashMap::new();
    for (index, example) in examples.iter().enumerate() {
        for table in &example.tables {
            let other = *first_of.entry(table).or_insert(index);
            let (a, b) = (root(&mut parents, index), root(&mut parents, other));
            parents[a.max(b)] = a.min(b);
        }
    }
    (0..examples.len())
        .map(|index| root(&mut parents, index))
        .collect()
}

fn root(parents: &mut [usize], mut index: usize) -> usize {
    while parents[index] != index {
        parents[index] = parents[parents[index]];
        index = parents[index];
    }
    index
}
