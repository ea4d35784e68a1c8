//! The documents name only what exists: paths in the architecture, links everywhere, commands in the README.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What stands in single backquotes outside of code blocks.
fn quoted(markdown: &str) -> Vec<&str> {
    let prose = markdown.split("```").step_by(2);
    prose
        .flat_map(|part| part.split('`').skip(1).step_by(2))
        .collect()
}

/// Targets of links and pictures.
fn links(markdown: &str) -> Vec<&str> {
    let after = markdown.split("](").skip(1);
    after.filter_map(|rest| rest.split(')').next()).collect()
}

#[test]
fn the_architecture_names_only_paths_that_exist() {
    let document = read("docs/architecture.md");
    let paths: Vec<&str> = quoted(&document)
        .into_iter()
        .filter(|text| text.contains('/') && !text.contains(' '))
        .collect();
    assert!(paths.len() > 30, "only {} paths were found", paths.len());
    let missing: Vec<&&str> = paths.iter().filter(|path| !root().join(path).exists()).collect();
    assert!(missing.is_empty(), "docs/architecture.md names {missing:?}");
}

#[test]
fn links_in_the_documents_lead_somewhere() {
    let mut documents = vec!["README.md".to_owned(), "CONTRIBUTING.md".to_owned()];
    for entry in std::fs::read_dir(root().join("docs")).expect("docs/") {
        let name = entry.expect("docs/").file_name().to_string_lossy().into_owned();
        if name.ends_with(".md") {
            documents.push(format!("docs/{name}"));
        }
    }
    let mut seen = 0;
    for document in documents {
        let folder = root().join(&document).parent().expect("a folder").to_path_buf();
        let text = read(&document);
        for link in links(&text).into_iter().filter(|link| !link.contains("://")) {
            let file = link.split('#').next().unwrap_or_default();
            assert!(folder.join(file).exists(), "{document} links to {link}");
            seen += 1;
        }
    }
    assert!(seen > 5, "only {seen} links were found");
}

#[test]
fn continuous_integration_runs_the_readmes_test_command() {
    assert!(read("README.md").contains("\n    ./test\n"));
    assert!(read(".ci/run").contains("exec ./test"));
}
