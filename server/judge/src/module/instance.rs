//! One running copy of the module: a method name and a request's bytes in, the answer's bytes out.

use wasmtime::{Engine, InstancePre, Linker, Memory, Module, Store, Trap, TypedFunc};

use super::wasi::{self, Host};

/// How often the engine's epoch moves on while a call runs.
pub(crate) const TICK: std::time::Duration = std::time::Duration::from_millis(10);

/// Why a call brought no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallError {
    /// GoogleSQL's own words: an error in the statement, as a rule. The instance goes on.
    #[error("{0}")]
    Refused(String),
    /// The deadline came first. The instance is lost.
    #[error("the deadline passed")]
    Deadline,
    /// The module asked for more memory than it may have. The instance is lost.
    #[error("the memory limit was reached")]
    Memory,
    /// The stack ran out. The instance is lost.
    #[error("the statement is nested too deeply")]
    Stack,
    /// Any other trap. The instance is lost.
    #[error("the analyzer stopped: {0}")]
    Trap(String),
}

impl CallError {
    /// Whether the instance can take another call.
    pub(crate) fn leaves_instance_usable(&self) -> bool {
        matches!(self, Self::Refused(_))
    }
}

/// What makes instances: the module with its imports already matched.
pub(crate) struct Template {
    engine: Engine,
    module: InstancePre<Host>,
    memory_limit: usize,
}

/// One instance; after a trap it must not be called again.
pub(crate) struct Instance {
    store: Store<Host>,
    exports: Exports,
}

/// What an instance offers.
struct Exports {
    instance: wasmtime::Instance,
    memory: Memory,
    malloc: TypedFunc<i32, i32>,
    free: TypedFunc<i32, ()>,
}

impl Template {
    /// Matches the module's imports.
    pub(crate) fn new(engine: &Engine, module: &Module, memory_limit: usize) -> wasmtime::Result<Self> {
        let mut linker = Linker::new(engine);
        wasi::define(&mut linker)?;
        Ok(Self {
            engine: engine.clone(),
            module: linker.instantiate_pre(module)?,
            memory_limit,
        })
    }

    /// A fresh instance, initialised within `ticks` of the epoch.
    pub(crate) fn instantiate(&self, ticks: u64) -> Result<Instance, CallError> {
        let mut store = Store::new(&self.engine, Host::new(self.memory_limit));
        store.limiter(|host| host);
        store.set_epoch_deadline(ticks);
        store.epoch_deadline_trap();
        match self.start(&mut store) {
            Ok(exports) => Ok(Instance { store, exports }),
            Err(error) => Err(failure(&store, &error)),
        }
    }

    fn start(&self, store: &mut Store<Host>) -> wasmtime::Result<Exports> {
        let instance = self.module.instantiate(&mut *store)?;
        instance
            .get_typed_func::<(), ()>(&mut *store, "_initialize")?
            .call(&mut *store, ())?;
        let memory = instance
            .get_memory(&mut *store, "memory")
            .ok_or_else(|| wasmtime::Error::msg("the module exports no memory"))?;
        Ok(Exports {
            memory,
            malloc: instance.get_typed_func(&mut *store, "wasm_malloc")?,
            free: instance.get_typed_func(&mut *store, "wasm_free")?,
            instance,
        })
    }
}

impl Instance {
    /// Calls a method of the local service with a protobuf request; `ticks` of the epoch are its deadline.
    pub(crate) fn call(&mut self, method: &str, request: &[u8], ticks: u64) -> Result<Vec<u8>, CallError> {
        self.store.set_epoch_deadline(ticks);
        self.store.data_mut().memory_denied = false;
        match self.exchange(method, request) {
            Ok(answer) => answer,
            Err(error) => Err(failure(&self.store, &error)),
        }
    }

    /// Bytes of linear memory that the instance holds.
    pub(crate) fn memory_size(&self) -> usize {
        self.exports.memory.data_size(&self.store)
    }

    fn exchange(&mut self, method: &str, request: &[u8]) -> wasmtime::Result<Result<Vec<u8>, CallError>> {
        let name = format!("ZetaSqlLocalService_{method}");
        let function = self
            .exports
            .instance
            .get_typed_func::<(i32, i32, i32), i32>(&mut self.store, &name)?;
        let length = i32::try_from(request.len())?;
        let input = self.allocate(request.len().max(1))?;
        let output_length = self.allocate(4)?;
        self.exports
            .memory
            .write(&mut self.store, input as u32 as usize, request)?;
        let output = function.call(&mut self.store, (input, length, output_length))?;
        let answer = if output == 0 {
            Err(CallError::Refused(self.last_error()?))
        } else {
            let length = self.read_u32(output_length)?;
            let bytes = self.bytes(output, length)?;
            self.exports.free.call(&mut self.store, output)?;
            Ok(bytes)
        };
        self.exports.free.call(&mut self.store, input)?;
        self.exports.free.call(&mut self.store, output_length)?;
        Ok(answer)
    }

    fn allocate(&mut self, length: usize) -> wasmtime::Result<i32> {
        match self
            .exports
            .malloc
            .call(&mut self.store, i32::try_from(length)?)?
        {
            0 => {
                self.store.data_mut().memory_denied = true;
                Err(wasmtime::Error::msg("the module has no memory left"))
            }
            at => Ok(at),
        }
    }

    fn last_error(&mut self) -> wasmtime::Result<String> {
        let text = self
            .exports
            .instance
            .get_typed_func::<(), i32>(&mut self.store, "wasm_get_last_error")?;
        let size = self
            .exports
            .instance
            .get_typed_func::<(), i32>(&mut self.store, "wasm_get_last_error_size")?;
        let at = text.call(&mut self.store, ())?;
        let length = size.call(&mut self.store, ())?;
        let bytes = self.bytes(at, length as u32)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn read_u32(&mut self, at: i32) -> wasmtime::Result<u32> {
        let bytes = self.bytes(at, 4)?;
        Ok(bytes
            .iter()
            .rev()
            .fold(0, |value, byte| value << 8 | u32::from(*byte)))
    }

    fn bytes(&self, at: i32, length: u32) -> wasmtime::Result<Vec<u8>> {
        let start = at as u32 as usize;
        let bytes = self
            .exports
            .memory
            .data(&self.store)
            .get(start..start + length as usize);
        bytes
            .map(<[u8]>::to_vec)
            .ok_or_else(|| wasmtime::Error::msg("the module answered outside its memory"))
    }
}

/// What a trap means. GoogleSQL aborts when an allocation fails, so a denied page outranks the trap that follows it.
fn failure(store: &Store<Host>, error: &wasmtime::Error) -> CallError {
    if store.data().memory_denied {
        return CallError::Memory;
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::Interrupt) => CallError::Deadline,
        Some(Trap::StackOverflow) => CallError::Stack,
        Some(trap) => CallError::Trap(trap.to_string()),
        None => CallError::Trap(error.to_string()),
    }
}
