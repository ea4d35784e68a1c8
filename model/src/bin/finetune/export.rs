//! `finetune export`: data and settings for trainers that work on many GPUs and machines.
//!
//! Past one machine there is no engine of our own. What is written trains with TRL, and the adapter that comes back is
//! PEFT's, which is what `bigquill` loads.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use bigquill_model::lora::{LoraAdapter, write_atomically};
use bigquill_model::train::data::{Preparation, trl};
use bigquill_model::train::{LoraOptions, TrainOptions};
use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::base::Base;
use crate::card::command;
use crate::examples::{Learned, LearnedArgs, Purpose, counts};
use crate::hyper::{HyperArgs, names};
use crate::say;

/// Who trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Trainer {
    /// Hugging Face's TRL, with accelerate or Ray
    Trl,
}

/// Write data and settings for a trainer that works on many GPUs or machines; its adapter loads here
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    finetune export --to trl --model base.gguf --base Qwen/Qwen2.5-Coder-0.5B-Instruct --data accepted.jsonl --out trl\n  \
    finetune export --to trl --model base.gguf --base /models/base --data accepted.jsonl --eval-share 0.1 --out trl \\\n    \
    --gpus 8 --machines 2 --batch 128\n  \
    finetune export --to trl --model base.gguf --base ORG/NAME --data edits.jsonl --preference --adapter adapters/team --out trl\n\n\
    The folder's README.md has the lines that start it. What comes back:\n  \
    finetune eval --model base.gguf --adapter trl/adapter --data held-out.jsonl")]
pub(crate) struct ExportArgs {
    /// The trainer
    #[arg(long, value_enum, default_value = "trl")]
    to: Trainer,
    /// The base model as bigquill serves it: its tokenizer and template make the prompts
    #[arg(long, value_name = "MODEL")]
    model: PathBuf,
    /// The same base as transformers knows it: a name on the hub, or a folder
    #[arg(long, value_name = "NAME")]
    base: String,
    #[command(flatten)]
    learned: LearnedArgs,
    /// The folder to write
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Replace what the folder holds
    #[arg(long)]
    overwrite: bool,
    /// Go on from this adapter instead of a new one
    #[arg(long, value_name = "DIR")]
    adapter: Option<PathBuf>,
    #[command(flatten)]
    hyper: HyperArgs,
    /// GPUs of each machine
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    gpus: u32,
    /// Machines
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    machines: u32,
    /// Load the base in 4 bits there (bitsandbytes NF4) instead of BF16
    #[arg(long)]
    four_bit: bool,
}

pub(crate) fn run(args: &ExportArgs) -> anyhow::Result<()> {
    let base = Base::open(&args.model)?;
    let lora = args.hyper.lora()?;
    ensure!(
        lora.alpha.fract() == 0.0,
        "TRL takes whole numbers for alpha; give another --alpha than {}",
        lora.alpha
    );
    ensure!(
        args.overwrite || !args.out.join("config.yaml").exists(),
        "{} holds an export already; name another --out, or give --overwrite",
        args.out.display()
    );
    if let Some(folder) = &args.adapter {
        LoraAdapter::read(folder)?.check(&base.config)?;
    }
    let learned = args.learned.prepare(&base, args.hyper.seed)?;
    let options = args.hyper.options(base.parameters(), args.learned.preference);
    let batch = Batch::of(&options, (args.gpus * args.machines) as usize);
    let folder = Folder(&args.out);
    folder.data(args, &base, &learned)?;
    if let Some(template) = base.template() {
        folder.write("chat_template.jinja", template)?;
    }
    if let Some(adapter) = &args.adapter {
        for name in ["adapter_config.json", "adapter_model.safetensors"] {
            let from = adapter.join(name);
            let content =
                std::fs::read(&from).with_context(|| format!("{} cannot be read", from.display()))?;
            folder.write(&format!("start/{name}"), content)?;
        }
    }
    folder.write("train.py", include_str!("export/train.py"))?;
    folder.write("ray_train.py", include_str!("export/ray_train.py"))?;
    folder.write("README.md", readme(args, &base, &learned, &batch)?)?;
    let held_out = learned.held_out.is_some();
    folder.write("config.yaml", config(args, &lora, &options, &batch, held_out))?;
    say(format_args!(
        "{}: {}",
        args.out.display(),
        counts(&learned.examples)
    ))
}

/// How an update is cut up.
struct Batch {
    /// Sequences that a GPU computes at once.
    each: usize,
    /// How often it does so for an update.
    times: usize,
    workers: usize,
}

impl Batch {
    fn of(options: &TrainOptions, workers: usize) -> Self {
        let each = options.micro_batch.min(options.batch.div_ceil(workers));
        Self {
            each,
            times: options.batch.div_ceil(each * workers),
            workers,
        }
    }

    /// Examples of an update.
    fn examples(&self) -> usize {
        self.each * self.times * self.workers
    }
}

struct Folder<'a>(&'a Path);

