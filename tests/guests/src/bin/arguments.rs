//! What a program is started with: arguments, environment, auxiliary vector, working directory, descriptors.

use std::fs;
use std::io::Read;

/// Keys of the auxiliary vector (getauxval(3)).
const AT_PAGESZ: u64 = 6;
const AT_ENTRY: u64 = 9;
const AT_UID: u64 = 11;
const AT_CLKTCK: u64 = 17;
const AT_SECURE: u64 = 23;
const AT_RANDOM: u64 = 25;
const AT_EXECFN: u64 = 31;

fn main() -> std::io::Result<()> {
    for (number, argument) in std::env::args().enumerate() {
        println!("argument {number}: {argument:?}");
    }
    let mut environment: Vec<_> = std::env::vars().collect();
    environment.sort();
    println!("environment: {environment:?}");
    println!("folder: {}", std::env::current_dir()?.display());

    let vector = auxiliary_vector()?;
    let value = |key| vector.iter().find(|(found, _)| *found == key).map(|(_, value)| *value);
    for (name, key) in
        [("page size", AT_PAGESZ), ("user", AT_UID), ("clock ticks", AT_CLKTCK), ("secure", AT_SECURE)]
    {
        println!("{name}: {:?}", value(key));
    }
    println!(
        "random, entry and name are there: {}",
        [AT_RANDOM, AT_ENTRY, AT_EXECFN].iter().all(|&key| value(key) > Some(0))
    );
    println!("the vector ends with zero: {:?}", vector.last());

    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input)?;
    println!("input: {input:?}");
    let own = fs::read("/proc/self/cmdline")?;
    println!("/proc/self/cmdline: {}", own.escape_ascii());
    println!("/proc/self/exe: {}", fs::read_link("/proc/self/exe")?.display());
    println!("/proc/self/comm: {}", fs::read_to_string("/proc/self/comm")?.trim_end());
    Ok(())
}

/// The pairs of /proc/self/auxv, the last one (zero) included.
fn auxiliary_vector() -> std::io::Result<Vec<(u64, u64)>> {
    let bytes = fs::read("/proc/self/auxv")?;
    let mut words = bytes.chunks_exact(8).filter_map(|word| word.try_into().ok().map(u64::from_le_bytes));
    let mut pairs = Vec::new();
    while let (Some(key), Some(value)) = (words.next(), words.next()) {
        pairs.push((key, value));
    }
    Ok(pairs)
}
