//! `finetune data synthesize`: pairs of question and query made from a catalog.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail};
use bigquill_analysis::schema::CatalogSnapshot;
use bigquill_judge::{Judge, JudgeOptions, Phase, Verdict};
use bigquill_model::judge;
use bigquill_model::synthesize::{Check, Emulator, Fault, Faulty, Named, Pair, Synthesizer, Tally, Weights};
use bigquill_model::train::data::{Catalogs, refusal};
use clap::Args;

use crate::progress::{Bar, tell};
use crate::say;

mod live;
mod output;

use output::{Output, compare, made_from};

/// Draws between two writes.
const BATCH: usize = 256;

/// Make questions with their queries from a catalog, each accepted by GoogleSQL
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    finetune data synthesize --catalog live --out team.jsonl\n  \
    finetune data synthesize --catalog shop.json billing.jsonl.gz --out made.jsonl\n  \
    finetune data synthesize --catalog model/catalogs --count 50000 --seed 7 --out made.jsonl --resume\n\n\
    Only the schemas are read, never rows. A line has question, catalog, bigquery_sql and shape. `live` leaves the tables\n\
    in team.catalog.jsonl, to train with:\n  \
    finetune train --model base.gguf --data team.jsonl --catalogs team.catalog.jsonl --out adapters/team")]
pub(crate) struct SynthesizeArgs {
    /// Catalogs: `live` for BigQuery's tables as they are now (`bigquill catalog sync` reads them, with its settings),
    /// snapshot files as that and `bq show --format=json` write them, files of named catalogs, or folders of either
    #[arg(long, value_name = "PATH", required = true, num_args = 1..)]
    catalog: Vec<PathBuf>,
    /// Pairs wanted, of all catalogs together
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    count: usize,
    /// Equal seeds, catalogs and weights give equal pairs
    #[arg(long, default_value_t = 0, value_name = "S")]
    seed: u64,
    /// Where the pairs are written
    #[arg(long, value_name = "FILE.jsonl")]
    out: PathBuf,
    /// A TOML file with weights of shapes and sources that replace the built-in ones
    #[arg(long, value_name = "FILE.toml")]
    weights: Option<PathBuf>,
    /// Goes on behind the pairs that the file has
    #[arg(long)]
    resume: bool,
    /// A BigQuery emulator on this machine, such as http://127.0.0.1:9050: rows are made for the tables, and only pairs
    /// whose queries give rows are kept
    #[arg(long, value_name = "URL")]
    run_on: Option<String>,
    /// Pairs shown at the end, evenly over all
    #[arg(long, default_value_t = 5, value_name = "N")]
    samples: usize,
}

pub(crate) fn run(args: &SynthesizeArgs) -> anyhow::Result<()> {
    let weights = weights(args.weights.as_deref())?;
    let mut pairs = Output::kept(args)?;
    let paths = live::resolve(&args.catalog, &args.out, args.resume)?;
    let catalogs = catalogs(&paths)?;
    let made_from = made_from(args, &weights, &catalogs);
    if !pairs.is_empty() {
        compare(&args.out, &made_from)?;
    }
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let check = Googlesql(open(threads)?);
    let emulator = args.run_on.as_deref().map(Emulator::connect).transpose()?;
    let mut synthesizer = Synthesizer::new(catalogs, &weights, args.seed, args.count);
    if let Some(emulator) = &emulator {
        synthesizer = synthesizer.running(emulator);
    }
    synthesizer.resume(&pairs);
    let mut out = Output::open(&args.out, &pairs, &made_from)?;
    let bar = Bar::new(args.count as u64, "pairs");
    let begun = Instant::now();
    while pairs.len() < args.count {
        let Some(mut more) = synthesizer.batch(&check, threads, BATCH)? else {
            break;
        };
        more.truncate(args.count - pairs.len());
        out.write(&more)?;
        pairs.extend(more);
        bar.set(pairs.len() as u64, &told(synthesizer.tally()));
    }
    drop(bar);
    if pairs.is_empty() {
        out.discard();
        if let Some(faulty) = synthesizer.faults().first() {
            bail!(
                "no query that can be asked about these tables holds, as {}; look at the types of their columns",
                faulty.sql
            );
        }
        bail!(
            "nothing can be asked about these tables: they have no column with a name and type that questions are about"
        );
    }
    report(&synthesizer, &pairs, args, begun)?;
    let paths: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    tell(&format!(
        "train on them with: finetune train --model base.gguf --data {} --catalogs {} --out adapters/team",
        args.out.display(),
        paths.join(" ")
    ));
    Ok(())
}

fn report(
    synthesizer: &Synthesizer<'_>,
    pairs: &[Pair],
    args: &SynthesizeArgs,
    begun: Instant,
) -> anyhow::Result<()> {
    let seconds = begun.elapsed().as_secs_f64();
    say(format_args!(
        "{} pairs in {}, {seconds:.0} s; of the other queries that were drawn: {}",
        pairs.len(),
        args.out.display(),
        told(synthesizer.tally())
    ))?;
    say(summary(pairs))?;
    for faulty in synthesizer.faults() {
        let what = match faulty.fault {
            Fault::Refused => "refused by GoogleSQL",
            Fault::Failed => "failed",
            Fault::Empty => "empty",
            Fault::NotRun => "kept, but not run",
        };
        let Faulty {
            shape,
            count,
            sql,
            message,
            ..
        } = faulty;
        say(format_args!("{what}  {shape} {count}: {sql}"))?;
        if !message.is_empty() {
            say(format_args!("    {message}"))?;
        }
    }
    if pairs.len() < args.count {
        for (name, count) in synthesizer.short() {
            tell(&format!(
                "{name} gave {count} pairs; a smaller --count, a larger form_share in --weights or more tables help"
            ));
        }
    }
    for pair in pairs
        .iter()
        .step_by((pairs.len() / args.samples.max(1)).max(1))
        .take(args.samples)
    {
        say(format_args!(
            "--- {}, {}\n{}\n{}",
            pair.catalog, pair.shape, pair.question, pair.bigquery_sql
        ))?;
    }
    Ok(())
}

