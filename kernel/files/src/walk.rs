//! Path resolution (path_resolution(7)): from a string to a place, one component a step, without recursion.
//!
//! ```text
//!   "/a/link/b"   walk to the parent: a, link -> push "/b", go on with the link's text
//!        |            ... until one component is left, which is what `last` names
//!        v
//!   create, unlink, rename work on (directory, last);  lookup takes the last step as well
//! ```

use alloc::sync::Arc;
use alloc::vec::Vec;

use abi::Errno;
use abi::fcntl::{PATH_MAX, ResolveFlags};
use abi::mount::MountFlags;

use crate::credentials::{Access, Credentials};
use crate::inode::Link;
use crate::metadata::Kind;
use crate::mount::{MountNamespace, Path};
use machine::heap::Grow;

/// Symbolic links that one resolution may follow (path_resolution(7)).
pub const LINKS_MAX: u32 = 40;

/// Where and as whom a process looks for files.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Its root directory.
    pub root: &'a Path,
    /// Its working directory.
    pub cwd: &'a Path,
    /// The mounts that it sees.
    pub namespace: &'a MountNamespace,
    /// Who it is.
    pub credentials: &'a Credentials,
    /// The permission bits that new files do not get.
    pub umask: u32,
}

/// How the last component of a path is treated, and what may be passed on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lookup {
    /// Whether a symbolic link at the end is followed. A slash after it follows it in any case.
    pub follow: bool,
    /// Whether an empty path means the start itself (`AT_EMPTY_PATH`).
    pub allow_empty: bool,
    /// Fail with ENOTDIR unless it ends at a directory.
    pub directory: bool,
    /// The rules of openat2(2).
    pub resolve: ResolveFlags,
}

impl Lookup {
    /// Follows links to the end, as stat(2) does.
    pub const FOLLOW: Self =
        Self { follow: true, allow_empty: false, directory: false, resolve: ResolveFlags::empty() };
    /// Stops at a link, as lstat(2) does.
    pub const NO_FOLLOW: Self = Self { follow: false, ..Self::FOLLOW };
}

/// The last component of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Last {
    /// A name.
    Name,
    /// `.`
    Dot,
    /// `..`
    DotDot,
    /// There is none: the path is made of slashes.
    Root,
}

/// The rest of a path or of a symbolic link's text.
enum Text<'a> {
    Given(&'a [u8]),
    Linked(Arc<[u8]>),
}

impl Text<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Given(bytes) => bytes,
            Self::Linked(bytes) => bytes,
        }
    }
}

struct Segment<'a> {
    text: Text<'a>,
    at: usize,
}

impl Segment<'_> {
    /// Whether anything but slashes is left.
    fn is_spent(&self) -> bool {
        self.text.bytes().get(self.at..).is_none_or(|rest| rest.iter().all(|&byte| byte == b'/'))
    }
}

/// A resolution that has arrived at the directory of the last component.
pub struct Walker<'a> {
    context: Context<'a>,
    resolve: ResolveFlags,
    /// What `..` and absolute links do not leave: the process's root, or the start with `RESOLVE_IN_ROOT` and `RESOLVE_BENEATH`.
    root: Path,
    directory: Path,
    segment: Segment<'a>,
    /// What is left of the texts in which links stood, innermost last.
    suspended: Vec<Segment<'a>>,
    last: Last,
    /// Where the last name lies in the current text.
    name: (usize, usize),
    trailing_slash: bool,
    links: u32,
}

impl<'a> Walker<'a> {
    /// Walks `path` from `start` (the working directory without one) up to its last component. ENOENT for an empty path,
    /// ENOTDIR, EACCES, ELOOP, ENAMETOOLONG, EXDEV by `resolve`.
    pub fn new(
        context: Context<'a>,
        start: Option<&Path>,
        path: &'a [u8],
        resolve: ResolveFlags,
    ) -> Result<Self, Errno> {
        if path.is_empty() {
            return Err(Errno::ENOENT);
        }
        if path.len() >= PATH_MAX {
            return Err(Errno::ENAMETOOLONG);
        }
        let start = start.unwrap_or(context.cwd);
        let is_scoped = resolve.intersects(ResolveFlags::BENEATH | ResolveFlags::IN_ROOT);
        let root = if is_scoped { start } else { context.root };
        let mut walker = Self {
            context,
            resolve,
            root: root.clone(),
            directory: start.clone(),
            segment: Segment { text: Text::Given(path), at: 0 },
            suspended: Vec::new(),
            last: Last::Root,
            name: (0, 0),
            trailing_slash: false,
            links: 0,
        };
        walker.begin_text()?;
        walker.advance()?;
        Ok(walker)
    }

