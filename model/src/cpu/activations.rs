//! Activations quantized to 8 bits per group of 32 columns, with the sums that offsets and minima are multiplied with.

use super::packed::GROUP;

/// What stands beside the codes of a group.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct GroupScale {
    /// What a code is multiplied with.
    pub(crate) scale: f32,
    /// The sum of the group's quantized activations.
    pub(crate) sum: f32,
    /// The same of the first 16.
    pub(crate) first: f32,
    /// The same of the last 16.
    pub(crate) last: f32,
}

/// Quantized activations, `(tokens, columns)`. Reused from call to call.
#[derive(Debug, Default)]
pub(crate) struct Activations {
    pub(crate) columns: usize,
    /// Within ±127.
    pub(crate) codes: Vec<i8>,
    pub(crate) scales: Vec<GroupScale>,
}

impl Activations {
    /// Makes room for `(tokens, columns)`; columns are whole groups.
    pub(crate) fn resize(&mut self, tokens: usize, columns: usize) {
        self.columns = columns;
        self.codes.resize(tokens * columns, 0);
        self.scales
            .resize(tokens * columns / GROUP, GroupScale::default());
    }

    /// Codes of one token.
    pub(crate) fn row(&self, token: usize) -> (&[i8], &[GroupScale]) {
        let groups = self.columns / GROUP;
        let codes = &self.codes[token * self.columns..(token + 1) * self.columns];
        (codes, &self.scales[token * groups..(token + 1) * groups])
    }
}
