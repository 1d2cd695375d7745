//! Words in the arguments of the calls, which stand for descriptors and addresses that are only known when the program runs.

/// The first of the words: no argument that a call is meant to have is as large, but small negative numbers.
const FIRST: usize = 0xfeed_0000_0000_0000;
/// `AT_FDCWD`.
pub const HERE: usize = guests::HERE;
/// -1.
pub const NONE: usize = usize::MAX;
/// Far beyond everything, and positive.
pub const HUGE: usize = 1 << 62;

/// Declares words, and how many there are.
macro_rules! words {
    ($($(#[$meaning:meta])* $name:ident)*) => {
        #[expect(non_camel_case_types, clippy::upper_case_acronyms, reason = "they are named for the constants")]
        enum Word { $($name),* }
        $($(#[$meaning])* pub const $name: usize = FIRST + Word::$name as usize;)*
        /// How many words there are.
        pub const COUNT: usize = [$($name),*].len();
    };
}

words! {
    /// The descriptor that the call is made on.
    FD
    /// A descriptor of a regular file with 26 bytes in it.
    REGULAR
    /// Another regular file.
    SECOND
    /// An epoll.
    EPOLL
    /// An empty pipe's reading end.
    PIPE
    /// The writing end of a pipe with room.
    PIPE_WRITER
    /// The reading end of a pipe with bytes in it.
    FILLED
    /// The writing end of a pipe that takes what a call writes.
    SINK
    /// Room for results.
    OUT
    /// Bytes that are zero.
    ZERO
    /// The number one, in as many bytes as wanted.
    ONE
    /// An offset of 0.
    OFFSET
    /// One segment of 16 bytes.
    SEGMENT
    /// One segment of no bytes.
    EMPTY_SEGMENT
    /// A record lock for reading.
    READ_LOCK
    /// A record lock for writing.
    WRITE_LOCK
    /// The end of a record lock.
    NO_LOCK
    /// Who gets a file's signals: this process.
    OWNER
    /// This process.
    PID
    /// What epoll watches for.
    EVENT
    /// The same, for one of several waiters.
    EXCLUSIVE
    /// What poll watches for: reading and writing.
    POLLED
    /// The same: everything.
    POLLED_FOR_ALL
    /// The address of a socket that is not there.
    ADDRESS
    /// An address of another family.
    OTHER_FAMILY
    /// How long a result may be.
    LENGTH
    /// A message of one segment.
    MESSAGE
    /// A name of no file.
    NAME
    /// The name of a new link.
    LINKED
    /// An empty name.
    NOTHING
    /// `.`
    DOT
    /// The name of an extended attribute.
    ATTRIBUTE
    /// The name of another.
    TRUSTED
}

/// What the words stand for.
pub struct Meanings(pub [usize; COUNT]);

impl Meanings {
    /// Lets `word` stand for `value`.
    pub fn set(&mut self, word: usize, value: usize) {
        self.0[word - FIRST] = value;
    }

    /// `argument`, or what it stands for.
    pub fn of(&self, argument: usize) -> usize {
        argument.checked_sub(FIRST).and_then(|index| self.0.get(index)).copied().unwrap_or(argument)
    }
}
