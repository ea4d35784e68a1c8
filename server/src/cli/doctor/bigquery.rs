//! Whether BigQuery can be reached: which credentials there are, and, where that is wanted, what BigQuery says to them.

use crate::bigquery::credentials::CredentialsFile;
use crate::bigquery::{BigQuery, BigQueryError, DryRun, Project};
use crate::settings::Settings;

use super::Item;

/// Reports the access to BigQuery. Nothing is sent unless `online`.
pub(super) async fn report(settings: &Settings, online: bool) -> Vec<Item> {
    let mut items = vec![access(settings).await];
    items.extend(project(settings));
    if online {
        items.extend(ask(settings).await);
    } else if !items.iter().any(Item::is_lack) {
        items.push(Item::fine(
            "whether BigQuery takes it, `bigquill doctor --online` asks",
        ));
    }
    items
}

/// Where we would ask, and as whom.
async fn access(settings: &Settings) -> Item {
    if let Some(endpoint) = &settings.endpoint {
        return Item::fine(format!("{endpoint} (`endpoint`), without credentials"));
    }
    let Some(file) = CredentialsFile::find(settings.credentials.as_deref()) else {
        return Item::lack(
            "no application default credentials",
            "only for reading schemas from BigQuery itself and for dry runs: run `gcloud auth application-default \
             login`, or set `credentials` to the key file of a service account; catalog files need none",
        );
    };
    match file.check().await {
        Ok(kind) => {
            let acts_as = file.acts_as().map(|account| format!(", acting as {account}"));
            Item::fine(format!("{file}, kind {kind}{}", acts_as.unwrap_or_default()))
        }
        Err(problem) => Item::fault(
            format!("{file}: {problem}"),
            "run `gcloud auth application-default login`, or set `credentials` to the key file of a service account",
        ),
    }
}

/// The project, and who named it.
fn project(settings: &Settings) -> Vec<Item> {
    let mut items = vec![match Project::find(settings) {
        Some(project) => Item::fine(format!("project {} ({})", project.id, project.origin)),
        None => Item::lack(
            "no project",
            "set `project` in bigquill.toml, or run `gcloud config set project`",
        ),
    }];
    if let Some(billing) = &settings.billing_project {
        items.push(Item::fine(format!("dry runs in {billing} (`billing_project`)")));
    }
    let file = CredentialsFile::find(settings.credentials.as_deref());
    if let Some(quota) = Project::of_quota(file.as_ref()).filter(|_| settings.endpoint.is_none()) {
        items.push(Item::fine(format!(
            "requests are counted in {} ({})",
            quota.id, quota.origin
        )));
    }
    items
}

/// One list and one dry run: what `catalog sync` and `dry-run` need.
async fn ask(settings: &Settings) -> Vec<Item> {
    let bigquery = match BigQuery::connect(settings).await {
        Ok(bigquery) => bigquery,
        Err(error) => return vec![fault(&error)],
    };
    let Some(project) = bigquery.project() else {
        return vec![fault(&crate::bigquery::no_project())];
    };
    let datasets = match bigquery.datasets(project).await {
        Ok(listing) => Item::fine(format!(
            "BigQuery answers: {} datasets in {project}",
            listing.ids.len()
        )),
        Err(error) => fault(&error),
    };
    let dry_run = match bigquery.dry_run("SELECT 1").await {
        Ok(DryRun::Estimate(_)) => Item::fine("dry runs work"),
        Ok(DryRun::Refused(refusal)) => Item::fault(
            format!("a dry run of SELECT 1 is refused: {}", refusal.message),
            "check `project`, `billing_project` and `endpoint`",
        ),
        Err(error) => fault(&error),
    };
    vec![datasets, dry_run]
}

/// The message of these errors ends with the remedy.
fn fault(error: &BigQueryError) -> Item {
    let text = error.to_string();
    match text.split_once("; ") {
        Some((what, remedy)) => Item::fault(what, remedy),
        None => Item::fault(text, "correct it in bigquill.toml"),
    }
}
