//! `finetune eval`: loss and answers on data that was not learned from, how sure they are, and whether one adapter is
//! better than another.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use bigquill_model::lora::LoraAdapter;
use bigquill_model::train::statistics::{Paired, interval};
use bigquill_model::train::{Completions, LoraModel, Sequence, measure};
use clap::Args;

use crate::answers::{ANSWER_TOKENS, Asked, Verdict, judge};
use crate::base::{Base, device, folder_name};
use crate::examples::{DataArgs, Purpose, counts};
use crate::progress::Bar;
use crate::say;

mod plan;

/// What `--against` calls the model without an adapter.
const BASE: &str = "base";

/// Mean loss of the completions' tokens, how many answers are right, and whether another adapter's are
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    finetune eval --model base.gguf --data held-out.jsonl --plan                        # how many examples does it take?\n  \
    finetune eval --model base.gguf --adapter adapters/team --data held-out.jsonl\n  \
    finetune eval --model base.gguf --adapter adapters/team-2 --against adapters/team --data held-out.jsonl\n  \
    finetune eval --model base.gguf --adapter adapters/team --against base --data held-out.jsonl --limit 200\n  \
    finetune eval --model base.gguf --data dev/spider.jsonl.gz --catalogs catalogs --no-answers")]
pub(crate) struct EvalArgs {
    /// The base model, a .gguf file or a name of `bigquill model list`
    #[arg(long, value_name = "MODEL")]
    model: PathBuf,
    /// The adapter's folder; without one the base is measured
    #[arg(long, value_name = "DIR")]
    adapter: Option<PathBuf>,
    /// Another adapter's folder, or base: the same examples are put to it, and the two are compared in pairs
    #[arg(long, value_name = "DIR", conflicts_with = "no_answers")]
    against: Option<PathBuf>,
    #[command(flatten)]
    data: DataArgs,
    /// Only so many examples, evenly over the data
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Only the loss: nothing is generated
    #[arg(long)]
    no_answers: bool,
    /// Longest answer in tokens
    #[arg(long, value_name = "TOKENS", default_value_t = ANSWER_TOKENS)]
    answer_tokens: usize,
    /// Sequences that are computed at once
    #[arg(long, value_name = "N", default_value_t = 4)]
    micro_batch: usize,
    /// Where it computes: cpu, cuda, cuda:1, metal
    #[arg(long, default_value = "cpu", value_name = "DEVICE")]
    device: String,
    #[command(flatten)]
    plan: plan::PlanArgs,
}

pub(crate) fn run(args: &EvalArgs) -> anyhow::Result<()> {
    let base = Base::open(&args.model)?;
    let adapter = |folder: Option<&Path>| -> anyhow::Result<Option<LoraAdapter>> {
        let Some(folder) = folder.filter(|folder| *folder != Path::new(BASE)) else {
            return Ok(None);
        };
        let adapter = LoraAdapter::read(folder)?;
        adapter.check(&base.config)?;
        Ok(Some(adapter))
    };
    let first = adapter(args.adapter.as_deref())?;
    let second = adapter(args.against.as_deref())?;
    let read = args.data.read(&args.data.data, false)?;
    let preparer = args.data.preparer(&base, Purpose::Measuring);
    let preparation = preparer.prepare(&read)?;
    say(counts(&preparation))?;
    ensure!(
        !preparation.examples.is_empty(),
        "no example is left to measure on; look at them with `finetune data inspect`, or raise --max-tokens"
    );
    let asked = Asked::new(&preparation, &preparation.as_read(&read), args.limit)?;
    if args.plan.plan {
        return plan::show(&args.plan, args, &asked);
    }
    let sequences: Vec<Sequence> = asked.iter().map(|asked| asked.sequence.clone()).collect();
    let names = (name(args.adapter.as_deref()), name(args.against.as_deref()));
    loss(args, &base, first.as_ref(), &names.0, &sequences)?;
    if args.against.is_some() {
        loss(args, &base, second.as_ref(), &names.1, &sequences)?;
    }
    if args.no_answers {
        return Ok(());
    }
    let judge = |adapter| judge(&base, adapter, &args.device, &asked, args.answer_tokens);
    let verdicts = judge(first.as_ref())?;
    report(&names.0, &asked, &verdicts)?;
    if args.against.is_some() {
        let others = judge(second.as_ref())?;
        report(&names.1, &asked, &others)?;
        compare(&names, &verdicts, &others)?;
    }
    Ok(())
}

