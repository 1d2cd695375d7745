//! The part of Home Assistant's value templates that devices use: a path into a JSON payload, and what it is compared to.
//!
//! `{{ value }}`, `{{ value_json.state }}`, `{{ value_json['a b'].c }}`, `{{ value_json.list[0] }}`, each with filters that
//! only shape a number (`float`, `int`, `round`, `default`, `lower`, `upper`). Anything else is a program, which the hub does
//! not run: the entity says so instead of showing something wrong.

use serde_json::Value;

/// How a payload becomes a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Template {
    is_json: bool,
    path: Vec<Step>,
    case: Case,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Name(String),
    Index(usize),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Case {
    #[default]
    AsIs,
    Lower,
    Upper,
}

impl Template {
    /// Reads a template; `None` when it says more than a path.
    pub fn parse(text: &str) -> Option<Template> {
        let inner = text.trim().strip_prefix("{{")?.strip_suffix("}}")?;
        let mut parts = inner.split('|').map(str::trim);
        let (is_json, path) = read_path(parts.next()?)?;
        let mut case = Case::AsIs;
        for filter in parts {
            match filter.split('(').next().unwrap_or("").trim() {
                "float" | "int" | "round" | "default" | "string" | "is_defined" => {}
                "lower" => case = Case::Lower,
                "upper" => case = Case::Upper,
                _ => return None,
            }
        }
        Some(Template { is_json, path, case })
    }

    /// What a payload says: its text (JSON numbers and booleans as JSON writes them); `None` when it says nothing.
    pub fn apply(&self, payload: &str) -> Option<String> {
        let text = match self.is_json {
            false => payload.to_string(),
            true => {
                let whole: Value = serde_json::from_str(payload).ok()?;
                let found = self.path.iter().try_fold(&whole, |at, step| match step {
                    Step::Name(name) => at.get(name),
                    Step::Index(index) => at.get(index),
                })?;
                match found {
                    Value::Null => return None,
                    Value::String(text) => text.clone(),
                    // As a template would print it.
                    Value::Bool(true) => "True".into(),
                    Value::Bool(false) => "False".into(),
                    other => other.to_string(),
                }
            }
        };
        Some(match self.case {
            Case::AsIs => text,
            Case::Lower => text.to_lowercase(),
            Case::Upper => text.to_uppercase(),
        })
    }
}

/// The root and the steps of `value_json.a['b'][0]`.
fn read_path(text: &str) -> Option<(bool, Vec<Step>)> {
    if text == "value" {
        return Some((false, Vec::new()));
    }
    let mut rest = text.strip_prefix("value_json")?;
    let mut path = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('.') {
            let len = after.find(['.', '[']).unwrap_or(after.len());
            let (name, after) = after.split_at_checked(len)?;
            if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
                return None;
            }
            path.push(Step::Name(name.to_string()));
            rest = after;
        } else {
            let (inside, after) = rest.strip_prefix('[')?.split_once(']')?;
            let quoted = |mark: char| inside.strip_prefix(mark)?.strip_suffix(mark);
            path.push(match quoted('\'').or_else(|| quoted('"')) {
                Some(name) => Step::Name(name.to_string()),
                None => Step::Index(inside.trim().parse().ok()?),
            });
            rest = after;
        }
    }
    Some((true, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(template: &str, payload: &str) -> Option<String> {
        Template::parse(template)?.apply(payload)
    }

    #[test]
    fn hostile_templates_and_payloads_are_survived() {
        let templates: [&[u8]; 4] = [
            b"{{ value_json.a['b'][0] | float(0) | round(1) }}",
            b"{{ value | lower }}",
            b"{{value_json}}",
            b"{\"a\":{\"b\":[1.5]}}",
        ];
        hostile::attack(1, 5_000, &templates, |input| {
            let text = String::from_utf8_lossy(input);
            let _ = value(&text, "{\"a\":{\"b\":[1.5]}}");
            let _ = value("{{ value_json.a.b[0] }}", &text);
        });
    }

    #[test]
    fn paths_lead_into_payloads() {
        let payload = r#"{"state":"ON","a b":{"c":[1.5,2]},"on":true,"none":null}"#;
        for (template, wanted) in [
            ("{{ value_json.state }}", "ON"),
            ("{{value_json.state|lower}}", "on"),
            ("{{ value_json['a b'].c[0] | float | round(1) }}", "1.5"),
            ("{{ value_json[\"a b\"]['c'][1] }}", "2"),
            ("{{ value_json.on }}", "True"),
        ] {
            assert_eq!(value(template, payload).as_deref(), Some(wanted), "{template}");
        }
        assert_eq!(value("{{ value }}", " raw ").as_deref(), Some(" raw "));
    }

    #[test]
    fn what_is_not_there_says_nothing() {
        assert_eq!(value("{{ value_json.none }}", r#"{"none":null}"#), None);
        assert_eq!(value("{{ value_json.x.y }}", r#"{"x":1}"#), None);
        assert_eq!(value("{{ value_json.x }}", "no json"), None);
    }

    #[test]
    fn programs_are_not_taken_for_paths() {
        for program in [
            "",
            "value",
            "{{ value_json.a + 1 }}",
            "{% if value_json.a %}1{% endif %}",
            "{{ 'ON' if value_json.a else 'OFF' }}",
            "{{ value_json. }}",
            "{{ value_json[ }}",
            "{{ value_json[é }}",
            "{{ states('x') }}",
            "{{ value_json.a | regex_replace('a') }}",
        ] {
            assert_eq!(Template::parse(program), None, "{program}");
        }
    }
}
