//! The models and pictures that ship, from the file to the probabilities of all classes, against PyTorch and Pillow.

mod common;

use common::golden::read;
use dynaconv::classifier::{Classifier, Device, block_on};
use dynaconv::lower::Options;
use dynaconv::model::Model;
use dynaconv::picture::Picture;

/// Pillow sums in fixed point, so a few levels of a resized picture are its neighbours; that moves no probability further than this.
const TOLERANCE: f32 = 2e-3;

fn answers_as_pytorch(device: &Device) {
    for (model, classes) in
        [("efficientnet-lite0", 1000), ("mobilenet-v2-cifar10", 10), ("mobilenet-v2-dcd-cifar10", 10)]
    {
        let loaded = Model::load(format!("assets/models/{model}.safetensors")).expect("a model that ships");
        let options = Options { top: classes, ..Options::default() };
        let mut classifier = block_on(Classifier::new(&loaded, device, options)).expect("the device takes it");
        for picture in ["cat.jpg", "coffee.jpg", "rocket.jpg"] {
            let expected = read("assets/golden/shipped.safetensors", &format!("{model}/{picture}"));
            let picture = Picture::open(format!("assets/pictures/{picture}")).expect("a picture that ships");
            let found = block_on(classifier.classify(&[&picture])).expect("an answer").remove(0);
            assert_eq!(found.len(), expected.data().len());
            for guess in found {
                let expected = expected.data()[guess.class];
                let is_near = (guess.probability - expected).abs() <= TOLERANCE;
                assert!(is_near, "{model}, class {}: {} instead of {expected}", guess.class, guess.probability);
            }
        }
    }
}

#[test]
fn on_the_cpu() {
    answers_as_pytorch(&Device::Cpu);
}

#[cfg(feature = "gpu")]
#[test]
fn on_a_gpu() {
    answers_as_pytorch(&Device::Gpu(dynaconv::exec::gpu::GpuChoice::Best));
}
