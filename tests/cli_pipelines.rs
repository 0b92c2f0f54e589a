//! The file that keeps compiled pipelines, as those who use the program meet it: never.
#![cfg(all(feature = "cli", feature = "gpu", not(target_arch = "wasm32")))]

#[allow(dead_code, reason = "the tests of the other commands use the rest of it")]
#[path = "common/program.rs"]
mod program;

use std::fs;
use std::path::PathBuf;

use program::{Place, repository};

fn classify(place: &Place) -> String {
    let picture = repository("assets/pictures");
    let command = ["classify", "-m", "tiny.safetensors", "--device", "gpu", "--json", picture.to_str().unwrap()];
    place.run(&command).succeeded().out
}

/// The file of the only device that was used.
fn file(place: &Place) -> Option<PathBuf> {
    let folder = fs::read_dir(place.path("cache/dynaconv")).into_iter().flatten();
    let mut files =
        folder.map(|file| file.unwrap().path()).filter(|path| path.to_string_lossy().contains("pipelines-"));
    let first = files.next();
    assert_eq!(files.next(), None, "one file for one device");
    first
}

#[test]
fn pipelines_are_kept_once_and_whatever_is_in_their_place_does_no_harm() {
    let place = Place::with_tiny_model();
    let expected = classify(&place);
    // Only Vulkan gives pipelines out.
    let Some(path) = file(&place) else {
        assert!(!expected.contains("(vulkan"), "{expected}");
        return;
    };
    let kept = fs::read(&path).unwrap();
    let written = || fs::metadata(&path).unwrap().modified().unwrap();
    let before = written();
    assert_eq!(classify(&place), expected);
    assert_eq!((written(), &fs::read(&path).unwrap()), (before, &kept), "nothing new was compiled");

    let mut foreign = kept.clone();
    foreign[30] ^= 1;
    let hostile: [&[u8]; 5] =
        [b"", b"\0\xff not pipelines", &kept[..kept.len() / 2], &[&kept[..], b"more"].concat(), &foreign];
    for bytes in hostile {
        fs::write(&path, bytes).unwrap();
        assert_eq!(classify(&place), expected);
        assert_eq!(fs::read(&path).unwrap(), kept, "it is made anew");
    }
    // A file too large to be read, and no file at all, which cannot be replaced.
    fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    assert_eq!(classify(&place), expected);
    assert_eq!(fs::read(&path).unwrap(), kept);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(classify(&place), expected);
    assert!(path.is_dir());
}
