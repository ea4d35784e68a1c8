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
mod emulator;
mod form;
mod ids;
mod metrics;
mod periods;
mod phrases;
mod rows;
mod runs;
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
use runs::Faults;
use shapes::{Context, SHAPES};
use tables::Model;

pub use emulator::{Emulator, EmulatorError};
pub use rows::{Row, RowSet, RowTable};
pub use runs::{Fault, Faulty, Outcome, Runner, RunnerError};
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
    /// Queries that failed on rows.
    pub failed: usize,
    /// Queries that gave no rows.
    pub empty: usize,
    /// Pairs that were kept though their queries could not be run.
    pub not_run: usize,
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
    pairs: usize,
    repeated: usize,
    faults: Faults,
    running: Option<Running<'c>>,
}

/// What runs the queries, and the catalog whose rows it has.
struct Running<'c> {
    runner: &'c dyn Runner,
    held: Option<(usize, RowSet)>,
}

/// A catalog and what was made of it.
struct Subject {
    named: Named,
    model: Model,
    /// The model with shorter nouns.
    bare: Model,
    pairs: usize,
    last: u64,
    /// The next draw, where catalogs come one after the other.
    next: u64,
    forms: HashMap<u64, usize>,
    queries: HashMap<String, usize>,
    questions: HashMap<String, ()>,
}

/// A draw that is worth checking.
struct Candidate {
    pair: Pair,
    subject: usize,
    accepted: bool,
    outcome: Outcome,
}

impl<'c> Synthesizer<'c> {
    /// Draws from these catalogs, `count` pairs of all of them together.
    #[must_use]
    pub fn new(catalogs: Vec<Named>, weights: &'c Weights, seed: u64, count: usize) -> Self {
        let subject = |(first, named): (u64, Named)| Subject::new(named, first);
        let catalogs: Vec<Subject> = (0..).zip(catalogs).map(subject).collect();
        Self {
            share: count.div_ceil(catalogs.len().max(1)),
            catalogs,
            weights,
            seed,
            next: 0,
            pairs: 0,
            repeated: 0,
            faults: Faults::default(),
            running: None,
        }
    }

    /// Keeps only pairs whose queries give rows, on rows that are made for the catalogs. The catalogs come one after the
    /// other then, because they cannot have their tables in one place at the same time.
    #[must_use]
    pub fn running(self, runner: &'c dyn Runner) -> Self {
        Self {
            running: Some(Running { runner, held: None }),
            ..self
        }
    }

    /// Goes on behind the pairs of a run that was cut.
    pub fn resume(&mut self, pairs: &[Pair]) {
        let count = self.catalogs.len() as u64;
        for pair in pairs {
            let found = self.catalogs.iter().position(|s| s.named.name == pair.catalog);
            if let Some(subject) = found {
                self.catalogs[subject].keep(pair);
                self.catalogs[subject].next = pair.draw + count;
                self.pairs += 1;
            }
            self.next = self.next.max(pair.draw + 1);
        }
    }

    /// The next pairs that the check accepts, and that give rows where they are run, of a batch of draws made on `threads`
    /// threads; none where every catalog has given what it can.
    ///
    /// # Errors
    ///
    /// Where queries are to be run and nothing runs them.
    pub fn batch(
        &mut self,
        check: &dyn Check,
        threads: usize,
        size: usize,
    ) -> Result<Option<Vec<Pair>>, RunnerError> {
        let count = self.catalogs.len();
        let one_by_one = self.running.is_some();
        let mut open: Vec<bool> = self
            .catalogs
            .iter()
            .map(|s| s.is_open(self.share, if one_by_one { s.next } else { self.next }, count))
            .collect();
        let Some(first) = open.iter().position(|open| *open) else {
            return Ok(None);
        };
        let draws: Vec<u64> = if one_by_one {
            open = (0..count).map(|index| index == first).collect();
            let subject = &mut self.catalogs[first];
            // What is drawn beyond the share of the catalog is run for nothing.
            let wanted = (self.share - subject.pairs) * 3 / 2 + threads.max(1) * 8;
            let begin = subject.next;
            subject.next += (size.min(wanted) * count) as u64;
            (begin..subject.next).step_by(count).collect()
        } else {
            self.next += size as u64;
            (self.next - size as u64..self.next).collect()
        };
        let mut candidates = self.candidates(&draws, &open, check, threads);
        self.run(&mut candidates, first, threads)?;
        Ok(Some(
            candidates.into_iter().filter_map(|c| self.keep(c)).collect(),
        ))
    }

