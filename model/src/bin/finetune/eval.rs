//! `finetune eval`: loss and exact answers on data that was not learned from.

use std::path::PathBuf;

use bigquill_model::decoder::{Decoder, Placement};
use bigquill_model::lora::{LoraAdapter, Projection};
use bigquill_model::train::data::Preparation;
use bigquill_model::train::{Completions, Greedy, LoraModel, LoraOptions, Sequence, measure};
use clap::Args;

use crate::base::{Base, device, folder_name, threads};
use crate::examples::{DataArgs, counts};
use crate::progress::Bar;
use crate::say;

/// Mean loss of the completions' tokens, and how many answers are exactly the expected ones
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    finetune eval --model base.gguf --data held-out.jsonl\n  \
    finetune eval --model base.gguf --adapter adapters/team --data held-out.jsonl --limit 100\n  \
    finetune eval --model base.gguf --data dev/spider.jsonl.gz --catalogs catalogs --no-answers")]
pub(crate) struct EvalArgs {
    /// The base model
    #[arg(long, value_name = "FILE.gguf")]
    model: PathBuf,
    /// The adapter's folder; without one the base is measured
    #[arg(long, value_name = "DIR")]
    adapter: Option<PathBuf>,
    #[command(flatten)]
    data: DataArgs,
    /// Only so many examples, evenly over the data
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Only the loss: nothing is generated
    #[arg(long)]
    no_answers: bool,
    /// Longest answer in tokens
    #[arg(long, value_name = "TOKENS", default_value_t = 200)]
    answer_tokens: usize,
    /// Sequences that are computed at once
    #[arg(long, value_name = "N", default_value_t = 4)]
    micro_batch: usize,
    /// Where it computes: cpu, cuda, cuda:1, metal
    #[arg(long, default_value = "cpu", value_name = "DEVICE")]
    device: String,
}

pub(crate) fn run(args: &EvalArgs) -> anyhow::Result<()> {
    let base = Base::open(&args.model)?;
    let adapter = args.adapter.as_deref().map(LoraAdapter::read).transpose()?;
    if let Some(adapter) = &adapter {
        adapter.check(&base.config)?;
    }
    let mut preparation = args.data.prepare(&base, &args.data.data, false)?;
    thin(&mut preparation, args.limit);
    say(counts(&preparation))?;
    let sequences = preparation.completions()?;
    loss(args, &base, adapter.as_ref(), &sequences)?;
    if !args.no_answers {
        answers(args, &base, adapter.as_ref(), &sequences)?;
    }
    Ok(())
}

/// Keeps `limit` examples, evenly over the data.
fn thin(preparation: &mut Preparation, limit: Option<usize>) {
    let count = preparation.examples.len();
    let Some(limit) = limit.filter(|limit| *limit < count) else {
        return;
    };
    let kept: Vec<usize> = (0..limit).map(|n| n * count / limit).collect();
    let mut index = 0;
    preparation.examples.retain(|_| {
        index += 1;
        kept.binary_search(&(index - 1)).is_ok()
    });
}

fn loss(
    args: &EvalArgs,
    base: &Base,
    adapter: Option<&LoraAdapter>,
    sequences: &[Sequence],
) -> anyhow::Result<()> {
    let device = device(&args.device)?;
    let options = adapter.map(lora_options).transpose()?;
    let model = LoraModel::load(&base.gguf, options.as_ref(), &device)?;
    if let Some(adapter) = adapter {
        model.set_adapter(adapter)?;
    }
    let bar = Bar::new(sequences.len() as u64, "measuring");
    let objective = Completions(sequences);
    let tally = measure(&model, &objective, args.micro_batch, |done, tally| {
        bar.set(done as u64, &format!("loss {:.4}", tally.mean()));
    })?;
    drop(bar);
    let who = args
        .adapter
        .as_deref()
        .map_or_else(|| "base".to_owned(), folder_name);
    say(format_args!(
        "{who}: mean loss {:.4} over {} tokens (perplexity {:.3})",
        tally.mean(),
        tally.weight,
        tally.mean().exp()
    ))
}

/// What a model needs to hold this adapter.
fn lora_options(adapter: &LoraAdapter) -> anyhow::Result<LoraOptions> {
    let mut modules = adapter.modules();
    let Some((_, _, first)) = modules.next() else {
        anyhow::bail!("the adapter has no weights");
    };
    let same = modules.all(|(_, _, weights)| weights.rank == first.rank && weights.scale == first.scale);
    anyhow::ensure!(
        same,
        "the adapter's modules differ in rank or scale; `finetune` measures adapters of one rank"
    );
    let mut targets: Vec<Projection> = adapter.modules().map(|(_, projection, _)| projection).collect();
    targets.sort();
    targets.dedup();
    Ok(LoraOptions {
        rank: first.rank,
        alpha: f64::from(first.scale) * first.rank as f64,
        targets,
        seed: 0,
    })
}

fn answers(
    args: &EvalArgs,
    base: &Base,
    adapter: Option<&LoraAdapter>,
    sequences: &[Sequence],
) -> anyhow::Result<()> {
    let placement = match device(&args.device)? {
        candle_core::Device::Cpu => Placement::Cpu { threads: threads() },
        other => Placement::Tensors(other),
    };
    let mut greedy = Greedy::new(Decoder::load(&base.gguf, adapter, &placement)?)?;
    let bar = Bar::new(sequences.len() as u64, "answering");
    // Prompts over the same tables stand together, for what they share to be computed once.
    let mut sorted: Vec<&Sequence> = sequences.iter().collect();
    sorted.sort_by(|a, b| a.tokens.cmp(&b.tokens));
    let mut exact = 0;
    for (index, sequence) in sorted.into_iter().enumerate() {
        let (prompt, expected) = sequence.tokens.split_at(sequence.prompt);
        let ids = greedy.answer(prompt, base.tokenizer.end_tokens(), args.answer_tokens)?;
        let same = normal(&base.tokenizer.decode(&ids)) == normal(&base.tokenizer.decode(expected));
        exact += usize::from(same);
        bar.set(index as u64 + 1, &format!("{exact} exact"));
    }
    drop(bar);
    let share = 100.0 * exact as f64 / sequences.len().max(1) as f64;
    say(format_args!(
        "exact answers: {exact} of {} ({share:.1} %)",
        sequences.len()
    ))
}

/// White space does not count, nor does a final semicolon.
fn normal(sql: &str) -> String {
    let words: Vec<&str> = sql.trim().trim_end_matches(';').split_whitespace().collect();
    words.join(" ")
}
