//! `finetune train`: from data to an adapter's folder, with checkpoints between.

use std::path::PathBuf;

use anyhow::bail;
use bigquill_model::lora::AdapterAbout;
use bigquill_model::train::data::{Preference, Preparation};
use bigquill_model::train::{
    Completions, LoraModel, LoraOptions, MemoryEstimate, Objective, Preferences, Sequence, Settings,
    TrainOptions, Trainer, measure, padding_share, reference,
};
use sha2::{Digest, Sha256};

use crate::answers::{Asked, judge};
use crate::base::{Base, folder_name, hex};
use crate::card::{Card, command};
use crate::examples::{Learned, counts, dropped};
use crate::progress::{Bar, file_name, tell};
use crate::say;
use crate::session::{Measured, adapter_line, base_line, memory_line, settings, updates_line};

mod options;

use options::Keep;
pub(crate) use options::TrainArgs;

/// Everything that is known before training begins.
struct Run<'a> {
    args: &'a TrainArgs,
    base: Base,
    base_hash: String,
    learned: Learned,
    data: Data,
    held_out: Option<Data>,
    keep: Keep,
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
    if args.run.plan {
        return say(run.plan());
    }
    if !args.run.begin()? {
        return Ok(());
    }
    tell(&run.plan());
    args.run.refuse_without_memory(&run.memory())?;
    let results = run.train()?;
    say(format_args!("{}: {results}", args.run.out.display()))
}

impl Data {
    fn new(preparation: &Preparation, preference: bool) -> anyhow::Result<Self> {
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

    /// Sequences of an item.
    fn per_item(&self) -> usize {
        match self {
            Self::Completions(_) => 1,
            Self::Preferences(_) => 2,
        }
    }

    /// The tokens of each item's longest sequence.
    fn lengths(&self) -> Vec<usize> {
        let sequences = self.sequences();
        let items = sequences.chunks(self.per_item());
        items
            .map(|item| item.iter().map(|s| s.tokens.len()).max().unwrap_or(0))
            .collect()
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
                let together = args.hyper.micro_batch;
                let reference = reference(model, pairs, together, |done| bar.set(done as u64, ""))?;
                Box::new(Preferences {
                    pairs,
                    reference,
                    beta: args.learned.beta,
                })
            }
        })
    }
}

impl<'a> Run<'a> {
    fn prepare(args: &'a TrainArgs) -> anyhow::Result<Self> {
        let base = Base::open(&args.model)?;
        let learned = args.learned.prepare(&base, args.hyper.seed)?;
        let preference = args.learned.preference;
        let held_out = learned.held_out.as_ref();
        let held_out = held_out.map(|held| Data::new(held, preference)).transpose()?;
        let keep = match (args.keep_best, &held_out) {
            (Some(Keep::Generation), _) if preference => {
                bail!("preferences have no one right answer; give --keep-best loss")
            }
            (Some(keep @ (Keep::Generation | Keep::Loss)), None) => bail!(
                "--keep-best {} needs held-out examples; name them with --eval-data, or give --eval-share 0.1",
                if keep == Keep::Loss { "loss" } else { "generation" }
            ),
            (Some(keep), _) => keep,
            (None, None) => Keep::Last,
            (None, Some(Data::Completions(_))) => Keep::Generation,
            (None, Some(Data::Preferences(_))) => Keep::Loss,
        };
        Ok(Self {
            lora: args.hyper.lora()?,
            options: args.options(base.parameters()),
            base_hash: base.hash()?,
            data: Data::new(&learned.examples, preference)?,
            args,
            base,
            learned,
            held_out,
            keep,
        })
    }

    /// What would be done, before anything is loaded.
    fn plan(&self) -> String {
        let (options, lengths) = (&self.options, self.data.lengths());
        let padding = padding_share(&lengths, options.batch, options.micro_batch, options.seed);
        let longest = lengths.iter().max().copied().unwrap_or(0);
        let mut lines = vec![
            base_line(&self.base, &self.base_hash),
            format!("data      {}; longest {longest}", counts(&self.learned.examples)),
        ];
        if let Some(held_out) = &self.learned.held_out {
            lines.push(format!("held out  {}", counts(held_out)));
            lines.push(format!("kept      {}", self.kept_line(held_out.examples.len())));
        }
        lines.extend([
            adapter_line(&self.lora, &self.base),
            updates_line(lengths.len(), options, padding),
            memory_line(&self.memory(), &self.args.run),
        ]);
        lines.extend(dropped(&self.learned.examples, 5));
        lines.join("\n")
    }

    fn kept_line(&self, held_out: usize) -> String {
        match self.keep {
            Keep::Generation => format!(
                "the epoch with most exact answers to {} held-out examples",
                self.args.eval_answers.min(held_out)
            ),
            Keep::Loss => "the epoch with the least held-out loss".to_owned(),
            Keep::Last => "the last epoch".to_owned(),
        }
    }

    fn memory(&self) -> MemoryEstimate {
        let sequences = self.data.sequences();
        let together = self.options.micro_batch * self.data.per_item();
        let estimate = self.args.run.memory(&self.base, &self.lora, &sequences, together);
        match self.keep {
            // Answers come from the decoder that serves, which has weights of its own.
            Keep::Generation => estimate.with_decoder(),
            Keep::Loss | Keep::Last => estimate,
        }
    }

