//! Where the fast layer and GoogleSQL do not agree: each one, then how many there are of each class.

use std::collections::BTreeMap;

use bigquill_analysis::check::Code;
use bigquill_judge::{Disagreement, RefusalKind};

use crate::cli::output::Output;
use crate::position::{Encoding, LineIndex};

/// Counts disagreements by class.
#[derive(Default)]
pub(super) struct Disagreements {
    statements: usize,
    judged: usize,
    classes: BTreeMap<(&'static str, &'static str), usize>,
}

impl Disagreements {
    /// Prints those of one text and counts them. `place` names the text; `judged` of its statements have a verdict.
    pub(super) fn add(
        &mut self,
        place: &str,
        text: &str,
        (statements, judged): (usize, usize),
        found: &[Disagreement],
        out: &mut Output,
    ) -> anyhow::Result<()> {
        self.statements += statements;
        self.judged += judged;
        let index = LineIndex::new(text);
        for disagreement in found {
            let class = (
                disagreement.fast.map_or("nothing", Code::as_str),
                disagreement.judge.map_or("accepted", RefusalKind::as_str),
            );
            *self.classes.entry(class).or_default() += 1;
            let at = index.position(text, disagreement.range.start, Encoding::Utf16);
            out.line(&format!(
                "{place}:{}:{}: fast: {}, GoogleSQL: {}: {}",
                at.line + 1,
                at.character + 1,
                class.0,
                class.1,
                disagreement.message
            ))?;
        }
        Ok(())
    }

    /// Prints the counts; tells whether there was any.
    pub(super) fn summarize(&self, out: &mut Output) -> anyhow::Result<bool> {
        let mut classes: Vec<_> = self.classes.iter().collect();
        classes.sort_by_key(|(class, count)| (std::cmp::Reverse(**count), **class));
        for ((fast, judge), count) in classes {
            out.line(&format!("{count:6}  fast: {fast}, GoogleSQL: {judge}"))?;
        }
        let total: usize = self.classes.values().sum();
        out.line(&format!(
            "{total} disagreements on {} statements that GoogleSQL has a verdict on, of {}",
            self.judged, self.statements
        ))?;
        Ok(total > 0)
    }
}
