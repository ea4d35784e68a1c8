//! Pairs of question and query made from a catalog: typed samples of what analysts ask, with nothing but the schema to go
//! by.
//!
//! A shape of query draws columns that fit by type, name and description, and says in English what it computes. Nothing
//! here knows whether a query holds: the [`Check`] that the caller brings decides, and what it refuses is drawn anew.
//! Every draw has a number and hangs on the seed and that number alone, so that a run that was cut goes on where it was.

mod columns;
mod conditions;
mod descriptions;
mod dice;
mod dimensions;
mod form;
mod metrics;
mod periods;
mod phrases;
mod shapes;
mod source;
mod tables;
mod thresholds;
mod units;
mod weights;
mod words;

use std::collections::HashMap;
use std::sync::Arc;

use bigquill_analysis::schema::CatalogSnapshot;
use serde::{Deserialize, Serialize};

use dice::Dice;
use shapes::{Context, SHAPES};
use tables::Model;

pub use weights::{Limits, Weights, WeightsError};

/// Draws without a pair after which a catalog has no more to give.
const MOST_MISSES: u64 = 3000;

/// How often people leave out the struct that a field is in.
const BARE: f32 = 0.75;

/// Tries of one draw.
const TRIES: usize = 4;

/// A question with its query, as a line of a file of training data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// The seed of the run.
    pub seed: u64,
    /// Number of the draw that it came from, unique in its run.
    pub draw: u64,
    /// What is asked.
    pub question: String,
    /// The name of the catalog.
    pub catalog: String,
    /// The answer.
    pub bigquery_sql: String,
    /// The kind of query.
    pub shape: String,
}

/// Decides whether a query holds.
pub trait Check: Sync {
    /// Whether this catalog takes the query.
    fn accepts(&self, sql: &str, catalog: &CatalogSnapshot) -> bool;
}

/// A catalog by its name.
#[derive(Debug, Clone)]
pub struct Named {
    /// The name that pairs carry.
    pub name: String,
    /// Its tables.
    pub snapshot: Arc<CatalogSnapshot>,
}

/// How many draws became what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Pairs.
    pub pairs: usize,
    /// Queries that the check refused.
    pub refused: usize,
    /// Pairs that there were already, or whose form of query was used up.
    pub repeated: usize,
}

/// Makes pairs, one draw after the other.
pub struct Synthesizer<'c> {
    catalogs: Vec<Subject>,
    weights: &'c Weights,
    seed: u64,
    /// Pairs wanted of each catalog.
    share: usize,
    next: u64,
    tally: Tally,
    refused: HashMap<&'static str, (usize, String)>,
}

/// A catalog and what was made of it.
struct Subject {
    named: Named,
    model: Model,
    /// The model with shorter nouns.
    bare: Model,
    pairs: usize,
    last: u64,
    forms: HashMap<u64, usize>,
    queries: HashMap<String, usize>,
    questions: HashMap<String, ()>,
}

/// A draw that is worth checking.
struct Candidate {
    pair: Pair,
    subject: usize,
    accepted: bool,
}

impl<'c> Synthesizer<'c> {
    /// Draws from these catalogs, `count` pairs of all of them together.
    #[must_use]
    pub fn new(catalogs: Vec<Named>, weights: &'c Weights, seed: u64, count: usize) -> Self {
        let catalogs: Vec<Subject> = catalogs.into_iter().map(Subject::new).collect();
        Self {
            share: count.div_ceil(catalogs.len().max(1)),
            catalogs,
            weights,
            seed,
            next: 0,
            tally: Tally::default(),
            refused: HashMap::new(),
        }
    }

    /// Goes on behind the pairs of a run that was cut.
    pub fn resume(&mut self, pairs: &[Pair]) {
        for pair in pairs {
            let found = self.catalogs.iter().position(|s| s.named.name == pair.catalog);
            if let Some(subject) = found {
                self.catalogs[subject].keep(pair);
                self.tally.pairs += 1;
            }
            self.next = self.next.max(pair.draw + 1);
        }
    }

