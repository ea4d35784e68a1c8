//! `bigquill doctor`: what there is, what is missing, what to do about it.

use std::time::SystemTime;

use clap::Args;

use crate::catalog::FileCatalog;
use crate::settings::{Loaded, Settings};

use super::output::Output;
use super::{Common, Outcome, runtime};

mod bigquery;
mod judge;
mod model;

/// Says what device, model, judge, catalog and BigQuery access there is, and what to do about each lack
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 bigquill can work, 1 something is wrong, 2 usage or input and output.")]
pub(super) struct DoctorArgs {
    /// Ask BigQuery, too; without it nothing is sent
    #[arg(long)]
    online: bool,
    /// Hash the whole model file, and the judge's module
    #[arg(long)]
    verify: bool,
}

/// One line of the report.
pub(super) struct Item {
    state: State,
    text: String,
    remedy: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Fine,
    /// Missing, but not needed for everything.
    Lack,
    /// Set, but not usable.
    Fault,
}

impl Item {
    pub(super) fn fine(text: impl Into<String>) -> Self {
        Self {
            state: State::Fine,
            text: text.into(),
            remedy: None,
        }
    }

    pub(super) fn lack(text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            state: State::Lack,
            text: text.into(),
            remedy: Some(remedy.into()),
        }
    }

    pub(super) fn fault(text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            state: State::Fault,
            text: text.into(),
            remedy: Some(remedy.into()),
        }
    }

    /// Whether nothing is there to work with.
    fn is_lack(&self) -> bool {
        self.state != State::Fine
    }
}

pub(super) fn run(args: &DoctorArgs, common: &Common, out: &mut Output) -> anyhow::Result<Outcome> {
    let loaded = common.read(std::env::current_dir()?);
    let sections = [
        ("bigquill", version()),
        ("device", device(&loaded.settings)),
        ("settings", settings(&loaded)),
        ("model", model::report(&loaded.settings, args.verify)),
        ("judge", judge::report(&loaded.settings, args.verify)),
        ("catalog", catalog(&loaded.settings)),
        (
            "BigQuery",
            runtime()?.block_on(bigquery::report(&loaded.settings, args.online)),
        ),
    ];
    let mut faults = false;
    for (name, items) in &sections {
        out.line(name)?;
        for item in items {
            faults |= item.state == State::Fault;
            let mark = match item.state {
                State::Fine => "ok  ",
                State::Lack => "-   ",
                State::Fault => "!   ",
            };
            out.line(&format!("  {mark}{}", item.text))?;
            if let Some(remedy) = &item.remedy {
                out.line(&format!("      → {remedy}"))?;
            }
        }
    }
    Ok(Outcome::of(faults))
}

fn version() -> Vec<Item> {
    vec![Item::fine(format!(
        "{} on {} {}",
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS,
        std::env::consts::ARCH
    ))]
}

fn device(settings: &Settings) -> Vec<Item> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = settings.threads.unwrap_or(cores);
    let mut items = vec![
        Item::fine(format!("CPU: {cores} cores, {threads} threads for the model")),
        processor(),
    ];
    items.extend(
        [
            ("cuda", cfg!(feature = "cuda")),
            ("metal", cfg!(feature = "metal")),
        ]
        .map(|(name, there)| {
            if there {
                Item::fine(format!("built for {name}"))
            } else {
                Item::lack(
                    format!("not built for {name}"),
                    format!("only for such a GPU: `cargo build --release --features {name}`"),
                )
            }
        }),
    );
    items
}

/// The vector instructions that the model's CPU kernels use.
fn processor() -> Item {
    #[cfg(target_arch = "x86_64")]
    {
        let features: Vec<&str> = [
            ("avx2", std::is_x86_feature_detected!("avx2")),
            ("fma", std::is_x86_feature_detected!("fma")),
            ("f16c", std::is_x86_feature_detected!("f16c")),
            ("avx512f", std::is_x86_feature_detected!("avx512f")),
            ("avx512vnni", std::is_x86_feature_detected!("avx512vnni")),
        ]
        .iter()
        .filter(|(_, there)| *there)
        .map(|(name, _)| *name)
        .collect();
        if features.contains(&"avx2") && features.contains(&"fma") {
            return Item::fine(format!("CPU features: {}", features.join(", ")));
        }
        Item::lack(
            format!("CPU features: {}; no AVX2 with FMA", features.join(", ")),
            "the model works, but slowly; set `device` to a GPU, or use a newer processor",
        )
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        Item::fine(format!("CPU: {}", std::env::consts::ARCH))
    }
}

fn settings(loaded: &Loaded) -> Vec<Item> {
    let mut items = vec![match &loaded.config_file {
        Some(path) => Item::fine(format!("{}", path.display())),
        None => Item::lack(
            "no bigquill.toml here or above",
            "make one with lines such as `catalog = \"tables.json\"` and `project = \"my-project\"`",
        ),
    }];
    let remedy = "correct or remove it; everything else counts";
    items.extend(loaded.problems.iter().map(|p| Item::fault(p.to_string(), remedy)));
    items
}

fn catalog(settings: &Settings) -> Vec<Item> {
    match (settings.catalog.is_empty(), settings.is_live()) {
        (false, _) => files(settings),
        (true, true) => vec![Item::fine(
            "BigQuery itself, in the editor (`live_catalog`); commands such as `check` and `ask` read catalog files \
             (`catalog`), which `bigquill catalog sync --out catalog.json` writes",
        )],
        (true, false) => vec![Item::lack(
            "no catalog: names in SQL cannot be checked, and questions cannot be answered",
            "set `live_catalog = \"on\"` for BigQuery's own tables in the editor; or write a file with `bigquill catalog \
             sync --out catalog.json`, or with `bq show --format=json DATASET.TABLE` of each table, and set `catalog` to it",
        )],
    }
}

fn files(settings: &Settings) -> Vec<Item> {
    let catalog = FileCatalog::open(&settings.catalog, settings.project.clone());
    let snapshot = catalog.current();
    let mut items: Vec<Item> = catalog
        .files()
        .iter()
        .map(|p| Item::fine(p.display().to_string()))
        .collect();
    let problems = catalog.problems();
    items.retain(|item| {
        !problems
            .iter()
            .any(|p| item.text == p.path.display().to_string() && p.line.is_none())
    });
    items.push(Item::fine(format!(
        "{} tables, {} routines; default project {}; {}",
        snapshot.tables().count(),
        snapshot.routines().count(),
        snapshot.default_project.as_deref().unwrap_or("none"),
        age(snapshot.read_at)
    )));
    items.extend(problems.iter().map(|p| {
        Item::fault(
            p.to_string(),
            "correct the file, or write it anew with `bigquill catalog sync` or `bq show`",
        )
    }));
    items
}

fn age(read_at: Option<SystemTime>) -> String {
    let Some(elapsed) = read_at.and_then(|at| at.elapsed().ok()) else {
        return "age unknown".to_owned();
    };
    match elapsed.as_secs() / 3600 {
        0 => "written within the hour".to_owned(),
        hours @ 1..48 => format!("the oldest file is {hours} h old"),
        hours => format!("the oldest file is {} days old", hours / 24),
    }
}
