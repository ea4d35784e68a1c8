//! A training from its folder's first look to its last file: what `train` and `regress` have in common.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use bigquill_model::lora::LoraAdapter;
use bigquill_model::train::{
    Activations, Best, Checkpoint, Load, LoraModel, LoraOptions, MemoryEstimate, Sequence, Settings,
    TrainOptions, Trainer, Update, available, peak_memory,
};
use clap::Args;
use serde_json::{Map, Value};

use crate::base::{Base, device, folder_name};
use crate::dashboard::Dashboard;
use crate::hyper::names;
use crate::progress::{Bar, Metrics, file_name, minutes, peak, resident, size, tell};

/// Beside the adapter's own files.
const CHECKPOINT: &str = "checkpoint.safetensors";
const METRICS: &str = "metrics.jsonl";
const ADAPTER: &str = "adapter_config.json";

#[derive(Debug, Clone, Args)]
pub(crate) struct RunArgs {
    /// The adapter's folder; its name is the adapter's
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Say what would be done and how much memory it takes, and stop
    #[arg(long)]
    pub(crate) plan: bool,
    /// Go on with a run that was cut
    #[arg(long, conflicts_with = "overwrite")]
    pub(crate) resume: bool,
    /// Replace what the folder holds; an adapter that is there stays whole until the new one is
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Updates between two checkpoints
    #[arg(long, default_value_t = 50, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) checkpoint_every: u64,
    /// Write the run's curves for TensorBoard below this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) dashboard: Option<PathBuf>,
    /// Keep all activations instead of computing them again: a third faster, many times the memory
    #[arg(long)]
    pub(crate) keep_activations: bool,
    /// Where it computes: cpu, cuda, cuda:1, metal; given several times, the work is shared
    #[arg(long, default_value = "cpu", value_name = "DEVICE", num_args = 1..)]
    pub(crate) device: Vec<String>,
}

/// What an epoch's end has shown of the held-out data.
pub(crate) struct Measured {
    /// Names and values, for the metrics.
    pub(crate) values: Vec<(&'static str, f64)>,
    /// The same for people, to stand after "held-out".
    pub(crate) text: String,
    /// By what the best epoch is chosen, the larger the better; none where the last one is kept.
    pub(crate) rank: Option<Vec<f64>>,
}

impl RunArgs {
    /// Looks at the folder; false where there is nothing left to do.
    pub(crate) fn begin(&self) -> anyhow::Result<bool> {
        let out = self.out.display();
        let (cut, whole) = (
            self.out.join(CHECKPOINT).exists(),
            self.out.join(ADAPTER).exists(),
        );
        if self.resume && !cut && whole {
            crate::say(format_args!("{out} is finished: there is nothing to resume"))?;
            return Ok(false);
        }
        if !self.resume && !self.overwrite {
            if cut {
                bail!("{out} holds a run that was cut; go on with --resume, or begin anew with --overwrite");
            }
            if whole {
                bail!("{out} holds an adapter already; name another --out, or give --overwrite");
            }
        }
        Ok(true)
    }

    pub(crate) fn activations(&self) -> Activations {
        if self.keep_activations {
            Activations::Kept
        } else {
            Activations::Recomputed
        }
    }

    /// The memory of a training with so many of these sequences at once.
    pub(crate) fn memory(
        &self,
        base: &Base,
        lora: &LoraOptions,
        sequences: &[&Sequence],
        together: usize,
    ) -> MemoryEstimate {
        let together = together.min(sequences.len());
        let most = |of: fn(&Sequence) -> usize| sequences.iter().map(|s| of(s)).max().unwrap_or(0);
        let load = Load {
            sequences: together,
            tokens: most(|sequence| sequence.tokens.len()),
            learned: together * most(Sequence::completion),
            cpu: self.device.iter().any(|device| device == "cpu"),
            activations: self.activations(),
        };
        MemoryEstimate::new(&base.gguf, &base.config, lora, &load)
    }

