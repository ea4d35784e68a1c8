//! `finetune regress`: a number from a text, by an adapter and a linear head, held against what is simpler.

use std::cmp::Ordering;
use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use bigquill_model::lora::{AdapterAbout, LoraAdapter};
use bigquill_model::train::{
    LoraModel, LoraOptions, MemoryEstimate, Regression, Sequence, Settings, TrainOptions, Trainer, measure,
    padding_share, predict,
};
use clap::Args;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::base::{Base, device, folder_name, hex};
use crate::card::{Card, command};
use crate::hyper::HyperArgs;
use crate::progress::{Bar, file_name, tell};
use crate::say;
use crate::session::{Measured, RunArgs, adapter_line, base_line, memory_line, settings, updates_line};

mod baseline;
mod rows;

use baseline::{Errors, Linear, moments};
use rows::{Row, Template};

/// Names of what stands beside the weights.
const MEAN: &str = "target_mean";
const DEVIATION: &str = "target_deviation";
const TEMPLATE: &str = "template";
const TARGET: &str = "target";

/// Train an adapter that reads a number off a text, and hold it against the mean and a linear model of the columns
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    finetune regress --model base.gguf --data flats.csv --target price --out adapters/price \\\n    \
    --template \"What does a flat of {rooms} rooms in {city} cost?\"\n  \
    finetune regress --model base.gguf --data rated.jsonl --target stars --out adapters/stars     # with a column text\n  \
    finetune regress --model base.gguf --data new.csv --out adapters/price --predict > predictions.jsonl\n\n\
    The adapter is PEFT's for sequence classification with one label; its score times target_deviation plus target_mean, \
    which stand in the metadata of adapter_model.safetensors, is the number.")]
pub(crate) struct RegressArgs {
    /// The base model, a .gguf file or a name of `bigquill model list`; it is not changed
    #[arg(long, value_name = "MODEL")]
    model: PathBuf,
    /// Rows: .csv with a line of names, or one JSON object a line. May be given several times
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    data: Vec<PathBuf>,
    /// The column of numbers that are learned
    #[arg(long, value_name = "COLUMN", default_value = "target")]
    target: String,
    /// How a row reads, with {column} for its values [default: its column text or prompt]
    #[arg(long, value_name = "TEXT")]
    template: Option<String>,
    /// Rows that are measured and not learned from
    #[arg(long, value_name = "FILE", num_args = 1..)]
    eval_data: Vec<PathBuf>,
    /// Hold out so large a share of the rows for that instead
    #[arg(
        long,
        value_name = "SHARE",
        default_value_t = 0.2,
        conflicts_with = "eval_data"
    )]
    eval_share: f64,
    /// Longest text in tokens; longer ones stop everything
    #[arg(long, value_name = "TOKENS", default_value_t = 512)]
    max_tokens: usize,
    /// Read numbers off the rows with the adapter in --out instead of training one: a JSON object a row
    #[arg(long, conflicts_with_all = ["plan", "resume", "overwrite", "eval_data", "eval_share"])]
    predict: bool,
    #[command(flatten)]
    hyper: HyperArgs,
    #[command(flatten)]
    run: RunArgs,
}

/// Texts with their numbers, and the rows that they come from.
#[derive(Default)]
struct Texts {
    rows: Vec<Row>,
    tokens: Vec<Sequence>,
    targets: Vec<f64>,
}

impl Texts {
    fn push(&mut self, row: Row, tokens: Sequence, target: f64) {
        self.rows.push(row);
        self.tokens.push(tokens);
        self.targets.push(target);
    }
}

struct Regress<'a> {
    args: &'a RegressArgs,
    base: Base,
    base_hash: String,
    template: Template,
    learned: Texts,
    held_out: Texts,
    /// Of the learned targets.
    mean: f64,
    deviation: f64,
    /// Both in deviations from the mean.
    learned_targets: Vec<f64>,
    held_out_targets: Vec<f64>,
    lora: LoraOptions,
    options: TrainOptions,
}

pub(crate) fn run(args: &RegressArgs) -> anyhow::Result<()> {
    if args.predict {
        return predict_rows(args);
    }
    let regress = Regress::prepare(args)?;
    if args.run.plan {
        return say(regress.plan());
    }
    if !args.run.begin()? {
        return Ok(());
    }
    tell(&regress.plan());
    args.run.refuse_without_memory(&regress.memory())?;
    regress.train()
}

