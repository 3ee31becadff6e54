//! Values that can be written in several forms, such as a text or a mapping.
//!
//! The form is told by its YAML type and read as nothing else, so that an error is about what is
//! wrong inside it; serde's untagged enums would only say that no form fits.

/// Implements `Deserialize` for an enum whose variants are forms of one value.
macro_rules! forms {
    (
        $type:ident, $expecting:literal
        $(, text => $text:expr)?
        $(, list => $list:expr)?
        $(, map => $map:expr)?
    ) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Forms;
                impl<'de> serde::de::Visitor<'de> for Forms {
                    type Value = $type;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str($expecting)
                    }
                    $(
                        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$type, E> {
                            Ok($text(text.to_owned()))
                        }
                    )?
                    $(
                        fn visit_seq<A: serde::de::SeqAccess<'de>>(
                            self,
                            list: A,
                        ) -> Result<$type, A::Error> {
                            let list = serde::de::value::SeqAccessDeserializer::new(list);
                            serde::Deserialize::deserialize(list).map($list)
                        }
                    )?
                    $(
                        fn visit_map<A: serde::de::MapAccess<'de>>(
                            self,
                            map: A,
                        ) -> Result<$type, A::Error> {
                            let map = serde::de::value::MapAccessDeserializer::new(map);
                            serde::Deserialize::deserialize(map).map($map)
                        }
                    )?
                }
                deserializer.deserialize_any(Forms)
            }
        }
    };
}

pub(super) use forms;