    /// Refuses what the system has no memory for.
    pub(crate) fn refuse_without_memory(&self, estimate: &MemoryEstimate) -> anyhow::Result<()> {
        let needed = estimate.total();
        for name in &self.device {
            // Workers on the CPU share its memory.
            let workers = self.device.iter().filter(|other| *other == name).count() as f64;
            match available(&device(name)?) {
                Some(free) if free < needed * workers => bail!(
                    "this needs about {} of memory and {} are free on {name}; give a smaller --micro-batch or \
                     --max-tokens, or train only --targets q_proj v_proj, or take a smaller base",
                    size((needed * workers) as u64),
                    size(free as u64)
                ),
                _ => {}
            }
        }
        Ok(())
    }

    /// One model a device, each with the same pairs.
    pub(crate) fn models(
        &self,
        base: &Base,
        lora: &LoraOptions,
        init: Option<&Path>,
    ) -> anyhow::Result<Vec<LoraModel>> {
        let init = init.map(LoraAdapter::read).transpose()?;
        let mut models = Vec::new();
        for name in &self.device {
            let model = LoraModel::load(&base.gguf, Some(lora), &device(name)?)?;
            if let Some(init) = &init {
                model.set_adapter(init)?;
            }
            models.push(model);
        }
        Ok(models)
    }

    /// Trains to the end. `measure` looks at the model after each epoch; the best epoch's parameters are the last ones
    /// then.
    pub(crate) fn train(
        &self,
        trainer: &mut Trainer<'_>,
        settings: &Settings,
        mut measure: impl FnMut(&Trainer<'_>) -> anyhow::Result<Option<Measured>>,
    ) -> anyhow::Result<Progress> {
        std::fs::create_dir_all(&self.out).with_context(|| {
            format!(
                "the folder {} cannot be made; name another --out",
                self.out.display()
            )
        })?;
        let mut run = Run::begin(self, trainer, settings)?;
        loop {
            let start = Instant::now();
            let Some(update) = trainer.update()? else { break };
            let seconds = start.elapsed().as_secs_f64();
            run.update(trainer, &update, seconds)?;
            let ends_epoch = update.step % trainer.steps_per_epoch() == 0;
            if ends_epoch && let Some(measured) = measure(trainer)? {
                run.measured(trainer, measured)?;
            }
            let text = run.progress.text(&update, trainer.total_steps());
            if ends_epoch || update.step % self.checkpoint_every == 0 {
                run.save(trainer)?;
                run.bar.set_now(update.step, &format!("{text}, saved"));
            } else {
                run.bar.set(update.step, &text);
            }
        }
        if let Some(best) = &run.best {
            trainer.take_back(best)?;
            run.progress.kept = Some(best.steps / trainer.steps_per_epoch().max(1));
        }
        Ok(run.progress)
    }

    /// The adapter is whole: what is left of the run would only be in the way.
    pub(crate) fn finish(&self) {
        let checkpoint = self.out.join(CHECKPOINT);
        match std::fs::remove_file(&checkpoint) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tell(&format!("{} could not be removed: {error}", checkpoint.display()));
            }
            _ => {}
        }
    }
}

/// A training that is under way.
struct Run<'a> {
    checkpoint: PathBuf,
    settings: &'a Settings,
    metrics: Metrics,
    dashboard: Option<Dashboard>,
    bar: Bar,
    best: Option<Best>,
    progress: Progress,
}

impl<'a> Run<'a> {
    fn begin(args: &RunArgs, trainer: &mut Trainer<'_>, settings: &'a Settings) -> anyhow::Result<Self> {
        let checkpoint = args.out.join(CHECKPOINT);
        let mut best = None;
        if args.resume && checkpoint.exists() {
            let device = trainer.model().device().clone();
            let mut read = Checkpoint::read(&checkpoint, settings, trainer.parameters(), &device)?;
            tell(&format!("goes on after update {}", read.steps));
            best = read.best.take();
            trainer.restore(read)?;
        }
        sweep(&args.out);
        let dashboard = args.dashboard.as_deref().map(|folder| {
            let name = folder_name(&args.out);
            Dashboard::create(&folder.join(name))
        });
        // At once, for a full disk to show before an hour's work, and for another run's checkpoint to be gone.
        save(&checkpoint, settings, trainer, best.as_ref())?;
        Ok(Self {
            checkpoint,
            settings,
            metrics: Metrics::open(&args.out.join(METRICS), trainer.steps())?,
            dashboard: dashboard.transpose()?,
            bar: Bar::new(trainer.total_steps(), "update"),
            best,
            progress: Progress::default(),
        })
    }

