//! `finetune train`: from data to an adapter's folder, with checkpoints between.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bigquill_model::lora::{LoraAdapter, Projection};
use bigquill_model::train::data::{Preference, Preparation, hold_out};
use bigquill_model::train::{
    Checkpoint, Completions, Load, LoraModel, LoraOptions, MemoryEstimate, Objective, Preferences, Sequence,
    Settings, TrainOptions, Trainer, Update, available, measure, reference,
};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::base::{Base, device, folder_name, hex, sha256};
use crate::card::{Card, command};
use crate::examples::{counts, dropped};
use crate::progress::{Bar, Metrics, peak, resident, size, tell};
use crate::say;

mod options;

pub(crate) use options::TrainArgs;

/// Beside the adapter's own files.
const CHECKPOINT: &str = "checkpoint.safetensors";
const METRICS: &str = "metrics.jsonl";
const ADAPTER: &str = "adapter_config.json";

/// Everything that is known before training begins.
struct Run<'a> {
    args: &'a TrainArgs,
    base: Base,
    base_hash: String,
    data: Data,
    preparation: Preparation,
    /// Examples that are measured after each epoch.
    held_out: Option<(Preparation, Data)>,
    lora: LoraOptions,
    options: TrainOptions,
}

/// What is learned.
enum Data {
    Completions(Vec<Sequence>),
    Preferences(Vec<Preference>),
}

pub(crate) fn run(args: &TrainArgs) -> anyhow::Result<()> {
    let run = Run::prepare(args)?;
    if args.plan {
        return say(run.plan()?);
    }
    if args.resume && !args.out.join(CHECKPOINT).exists() && args.out.join(ADAPTER).exists() {
        return say(format_args!(
            "{} is finished: there is nothing to resume",
            args.out.display()
        ));
    }
    if args.out.join(ADAPTER).exists() && !args.resume && !args.overwrite {
        bail!(
            "{} holds an adapter already; name another --out, or give --overwrite",
            args.out.display()
        );
    }
    if !args.resume && args.out.join(CHECKPOINT).exists() && !args.overwrite {
        bail!(
            "{} holds a run that was cut; go on with --resume, or begin anew with --overwrite",
            args.out.display()
        );
    }
    tell(&run.plan()?);
    run.refuse_without_memory()?;
    std::fs::create_dir_all(&args.out).with_context(|| {
        format!(
            "the folder {} cannot be made; name another --out",
            args.out.display()
        )
    })?;
    let results = run.train()?;
    say(format_args!("{}: {results}", args.out.display()))
}

impl Data {
    fn new(preparation: &Preparation, preference: bool) -> anyhow::Result<Self> {
        if preparation.examples.is_empty() {
            bail!(
                "no example is left to train on: {}; look at them with `finetune data inspect`, or raise --max-tokens",
                counts(preparation)
            );
        }
        Ok(if preference {
            Self::Preferences(preparation.preferences()?)
        } else {
            Self::Completions(preparation.completions()?)
        })
    }

    /// All sequences, for hashes and lengths.
    fn sequences(&self) -> Vec<&Sequence> {
        match self {
            Self::Completions(sequences) => sequences.iter().collect(),
            Self::Preferences(pairs) => pairs.iter().flat_map(|p| [&p.chosen, &p.rejected]).collect(),
        }
    }

    /// SHA-256 of all tokens and borders.
    fn hash(&self) -> String {
        let mut hash = Sha256::new();
        for sequence in self.sequences() {
            hash.update((sequence.prompt as u64).to_le_bytes());
            hash.update((sequence.tokens.len() as u64).to_le_bytes());
            for token in &sequence.tokens {
                hash.update(token.to_le_bytes());
            }
        }
        hex(&hash.finalize())
    }

    /// What is learned of it by a model; preferences are held against the model as it is now.
    fn objective<'d>(
        &'d self,
        model: &LoraModel,
        args: &TrainArgs,
        title: &'static str,
    ) -> anyhow::Result<Box<dyn Objective + 'd>> {
        Ok(match self {
            Self::Completions(sequences) => Box::new(Completions(sequences)),
            Self::Preferences(pairs) => {
                let bar = Bar::new(pairs.len() as u64, title);
                let reference = reference(model, pairs, args.micro_batch, |done| bar.set(done as u64, ""))?;
                Box::new(Preferences {
                    pairs,
                    reference,
                    beta: args.beta,
                })
            }
        })
    }
}

