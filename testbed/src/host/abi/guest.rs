//! The guest as host functions see it: its memory, its allocator, the state behind it.

use wasmtime::{AsContextMut, Caller};

use crate::host::callback::Callback;
use crate::host::context::VM_CONTEXT;
use crate::host::instance::trap_of;
use crate::host::pairs::length;
use crate::host::state::{Host, Restriction};
use crate::host::status::Status;

/// A filter that has called the host.
pub(super) struct Guest<'a> {
    caller: Caller<'a, Host>,
}

impl<'a> Guest<'a> {
    pub(super) fn new(caller: Caller<'a, Host>) -> Self {
        Self { caller }
    }

    pub(super) fn host(&self) -> &Host {
        self.caller.data()
    }

    pub(super) fn host_mut(&mut self) -> &mut Host {
        self.caller.data_mut()
    }

    /// The memory and the state at once, so that a function can use one with the other.
    pub(super) fn parts(&mut self) -> Result<(&mut [u8], &mut Host), Status> {
        let memory = self.host().memory.ok_or(Status::InvalidMemoryAccess)?;
        Ok(memory.data_and_store_mut(&mut self.caller))
    }

    /// Bytes of the filter's memory.
    pub(super) fn read(&self, at: u32, length: u32) -> Result<&[u8], Status> {
        let memory = self.host().memory.ok_or(Status::InvalidMemoryAccess)?;
        slice(memory.data(&self.caller), at, length)
    }

    /// Checks a range of the filter's memory without reading it.
    pub(super) fn check(&self, at: u32, length: u32) -> Result<(), Status> {
        self.read(at, length).map(|_| ())
    }

    pub(super) fn write(&mut self, at: u32, bytes: &[u8]) -> Result<(), Status> {
        let (memory, _) = self.parts()?;
        slice_mut(memory, at, length(bytes.len()))?.copy_from_slice(bytes);
        Ok(())
    }

    pub(super) fn write_u32(&mut self, at: u32, value: u32) -> Result<(), Status> {
        self.write(at, &value.to_le_bytes())
    }

    pub(super) fn write_u64(&mut self, at: u32, value: u64) -> Result<(), Status> {
        self.write(at, &value.to_le_bytes())
    }

    /// Hands bytes over: the filter allocates room for them, they are copied there, and
    /// their address and length are written where the filter wants them. No bytes are
    /// address 0 and length 0, without an allocation.
    pub(super) fn give(
        &mut self,
        bytes: &[u8],
        address_at: u32,
        length_at: u32,
    ) -> Result<(), Status> {
        let length = length(bytes.len());
        let address = if bytes.is_empty() {
            0
        } else {
            self.allocate(length)?
        };
        self.write(address, bytes)?;
        self.write_u32(address_at, address)?;
        self.write_u32(length_at, length)
    }

    /// Asks the filter for memory. If its allocator traps, the machine has failed, but the
    /// callback that is running gets an error first, as in V8.
    pub(super) fn allocate(&mut self, length: u32) -> Result<u32, Status> {
        let allocate = self
            .host()
            .allocate
            .clone()
            .ok_or(Status::InvalidMemoryAccess)?;
        let host = self.host_mut();
        let before = (host.current, host.effective, host.restriction);
        (host.current, host.effective, host.restriction) =
            (VM_CONTEXT, None, Restriction::Allocating);
        let result = allocate.call(&mut self.caller, length);
        let failure = result.as_ref().err().map(|error| {
            trap_of(
                self.caller.as_context_mut(),
                error,
                Callback::Allocate.name(),
                VM_CONTEXT,
            )
        });
        let host = self.host_mut();
        (host.current, host.effective, host.restriction) = before;
        if let Some(trap) = failure {
            host.failure.get_or_insert(trap);
        }
        let address = result.unwrap_or(0);
        if address == 0 {
            return Err(Status::InvalidMemoryAccess);
        }
        self.check(address, length)?;
        Ok(address)
    }
}

/// A part of a memory, if it lies inside. As in V8 a range that ends at 4 GiB does not, and
/// neither does an empty one beyond the end.
pub(super) fn slice(memory: &[u8], at: u32, length: u32) -> Result<&[u8], Status> {
    let (start, end) = range(at, length)?;
    memory.get(start..end).ok_or(Status::InvalidMemoryAccess)
}

fn slice_mut(memory: &mut [u8], at: u32, length: u32) -> Result<&mut [u8], Status> {
    let (start, end) = range(at, length)?;
    memory
        .get_mut(start..end)
        .ok_or(Status::InvalidMemoryAccess)
}

fn range(at: u32, length: u32) -> Result<(usize, usize), Status> {
    let end = at.checked_add(length).ok_or(Status::InvalidMemoryAccess)?;
    let to_usize = |n: u32| usize::try_from(n).map_err(|_| Status::InvalidMemoryAccess);
    Ok((to_usize(at)?, to_usize(end)?))
}
