//! A folder with a tiny model and data, and the binary run in it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bigquill_model::decoder::Architecture;
use bigquill_model::gguf::Quantization;
use bigquill_model::testing::TinyModel;
use tempfile::TempDir;

/// A folder of its own.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    /// With `tiny.gguf` and `data.jsonl`.
    pub(crate) fn new() -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let tiny = TinyModel {
            architecture: Architecture::Qwen2,
            quantization: Quantization::Q4_0,
            seed: 41,
            tied: true,
        };
        std::fs::write(place.path("tiny.gguf"), tiny.writer().to_bytes()).unwrap();
        place.write("data.jsonl", &examples(8));
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// The binary with these words, in the folder.
    pub(crate) fn command(&self, words: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_finetune"));
        command
            .args(words.split_whitespace())
            .current_dir(self.folder.path());
        command
    }

    /// What it says on standard output; it must succeed.
    pub(crate) fn run(&self, words: &str) -> String {
        let output = self.command(words).output().unwrap();
        assert!(output.status.success(), "{words}: {}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What it says on standard error; it must fail with exit code 1.
    pub(crate) fn fail(&self, words: &str) -> String {
        let output = self.command(words).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{words}: {}", stderr(&output));
        stderr(&output)
    }
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Questions with answers that can only be learned by heart.
pub(crate) fn examples(count: usize) -> String {
    (0..count)
        .map(|n| {
            format!(
                "{{\"prompt\": [{{\"role\": \"user\", \"content\": \"Q{n}\"}}], \"completion\": \"SELECT {}\"}}\n",
                n * n * 7
            )
        })
        .collect()
}

/// The names in a folder, sorted.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