    /// The next pairs that the check accepts, of a batch of draws made on `threads` threads; none where every catalog has
    /// given what it can.
    pub fn batch(&mut self, check: &dyn Check, threads: usize, size: usize) -> Option<Vec<Pair>> {
        let open: Vec<bool> = self
            .catalogs
            .iter()
            .map(|s| s.is_open(self.share, self.next, self.catalogs.len()))
            .collect();
        if !open.contains(&true) {
            return None;
        }
        let first = self.next;
        let draws: Vec<u64> = (first..first + size as u64).collect();
        let chunk = draws.len().div_ceil(threads.max(1));
        let this = &*self;
        let candidates: Vec<Option<Candidate>> = std::thread::scope(|scope| {
            let parts: Vec<_> = draws
                .chunks(chunk)
                .map(|part| {
                    scope.spawn(|| {
                        part.iter()
                            .map(|draw| this.candidate(*draw, &open, check))
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            parts
                .into_iter()
                .flat_map(|part| part.join().unwrap_or_default())
                .collect()
        });
        let mut pairs = Vec::new();
        for candidate in candidates.into_iter().flatten() {
            pairs.extend(self.keep(candidate));
        }
        self.next += size as u64;
        Some(pairs)
    }

    /// What became of the draws so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// The shapes whose queries were refused, how often, and one such query.
    #[must_use]
    pub fn refused(&self) -> Vec<(&'static str, usize, &str)> {
        let mut all: Vec<_> = self
            .refused
            .iter()
            .map(|(shape, (count, sql))| (*shape, *count, sql.as_str()))
            .collect();
        all.sort_by_key(|(shape, count, _)| (std::cmp::Reverse(*count), *shape));
        all
    }

    /// Catalogs that gave fewer pairs than were wanted of them, and how many.
    #[must_use]
    pub fn short(&self) -> Vec<(&str, usize)> {
        let few = self.catalogs.iter().filter(|s| s.pairs < self.share);
        few.map(|s| (s.named.name.as_str(), s.pairs)).collect()
    }

    fn candidate(&self, draw: u64, open: &[bool], check: &dyn Check) -> Option<Candidate> {
        let count = self.catalogs.len() as u64;
        let index = usize::try_from(draw % count).unwrap_or(0);
        let subject = self.catalogs.get(index).filter(|_| open[index])?;
        if subject.model.tables.is_empty() {
            return None;
        }
        let mut dice = Dice::new(self.seed, &format!("draw {draw}"));
        let shape = SHAPES.get(dice.weighted(&self.weights.of_shapes())?)?;
        let bare = dice.chance(BARE);
        let context = Context {
            model: if bare { &subject.bare } else { &subject.model },
            weights: self.weights,
        };
        // Some shapes find what they need only now and then; without more tries they would be rarer than they weigh.
        let draft = (0..TRIES)
            .find_map(|_| (shape.draw)(context, &mut dice).filter(|draft| shapes::is_lean(&draft.sql)))?;
        let pair = Pair {
            seed: self.seed,
            draw,
            question: draft.question,
            catalog: subject.named.name.clone(),
            bigquery_sql: draft.sql,
            shape: shape.name.to_owned(),
        };
        // What cannot be kept need not be checked.
        let accepted = subject.has_room(&pair, self.weights, self.share)
            && check.accepts(&pair.bigquery_sql, &subject.named.snapshot);
        Some(Candidate {
            pair,
            subject: index,
            accepted,
        })
    }

    fn keep(&mut self, candidate: Candidate) -> Option<Pair> {
        let catalogs = self.catalogs.len();
        let subject = &mut self.catalogs[candidate.subject];
        if !subject.is_open(self.share, candidate.pair.draw, catalogs) {
            return None;
        }
        if !subject.has_room(&candidate.pair, self.weights, self.share) {
            self.tally.repeated += 1;
            return None;
        }
        if !candidate.accepted {
            self.tally.refused += 1;
            let shape = SHAPES.iter().find(|s| s.name == candidate.pair.shape)?;
            let entry = self.refused.entry(shape.name).or_default();
            *entry = (entry.0 + 1, candidate.pair.bigquery_sql);
            return None;
        }
        subject.keep(&candidate.pair);
        self.tally.pairs += 1;
        Some(candidate.pair)
    }
}

impl Subject {
    fn new(named: Named) -> Self {
        let model = Model::new(&named.snapshot);
        Self {
            bare: model.clone().with_bare_nouns(),
            model,
            named,
            pairs: 0,
            last: 0,
            forms: HashMap::new(),
            queries: HashMap::new(),
            questions: HashMap::new(),
        }
    }

    /// Whether more pairs are wanted and can be hoped for.
    fn is_open(&self, share: usize, next: u64, catalogs: usize) -> bool {
        self.pairs < share
            && !self.model.tables.is_empty()
            && next.saturating_sub(self.last) / (catalogs as u64) < MOST_MISSES
    }

    fn has_room(&self, pair: &Pair, weights: &Weights, share: usize) -> bool {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a bound, not a count"
        )]
        let most = ((share as f32 * weights.limits.form_share) as usize).max(3);
        let forms = self
            .forms
            .get(&form::of(&pair.bigquery_sql))
            .copied()
            .unwrap_or(0);
        let queries = self.queries.get(&pair.bigquery_sql).copied().unwrap_or(0);
        forms < most
            && queries < weights.limits.questions_per_query
            && !self.questions.contains_key(&pair.question.to_lowercase())
    }

    fn keep(&mut self, pair: &Pair) {
        self.pairs += 1;
        self.last = pair.draw;
        *self.forms.entry(form::of(&pair.bigquery_sql)).or_default() += 1;
        *self.queries.entry(pair.bigquery_sql.clone()).or_default() += 1;
        self.questions.insert(pair.question.to_lowercase(), ());
    }
}

#[cfg(test)]
mod tests;
