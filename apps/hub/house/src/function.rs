//! The one table of functions: what can be asked of the house, by whom, and what answers.
//!
//! Router, `/help`, OpenAPI, automations and scripts all read this table; modules change it while the hub runs.

use crate::BoxFuture;
use crate::house::House;
use crate::principal::Principal;
use crate::problem::Problem;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

/// The HTTP methods that functions have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    /// In capitals, as on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
            Method::Delete => "DELETE",
        }
    }
    /// The method of this name.
    pub fn from_name(name: &str) -> Option<Method> {
        [Method::Get, Method::Post, Method::Put, Method::Patch, Method::Delete]
            .into_iter()
            .find(|m| m.name() == name)
    }
}

/// What a caller needs to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Not even known.
    Anyone,
    /// Any user; the handler shows only what the user may see.
    See,
    /// Any user whose token may act; the handler checks the area.
    Control,
    /// A resident of the whole house: automations, programs, names.
    Edit,
    /// An administrator: users, backups, pairing.
    Admin,
}

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Path,
    Query,
}

/// What a parameter may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Text,
    Integer,
    Number,
    Boolean,
}

/// One parameter, checked before the handler sees it.
#[derive(Clone, Debug)]
pub struct Parameter {
    pub name: String,
    pub place: Place,
    pub shape: Shape,
    pub is_required: bool,
    pub description: String,
}

/// What the server hands to a handler.
#[derive(Clone, Debug)]
pub struct Call {
    /// Path and query parameters, as text, of the declared shape.
    pub parameters: BTreeMap<String, String>,
    /// The JSON body; null when there is none.
    pub body: Value,
    /// `If-Match`, without quotes.
    pub if_match: Option<String>,
    pub who: Principal,
}

impl Call {
    /// A call from inside the house.
    pub fn internal(who: Principal) -> Call {
        Call { parameters: BTreeMap::new(), body: Value::Null, if_match: None, who }
    }
    /// A parameter's text; empty when it was not given.
    pub fn text(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", String::as_str)
    }
    /// A parameter as a number, when it was given.
    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.parameters.get(name)?.parse().ok()
    }
    /// The body as a type.
    ///
    /// # Errors
    /// 400 with what is wrong with it.
    pub fn read<T: serde::de::DeserializeOwned>(&self) -> Result<T, Problem> {
        T::deserialize(&self.body)
            .map_err(|e| Problem::bad("the body is not as expected").detail(e.to_string()))
    }
}

