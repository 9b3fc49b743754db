//! JSON that says only what is not the default, as protobuf's own JSON does: the types
//! of the interface are generated, and want every field.

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Error, Map, Value};

/// Reads a message; a field that it has not is an error.
///
/// # Errors
/// One line that names the field.
pub fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, Error> {
    T::deserialize(Partial(Some(value)))
}

/// A value, or nothing where it is not said.
struct Partial(Option<Value>);

impl IntoDeserializer<'_, Error> for Partial {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// `deserialize_*` of types with a default of their own.
macro_rules! or_default {
    ($($method:ident $visit:ident $default:expr;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.0 {
                None => visitor.$visit($default),
                Some(value) => value.$method(visitor),
            }
        })*
    };
}

impl<'de> Deserializer<'de> for Partial {
    type Error = Error;

    or_default! {
        deserialize_bool visit_bool false;
        deserialize_i32 visit_i32 0;
        deserialize_i64 visit_i64 0;
        deserialize_u32 visit_u32 0;
        deserialize_u64 visit_u64 0;
        deserialize_str visit_str "";
        deserialize_string visit_str "";
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            None | Some(Value::Null) => visitor.visit_none(),
            some => visitor.visit_some(Self(some)),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let items = match self.0 {
            None => Vec::new(),
            Some(Value::Array(items)) => items,
            Some(other) => return Err(Error::custom(format!("{other}: not a list"))),
        };
        let items = items.into_iter().map(|item| Self(Some(item)));
        visitor.visit_seq(SeqDeserializer::new(items))
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let entries = object(self.0)?.into_iter();
        let entries = entries.map(|(name, value)| (name, Self(Some(value))));
        visitor.visit_map(MapDeserializer::new(entries))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let mut said = object(self.0)?;
        let all: Vec<_> = fields
            .iter()
            .map(|field| (*field, Self(said.remove(*field))))
            .collect();
        if let Some(unknown) = said.keys().next() {
            return Err(Error::custom(format!("{name} has no field {unknown:?}")));
        }
        visitor.visit_map(MapDeserializer::new(all.into_iter()))
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.0.unwrap_or_default().deserialize_any(visitor)
    }

    forward_to_deserialize_any! {
        i8 i16 u8 u16 f32 f64 char bytes byte_buf unit unit_struct newtype_struct
        tuple tuple_struct enum identifier ignored_any
    }
}

fn object(value: Option<Value>) -> Result<Map<String, Value>, Error> {
    match value {
        None => Ok(Map::new()),
        Some(Value::Object(object)) => Ok(object),
        Some(other) => Err(Error::custom(format!("{other}: not an object"))),
    }
}

#[cfg(test)]
mod tests {
    use k8s_cri::v1::{CreateContainerRequest, RunPodSandboxRequest};
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_said_is_the_default() {
        let request: CreateContainerRequest = from_value(json!({"config": {
            "command": ["sh"],
            "annotations": {"a": "b"},
            "linux": {"resources": {"cpu_quota": 7}}}}))
        .expect("a request");
        let config = request.config.expect("a config");
        assert_eq!(request.pod_sandbox_id, "");
        assert_eq!(config.command, ["sh"]);
        assert_eq!(config.annotations["a"], "b");
        let linux = config.linux.expect("linux");
        assert_eq!(linux.resources.expect("resources").cpu_quota, 7);
        assert!(linux.security_context.is_none());
    }

    #[test]
    fn a_field_that_is_not_there_is_named() {
        let read = from_value::<RunPodSandboxRequest>(json!({"config": {"nonsense": 1}}));
        let error = read.expect_err("an error").to_string();
        assert!(
            error.contains("PodSandboxConfig has no field \"nonsense\""),
            "{error}"
        );
    }
}
