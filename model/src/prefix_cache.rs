//! Keys and values kept between questions: the longest common prefix of a new prompt and an old one is not computed
//! again. Questions over the same tables share their rules and schemas, which are most of a prompt.

use crate::decoder::DecoderError;
use crate::kv_cache::KvCache;

/// The hash of an adapter's weights; none for the base alone.
pub type AdapterFingerprint = Option<[u8; 32]>;

/// Several sequences with their caches, bounded by bytes, of one model with any adapters. An adapter changes keys and
/// values, so that what one left is of no use to another.
#[derive(Debug)]
pub struct PrefixCache {
    /// The least recently used first.
    entries: Vec<Entry>,
    max_bytes: usize,
}

#[derive(Debug)]
struct Entry {
    adapter: AdapterFingerprint,
    tokens: Vec<u32>,
    cache: KvCache,
}

/// Below this a copy costs more than it saves.
const MIN_SHARED: usize = 8;

impl PrefixCache {
    /// An empty cache that holds at most `max_bytes` of keys and values, and always the last sequence.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self {
            entries: Vec::new(),
            max_bytes,
        }
    }

    /// A cache with as many of the first tokens of `prompt` as an entry of this adapter has, and at most `limit`; none
    /// where no entry shares enough. An entry that would be lost to nobody is taken as it is, any other is copied.
    ///
    /// # Errors
    /// Where the device has no memory left.
    pub fn take(
        &mut self,
        adapter: AdapterFingerprint,
        prompt: &[u32],
        limit: usize,
    ) -> Result<Option<KvCache>, DecoderError> {
        let shared = |entry: &Entry| {
            if entry.adapter == adapter {
                common_prefix(&entry.tokens, prompt).min(limit)
            } else {
                0
            }
        };
        // The last of equals: the most recently used.
        let Some(best) = (0..self.entries.len()).max_by_key(|index| shared(&self.entries[*index])) else {
            return Ok(None);
        };
        let len = shared(&self.entries[best]);
        if len < MIN_SHARED {
            return Ok(None);
        }
        // Most of it is reused: the new sequence takes its place.
        if len * 2 >= self.entries[best].tokens.len() {
            let mut cache = self.entries.remove(best).cache;
            cache.truncate(len);
            return Ok(Some(cache));
        }
        let entry = self.entries.remove(best);
        let fork = entry.cache.fork(len)?;
        self.entries.push(entry);
        Ok(Some(fork))
    }

    /// Keeps a sequence: the tokens that `cache` holds keys and values of, computed with this adapter.
    pub fn put(&mut self, adapter: AdapterFingerprint, tokens: Vec<u32>, cache: KvCache) {
        debug_assert_eq!(tokens.len(), cache.len());
        self.entries
            .retain(|entry| entry.adapter != adapter || !tokens.starts_with(&entry.tokens));
        self.entries.push(Entry {
            adapter,
            tokens,
            cache,
        });
        while self.entries.len() > 1 && self.bytes() > self.max_bytes {
            self.entries.remove(0);
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// Bytes of keys and values held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.entries.iter().map(|entry| entry.cache.bytes()).sum()
    }
}

fn common_prefix(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
