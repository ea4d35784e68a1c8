//! `finetune eval --plan`: what would be measured, and what so many examples can show.

use bigquill_model::train::statistics::{examples_needed, interval, visible_difference};
use clap::Args;

use super::{Asked, EvalArgs, groups, name};
use crate::say;

#[derive(Debug, Clone, Args)]
pub(crate) struct PlanArgs {
    /// Say what would be measured and how large a difference so many examples show, and stop
    #[arg(long)]
    pub(crate) plan: bool,
    /// The difference between two adapters that is to be seen, in points
    #[arg(long, value_name = "POINTS", default_value_t = 5.0, requires = "plan")]
    pub(crate) difference: f64,
    /// Share of the examples about which only one of the two is right, in per cent; 10 to 30 is usual for adapters of one
    /// base
    #[arg(long, value_name = "PERCENT", default_value_t = 20.0, requires = "plan")]
    pub(crate) differing: f64,
    /// Probability with which the difference is to be seen, in per cent
    #[arg(long, value_name = "PERCENT", default_value_t = 80.0, requires = "plan")]
    pub(crate) power: f64,
}

/// A line for each file and one for all of them.
pub(super) fn show(plan: &PlanArgs, args: &EvalArgs, asked: &[Asked]) -> anyhow::Result<()> {
    let (differing, power) = (plan.differing / 100.0, plan.power / 100.0);
    anyhow::ensure!(
        plan.difference > 0.0 && differing > 0.0 && differing <= 1.0 && power > 0.0 && power < 1.0,
        "--difference is above 0, --differing between 0 and 100, --power below 100"
    );
    let models = match &args.against {
        Some(other) => format!("{} against {}", name(args.adapter.as_deref()), name(Some(other))),
        None => name(args.adapter.as_deref()),
    };
    let tokens: usize = asked.iter().map(|asked| asked.sequence.tokens.len()).sum();
    say(format_args!(
        "{models}: loss{} on {} examples, {tokens} tokens",
        if args.no_answers { "" } else { " and exact answers" },
        asked.len()
    ))?;
    say(match examples_needed(plan.difference / 100.0, differing, power) {
        Some(needed) => format!(
            "to see {} points between two adapters with {} % probability (McNemar's test at 5 %, only one of them right \
             about {} %): {needed} examples",
            plan.difference, plan.power, plan.differing
        ),
        None => format!(
            "{} points cannot be where only one of two adapters is right about {} %; give a larger --differing",
            plan.difference, plan.differing
        ),
    })?;
    let groups = groups(asked);
    for (file, members) in groups.iter().filter(|_| groups.len() > 1) {
        say(line(file, members.len(), differing, power))?;
    }
    say(line("all", asked.len(), differing, power))
}

fn line(name: &str, examples: usize, differing: f64, power: f64) -> String {
    let visible = visible_difference(examples, differing, power).map_or_else(
        || "too few to compare two adapters".to_owned(),
        |difference| {
            format!(
                "two adapters' difference is seen from {:.1} points on",
                100.0 * difference
            )
        },
    );
    let (low, high) = interval(examples / 2, examples);
    format!(
        "  {name}: {examples} examples; a share is known to ± {:.1} points at most; {visible}",
        50.0 * (high - low)
    )
}
