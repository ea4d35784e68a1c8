//! One layer of settings: keys, values, where each came from.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::{Problem, Settings, keys};

/// Keys and values of one source.
pub(super) struct Layer {
    entries: Vec<Entry>,
}

struct Entry {
    key: String,
    value: Value,
    origin: Origin,
}

/// Where a value came from, for messages.
pub(super) struct Origin {
    name: String,
    file: Option<PathBuf>,
    line: Option<usize>,
}

impl Origin {
    pub(super) fn named(name: String) -> Self {
        Self {
            name,
            file: None,
            line: None,
        }
    }

    pub(super) fn line(file: &Path, line: usize) -> Self {
        Self {
            name: format!("{}:{line}", file.display()),
            file: Some(file.to_owned()),
            line: Some(line),
        }
    }

    pub(super) fn problem(&self, message: &str) -> Problem {
        Problem {
            file: self.file.clone(),
            line: self.line,
            message: format!("{}: {message}", self.name),
        }
    }
}

impl Layer {
    /// A layer whose relative paths start from `base`.
    pub(super) fn new(map: &Map<String, Value>, base: &Path, origin: impl Fn(&str) -> Origin) -> Self {
        let entries = map
            .iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| Entry {
                key: key.clone(),
                value: resolve_paths(key, value.clone(), base),
                origin: origin(key),
            })
            .collect();
        Self { entries }
    }

    /// Puts this layer over the settings; `value` is their JSON form and is kept in step.
    pub(super) fn apply(self, value: &mut Value, settings: &mut Settings, problems: &mut Vec<Problem>) {
        for Entry {
            key,
            value: new,
            origin,
        } in self.entries
        {
            let Some(slot) = value.get_mut(&key) else {
                problems.push(origin.problem(&unknown_key(&key)));
                continue;
            };
            let old = std::mem::replace(slot, new);
            match serde_json::from_value(value.clone()) {
                Ok(next) => *settings = next,
                Err(error) => {
                    let why = in_plain_words(&error);
                    problems.push(origin.problem(&format!("`{key}` cannot be used: {why}")));
                    value[key.as_str()] = old;
                }
            }
        }
    }
}

/// serde names Rust's types, which mean nothing in a configuration file.
fn in_plain_words(error: &serde_json::Error) -> String {
    let names = [
        ("usize", "a whole number"),
        ("u64", "a whole number"),
        ("f64", "a number"),
    ];
    names.iter().fold(error.to_string(), |text, (name, plain)| {
        text.replace(&format!("expected {name}"), &format!("expected {plain}"))
    })
}

/// Variables `BIGQUILL_<KEY>`. A number or a flag is taken as such where its key wants one.
///
/// Other variables of that prefix belong to others and are passed over, unless they look like a misspelled setting.
pub(super) fn environment(variables: &[(String, String)]) -> Layer {
    let known = keys();
    let mut map = Map::new();
    for (name, text) in variables {
        let Some(key) = name.strip_prefix("BIGQUILL_").map(str::to_ascii_lowercase) else {
            continue;
        };
        if known.contains(&key) {
            map.insert(key.clone(), environment_value(&key, text));
        } else if nearest(&key, &known).is_some() && !OTHER_VARIABLES.contains(&key.as_str()) {
            map.insert(key, Value::String(text.clone()));
        }
    }
    Layer::new(&map, Path::new(""), |key| {
        Origin::named(format!(
            "environment variable BIGQUILL_{}",
            key.to_ascii_uppercase()
        ))
    })
}

/// Variables with our prefix that are no settings.
const OTHER_VARIABLES: &[&str] = &["config", "log", "cache"];

fn environment_value(key: &str, text: &str) -> Value {
    match key {
        "catalog" => std::env::split_paths(text)
            .map(|p| Value::String(p.to_string_lossy().into_owned()))
            .collect(),
        "datasets" => text
            .split(',')
            .map(|dataset| Value::String(dataset.trim().to_owned()))
            .collect(),
        "project" | "billing_project" | "credentials" | "endpoint" | "live_catalog" | "dry_run" | "model"
        | "adapter" | "device" | "store_file" => Value::String(text.to_owned()),
        // A word that is no number stays a text, so that the message can name it.
        _ => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())),
    }
}

fn unknown_key(key: &str) -> String {
    let known = keys();
    match nearest(key, &known) {
        Some(name) => format!("there is no setting `{key}`; did you mean `{name}`?"),
        None => format!("there is no setting `{key}`; there are {}", known.join(", ")),
    }
}

fn nearest<'a>(key: &str, known: &'a [String]) -> Option<&'a String> {
    known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(key, name), name))
        .filter(|(distance, name)| *distance * 3 <= name.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// `maxTokens` as `max_tokens`: editors' own settings are usually written the first way.
pub(super) fn snake_case(key: &str) -> String {
    let mut out = String::new();
    for c in key.chars() {
        if c.is_ascii_uppercase() {
            out.push('_');
            out.push(c.to_ascii_lowercase());
        } else {
            out.push(c);
        }
    }
    out
}

/// Paths of a layer start from the layer's folder; a leading `~/` is the home folder.
fn resolve_paths(key: &str, value: Value, base: &Path) -> Value {
    match (key, value) {
        ("catalog", Value::Array(items)) => items
            .into_iter()
            .map(|item| resolve_paths(key, item, base))
            .collect(),
        ("catalog" | "credentials" | "store_file", Value::String(path)) => {
            Value::String(resolve(&path, base))
        }
        ("model", Value::String(name)) if is_path(&name) || ends_in_gguf(&name) => {
            Value::String(resolve(&name, base))
        }
        ("adapter", Value::String(name)) if name != "default" && name != "none" => {
            Value::String(resolve(&name, base))
        }
        (_, value) => value,
    }
}

fn is_path(name: &str) -> bool {
    name.contains('/') || name.contains(std::path::MAIN_SEPARATOR) || name.starts_with('~')
}

fn ends_in_gguf(name: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("gguf"))
}

fn resolve(path: &str, base: &Path) -> String {
    if let Some(rest) = path.strip_prefix("~/")
        && let Some(dirs) = directories::BaseDirs::new()
    {
        return dirs.home_dir().join(rest).to_string_lossy().into_owned();
    }
    base.join(path).to_string_lossy().into_owned()
}
