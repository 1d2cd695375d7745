//! The alarm panel's records: 37 bytes each over TCP, one after another.
//!
//! 7 bytes of padding, group, subgroup, partition, 4 bytes of padding, label type, 16 bytes of label, 6 bytes of padding.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Bytes of one record.
pub const RECORD: usize = 37;

/// One event of the panel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub group: u8,
    pub subgroup: u8,
    pub partition: u8,
    pub label_type: u8,
    /// Without the panel's padding; bytes that are no printable ASCII became `?`.
    pub label: String,
}

impl Record {
    /// What happened, in the original's words.
    pub fn action(&self) -> &'static str {
        match (self.group, self.subgroup) {
            (0, _) => "zoneon",
            (1, _) => "zoneoff",
            (2, 14) => "Exit delay",
            (2, 13) => "Entry delay",
            (29, _) => "Armed",
            (31, _) => "Disarmed",
            (2, _) => "Unknown-B",
            _ => "Unknown-A",
        }
    }

    /// Who armed or disarmed.
    pub fn user(&self) -> Option<u8> {
        matches!(self.group, 29 | 31).then_some(self.subgroup)
    }

    /// The 37 bytes.
    pub fn encode(&self) -> [u8; RECORD] {
        let mut bytes = [0; RECORD];
        bytes[7] = self.group;
        bytes[8] = self.subgroup;
        bytes[9] = self.partition;
        bytes[14] = self.label_type;
        let label = self.label.bytes().chain(core::iter::repeat(b' '));
        bytes[15..31].iter_mut().zip(label).for_each(|(to, from)| *to = from);
        bytes
    }

    fn decode(bytes: &[u8; RECORD]) -> Record {
        let label: String = bytes[15..31]
            .iter()
            .map(|b| if (0x20..0x7f).contains(b) { char::from(*b) } else { '?' })
            .collect();
        Record {
            group: bytes[7],
            subgroup: bytes[8],
            partition: bytes[9],
            label_type: bytes[14],
            label: label.trim_matches([' ', '?']).to_string(),
        }
    }
}

/// Cuts the panel's stream into records.
#[derive(Debug, Default)]
pub struct Records {
    held: Vec<u8>,
}

impl Records {
    /// The records that this segment completes.
    pub fn push(&mut self, segment: &[u8]) -> Vec<Record> {
        self.held.extend_from_slice(segment);
        let (whole, rest) = self.held.as_chunks::<RECORD>();
        let records = whole.iter().map(Record::decode).collect();
        self.held = rest.to_vec();
        records
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_the_same_however_the_stream_is_cut() {
        let armed =
            Record { group: 29, subgroup: 3, partition: 1, label_type: 2, label: "Front door".to_string() };
        let zone =
            Record { group: 0, subgroup: 5, partition: 1, label_type: 0, label: "Kitchen".to_string() };
        let wire = [armed.encode(), zone.encode()].concat();
        for cut in 0..=wire.len() {
            let mut records = Records::default();
            let mut got = records.push(&wire[..cut]);
            got.extend(records.push(&wire[cut..]));
            assert_eq!(got, [armed.clone(), zone.clone()], "cut at {cut}");
        }
        assert_eq!((armed.action(), armed.user()), ("Armed", Some(3)));
        assert_eq!((zone.action(), zone.user()), ("zoneon", None));
    }
}