/// The content of an answer.
#[derive(Clone, Debug)]
pub enum Content {
    Json(Value),
    /// Media type and bytes.
    Bytes(&'static str, Vec<u8>),
    /// Media type and a file that is sent as a download; the file stays.
    File(&'static str, std::path::PathBuf),
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub content: Content,
    pub etag: Option<String>,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
}

impl Reply {
    /// 200 with JSON.
    pub fn json(value: Value) -> Reply {
        Reply { status: 200, content: Content::Json(value), etag: None, headers: Vec::new() }
    }
    /// 200 with bytes of a media type.
    pub fn bytes(media: &'static str, bytes: Vec<u8>) -> Reply {
        Reply { content: Content::Bytes(media, bytes), ..Reply::json(Value::Null) }
    }
    /// The original's `{"status":"ok"}`.
    pub fn ok() -> Reply {
        Reply::json(json!({"status": "ok"}))
    }
    /// With another status.
    pub fn status(mut self, status: u16) -> Reply {
        self.status = status;
        self
    }
    /// With an entity tag.
    pub fn etag(mut self, etag: String) -> Reply {
        self.etag = Some(etag);
        self
    }
}

/// What answers a call.
pub type Handler = Arc<dyn Fn(House, Call) -> BoxFuture<'static, Result<Reply, Problem>> + Send + Sync>;

/// One thing that can be asked.
#[derive(Clone)]
pub struct Function {
    /// `/api/devices/{id}`: literal segments and named ones.
    pub path: String,
    pub method: Method,
    pub summary: String,
    pub parameters: Vec<Parameter>,
    pub right: Right,
    /// A GET that changes something (the original's URLs): it needs a bearer token.
    pub acts: bool,
    /// A JSON schema of the body.
    pub body: Option<Value>,
    /// Who registered it; it goes with its owner.
    pub owner: String,
    pub handler: Handler,
}

impl Function {
    /// A function that anyone known may call and that takes the parameters of its path.
    pub fn new<F>(method: Method, path: &str, summary: &str, handler: F) -> Function
    where
        F: Fn(House, Call) -> BoxFuture<'static, Result<Reply, Problem>> + Send + Sync + 'static,
    {
        let mut before = String::new();
        let mut parameters = Vec::new();
        for segment in path.split('/').skip(1) {
            match segment.strip_prefix('{').and_then(|segment| segment.strip_suffix('}')) {
                Some(name) => parameters.push(Parameter {
                    name: name.to_string(),
                    place: Place::Path,
                    shape: Shape::Text,
                    is_required: true,
                    description: format!("which of {before}"),
                }),
                None => before.extend(["/", segment]),
            }
        }
        Function {
            path: path.to_string(),
            method,
            summary: summary.to_string(),
            parameters,
            right: if method == Method::Get { Right::See } else { Right::Control },
            acts: method != Method::Get,
            body: None,
            owner: "hub".into(),
            handler: Arc::new(handler),
        }
    }
    /// With another right.
    pub fn right(mut self, right: Right) -> Function {
        self.right = right;
        self
    }
    /// A GET that acts.
    pub fn acting(mut self) -> Function {
        self.acts = true;
        self.right = Right::Control;
        self
    }
    /// With a query parameter.
    pub fn query(mut self, name: &str, shape: Shape, is_required: bool, description: &str) -> Function {
        self.parameters.push(Parameter {
            name: name.to_string(),
            place: Place::Query,
            shape,
            is_required,
            description: description.to_string(),
        });
        self
    }
    /// With a schema of the body.
    pub fn body(mut self, schema: Value) -> Function {
        self.body = Some(schema);
        self
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.method.name(), self.path)
    }
}

/// What a path leads to.
pub enum Found {
    Function(Arc<Function>, BTreeMap<String, String>),
    /// The path exists with these methods.
    OtherMethods(Vec<Method>),
    Nothing,
}

#[derive(Default)]
struct Entries {
    literal: HashMap<String, BTreeMap<Method, Arc<Function>>>,
    templates: Vec<Arc<Function>>,
    version: u64,
}

/// All functions at this moment.
#[derive(Default)]
pub struct Table(RwLock<Entries>);

impl Table {
    /// Adds a function; one of the same method and path is replaced.
    pub fn add(&self, function: Function) {
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        entries.version += 1;
        let function = Arc::new(function);
        if function.path.contains('{') {
            entries.templates.retain(|f| f.method != function.method || f.path != function.path);
            entries.templates.push(function);
        } else {
            entries.literal.entry(function.path.clone()).or_default().insert(function.method, function);
        }
    }

    /// Removes what this owner registered; also what belongs to parts of it (`dwn` owns `dwn.n1`).
    pub fn remove_owner(&self, owner: &str) {
        let is_owned = |f: &Arc<Function>| {
            f.owner == owner || f.owner.strip_prefix(owner).is_some_and(|rest| rest.starts_with('.'))
        };
        let mut entries = self.0.write().unwrap_or_else(PoisonError::into_inner);
        entries.version += 1;
        entries.templates.retain(|f| !is_owned(f));
        entries.literal.retain(|_, methods| {
            methods.retain(|_, f| !is_owned(f));
            !methods.is_empty()
        });
    }

    /// Grows with each change: who made something from the table knows when it is stale.
    pub fn version(&self) -> u64 {
        self.0.read().unwrap_or_else(PoisonError::into_inner).version
    }

    /// Finds what a decoded path means.
    pub fn find(&self, method: Method, path: &str) -> Found {
        let entries = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut others = Vec::new();
        if let Some(methods) = entries.literal.get(path) {
            match methods.get(&method) {
                Some(function) => return Found::Function(function.clone(), BTreeMap::new()),
                None => others.extend(methods.keys().copied()),
            }
        }
        for function in &entries.templates {
            if let Some(parameters) = capture(&function.path, path) {
                if function.method == method {
                    return Found::Function(function.clone(), parameters);
                }
                others.push(function.method);
            }
        }
        if others.is_empty() { Found::Nothing } else { Found::OtherMethods(others) }
    }

