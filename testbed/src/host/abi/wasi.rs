//! The part of WASI that Envoy offers: enough for language runtimes, nothing of a system.
//!
//! Standard output and error go to the log, clocks are the virtual clock, random numbers are
//! repeatable, everything about files and sockets is refused. Results are WASI's errno.
//! Offered as `wasi_snapshot_preview1` and under the old name `wasi_unstable`.

use wasmtime::{Caller, Linker};

use super::guest::Guest;
use super::linker::{Allowed, RestrictedCall};
use crate::host::log::LogLevel;
use crate::host::pairs::length;
use crate::host::state::Host;
use crate::host::status::Status;

/// WASI's error numbers, as far as they are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
enum Errno {
    Badf = 8,
    Fault = 21,
    Inval = 28,
    Noent = 44,
    Nosys = 52,
    Notdir = 20,
    Notsup = 58,
}

/// No line is longer than this, however often a module names the same bytes in one write.
const MAX_WRITE: usize = 16 * 1024 * 1024;

type Answer = Result<(), Errno>;

const STDOUT: u32 = 1;
const STDERR: u32 = 2;
/// Rights base: `fd_write` is bit 6.
const RIGHT_TO_WRITE: u64 = 1 << 6;
/// As in Envoy, and as browsers limit it.
const MAX_RANDOM: u32 = 64 * 1024;

fn answer(
    caller: Caller<'_, Host>,
    name: &'static str,
    allowed: Allowed,
    function: impl FnOnce(&mut Guest<'_>) -> Answer,
) -> wasmtime::Result<u32> {
    if !allowed.admits(caller.data().restriction) {
        return Err(wasmtime::Error::new(RestrictedCall(name)));
    }
    let mut guest = Guest::new(caller);
    Ok(function(&mut guest).err().map_or(0, |errno| errno as u32))
}

macro_rules! functions {
    ($linker:ident, $module:ident, { $($name:literal [$allowed:ident] => |$guest:ident $(, $arg:ident: $type:ty)*| $body:expr;)* }) => {
        $($linker.func_wrap(
            $module,
            $name,
            |caller: Caller<'_, Host>, $($arg: $type),*| {
                answer(caller, $name, Allowed::$allowed, |$guest| $body)
            },
        )?;)*
    };
}

/// Adds the functions under both names of the module.
pub(super) fn link(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    for module in ["wasi_snapshot_preview1", "wasi_unstable"] {
        link_basic(linker, module)?;
        link_files(linker, module)?;
        link_paths_and_sockets(linker, module)?;
    }
    linker.func_wrap("env", "pthread_equal", |a: u32, b: u32| u32::from(a == b))?;
    linker.func_wrap("env", "emscripten_notify_memory_growth", |_memory: u32| {})?;
    Ok(())
}

fn link_basic(linker: &mut Linker<Host>, module: &str) -> wasmtime::Result<()> {
    functions!(linker, module, {
        "fd_write" [Always] => |guest, fd: u32, parts: u32, count: u32, written_at: u32|
            write(guest, fd, parts, count, written_at);
        "clock_time_get" [Always] => |guest, clock: u32, _precision: u64, time_at: u32|
            clock_time(guest, clock, time_at);
        "poll_oneoff" [Always] => |guest, _in: u32, _out: u32, _count: u32, events_at: u32|
            put_u32(guest, events_at, 0);
        "clock_res_get" [Start] => |guest, clock: u32, resolution_at: u32|
            if clock <= 1 { put_u64(guest, resolution_at, 1) } else { Err(Errno::Notsup) };
        "random_get" [Start] => |guest, at: u32, length: u32| random(guest, at, length);
        "environ_get" [Start] => |guest, list: u32, text: u32| environment(guest, list, text);
        "environ_sizes_get" [Start] => |guest, count_at: u32, size_at: u32|
            environment_sizes(guest, count_at, size_at);
        "args_get" [Start] => |_guest, _list: u32, _text: u32| Ok(());
        "args_sizes_get" [Start] => |guest, count_at: u32, size_at: u32|
            put_u32(guest, count_at, 0).and_then(|()| put_u32(guest, size_at, 0));
        "sched_yield" [Callbacks] => |_guest| Ok(());
        "fd_seek" [Callbacks] => |_guest, _fd: u32, _offset: i64, _whence: u32, _at: u32| Ok(());
        "fd_close" [Callbacks] => |_guest, _fd: u32| Ok(());
        "fd_read" [Callbacks] => |_guest, _fd: u32, _parts: u32, _count: u32, _at: u32|
            Err(Errno::Nosys);
    });
    // A module that exits gets control back; its runtime then runs into `unreachable`.
    linker.func_wrap(module, "proc_exit", |_code: u32| {})?;
    Ok(())
}

