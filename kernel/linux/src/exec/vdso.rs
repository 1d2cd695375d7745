//! The vDSO: a shared object of the kernel's own in every program, by which it tells the time without a call (vdso(7)).
//!
//! ```text
//!   [vvar]  r--  the page of the clock, which the kernel changes
//!   [vdso]  r-x  the shared object: AT_SYSINFO_EHDR leads to it
//! ```
//!
//! Its code is the machine's; what makes a shared object of it is `formats`. It is made once; all programs have the same two pages.

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::mman::MapFlags;
use formats::elf::shared::{Function, SharedObject};
use machine::address::{PAGE_SIZE, UserAddress};
use machine::frame::{Frame, Owner};
use machine::heap::try_to_vec;
use machine::sync::Once;
use machine::vdso::{CODE_OFFSET, Vdso};
use memory::{AddressSpace, Backing, MapKind, MappedFile, Object, Protection};

/// What programs find: the names that Linux gives, their version, and the object's own name.
const VERSION: &str = "LINUX_2.6";
const NAME: &str = "linux-vdso.so.1";
const PREFIX: &str = "__vdso_";

/// What every program gets; none where there is nothing to be had.
static MADE: Once<Option<Made>> = Once::new();

struct Made {
    /// Both pages.
    pages: Arc<Object>,
    /// What each is called, and what programs may do with it.
    parts: [(Arc<dyn MappedFile>, Protection); 2],
}

/// Makes the object. Called once, before the first program is loaded.
pub fn start() {
    let made = machine::vdso::vdso().and_then(|vdso| match make(&vdso) {
        Ok(made) => Some(made),
        Err(error) => {
            kernel_log::error!("programs get no vDSO: {}", error.description());
            None
        }
    });
    // Called once.
    let _ = MADE.set(made);
}

#[expect(clippy::disallowed_methods, reason = "made at boot")]
fn make(vdso: &Vdso) -> Result<Made, Errno> {
    let names: Vec<_> = vdso.functions.iter().map(|function| [PREFIX, function.name].concat()).collect();
    let functions: Vec<_> = vdso
        .functions
        .iter()
        .zip(&names)
        .map(|(function, name)| Function {
            name,
            alias: Some(function.name),
            offset: function.offset,
            length: function.length,
        })
        .collect();
    let object = SharedObject {
        name: NAME,
        version: VERSION,
        functions: &functions,
        code: vdso.code,
        code_offset: CODE_OFFSET,
    };
    let bytes = object.build().map_err(|_| Errno::E2BIG)?;
    let image = Frame::new(Owner::Cache)?;
    if image.write(0, &bytes) < bytes.len() {
        return Err(Errno::E2BIG);
    }
    Ok(Made {
        pages: Object::of_pages(&[vdso.page.clone(), image])?,
        parts: [
            (Arc::new(Part(b"[vvar]")), Protection::READ),
            (Arc::new(Part(b"[vdso]")), Protection::READ | Protection::EXECUTE),
        ],
    })
}

/// One of the two areas, as /proc/PID/maps shows it.
struct Part(&'static [u8]);

impl MappedFile for Part {
    fn identity(&self) -> (u64, u64) {
        (0, 0)
    }

    fn name(&self) -> Result<Vec<u8>, Errno> {
        Ok(try_to_vec(self.0)?)
    }
}

/// Maps both pages into a new address space. Returns where the shared object is.
pub fn map(space: &Arc<AddressSpace>) -> Result<Option<u64>, Errno> {
    let Some(made) = MADE.get().and_then(Option::as_ref) else { return Ok(None) };
    // Nobody else uses the space yet, so it stays free.
    let start = space.find_room(2 * PAGE_SIZE)?;
    let mut at = start;
    for (file, protection) in &made.parts {
        let backing = Backing::Object {
            object: Arc::clone(&made.pages),
            offset_bytes: (at.0 - start.0) as u64,
            file: Some(Arc::clone(file)),
            may_write: false,
        };
        space.map(at, PAGE_SIZE, *protection, MapKind::Private, backing, MapFlags::FIXED_NOREPLACE)?;
        at = UserAddress(at.0 + PAGE_SIZE);
    }
    Ok(Some((start.0 + PAGE_SIZE) as u64))
}
