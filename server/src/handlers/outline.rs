//! `textDocument/documentSymbol` and `textDocument/foldingRange`.

use bigquill_analysis::features::folding::{self, FoldingKind};
use bigquill_analysis::features::symbols::{self, Symbol};
use tower_lsp::jsonrpc::Result;
use tower_lsp::lsp_types::*;

use crate::document::Document;
use crate::session::Session;

/// The outline: nested where the client takes that, else flat.
///
/// # Errors
/// Where the document is not open.
pub async fn document_symbol(
    session: &Session,
    params: DocumentSymbolParams,
) -> Result<Option<DocumentSymbolResponse>> {
    let snapshot = super::snapshot(session, &params.text_document.uri).await?;
    let nested = session.abilities().nested_symbols;
    let symbols = super::compute(&snapshot, move |snapshot| {
        let document = &snapshot.document;
        let symbols = symbols::symbols(&document.text);
        if nested {
            DocumentSymbolResponse::Nested(symbols.iter().map(|symbol| to_nested(document, symbol)).collect())
        } else {
            let mut flat = Vec::new();
            flatten(document, &symbols, None, &mut flat);
            DocumentSymbolResponse::Flat(flat)
        }
    });
    symbols.await.map(Some)
}

/// What can be folded, in whole lines.
///
/// # Errors
/// Where the document is not open.
pub async fn folding_range(
    session: &Session,
    params: FoldingRangeParams,
) -> Result<Option<Vec<FoldingRange>>> {
    let snapshot = super::snapshot(session, &params.text_document.uri).await?;
    let ranges = super::compute(&snapshot, |snapshot| {
        let document = &snapshot.document;
        let regions = folding::folding(&document.text);
        regions.iter().map(|region| to_lines(document, region)).collect()
    });
    ranges.await.map(Some)
}

fn to_lines(document: &Document, region: &folding::FoldingRegion) -> FoldingRange {
    let range = document.editor_range(&region.range);
    FoldingRange {
        start_line: range.start.line,
        end_line: range.end.line,
        kind: match region.kind {
            FoldingKind::Comment => Some(FoldingRangeKind::Comment),
            FoldingKind::Region => None,
        },
        ..FoldingRange::default()
    }
}

#[expect(deprecated, reason = "the protocol's struct still has the field `deprecated`")]
fn to_nested(document: &Document, symbol: &Symbol) -> DocumentSymbol {
    let children: Vec<_> = symbol
        .children
        .iter()
        .map(|child| to_nested(document, child))
        .collect();
    DocumentSymbol {
        name: symbol.name.clone(),
        detail: Some(symbol.detail.clone()).filter(|detail| !detail.is_empty()),
        kind: kind(symbol),
        tags: None,
        deprecated: None,
        range: document.editor_range(&symbol.range),
        selection_range: document.editor_range(&symbol.selection),
        children: Some(children).filter(|children| !children.is_empty()),
    }
}

#[expect(deprecated, reason = "the protocol's struct still has the field `deprecated`")]
fn flatten(
    document: &Document,
    symbols: &[Symbol],
    container: Option<&str>,
    flat: &mut Vec<SymbolInformation>,
) {
    for symbol in symbols {
        flat.push(SymbolInformation {
            name: symbol.name.clone(),
            kind: kind(symbol),
            tags: None,
            deprecated: None,
            location: Location::new(document.uri.clone(), document.editor_range(&symbol.range)),
            container_name: container.map(str::to_owned),
        });
        flatten(document, &symbol.children, Some(&symbol.name), flat);
    }
}

fn kind(symbol: &Symbol) -> SymbolKind {
    match symbol.kind {
        symbols::SymbolKind::Question => SymbolKind::STRING,
        symbols::SymbolKind::Statement => SymbolKind::OBJECT,
        symbols::SymbolKind::Table => SymbolKind::STRUCT,
        symbols::SymbolKind::Function => SymbolKind::FUNCTION,
        symbols::SymbolKind::Cte => SymbolKind::VARIABLE,
    }
}
