//! Tokenizers against reference implementations, prompts and chats against those that the adapter was trained on.

mod text {
    pub(crate) mod models;
    mod prompts;
    mod tokenizers;
}
