//! The JSON Schema of recipes, for editors.

use super::Recipe;

/// Returns the JSON Schema of `recipe.toml`, made from the types that read it.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    let mut schema = schemars::schema_for!(Recipe).to_value();
    if let Some(object) = schema.as_object_mut() {
        object.insert("title".to_owned(), "imgbuild recipe".into());
    }
    schema
}
