//! The adapters of an engine: read when they are first asked for, and again when their folder changed.
//!
//! What was whole last goes on answering while a folder is written anew or holds what cannot be used; where nothing was,
//! the base does. Either way the person is told.

use std::fmt;
use std::path::Path;

use crate::decoder::{Decoder, DecoderError, PreparedAdapter};
use crate::lora::{AdapterStamp, EmbeddedAdapter, LoraAdapter};

use super::AdapterChoice;

/// How many are held at once; the one that was not used for the longest time goes.
const MOST: usize = 8;

/// The adapters that were asked for, the last one last.
#[derive(Debug, Default)]
pub(super) struct Adapters {
    held: Vec<Held>,
}

/// What became of one choice.
#[derive(Debug)]
struct Held {
    choice: AdapterChoice,
    /// Of the folder when it was read last.
    stamp: Option<AdapterStamp>,
    adapter: Option<ReadyAdapter>,
    /// Why what the folder holds now cannot be used.
    refusal: Option<String>,
}

/// An adapter that can be applied.
#[derive(Debug)]
pub(super) struct ReadyAdapter {
    name: String,
    pub(super) fingerprint: [u8; 32],
    pub(super) prepared: PreparedAdapter,
}

/// What answers a choice.
pub(super) struct Found<'a> {
    pub(super) adapter: Option<&'a ReadyAdapter>,
    /// Why it is not what was asked for.
    pub(super) remark: Option<String>,
}

impl Adapters {
    /// The adapter of a choice that must be there; none where it is none.
    ///
    /// # Errors
    /// Where it cannot be used.
    pub(super) fn load(
        &mut self,
        choice: &AdapterChoice,
        decoder: &Decoder,
    ) -> Result<Option<&ReadyAdapter>, DecoderError> {
        let held = Held {
            choice: choice.clone(),
            stamp: choice.folder().and_then(AdapterStamp::of),
            adapter: ReadyAdapter::read(choice, decoder)?,
            refusal: None,
        };
        Ok(self.hold(held).adapter.as_ref())
    }

    /// What answers a choice now.
    pub(super) fn find(&mut self, choice: &AdapterChoice, decoder: &Decoder) -> Found<'_> {
        let known = self.held.iter().position(|held| held.choice == *choice);
        let mut held = match known {
            Some(at) => self.held.remove(at),
            None => Held::new(choice, decoder),
        };
        if let Some(folder) = choice.folder() {
            held.refresh(folder, decoder);
        }
        let held = self.hold(held);
        Found {
            remark: held.remark(),
            adapter: held.adapter.as_ref(),
        }
    }

    fn hold(&mut self, held: Held) -> &Held {
        if self.held.len() == MOST {
            self.held.remove(0);
        }
        self.held.push(held);
        &self.held[self.held.len() - 1]
    }
}

impl Held {
    fn new(choice: &AdapterChoice, decoder: &Decoder) -> Self {
        let (adapter, refusal) = match choice {
            // By `refresh`.
            AdapterChoice::Path(_) => (None, None),
            choice => match ReadyAdapter::read(choice, decoder) {
                Ok(adapter) => (adapter, None),
                Err(error) => (None, Some(error.to_string())),
            },
        };
        Self {
            choice: choice.clone(),
            stamp: None,
            adapter,
            refusal,
        }
    }

    /// Reads the folder where it is whole and not as it was.
    fn refresh(&mut self, folder: &Path, decoder: &Decoder) {
        let Some(stamp) = AdapterStamp::of(folder).filter(|stamp| self.stamp.as_ref() != Some(stamp)) else {
            return;
        };
        let read = ReadyAdapter::read(&self.choice, decoder);
        // Else it was written meanwhile, and what was read may be half of one and half of another: the next request
        // looks again.
        if AdapterStamp::of(folder).as_ref() != Some(&stamp) {
            return;
        }
        self.stamp = Some(stamp);
        match read {
            Ok(adapter) => {
                tracing::info!(
                    adapter = adapter.as_ref().map(tracing::field::display),
                    "adapter loaded"
                );
                (self.adapter, self.refusal) = (adapter, None);
            }
            Err(error) => self.refusal = Some(error.to_string()),
        }
    }

    fn remark(&self) -> Option<String> {
        let instead = match &self.adapter {
            Some(_) => "the adapter that was there before answers",
            None => "the model answers without an adapter",
        };
        match (&self.refusal, self.choice.folder()) {
            (Some(refusal), folder) => {
                let place = folder.map_or(String::new(), |folder| format!("{}: ", folder.display()));
                Some(format!("{place}{refusal}. Until then {instead}."))
            }
            (None, Some(folder)) if self.adapter.is_none() => Some(format!(
                "There is no adapter in {} yet: {instead} until there is. `finetune train` writes one; correct `adapter` \
                 if it is another folder.",
                folder.display()
            )),
            (None, _) => None,
        }
    }
}

impl ReadyAdapter {
    fn read(choice: &AdapterChoice, decoder: &Decoder) -> Result<Option<Self>, DecoderError> {
        let adapter = match choice {
            AdapterChoice::None => None,
            AdapterChoice::Default => EmbeddedAdapter::for_model(decoder.config())
                .map(EmbeddedAdapter::load)
                .transpose()?,
            AdapterChoice::Path(folder) => Some(LoraAdapter::read(folder)?),
        };
        let Some(adapter) = adapter else { return Ok(None) };
        let prepared = decoder.prepare(&adapter)?;
        Ok(Some(Self {
            name: adapter.name,
            fingerprint: adapter.fingerprint,
            prepared,
        }))
    }

    /// Its name alone.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for ReadyAdapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@", self.name)?;
        self.fingerprint[..4]
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