fn link_files(linker: &mut Linker<Host>, module: &str) -> wasmtime::Result<()> {
    functions!(linker, module, {
        "fd_fdstat_get" [Start] => |guest, fd: u32, stat_at: u32| fdstat(guest, fd, stat_at);
        "fd_fdstat_set_flags" [Start] => |_guest, _fd: u32, _flags: u32| Err(Errno::Nosys);
        "fd_fdstat_set_rights" [Start] => |_guest, fd: u32, _base: u64, _inheriting: u64|
            standard(fd);
        "fd_filestat_get" [Start] => |_guest, _fd: u32, _at: u32| Err(Errno::Badf);
        "fd_filestat_set_size" [Start] => |_guest, fd: u32, _size: u64| standard(fd);
        "fd_filestat_set_times" [Start] =>
            |_guest, fd: u32, _access: u64, _modified: u64, _flags: u32| standard(fd);
        "fd_advise" [Start] => |_guest, _fd: u32, _offset: u64, _length: u64, _advice: u32|
            Ok(());
        "fd_allocate" [Start] => |_guest, fd: u32, _offset: u64, _length: u64| standard(fd);
        "fd_datasync" [Start] => |_guest, fd: u32| standard(fd);
        "fd_sync" [Start] => |_guest, fd: u32| standard(fd);
        "fd_tell" [Start] => |guest, fd: u32, offset_at: u32|
            standard(fd).and_then(|()| put_u64(guest, offset_at, 0));
        "fd_pread" [Start] => |_guest, _fd: u32, _parts: u32, _count: u32, _from: u64, _at: u32|
            Err(Errno::Nosys);
        "fd_pwrite" [Start] =>
            |guest, fd: u32, parts: u32, count: u32, _from: u64, written_at: u32|
            write(guest, fd, parts, count, written_at);
        "fd_readdir" [Start] =>
            |guest, _fd: u32, _at: u32, _length: u32, _cookie: u64, used_at: u32|
            put_u32(guest, used_at, 0).and(Err(Errno::Notdir));
        "fd_renumber" [Start] => |_guest, from: u32, to: u32|
            standard(from).and_then(|()| standard(to)).and(Err(Errno::Notsup));
        "fd_prestat_get" [Start] => |_guest, _fd: u32, _at: u32| Err(Errno::Badf);
        "fd_prestat_dir_name" [Start] => |_guest, _fd: u32, _at: u32, _length: u32|
            Err(Errno::Nosys);
    });
    Ok(())
}

fn link_paths_and_sockets(linker: &mut Linker<Host>, module: &str) -> wasmtime::Result<()> {
    functions!(linker, module, {
        "path_open" [Callbacks] =>
            |_guest, _fd: u32, _lookup: u32, _path: u32, _length: u32, _open: u32,
             _rights: i64, _inherited: i64, _flags: u32, _at: u32| Err(Errno::Noent);
        "path_create_directory" [Start] => |_guest, _fd: u32, _path: u32, _length: u32|
            Err(Errno::Notsup);
        "path_filestat_get" [Start] =>
            |_guest, _fd: u32, _lookup: u32, _path: u32, _length: u32, _at: u32|
            Err(Errno::Notsup);
        "path_filestat_set_times" [Start] =>
            |_guest, _fd: u32, _lookup: u32, _path: u32, _length: u32, _access: u64,
             _modified: u64, _flags: u32| Err(Errno::Notsup);
        "path_link" [Start] =>
            |_guest, _fd: u32, _lookup: u32, _path: u32, _length: u32, _to: u32, _name: u32|
            Err(Errno::Notsup);
        "path_readlink" [Start] =>
            |guest, _fd: u32, _path: u32, _length: u32, _to: u32, _size: u32, used_at: u32|
            put_u32(guest, used_at, 0).and(Err(Errno::Notsup));
        "path_remove_directory" [Start] => |_guest, _fd: u32, _path: u32, _length: u32|
            Err(Errno::Notsup);
        "path_rename" [Start] =>
            |_guest, _fd: u32, _path: u32, _length: u32, _to: u32, _name: u32, _size: u32|
            Err(Errno::Notsup);
        "path_symlink" [Start] => |_guest, _path: u32, _length: u32, _fd: u32, _name: u32|
            Err(Errno::Notsup);
        "path_unlink_file" [Start] => |_guest, _fd: u32, _path: u32, _length: u32|
            Err(Errno::Notsup);
        "sock_accept" [Start] => |_guest, _fd: u32, _flags: u32, _at: u32| Err(Errno::Notsup);
        "sock_recv" [Start] =>
            |_guest, _fd: u32, _parts: u32, _count: u32, _flags: u32, _at: u32, _out: u32|
            Err(Errno::Notsup);
        "sock_send" [Start] =>
            |_guest, _fd: u32, _parts: u32, _count: u32, _flags: u32, _at: u32|
            Err(Errno::Notsup);
        "sock_shutdown" [Start] => |_guest, _fd: u32, _how: u32| Err(Errno::Notsup);
    });
    Ok(())
}

