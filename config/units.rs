//! Durations and sizes as they are written: `30s`, `5m`, `1h`, `64KiB`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Count,
    Seconds,
    Bytes,
}

impl Unit {
    /// How a value of this unit is written.
    pub(crate) fn example(self) -> &'static str {
        match self {
            Unit::Count => "a whole number such as 20",
            Unit::Seconds => "seconds, or a duration such as \"30s\", \"5m\" or \"1h\"",
            Unit::Bytes => "bytes, or a size such as \"64KiB\" or \"8MiB\"",
        }
    }

    /// Reads `5m` as 300. `None` if it is no such value or too large to count.
    pub(crate) fn parse(self, text: &str) -> Option<u64> {
        let text = text.trim();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, suffix) = text.split_at(digits);
        let factor = match (self, suffix.trim()) {
            (_, "") | (Unit::Seconds, "s") | (Unit::Bytes, "B") => 1,
            (Unit::Seconds, "m") => 60,
            (Unit::Seconds, "h") => 3_600,
            (Unit::Seconds, "d") => 86_400,
            (Unit::Bytes, "KiB") => 1 << 10,
            (Unit::Bytes, "MiB") => 1 << 20,
            (Unit::Bytes, "GiB") => 1 << 30,
            (Unit::Bytes, "KB" | "kB") => 1_000,
            (Unit::Bytes, "MB") => 1_000_000,
            (Unit::Count | Unit::Seconds | Unit::Bytes, _) => return None,
        };
        number.parse::<u64>().ok()?.checked_mul(factor)
    }
}

/// Seconds, for the schema: a whole number or `"5m"`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seconds;

impl JsonSchema for Seconds {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Seconds".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [
            {"type": "integer", "minimum": 0},
            {"type": "string", "pattern": "^[0-9]+ *[smhd]?$"},
        ]})
    }
}

/// A switch, for the schema: `on`, `off` or a boolean.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Switch;

impl JsonSchema for Switch {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Switch".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [{"type": "boolean"}, {"enum": ["on", "off", "yes", "no"]}]})
    }
}

/// Two forms of one value, for the schema.
#[derive(Debug)]
pub(crate) struct OneOf<A, B>(std::marker::PhantomData<(A, B)>);

impl<A: JsonSchema, B: JsonSchema> JsonSchema for OneOf<A, B> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("{}_or_{}", A::schema_name(), B::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (a, b) = (generator.subschema_for::<A>(), generator.subschema_for::<B>());
        json_schema!({"anyOf": [a, b]})
    }
}
