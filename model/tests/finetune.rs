//! The `finetune` binary as people run it, on tiny models.
#![allow(clippy::unwrap_used)] // a test may panic

#[path = "finetune/faults.rs"]
mod faults;
#[path = "finetune/merge.rs"]
mod merge;
#[path = "finetune/resume.rs"]
mod resume;
#[path = "finetune/run.rs"]
mod run;
#[path = "finetune/stored.rs"]
mod stored;
#[path = "finetune/train.rs"]
mod train;