/// The tokens of a text, all of them read.
fn tokens(base: &Base, text: &str, row: &Row, most: usize) -> anyhow::Result<Sequence> {
    let tokens = base.tokenizer.encode_document(text)?;
    ensure!(
        tokens.len() <= most.min(base.config.context),
        "{}: its text has {} tokens; raise --max-tokens, or shorten it",
        row.place,
        tokens.len()
    );
    Ok(Sequence {
        prompt: tokens.len(),
        tokens,
    })
}

impl<'a> Regress<'a> {
    fn prepare(args: &'a RegressArgs) -> anyhow::Result<Self> {
        ensure!(
            (0.0..1.0).contains(&args.eval_share),
            "--eval-share is a share below 1, such as 0.2"
        );
        let base = Base::open(&args.model)?;
        let rows = rows::read(&args.data)?;
        let template = Template::new(args.template.as_deref(), &rows[0])?;
        ensure!(
            !template.names(&args.target),
            "the template names {}, which is what is to be learned; take it out",
            args.target
        );
        let read = |rows: Vec<Row>| -> anyhow::Result<Vec<(String, Row, Sequence, f64)>> {
            let one = |row: Row| {
                let target = row.number(&args.target)?;
                let text = template.fill(&row)?;
                let tokens = tokens(&base, &text, &row, args.max_tokens)?;
                Ok((text, row, tokens, target))
            };
            rows.into_iter().map(one).collect()
        };
        let (mut learned, mut held_out) = (Texts::default(), Texts::default());
        let mut given = read(rows)?;
        if args.eval_data.is_empty() {
            // By the text's hash, so that rows of one text stand on one side.
            given.sort_by_cached_key(|(text, ..)| {
                Sha256::digest(format!("{} {text}", args.hyper.seed)).to_vec()
            });
        } else {
            for (_, row, tokens, target) in read(rows::read(&args.eval_data)?)? {
                held_out.push(row, tokens, target);
            }
        }
        let wanted = (given.len() as f64 * args.eval_share).round() as usize;
        let held = if args.eval_data.is_empty() { wanted } else { 0 };
        for (index, (_, row, tokens, target)) in given.into_iter().enumerate() {
            let side = if index < held { &mut held_out } else { &mut learned };
            side.push(row, tokens, target);
        }
        ensure!(
            learned.rows.len() >= 2 && !held_out.rows.is_empty(),
            "{} rows to learn from and {} to measure are too few; give more, or another --eval-share",
            learned.rows.len(),
            held_out.rows.len()
        );
        let (mean, deviation) = moments(&learned.targets);
        ensure!(
            deviation > 0.0,
            "{} is {mean} in every row: there is nothing to learn",
            args.target
        );
        let standard = |targets: &[f64]| targets.iter().map(|t| (t - mean) / deviation).collect();
        Ok(Self {
            learned_targets: standard(&learned.targets),
            held_out_targets: standard(&held_out.targets),
            lora: args.hyper.lora()?,
            options: TrainOptions {
                activations: args.run.activations(),
                ..args.hyper.options(base.parameters(), false)
            },
            base_hash: base.hash()?,
            args,
            base,
            template,
            learned,
            held_out,
            mean,
            deviation,
        })
    }

    fn lengths(&self) -> Vec<usize> {
        self.learned.tokens.iter().map(|text| text.tokens.len()).collect()
    }

    fn plan(&self) -> String {
        let (options, lengths) = (&self.options, self.lengths());
        let padding = padding_share(&lengths, options.batch, options.micro_batch, options.seed);
        [
            base_line(&self.base, &self.base_hash),
            format!(
                "data      {} rows to learn from and {} to measure, {} tokens; {}: mean {:.4}, deviation {:.4}",
                self.learned.rows.len(),
                self.held_out.rows.len(),
                lengths.iter().sum::<usize>(),
                self.args.target,
                self.mean,
                self.deviation
            ),
            format!("text      {}", self.template.text()),
            adapter_line(&self.lora, &self.base),
            updates_line(lengths.len(), options, padding),
            memory_line(&self.memory(), &self.args.run),
        ]
        .join("\n")
    }

