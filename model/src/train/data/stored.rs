//! Examples from the store of accepted completions.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::corpus::{Completion, Corpus, PromptMessage, TrainingAnswer, export};
use crate::generate::Prompt;

use super::read::message;
use super::{Answer, DataError, Example, ExamplePrompt, Place};

/// The name that stands for the user's own store.
const ACCEPTED: &str = "accepted";

/// The examples of the store, where the path names one: of each completion that was taken the SQL that was wanted, or with
/// `preferences` the pairs. The SQL has to be GoogleSQL by its grammar; a person may have saved half a query. None where the path is another file's.
///
/// # Errors
/// Where the store is not there, cannot be read, or has nothing to learn.
pub fn read_store(path: &Path, preferences: bool) -> Result<Option<Vec<Example>>, DataError> {
    let is_store = path
        .extension()
        .is_some_and(|extension| extension == "sqlite" || extension == "db");
    let path = match (path == Path::new(ACCEPTED), is_store) {
        (true, _) => Corpus::user_file().unwrap_or_else(|| PathBuf::from(ACCEPTED)),
        (false, true) => path.to_owned(),
        (false, false) => return Ok(None),
    };
    let nothing = |what| DataError::NothingStored {
        path: path.clone(),
        what,
    };
    // To look is no reason to make a file.
    if !path.exists() {
        return Err(nothing(
            "nothing was kept yet; set `store_accepted = true` for the language server",
        ));
    }
    let all = Corpus::open(&path)?.list(&[])?;
    let (ids, completions): (Vec<i64>, Vec<Completion>) = all
        .into_iter()
        .map(|stored| (stored.id, stored.completion))
        .unzip();
    let place: Arc<Path> = path.as_path().into();
    let mut examples = Vec::new();
    for (index, line) in export(&completions, preferences) {
        let place = Place {
            path: Arc::clone(&place),
            line: usize::try_from(ids[index]).unwrap_or_default(),
        };
        let failed = |what: String| DataError::Line {
            place: place.clone(),
            what,
            more: String::new(),
        };
        let messages = line.prompt.into_iter().map(|said| message(said, "prompt"));
        let messages = messages.collect::<Result<_, String>>().map_err(failed)?;
        let text = |[said]: [PromptMessage; 1]| said.content;
        examples.push(Example {
            prompt: ExamplePrompt::Chat(Prompt { messages }),
            answer: match line.answer {
                TrainingAnswer::Completion { completion } => Answer::Completion(text(completion)),
                TrainingAnswer::Preference { chosen, rejected } => Answer::Preference {
                    chosen: text(chosen),
                    rejected: text(rejected),
                },
            },
            place,
            against: vec![Arc::default()],
        });
    }
    if examples.is_empty() {
        return Err(nothing(if preferences {
            "no completion in it was edited, and none rejected beside one that was accepted"
        } else {
            "no completion in it was accepted or edited yet"
        }));
    }
    Ok(Some(examples))
}
