//! What the node remembers: a record in the partition `nvs`, which this firmware has to itself.

use alloc::vec::Vec;
use esp_bootloader_esp_idf::partitions::{
    DataPartitionSubType, Error, PARTITION_TABLE_MAX_LEN, PartitionEntry, PartitionType, read_partition_table,
};
use esp_hal::peripherals::FLASH;
use esp_println::println;
use esp_storage::FlashStorage;
use node_settings::{Flash, SECTOR_BYTES, Settings};

/// The partition as two sectors.
pub struct Partition {
    flash: FlashStorage<'static>,
    offset: u32,
}

impl Flash for Partition {
    type Error = esp_storage::FlashStorageError;
    fn read(&mut self, at: u32, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.flash.read(self.offset + at, bytes)
    }
    fn erase(&mut self, at: u32) -> Result<(), Self::Error> {
        self.flash.erase(self.offset + at, self.offset + at + SECTOR_BYTES)
    }
    fn write(&mut self, at: u32, bytes: &[u8]) -> Result<(), Self::Error> {
        self.flash.write_nor(self.offset + at, bytes)
    }
}

/// The remembered record; on a flash without the partition nothing lasts, and the console says so.
pub struct Memory(Option<Settings<Partition>>);

impl Memory {
    /// Opens the memory, and gives what it holds.
    pub fn open(flash: FLASH<'static>) -> (Memory, Vec<u8>) {
        let mut flash = FlashStorage::new(flash);
        let offset = match find(&mut flash) {
            Ok(Some(partition)) if partition.len() >= 2 * SECTOR_BYTES => partition.offset(),
            _ => {
                println!("there is no partition nvs: nothing is remembered");
                return (Memory(None), Vec::new());
            }
        };
        match Settings::open(Partition { flash, offset }) {
            Ok((settings, record)) => (Memory(Some(settings)), record),
            Err(error) => {
                println!("the flash cannot be read: {error:?}");
                (Memory(None), Vec::new())
            }
        }
    }

    /// Puts a record in the place of the one before; whether it will be there after a loss of power.
    pub fn store(&mut self, record: &[u8]) -> bool {
        let Some(settings) = &mut self.0 else { return false };
        match settings.store(record) {
            Ok(()) => true,
            Err(error) => {
                println!("not remembered: {error:?}");
                false
            }
        }
    }
}

fn find(flash: &mut FlashStorage<'static>) -> Result<Option<PartitionEntry>, Error> {
    let mut table = [0; PARTITION_TABLE_MAX_LEN];
    read_partition_table(flash, &mut table)?.find_partition(PartitionType::Data(DataPartitionSubType::Nvs))
}
