//! The table's own face: `/help` in the original's form, OpenAPI, and a page on which every function can be tried.

use super::add;
use house::function::Right;
use house::{House, Method, Reply};

const PAGE: &str = include_str!("page.html");
const SCRIPT: &str = include_str!("page.js");
const SIGN: &str = include_str!("favicon.svg");
const STYLE: &str = include_str!("page.css");

pub(super) fn register(house: &House) {
    let anyone = |f: house::Function| f.right(Right::Anyone);
    let about = "The functions that you may call at this moment";
    add(house, Method::Get, "/help", about, anyone, |house, call| {
        Ok(Reply::json(house.functions().help(&|function| house.shows(function, &call.who))))
    });
    let about = "The same as OpenAPI 3.1";
    add(house, Method::Get, "/api/openapi.json", about, anyone, |house, call| {
        Ok(Reply::json(house.functions().openapi(&|function| house.shows(function, &call.who))))
    });
    add(house, Method::Get, "/api", "A page to try every function", anyone, |_, _| {
        Ok(Reply::bytes("text/html; charset=utf-8", PAGE.into()))
    });
    add(house, Method::Get, "/", "The API page, until there is a page for people", anyone, |_, _| {
        let mut reply = Reply::bytes("text/plain", Vec::new()).status(302);
        reply.headers.push(("location", "/api".into()));
        Ok(reply)
    });
    add(house, Method::Get, "/favicon.svg", "The hub's sign", anyone, |_, _| {
        Ok(Reply::bytes("image/svg+xml", SIGN.into()))
    });
    add(house, Method::Get, "/api/page.css", "The style of that page", anyone, |_, _| {
        Ok(Reply::bytes("text/css; charset=utf-8", STYLE.into()))
    });
    add(house, Method::Get, "/api/page.js", "The script of that page", anyone, |_, _| {
        Ok(Reply::bytes("text/javascript; charset=utf-8", SCRIPT.into()))
    });
}
