//! What an `O_PATH` descriptor works on: nothing but the place itself (open(2)).

use abi::Errno;
use threads::poll::{Events, Pollable, Waiter};

use crate::file::{File, Positioning};

/// Refuses everything with EBADF; [`OpenFile`](crate::OpenFile) has the place.
pub struct PlaceFile;

impl Pollable for PlaceFile {
    fn poll(&self, _interest: Events, _waiter: Option<&mut Waiter>) -> Events {
        Events::NVAL
    }
}

impl File for PlaceFile {
    fn positioning(&self) -> Positioning {
        Positioning::Ignored
    }

    fn sync(&self, _data_only: bool) -> Result<(), Errno> {
        Err(Errno::EBADF)
    }
}
