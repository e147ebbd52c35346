//! Compiled modules.

use std::sync::Arc;

use wasmtime::{
    Collector, Config, Engine, ExternType, FuncType, InstancePre, UnknownImportError, ValType,
};

use super::abi;
use super::abi_version::AbiVersion;
use super::callback::Callback;
use super::error::ModuleError;
use super::exports::{Signature, signature_of};
use super::state::Host;

/// How much native stack a callback may use before it traps. Threads that run tests have
/// 2 MiB, of which the host needs little.
const MAX_STACK: usize = 1024 * 1024;

/// Whether fuel is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Metering {
    /// Every instruction is counted, so that budgets hold and costs can be asserted. The
    /// counting itself takes time.
    #[default]
    On,
    /// Nothing is counted: for benchmarks. An endless loop in the filter never ends, and
    /// budgets have no effect.
    Off,
}

/// A compiled filter, to be instantiated any number of times. Clones are the same module;
/// they may be used from many threads at once.
#[derive(Clone)]
pub struct Module(Arc<Inner>);

struct Inner {
    engine: Engine,
    instance: InstancePre<Host>,
    abi: AbiVersion,
    metering: Metering,
}

impl Module {
    /// Compiles a binary module and checks that it is a proxy-wasm filter, with fuel metering.
    ///
    /// # Errors
    /// If it does not compile, does not declare its ABI version, imports what the host does
    /// not offer, or exports callbacks of wrong types.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ModuleError> {
        Self::with_metering(bytes, Metering::On)
    }

    /// The same, with fuel metering on or off.
    ///
    /// # Errors
    /// As [`from_bytes`](Self::from_bytes).
    pub fn with_metering(bytes: &[u8], metering: Metering) -> Result<Self, ModuleError> {
        let engine = engine(metering).map_err(|error| compile_error(&error))?;
        let module =
            wasmtime::Module::from_binary(&engine, bytes).map_err(|error| compile_error(&error))?;
        let functions = module
            .exports()
            .filter(|export| matches!(export.ty(), ExternType::Func(_)))
            .map(|export| export.name());
        let abi = AbiVersion::of(functions).ok_or(ModuleError::UnknownAbi)?;
        check_exports(&module, abi)?;
        let linker = abi::linker(&engine, abi).map_err(|error| compile_error(&error))?;
        let instance = linker
            .instantiate_pre(&module)
            .map_err(|error| import_error(&error))?;
        Ok(Self(Arc::new(Inner {
            engine,
            instance,
            abi,
            metering,
        })))
    }

    /// The ABI version that the module declares.
    pub fn abi_version(&self) -> AbiVersion {
        self.0.abi
    }

    /// Whether fuel is counted.
    pub fn metering(&self) -> Metering {
        self.0.metering
    }

    /// Whether the module exports a callback. What is not exported costs nothing.
    pub fn exports(&self, callback: Callback) -> bool {
        self.0
            .instance
            .module()
            .get_export(callback.name())
            .is_some()
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    pub(crate) fn instance(&self) -> &InstancePre<Host> {
        &self.0.instance
    }
}

impl std::fmt::Debug for Module {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Module")
            .field("abi", &self.0.abi)
            .finish_non_exhaustive()
    }
}

/// Filters catch their panics with WebAssembly exceptions, which are objects of the
/// collector: it has to be one that frees, or a filter that survives a million panics would
/// run out of memory.
fn engine(metering: Metering) -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config
        .wasm_exceptions(true)
        .collector(Collector::Copying)
        .consume_fuel(metering == Metering::On)
        .max_wasm_stack(MAX_STACK);
    Engine::new(&config)
}

fn compile_error(error: &wasmtime::Error) -> ModuleError {
    ModuleError::Compile(format!("{error:#}"))
}

fn check_exports(module: &wasmtime::Module, abi: AbiVersion) -> Result<(), ModuleError> {
    let mut memory = false;
    let mut allocator = false;
    for export in module.exports() {
        match export.ty() {
            ExternType::Memory(ty) => memory |= !ty.is_64(),
            ExternType::Func(ty) => {
                allocator |= matches!(export.name(), "malloc" | "proxy_on_memory_allocate");
                if signature_of(export.name(), abi).is_some_and(|wanted| !is(&ty, wanted)) {
                    return Err(ModuleError::ExportType {
                        name: export.name().to_owned(),
                    });
                }
            }
            _ => {}
        }
    }
    if !memory {
        return Err(ModuleError::MissingMemory);
    }
    if !allocator {
        return Err(ModuleError::MissingAllocator);
    }
    Ok(())
}

/// All of the ABI's callbacks take and return 32-bit integers.
fn is(ty: &FuncType, wanted: Signature) -> bool {
    let is_i32 = |ty: ValType| matches!(ty, ValType::I32);
    ty.params().len() == wanted.parameters
        && ty.results().len() == usize::from(wanted.returns)
        && ty.params().all(is_i32)
        && ty.results().all(is_i32)
}

fn import_error(error: &wasmtime::Error) -> ModuleError {
    match error.downcast_ref::<UnknownImportError>() {
        Some(unknown) => ModuleError::MissingImport {
            module: unknown.module().to_owned(),
            name: unknown.name().to_owned(),
        },
        None => ModuleError::ImportType(format!("{error:#}")),
    }
}
