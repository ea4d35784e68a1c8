//! The `finetune` binary as people run it, on tiny models.
#![allow(clippy::unwrap_used)] // a test may panic

#[path = "finetune/eval.rs"]
mod eval;
#[path = "finetune/export.rs"]
mod export;
#[path = "finetune/faults.rs"]
mod faults;
#[path = "finetune/memory.rs"]
mod memory;
#[path = "finetune/merge.rs"]
mod merge;
#[path = "finetune/regress.rs"]
mod regress;
#[path = "finetune/resume.rs"]
mod resume;
#[path = "finetune/run.rs"]
mod run;
#[path = "finetune/stored.rs"]
mod stored;
#[path = "finetune/synthesize.rs"]
mod synthesize;
#[path = "finetune/train.rs"]
mod train;
