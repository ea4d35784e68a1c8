//! Speed and memory of training a LoRA adapter, beside transformers, PEFT and bitsandbytes where a Python that has them is
//! named:
//!
//! ```text
//! cargo bench -p bigquill-model --features cuda --bench train -- --model FILE --device cuda --peer python3 \
//!     --shape mistral-7b 4x1024 1x1024 4x2048
//! ```
//!
//! Rank 16 on all seven layers, AdamW and clipping counted in, random tokens of which the last three in ten are learned.
//! A case is BATCHxTOKENS. Each is run for some updates that are not timed, then for those that are. Memory is the most
//! that `nvidia-smi` showed for the whole device (several devices: of all together), sampled every 20 ms, for both alike.
//! `model/examples/mistral_shape.rs` writes a file of Mistral-7B's shape. The peer has a base of the same shape with
//! random weights: in NF4 with recomputation like ours, or with `--peer-bf16` neither quantized nor recomputed.
#![allow(clippy::print_stdout)] // the table is the output

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use bigquill_model::gguf::Gguf;
use bigquill_model::lora::Projection;
use bigquill_model::train::{
    Activations, Completions, LoraModel, LoraOptions, Sequence, TrainOptions, Trainer,
};
use candle_core::Device;
use clap::Parser;

const WARM: usize = 3;
const RANK: usize = 16;

#[derive(Parser)]
struct Arguments {
    /// The base model's GGUF file.
    #[arg(long)]
    model: PathBuf,
    /// Where ours computes: cpu, cuda, or several such as cuda:0 cuda:1 (each takes a part of the batch).
    #[arg(long, num_args = 1.., default_value = "cpu")]
    device: Vec<String>,
    /// Updates that are timed.
    #[arg(long, default_value_t = 8)]
    updates: usize,
    /// Sequences that are computed at once; the whole batch unless given.
    #[arg(long)]
    micro_batch: Option<usize>,
    /// Keep activations instead of computing them again.
    #[arg(long)]
    keep_activations: bool,
    /// A Python with torch, transformers, peft and bitsandbytes.
    #[arg(long)]
    peer: Option<String>,
    /// The peer's base.
    #[arg(long, default_value = "mistral-7b")]
    shape: String,
    /// The peer's base in BF16, activations kept.
    #[arg(long)]
    peer_bf16: bool,
    /// BATCHxTOKENS.
    #[arg(required = true)]
    cases: Vec<String>,
    /// Passed by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

/// Tokens a second, and the most memory in MiB.
struct Figures {
    speed: f64,
    memory: u64,
    losses: Vec<f64>,
}

fn main() {
    let arguments = Arguments::parse();
    for case in &arguments.cases {
        let (batch, tokens) = case.split_once('x').expect("BATCHxTOKENS");
        let (batch, tokens) = (
            batch.parse().expect("a number"),
            tokens.parse().expect("a number"),
        );
        let ours = train(&arguments, batch, tokens);
        println!(
            "{case:10} bigquill {:8.0} tokens/s {:6.2} GiB  losses {:?}",
            ours.speed,
            gib(ours.memory),
            ours.losses
        );
        if let Some(python) = &arguments.peer {
            let theirs = peer(&arguments, python, batch, tokens);
            println!(
                "{case:10} PEFT     {:8.0} tokens/s {:6.2} GiB  ratio {:.2} in speed, {:.2} in memory",
                theirs.speed,
                gib(theirs.memory),
                ours.speed / theirs.speed,
                gib(ours.memory) / gib(theirs.memory)
            );
        }
    }
}

fn gib(mib: u64) -> f64 {
    mib as f64 / 1024.0
}

fn train(arguments: &Arguments, batch: usize, tokens: usize) -> Figures {
    let watch = Watch::start();
    let gguf = Gguf::open(&arguments.model).expect("a model");
    let options = LoraOptions {
        rank: RANK,
        alpha: 32.0,
        targets: Projection::ALL.to_vec(),
        dropout: 0.0,
        seed: 1,
    };
    let devices: Vec<Device> = arguments.device.iter().map(|name| device(name)).collect();
    let models: Vec<LoraModel> = devices
        .iter()
        .map(|device| LoraModel::load(&gguf, Some(&options), device).expect("memory"))
        .collect();
    let vocabulary = models[0].config().vocabulary as u64;
    let sequences = sequences(batch, tokens, vocabulary);
    let objective = Completions(&sequences);
    let options = TrainOptions {
        epochs: WARM + arguments.updates,
        batch,
        micro_batch: arguments.micro_batch.unwrap_or(batch.div_ceil(devices.len())),
        learning_rate: 2e-4,
        warmup: 0.0,
        weight_decay: 0.0,
        clip: 0.3,
        seed: 1,
        activations: if arguments.keep_activations {
            Activations::Kept
        } else {
            Activations::Recomputed
        },
    };
    let mut trainer = Trainer::new(models, &objective, options).expect("a run");
    let mut losses = Vec::new();
    let mut update = || {
        let update = trainer.update().expect("an update").expect("one more");
        losses.push((update.tally.mean() * 1e4).round() / 1e4);
    };
    (0..WARM).for_each(|_| update());
    let start = finished(&devices);
    (0..arguments.updates).for_each(|_| update());
    let seconds = (finished(&devices) - start).as_secs_f64();
    Figures {
        speed: (arguments.updates * batch * tokens) as f64 / seconds,
        memory: watch.most(),
        losses,
    }
}

/// When all work that was started is done.
fn finished(devices: &[Device]) -> Instant {
    for device in devices {
        device.synchronize().expect("a device");
    }
    Instant::now()
}

fn device(name: &str) -> Device {
    match name.split_once(':').unwrap_or((name, "0")) {
        ("cpu", _) => Ok(Device::Cpu),
        ("cuda", index) => Device::new_cuda_with_stream(index.parse().expect("a number")),
        ("metal", index) => Device::new_metal(index.parse().expect("a number")),
        other => panic!("{other:?} is no device"),
    }
    .expect("a device and a build with its feature")
}

fn sequences(batch: usize, tokens: usize, vocabulary: u64) -> Vec<Sequence> {
    // The same numbers in each run: a linear congruential generator (Knuth's MMIX).
    let mut state = 1u64;
    let mut token = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % vocabulary) as u32
    };
    (0..batch)
        .map(|_| Sequence {
            tokens: (0..tokens).map(|_| token()).collect(),
            prompt: tokens * 7 / 10,
        })
        .collect()
}

