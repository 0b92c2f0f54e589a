//! The rule that every tensor is used exactly once.

use std::collections::BTreeMap;
use std::fmt;

use super::error::Quoted;
use crate::graph::Graph;

/// How a set of tensors differs from a network's.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct Mismatch {
    /// Names that the network needs and the set lacks, in the network's order.
    pub missing: Vec<String>,
    /// Names that the network does not have.
    pub extra: Vec<String>,
    /// Tensors of another shape than the network's, in the network's order.
    pub misshapen: Vec<Misshapen>,
}

/// A tensor of the wrong shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misshapen {
    /// Its name.
    pub tensor: String,
    /// The network's shape.
    pub expected: Vec<usize>,
    /// Its shape.
    pub found: Vec<usize>,
}

impl Mismatch {
    /// Tensors in all that are not as they should be.
    pub fn count(&self) -> usize {
        self.missing.len() + self.extra.len() + self.misshapen.len()
    }
}

/// Checks that `found`, names with shapes, are exactly the tensors that `graph` needs.
///
/// # Errors
/// All that are missing, superfluous, given twice, or misshapen.
pub fn check<'a>(graph: &Graph, found: impl IntoIterator<Item = (&'a str, &'a [usize])>) -> Result<(), Mismatch> {
    let mut mismatch = Mismatch::default();
    let mut unused = BTreeMap::new();
    for (name, shape) in found {
        if unused.insert(name, shape).is_some() {
            mismatch.extra.push(name.into());
        }
    }
    for parameter in graph.parameters() {
        match unused.remove(parameter.name.as_str()) {
            None => mismatch.missing.push(parameter.name),
            Some(shape) if shape == parameter.shape => {}
            Some(shape) => mismatch.misshapen.push(Misshapen {
                tensor: parameter.name,
                expected: parameter.shape,
                found: shape.to_vec(),
            }),
        }
    }
    mismatch.extra.extend(unused.into_keys().map(String::from));
    if mismatch.count() == 0 { Ok(()) } else { Err(mismatch) }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |names: &[String]| names.iter().map(|name| Quoted(name).to_string()).collect::<Vec<_>>();
        let shapes = self
            .misshapen
            .iter()
            .map(|m| format!("{} has shape {}, expected {}", Quoted(&m.tensor), Shape(&m.found), Shape(&m.expected)));
        let parts = [
            ("missing", quoted(&self.missing)),
            ("not the network's", quoted(&self.extra)),
            ("misshapen", shapes.collect()),
        ];
        let mut separator = "";
        for (what, list) in parts.iter().filter(|(_, list)| !list.is_empty()) {
            const SHOWN: usize = 4;
            let (verb, plural) = if list.len() == 1 { ("is", "") } else { ("are", "s") };
            write!(f, "{separator}{} tensor{plural} {verb} {what}: ", list.len())?;
            write!(f, "{}", list[..list.len().min(SHOWN)].join(", "))?;
            if list.len() > SHOWN {
                write!(f, " and {} more", list.len() - SHOWN)?;
            }
            separator = "; ";
        }
        Ok(())
    }
}

/// A shape in an error message; a file may claim one of a million axes.
struct Shape<'a>(&'a [usize]);

impl fmt::Display for Shape<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.len() <= 8 { write!(f, "{:?}", self.0) } else { write!(f, "of {} axes", self.0.len()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::networks::Architecture;

    fn graph() -> Graph {
        Architecture::EfficientNetLite0 { classes: 5, input_size: 32 }.build().unwrap()
    }

    #[test]
    fn a_networks_own_tensors_fit() {
        let graph = graph();
        let parameters = graph.parameters();
        assert_eq!(check(&graph, parameters.iter().map(|p| (p.name.as_str(), p.shape.as_slice()))), Ok(()));
    }

    #[test]
    fn everything_that_differs_is_reported_at_once() {
        let graph = graph();
        let mut parameters = graph.parameters();
        parameters.retain(|p| !p.name.starts_with("_bn0."));
        parameters.iter_mut().find(|p| p.name == "_fc.bias").unwrap().shape = vec![6];
        let mut found: Vec<_> = parameters.iter().map(|p| (p.name.as_str(), p.shape.as_slice())).collect();
        found.push(("teacher.weight", &[1]));
        found.push(("_fc.weight", &[5, 1280]));
        found.extend([("a", &[][..]), ("b", &[]), ("c", &[]), ("d", &[]), ("e\n", &[])]);
        let mismatch = check(&graph, found).unwrap_err();
        assert_eq!(mismatch.count(), 4 + 7 + 1);
        assert_eq!(
            mismatch.to_string(),
            "4 tensors are missing: `_bn0.weight`, `_bn0.bias`, `_bn0.running_mean`, `_bn0.running_var`; \
             7 tensors are not the network's: `_fc.weight`, `a`, `b`, `c` and 3 more; \
             1 tensor is misshapen: `_fc.bias` has shape [6], expected [5]"
        );
    }
}
