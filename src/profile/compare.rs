//! Two profiles beside each other: before and after a change, two devices, a browser and a native program.

use std::collections::BTreeMap;

use serde::Serialize;

use super::data::Profile;
use super::samples::{Change, Samples};
use super::views::View;

/// What changed from one profile to another.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// In what the two differ beside their times.
    pub differences: Vec<String>,
    /// Plain runs.
    pub run: Row,
    /// All launches together; none where one of the profiles did not time them.
    pub launches: Option<Row>,
    /// Groups of launches, that whose time changed most first.
    pub rows: Vec<Row>,
}

/// One quantity in both profiles.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// What it is.
    pub name: String,
    /// Median in nanoseconds before, where it is there.
    pub before: Option<f64>,
    /// Median in nanoseconds after, where it is there.
    pub after: Option<f64>,
    /// Nanoseconds below which the clocks tell nothing.
    pub resolution: f64,
    /// The change, where it is in both, six times each at least, and the clocks resolve it.
    pub change: Option<Change>,
}

impl Comparison {
    /// Compares group by group.
    pub fn new(before: &Profile, after: &Profile, view: View) -> Self {
        let resolution = before.method.resolution.max(after.method.resolution).unwrap_or(0) as f64;
        let (old, new) = (before.groups(view), after.groups(view));
        let mut rows: Vec<Row> = old
            .iter()
            .map(|group| {
                let other = new.iter().find(|other| other.name == group.name);
                Row::new(&group.name, group.time.as_ref(), other.and_then(|other| other.time.as_ref()), resolution)
            })
            .collect();
        let added = new.iter().filter(|group| old.iter().all(|other| other.name != group.name));
        rows.extend(added.map(|group| Row::new(&group.name, None, group.time.as_ref(), resolution)));
        rows.sort_by(|a, b| b.difference().abs().total_cmp(&a.difference().abs()));
        let launches = before.launches_time().zip(after.launches_time());
        Self {
            differences: differences(before, after),
            run: Row::new("plain run", Some(&before.runs.plain), Some(&after.runs.plain), 0.0),
            launches: launches.map(|(old, new)| Row::new("all launches", Some(&old), Some(&new), resolution)),
            rows,
        }
    }

    /// What is slower by more than `threshold` (0.05 is 5 %) at 95 % confidence: of the whole runs and all launches
    /// together, and with `each` also of the groups.
    pub fn slower(&self, threshold: f64, each: bool) -> Vec<&Row> {
        let whole = std::iter::once(&self.run).chain(&self.launches);
        let groups = self.rows.iter().filter(|_| each);
        whole.chain(groups).filter(|row| row.change.is_some_and(|change| change.low > threshold)).collect()
    }
}

impl Row {
    fn new(name: &str, before: Option<&Samples>, after: Option<&Samples>, resolution: f64) -> Self {
        let resolved = |samples: &&Samples| samples.median() >= resolution;
        let both = before.filter(resolved).zip(after.filter(resolved));
        Self {
            name: name.into(),
            before: before.map(Samples::median),
            after: after.map(Samples::median),
            resolution,
            change: both.and_then(|(before, after)| Change::between(before, after)),
        }
    }

    /// Nanoseconds from before to after; what is not there takes none.
    pub fn difference(&self) -> f64 {
        self.after.unwrap_or(0.0) - self.before.unwrap_or(0.0)
    }
}

fn differences(before: &Profile, after: &Profile) -> Vec<String> {
    let device = |profile: &Profile| format!("{} ({})", profile.device.name, profile.device.api);
    let pairs = [
        ("network", before.network.clone(), after.network.clone()),
        ("device", device(before), device(after)),
        ("driver", before.device.driver.clone(), after.device.driver.clone()),
        ("pictures", before.pictures.to_string(), after.pictures.to_string()),
        ("timing", before.method.timing.name().into(), after.method.timing.name().into()),
        ("program", before.program.clone(), after.program.clone()),
    ];
    let differing = pairs.into_iter().filter(|(_, old, new)| old != new);
    let told = |text: String| if text.is_empty() { "nothing".to_string() } else { text };
    let told = differing.map(|(what, old, new)| format!("{what}: {} before, {} after", told(old), told(new)));
    told.chain(other_kernels(before, after)).collect()
}

/// Of networks with the same layers, those that other kernels compute: another form, precision or tuning.
fn other_kernels(before: &Profile, after: &Profile) -> Option<String> {
    let by_layer = |profile: &Profile| {
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for launch in &profile.dispatches {
            let precision = if launch.variant.split(' ').any(|word| word == "f16") { " f16" } else { "" };
            found.entry(launch.layer.clone()).or_default().push(format!("{}{precision}", launch.kernel));
        }
        found
    };
    let (old, new) = (by_layer(before), by_layer(after));
    let in_both = old.iter().filter_map(|(layer, old)| Some((layer, old, new.get(layer)?)));
    let differing: Vec<_> = in_both.filter(|(_, old, new)| old != new).collect();
    let (layer, old, new) = differing.first()?;
    let (count, old, new) = (differing.len(), old.join(", "), new.join(", "));
    Some(format!("kernels of {count} layer(s), such as {layer}: {old} before, {new} after"))
}
