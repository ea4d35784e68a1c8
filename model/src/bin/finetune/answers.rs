//! What a model says to examples, and whether it is right.

use std::sync::Arc;

use bigquill_analysis::schema::CatalogSnapshot;
use bigquill_model::decoder::{Decoder, Placement};
use bigquill_model::lora::LoraAdapter;
use bigquill_model::train::data::{Example, ExamplePrompt, Preparation, refusal};
use bigquill_model::train::{Greedy, Sequence};

use crate::base::{Base, device, threads};
use crate::progress::Bar;

/// Longest answer in tokens, where nobody says otherwise.
pub(crate) const ANSWER_TOKENS: usize = 200;

/// An example that is answered.
pub(crate) struct Asked {
    pub(crate) sequence: Sequence,
    /// The file it stands in.
    pub(crate) file: String,
    /// The tables of a question, against which its answer is checked.
    catalog: Option<Arc<CatalogSnapshot>>,
}

/// What came of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// It is the expected one, but for white space.
    pub(crate) exact: bool,
    /// BigQuery would take it, as far as the check can tell; none where there is no catalog.
    pub(crate) accepted: Option<bool>,
}

impl Asked {
    /// The examples of a preparation, `limit` of them evenly over the data; `read` are the same as they were read.
    pub(crate) fn new(
        preparation: &Preparation,
        read: &[&Example],
        limit: Option<usize>,
    ) -> anyhow::Result<Vec<Self>> {
        let sequences = preparation.completions()?;
        let one = |(sequence, example): (Sequence, &&Example)| Self {
            sequence,
            file: example.place.path.display().to_string(),
            catalog: match &example.prompt {
                ExamplePrompt::Question { catalog, .. } if !catalog.is_empty() => Some(Arc::clone(catalog)),
                _ => None,
            },
        };
        let count = sequences.len();
        let wanted = limit.unwrap_or(count).min(count);
        let mut asked: Vec<Option<Self>> = sequences.into_iter().zip(read).map(one).map(Some).collect();
        Ok((0..wanted)
            .filter_map(|n| asked[n * count / wanted].take())
            .collect())
    }
}

/// The likeliest answers of base and adapter, each judged, in the order of the examples.
pub(crate) fn judge(
    base: &Base,
    adapter: Option<&LoraAdapter>,
    device_name: &str,
    asked: &[Asked],
    answer_tokens: usize,
) -> anyhow::Result<Vec<Verdict>> {
    let placement = match device(device_name)? {
        candle_core::Device::Cpu => Placement::Cpu { threads: threads() },
        other => Placement::Tensors(other),
    };
    let mut greedy = Greedy::new(Decoder::load(&base.gguf, adapter, &placement)?)?;
    let bar = Bar::new(asked.len() as u64, "answering");
    // Prompts over the same tables stand together, for what they share to be computed once.
    let mut order: Vec<usize> = (0..asked.len()).collect();
    order.sort_by(|a, b| asked[*a].sequence.tokens.cmp(&asked[*b].sequence.tokens));
    let mut verdicts = vec![None; asked.len()];
    let mut exact = 0;
    for (done, index) in order.into_iter().enumerate() {
        let Asked {
            sequence, catalog, ..
        } = &asked[index];
        let (prompt, expected) = sequence.tokens.split_at(sequence.prompt);
        let ids = greedy.answer(prompt, base.tokenizer.end_tokens(), answer_tokens)?;
        let said = base.tokenizer.decode(&ids);
        let verdict = Verdict {
            exact: normal(&said) == normal(&base.tokenizer.decode(expected)),
            accepted: catalog.as_ref().map(|catalog| refusal(&said, catalog).is_none()),
        };
        exact += usize::from(verdict.exact);
        verdicts[index] = Some(verdict);
        bar.set(done as u64 + 1, &format!("{exact} exact"));
    }
    Ok(verdicts.into_iter().flatten().collect())
}

/// White space does not count, nor does a final semicolon.
fn normal(sql: &str) -> String {
    let words: Vec<&str> = sql.trim().trim_end_matches(';').split_whitespace().collect();
    words.join(" ")
}
