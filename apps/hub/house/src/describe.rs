//! The table of functions as documents: `/help` and OpenAPI.

use crate::function::{Function, Place, Right, Shape, Table};
use serde_json::{Map, Value, json};

impl Table {
    /// `/help`, in the original's form: of the functions that `shows` lets through.
    pub fn help(&self, shows: &dyn Fn(&Function) -> bool) -> Value {
        let api: Vec<Value> = self
            .all()
            .iter()
            .filter(|f| shows(f))
            .map(|f| {
                let params: Vec<Value> = f
                    .parameters
                    .iter()
                    .map(|p| json!({"name": p.name, "description": p.description}))
                    .collect();
                json!({"description": f.summary, "params": params, "path": f.path, "method": f.method.name()})
            })
            .collect();
        json!({ "api": api })
    }

    /// The OpenAPI 3.1 document of this moment, of the functions that `shows` lets through.
    pub fn openapi(&self, shows: &dyn Fn(&Function) -> bool) -> Value {
        let mut paths: Map<String, Value> = Map::new();
        for f in self.all().into_iter().filter(|f| shows(f)) {
            let parameters: Vec<Value> = f
                .parameters
                .iter()
                .map(|p| {
                    let place = if p.place == Place::Path { "path" } else { "query" };
                    let shape = match p.shape {
                        Shape::Text => "string",
                        Shape::Integer => "integer",
                        Shape::Number => "number",
                        Shape::Boolean => "boolean",
                    };
                    json!({"name": p.name, "in": place, "required": p.is_required,
                           "description": p.description, "schema": {"type": shape}})
                })
                .collect();
            let mut operation = json!({
                "summary": f.summary,
                "parameters": parameters,
                "tags": [f.owner.split('.').next().unwrap_or("hub")],
                "responses": {"200": {"description": "done"},
                              "default": {"description": "problem", "content": {"application/problem+json": {}}}},
                "x-right": format!("{:?}", f.right).to_lowercase(),
            });
            if let Some(schema) = &f.body {
                operation["requestBody"] = json!({"content": {"application/json": {"schema": schema}}});
            }
            if f.right == Right::Anyone {
                operation["security"] = json!([]);
            }
            let item = paths.entry(f.path.clone()).or_insert_with(|| json!({}));
            item[f.method.name().to_lowercase()] = operation;
        }
        json!({
            "openapi": "3.1.0",
            "info": {"title": "Hob hub", "version": env!("CARGO_PKG_VERSION")},
            "paths": paths,
            "security": [{"bearer": []}, {"cookie": []}],
            "components": {"securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "session"}}},
        })
    }
}