impl<'a> Run<'a> {
    fn prepare(args: &'a TrainArgs) -> anyhow::Result<Self> {
        let base = Base::open(&args.model)?;
        let mut preparation = args.data.prepare(&base, &args.data.data, args.preference)?;
        let held_out = if args.eval_share > 0.0 {
            Some(hold_out(&mut preparation, args.eval_share, args.seed))
                .filter(|held| !held.examples.is_empty())
        } else if args.eval_data.is_empty() {
            None
        } else {
            Some(args.data.prepare(&base, &args.eval_data, args.preference)?)
        };
        let data = Data::new(&preparation, args.preference)?;
        let held_out = match held_out {
            Some(preparation) => {
                let data = Data::new(&preparation, args.preference)?;
                Some((preparation, data))
            }
            None => None,
        };
        Ok(Self {
            lora: args.lora()?,
            options: args.options(base.parameters()),
            base_hash: sha256(&args.model)?,
            args,
            base,
            data,
            preparation,
            held_out,
        })
    }

    /// What would be done, before anything is loaded.
    fn plan(&self) -> anyhow::Result<String> {
        let options = &self.options;
        let parameters: usize = self
            .lora
            .targets
            .iter()
            .map(|projection| projection.shape(&self.base.config))
            .map(|(rows, columns)| self.lora.rank * (rows + columns) * self.base.config.layers)
            .sum();
        let updates = self.preparation.examples.len().div_ceil(options.batch) * options.epochs;
        let longest = self.longest();
        let mut lines = vec![
            format!(
                "base      {} ({}), SHA-256 {}",
                self.base.name(),
                self.args.model.display(),
                self.base_hash
            ),
            format!("data      {}; longest {longest}", counts(&self.preparation)),
        ];
        if let Some((preparation, _)) = &self.held_out {
            lines.push(format!("held out  {}", counts(preparation)));
        }
        lines.extend([
            format!(
                "adapter   rank {}, alpha {}, {} parameters in {}",
                self.lora.rank,
                self.lora.alpha,
                parameters,
                names(&self.lora.targets).join(", ")
            ),
            format!(
                "updates   {updates} of {} examples ({} at once), {} epochs, learning rate {}, warm-up {} %, clip {}, seed {}",
                options.batch,
                options.micro_batch,
                options.epochs,
                options.learning_rate,
                options.warmup * 100.0,
                options.clip,
                options.seed
            ),
            format!("memory    about {} on each of: {}", self.memory()?, self.args.device.join(", ")),
        ]);
        lines.extend(dropped(&self.preparation, 5));
        Ok(lines.join("\n"))
    }

    /// Tokens of the longest sequence.
    fn longest(&self) -> usize {
        let lengths = self.data.sequences();
        lengths.iter().map(|s| s.tokens.len()).max().unwrap_or(0)
    }

    fn memory(&self) -> anyhow::Result<MemoryEstimate> {
        let twice = if matches!(self.data, Data::Preferences(_)) {
            2
        } else {
            1
        };
        let load = Load {
            sequences: self.options.micro_batch.min(self.preparation.examples.len()) * twice,
            tokens: self.longest(),
            cpu: self.args.device.iter().any(|device| device == "cpu"),
            activations: self.options.activations,
        };
        Ok(MemoryEstimate::new(
            &self.base.gguf,
            &self.base.config,
            &self.lora,
            &load,
        ))
    }

    fn refuse_without_memory(&self) -> anyhow::Result<()> {
        let workers = self.args.device.iter().filter(|device| *device == "cpu").count();
        let (needed, Some(free)) = (self.memory()?.total() * workers as f64, available()) else {
            return Ok(());
        };
        if needed <= free {
            return Ok(());
        }
        bail!(
            "this needs about {} of memory and {} are free; give a smaller --micro-batch or --max-tokens, \
             or train only --targets q_proj v_proj, or take a smaller base",
            size(needed as u64),
            size(free as u64)
        )
    }