fn standard(fd: u32) -> Answer {
    matches!(fd, STDOUT | STDERR)
        .then_some(())
        .ok_or(Errno::Badf)
}

fn put_u32(guest: &mut Guest<'_>, at: u32, value: u32) -> Answer {
    guest.write_u32(at, value).map_err(fault)
}

fn put_u64(guest: &mut Guest<'_>, at: u32, value: u64) -> Answer {
    guest.write_u64(at, value).map_err(fault)
}

fn fault(_: Status) -> Errno {
    Errno::Fault
}

/// Each write is one line of the log; a final newline is dropped.
fn write(guest: &mut Guest<'_>, fd: u32, parts: u32, count: u32, written_at: u32) -> Answer {
    standard(fd)?;
    let mut text = Vec::new();
    for nth in 0..count {
        let part = nth
            .checked_mul(8)
            .and_then(|offset| parts.checked_add(offset));
        let part = guest.read(part.ok_or(Errno::Fault)?, 8).map_err(fault)?;
        let Some((at, size)) = part.split_first_chunk::<4>() else {
            return Err(Errno::Fault);
        };
        let Some(size) = size.first_chunk::<4>() else {
            return Err(Errno::Fault);
        };
        let (at, size) = (u32::from_le_bytes(*at), u32::from_le_bytes(*size));
        if size > 0 {
            text.extend_from_slice(guest.read(at, size).map_err(fault)?);
        }
        if text.len() > MAX_WRITE {
            return Err(Errno::Inval);
        }
    }
    let written = length(text.len());
    if text.last() == Some(&b'\n') {
        text.pop();
    }
    if written > 0 {
        let level = if fd == STDERR {
            LogLevel::Error
        } else {
            LogLevel::Info
        };
        guest.host().write_log(level, text);
    }
    put_u32(guest, written_at, written)
}

fn clock_time(guest: &mut Guest<'_>, clock: u32, time_at: u32) -> Answer {
    let time = match clock {
        0 => guest.host().clock.now_nanos(),
        1 => guest.host().clock.monotonic_nanos(),
        _ => return Err(Errno::Notsup),
    };
    put_u64(guest, time_at, time)
}

fn random(guest: &mut Guest<'_>, at: u32, size: u32) -> Answer {
    if size > MAX_RANDOM {
        return Err(Errno::Inval);
    }
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(0)];
    guest.host_mut().random.fill(&mut bytes);
    if bytes.is_empty() {
        Ok(())
    } else {
        guest.write(at, &bytes).map_err(fault)
    }
}

fn environment(guest: &mut Guest<'_>, mut list: u32, mut text: u32) -> Answer {
    let variables = guest.host().environment.clone();
    for (name, value) in variables {
        let entry = [&name[..], b"=", &value[..], b"\0"].concat();
        put_u32(guest, list, text)?;
        guest.write(text, &entry).map_err(fault)?;
        list = list.checked_add(4).ok_or(Errno::Fault)?;
        text = text.checked_add(length(entry.len())).ok_or(Errno::Fault)?;
    }
    Ok(())
}

fn environment_sizes(guest: &mut Guest<'_>, count_at: u32, size_at: u32) -> Answer {
    let variables = &guest.host().environment;
    let count = length(variables.len());
    let size: usize = variables
        .iter()
        .map(|(name, value)| name.len() + value.len() + 2)
        .sum();
    put_u32(guest, count_at, count)?;
    put_u32(guest, size_at, length(size))
}

fn fdstat(guest: &mut Guest<'_>, fd: u32, stat_at: u32) -> Answer {
    standard(fd)?;
    let mut stat = [0; 24];
    let (_, rights) = stat.split_at_mut(8);
    for (byte, right) in rights.iter_mut().zip(RIGHT_TO_WRITE.to_le_bytes()) {
        *byte = right;
    }
    guest.write(stat_at, &stat).map_err(fault)
}
