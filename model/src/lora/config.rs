//! `adapter_config.json`: what is honoured, and what is refused because the answer would silently be another one.

use std::collections::BTreeMap;

use regex::Regex;
use serde::Deserialize;
use serde_json::Value;

use super::LoraError;

/// PEFT's name for models that score a sequence.
pub(super) const SEQUENCE_CLASSIFICATION: &str = "SEQ_CLS";

/// The part of PEFT's `LoraConfig` that decides the answer.
#[derive(Debug, Clone)]
pub struct LoraConfig {
    /// Whether it belongs to a model that scores sequences, and answers nothing.
    pub(super) scores: bool,
    rank: usize,
    alpha: f64,
    rank_pattern: Vec<(Regex, f64)>,
    alpha_pattern: Vec<(Regex, f64)>,
    rank_stabilised: bool,
    targets: Targets,
}

#[derive(Debug, Clone)]
enum Targets {
    AllLinear,
    Names(Vec<String>),
    Pattern(Regex),
}

/// The file's keys. PEFT adds keys with each version, so that unknown ones must not matter.
#[derive(Deserialize)]
struct File {
    peft_type: String,
    #[serde(default)]
    task_type: Option<String>,
    r: usize,
    lora_alpha: f64,
    #[serde(default)]
    rank_pattern: BTreeMap<String, f64>,
    #[serde(default)]
    alpha_pattern: BTreeMap<String, f64>,
    #[serde(default)]
    use_rslora: bool,
    #[serde(default)]
    bias: Option<String>,
    target_modules: Value,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

/// Keys that change the computation unless they are null, false or empty, and what a person calls them.
const REFUSED: [(&str, &str); 12] = [
    ("use_dora", "DoRA"),
    ("modules_to_save", "modules_to_save"),
    ("lora_bias", "biases in B"),
    ("fan_in_fan_out", "fan_in_fan_out"),
    ("layer_replication", "layer replication"),
    ("trainable_token_indices", "trained tokens"),
    ("target_parameters", "target_parameters"),
    ("use_qalora", "QA-LoRA"),
    ("use_bdlora", "block-diagonal LoRA"),
    ("alora_invocation_tokens", "activated LoRA"),
    ("arrow_config", "Arrow routing"),
    ("velora_config", "VeLoRA"),
];

impl LoraConfig {
    /// Reads the file's content.
    ///
    /// # Errors
    /// Where it is no LoRA configuration, or one of a form that is not computed here.
    pub fn parse(json: &[u8]) -> Result<Self, LoraError> {
        let malformed = |reason: String| LoraError::Malformed(format!("adapter_config.json: {reason}"));
        let mut file: File = serde_json::from_slice(json).map_err(|error| malformed(error.to_string()))?;
        let scores = file.task_type.as_deref() == Some(SEQUENCE_CLASSIFICATION);
        if scores && only_score(file.others.get("modules_to_save")) {
            file.others.remove("modules_to_save");
        }
        refuse(&file)?;
        if file.r == 0 || file.r > 4096 || !file.lora_alpha.is_finite() {
            return Err(malformed("r or lora_alpha is impossible".to_owned()));
        }
        Ok(Self {
            scores,
            rank: file.r,
            alpha: file.lora_alpha,
            rank_pattern: patterns(&file.rank_pattern)?,
            alpha_pattern: patterns(&file.alpha_pattern)?,
            rank_stabilised: file.use_rslora,
            targets: Targets::parse(&file.target_modules)?,
        })
    }

    /// Whether the module, such as `model.layers.0.self_attn.q_proj`, is a target.
    #[must_use]
    pub fn targets(&self, module: &str) -> bool {
        match &self.targets {
            Targets::AllLinear => true,
            Targets::Names(names) => names.iter().any(|name| ends_with_module(module, name)),
            Targets::Pattern(pattern) => pattern.is_match(module),
        }
    }

    /// The module's rank and the factor of B·A·x.
    #[must_use]
    pub fn rank_and_scale(&self, module: &str) -> (usize, f32) {
        let find = |patterns: &[(Regex, f64)]| {
            patterns
                .iter()
                .find(|(pattern, _)| pattern.is_match(module))
                .map(|(_, value)| *value)
        };
        let rank = find(&self.rank_pattern).unwrap_or(self.rank as f64);
        let alpha = find(&self.alpha_pattern).unwrap_or(self.alpha);
        let divisor = if self.rank_stabilised { rank.sqrt() } else { rank };
        (rank as usize, (alpha / divisor) as f32)
    }
}

impl Targets {
    fn parse(value: &Value) -> Result<Self, LoraError> {
        match value {
            Value::String(text) if text == "all-linear" => Ok(Self::AllLinear),
            Value::String(text) => regex(&format!("^(?:{text})$")).map(Self::Pattern),
            Value::Array(names) => {
                let names: Option<Vec<String>> =
                    names.iter().map(|n| n.as_str().map(str::to_owned)).collect();
                names
                    .map(Self::Names)
                    .ok_or_else(|| LoraError::Malformed("target_modules holds no names".to_owned()))
            }
            _ => Err(LoraError::Malformed(
                "target_modules is neither names nor a pattern".to_owned(),
            )),
        }
    }
}

fn ends_with_module(module: &str, name: &str) -> bool {
    module
        .strip_suffix(name)
        .is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// Whether nothing is saved beside the pairs but a head; PEFT itself writes `classifier` beside `score`.
fn only_score(modules: Option<&Value>) -> bool {
    let names = modules.and_then(Value::as_array);
    names.is_some_and(|names| {
        let names = names.iter().filter_map(Value::as_str);
        names.clone().count() > 0 && names.clone().all(|name| ["score", "classifier"].contains(&name))
    })
}

fn refuse(file: &File) -> Result<(), LoraError> {
    if file.peft_type != "LORA" {
        return Err(LoraError::Unsupported(format!("the method {}", file.peft_type)));
    }
    if file.bias.as_deref().is_some_and(|bias| bias != "none") {
        return Err(LoraError::Unsupported("trained biases".to_owned()));
    }
    for (key, name) in REFUSED {
        let off = match file.others.get(key) {
            None | Some(Value::Null | Value::Bool(false)) => true,
            Some(Value::Array(values)) => values.is_empty(),
            Some(Value::Object(values)) => values.is_empty(),
            Some(_) => false,
        };
        if !off {
            return Err(LoraError::Unsupported(name.to_owned()));
        }
    }
    Ok(())
}

/// PEFT matches a pattern's key against the end of the module's name, from a dot on.
fn patterns(entries: &BTreeMap<String, f64>) -> Result<Vec<(Regex, f64)>, LoraError> {
    let compile = |(key, value): (&String, &f64)| {
        if !value.is_finite() || *value <= 0.0 {
            return Err(LoraError::Malformed(format!(
                "the pattern {key} has no positive number"
            )));
        }
        Ok((regex(&format!(r"^(?:.*\.)?(?:{key})$"))?, *value))
    };
    entries.iter().map(compile).collect()
}

fn regex(pattern: &str) -> Result<Regex, LoraError> {
    Regex::new(pattern)
        .map_err(|error| LoraError::Malformed(format!("a pattern of its configuration: {error}")))
}
