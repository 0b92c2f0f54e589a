//! Classifies files in batches: while the device computes one batch, the next is decoded on all cores and handed over.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use dynaconv::classifier::{Classifier, Guess, PendingBatch, block_on};
use dynaconv::picture::PictureError;

use super::decode_ahead::{self, Decoded};

/// A file's classes, best first, or why it has none.
pub type Found = Result<Vec<Guess>>;

/// A batch with what the device makes of those of its files that are pictures.
struct Started<'a> {
    files: Vec<(&'a Path, Result<(), PictureError>)>,
    guesses: Option<PendingBatch>,
}

/// Classifies `files` in order and hands over each, broken ones too.
pub fn each(
    classifier: &mut Classifier,
    files: &[PathBuf],
    mut each: impl FnMut(&Classifier, &Path, Found) -> Result<()>,
) -> Result<()> {
    let batch = classifier.batch() as usize;
    let mut before: Option<Started<'_>> = None;
    decode_ahead::in_batches(files, batch, |decoded| {
        let started = start(classifier, decoded)?;
        before.replace(started).map_or(Ok(()), |before| finish(classifier, before, &mut each))
    })?;
    before.map_or(Ok(()), |last| finish(classifier, last, &mut each))
}

fn start<'a>(classifier: &mut Classifier, decoded: Vec<Decoded<'a>>) -> Result<Started<'a>> {
    let sound: Vec<_> = decoded.iter().filter_map(|(_, picture)| picture.as_ref().ok()).collect();
    let guesses = if sound.is_empty() { None } else { Some(block_on(classifier.start_batch(&sound))?) };
    let files = decoded.into_iter().map(|(file, picture)| (file, picture.map(drop)));
    Ok(Started { files: files.collect(), guesses })
}

fn finish(
    classifier: &Classifier,
    Started { files, guesses }: Started<'_>,
    each: &mut impl FnMut(&Classifier, &Path, Found) -> Result<()>,
) -> Result<()> {
    let guesses = guesses.map_or(Ok(Vec::new()), |pending| block_on(pending.guesses_of_each()))?;
    let mut guesses = guesses.into_iter();
    files.into_iter().try_for_each(|(file, picture)| {
        let not_finite = || {
            let (file, model) = (file.display(), classifier.name());
            format!("{file}: the scores are not finite numbers; {model} does not suit this picture")
        };
        let found = match picture {
            Ok(()) => guesses.next().flatten().with_context(not_finite),
            Err(error) => Err(error.into()),
        };
        each(classifier, file, found)
    })
}
