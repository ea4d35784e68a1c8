//! Findings for people: the source line, a caret under the place, notes and fixes below.

use annotate_snippets::{AnnotationKind, Group, Level, Patch, Renderer, Snippet};
use bigquill_analysis::check::{Diagnostic, Severity};

use crate::bigquery::Refusal;
use crate::bigquery::unit::Unit;

/// A finding in the file `path` with this text.
pub(super) fn render(path: &str, text: &str, diagnostic: &Diagnostic, styled: bool) -> String {
    let source = Snippet::source(text)
        .path(path)
        .annotation(AnnotationKind::Primary.span(diagnostic.range.clone()));
    let main = level(diagnostic.severity)
        .primary_title(diagnostic.message.as_str())
        .id(diagnostic.code.as_str())
        .element(source)
        .elements(
            diagnostic
                .notes
                .iter()
                .map(|note| Level::NOTE.message(note.as_str())),
        );
    let mut groups = vec![main];
    groups.extend(diagnostic.fixes.iter().map(|fix| {
        let patches = fix
            .edits
            .iter()
            .map(|(range, replacement)| Patch::new(range.clone(), replacement.as_str()));
        Group::with_title(Level::HELP.secondary_title(fix.title.as_str()))
            .element(Snippet::source(text).path(path).patches(patches))
    }));
    renderer(styled).render(&groups)
}

/// BigQuery's refusal of a part of the file `path` with this text, at its place.
pub(super) fn render_refusal(path: &str, text: &str, unit: &Unit, refusal: &Refusal, styled: bool) -> String {
    let range = unit.place(text, refusal.place);
    let source = Snippet::source(text)
        .path(path)
        .annotation(AnnotationKind::Primary.span(range));
    renderer(styled).render(&[Level::ERROR.primary_title(&refusal.message).element(source)])
}

fn renderer(styled: bool) -> Renderer {
    if styled {
        Renderer::styled()
    } else {
        Renderer::plain()
    }
}

fn level(severity: Severity) -> Level<'static> {
    match severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
        _ => Level::INFO,
    }
}
