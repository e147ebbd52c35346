//! One instance of a module: calling into the guest, and what a call leaves behind.
//!
//! This file has the mechanics that all callbacks share. What the callbacks mean is in the
//! files beside it: `roots`, `http_events`, `tcp_events`, `call_events`.

use wasmtime::{AsContextMut, Store, StoreContextMut, ThrownException, TypedFunc, WasmBacktrace};
use wasmtime::{WasmParams, WasmResults};

use super::abi::RestrictedCall;
use super::callback::Callback;
use super::context::{Context, ContextId, Http, Root, Tcp, VM_CONTEXT};
use super::error::{BuildError, Trap, TrapCause};
use super::exports::{Exports, Start};
use super::module::{Metering, Module};
use super::state::{Action, Host, Restriction};

/// How many functions of the guest's stack a trap names.
const MAX_FRAMES: usize = 20;

/// A running instance.
pub(crate) struct Instance {
    pub(crate) store: Store<Host>,
    pub(crate) exports: Exports,
    /// The fuel for each callback.
    budget: u64,
    metered: bool,
}

impl Instance {
    /// Instantiates a module and initialises it.
    pub(crate) fn new(module: &Module, host: Host, budget: u64) -> Result<Self, BuildError> {
        let mut store = Store::new(module.engine(), host);
        store.limiter(|host| &mut host.limiter);
        let metered = module.metering() == Metering::On;
        if metered {
            store
                .set_fuel(budget)
                .map_err(|error| not_instantiated(&error))?;
        }
        store.data_mut().restriction = Restriction::Starting;
        let instance = module.instance().instantiate(&mut store).map_err(|error| {
            let name = Callback::Initialize.name();
            match error.is::<wasmtime::Trap>() {
                true => trap_of(store.as_context_mut(), &error, name, VM_CONTEXT).into(),
                false => not_instantiated(&error),
            }
        })?;
        let memory = instance
            .exports(&mut store)
            .find_map(wasmtime::Export::into_memory);
        let exports = Exports::of(&mut store, &instance, module.abi_version());
        // `malloc` is preferred, as in Envoy.
        let malloc = instance.get_typed_func(&mut store, "malloc").ok();
        let host = store.data_mut();
        host.memory = memory;
        host.allocate = malloc.or_else(|| exports.allocate.clone());
        let mut this = Self {
            store,
            exports,
            budget,
            metered,
        };
        this.start()?;
        Ok(this)
    }

    fn start(&mut self) -> Result<(), BuildError> {
        for start in self.exports.start.clone() {
            let callback = Callback::Initialize;
            let done = match start {
                Start::Plain(f) => self.call(VM_CONTEXT, callback, &f, ()).is_some(),
                Start::Main(f) => self.call(VM_CONTEXT, callback, &f, (0, 0)).is_some(),
                Start::MainVoid(f) => self.call(VM_CONTEXT, callback, &f, ()).is_some(),
            };
            if !done {
                break;
            }
        }
        self.host_mut().restriction = Restriction::None;
        self.host()
            .failure
            .clone()
            .map_or(Ok(()), |trap| Err(trap.into()))
    }

    pub(crate) fn host(&self) -> &Host {
        self.store.data()
    }

    pub(crate) fn host_mut(&mut self) -> &mut Host {
        self.store.data_mut()
    }

    pub(crate) fn failed(&self) -> bool {
        self.host().failure.is_some()
    }

    pub(crate) fn root_mut(&mut self, id: ContextId) -> Option<&mut Root> {
        self.host_mut().contexts.get_mut(&id)?.root_mut()
    }

    /// A context, also one that has ended.
    fn context(&self, id: ContextId) -> Option<&Context> {
        let host = self.host();
        host.contexts.get(&id).or_else(|| host.ended.get(&id))
    }

    pub(crate) fn http(&self, id: ContextId) -> Option<&Http> {
        self.context(id)?.http()
    }

    pub(crate) fn http_mut(&mut self, id: ContextId) -> Option<&mut Http> {
        self.host_mut().contexts.get_mut(&id)?.http_mut()
    }

    pub(crate) fn tcp(&self, id: ContextId) -> Option<&Tcp> {
        self.context(id)?.tcp()
    }

    pub(crate) fn tcp_mut(&mut self, id: ContextId) -> Option<&mut Tcp> {
        self.host_mut().contexts.get_mut(&id)?.tcp_mut()
    }