fn peer(arguments: &Arguments, python: &str, batch: usize, tokens: usize) -> Figures {
    let watch = Watch::start();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peft_peer.py");
    let script = std::env::var("PEFT_PEER").map_or(script, PathBuf::from);
    let base = if arguments.peer_bf16 { "bf16" } else { "nf4" };
    let output = Command::new(python)
        .arg(script)
        .args([&arguments.shape, base])
        .args([batch, tokens, WARM, arguments.updates].map(|number| number.to_string()))
        .stderr(Stdio::inherit())
        .output()
        .expect("a Python");
    let text = String::from_utf8_lossy(&output.stdout);
    let seconds: f64 = text.trim().parse().expect("PEFT's seconds");
    Figures {
        speed: (arguments.updates * batch * tokens) as f64 / seconds,
        memory: watch.most(),
        losses: Vec::new(),
    }
}

/// Watches the devices' memory until it is asked.
struct Watch {
    most: Arc<AtomicU64>,
    smi: Option<(Child, JoinHandle<()>)>,
}

impl Watch {
    fn start() -> Self {
        let most = Arc::new(AtomicU64::new(0));
        let smi = Command::new("nvidia-smi")
            .args([
                "--query-gpu=memory.used",
                "--format=csv,noheader,nounits",
                "-lms",
                "20",
            ])
            .stdout(Stdio::piped())
            .spawn();
        let smi = smi.ok().and_then(|mut child| {
            let lines = BufReader::new(child.stdout.take()?).lines();
            let seen = Arc::clone(&most);
            let thread = std::thread::spawn(move || {
                for used in lines
                    .map_while(Result::ok)
                    .filter_map(|line| line.trim().parse().ok())
                {
                    seen.fetch_max(used, Ordering::Relaxed);
                }
            });
            Some((child, thread))
        });
        Self { most, smi }
    }

    /// MiB; on machines without NVIDIA's tools the most that this process held.
    fn most(self) -> u64 {
        let Some((mut child, thread)) = self.smi else {
            let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kilobytes = line.and_then(|line| line.split_whitespace().next());
            return kilobytes
                .and_then(|number| number.parse::<u64>().ok())
                .unwrap_or(0)
                / 1024;
        };
        // Nothing else would end it.
        let _ = child.kill();
        let _ = child.wait();
        let _ = thread.join();
        self.most.load(Ordering::Relaxed)
    }
}
