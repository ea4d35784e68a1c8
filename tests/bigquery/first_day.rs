//! A team's first day: pairs of question and query made from BigQuery's own tables, and an adapter's training on them.

use std::path::{Path, PathBuf};

use bigquill_model::testing::{SMOLLM2, model_file};
use bigquill_tests::binary::{self, Ran};
use bigquill_tests::emulator::Emulator;
use bigquill_tests::fault_server::{FaultServer, Reply};
use bigquill_tests::workspace::Workspace;

use crate::support::{shop, workspace};

const SYNTHESIZE: &str = "data synthesize --catalog live --count 40 --seed 5 --out team.jsonl";

async fn run(program: &Path, workspace: &Workspace, words: &str, environment: &[(&str, &str)]) -> Ran {
    // GoogleSQL is in the store of models.
    let models = std::env::var_os("BIGQUILL_TEST_MODELS").map(PathBuf::from);
    let models = models.expect("BIGQUILL_TEST_MODELS names the folder of models: run ./test");
    let store = models.parent().expect("a folder above").display().to_string();
    let environment = [&[("BIGQUILL_CACHE", store.as_str())], environment].concat();
    let words: Vec<&str> = words.split_whitespace().collect();
    binary::run_program(program, &workspace.path("."), &words, "", &environment).await
}

async fn finetune(workspace: &Workspace, words: &str) -> Ran {
    run(&binary::finetune(), workspace, words, &[]).await
}

#[tokio::test]
async fn pairs_are_made_of_the_live_tables_and_trained_on_with_what_was_read() {
    let emulator = Emulator::start().await;
    emulator.make(&shop()).await;
    let workspace = workspace(&emulator.url());
    let made = finetune(&workspace, SYNTHESIZE).await;
    assert_eq!(made.code, Some(0), "{made:?}");
    assert!(
        made.stdout
            .starts_with("5 tables of acme-analytics.shop in team.catalog.jsonl\n40 pairs in team.jsonl"),
        "{made:?}"
    );
    // From here on BigQuery is not needed.
    drop(emulator);
    let pairs = || std::fs::read_to_string(workspace.path("team.jsonl")).expect("the pairs");
    let whole = pairs();
    let train = format!(
        "train --data team.jsonl --catalogs team.catalog.jsonl --out adapter --plan --model {}",
        model_file(SMOLLM2).display()
    );
    assert!(
        made.stderr
            .contains("--data team.jsonl --catalogs team.catalog.jsonl"),
        "{made:?}"
    );
    let plan = finetune(&workspace, &train).await;
    assert_eq!(plan.code, Some(0), "{plan:?}");
    assert!(
        plan.stdout.contains("of 40 examples (0 twice") && plan.stdout.contains(" 0 refused by the check"),
        "{plan:?}"
    );
    // What was cut goes on with the tables that it began with.
    let half: String = whole.lines().take(15).map(|line| format!("{line}\n")).collect();
    workspace.write("team.jsonl", &half);
    let again = finetune(&workspace, &format!("{SYNTHESIZE} --resume")).await;
    assert_eq!(again.code, Some(0), "{again:?}");
    assert_eq!(pairs(), whole);
}

#[tokio::test]
async fn what_stands_between_a_team_and_its_tables_is_told() {
    let server = FaultServer::start().await;
    server.on(
        "/datasets",
        [Reply::error(403, "accessDenied", "Access Denied: Project x")],
    );
    let refused = workspace(&server.url());
    let ran = finetune(&refused, SYNTHESIZE).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.stderr.contains("BigQuery Metadata Viewer")
            && ran.stderr.contains("BigQuery's tables could not be read"),
        "{ran:?}"
    );
    assert!(!refused.path("team.jsonl").exists());

    let nowhere = Workspace::with_config(&format!("endpoint = {:?}\n", server.url()));
    let ran = finetune(&nowhere, SYNTHESIZE).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.contains("set `project` in bigquill.toml"), "{ran:?}");

    // Alone in a folder, with nothing on the PATH.
    let alone = nowhere.path("finetune");
    std::fs::copy(binary::finetune(), &alone).expect("the folder is ours");
    let ran = run(&alone, &nowhere, SYNTHESIZE, &[("PATH", "")]).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(
        ran.stderr.contains("cargo install --locked --path server"),
        "{ran:?}"
    );
}