impl Folder<'_> {
    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> anyhow::Result<()> {
        let path = self.0.join(name);
        let written = match path.parent() {
            Some(folder) => std::fs::create_dir_all(folder),
            None => Ok(()),
        };
        written
            .and_then(|()| write_atomically(&path, content.as_ref()))
            .with_context(|| {
                format!(
                    "{} cannot be written; free some space, or name another --out",
                    path.display()
                )
            })
    }

    /// `data/train.jsonl` and, where examples are held out, `data/test.jsonl`.
    fn data(&self, args: &ExportArgs, base: &Base, learned: &Learned) -> anyhow::Result<()> {
        let mut forms = Vec::new();
        let mut write = |name: &str, purpose: Purpose, preparation: &Preparation| {
            if args.learned.preference {
                preparation.preferences()?;
            } else {
                preparation.completions()?;
            }
            let preparer = args.learned.data.preparer(base, purpose);
            let mut text = String::new();
            for example in learned.read(preparation) {
                let line = trl(&preparer, example);
                forms.push(line["prompt"].is_string());
                text.push_str(&line.to_string());
                text.push('\n');
            }
            self.write(name, text)
        };
        write("data/train.jsonl", Purpose::Learning, &learned.examples)?;
        if let Some(held_out) = &learned.held_out {
            write("data/test.jsonl", Purpose::Measuring, held_out)?;
        }
        forms.dedup();
        ensure!(
            forms.len() == 1,
            "some prompts are rendered text and others are messages, and TRL takes one form; export them one by one"
        );
        Ok(())
    }
}

/// What TRL's parser takes: keys of its ScriptArguments, SFTConfig or DPOConfig, and ModelConfig.
fn config(
    args: &ExportArgs,
    lora: &LoraOptions,
    options: &TrainOptions,
    batch: &Batch,
    held_out: bool,
) -> String {
    let mut pairs: Vec<(&str, Value)> = vec![
        ("model_name_or_path", args.base.as_str().into()),
        ("dtype", "bfloat16".into()),
        ("load_in_4bit", args.four_bit.into()),
        ("dataset_name", "data".into()),
        ("output_dir", "adapter".into()),
        ("use_peft", true.into()),
        ("lora_r", lora.rank.into()),
        ("lora_alpha", (lora.alpha as u64).into()),
        ("lora_dropout", lora.dropout.into()),
        ("lora_target_modules", names(&lora.targets).into()),
        ("num_train_epochs", options.epochs.into()),
        ("per_device_train_batch_size", batch.each.into()),
        ("per_device_eval_batch_size", batch.each.into()),
        ("gradient_accumulation_steps", batch.times.into()),
        ("learning_rate", options.learning_rate.into()),
        ("lr_scheduler_type", "cosine".into()),
        ("warmup_steps", options.warmup.into()),
        ("weight_decay", options.weight_decay.into()),
        ("max_grad_norm", options.clip.into()),
        ("optim", "adamw_torch".into()),
        ("seed", options.seed.into()),
        ("bf16", true.into()),
        // Over-long examples were left out, and nothing is to be cut.
        ("max_length", Value::Null),
        ("train_sampling_strategy", "group_by_length".into()),
        ("eval_strategy", if held_out { "epoch" } else { "no" }.into()),
        ("save_strategy", "epoch".into()),
        ("logging_steps", 10.into()),
        ("report_to", "none".into()),
    ];
    if args.learned.preference {
        pairs.push(("beta", args.learned.beta.into()));
    } else {
        pairs.push(("completion_only_loss", true.into()));
    }
    let lines = pairs
        .iter()
        .map(|(key, value)| format!("{key}: {}\n", yaml(value)));
    format!(
        "# What is tuned, for TRL 1.16; written by `finetune export`.\n{}",
        lines.collect::<String>()
    )
}

/// A value as YAML: as JSON, but that YAML 1.1 takes numbers such as 5e-4 for text.
fn yaml(value: &Value) -> String {
    match value.as_f64().filter(|_| value.is_f64()) {
        Some(number) if number.fract() == 0.0 => format!("{number:.1}"),
        Some(number) => number.to_string(),
        None => value.to_string(),
    }
}

/// A number for the lines to copy, or a word to be replaced where there is only one so far.
fn number(count: u32, word: &str) -> String {
    if count > 1 {
        count.to_string()
    } else {
        word.to_owned()
    }
}

fn readme(args: &ExportArgs, base: &Base, learned: &Learned, batch: &Batch) -> anyhow::Result<String> {
    let held_out = learned.held_out.as_ref().map_or_else(
        || "none is held out".to_owned(),
        |held| format!("held out: {}", counts(held)),
    );
    let simple = if args.learned.preference {
        "trl dpo"
    } else {
        "trl sft"
    };
    let simple = if args.adapter.is_some() {
        "`start/` holds the adapter that it goes on from; TRL's own command line takes none, so that `train.py` it is."
            .to_owned()
    } else {
        format!(
            "`{simple} --config config.yaml` does the same, but that prompts then take the template that the base has there."
        )
    };
    Ok(format!(
        include_str!("export/README.md"),
        name = base.name(),
        hash = base.hash()?,
        command = command(),
        counts = counts(&learned.examples),
        held_out = held_out,
        examples = batch.examples(),
        workers = batch.workers,
        each = batch.each,
        times = batch.times,
        gpus = number(args.gpus, "GPUS"),
        machines = number(args.machines, "MACHINES"),
        processes = number(args.gpus * args.machines, "WORKERS"),
        simple = simple,
        model = args.model.display(),
        out = args.out.display(),
    ))
}
