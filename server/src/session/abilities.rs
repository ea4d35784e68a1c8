//! What the client can do, as far as it changes what the server does.

use serde_json::Value;

/// The client's capabilities, reduced to yes and no.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "a list of capabilities is one")]
pub struct Abilities {
    /// Shows ghost text by `textDocument/inlineCompletion`.
    pub inline_completion: bool,
    /// Asks for diagnostics by itself, and does so again when told that they may be others.
    pub pulls_diagnostics: bool,
    /// Answers `workspace/configuration`.
    pub configuration: bool,
    /// Lets `workspace/didChangeConfiguration` be registered.
    pub registers_configuration: bool,
    /// Lets `workspace/didChangeWatchedFiles` be registered.
    pub registers_watchers: bool,
    /// Shows progress that the server begins.
    pub progress: bool,
    /// Takes edits with a document version.
    pub versioned_edits: bool,
    /// Takes `workspace/applyEdit`.
    pub apply_edit: bool,
    /// Takes code actions, not only commands.
    pub code_action_literals: bool,
    /// Gets nested symbols.
    pub nested_symbols: bool,
    /// Shows label details of completion items.
    pub label_details: bool,
    /// Takes snippets in completion items.
    pub snippets: bool,
    /// Shows Markdown in hovers.
    pub markdown_hover: bool,
    /// Asks again for semantic tokens when told so.
    pub refreshes_tokens: bool,
    /// Asks again for code lenses when told so.
    pub refreshes_lenses: bool,
    /// Asks again for inlay hints when told so.
    pub refreshes_hints: bool,
    /// Opens documents when told so.
    pub shows_documents: bool,
    /// Asks for the text of documents that are the server's (LSP 3.18).
    pub text_document_content: bool,
    /// Answers `bigquill/input`: our own editor plugins do.
    pub asks_input: bool,
}

impl Abilities {
    /// Reads the parameters of `initialize`.
    #[must_use]
    pub fn read(params: &Value) -> Self {
        let client = &params["capabilities"];
        let text = &client["textDocument"];
        let workspace = &client["workspace"];
        let yes = |value: &Value| value.as_bool() == Some(true);
        // The specification says `diagnostics`; some clients follow an older text with `diagnostic`.
        let refreshes = yes(&workspace["diagnostics"]["refreshSupport"])
            || yes(&workspace["diagnostic"]["refreshSupport"]);
        let hover_formats = text["hover"]["contentFormat"].as_array();
        Self {
            inline_completion: text["inlineCompletion"].is_object(),
            pulls_diagnostics: text["diagnostic"].is_object() && refreshes,
            configuration: yes(&workspace["configuration"]),
            registers_configuration: yes(&workspace["didChangeConfiguration"]["dynamicRegistration"]),
            registers_watchers: yes(&workspace["didChangeWatchedFiles"]["dynamicRegistration"]),
            progress: yes(&client["window"]["workDoneProgress"]),
            versioned_edits: yes(&workspace["workspaceEdit"]["documentChanges"]),
            apply_edit: yes(&workspace["applyEdit"]),
            code_action_literals: text["codeAction"]["codeActionLiteralSupport"].is_object(),
            nested_symbols: yes(&text["documentSymbol"]["hierarchicalDocumentSymbolSupport"]),
            label_details: yes(&text["completion"]["completionItem"]["labelDetailsSupport"]),
            snippets: yes(&text["completion"]["completionItem"]["snippetSupport"]),
            markdown_hover: hover_formats.is_none_or(|formats| formats.iter().any(|f| f == "markdown")),
            refreshes_lenses: yes(&workspace["codeLens"]["refreshSupport"]),
            refreshes_hints: yes(&workspace["inlayHint"]["refreshSupport"]),
            shows_documents: yes(&client["window"]["showDocument"]["support"]),
            text_document_content: workspace["textDocumentContent"].is_object(),
            asks_input: yes(&client["experimental"]["bigquill"]["input"]),
            refreshes_tokens: yes(&workspace["semanticTokens"]["refreshSupport"]),
        }
    }
}