/// What became of queries that are no pairs.
fn told(tally: Tally) -> String {
    let Tally {
        refused,
        failed,
        empty,
        not_run,
        repeated,
        ..
    } = tally;
    let mut told = format!("{refused} refused by GoogleSQL, {repeated} repeated");
    if empty > 0 || failed > 0 || not_run > 0 {
        told =
            format!("{told}, {empty} without rows, {failed} failed, {not_run} kept that cannot be run here");
    }
    told
}

/// GoogleSQL's word; and BigQuery refuses what GoogleSQL does not: tables read without the condition on their partitions that
/// they ask for, and results with two columns of one name.
struct Googlesql(Judge);

impl Check for Googlesql {
    fn accepts(&self, sql: &str, catalog: &CatalogSnapshot) -> bool {
        let Verdict::Accepted(accepted) = self.0.verdict(sql, catalog, &bigquill_judge::Context::default())
        else {
            return false;
        };
        if refusal(sql, catalog).is_some() {
            return false;
        }
        let mut names: Vec<String> = accepted
            .columns
            .iter()
            .filter_map(|c| c.name.as_ref())
            .map(|n| n.to_lowercase())
            .collect();
        names.sort();
        names.windows(2).all(|two| two[0] != two[1])
    }
}

fn open(threads: usize) -> anyhow::Result<Judge> {
    let options = JudgeOptions {
        instances: threads,
        remembered: 0,
        ..JudgeOptions::default()
    };
    let judge = judge::open(options, &|phase| {
        if phase == Phase::Compile {
            tell("compiling GoogleSQL for this machine, once (half a minute)");
        }
    })?;
    Ok(judge)
}

fn weights(path: Option<&Path>) -> anyhow::Result<Weights> {
    let built_in = Weights::built_in()?;
    let Some(path) = path else {
        return Ok(built_in);
    };
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("the weights {} cannot be read", path.display()))?;
    built_in
        .with(&text)
        .with_context(|| format!("{} cannot be used", path.display()))
}

fn catalogs(paths: &[PathBuf]) -> anyhow::Result<Vec<Named>> {
    let catalogs = Catalogs::read(paths)?;
    let named = |(name, snapshot): (&str, &std::sync::Arc<CatalogSnapshot>)| Named {
        name: name.to_owned(),
        snapshot: std::sync::Arc::clone(snapshot),
    };
    let named: Vec<Named> = catalogs
        .iter()
        .map(named)
        .filter(|c| c.snapshot.tables().next().is_some())
        .collect();
    if named.is_empty() {
        bail!(
            "the catalog has no table; make a file with `bigquill catalog sync --out FILE.jsonl` or `bq show --format=json DATASET.TABLE >> FILE.jsonl`"
        );
    }
    Ok(named)
}

/// What queries have in them, as far as their text tells.
const FEATURES: &[(&str, &[&str])] = &[
    ("joins", &[" JOIN "]),
    ("lists taken apart", &[", UNNEST("]),
    ("lists in subqueries", &["FROM UNNEST("]),
    (
        "array functions",
        &[
            "ARRAY_LENGTH(",
            "IN UNNEST(",
            "OFFSET",
            "ARRAY_TO_STRING",
            "ARRAY_AGG",
        ],
    ),
    ("windows", &[" OVER ("]),
    ("QUALIFY", &[" QUALIFY "]),
    ("WITH", &["WITH "]),
    (
        "set operations",
        &["EXCEPT DISTINCT", "INTERSECT DISTINCT", "UNION DISTINCT"],
    ),
    (
        "dates and times",
        &[
            "DATE(",
            "_DIFF(",
            "_TRUNC(",
            "EXTRACT(",
            "CURRENT_",
            "DATE_SUB",
            "FORMAT_DATE",
            " BETWEEN '20",
        ],
    ),
    ("shards", &["_TABLE_SUFFIX"]),
    ("conditional aggregates", &["COUNTIF(", "SUM(IF("]),
    ("HAVING", &[" HAVING "]),
    (
        "texts",
        &[
            "LIKE ",
            "REGEXP_",
            "STARTS_WITH(",
            "ENDS_WITH(",
            "SPLIT(",
            "CONCAT(",
            "STRING_AGG(",
        ],
    ),
];

fn summary(pairs: &[Pair]) -> String {
    let share = |count: usize| 100.0 * count as f64 / pairs.len() as f64;
    let mut lines = Vec::new();
    for (name, marks) in FEATURES {
        let count = pairs
            .iter()
            .filter(|p| marks.iter().any(|mark| p.bigquery_sql.contains(mark)))
            .count();
        lines.push(format!("{count:>7} {:>5.1} %  {name}", share(count)));
    }
    let mut shapes: BTreeMap<&str, usize> = BTreeMap::new();
    for pair in pairs {
        *shapes.entry(&pair.shape).or_default() += 1;
    }
    let mut shapes: Vec<(&str, usize)> = shapes.into_iter().collect();
    shapes.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
    let shapes: Vec<String> = shapes
        .iter()
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    format!("{}\nshapes: {}", lines.join("\n"), shapes.join(", "))
}