    fn save(&self, trainer: &Trainer<'_>) -> anyhow::Result<()> {
        save(&self.checkpoint, self.settings, trainer, self.best.as_ref())
    }

    fn update(&mut self, trainer: &Trainer<'_>, update: &Update, seconds: f64) -> anyhow::Result<()> {
        let epoch = update.step as f64 / trainer.steps_per_epoch() as f64;
        let mut values = vec![
            ("epoch", epoch),
            ("loss", update.tally.mean()),
            ("gradient_norm", update.gradient_norm),
            ("learning_rate", update.learning_rate),
            ("tokens", update.tokens as f64),
            ("learned", update.tally.weight as f64),
            ("seconds", seconds),
            ("tokens_per_second", update.tokens as f64 / seconds),
        ];
        let device = trainer.model().device();
        let on_device = peak_memory(device).map(|bytes| bytes as u64);
        self.progress.device_peak = on_device;
        self.progress.memory = on_device.or_else(resident);
        values.extend(self.progress.memory.map(|bytes| ("memory_bytes", bytes as f64)));
        self.write(update.step, &values)?;
        self.progress.add(update, seconds);
        Ok(())
    }

    fn measured(&mut self, trainer: &Trainer<'_>, measured: Measured) -> anyhow::Result<()> {
        let step = trainer.steps();
        let epoch = step / trainer.steps_per_epoch();
        self.bar
            .note(&format!("epoch {epoch}: held-out {}", measured.text));
        let mut values = vec![("epoch", epoch as f64)];
        values.extend(&measured.values);
        self.write(step, &values)?;
        let now = measured.rank.map(|rank| trainer.measured(rank));
        let better = now.filter(|now| self.best.as_ref().is_none_or(|best| now.beats(best)));
        if let Some(better) = better {
            self.best = Some(better);
            self.progress.measured = Some(measured.text);
        } else if self.best.is_none() {
            self.progress.measured = Some(measured.text);
        }
        Ok(())
    }

