//! A request on its way to a function of the table, and the answer on its way back.

use crate::door::Credentials;
use crate::hosts::Hosts;
use crate::listen::{Peer, Server};
use crate::live;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::any;
use house::function::{Content, Found, Function, Reply};
use house::house::{decode, parse_query};
use house::{Call, Method, Principal, Problem};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The routes of one connection.
pub(crate) fn router(server: Arc<Server>, peer: Peer) -> Router {
    let (ws, events) = (server.clone(), server.clone());
    Router::new()
        .route("/ws", any(move |request: Request| live::websocket(ws.clone(), peer, request)))
        .route("/events", any(move |request: Request| live::server_sent(events.clone(), peer, request)))
        .fallback(move |request: Request| answer(server.clone(), peer, request))
}

async fn answer(server: Arc<Server>, peer: Peer, request: Request) -> Response {
    let is_head = request.method() == axum::http::Method::HEAD;
    let mut response = match handle(&server, peer, request).await {
        Ok(reply) => respond(reply).await,
        Err(problem) => refuse(&problem),
    };
    if is_head {
        *response.body_mut() = Body::empty();
    }
    response
}

/// Who sends this, after the checks that every request must pass.
///
/// # Errors
/// A foreign `Host`, a foreign `Origin` that would act by cookie, or what the doorkeeper says.
pub(crate) fn admit(server: &Server, peer: Peer, headers: &HeaderMap) -> Result<Option<Principal>, Problem> {
    if peer.address.is_none() {
        return Ok(Some(Principal::house()));
    }
    if !server.hosts.accepts(headers) {
        let detail = "add the name to server.names in the configuration, or use the address";
        return Err(Problem::new(421, "this host name is not the hub's").detail(detail));
    }
    let credentials = Credentials::read(headers, peer.address, peer.is_secure);
    server.doorkeeper.who(&credentials)
}

async fn handle(server: &Arc<Server>, peer: Peer, request: Request) -> Result<Reply, Problem> {
    let (head, body) = request.into_parts();
    let who = admit(server, peer, &head.headers)?;
    let name = if head.method == axum::http::Method::HEAD { "GET" } else { head.method.as_str() };
    let method = Method::from_name(name).ok_or_else(|| Problem::new(501, "method not implemented"))?;
    let path = decode(head.uri.path()).filter(|path| !path.contains('\0'));
    let path = path.ok_or_else(|| Problem::bad("the path is no UTF-8 text"))?;
    let parameters = parse_query(head.uri.query().unwrap_or(""))
        .ok_or_else(|| Problem::bad("the query is no UTF-8 text"))?;
    let (function, captured) = match server.house.functions().find(method, &path) {
        Found::Function(function, captured) => (function, captured),
        Found::OtherMethods(methods) => {
            let allow = methods.iter().map(|m| m.name()).collect::<Vec<_>>().join(", ");
            return Err(Problem::new(405, "method not allowed").with("allow", allow));
        }
        Found::Nothing => return Err(Problem::missing("function", &path)),
    };
    let who = who.unwrap_or_else(Principal::nobody);
    if function.acts && !Hosts::is_same_origin(&head.headers) {
        return Err(Problem::forbidden("a page from elsewhere must not act here"));
    }
    let if_match = head
        .headers
        .get(header::IF_MATCH)
        .and_then(|v| v.to_str().ok())
        .map(|v| v.trim_matches('"').to_string());
    let mut call = Call { parameters, body: Value::Null, if_match, who };
    call.parameters.extend(captured);
    server.house.permit(&function, &call)?;
    if method != Method::Get {
        call.body = read_body(server, &head.headers, body).await?;
    }
    run(server, &function, call, peer).await
}