    /// What a checkpoint must agree with.
    fn settings(&self) -> Settings {
        let options = &self.options;
        let pairs = [
            ("base", self.base_hash.clone()),
            ("data", self.data.hash()),
            ("rank", self.lora.rank.to_string()),
            ("alpha", self.lora.alpha.to_string()),
            ("targets", names(&self.lora.targets).join(" ")),
            ("epochs", options.epochs.to_string()),
            ("batch", options.batch.to_string()),
            ("micro-batch", options.micro_batch.to_string()),
            ("learning-rate", options.learning_rate.to_string()),
            ("warmup", options.warmup.to_string()),
            ("weight-decay", options.weight_decay.to_string()),
            ("clip", options.clip.to_string()),
            ("seed", options.seed.to_string()),
            (
                "beta",
                if self.args.preference {
                    self.args.beta.to_string()
                } else {
                    "none".to_owned()
                },
            ),
            ("devices", self.args.device.len().to_string()),
            (
                "init",
                self.args
                    .init
                    .as_deref()
                    .map_or_else(|| "none".to_owned(), folder_name),
            ),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value)).into()
    }

    fn models(&self) -> anyhow::Result<Vec<LoraModel>> {
        let init = self.args.init.as_deref().map(LoraAdapter::read).transpose()?;
        let mut models = Vec::new();
        for name in &self.args.device {
            let model = LoraModel::load(&self.base.gguf, Some(&self.lora), &device(name)?)?;
            if let Some(init) = &init {
                model.set_adapter(init)?;
            }
            models.push(model);
        }
        Ok(models)
    }

    /// Trains, writes the adapter, and tells what came of it.
    fn train(&self) -> anyhow::Result<String> {
        let models = self.models()?;
        let objective = self.data.objective(&models[0], self.args, "reference")?;
        let held_out = match &self.held_out {
            Some((_, data)) => Some(data.objective(&models[0], self.args, "reference of held-out")?),
            None => None,
        };
        let mut trainer = Trainer::new(models, objective.as_ref(), self.options.clone())?;
        let checkpoint = self.args.out.join(CHECKPOINT);
        let settings = self.settings();
        if self.args.resume && checkpoint.exists() {
            let device = trainer.model().device().clone();
            let read = Checkpoint::read(&checkpoint, &settings, trainer.parameters(), &device)?;
            tell(&format!("goes on after update {}", read.steps));
            trainer.restore(read)?;
        }
        sweep(&self.args.out);
        // At once, for a full disk to show before an hour's work, and for another run's checkpoint to be gone.
        trainer.checkpoint().write(&checkpoint, &settings)?;
        let mut metrics = Metrics::open(&self.args.out.join(METRICS), trainer.steps())?;
        let mut done = Progress::default();
        let bar = Bar::new(trainer.total_steps(), "update");
        loop {
            let start = Instant::now();
            let Some(update) = trainer.update()? else { break };
            let seconds = start.elapsed().as_secs_f64();
            let epoch = update.step as f64 / trainer.steps_per_epoch() as f64;
            metrics.update(&update, epoch, seconds)?;
            done.add(&update, seconds);
            let text = done.text(&update, trainer.total_steps());
            let ends_epoch = update.step % trainer.steps_per_epoch() == 0;
            if ends_epoch || update.step % self.args.checkpoint_every == 0 {
                trainer.checkpoint().write(&checkpoint, &settings)?;
                bar.set_now(update.step, &format!("{text}, saved"));
            } else {
                bar.set(update.step, &text);
            }
            if let Some(objective) = held_out.as_deref().filter(|_| ends_epoch) {
                let tally = measure(trainer.model(), objective, self.options.micro_batch, |_, _| {})?;
                done.held_out = Some(tally.mean());
                bar.note(&format!("epoch {epoch:.0}: held-out loss {:.4}", tally.mean()));
                metrics
                    .write(&json!({"step": update.step, "epoch": epoch, "held_out_loss": tally.mean()}))?;
            }
        }
        drop(bar);
        let results = done.results();
        let adapter = trainer.adapter(&folder_name(&self.args.out))?;
        adapter.write(&self.args.out, &self.base.name(), &self.card(&results).text())?;
        // The adapter is whole; what is left of the run would only be in the way.
        match std::fs::remove_file(&checkpoint) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tell(&format!("{} could not be removed: {error}", checkpoint.display()));
            }
            _ => {}
        }
        let words = results.iter().map(|(name, value)| format!("{name} {value}"));
        Ok(words.collect::<Vec<_>>().join(", "))
    }

    fn card(&self, results: &[(String, String)]) -> Card {
        let describe = |kind: &str, paths: &[PathBuf], preparation: &Preparation| {
            let paths: Vec<String> = paths.iter().map(|path| file_name(path)).collect();
            format!("{kind}: {}: {}", paths.join(", "), counts(preparation))
        };
        let mut data = vec![describe("trained on", &self.args.data.data, &self.preparation)];
        if let Some((preparation, _)) = &self.held_out {
            let files = [&self.args.eval_data, &self.args.data.data];
            let files = files[usize::from(self.args.eval_data.is_empty())];
            data.push(describe("held out", files, preparation));
        }
        Card {
            name: folder_name(&self.args.out),
            base: self.base.name(),
            base_hash: self.base_hash.clone(),
            settings: self.settings().into_iter().collect(),
            data,
            results: results.to_vec(),
            command: command(),
        }
    }
}

