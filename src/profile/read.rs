//! Reads profiles back. A file may hold anything.

use serde_json::Value;

use super::data::{Profile, SCHEMA};

/// Why a file is no profile.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is no JSON, or its fields are not those of a profile.
    #[error("expected the JSON of a profile: {0}")]
    Json(#[from] serde_json::Error),
    /// It says no schema.
    #[error("expected a profile, found no field `schema` with a version number")]
    NoSchema,
    /// It is of another version.
    #[error("expected a profile of schema {SCHEMA}, found schema {found}")]
    Schema {
        /// The version that it says.
        found: u64,
    },
    /// Its parts do not fit each other.
    #[error("field `{field}`: {reason}")]
    Inconsistent {
        /// Where.
        field: String,
        /// What is wrong.
        reason: String,
    },
}

impl Profile {
    /// Reads a profile from its JSON form.
    ///
    /// # Errors
    /// When the text is no JSON, of another schema, lacks a field, or its parts do not fit each other.
    pub fn from_json(text: &str) -> Result<Self, ReadError> {
        let value: Value = serde_json::from_str(text)?;
        match value.get("schema").and_then(Value::as_u64) {
            None => return Err(ReadError::NoSchema),
            Some(found) if found != u64::from(SCHEMA) => return Err(ReadError::Schema { found }),
            Some(_) => {}
        }
        let profile: Self = serde_json::from_value(value)?;
        profile.check()?;
        Ok(profile)
    }

    fn check(&self) -> Result<(), ReadError> {
        let wrong = |field: String, reason: String| Err(ReadError::Inconsistent { field, reason });
        let count = self.dispatches.len();
        if count == 0 {
            return wrong("dispatches".into(), "expected at least one launch, found none".into());
        }
        // A coarse clock has some runs take no time at all, but whole profiles of them say nothing.
        let plain = self.runs.plain.values();
        let negative = plain.iter().find(|time| **time < 0);
        if let Some(time) = negative.or(plain.first().filter(|_| plain.iter().all(|time| *time == 0))) {
            return wrong("runs.plain".into(), format!("expected times above zero, found {time} ns"));
        }
        let samples = |index: usize| self.dispatches[index].time.as_ref().map_or(0, |time| time.values().len());
        for (index, dispatch) in self.dispatches.iter().enumerate() {
            if dispatch.index as usize != index {
                return wrong(
                    format!("dispatches[{index}].index"),
                    format!("expected {index}, found {}", dispatch.index),
                );
            }
            if samples(index) != samples(0) {
                let reason =
                    format!("expected {} samples as in the first launch, found {}", samples(0), samples(index));
                return wrong(format!("dispatches[{index}].time"), reason);
            }
        }
        if let Some(timeline) = &self.timeline {
            let timed = timeline.run.launches.iter().flatten().count();
            if timed != count || timeline.run.launches.len() != count {
                return wrong("timeline.run.launches".into(), format!("expected {count} times, found {timed}"));
            }
            let marks = timeline.run.host;
            let ordered = [marks.begin, marks.encoded, marks.submitted, marks.end].is_sorted();
            if !ordered || timeline.run.launches.iter().flatten().any(|[begin, end]| begin > end) {
                return wrong("timeline.run".into(), "expected moments in order".into());
            }
        }
        Ok(())
    }
}
