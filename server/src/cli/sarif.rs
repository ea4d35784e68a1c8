//! Findings in SARIF 2.1.0, as code hosts and editors take them
//! (<https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>).

use bigquill_analysis::check::{Diagnostic, Severity};
use serde_sarif::sarif::{
    ArtifactChange, ArtifactContent, ArtifactLocation, Fix, Location, Message, PhysicalLocation, Region,
    Replacement, ReportingDescriptor, Result as SarifResult, ResultLevel, Run, Sarif, Tool, ToolComponent,
};

use crate::position::{Encoding, LineIndex};

/// Findings of one file.
pub(super) struct FileFindings {
    /// Path as it was named.
    pub(super) path: String,
    /// Its text.
    pub(super) text: String,
    /// What was found.
    pub(super) diagnostics: Vec<Diagnostic>,
}

/// One run over these files.
///
/// # Errors
/// Where the log cannot be written as JSON.
pub(super) fn render(files: &[FileFindings]) -> serde_json::Result<String> {
    let mut rules: Vec<&str> = files
        .iter()
        .flat_map(|f| &f.diagnostics)
        .map(|d| d.code.as_str())
        .collect();
    rules.sort_unstable();
    rules.dedup();
    let driver = ToolComponent::builder()
        .name("bigquill")
        .version(env!("CARGO_PKG_VERSION"))
        .rules(
            rules
                .iter()
                .map(|id| ReportingDescriptor::builder().id(*id).build())
                .collect::<Vec<_>>(),
        )
        .build();
    let run = Run::builder()
        .tool(Tool::builder().driver(driver).build())
        .column_kind(serde_json::json!("utf16CodeUnits"))
        .results(files.iter().flat_map(results).collect::<Vec<_>>())
        .build();
    let sarif = Sarif::builder()
        .schema("https://json.schemastore.org/sarif-2.1.0.json")
        .version(serde_json::json!("2.1.0"))
        .runs(vec![run])
        .build();
    serde_json::to_string_pretty(&sarif)
}

fn results(file: &FileFindings) -> Vec<SarifResult> {
    let index = LineIndex::new(&file.text);
    file.diagnostics.iter().map(|d| result(file, &index, d)).collect()
}

fn result(file: &FileFindings, index: &LineIndex, diagnostic: &Diagnostic) -> SarifResult {
    let place = PhysicalLocation::builder()
        .artifact_location(artifact(&file.path))
        .region(region(&file.text, index, &diagnostic.range))
        .build();
    let mut message = vec![diagnostic.message.clone()];
    message.extend(diagnostic.notes.iter().cloned());
    SarifResult::builder()
        .rule_id(diagnostic.code.as_str())
        .level(match diagnostic.severity {
            Severity::Error => ResultLevel::Error,
            Severity::Warning => ResultLevel::Warning,
            _ => ResultLevel::Note,
        })
        .message(Message::builder().text(message.join("\n")).build())
        .locations(vec![Location::builder().physical_location(place).build()])
        .fixes(fixes(file, index, diagnostic))
        .build()
}

fn fixes(file: &FileFindings, index: &LineIndex, diagnostic: &Diagnostic) -> Vec<Fix> {
    diagnostic
        .fixes
        .iter()
        .map(|fix| {
            let replacements: Vec<Replacement> = fix
                .edits
                .iter()
                .map(|(range, text)| {
                    Replacement::builder()
                        .deleted_region(region(&file.text, index, range))
                        .inserted_content(ArtifactContent::builder().text(text.clone()).build())
                        .build()
                })
                .collect();
            let change = ArtifactChange::builder()
                .artifact_location(artifact(&file.path))
                .replacements(replacements)
                .build();
            Fix::builder()
                .description(Message::builder().text(fix.title.clone()).build())
                .artifact_changes(vec![change])
                .build()
        })
        .collect()
}

/// A path as a relative URI reference: `/` between segments, other bytes than URIs allow as `%XX`.
fn artifact(path: &str) -> ArtifactLocation {
    let mut uri = String::new();
    for byte in path.replace('\\', "/").bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    if path.starts_with('/') {
        uri.insert_str(0, "file://");
    }
    ArtifactLocation::builder().uri(uri).build()
}

/// Lines and columns from 1, columns in UTF-16 units; the end column is the one behind the last character.
fn region(text: &str, index: &LineIndex, range: &std::ops::Range<usize>) -> Region {
    let start = index.position(text, range.start, Encoding::Utf16);
    let end = index.position(text, range.end, Encoding::Utf16);
    Region::builder()
        .start_line(i64::from(start.line) + 1)
        .start_column(i64::from(start.character) + 1)
        .end_line(i64::from(end.line) + 1)
        .end_column(i64::from(end.character) + 1)
        .build()
}
