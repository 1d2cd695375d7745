//! Figures of two kernels side by side, as a Markdown table.

use anyhow::{Context, Result, ensure};
use std::fmt::Write;

/// Figures by name, in the order in which a program printed them.
pub type Figures = Vec<(String, u64)>;

/// Reads lines `name value`, where the name may hold spaces.
pub fn read(output: &str) -> Result<Figures> {
    let lines = output.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let figure = line.rsplit_once(' ').and_then(|(name, value)| Some((name, value.parse().ok()?)));
            let (name, value) = figure.with_context(|| format!("'{line}' is no figure"))?;
            Ok((name.to_owned(), value))
        })
        .collect()
}

/// The table; `first` is the heading of the names. Both sides must have the same names in the same order.
pub fn compare(first: &str, hob: &Figures, linux: &Figures) -> Result<String> {
    let names = |figures: &Figures| figures.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    ensure!(names(hob) == names(linux), "the kernels were not measured alike");
    let mut table = format!("| {first} | Hob | Linux | Hob / Linux |\n|---|---:|---:|---:|\n");
    for ((name, hob), (_, linux)) in hob.iter().zip(linux) {
        let ratio = *hob as f64 / *linux as f64;
        // Two digits that say something, however small the ratio is.
        let digits = if ratio < 0.1 { 3 } else { 2 };
        writeln!(table, "| {name} | {} | {} | {ratio:.digits$} |", grouped(*hob), grouped(*linux))?;
    }
    Ok(table)
}

/// `number` with a comma between groups of three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_spaces_and_digits() -> Result<()> {
        let figures = read("read 1 B 669\r\n\r\ngetppid 338\r\n")?;
        assert_eq!(figures, [("read 1 B".to_owned(), 669), ("getppid".to_owned(), 338)]);
        Ok(())
    }

    #[test]
    fn a_line_without_a_figure_is_an_error() {
        assert!(read("Segmentation fault").is_err());
    }

    #[test]
    fn both_kernels_stand_side_by_side_with_their_ratio() -> Result<()> {
        let figures = |value| vec![("fork".to_owned(), value)];
        let table = compare("operation", &figures(1_234_567), &figures(2_000_000))?;
        assert!(table.ends_with("| fork | 1,234,567 | 2,000,000 | 0.62 |\n"), "{table}");
        Ok(())
    }

    #[test]
    fn figures_of_different_names_are_not_compared() {
        assert!(compare("operation", &vec![("a".into(), 1)], &vec![]).is_err());
    }
}
