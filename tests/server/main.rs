//! The server as an editor sees it, message by message.

mod accepted;
mod edits;
mod exit;
mod features;
mod findings;
mod finetune;
mod generate;
mod inline;
mod judge;
mod protocol;
mod settings;
mod support;
