//! A test as the runner sees it: a name and something that yields outcomes.

use anyhow::Result;

/// How one test ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Passed,
    /// What is wrong, over as many lines as help.
    Failed(String),
    /// Why it does not apply.
    Skipped(String),
}

/// One counted test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// `suite/test`.
    pub name: String,
    pub verdict: Verdict,
}

/// Something that the runner starts as a whole: one test, or a batch that counts its own.
pub struct Case {
    /// `suite/test`, by which the user chooses.
    pub name: String,
    /// Too long for the quick run: started with `--full`, or when it is chosen by name.
    pub is_long: bool,
    work: Box<dyn FnOnce() -> Result<Vec<Outcome>> + Send>,
}

impl Case {
    /// One test: it passes when `work` returns without an error.
    pub fn test(name: impl Into<String>, work: impl FnOnce() -> Result<()> + Send + 'static) -> Self {
        let name = name.into();
        let outcome = name.clone();
        Self::batch(name, move || work().map(|()| vec![Outcome { name: outcome, verdict: Verdict::Passed }]))
    }

    /// Several tests that are run in one go.
    pub fn batch(
        name: impl Into<String>,
        work: impl FnOnce() -> Result<Vec<Outcome>> + Send + 'static,
    ) -> Self {
        Self { name: name.into(), is_long: false, work: Box::new(work) }
    }

    /// Marks it as too long for the quick run.
    pub fn long(mut self, is_long: bool) -> Self {
        self.is_long = is_long;
        self
    }

    /// Runs it. An error is one failed test; so is a batch that ran nothing.
    pub fn run(self) -> Vec<Outcome> {
        let failed = |message| vec![Outcome { name: self.name.clone(), verdict: Verdict::Failed(message) }];
        match (self.work)() {
            Ok(outcomes) if outcomes.is_empty() => failed("no test was run".into()),
            Ok(outcomes) => outcomes,
            Err(error) => failed(format!("{error:#}")),
        }
    }
}

/// Which cases the user asked for.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Parts of names; everything when empty.
    pub words: Vec<String>,
    /// The long cases too.
    pub full: bool,
}

impl Selection {
    /// Whether a case of this name is to be run.
    pub fn includes(&self, name: &str, is_long: bool) -> bool {
        if self.words.is_empty() {
            return self.full || !is_long;
        }
        self.words.iter().any(|word| name.contains(word.as_str()))
            && (self.full || !is_long || self.is_exact(name))
    }

    fn is_exact(&self, name: &str) -> bool {
        self.words.iter().any(|word| word == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_choose_by_part_of_the_name() {
        let selection = Selection { words: vec!["pip".into()], full: false };
        assert!(selection.includes("guest/pipes", false));
        assert!(!selection.includes("guest/files", false));
    }

    #[test]
    fn a_long_case_is_run_when_asked_for_in_full_or_by_its_whole_name() {
        let quick = Selection::default();
        assert!(!quick.includes("guest/soak", true));
        assert!(Selection { full: true, ..quick }.includes("guest/soak", true));
        let named = Selection { words: vec!["guest/soak".into()], full: false };
        assert!(named.includes("guest/soak", true));
        let part = Selection { words: vec!["soak".into()], full: false };
        assert!(!part.includes("guest/soak", true));
    }

    #[test]
    fn an_error_and_an_empty_batch_are_failures() {
        let failing = Case::test("a/b", || anyhow::bail!("no")).run();
        assert_eq!(failing, [Outcome { name: "a/b".into(), verdict: Verdict::Failed("no".into()) }]);
        let empty = Case::batch("a/c", || Ok(Vec::new())).run();
        assert!(matches!(empty[0].verdict, Verdict::Failed(_)));
    }
}
