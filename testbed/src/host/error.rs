//! What can go wrong: one typed error for each stage of a filter's life.
//!
//! Loading a module ([`ModuleError`]), starting a virtual machine ([`BuildError`]),
//! feeding a stream ([`StreamError`]), answering a call that the filter made
//! ([`CallError`]). A fault of the guest itself is a [`Trap`], wherever it happens.

use std::fmt;

/// Why a module cannot be loaded. Envoy refuses the same modules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModuleError {
    /// The bytes are not a WebAssembly module that this engine accepts.
    #[error("the module does not compile: {0}")]
    Compile(String),
    /// No `proxy_abi_version_*` function is exported, or one that is not known.
    #[error(
        "the module does not say which ABI it speaks: \
         it exports none of `proxy_abi_version_0_1_0`, `_0_2_0`, `_0_2_1`"
    )]
    UnknownAbi,
    /// The module wants something that the host does not offer in this ABI version.
    #[error("missing import `{module}.{name}`")]
    MissingImport {
        /// The import's module name, such as `env`.
        module: String,
        /// The import's name.
        name: String,
    },
    /// An import exists under that name with another type; in the engine's words.
    #[error("an import has another type than the host's: {0}")]
    ImportType(String),
    /// An exported callback has another signature than the ABI gives it.
    #[error("export `{name}` has another type than the ABI's")]
    ExportType {
        /// The export's name.
        name: String,
    },
    /// Neither `malloc` nor `proxy_on_memory_allocate` is exported.
    #[error("the module exports no allocator: neither `malloc` nor `proxy_on_memory_allocate`")]
    MissingAllocator,
    /// No 32-bit memory is exported.
    #[error("the module exports no 32-bit memory")]
    MissingMemory,
}

/// Why a virtual machine or a plugin in it did not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The module could not be instantiated, within the memory cap for instance.
    #[error("the module cannot be instantiated: {0}")]
    Instantiate(String),
    /// The filter trapped while it was started or configured.
    #[error(transparent)]
    Trap(#[from] Trap),
    /// `proxy_on_vm_start` returned false.
    #[error("the filter refused to start: `proxy_on_vm_start` returned false")]
    StartRefused,
    /// `proxy_on_configure` returned false: a NACK, the last good configuration stays.
    #[error("the filter refused its configuration: `proxy_on_configure` returned false")]
    ConfigurationRefused,
    /// The virtual machine has failed before and has not been reloaded.
    #[error("the virtual machine has failed and is not reloaded yet")]
    Failed,
}

/// Why an event of a stream could not be delivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The filter trapped in this event; the virtual machine has failed. What the client
    /// sees of it is in the stream's outcome.
    #[error(transparent)]
    Trap(#[from] Trap),
    /// A proxy never delivers this event here: the test is at fault.
    #[error("`{event}` cannot come here: {reason}")]
    OutOfOrder {
        /// The event, by the name of the method.
        event: &'static str,
        /// What forbids it.
        reason: &'static str,
    },
}

/// Why the answer to a filter's call could not be delivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The filter trapped while it took the answer.
    #[error(transparent)]
    Trap(#[from] Trap),
    /// No call under this token is waiting: it was answered, cancelled, or never made.
    #[error("no call with token {0} is waiting")]
    UnknownToken(u32),
}

/// The end of a virtual machine: a fault inside the filter that WebAssembly does not let
/// it survive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trap {
    /// The callback the host had called, such as `proxy_on_request_headers`.
    pub callback: &'static str,
    /// The context for which it was called. 0 while the module is initialised and while
    /// the host asks for memory.
    pub context_id: u32,
    /// The kind of fault.
    pub cause: TrapCause,
    /// The engine's words for it.
    pub message: String,
    /// The functions on the stack, innermost first, as far as the module names them.
    pub frames: Vec<String>,
}

/// The kinds of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TrapCause {
    /// An `unreachable` instruction: where a Rust panic ends unless it is caught.
    Unreachable,
    /// An access outside the linear memory or a table.
    OutOfBounds,
    /// The call stack is exhausted.
    StackOverflow,
    /// The callback used more fuel than its budget.
    OutOfFuel,
    /// An integer division by zero, an overflow, a float that is no integer.
    Arithmetic,
    /// An indirect call to nothing, or to a function of another type.
    IndirectCall,
    /// A WebAssembly exception left the callback uncaught.
    UncaughtException,
    /// A host function that is forbidden while the module starts or allocates.
    RestrictedCall,
    /// Anything else; the message says what.
    Other,
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            callback,
            context_id,
            cause: _,
            message,
            frames,
        } = self;
        write!(f, "`{callback}` trapped in context {context_id}: {message}")?;
        if !frames.is_empty() {
            write!(f, " (in {})", frames.join(" < "))?;
        }
        Ok(())
    }
}

impl std::error::Error for Trap {}