    /// The directory that the last component is looked for in.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What the last component is.
    pub fn last(&self) -> Last {
        self.last
    }

    /// The last component, where it is a name.
    pub fn name(&self) -> &[u8] {
        self.segment.text.bytes().get(self.name.0..self.name.1).unwrap_or_default()
    }

    /// Whether slashes stand after the last component, which demands a directory.
    pub fn has_trailing_slash(&self) -> bool {
        self.trailing_slash
    }

    /// Moves to the root when the current text is absolute.
    fn begin_text(&mut self) -> Result<(), Errno> {
        if self.segment.text.bytes().first() == Some(&b'/') {
            if self.resolve.contains(ResolveFlags::BENEATH) {
                return Err(Errno::EXDEV);
            }
            if self.resolve.contains(ResolveFlags::NO_XDEV)
                && !Arc::ptr_eq(&self.directory.mount, &self.root.mount)
            {
                return Err(Errno::EXDEV);
            }
            self.directory = self.root.clone();
        } else if !self.directory.dentry.is_directory() {
            return Err(Errno::ENOTDIR);
        }
        Ok(())
    }

    /// Walks until only the last component is left.
    fn advance(&mut self) -> Result<(), Errno> {
        loop {
            let Some((start, end)) = self.next_component() else { return Ok(()) };
            let is_last = self.segment.is_spent() && self.suspended.is_empty();
            self.may_search()?;
            let name = self.segment.text.bytes().get(start..end).unwrap_or_default();
            let kind = match name {
                b"." => Last::Dot,
                b".." => Last::DotDot,
                _ => Last::Name,
            };
            if is_last {
                self.last = kind;
                self.name = (start, end);
                self.trailing_slash |= end < self.segment.text.bytes().len();
                return Ok(());
            }
            match kind {
                Last::Dot | Last::Root => {}
                Last::DotDot => self.ascend()?,
                Last::Name => {
                    let found = self.step(start, end)?;
                    if Kind::of_mode(found.inode().ownership().mode) == Kind::Symlink {
                        self.enter_link(&found)?;
                    } else if found.dentry.is_directory() {
                        self.directory = found;
                    } else {
                        return Err(Errno::ENOTDIR);
                    }
                }
            }
        }
    }

    /// The next component of the innermost text that has one; texts that are used up are left.
    fn next_component(&mut self) -> Option<(usize, usize)> {
        loop {
            let bytes = self.segment.text.bytes();
            let rest = bytes.get(self.segment.at..).unwrap_or_default();
            let Some(skip) = rest.iter().position(|&byte| byte != b'/') else {
                // A link's text that ends here goes on with what stood after the link.
                match self.suspended.pop() {
                    Some(outer) => {
                        self.segment = outer;
                        continue;
                    }
                    None => return None,
                }
            };
            let start = self.segment.at + skip;
            let len = bytes.get(start..)?.iter().position(|&byte| byte == b'/');
            let end = len.map_or(bytes.len(), |len| start + len);
            self.segment.at = end;
            return Some((start, end));
        }
    }

    #[inline]
    fn may_search(&self) -> Result<(), Errno> {
        self.context.credentials.check(self.directory.inode().ownership(), Access::EXECUTE)
    }

    /// The child of the current directory with the name at these bytes, inside whatever is mounted there.
    fn step(&self, start: usize, end: usize) -> Result<Path, Errno> {
        let name = self.segment.text.bytes().get(start..end).unwrap_or_default();
        let dentry = self.directory.dentry.child(name)?;
        let found = Path { mount: Arc::clone(&self.directory.mount), dentry };
        self.enter_mounts(found)
    }

    #[inline]
    fn enter_mounts(&self, found: Path) -> Result<Path, Errno> {
        if !found.dentry.is_mount_point() {
            return Ok(found);
        }
        let inside = self.context.namespace.enter(found);
        if self.resolve.contains(ResolveFlags::NO_XDEV) && !Arc::ptr_eq(&inside.mount, &self.directory.mount)
        {
            return Err(Errno::EXDEV);
        }
        Ok(inside)
    }

    /// Goes to the parent directory, which is the directory itself at the root.
    fn ascend(&mut self) -> Result<(), Errno> {
        if self.directory == self.root {
            return if self.resolve.contains(ResolveFlags::BENEATH) { Err(Errno::EXDEV) } else { Ok(()) };
        }
        if let Some(parent) = self.directory.parent() {
            if self.resolve.contains(ResolveFlags::NO_XDEV)
                && !Arc::ptr_eq(&parent.mount, &self.directory.mount)
            {
                return Err(Errno::EXDEV);
            }
            self.directory = self.context.namespace.enter(parent);
        }
        Ok(())
    }