async fn read_body(server: &Server, headers: &HeaderMap, body: Body) -> Result<Value, Problem> {
    if let Some(encoding) = headers.get(header::CONTENT_ENCODING)
        && encoding != "identity"
    {
        return Err(Problem::new(415, "compressed bodies are not taken"));
    }
    let too_long = || Problem::new(413, format!("a body has at most {} bytes", server.limits.body_bytes));
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|len| len > server.limits.body_bytes) {
        return Err(too_long());
    }
    let read = tokio::time::timeout(server.limits.body, to_bytes(body, server.limits.body_bytes)).await;
    let read = read.map_err(|_| Problem::new(408, "the body took too long"))?;
    let bytes = read.map_err(|_| too_long())?;
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let media = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    let media = media.split(';').next().unwrap_or("").trim();
    // A form of another page can send text/plain without asking; JSON it cannot.
    if !(media == "application/json" || media.ends_with("+json")) {
        return Err(Problem::new(415, "the body must be application/json"));
    }
    serde_json::from_slice(&bytes).map_err(|e| Problem::bad("the body is no JSON").detail(e.to_string()))
}

/// Runs the handler in a task of its own: a client that goes away does not interrupt it, a panic is one answer.
async fn run(
    server: &Arc<Server>,
    function: &Arc<Function>,
    mut call: Call,
    peer: Peer,
) -> Result<Reply, Problem> {
    // Handlers that need to know (log-in) find it here; a query cannot set it, because it is set last.
    call.parameters.insert("@address".into(), peer.address.map(|a| a.to_string()).unwrap_or_default());
    call.parameters.insert("@secure".into(), peer.is_secure.to_string());
    let work = (function.handler)(server.house.clone(), call);
    match tokio::spawn(work).await {
        Ok(result) => result,
        Err(error) => {
            tracing::error!(?function, %error, "a handler panicked");
            Err(Problem::internal("the hub made a mistake; it is in its log"))
        }
    }
}

async fn respond(reply: Reply) -> Response {
    let mut length = None;
    let (media, body) = match reply.content {
        Content::Json(value) => ("application/json", Body::from(value.to_string())),
        Content::Bytes(media, bytes) => (media, Body::from(bytes)),
        Content::File(media, path) => match tokio::fs::File::open(&path).await {
            Ok(file) => {
                length = file.metadata().await.ok().map(|m| m.len());
                (media, stream_file(file))
            }
            Err(error) => return refuse(&Problem::missing("file", &error.to_string())),
        },
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    if let Some(length) = length {
        headers.insert(header::CONTENT_LENGTH, length.into());
    }
    let etag = reply.etag.map(|etag| ("etag", format!("\"{etag}\"")));
    for (name, value) in reply.headers.into_iter().chain(etag) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            headers.append(name, value);
        }
    }
    guard(response)
}

fn stream_file(file: tokio::fs::File) -> Body {
    use tokio::io::AsyncReadExt as _;
    Body::from_stream(futures_util::stream::unfold(file, |mut file| async move {
        let mut bytes = Vec::with_capacity(64 * 1024);
        match (&mut file).take(64 * 1024).read_to_end(&mut bytes).await {
            Ok(0) => None,
            Ok(_) => Some((Ok(bytes), file)),
            Err(error) => Some((Err(error), file)),
        }
    }))
}

/// The answer that a problem is.
pub(crate) fn refuse(problem: &Problem) -> Response {
    let mut response = Response::new(Body::from(problem.to_json().to_string()));
    *response.status_mut() =
        StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    match problem.status {
        401 => {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        405 => {
            let allow = problem
                .extra
                .get("allow")
                .and_then(Value::as_str)
                .and_then(|v| HeaderValue::try_from(v).ok());
            headers.insert(header::ALLOW, allow.unwrap_or(HeaderValue::from_static("GET")));
        }
        429 => {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("60"));
        }
        // What was sent may still be on its way: the connection is of no more use.
        408 | 413 => {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        _ => {}
    }
    guard(response)
}

/// What browsers must not do with any answer.
fn guard(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let policy = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, policy),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// The query parameters of a live connection.
pub(crate) fn query(uri: &axum::http::Uri) -> BTreeMap<String, String> {
    parse_query(uri.query().unwrap_or("")).unwrap_or_default()
}