    /// A line of metrics, and points of the dashboard.
    fn write(&mut self, step: u64, values: &[(&'static str, f64)]) -> anyhow::Result<()> {
        let whole = |value: f64| value.fract() == 0.0 && value.abs() < 1e15;
        let mut line = Map::from_iter([("step".to_owned(), Value::from(step))]);
        for (name, value) in values {
            let counted = ["tokens", "learned", "memory_bytes"].contains(name) && whole(*value);
            let value = if counted {
                Value::from(*value as u64)
            } else {
                Value::from(*value)
            };
            line.insert((*name).to_owned(), value);
        }
        self.metrics.write(&Value::Object(line))?;
        match &mut self.dashboard {
            Some(dashboard) => dashboard.write(step, values),
            None => Ok(()),
        }
    }
}

fn save(path: &Path, settings: &Settings, trainer: &Trainer<'_>, best: Option<&Best>) -> anyhow::Result<()> {
    let mut checkpoint = trainer.checkpoint();
    checkpoint.best = best.cloned();
    Ok(checkpoint.write(path, settings)?)
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
pub(crate) struct Progress {
    /// Of this process, for a run may have been cut.
    updates: u64,
    tokens: usize,
    seconds: f64,
    /// An average over about twenty updates.
    loss: Option<f64>,
    /// Bytes that the process holds, or held at most on another device than the CPU.
    memory: Option<u64>,
    /// The most that it held on such a device.
    device_peak: Option<u64>,
    /// What was measured of the epoch that is kept.
    measured: Option<String>,
    /// The epoch that is kept, where they were compared.
    kept: Option<u64>,
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
        let memory = self
            .memory
            .map_or_else(String::new, |bytes| format!(", {}", size(bytes)));
        format!(
            "loss {:.4}, |g| {:.2}, {:.0} tokens/s{memory}, {} left",
            self.loss.unwrap_or_default(),
            update.gradient_norm,
            self.tokens as f64 / self.seconds,
            minutes(Duration::from_secs_f64(left.max(0.0)))
        )
    }

    /// Names and values of what came of it.
    pub(crate) fn results(&self) -> Vec<(String, String)> {
        let mut results = Vec::new();
        let mut add = |name: &str, value: String| results.push((name.to_owned(), value));
        if let Some(loss) = self.loss {
            add("loss of the last updates", format!("{loss:.4}"));
        }
        if let Some(measured) = &self.measured {
            add("held-out", measured.clone());
        }
        if let Some(epoch) = self.kept {
            add("epoch that is kept", epoch.to_string());
        }
        if self.seconds > 0.0 {
            add(
                "tokens per second",
                format!("{:.0}", self.tokens as f64 / self.seconds),
            );
        }
        if let Some(bytes) = self.device_peak {
            add("peak memory on the device", size(bytes));
        }
        if let Some(bytes) = peak() {
            add("peak memory of the process", size(bytes));
        }
        results
    }
}

/// What a checkpoint must agree with, whatever is learned.
pub(crate) fn settings(
    base_hash: &str,
    data_hash: String,
    lora: &LoraOptions,
    options: &TrainOptions,
    devices: usize,
) -> Settings {
    let pairs = [
        ("base", base_hash.to_owned()),
        ("data", data_hash),
        ("rank", lora.rank.to_string()),
        ("alpha", lora.alpha.to_string()),
        ("dropout", lora.dropout.to_string()),
        ("targets", names(&lora.targets).join(" ")),
        ("epochs", options.epochs.to_string()),
        ("batch", options.batch.to_string()),
        ("micro-batch", options.micro_batch.to_string()),
        ("learning-rate", options.learning_rate.to_string()),
        ("warmup", options.warmup.to_string()),
        ("weight-decay", options.weight_decay.to_string()),
        ("clip", options.clip.to_string()),
        ("seed", options.seed.to_string()),
        ("devices", devices.to_string()),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value)).into()
}

/// The plan's line about the base.
pub(crate) fn base_line(base: &Base, hash: &str) -> String {
    let file = base.gguf.path().display();
    format!("base      {} ({file}), SHA-256 {hash}", base.name())
}

/// The plan's line about memory.
pub(crate) fn memory_line(estimate: &MemoryEstimate, run: &RunArgs) -> String {
    format!("memory    about {estimate} on each of: {}", run.device.join(", "))
}

/// The plan's line about the updates.
pub(crate) fn updates_line(examples: usize, options: &TrainOptions, padding: f64) -> String {
    format!(
        "updates   {} of {} examples ({} at once, {:.1} % padding), {} epochs, learning rate {}, warm-up {} %, clip {}, seed {}",
        examples.div_ceil(options.batch) * options.epochs,
        options.batch,
        options.micro_batch,
        100.0 * padding,
        options.epochs,
        options.learning_rate,
        options.warmup * 100.0,
        options.clip,
        options.seed
    )
}

/// The plan's line about the adapter.
pub(crate) fn adapter_line(lora: &LoraOptions, base: &Base) -> String {
    let shapes = lora
        .targets
        .iter()
        .map(|projection| projection.shape(&base.config));
    let parameters: usize = shapes
        .map(|(rows, columns)| lora.rank * (rows + columns) * base.config.layers)
        .sum();
    format!(
        "adapter   rank {}, alpha {}, dropout {}, {} parameters in {}",
        lora.rank,
        lora.alpha,
        lora.dropout,
        parameters,
        names(&lora.targets).join(", ")
    )
}
