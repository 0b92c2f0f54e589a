//! Launches grouped: by layer, by block, by kernel, by what they do.

use serde::{Deserialize, Serialize};

use super::cost_model::{Bound, Prediction};
use super::data::{DispatchProfile, Profile};
use super::roof::Roof;
use super::samples::Samples;

/// What launches are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// Each by itself.
    Dispatch,
    /// The layer that they work for.
    Layer,
    /// The layer's block.
    Block,
    /// Kernel and entry point.
    Kernel,
    /// What they do in their layer: static work, or one of the parts of dynamic convolution.
    Part,
}

/// Launches that are alike in something.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    /// What they have in common.
    pub name: String,
    /// How many they are.
    pub launches: usize,
    /// Their time in each run; none where launches are not timed.
    pub time: Option<Samples>,
    /// Its share of the time of all launches.
    pub share: Option<f64>,
    /// Their operations.
    pub flops: u64,
    /// Bytes that they read and write.
    pub bytes: u64,
    /// The share of the roof that they reach together, where the clock resolves their time: the sum of the times at the roof, by the
    /// time that they took.
    pub roof_share: Option<f64>,
    /// What binds them, where the device's roof is known: most of the time that they would take at it.
    pub bound: Option<Bound>,
}

impl Profile {
    /// The launches in groups, in the order in which the first of each runs.
    pub fn groups(&self, view: View) -> Vec<Group> {
        let mut members: Vec<(String, Vec<&DispatchProfile>)> = Vec::new();
        for dispatch in &self.dispatches {
            let name = match view {
                View::Dispatch => format!("{} {} {}", dispatch.index, dispatch.layer, dispatch.name()),
                View::Layer => dispatch.layer.clone(),
                View::Block => dispatch.block.clone(),
                View::Kernel => dispatch.name(),
                View::Part => dispatch.part.name().into(),
            };
            match members.iter_mut().find(|(other, _)| *other == name) {
                Some((_, group)) => group.push(dispatch),
                None => members.push((name, vec![dispatch])),
            }
        }
        let total = sum_of(&self.dispatches.iter().collect::<Vec<_>>()).map(|time| time.median());
        members.into_iter().map(|(name, members)| self.group(name, &members, total)).collect()
    }

    fn group(&self, name: String, members: &[&DispatchProfile], total: Option<f64>) -> Group {
        let time = sum_of(members);
        let median = time.as_ref().map(Samples::median).filter(|median| self.method.resolves(*median));
        let at_roof = |roof: &Roof| -> f64 {
            members.iter().filter_map(|member| roof.share(member.flops, member.bytes(), 1.0)).sum()
        };
        // A file may hold any number.
        let total_of = |amount: fn(&DispatchProfile) -> u64| {
            members.iter().fold(0, |total: u64, member| total.saturating_add(amount(member)))
        };
        let predicted: Option<Prediction> = members.iter().map(|member| member.prediction).sum();
        Group {
            name,
            launches: members.len(),
            share: median.zip(total).filter(|(_, total)| *total > 0.0).map(|(median, total)| median / total),
            flops: total_of(|member| member.flops),
            bytes: total_of(DispatchProfile::bytes),
            bound: predicted.map(|prediction| prediction.bound()),
            roof_share: self.roof.as_ref().zip(median).map(|(roof, nanoseconds)| at_roof(roof) / nanoseconds),
            time,
        }
    }

    /// The time of all launches in each run; none where launches are not timed.
    pub fn launches_time(&self) -> Option<Samples> {
        sum_of(&self.dispatches.iter().collect::<Vec<_>>())
    }
}

/// The time of launches together in each run.
fn sum_of(members: &[&DispatchProfile]) -> Option<Samples> {
    let (first, rest) = members.split_first()?;
    rest.iter().try_fold(first.time.clone()?, |sum, member| Some(sum.plus(member.time.as_ref()?)))
}
