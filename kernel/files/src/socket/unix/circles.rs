//! Sockets that only each other's inboxes still hold: sent over themselves, or in circles of any length. Nobody can receive them any more, so what
//! waits in them is thrown away, and they go with it (Linux: `unix_gc`).
//!
//! A socket that is sent is noted. Of those that are noted, one is out of reach when all handles to it lie in inboxes of sockets that are out of
//! reach. While that is looked at, no file moves into an inbox or out of one: who moves some that are sockets holds [`MOVING`]. A socket whose handles all
//! lie in inboxes stays as it is then, since every new handle is made from one that somebody has in hand.

use alloc::collections::BTreeMap;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::any::Any;
use core::sync::atomic::{AtomicUsize, Ordering};

use machine::frame::OutOfMemory;
use machine::heap::{Grow, try_insert};
use threads::{Mutex, MutexGuard};

use super::UnixSocket;
use crate::open_file::OpenFile;

/// Sockets that have been sent, by their open file's number, and perhaps have been received since.
pub(super) struct Sent {
    sockets: BTreeMap<u64, Weak<OpenFile>>,
    /// How many there may be before it is looked for those that have gone or are out of reach.
    limit: usize,
}

static MOVING: Mutex<Sent> = Mutex::new(Sent { sockets: BTreeMap::new(), limit: 0 });
/// How many are noted, for who closes something and has no lock.
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// Sockets closed since it was last looked.
static CLOSED: AtomicUsize = AtomicUsize::new(0);

/// How often it was asked for since somebody began to look.
static IS_WANTED: AtomicUsize = AtomicUsize::new(0);

/// So few are looked at whenever a socket is closed, more not until as many have been.
const FEW: usize = 64;

/// One socket while its circle is looked for.
struct Suspect {
    file: Arc<OpenFile>,
    id: u64,
    /// Handles in the inboxes of suspects.
    inside: usize,
    is_reachable: bool,
}

fn socket_of(file: &OpenFile) -> Option<&UnixSocket> {
    let any: &dyn Any = &**file.file();
    any.downcast_ref()
}

/// Keeps files where they are, for who moves some into an inbox or out of one.
pub(super) fn hold_still() -> MutexGuard<'static, Sent> {
    MOVING.lock()
}

/// Notes the sockets among files that are about to be sent; the guard is held until they are in an inbox. None of them needs one if there is no socket.
pub(super) fn note(files: &[Arc<OpenFile>]) -> Result<Option<MutexGuard<'static, Sent>>, OutOfMemory> {
    if !files.iter().any(|file| socket_of(file).is_some()) {
        return Ok(None);
    }
    let mut sent = MOVING.lock();
    if sent.sockets.len() > sent.limit {
        drop(sent);
        collect();
        sent = MOVING.lock();
    }
    for file in files.iter().filter(|file| socket_of(file).is_some()) {
        try_insert(&mut sent.sockets, file.id(), Arc::downgrade(file))?;
    }
    COUNT.store(sent.sockets.len(), Ordering::Relaxed);
    Ok(Some(sent))
}

/// Called when a handle to a socket has been closed: others may be out of reach now.
pub fn socket_was_closed() {
    let count = COUNT.load(Ordering::Relaxed);
    if count > 0 && (count <= FEW || CLOSED.fetch_add(1, Ordering::Relaxed) >= count) {
        collect();
    }
}

/// Throws away what waits in sockets that are out of reach, until there are none. What is thrown away may close others, which is left to who does
/// this already, so that no chain of them uses up the stack.
fn collect() {
    if IS_WANTED.fetch_add(1, Ordering::AcqRel) > 0 {
        return;
    }
    loop {
        let wanted = IS_WANTED.load(Ordering::Acquire);
        for file in find_garbage() {
            if let Some(socket) = socket_of(&file) {
                socket.empty();
            }
        }
        if IS_WANTED.compare_exchange(wanted, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            return;
        }
        IS_WANTED.store(1, Ordering::Release);
    }
}

/// The sockets that are out of reach. Without memory for the look there are none.
fn find_garbage() -> Vec<Arc<OpenFile>> {
    let mut suspects = Vec::new();
    let mut sent = MOVING.lock();
    CLOSED.store(0, Ordering::Relaxed);
    sent.sockets.retain(|_, file| file.strong_count() > 0);
    COUNT.store(sent.sockets.len(), Ordering::Relaxed);
    sent.limit = 2 * sent.sockets.len() + FEW;
    if suspects.try_grow_exact(sent.sockets.len()).is_err() {
        return Vec::new();
    }
    for (id, file) in &sent.sockets {
        if let Some(file) = file.upgrade() {
            suspects.push(Suspect { file, id: *id, inside: 0, is_reachable: false });
        }
    }
    find_reachable(&mut suspects);
    drop(sent);
    suspects.retain(|suspect| !suspect.is_reachable);
    let mut garbage = Vec::new();
    if garbage.try_grow_exact(suspects.len()).is_ok() {
        garbage.extend(suspects.into_iter().map(|suspect| suspect.file));
    }
    garbage
}

/// Marks those that somebody can get at. The suspects are in order of their numbers.
fn find_reachable(suspects: &mut [Suspect]) {
    for at in 0..suspects.len() {
        visit(suspects, at, |suspect| suspect.inside += 1);
    }
    // One handle is the suspect's own.
    for suspect in &mut *suspects {
        suspect.is_reachable = Arc::strong_count(&suspect.file) > suspect.inside + 1;
    }
    // As often as a chain of sockets is long that are reached through each other only.
    let mut has_changed = true;
    while has_changed {
        has_changed = false;
        for at in 0..suspects.len() {
            if suspects.get(at).is_some_and(|suspect| suspect.is_reachable) {
                visit(suspects, at, |suspect| {
                    has_changed |= !core::mem::replace(&mut suspect.is_reachable, true);
                });
            }
        }
    }
}

/// Visits the suspects that wait in the inboxes of one of them.
fn visit(suspects: &mut [Suspect], at: usize, mut each: impl FnMut(&mut Suspect)) {
    let Some(file) = suspects.get(at).map(|suspect| Arc::clone(&suspect.file)) else { return };
    let Some(socket) = socket_of(&file) else { return };
    socket.each_waiting(&mut |waiting| {
        if let Ok(found) = suspects.binary_search_by_key(&waiting.id(), |suspect| suspect.id)
            && let Some(suspect) = suspects.get_mut(found)
        {
            each(suspect);
        }
    });
}
