//! `finetune merge`: base and adapter in one file.

use std::path::{Path, PathBuf};

use bigquill_model::lora::{LoraAdapter, merge};
use clap::Args;

use crate::base::Base;
use crate::progress::Bar;
use crate::say;

/// Write base and adapter as one GGUF file of half-precision weights, for programs that take no adapters
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    finetune merge --model base.gguf --adapter adapters/team --out team-f16.gguf\n\n\
    bigquill itself needs no merged file: it applies adapters to the quantized base, which is smaller and exact.")]
pub(crate) struct MergeArgs {
    /// The base model that the adapter was trained on, a .gguf file or a name of `bigquill model list`
    #[arg(long, value_name = "MODEL")]
    model: PathBuf,
    /// The adapter's folder
    #[arg(long, value_name = "DIR")]
    adapter: PathBuf,
    /// The file to write
    #[arg(long, value_name = "FILE.gguf")]
    out: PathBuf,
}

pub(crate) fn run(args: &MergeArgs) -> anyhow::Result<()> {
    let base = Base::open(&args.model)?;
    let adapter = LoraAdapter::read(&args.adapter)?;
    let same = |path: &Path| std::fs::canonicalize(path).ok();
    anyhow::ensure!(
        same(base.gguf.path()) != same(&args.out) || same(&args.out).is_none(),
        "--out is the base itself; name another file"
    );
    let bar = Bar::new(base.gguf.tensors().count() as u64, "tensor");
    merge(&base.gguf, &adapter, &args.out, |done, _| {
        bar.set(done as u64, "")
    })?;
    drop(bar);
    say(format_args!("{}", args.out.display()))
}
