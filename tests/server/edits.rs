//! Edits arrive in order, whatever they are made of and however fast they come.

use bigquill_tests::workspace::{Workspace, rich};
use serde_json::{Value, json};

use crate::support::{change_with, close, edit, findings, open};

/// A pseudo-random sequence (xorshift), the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).expect("it is below a usize")
    }
}

/// The reference: a text as lines, edited the slow way, with positions counted in units of the encoding.
struct Reference {
    text: String,
    utf8: bool,
}

impl Reference {
    /// Every border between characters that is a position: not the one inside a `\r\n`.
    fn borders(&self) -> Vec<usize> {
        let inside = |&o: &usize| self.text[..o].ends_with('\r') && self.text[o..].starts_with('\n');
        let all = self
            .text
            .char_indices()
            .map(|(offset, _)| offset)
            .chain([self.text.len()]);
        all.filter(|o| !inside(o)).collect()
    }

    fn position(&self, offset: usize) -> Value {
        let before = self.text[..offset].replace("\r\n", "\n").replace('\r', "\n");
        let line = before.matches('\n').count();
        let last = before.rsplit('\n').next().unwrap_or_default();
        let character = if self.utf8 {
            last.len()
        } else {
            last.encode_utf16().count()
        };
        json!({ "line": line, "character": character })
    }
}

async fn random_edits(encoding: &str, seed: u64) {
    let workspace = Workspace::default();
    let mut capabilities = rich();
    capabilities["general"]["positionEncodings"] = json!([encoding]);
    let (mut client, _gate) = workspace.gated_client(capabilities).await;
    let uri = workspace.file_uri("a.sql");
    let mut reference = Reference {
        text: "-- größe 😀\r\nselect 1;\r\rselect\t'e\u{301}'\n".into(),
        utf8: encoding == "utf-8",
    };
    open(&mut client, &uri, &reference.text).await;
    let pieces = [
        "",
        "x",
        "\n",
        "\r\n",
        "\r",
        "\t",
        "😀",
        "e\u{301}",
        "表\n",
        "select 2;\n",
        "-- a\n",
        "'",
        "`",
    ];
    let mut random = Random(seed);
    for version in 2..600 {
        let mut changes = Vec::new();
        for _ in 0..=random.below(3) {
            let borders = reference.borders();
            let (a, b) = (random.below(borders.len()), random.below(borders.len()).min(8));
            let (start, end) = (borders[a], borders[(a + b).min(borders.len() - 1)]);
            let piece = pieces[random.below(pieces.len())];
            changes.push(json!({
                "range": { "start": reference.position(start), "end": reference.position(end) },
                "text": piece,
            }));
            reference.text.replace_range(start..end, piece);
        }
        change_with(&mut client, &uri, version, json!(changes)).await;
    }
    let seen = client
        .request("bigquill/viewFileText", json!({ "uri": uri }))
        .await;
    assert_eq!(seen, Ok(json!({ "version": 599, "text": reference.text })));
    findings(&mut client, &uri, 599).await;
    close(&mut client, &uri).await;
    client.finish().await;
}

#[tokio::test]
async fn hundreds_of_random_edits_in_utf_16() {
    random_edits("utf-16", 0x5eed).await;
}

#[tokio::test]
async fn hundreds_of_random_edits_in_utf_8() {
    random_edits("utf-8", 0xfeed).await;
}

/// Each keystroke is a message; no pause between them; then the finding stands exactly where the reference has it.
#[tokio::test]
async fn rapid_typing_ends_in_the_right_text() {
    let workspace = Workspace::default();
    let (mut client, _gate) = workspace.gated_client(rich()).await;
    let uri = workspace.file_uri("a.sql");
    open(&mut client, &uri, "").await;
    let typed = "-- 😀 größe\nSELECT countr FROM shop.customers";
    let (mut line, mut character, mut version) = (0, 0, 1);
    for char in typed.chars() {
        version += 1;
        edit(
            &mut client,
            &uri,
            version,
            (line, character, line, character),
            &char.to_string(),
        )
        .await;
        if char == '\n' {
            (line, character) = (line + 1, 0);
        } else {
            character += u32::try_from(char.len_utf16()).expect("1 or 2");
        }
    }
    let found = findings(&mut client, &uri, version).await;
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0]["code"], "unknown-column");
    assert_eq!(found[0]["range"]["start"], json!({ "line": 1, "character": 7 }));
    assert_eq!(found[0]["range"]["end"], json!({ "line": 1, "character": 13 }));
    close(&mut client, &uri).await;
    client.finish().await;
}

#[tokio::test]
async fn a_document_opened_again_begins_anew() {
    let workspace = Workspace::default();
    let (mut client, _gate) = workspace.gated_client(rich()).await;
    let uri = workspace.file_uri("a.sql");
    assert_eq!(
        open(&mut client, &uri, "SELECT countr FROM shop.customers")
            .await
            .len(),
        1
    );
    close(&mut client, &uri).await;
    assert_eq!(
        open(&mut client, &uri, "SELECT country FROM shop.customers")
            .await
            .len(),
        0
    );
    close(&mut client, &uri).await;
    edit(&mut client, &uri, 7, (0, 0, 0, 0), "no document of that name").await;
    client.finish().await;
}
