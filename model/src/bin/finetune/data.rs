//! `finetune data inspect`: what a model would be shown.

use std::path::PathBuf;

use bigquill_model::train::data::Prepared;
use bigquill_model::train::padding_share;
use clap::{Args, Subcommand};

use crate::base::Base;
use crate::examples::{DataArgs, Purpose, counts, dropped};
use crate::say;
use crate::synthesize::SynthesizeArgs;

/// Widest bar of the histogram.
const BAR: usize = 50;

#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    Inspect(InspectArgs),
    Synthesize(SynthesizeArgs),
}

/// Counts, a histogram of lengths, and examples exactly as the model sees them
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    finetune data inspect --model base.gguf --data accepted.jsonl\n  \
    finetune data inspect --model base.gguf --data train/spider.jsonl.gz --catalogs catalogs --examples 2")]
pub(crate) struct InspectArgs {
    /// The base model, whose tokenizer decides what the model sees: a .gguf file or a name of `bigquill model list`
    #[arg(long, value_name = "MODEL")]
    model: PathBuf,
    #[command(flatten)]
    data: DataArgs,
    /// Examples of an update, to tell how much is padding
    #[arg(long, default_value_t = 16)]
    batch: usize,
    /// Examples that are computed at once, to tell how much is padding
    #[arg(long, default_value_t = 4)]
    micro_batch: usize,
    /// How many examples are shown
    #[arg(long, default_value_t = 10, value_name = "N")]
    examples: usize,
}

pub(crate) fn run(args: &InspectArgs) -> anyhow::Result<()> {
    let base = Base::open(&args.model)?;
    let preparation = args.data.prepare(&base, &args.data.data, Purpose::Learning)?;
    say(counts(&preparation))?;
    for line in dropped(&preparation, args.examples) {
        say(line)?;
    }
    let lengths: Vec<usize> = preparation
        .examples
        .iter()
        .map(|e| e.sequence.tokens.len())
        .collect();
    say(histogram(&lengths))?;
    let padding = padding_share(&lengths, args.batch, args.micro_batch, 0);
    say(format_args!(
        "padding: {:.1} % of what is computed, {} at once of updates of {}",
        100.0 * padding,
        args.micro_batch,
        args.batch
    ))?;
    // Evenly over the data, for its beginning is seldom like the rest.
    let step = (preparation.examples.len() / args.examples.max(1)).max(1);
    for example in preparation.examples.iter().step_by(step).take(args.examples) {
        show(&base, example)?;
    }
    Ok(())
}

fn show(base: &Base, example: &Prepared) -> anyhow::Result<()> {
    let (prompt, answer) = example.sequence.tokens.split_at(example.sequence.prompt);
    say(format_args!(
        "=== {}: {} tokens and {} learned",
        example.place,
        prompt.len(),
        answer.len()
    ))?;
    say(base.tokenizer.decode_with_controls(prompt))?;
    say("--- learned")?;
    say(base.tokenizer.decode_with_controls(answer))?;
    if let Some(rejected) = &example.rejected {
        say("--- rather than")?;
        let answer = &rejected.tokens[rejected.prompt..];
        say(base.tokenizer.decode_with_controls(answer))?;
    }
    Ok(())
}

/// Lengths in steps of 64 tokens.
fn histogram(lengths: &[usize]) -> String {
    let mut counts = vec![0; lengths.iter().max().map_or(0, |most| most / 64 + 1)];
    for length in lengths {
        counts[length / 64] += 1;
    }
    let most = counts.iter().max().copied().unwrap_or(0).max(1);
    let rows = counts.iter().enumerate().map(|(step, count)| {
        let bar = "█".repeat((count * BAR).div_ceil(most));
        format!("{:>5}-{:<5} {count:>6} {bar}", step * 64, step * 64 + 63)
    });
    let rows: Vec<String> = rows.collect();
    format!("tokens       examples\n{}", rows.join("\n"))
}