    /// Goes on inside of a link's text, or at the place it leads to.
    fn enter_link(&mut self, link: &Path) -> Result<(), Errno> {
        self.links += 1;
        if self.links > LINKS_MAX
            || self.resolve.contains(ResolveFlags::NO_SYMLINKS)
            || link.mount.flags().contains(MountFlags::NOSYMFOLLOW)
        {
            return Err(Errno::ELOOP);
        }
        match link.inode().follow(self.context.credentials)? {
            Link::Target(text) => {
                if text.is_empty() {
                    return Err(Errno::ENOENT);
                }
                let inner = Segment { text: Text::Linked(text), at: 0 };
                let outer = core::mem::replace(&mut self.segment, inner);
                if !outer.is_spent() {
                    self.suspended.try_push(outer)?;
                }
                self.begin_text()
            }
            Link::Place(place) => {
                self.check_jump()?;
                self.directory = place;
                if !self.segment.is_spent() || !self.suspended.is_empty() {
                    return if self.directory.dentry.is_directory() { Ok(()) } else { Err(Errno::ENOTDIR) };
                }
                Ok(())
            }
        }
    }

    fn check_jump(&self) -> Result<(), Errno> {
        if self.resolve.contains(ResolveFlags::NO_MAGICLINKS) {
            Err(Errno::ELOOP)
        } else if self
            .resolve
            .intersects(ResolveFlags::BENEATH | ResolveFlags::IN_ROOT | ResolveFlags::NO_XDEV)
        {
            Err(Errno::EXDEV)
        } else {
            Ok(())
        }
    }

    /// The file that the last component names, without following it.
    pub fn find_last(&self) -> Result<Path, Errno> {
        match self.last {
            Last::Root | Last::Dot => Ok(self.directory.clone()),
            Last::Name => self.step(self.name.0, self.name.1),
            Last::DotDot => {
                if self.directory == self.root {
                    if self.resolve.contains(ResolveFlags::BENEATH) {
                        return Err(Errno::EXDEV);
                    }
                    return Ok(self.directory.clone());
                }
                let Some(parent) = self.directory.parent() else { return Ok(self.directory.clone()) };
                self.enter_mounts(parent)
            }
        }
    }

    /// Follows `link`, which the last component turned out to be. Either there is a new last component, or the link leads to
    /// a place at once.
    pub fn follow_last(&mut self, link: &Path) -> Result<Option<Path>, Errno> {
        self.links += 1;
        if self.links > LINKS_MAX
            || self.resolve.contains(ResolveFlags::NO_SYMLINKS)
            || link.mount.flags().contains(MountFlags::NOSYMFOLLOW)
        {
            return Err(Errno::ELOOP);
        }
        match link.inode().follow(self.context.credentials)? {
            Link::Target(text) if text.is_empty() => Err(Errno::ENOENT),
            Link::Target(text) => {
                self.segment = Segment { text: Text::Linked(text), at: 0 };
                self.last = Last::Root;
                self.begin_text()?;
                self.advance()?;
                Ok(None)
            }
            Link::Place(place) => {
                self.check_jump()?;
                Ok(Some(place))
            }
        }
    }
}

impl Context<'_> {
    /// The place that `path` leads to from `start` (the working directory without one).
    pub fn look_up(&self, start: Option<&Path>, path: &[u8], how: Lookup) -> Result<Path, Errno> {
        if path.is_empty() && how.allow_empty {
            let found = start.unwrap_or(self.cwd).clone();
            return if how.directory && !found.dentry.is_directory() {
                Err(Errno::ENOTDIR)
            } else {
                Ok(found)
            };
        }
        let mut walker = Walker::new(*self, start, path, how.resolve)?;
        loop {
            let found = walker.find_last()?;
            let mode = found.inode().ownership().mode;
            let must_be_directory = how.directory || walker.has_trailing_slash();
            if Kind::of_mode(mode) == Kind::Symlink && (how.follow || walker.has_trailing_slash()) {
                match walker.follow_last(&found)? {
                    None => continue,
                    Some(place) if must_be_directory && !place.dentry.is_directory() => {
                        return Err(Errno::ENOTDIR);
                    }
                    Some(place) => return Ok(place),
                }
            }
            if must_be_directory && !found.dentry.is_directory() {
                return Err(Errno::ENOTDIR);
            }
            return Ok(found);
        }
    }
}