    /// What a checkpoint must agree with.
    fn settings(&self) -> Settings {
        let devices = self.args.run.device.len();
        let (lora, options) = (&self.lora, &self.options);
        let mut settings = settings(&self.base_hash, self.data.hash(), lora, options, devices);
        let none = || "none".to_owned();
        let preference = self.args.learned.preference;
        let beta = preference.then(|| self.args.learned.beta.to_string());
        let init = self.args.init.as_deref().map(folder_name);
        let held_out = self.held_out.as_ref().map(Data::hash);
        let kept = match self.keep {
            Keep::Generation => format!("generation of {}", self.args.eval_answers),
            Keep::Loss => "loss".to_owned(),
            Keep::Last => "last".to_owned(),
        };
        for (name, value) in [
            ("beta", beta.unwrap_or_else(none)),
            ("init", init.unwrap_or_else(none)),
            ("held-out data", held_out.unwrap_or_else(none)),
            ("keep-best", kept),
        ] {
            settings.insert(name.to_owned(), value);
        }
        settings
    }

    /// Trains, writes the adapter, and tells what came of it.
    fn train(&self) -> anyhow::Result<String> {
        let run = &self.args.run;
        let models = run.models(&self.base, &self.lora, self.args.init.as_deref())?;
        let objective = self.data.objective(&models[0], self.args, "reference")?;
        let held_out = match &self.held_out {
            Some(data) => Some(data.objective(&models[0], self.args, "reference of held-out")?),
            None => None,
        };
        let asked = self.asked()?;
        if let Some(first) = asked.get(..1) {
            // The decoder must fit beside the training: better to know now than after an epoch.
            judge(&self.base, None, &run.device[0], first, 1)?;
        }
        let mut trainer = Trainer::new(models, objective.as_ref(), self.options.clone())?;
        let progress = run.train(&mut trainer, &self.settings(), |trainer| {
            let held_out = held_out.as_deref();
            held_out
                .map(|held_out| self.measure(trainer, held_out, &asked))
                .transpose()
        })?;
        let results = progress.results();
        let adapter = trainer.adapter(&folder_name(&run.out))?;
        let card = self.card(&results).text();
        let about = AdapterAbout {
            base: &self.base.name(),
            card: &card,
            dropout: self.lora.dropout,
            ..AdapterAbout::default()
        };
        adapter.write(&run.out, &about)?;
        run.finish();
        let words = results.iter().map(|(name, value)| format!("{name} {value}"));
        Ok(words.collect::<Vec<_>>().join(", "))
    }

    /// The held-out examples that are answered after each epoch.
    fn asked(&self) -> anyhow::Result<Vec<Asked>> {
        match &self.learned.held_out {
            Some(held_out) if self.keep == Keep::Generation => Asked::new(
                held_out,
                &self.learned.read(held_out),
                Some(self.args.eval_answers),
            ),
            _ => Ok(Vec::new()),
        }
    }

    fn measure(
        &self,
        trainer: &Trainer<'_>,
        held_out: &dyn Objective,
        asked: &[Asked],
    ) -> anyhow::Result<Measured> {
        let together = self.options.micro_batch;
        let loss = measure(trainer.model(), held_out, together, |_, _| {})?.mean();
        let mut measured = Measured {
            values: vec![("held_out_loss", loss)],
            text: format!("loss {loss:.4}"),
            rank: (self.keep == Keep::Loss).then(|| vec![-loss]),
        };
        if !asked.is_empty() {
            let adapter = trainer.adapter("epoch")?;
            let device = &self.args.run.device[0];
            let verdicts = judge(&self.base, Some(&adapter), device, asked, self.args.answer_tokens)?;
            let share = |count: usize| count as f64 / asked.len() as f64;
            let exact = verdicts.iter().filter(|v| v.exact).count();
            let accepted = verdicts.iter().filter(|v| v.accepted == Some(true)).count();
            measured.values.push(("held_out_exact", share(exact)));
            measured.text += &format!(", {exact} of {} answers exact", asked.len());
            if verdicts.iter().any(|v| v.accepted.is_some()) {
                measured.values.push(("held_out_accepted", share(accepted)));
                measured.text += &format!(", {accepted} pass the check");
            }
            measured.rank = Some(vec![share(exact), share(accepted), -loss]);
        }
        Ok(measured)
    }

    fn card(&self, results: &[(String, String)]) -> Card {
        let describe = |kind: &str, paths: &[PathBuf], preparation: &Preparation| {
            let paths: Vec<String> = paths.iter().map(|path| file_name(path)).collect();
            format!("{kind}: {}: {}", paths.join(", "), counts(preparation))
        };
        let args = &self.args.learned;
        let mut data = vec![describe("trained on", &args.data.data, &self.learned.examples)];
        if let Some(preparation) = &self.learned.held_out {
            data.push(describe("held out", args.held_out_files(), preparation));
        }
        Card {
            name: folder_name(&self.args.run.out),
            base: self.base.name(),
            base_hash: self.base_hash.clone(),
            settings: self.settings().into_iter().collect(),
            data,
            results: results.to_vec(),
            command: command(),
        }
    }
}
