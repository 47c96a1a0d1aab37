//! A tree of named fields that reads well and is JSON at the same time.

use serde_json::{Map, Value};

/// Named fields in the order in which a person wants them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields(Vec<(&'static str, Field)>);

#[derive(Debug, Clone)]
enum Field {
    /// What people read, and what programs do.
    Leaf(String, Value),
    Group(Fields),
    List(Vec<Fields>),
}

impl Fields {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// A text, number or truth value that is the same for both.
    pub(crate) fn put(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        let value = value.into();
        let text = match &value {
            Value::String(text) => text.clone(),
            Value::Null => "none".to_owned(),
            Value::Bool(true) => "yes".to_owned(),
            Value::Bool(false) => "no".to_owned(),
            other => other.to_string(),
        };
        self.0.push((name, Field::Leaf(text, value)));
        self
    }

    /// A value that people read otherwise than programs.
    pub(crate) fn put_as(
        mut self,
        name: &'static str,
        text: impl Into<String>,
        value: impl Into<Value>,
    ) -> Self {
        self.0.push((name, Field::Leaf(text.into(), value.into())));
        self
    }

    pub(crate) fn group(mut self, name: &'static str, fields: Self) -> Self {
        self.0.push((name, Field::Group(fields)));
        self
    }

    pub(crate) fn maybe_group(self, name: &'static str, fields: Option<Self>) -> Self {
        match fields {
            Some(fields) => self.group(name, fields),
            None => self,
        }
    }

    pub(crate) fn list(mut self, name: &'static str, items: Vec<Self>) -> Self {
        self.0.push((name, Field::List(items)));
        self
    }

    /// All of `other` after what is here.
    pub(crate) fn extend(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// As lines, indented by depth.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        self.write(0, &mut lines);
        lines
    }

    fn write(&self, depth: usize, lines: &mut Vec<String>) {
        let width = self.0.iter().map(|(name, _)| words(name).len()).max().unwrap_or(0);
        let indent = "  ".repeat(depth);
        for (name, field) in &self.0 {
            let name = words(name);
            match field {
                Field::Leaf(text, _) => lines.push(format!("{indent}{name:width$}  {text}")),
                Field::Group(fields) => {
                    lines.push(format!("{indent}{name}"));
                    fields.write(depth + 1, lines);
                }
                Field::List(items) if items.is_empty() => lines.push(format!("{indent}{name:width$}  none")),
                Field::List(items) => {
                    for (number, item) in items.iter().enumerate() {
                        lines.push(format!("{indent}{name} {} of {}", number + 1, items.len()));
                        item.write(depth + 1, lines);
                    }
                }
            }
        }
    }

    /// As a JSON object.
    pub(crate) fn json(&self) -> Map<String, Value> {
        let value = |field: &Field| match field {
            Field::Leaf(_, value) => value.clone(),
            Field::Group(fields) => Value::Object(fields.json()),
            Field::List(items) => Value::Array(items.iter().map(|item| Value::Object(item.json())).collect()),
        };
        self.0.iter().map(|(name, field)| ((*name).to_owned(), value(field))).collect()
    }
}

fn words(name: &str) -> String {
    name.replace('_', " ")
}
