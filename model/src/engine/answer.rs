//! One generation: the prompt in chunks, then token after token.

use std::time::Instant;

use crate::decoder::{DecoderError, Logits};
use crate::generate::{Author, EventSender, FinishReason, GenerateError, GenerateRequest, GenerationEvent};
use crate::kv_cache::KvCache;
use crate::prefix_cache::AdapterFingerprint;
use crate::sampler::Sampler;

use super::AdapterChoice;
use super::load::Model;

/// Whether a generation goes on.
enum Progress {
    Done,
    Cancelled,
}

impl Model {
    /// Answers a request, or stops early where nobody listens any more. What was computed is kept in either case.
    pub(super) fn answer(
        &mut self,
        request: &GenerateRequest,
        adapter: &AdapterChoice,
        events: &EventSender,
    ) -> Result<(), GenerateError> {
        let fingerprint = self.use_adapter(adapter, events)?;
        let prompt = self.tokenizer.encode_chat(&request.prompt);
        let prompt = prompt.map_err(|error| GenerateError::Failed(error.to_string()))?;
        let context = self.decoder.config().context;
        if prompt.is_empty() || prompt.len() + request.max_tokens > context {
            return Err(GenerateError::ContextFull {
                prompt_tokens: prompt.len(),
                context,
            });
        }
        // The last token is always run, for its logits.
        let kept = self.prefixes.take(fingerprint, &prompt, prompt.len() - 1)?;
        let mut cache = kept.map_or_else(|| self.decoder.cache(), Ok)?;
        events.send(Ok(GenerationEvent::Started {
            prompt_tokens: prompt.len(),
            reused_tokens: cache.len(),
        }));
        let mut tokens = prompt;
        let answered = self.generate(request, events, &mut tokens, &mut cache);
        tokens.truncate(cache.len());
        self.prefixes.put(fingerprint, tokens, cache);
        answered.map(|_| ())
    }

    /// Applies the adapter as its folder holds it now, and tells who answers.
    fn use_adapter(
        &mut self,
        choice: &AdapterChoice,
        events: &EventSender,
    ) -> Result<AdapterFingerprint, GenerateError> {
        let found = self.adapters.find(choice, &self.decoder);
        self.decoder
            .apply(found.adapter.map(|adapter| &adapter.prepared))?;
        let author = Author {
            model: self.name.clone(),
            adapter: found.adapter.map(ToString::to_string),
        };
        let fingerprint = found.adapter.map(|adapter| adapter.fingerprint);
        events.send(Ok(GenerationEvent::Author {
            author,
            remark: found.remark,
        }));
        Ok(fingerprint)
    }

    /// Runs what of `tokens` is not cached, then appends the answer to them.
    fn generate(
        &mut self,
        request: &GenerateRequest,
        events: &EventSender,
        tokens: &mut Vec<u32>,
        cache: &mut KvCache,
    ) -> Result<Progress, GenerateError> {
        let start = Instant::now();
        let (prompt_tokens, reused) = (tokens.len(), cache.len());
        let Some(mut logits) = self.prefill(events, tokens, cache)? else {
            return Ok(Progress::Cancelled);
        };
        let prefill = start.elapsed();
        let tokenizer = std::sync::Arc::clone(&self.tokenizer);
        let mut text = tokenizer.decoder();
        let mut sampler = Sampler::new(request.sampling);
        let reason = loop {
            if tokens.len() - prompt_tokens == request.max_tokens {
                break FinishReason::Length;
            }
            let sampled = sampler.sample(&logits);
            let token = sampled.ok_or_else(|| GenerateError::Failed("it gave no numbers".to_owned()))?;
            if tokenizer.end_tokens().contains(&token) {
                break FinishReason::Stop;
            }
            tokens.push(token);
            send_text(events, text.push(token));
            if events.is_cancelled() {
                return Ok(Progress::Cancelled);
            }
            if tokens.len() - prompt_tokens < request.max_tokens {
                logits = self.decoder.forward(&[token], cache, Logits::Last)?;
            }
        };
        send_text(events, text.finish());
        let (count, decode) = (tokens.len() - prompt_tokens, start.elapsed() - prefill);
        let per_second = count as f64 / decode.as_secs_f64();
        tracing::info!(
            prompt_tokens,
            reused,
            ?prefill,
            tokens = count,
            per_second,
            "generated"
        );
        events.send(Ok(GenerationEvent::Finished {
            reason,
            tokens: count,
            prefill_ms: prefill.as_secs_f64() * 1e3,
            decode_ms: decode.as_secs_f64() * 1e3,
        }));
        Ok(Progress::Done)
    }

    /// Runs the tokens that are not cached; the last one's logits, or none where nobody listens any more.
    fn prefill(
        &mut self,
        events: &EventSender,
        tokens: &[u32],
        cache: &mut KvCache,
    ) -> Result<Option<Vec<f32>>, GenerateError> {
        let mut logits = Vec::new();
        while cache.len() < tokens.len() {
            if events.is_cancelled() {
                return Ok(None);
            }
            let end = (cache.len() + self.chunk).min(tokens.len());
            let wanted = if end == tokens.len() {
                Logits::Last
            } else {
                Logits::None
            };
            logits = self.decoder.forward(&tokens[cache.len()..end], cache, wanted)?;
        }
        Ok(Some(logits))
    }
}

impl From<DecoderError> for GenerateError {
    fn from(error: DecoderError) -> Self {
        Self::Failed(error.to_string())
    }
}

fn send_text(events: &EventSender, text: String) {
    if !text.is_empty() {
        events.send(Ok(GenerationEvent::Text(text)));
    }
}