    fn candidates(&self, draws: &[u64], open: &[bool], check: &dyn Check, threads: usize) -> Vec<Candidate> {
        let chunk = draws.len().div_ceil(threads.max(1)).max(1);
        std::thread::scope(|scope| {
            let parts: Vec<_> = draws
                .chunks(chunk)
                .map(|part| {
                    scope.spawn(|| {
                        part.iter()
                            .filter_map(|draw| self.candidate(*draw, open, check))
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            parts
                .into_iter()
                .flat_map(|part| part.join().unwrap_or_default())
                .collect()
        })
    }

    /// Runs the queries of candidates of one catalog, if there is what runs them.
    fn run(
        &mut self,
        candidates: &mut [Candidate],
        subject: usize,
        threads: usize,
    ) -> Result<(), RunnerError> {
        let Some(Running { runner, held }) = &mut self.running else {
            return Ok(());
        };
        if held.as_ref().is_none_or(|(of, _)| *of != subject) {
            let made = RowSet::made(&self.catalogs[subject].named.snapshot, self.seed);
            runner.open(&made)?;
            *held = Some((subject, made));
        }
        let Some((_, rows)) = held else {
            return Ok(());
        };
        let accepted: Vec<&mut Candidate> = candidates.iter_mut().filter(|c| c.accepted).collect();
        let queries: Vec<String> = accepted
            .iter()
            .map(|c| rows.runnable(&c.pair.bigquery_sql))
            .collect();
        let outcomes = runs::run(*runner, &queries, threads)?;
        for (candidate, outcome) in accepted.into_iter().zip(outcomes) {
            candidate.outcome = outcome;
        }
        Ok(())
    }

    /// What became of the draws so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        Tally {
            pairs: self.pairs,
            refused: self.faults.count(Fault::Refused),
            failed: self.faults.count(Fault::Failed),
            empty: self.faults.count(Fault::Empty),
            not_run: self.faults.count(Fault::NotRun),
            repeated: self.repeated,
        }
    }

    /// What was wrong with queries, by shape, with one such query.
    #[must_use]
    pub fn faults(&self) -> Vec<&Faulty> {
        self.faults.all()
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
            outcome: Outcome::Rows,
        })
    }

    fn keep(&mut self, candidate: Candidate) -> Option<Pair> {
        let catalogs = self.catalogs.len();
        let subject = &mut self.catalogs[candidate.subject];
        if !subject.is_open(self.share, candidate.pair.draw, catalogs) {
            return None;
        }
        if !subject.has_room(&candidate.pair, self.weights, self.share) {
            self.repeated += 1;
            return None;
        }
        let fault = match &candidate.outcome {
            _ if !candidate.accepted => Some((Fault::Refused, "")),
            Outcome::Rows => None,
            Outcome::Empty => Some((Fault::Empty, "")),
            Outcome::Failed(message) => Some((Fault::Failed, message.as_str())),
            Outcome::Unable(message) => Some((Fault::NotRun, message.as_str())),
        };
        let Pair {
            shape, bigquery_sql, ..
        } = &candidate.pair;
        if let Some((fault, message)) = fault {
            self.faults.add(fault, shape, bigquery_sql, message);
        }
        if fault.is_some_and(|(fault, _)| fault != Fault::NotRun) {
            return None;
        }
        subject.keep(&candidate.pair);
        self.pairs += 1;
        Some(candidate.pair)
    }
}

impl Subject {
    fn new(named: Named, first: u64) -> Self {
        let model = Model::new(&named.snapshot);
        Self {
            bare: model.clone().with_bare_nouns(),
            model,
            next: first,
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
