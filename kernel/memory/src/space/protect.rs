//! mprotect(2).

use abi::Errno;
use machine::address::UserAddress;
use machine::paging::{Gather, Protection};

use super::AddressSpace;
use super::map::wrapping_ceil;
use crate::area::{AreaFlags, Backing};
use crate::overcommit;

impl AddressSpace {
    /// Changes what the program may do with the pages of a range (mprotect(2)). What lies before the first page that is not mapped is changed when `ENOMEM` is returned, as in Linux.
    ///
    /// `EINVAL` for an unaligned start, `ENOMEM` for holes, over a limit or too many areas, `EACCES` for stores to a shared file that was not opened for them.
    pub fn protect(&self, start: UserAddress, len: usize, protection: Protection) -> Result<(), Errno> {
        if !start.is_page_aligned() {
            return Err(Errno::EINVAL);
        }
        if len == 0 {
            return Ok(());
        }
        let end = start.0.wrapping_add(wrapping_ceil(len));
        if end <= start.0 {
            return Err(Errno::ENOMEM);
        }
        // What lies outside user space is a hole.
        let range = start.0..end;
        let _changes = self.changes.lock();
        let mut gather = Gather::new(&self.space);
        let mut at = range.start;
        while at < range.end {
            let area = self.areas.lock().find(at).cloned().ok_or(Errno::ENOMEM)?;
            let part = at..area.end.min(range.end);
            at = part.end;
            if area.protection == protection {
                continue;
            }
            let may_write = !matches!(area.backing, Backing::Object { may_write: false, .. });
            if area.is_shared() && protection.contains(Protection::WRITE) && !may_write {
                return Err(Errno::EACCES);
            }
            let changed = area.part(part.clone(), |new| new.protection = protection);
            let pages = changed.pages();
            if changed.is_data() && !area.is_data() {
                self.check_data(pages)?;
            }
            // Once promised, a page stays so: it may have been stored to.
            let is_new_promise = changed.wants_accounting() && !area.flags.contains(AreaFlags::ACCOUNTED);
            if is_new_promise {
                overcommit::charge(pages)?;
            }
            let result = self.change_part(&area, part.clone(), |new| {
                new.protection = protection;
                new.flags
                    .set(AreaFlags::ACCOUNTED, is_new_promise || area.flags.contains(AreaFlags::ACCOUNTED));
            });
            match result {
                Ok(changed) => self.protect_pages(&changed, part, &mut gather),
                Err(error) => {
                    if is_new_promise {
                        overcommit::uncharge(pages);
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// The start of the stack area that holds `address`, for `PROT_GROWSDOWN`; `EINVAL` where there is none.
    pub fn stack_start(&self, address: UserAddress) -> Result<UserAddress, Errno> {
        let (area, _) = self.find(address).ok_or(Errno::ENOMEM)?;
        if area.flags.contains(AreaFlags::GROWS_DOWN) {
            Ok(UserAddress(area.used().start))
        } else {
            Err(Errno::EINVAL)
        }
    }
}
