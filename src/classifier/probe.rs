//! How fast a device computes, measured by a pointwise convolution: what these networks spend most of their time in. Loading
//! a whole network to find out would take a software adapter many times longer.

use super::{ClassifierError, Executor};
use crate::exec::cpu::CpuExecutor;
use crate::exec::gpu::{Gpu, GpuExecutor};
use crate::graph::{Connection, Convolution, Graph, GraphBuilder, GraphError, Op, Padding, Weights, fold};
use crate::lower::{Options, lower};
use crate::plan::Limits;
use crate::tensor::{Map, Tensor};

/// A convolution that is ready to run: 29 million multiply-adds.
pub struct Probe {
    executor: Executor,
}

impl Probe {
    /// Prepares it on a GPU, or on the CPU.
    ///
    /// # Errors
    /// When the device refuses it.
    pub async fn new(gpu: Option<Gpu>) -> Result<Self, ClassifierError> {
        let model = || String::from("the probe");
        let graph = network()?;
        let weights: Weights = graph.parameters().into_iter().map(|p| (p.name, Tensor::filled(p.shape, 0.0))).collect();
        let folded = fold(&graph, &weights).map_err(|error| ClassifierError::Fold { model: model(), error })?;
        let limits = gpu.as_ref().map_or_else(Limits::cpu, Gpu::limits);
        let plan = lower("probe", &folded, Options { top: 1, ..Options::default() }, limits);
        let plan = plan.map_err(|error| ClassifierError::Lower { model: model(), error })?;
        let executor = match gpu {
            Some(gpu) => Executor::Gpu(Box::new(GpuExecutor::new(&gpu, plan, None).await?)),
            None => Executor::Cpu(Box::new(CpuExecutor::new(plan)?)),
        };
        Ok(Self { executor })
    }

    /// Runs it once.
    ///
    /// # Errors
    /// When the device fails.
    pub async fn run(&mut self) -> Result<(), ClassifierError> {
        match &mut self.executor {
            Executor::Cpu(executor) => executor.run(1),
            Executor::Gpu(executor) => {
                let input = vec![0.0; executor.plan().input.map.padded_values()];
                executor.run(1, &input, false).await?;
            }
        }
        Ok(())
    }
}

fn network() -> Result<Graph, GraphError> {
    let mut builder = GraphBuilder::new(Map::new(28, 28, 96))?;
    let convolution = Convolution {
        connection: Connection::Dense,
        outputs: 384,
        kernel: 1,
        stride: 1,
        padding: Padding::NONE,
        bias: false,
    };
    let convolved = builder.add("convolution", Op::Convolution(convolution), &[builder.input()])?;
    builder.add("pool", Op::AveragePool { bins: 1 }, &[convolved])?;
    Ok(builder.finish())
}
