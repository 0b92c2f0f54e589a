//! Decodes pictures on all cores while the device is busy with those before.

use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::thread;

use anyhow::Result;
use dynaconv::picture::{Picture, PictureError};
use rayon::prelude::*;

/// A file with the picture that is in it.
pub type Decoded<'a> = (&'a Path, Result<Picture, PictureError>);

/// Bytes of pictures from which on a batch is handed over, however few they are: three batches may be in memory at once.
const ENOUGH_BYTES: usize = 256 << 20;

/// Hands over the pictures of `files` in order, up to `size` at once, broken ones too; fewer where they are large.
pub fn in_batches<'a>(
    files: &'a [PathBuf],
    size: usize,
    mut each: impl FnMut(Vec<Decoded<'a>>) -> Result<()>,
) -> Result<()> {
    thread::scope(|scope| {
        // One batch waits in the channel and one is being decoded, which keeps the device busy.
        let (sender, receiver) = sync_channel(1);
        thread::Builder::new().spawn_scoped(scope, move || {
            let mut files = files;
            while !files.is_empty() {
                let (mut batch, mut bytes) = (Vec::new(), 0);
                while !files.is_empty() && batch.len() < size.max(1) && bytes < ENOUGH_BYTES {
                    let count = rayon::current_num_threads().min(size.max(1) - batch.len()).min(files.len());
                    let (now, later) = files.split_at(count);
                    let decoded: Vec<_> = now.par_iter().map(Picture::open).collect();
                    bytes += decoded.iter().flatten().map(bytes_of).sum::<usize>();
                    batch.extend(now.iter().map(PathBuf::as_path).zip(decoded));
                    files = later;
                }
                // The receiver is gone where a batch before failed.
                if sender.send(batch).is_err() {
                    break;
                }
            }
        })?;
        receiver.into_iter().try_for_each(&mut each)
    })
}

fn bytes_of(picture: &Picture) -> usize {
    3 * picture.width() as usize * picture.height() as usize
}
