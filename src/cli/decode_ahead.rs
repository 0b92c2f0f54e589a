//! Decodes pictures on all cores while the device is busy with those before.

use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::thread;

use anyhow::Result;
use dynaconv::picture::{Picture, PictureError};
use rayon::prelude::*;

/// A file with the picture that is in it.
pub type Decoded<'a> = (&'a Path, Result<Picture, PictureError>);

/// Hands over the pictures of `files` in order, up to `size` at once, broken ones too.
pub fn in_batches<'a>(
    files: &'a [PathBuf],
    size: usize,
    mut each: impl FnMut(Vec<Decoded<'a>>) -> Result<()>,
) -> Result<()> {
    thread::scope(|scope| {
        // One batch waits in the channel and one is being decoded: enough to keep the device busy, and little memory.
        let (sender, receiver) = sync_channel(1);
        scope.spawn(move || {
            for chunk in files.chunks(size.max(1)) {
                let decode = |file: &PathBuf| Picture::open(file);
                let pictures: Vec<_> = chunk.par_iter().map(decode).collect();
                let batch = chunk.iter().map(PathBuf::as_path).zip(pictures).collect();
                // The receiver is gone where a batch before failed.
                if sender.send(batch).is_err() {
                    break;
                }
            }
        });
        receiver.into_iter().try_for_each(&mut each)
    })
}
