//! `bigquill catalog`: makes catalog files.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand};

use crate::catalog::import::import;

use super::output::{Output, message};
use super::{Common, Outcome};

mod kept;
mod sync;

/// Reads BigQuery's tables, shows what is kept of them, makes catalog files
#[derive(Debug, Args)]
pub(super) struct CatalogArgs {
    #[command(subcommand)]
    command: CatalogCommand,
}

#[derive(Debug, Subcommand)]
enum CatalogCommand {
    Sync(sync::SyncArgs),
    Show(kept::ShowArgs),
    Export(kept::ExportArgs),
    Clear(kept::ClearArgs),
    /// Turns text-to-SQL catalogs and analyzer catalogs into files of `tables.get` and `routines.get` resources
    #[command(after_help = "Examples:\n  \
        bigquill catalog import ../shared/data/catalogs/*.jsonl.gz --out catalogs\n  \
        bigquill catalog import ../shared/corpora/analyze-catalogs/*.json.gz --out catalogs --gzip\n\n\
        Exit codes: 0 all read, 1 something was left out, 2 usage or input and output.")]
    Import {
        /// Files: one catalog a line, or one catalog in the file; .gz too
        #[arg(required = true, value_name = "FILE")]
        sources: Vec<PathBuf>,
        /// Folder for the files, one a catalog: NAME.json
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Write NAME.json.gz
        #[arg(long)]
        gzip: bool,
    },
}

pub(super) fn run(args: &CatalogArgs, common: &Common, out: &mut Output) -> anyhow::Result<Outcome> {
    match &args.command {
        CatalogCommand::Sync(args) => sync::run(args, common, out),
        CatalogCommand::Show(args) => kept::show(args, common, out),
        CatalogCommand::Export(args) => kept::export(args, common, out),
        CatalogCommand::Clear(args) => kept::clear(args, common, out),
        CatalogCommand::Import {
            sources,
            out: folder,
            gzip,
        } => run_import(sources, folder, *gzip, out),
    }
}

fn run_import(sources: &[PathBuf], folder: &Path, gzip: bool, out: &mut Output) -> anyhow::Result<Outcome> {
    let report =
        import(sources, folder, gzip).with_context(|| format!("{} cannot be written", folder.display()))?;
    for problem in &report.problems {
        message(&format!("bigquill: {problem}"));
    }
    anyhow::ensure!(!report.files.is_empty(), "no catalog was found in these files");
    out.line(&format!(
        "{} catalogs with {} tables and {} routines in {}",
        report.files.len(),
        report.tables,
        report.routines,
        folder.display()
    ))?;
    Ok(Outcome::of(!report.problems.is_empty()))
}