fn name(folder: Option<&Path>) -> String {
    folder.map_or_else(|| BASE.to_owned(), folder_name)
}

fn loss(
    args: &EvalArgs,
    base: &Base,
    adapter: Option<&LoraAdapter>,
    name: &str,
    sequences: &[Sequence],
) -> anyhow::Result<()> {
    let device = device(&args.device)?;
    let model = match adapter {
        Some(adapter) => LoraModel::load_adapter(&base.gguf, adapter, &device)?,
        None => LoraModel::load(&base.gguf, None, &device)?,
    };
    let bar = Bar::new(sequences.len() as u64, "measuring");
    let objective = Completions(sequences);
    let tally = measure(&model, &objective, args.micro_batch, |done, tally| {
        bar.set(done as u64, &format!("loss {:.4}", tally.mean()));
    })?;
    drop(bar);
    say(format_args!(
        "{name}: mean loss {:.4} over {} tokens (perplexity {:.3})",
        tally.mean(),
        tally.weight,
        tally.mean().exp()
    ))
}

/// The shares of a model, by file where there are several.
fn report(name: &str, asked: &[Asked], verdicts: &[Verdict]) -> anyhow::Result<()> {
    share(
        &format!("{name}: exact answers"),
        verdicts.iter().map(|verdict| verdict.exact),
    )?;
    let accepted: Vec<bool> = verdicts.iter().filter_map(|verdict| verdict.accepted).collect();
    if !accepted.is_empty() {
        share(&format!("{name}: answers that pass the check"), accepted)?;
    }
    let groups = groups(asked);
    if groups.len() > 1 {
        for (file, members) in groups {
            let exact = members.iter().map(|index| verdicts[*index].exact);
            share(&format!("  {file}: exact answers"), exact)?;
        }
    }
    Ok(())
}

/// The examples of each file, in the files' order.
fn groups(asked: &[Asked]) -> Vec<(&str, Vec<usize>)> {
    let mut groups: Vec<(&str, Vec<usize>)> = Vec::new();
    for (index, asked) in asked.iter().enumerate() {
        match groups.iter_mut().find(|(file, _)| *file == asked.file) {
            Some((_, members)) => members.push(index),
            None => groups.push((&asked.file, vec![index])),
        }
    }
    groups
}

/// A share with its interval.
fn share(what: &str, right: impl IntoIterator<Item = bool>) -> anyhow::Result<()> {
    let right: Vec<bool> = right.into_iter().collect();
    let count = right.iter().filter(|right| **right).count();
    let (low, high) = interval(count, right.len());
    say(format_args!(
        "{what}: {count} of {} ({:.1} %; 95 %: {:.1} to {:.1} %)",
        right.len(),
        100.0 * count as f64 / right.len().max(1) as f64,
        100.0 * low,
        100.0 * high
    ))
}

fn compare(names: &(String, String), first: &[Verdict], second: &[Verdict]) -> anyhow::Result<()> {
    let exact = first.iter().zip(second).map(|(a, b)| (a.exact, b.exact));
    let paired = Paired::count(exact);
    let (low, high) = paired.interval();
    let p = paired.p_value();
    say(format_args!(
        "{} against {}: {:+.1} points exact (95 %: {:+.1} to {:+.1}); only the first right in {}, only the second in {}, \
         both in {}, neither in {}; McNemar p = {p:.3}",
        names.0,
        names.1,
        100.0 * paired.difference(),
        100.0 * low,
        100.0 * high,
        paired.first,
        paired.second,
        paired.both,
        paired.neither
    ))?;
    say(match (p < 0.05, paired.difference() > 0.0) {
        (true, true) => format!("{} is better", names.0),
        (true, false) => format!("{} is better", names.1),
        (false, _) => "no difference is shown; --plan tells how many examples would show which".to_owned(),
    })
}
