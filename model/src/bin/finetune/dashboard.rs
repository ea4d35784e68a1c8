//! TensorBoard's event files: a run's curves beside those of other runs.
//!
//! A file is a row of records, each a length, its checksum, the bytes, their checksum (TFRecord), and each record is an
//! `Event` message in protobuf (tensorflow/core/util/event.proto). Only scalars are written.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use prost::Message;

/// What TensorBoard wants first in a file.
const VERSION: &str = "brain.Event:2";

#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    values: Vec<Scalar>,
}

#[derive(Clone, PartialEq, Message)]
struct Scalar {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, tag = "2")]
    simple_value: f32,
}

/// An event file that grows.
pub(crate) struct Dashboard {
    path: PathBuf,
    file: File,
}

impl Dashboard {
    /// A new file in the folder of a run; a run that goes on has one file for each time that it went on.
    pub(crate) fn create(folder: &Path) -> anyhow::Result<Self> {
        let failed = || {
            format!(
                "the dashboard's folder {} cannot be written; name another --dashboard",
                folder.display()
            )
        };
        std::fs::create_dir_all(folder).with_context(failed)?;
        let now = now();
        let name = format!(
            "events.out.tfevents.{:010}.{:09}.{}.bigquill",
            now.trunc(),
            (now.fract() * 1e9) as u64,
            std::process::id()
        );
        let path = folder.join(name);
        let file = File::options()
            .append(true)
            .create(true)
            .open(&path)
            .with_context(failed)?;
        let mut dashboard = Self { path, file };
        dashboard.event(&Event {
            wall_time: now,
            file_version: Some(VERSION.to_owned()),
            ..Event::default()
        })?;
        Ok(dashboard)
    }

    /// The values of a step.
    pub(crate) fn write(&mut self, step: u64, values: &[(&'static str, f64)]) -> anyhow::Result<()> {
        let scalar = |(name, value): &(&str, f64)| Scalar {
            tag: (*name).to_owned(),
            simple_value: *value as f32,
        };
        self.event(&Event {
            wall_time: now(),
            step: step as i64,
            file_version: None,
            summary: Some(Summary {
                values: values.iter().map(scalar).collect(),
            }),
        })
    }

    fn event(&mut self, event: &Event) -> anyhow::Result<()> {
        self.file
            .write_all(&record(&event.encode_to_vec()))
            .with_context(|| format!("the dashboard's file {} cannot be written", self.path.display()))
    }
}

fn record(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u64).to_le_bytes();
    [
        &length[..],
        &checksum(&length).to_le_bytes(),
        bytes,
        &checksum(bytes).to_le_bytes(),
    ]
    .concat()
}

/// CRC-32C, rotated and moved, since a checksum of data that hold checksums is weak.
fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

fn now() -> f64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use super::*;

    /// Reads a file back, and checks every checksum.
    fn events(mut bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        let number = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap());
        while !bytes.is_empty() {
            let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
            assert_eq!(number(&bytes[8..12]), checksum(&bytes[..8]));
            let data = &bytes[12..12 + length];
            assert_eq!(number(&bytes[12 + length..16 + length]), checksum(data));
            events.push(Event::decode(data).unwrap());
            bytes = &bytes[16 + length..];
        }
        events
    }

    #[test]
    fn checksums_are_tensorflows() {
        // The length 24, as it stands before the first record of TensorFlow's own files.
        assert_eq!(
            checksum(&24u64.to_le_bytes()).to_le_bytes(),
            [0xa3, 0x7f, 0x4b, 0x22]
        );
    }

    #[test]
    fn what_is_written_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut dashboard = Dashboard::create(&folder.path().join("team")).unwrap();
        dashboard
            .write(1, &[("loss", 2.5), ("learning_rate", 1e-4)])
            .unwrap();
        dashboard.write(2, &[("loss", 2.0)]).unwrap();
        let events = events(&std::fs::read(&dashboard.path).unwrap());
        assert_eq!(events[0].file_version.as_deref(), Some(VERSION));
        let steps: Vec<(i64, usize)> = events[1..]
            .iter()
            .map(|event| (event.step, event.summary.as_ref().unwrap().values.len()))
            .collect();
        assert_eq!(steps, [(1, 2), (2, 1)]);
        let first = &events[1].summary.as_ref().unwrap().values[0];
        assert_eq!((first.tag.as_str(), first.simple_value), ("loss", 2.5));
        let name = dashboard.path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(name.starts_with("events.out.tfevents."), "{name}");
    }
}
