//! Prompt and decode speed on the CPU for both small models, and time to the first token on a warm prefix, beside
//! llama.cpp's where a Python with `llama-cpp-python` is named:
//!
//! ```text
//! BIGQUILL_TEST_MODELS=DIR cargo bench -p bigquill-model --bench generate -- --peer /tmp/venv-llama/bin/python
//! ```
//!
//! The two take turns, round after round, so that what else the machine does meets both; medians are printed. Both run
//! the same tokens, with a fixed token fed back: choosing one is no part of the figure.
//!
//! On a busy machine `--cpu-time` (Linux; implies one thread each) counts the seconds that the processor worked for the
//! two instead of those that passed.
//!
//! With a build of that feature, `--device cuda` measures a GPU instead of the CPU, and `--model FILE` another file than
//! the two small ones: `model/examples/mistral_shape.rs` writes one of Mistral-7B's shape.
#![allow(clippy::print_stdout)] // the table is the output

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::Instant;

use bigquill_model::decoder::{Decoder, Logits, Placement};
use bigquill_model::gguf::Gguf;
use bigquill_model::testing::{QWEN, SMOLLM2, model_file};
use candle_core::Device;

const DECODED: usize = 48;
/// What is measured: prompt tokens, of which so many are there already, and decoded tokens.
const CASES: [Case; 4] = [
    Case {
        name: "prompt of 100",
        prompt: 100,
        warm: 0,
        decoded: 0,
    },
    Case {
        name: "prompt of 500",
        prompt: 500,
        warm: 0,
        decoded: 0,
    },
    Case {
        name: "decode after 400",
        prompt: 400,
        warm: 400,
        decoded: DECODED,
    },
    Case {
        name: "first token, 470 of 500 warm",
        prompt: 500,
        warm: 470,
        decoded: 0,
    },
];

struct Case {
    name: &'static str,
    prompt: usize,
    warm: usize,
    decoded: usize,
}

struct Arguments {
    models: Vec<PathBuf>,
    placement: Placement,
    peer: Option<String>,
    threads: usize,
    rounds: usize,
    cpu_time: bool,
}

fn main() {
    let arguments = arguments();
    for path in &arguments.models {
        let gguf = Gguf::open(path).expect("a model");
        let start = Instant::now();
        let mut decoder = Decoder::load(&gguf, None, &arguments.placement).expect("a model");
        println!(
            "\n{}: loaded in {:.2} s, {:?}",
            path.display(),
            start.elapsed().as_secs_f64(),
            arguments.placement
        );
        let mut peer = arguments
            .peer
            .as_ref()
            .map(|python| Peer::start(python, path, arguments.threads));
        for case in &CASES {
            // Untimed: pages and, on a GPU, kernels are loaded.
            run(&mut decoder, case, &arguments);
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for _ in 0..arguments.rounds {
                ours.push(run(&mut decoder, case, &arguments));
                theirs.extend(peer.as_mut().map(|peer| peer.run(case, arguments.cpu_time)));
            }
            report(case, &mut ours, &mut theirs);
        }
    }
}

fn arguments() -> Arguments {
    let mut arguments = Arguments {
        models: Vec::new(),
        placement: Placement::Cpu { threads: 1 },
        peer: None,
        threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        rounds: 5,
        cpu_time: false,
    };
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        let mut value = || given.next().expect("a value");
        match name.as_str() {
            "--model" => arguments.models.push(value().into()),
            "--device" => arguments.placement = Placement::Tensors(device(&value())),
            "--peer" => arguments.peer = Some(value()),
            "--threads" => arguments.threads = value().parse().expect("a number"),
            "--rounds" => arguments.rounds = value().parse().expect("a number"),
            "--cpu-time" => (arguments.cpu_time, arguments.threads) = (true, 1),
            // What `cargo bench` itself passes.
            _ => {}
        }
    }
    if let Placement::Cpu { threads } = &mut arguments.placement {
        *threads = arguments.threads;
    }
    if arguments.models.is_empty() {
        arguments.models = [QWEN, SMOLLM2].map(model_file).into();
    }
    arguments
}

fn device(name: &str) -> Device {
    match name {
        "cuda" => Device::new_cuda(0),
        "metal" => Device::new_metal(0),
        other => panic!("`{other}` is neither cuda nor metal"),
    }
    .expect("a GPU and a build with its feature")
}

/// Ids that both vocabularies have.
fn tokens(count: usize) -> Vec<u32> {
    (0..count as u32).map(|i| 300 + i * i * 7 % 20_000).collect()
}

/// Seconds of one case.
fn run(decoder: &mut Decoder, case: &Case, arguments: &Arguments) -> f64 {
    let (chunk_size, cpu_time) = (arguments.placement.prompt_chunk(), arguments.cpu_time);
    let prompt = tokens(case.prompt);
    let mut cache = decoder.cache().expect("memory");
    for chunk in prompt[..case.warm].chunks(chunk_size) {
        decoder.forward(chunk, &mut cache, Logits::None).expect("tokens");
    }
    let start = clock(cpu_time);
    for chunk in prompt[case.warm..].chunks(chunk_size) {
        let logits = if cache.len() + chunk.len() == case.prompt {
            Logits::Last
        } else {
            Logits::None
        };
        decoder.forward(chunk, &mut cache, logits).expect("tokens");
    }
    for _ in 0..case.decoded {
        decoder
            .forward(&[1000], &mut cache, Logits::Last)
            .expect("a token");
    }
    clock(cpu_time) - start
}

/// Seconds that passed, or that this thread was run for.
fn clock(cpu_time: bool) -> f64 {
    static START: OnceLock<Instant> = OnceLock::new();
    if !cpu_time {
        return START.get_or_init(Instant::now).elapsed().as_secs_f64();
    }
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let nanoseconds: f64 = stat
        .split(' ')
        .next()
        .and_then(|n| n.parse().ok())
        .expect("a number");
    nanoseconds / 1e9
}

fn report(case: &Case, ours: &mut [f64], theirs: &mut [f64]) {
    let count = (case.prompt - case.warm + case.decoded) as f64;
    let mut line = format!("{:30}", case.name);
    let mut show = |name: &str, seconds: f64| {
        line.push_str(&format!(
            "  {name} {:7.1} tokens/s ({:7.1} ms)",
            count / seconds,
            seconds * 1e3
        ));
    };
    let own = median(ours);
    show("bigquill", own);
    if !theirs.is_empty() {
        let peer = median(theirs);
        show("llama.cpp", peer);
        line.push_str(&format!("  ratio {:.2}", peer / own));
    }
    println!("{line}");
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// llama.cpp behind a pipe.
struct Peer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Peer {
    fn start(python: &str, model: &Path, threads: usize) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/llama_cpp_peer.py");
        let mut child = Command::new(python)
            .arg(script)
            .arg(model)
            .arg(threads.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a Python");
        let input = child.stdin.take().expect("a pipe");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut peer = Self { child, input, output };
        peer.line();
        peer
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("an answer");
        line.trim().to_owned()
    }

    fn run(&mut self, case: &Case, cpu_time: bool) -> f64 {
        let ids: Vec<String> = tokens(case.prompt).iter().map(u32::to_string).collect();
        let clock = if cpu_time { "cpu" } else { "wall" };
        let (warm, decoded, ids) = (case.warm, case.decoded, ids.join(","));
        writeln!(self.input, "{clock} {warm} {decoded} {ids}").expect("a pipe");
        self.line().parse().expect("llama.cpp's seconds")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // Ends with the benchmark either way.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