    /// The bytes of linear memory at present. It never shrinks.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.host()
            .memory
            .map_or(0, |memory| memory.data_size(&self.store))
    }

    /// Calls a function of the guest for a context. `None` means that the machine has failed:
    /// it may not be called again.
    ///
    /// The caller settles what the guest asked for with [`settle`](Self::settle).
    pub(crate) fn call<P, R>(
        &mut self,
        context: ContextId,
        callback: Callback,
        function: &TypedFunc<P, R>,
        parameters: P,
    ) -> Option<R>
    where
        P: WasmParams,
        R: WasmResults,
    {
        if self.failed() {
            return None;
        }
        let host = self.host_mut();
        let before = (host.current, host.effective);
        (host.current, host.effective) = (context, None);
        if self.metered && self.store.set_fuel(self.budget).is_err() {
            return None;
        }
        let result = function.call(&mut self.store, parameters);
        let left = if self.metered {
            self.store.get_fuel().unwrap_or(0)
        } else {
            self.budget
        };
        let failure = result
            .as_ref()
            .err()
            .map(|error| trap_of(self.store.as_context_mut(), error, callback.name(), context));
        let used = self.budget.saturating_sub(left);
        let host = self.host_mut();
        (host.current, host.effective) = before;
        host.fuel.record(callback, used);
        if let Some(trap) = failure {
            host.failure.get_or_insert(trap);
        }
        if self.failed() { None } else { result.ok() }
    }

    /// Does what the guest asked for in the callback that has just returned, in its order.
    /// What comes of it may be further callbacks, which settle the rest.
    pub(crate) fn settle(&mut self) {
        self.host_mut().stop_iteration = false;
        while let Some(action) = self.host_mut().actions.pop_front() {
            match action {
                Action::Continue(id, side) => self.continue_message(id, side),
                Action::ContinueReading(id) => self.continue_reading(id),
                Action::Reply(id, reply) => self.send_local_reply(id, reply),
                Action::Reset(id) => self.reset_stream(id),
                Action::CloseConnection(id) => self.close_connection(id),
                Action::DeleteFinished => self.delete_finished(),
            }
        }
    }
}

fn not_instantiated(error: &wasmtime::Error) -> BuildError {
    BuildError::Instantiate(format!("{error:#}"))
}

/// Describes the fault that ended a call.
pub(crate) fn trap_of(
    mut store: StoreContextMut<'_, Host>,
    error: &wasmtime::Error,
    callback: &'static str,
    context_id: ContextId,
) -> Trap {
    let cause = cause_of(error);
    if cause == TrapCause::UncaughtException {
        // It would otherwise stay pending and keep its object alive.
        store.take_pending_exception();
    }
    let frames = error
        .downcast_ref::<WasmBacktrace>()
        .map(|backtrace| {
            let names = backtrace.frames().iter().take(MAX_FRAMES);
            names
                .map(|frame| readable(frame.func_name().unwrap_or("?")))
                .collect()
        })
        .unwrap_or_default();
    Trap {
        callback,
        context_id,
        cause,
        message: error.root_cause().to_string(),
        frames,
    }
}

/// A function's name as its source has it.
fn readable(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

fn cause_of(error: &wasmtime::Error) -> TrapCause {
    use wasmtime::Trap as Code;
    if error.is::<ThrownException>() {
        return TrapCause::UncaughtException;
    }
    if error.is::<RestrictedCall>() {
        return TrapCause::RestrictedCall;
    }
    match error.downcast_ref::<Code>() {
        Some(Code::UnreachableCodeReached) => TrapCause::Unreachable,
        Some(Code::MemoryOutOfBounds | Code::TableOutOfBounds | Code::ArrayOutOfBounds) => {
            TrapCause::OutOfBounds
        }
        Some(Code::StackOverflow) => TrapCause::StackOverflow,
        Some(Code::OutOfFuel) => TrapCause::OutOfFuel,
        Some(
            Code::IntegerOverflow | Code::IntegerDivisionByZero | Code::BadConversionToInteger,
        ) => TrapCause::Arithmetic,
        Some(Code::IndirectCallToNull | Code::BadSignature) => TrapCause::IndirectCall,
        _ => TrapCause::Other,
    }
}
