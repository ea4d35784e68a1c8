//! The adapter's card: what it was made from, how, and what it reached, in the front matter that hubs read.

use std::fmt::Write as _;

/// What stands on the card.
pub(crate) struct Card {
    pub(crate) name: String,
    /// What the base calls itself, and the SHA-256 of its file.
    pub(crate) base: String,
    pub(crate) base_hash: String,
    /// Name and value of what decided the run.
    pub(crate) settings: Vec<(String, String)>,
    /// Files with their counts.
    pub(crate) data: Vec<String>,
    /// Name and value of what came of it.
    pub(crate) results: Vec<(String, String)>,
    /// The command line.
    pub(crate) command: String,
}

impl Card {
    /// The card as Markdown.
    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "---\nbase_model: {}\nlibrary_name: peft\ntags: [lora, text-to-sql, bigquery]\n---\n\n# {}\n\n\
             A LoRA adapter for {}, trained with `finetune` of bigquill {}.\n\
             Base: SHA-256 `{}` of the GGUF file; `bigquill` applies the adapter to it unmerged.\n\n## Data\n",
            serde_json::Value::from(self.base.as_str()),
            self.name,
            self.base,
            env!("CARGO_PKG_VERSION"),
            self.base_hash
        );
        for line in &self.data {
            let _ = writeln!(text, "- {line}"); // writing to a String cannot fail
        }
        table(&mut text, "Settings", &self.settings);
        table(&mut text, "Results", &self.results);
        let _ = writeln!(text, "\n## Command\n\n    {}", self.command);
        text
    }
}

fn table(text: &mut String, title: &str, rows: &[(String, String)]) {
    let _ = write!(text, "\n## {title}\n| | |\n|---|---|\n");
    for (name, value) in rows {
        let _ = writeln!(text, "| {name} | {value} |");
    }
}

/// The command line that was given, with what a shell would split or read otherwise in quotes.
pub(crate) fn command() -> String {
    let plain = |word: &str| {
        !word.is_empty()
            && word
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "-_./:=,+".contains(c))
    };
    let words = std::env::args().enumerate().map(|(index, word)| match index {
        0 => "finetune".to_owned(),
        _ if plain(&word) => word,
        _ => format!("'{}'", word.replace('\'', r"'\''")),
    });
    words.collect::<Vec<_>>().join(" ")
}