    /// All functions, by path and method.
    pub fn all(&self) -> Vec<Arc<Function>> {
        let entries = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = entries.literal.values().flat_map(BTreeMap::values).cloned().collect();
        all.extend(entries.templates.iter().cloned());
        all.sort_by(|a, b| (&a.path, a.method).cmp(&(&b.path, b.method)));
        all
    }
}

/// The named segments of a path, when it has the template's form. Empty segments match nothing.
fn capture(template: &str, path: &str) -> Option<BTreeMap<String, String>> {
    let mut parameters = BTreeMap::new();
    let (mut want, mut have) = (template.split('/'), path.split('/'));
    loop {
        match (want.next(), have.next()) {
            (None, None) => return Some(parameters),
            (Some(want), Some(have)) => match want.strip_prefix('{').and_then(|w| w.strip_suffix('}')) {
                Some(name) if !have.is_empty() => {
                    parameters.insert(name.to_string(), have.to_string());
                }
                None if want == have => {}
                _ => return None,
            },
            _ => return None,
        }
    }
}

/// Checks who calls and what with; the same for HTTP, automations and scripts.
///
/// # Errors
/// 401, 403 or 400 with the parameter's name.
pub fn check(function: &Function, call: &Call) -> Result<(), Problem> {
    if function.right != Right::Anyone {
        if !call.who.is_known() {
            return Err(Problem::new(401, "log in first"));
        }
        if !call.who.may(function.right) {
            return Err(Problem::forbidden("not allowed")
                .with("needs", format!("{:?}", function.right).to_lowercase()));
        }
        if function.acts && function.method == Method::Get && call.who.by_cookie {
            return Err(Problem::forbidden("a GET that acts needs a bearer token"));
        }
    }
    for parameter in &function.parameters {
        let Some(text) = call.parameters.get(&parameter.name).filter(|text| !text.is_empty()) else {
            if parameter.is_required {
                let title = format!("Missing required parameter {}", parameter.name);
                return Err(Problem::bad(&title)
                    .with("error", title)
                    .with("parameter", parameter.name.as_str()));
            }
            continue;
        };
        let fits = match parameter.shape {
            Shape::Text => true,
            Shape::Integer => text.parse::<i64>().is_ok(),
            Shape::Number => text.parse::<f64>().is_ok_and(f64::is_finite),
            Shape::Boolean => matches!(text.as_str(), "true" | "false"),
        };
        if !fits {
            let title = format!("parameter {} is no {:?}", parameter.name, parameter.shape).to_lowercase();
            return Err(Problem::bad(title).with("parameter", parameter.name.as_str()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(method: Method, path: &str, owner: &str) -> Function {
        let mut f = Function::new(method, path, "x", |_, _| Box::pin(async { Ok(Reply::ok()) }));
        f.owner = owner.into();
        f
    }
    fn finds(table: &Table, path: &str) -> bool {
        matches!(table.find(Method::Get, path), Found::Function(..))
    }

    #[test]
    fn the_table_grows_and_shrinks() {
        let table = Table::default();
        table.add(function(Method::Get, "/dwn/list", "dwn"));
        table.add(function(Method::Get, "/dwn/n1/on", "dwn.n1"));
        table.add(function(Method::Get, "/dwnx", "dwnx"));
        assert_eq!(table.all().len(), 3);
        table.remove_owner("dwn.n1");
        assert!(!finds(&table, "/dwn/n1/on") && finds(&table, "/dwn/list"));
        table.remove_owner("dwn");
        assert!(!finds(&table, "/dwn/list") && finds(&table, "/dwnx"));
    }

    #[test]
    fn named_segments_are_captured_and_never_empty() {
        let table = Table::default();
        table.add(function(Method::Get, "/api/devices/{id}/log", "hub"));
        let Found::Function(_, parameters) = table.find(Method::Get, "/api/devices/a:b/log") else {
            panic!("not found")
        };
        assert_eq!(parameters["id"], "a:b");
        for path in ["/api/devices//log", "/api/devices/a/log/", "/api/devices/a", "/api/devices/a/b/log", ""]
        {
            assert!(!finds(&table, path), "{path}");
        }
        assert!(
            matches!(table.find(Method::Post, "/api/devices/a/log"), Found::OtherMethods(m) if m == [Method::Get])
        );
    }

    #[test]
    fn parameters_are_checked_before_the_handler_sees_them() {
        let f = function(Method::Get, "/x/{id}", "hub").query("n", Shape::Integer, true, "");
        let mut call = Call::internal(Principal::house());
        call.parameters.insert("id".into(), "a".into());
        assert_eq!(check(&f, &call).unwrap_err().title, "Missing required parameter n");
        call.parameters.insert("n".into(), "1.5".into());
        assert_eq!(check(&f, &call).unwrap_err().status, 400);
        call.parameters.insert("n".into(), "15".into());
        assert_eq!(check(&f, &call), Ok(()));
        assert_eq!(check(&f, &Call { who: Principal::nobody(), ..call }).unwrap_err().status, 401);
    }

    #[test]
    fn an_acting_get_is_refused_by_cookie() {
        let f = function(Method::Get, "/x", "hub").acting();
        let mut call = Call::internal(Principal::house());
        assert_eq!(check(&f, &call), Ok(()));
        call.who.by_cookie = true;
        assert_eq!(check(&f, &call).unwrap_err().status, 403);
    }
}