    fn memory(&self) -> MemoryEstimate {
        let texts: Vec<&Sequence> = self.learned.tokens.iter().collect();
        let together = self.options.micro_batch;
        self.args.run.memory(&self.base, &self.lora, &texts, together)
    }

    fn settings(&self) -> Settings {
        let mut hash = Sha256::new();
        for texts in [&self.learned, &self.held_out] {
            for (text, target) in texts.tokens.iter().zip(&texts.targets) {
                hash.update(json!([text.tokens, target.to_bits()]).to_string());
            }
        }
        let devices = self.args.run.device.len();
        let hash = hex(&hash.finalize());
        settings(&self.base_hash, hash, &self.lora, &self.options, devices)
    }

    fn train(&self) -> anyhow::Result<()> {
        let run = &self.args.run;
        let mut models = run.models(&self.base, &self.lora, None)?;
        for model in &mut models {
            model.add_score_head()?;
        }
        let learned = Regression {
            texts: &self.learned.tokens,
            targets: &self.learned_targets,
        };
        let held_out = Regression {
            texts: &self.held_out.tokens,
            targets: &self.held_out_targets,
        };
        let together = self.options.micro_batch;
        let mut trainer = Trainer::new(models, &learned, self.options.clone())?;
        let progress = run.train(&mut trainer, &self.settings(), |trainer| {
            let loss = measure(trainer.model(), &held_out, together, |_, _| {})?.mean();
            Ok(Some(Measured {
                values: vec![("held_out_loss", loss)],
                text: format!("loss {loss:.4}"),
                rank: Some(vec![-loss]),
            }))
        })?;
        let scores = predict(trainer.model(), &self.held_out.tokens, together, |_| {})?;
        let predicted: Vec<f64> = scores.iter().map(|z| z * self.deviation + self.mean).collect();
        let report = self.report(&predicted);
        let score = trainer.model().score_weights()?.context("the head is gone")?;
        let mut results = progress.results();
        results.extend(report.results);
        let card = self.card(results).text();
        let about = AdapterAbout {
            base: &self.base.name(),
            card: &card,
            dropout: self.lora.dropout,
            score: Some(&score),
            metadata: &[
                (MEAN, self.mean.to_string()),
                (DEVIATION, self.deviation.to_string()),
                (TEMPLATE, self.template.text().to_owned()),
                (TARGET, self.args.target.clone()),
            ],
        };
        trainer.adapter(&folder_name(&run.out))?.write(&run.out, &about)?;
        run.finish();
        say(format_args!("{}\n{}", run.out.display(), report.table))
    }

    fn card(&self, results: Vec<(String, String)>) -> Card {
        let files: Vec<String> = self.args.data.iter().map(|path| file_name(path)).collect();
        let mut settings: Vec<(String, String)> = self.settings().into_iter().collect();
        settings.push(("text".to_owned(), self.template.text().to_owned()));
        settings.push(("number".to_owned(), self.args.target.clone()));
        Card {
            name: folder_name(&self.args.run.out),
            base: self.base.name(),
            base_hash: self.base_hash.clone(),
            settings,
            data: vec![format!(
                "{}: {} rows to learn from, {} held out",
                files.join(", "),
                self.learned.rows.len(),
                self.held_out.rows.len()
            )],
            results,
            command: command(),
        }
    }

    /// The errors on held-out rows, of the mean, a linear model and the adapter.
    fn report(&self, predicted: &[f64]) -> Report {
        let targets = &self.held_out.targets;
        let learned: Vec<&Row> = self.learned.rows.iter().collect();
        let linear = Linear::fit(&learned, &self.learned.targets, &self.args.target);
        let mean = vec![self.mean; targets.len()];
        let mut models = vec![("mean".to_owned(), Errors::new(&mean, targets))];
        let mut simpler = ("the mean", mean);
        if let Some(linear) = &linear {
            let rows = self.held_out.rows.iter();
            let predicted: Vec<f64> = rows.map(|row| linear.predict(row)).collect();
            let name = format!("linear in {}", linear.columns().join(", "));
            models.push((name, Errors::new(&predicted, targets)));
            simpler = ("the linear model", predicted);
        }
        models.push(("adapter".to_owned(), Errors::new(predicted, targets)));
        let mut results = Vec::new();
        let mut table = format!(
            "{:>12} {:>12} {:>8}  on {} held-out rows",
            "MAE",
            "RMSE",
            "R²",
            targets.len()
        );
        for (name, errors) in models {
            let (absolute, square) = (errors.absolute, errors.square);
            let explained = errors.explained;
            table += &format!("\n{absolute:>12.4} {square:>12.4} {explained:>8.3}  {name}");
            results.push((
                format!("{name}: MAE, RMSE, R²"),
                format!("{absolute:.4}, {square:.4}, {explained:.3}"),
            ));
        }
        table += &format!("\n{}", gain(predicted, &simpler.1, targets, simpler.0));
        Report { results, table }
    }
}