/// Takes away what a kill left of files in the making.
fn sweep(folder: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        let made_here = [
            CHECKPOINT,
            METRICS,
            ADAPTER,
            "adapter_model.safetensors",
            "README.md",
        ];
        let name = file_name(&path);
        if name.ends_with(".tmp") && made_here.iter().any(|file| name.starts_with(file)) {
            // What stays is in nobody's way.
            let _ = std::fs::remove_file(&path);
        }
    }
}

/// What is told while it runs and at the end.
#[derive(Default)]
struct Progress {
    /// Of this process, for a run may have been cut.
    updates: u64,
    tokens: usize,
    seconds: f64,
    /// An average over about twenty updates.
    loss: Option<f64>,
    held_out: Option<f64>,
}

impl Progress {
    fn add(&mut self, update: &Update, seconds: f64) {
        self.updates += 1;
        self.tokens += update.tokens;
        self.seconds += seconds;
        let loss = update.tally.mean();
        self.loss = Some(self.loss.map_or(loss, |average| 0.95 * average + 0.05 * loss));
    }

    fn text(&self, update: &Update, total: u64) -> String {
        let left = self.seconds / self.updates.max(1) as f64 * (total - update.step) as f64;
        let memory = resident().map_or_else(String::new, |bytes| format!(", {}", size(bytes)));
        format!(
            "loss {:.4}, |g| {:.2}, {:.0} tokens/s{memory}, {} left",
            self.loss.unwrap_or_default(),
            update.gradient_norm,
            self.tokens as f64 / self.seconds,
            minutes(left)
        )
    }

    fn results(&self) -> Vec<(String, String)> {
        let mut results = Vec::new();
        if let Some(loss) = self.loss {
            results.push(("loss of the last updates".to_owned(), format!("{loss:.4}")));
        }
        if let Some(loss) = self.held_out {
            results.push(("held-out loss".to_owned(), format!("{loss:.4}")));
        }
        if self.seconds > 0.0 {
            let speed = format!("{:.0}", self.tokens as f64 / self.seconds);
            results.push(("tokens per second".to_owned(), speed));
        }
        if let Some(bytes) = peak() {
            results.push(("peak memory of the process".to_owned(), size(bytes)));
        }
        results
    }
}

fn minutes(seconds: f64) -> String {
    let whole = Duration::from_secs_f64(seconds.max(0.0)).as_secs();
    format!("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60)
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// PEFT's names of modules.
fn names(targets: &[Projection]) -> Vec<&'static str> {
    let last = |projection: &Projection| projection.module().rsplit('.').next().unwrap_or_default();
    targets.iter().map(last).collect()
}