struct Report {
    results: Vec<(String, String)>,
    table: String,
}

/// By how much absolute errors are smaller than another model's, with an interval of the mean.
fn gain(predicted: &[f64], others: &[f64], targets: &[f64], name: &str) -> String {
    let differences: Vec<f64> = predicted
        .iter()
        .zip(others)
        .zip(targets)
        .map(|((own, other), target)| (other - target).abs() - (own - target).abs())
        .collect();
    let (mean, deviation) = moments(&differences);
    let spread = 1.96 * deviation / (differences.len().max(2) as f64 - 1.0).sqrt();
    let verdict = match (mean - spread > 0.0).cmp(&(mean + spread < 0.0)) {
        Ordering::Greater => "the adapter is better",
        Ordering::Less => "the adapter is worse",
        Ordering::Equal => "no difference is shown",
    };
    format!("absolute error of {name} less the adapter's: {mean:+.4} ± {spread:.4} (95 %): {verdict}")
}

/// A JSON object a row, and the errors where the target is given.
fn predict_rows(args: &RegressArgs) -> anyhow::Result<()> {
    let base = Base::open(&args.model)?;
    let (adapter, head) = LoraAdapter::read_regression(&args.run.out)?;
    let known = |name: &str| {
        let value = head.metadata.get(name);
        value.with_context(|| {
            format!(
                "{} does not say its {name}: it was not made by `finetune regress`",
                args.run.out.display()
            )
        })
    };
    let number = |name: &str| -> anyhow::Result<f64> {
        known(name)?
            .parse()
            .with_context(|| format!("its {name} is no number"))
    };
    let (mean, deviation) = (number(MEAN)?, number(DEVIATION)?);
    let device = device(&args.run.device[0])?;
    let mut model = LoraModel::load_adapter(&base.gguf, &adapter, &device)?;
    model.add_score_head()?;
    if head.weights.len() != base.config.hidden {
        bail!(
            "the adapter does not fit the model: its head reads {} numbers where the model has {}; name the adapter's \
             own base model",
            head.weights.len(),
            base.config.hidden
        );
    }
    model.set_score_weights(&head.weights)?;
    let rows = rows::read(&args.data)?;
    let template = args
        .template
        .as_deref()
        .map_or_else(|| known(TEMPLATE).map(String::as_str), Ok)?;
    let template = Template::new(Some(template), &rows[0])?;
    let texts: Vec<Sequence> = rows
        .iter()
        .map(|row| tokens(&base, &template.fill(row)?, row, args.max_tokens))
        .collect::<anyhow::Result<_>>()?;
    let bar = Bar::new(texts.len() as u64, "reading");
    let scores = predict(&model, &texts, args.hyper.micro_batch, |done| {
        bar.set(done as u64, "")
    })?;
    drop(bar);
    let predicted: Vec<f64> = scores.iter().map(|z| z * deviation + mean).collect();
    for (row, prediction) in rows.iter().zip(&predicted) {
        say(json!({ "row": row.place, "prediction": prediction }))?;
    }
    let target = known(TARGET)?;
    let targets: Vec<f64> = rows.iter().filter_map(|row| row.number(target).ok()).collect();
    if targets.len() == rows.len() {
        let errors = Errors::new(&predicted, &targets);
        tell(&format!(
            "MAE {:.4}, RMSE {:.4}, R² {:.3}",
            errors.absolute, errors.square, errors.explained
        ));
    }
    Ok(())
}
