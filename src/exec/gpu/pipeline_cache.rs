//! Compiled pipelines from one start of a program to the next, where the backend gives them out: bytes in and bytes out, no
//! file. Many desktop drivers keep such a cache themselves; others, most of all on phones, leave it to the program.
//!
//! Drivers are not trusted with foreign bytes: only what this module wrote, on this device and driver and with this version,
//! is handed on, and only where its checksum holds. That guards against accidents. Who may write where the bytes are kept
//! may run programs as well.

use std::collections::BTreeSet;
use std::hash::Hasher;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use fnv::FnvHasher;

use super::Gpu;

/// What the bytes begin with.
const MAGIC: [u8; 16] = *b"dynaconv cache 1";
/// Bytes of the magic, of the checksum of all that follows, of whose pipelines these are, and of how many there are.
const HEADER: usize = 40;
/// More than the pipelines of many networks take. Drivers only ever add; past this the cache begins anew.
pub const MOST_PIPELINE_BYTES: usize = 64 << 20;

/// The backend's cache with the pipelines that went through it.
pub(super) struct PipelineCache {
    pub object: wgpu::PipelineCache,
    keys: Mutex<Keys>,
}

/// Hashes of text, entry point and override values.
struct Keys {
    /// Of the pipelines that were in the bytes.
    known: BTreeSet<u64>,
    /// Of those that were compiled and are not known.
    new: BTreeSet<u64>,
}

impl PipelineCache {
    /// Says that a pipeline is compiled.
    pub fn note(&self, key: u64) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if !keys.known.contains(&key) {
            keys.new.insert(key);
        }
    }
}

impl Gpu {
    /// Compiles from here on with what [`Gpu::new_pipelines`] gave out before, and says whether the bytes were of use: they
    /// must be whole, and made on this device by this driver and version. Others do no harm, nor do they where the backend
    /// keeps no pipelines.
    pub fn keep_pipelines(&mut self, bytes: &[u8]) -> bool {
        if !self.device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return false;
        }
        let read = read(bytes, self.identity());
        let (data, known) = read.map_or((None, BTreeSet::new()), |(data, known)| (Some(data), known));
        let kept = data.and_then(|data| {
            let object = self.pipeline_cache(Some(data))?;
            // wgpu and drivers begin anew without a word where the data is another's.
            object.get_data().is_some_and(|taken| same_maker(&taken, data)).then_some((object, known))
        });
        let used = kept.is_some();
        let made = kept.or_else(|| Some((self.pipeline_cache(None)?, BTreeSet::new())));
        let cache = |(object, known)| {
            Arc::new(PipelineCache { object, keys: Mutex::new(Keys { known, new: BTreeSet::new() }) })
        };
        self.pipelines = made.map(cache);
        used
    }

    /// The backend's cache; nothing where it refuses the data, since a refused cache would refuse every pipeline.
    fn pipeline_cache(&self, data: Option<&[u8]>) -> Option<wgpu::PipelineCache> {
        let descriptor = wgpu::PipelineCacheDescriptor { label: Some("dynaconv"), data, fallback: true };
        let scope = self.device.push_error_scope(wgpu::ErrorFilter::Validation);
        // SAFETY: the data came from `get_data` of this device and driver, as far as a file can say: `read` has compared both
        // and the checksum, and wgpu and the driver compare their own headers again.
        let object = unsafe { self.device.create_pipeline_cache(&descriptor) };
        // Where there are such caches, errors are known at once.
        let error = pin!(scope.pop()).poll(&mut Context::from_waker(Waker::noop()));
        matches!(error, Poll::Ready(None)).then_some(object)
    }

    /// What to give [`Gpu::keep_pipelines`] at the next start; nothing where no pipeline was compiled that was not in its
    /// bytes, or where the backend gives none out.
    pub fn new_pipelines(&self) -> Option<Vec<u8>> {
        let cache = self.pipelines.as_ref()?;
        let mut keys = cache.keys.lock().unwrap_or_else(PoisonError::into_inner);
        if keys.new.is_empty() {
            return None;
        }
        let bytes = write(&cache.object.get_data()?, self.identity(), keys.known.union(&keys.new));
        let new = std::mem::take(&mut keys.new);
        keys.known.extend(new);
        let begin_anew = || write(&[], self.identity(), [].iter());
        Some(if bytes.len() <= MOST_PIPELINE_BYTES { bytes } else { begin_anew() })
    }

    /// What pipelines belong to: the device with its driver, and this version.
    fn identity(&self) -> u64 {
        let info = self.info();
        let id = self.id.map(u32::to_le_bytes).concat();
        let name = [env!("CARGO_PKG_VERSION"), &info.name, &info.api, &info.driver].map(str::as_bytes);
        hash(name.into_iter().chain([&id[..]]))
    }
}

/// Whether a cache's data is of the same maker as what it was given: wgpu's header says which of its versions and which adapter, the
/// driver's, after it, which device and which build.
fn same_maker(data: &[u8], given: &[u8]) -> bool {
    [0..48, 64..96].into_iter().all(|header| data.get(header.clone()).is_some_and(|own| given.get(header) == Some(own)))
}

/// FNV-1a, which is the same everywhere and for ever. No text has the byte 255, so that what ends one cannot begin the next.
pub(super) fn hash<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    let mut hasher = FnvHasher::default();
    for part in parts {
        hasher.write(part);
        hasher.write_u8(255);
    }
    hasher.finish()
}

fn write<'a>(data: &[u8], identity: u64, keys: impl Iterator<Item = &'a u64>) -> Vec<u8> {
    let keys: Vec<u8> = keys.flat_map(|key| key.to_le_bytes()).collect();
    let count = (keys.len() / 8) as u64;
    let body = [&identity.to_le_bytes()[..], &count.to_le_bytes(), &keys, data].concat();
    [&MAGIC[..], &hash([&body[..]]).to_le_bytes(), &body].concat()
}

/// The backend's data and the keys; nothing where the bytes are not whole, or another's.
fn read(bytes: &[u8], identity: u64) -> Option<(&[u8], BTreeSet<u64>)> {
    let number = |at: usize| bytes.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
    let sound = bytes.len() >= HEADER
        && bytes.len() <= MOST_PIPELINE_BYTES
        && bytes.starts_with(&MAGIC)
        && number(16)? == hash([&bytes[24..]])
        && number(24)? == identity;
    if !sound {
        return None;
    }
    let length = usize::try_from(number(32)?).ok()?.checked_mul(8)?;
    let (keys, data) = bytes[HEADER..].split_at_checked(length)?;
    Some((data, keys.as_chunks().0.iter().copied().map(u64::from_le_bytes).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [u64; 3] = [1, 0x0102_0304_0506_0708, u64::MAX];

    #[test]
    fn what_is_written_is_read_back() {
        let bytes = write(b"compiled", 7, KEYS.iter());
        assert_eq!(read(&bytes, 7), Some((&b"compiled"[..], BTreeSet::from(KEYS))));
        assert_eq!(read(&write(b"", 7, [].iter()), 7), Some((&b""[..], BTreeSet::new())));
    }

    #[test]
    fn what_is_foreign_or_broken_is_not_handed_on() {
        let bytes = write(b"compiled", 7, KEYS.iter());
        assert_eq!(read(&bytes, 8), None, "another device's");
        for length in 0..bytes.len() {
            assert_eq!(read(&bytes[..length], 7), None, "cut to {length} bytes");
        }
        for place in 0..bytes.len() {
            let mut broken = bytes.clone();
            broken[place] ^= 1;
            assert_eq!(read(&broken, 7), None, "byte {place} is another");
        }
        assert_eq!(read(&[&bytes[..], b"x"].concat(), 7), None, "a byte more");
        assert_eq!(read(&vec![0; MOST_PIPELINE_BYTES + 1], 7), None);
    }

    #[test]
    fn only_data_of_the_same_maker_was_taken() {
        let given: Vec<u8> = (0..120).collect();
        let with = |place: usize| {
            let mut data = given.clone();
            data[place] ^= 1;
            same_maker(&data, &given)
        };
        // Sizes and hashes of what follows, and that itself, may be others.
        assert!(with(48) && with(63) && with(96) && with(119));
        assert!(!with(0) && !with(47) && !with(64) && !with(95));
        assert!(!same_maker(&given[..95], &given) && !same_maker(&given, &given[..95]));
    }

    #[test]
    fn no_count_leads_past_the_end() {
        for count in [1, 2, u64::MAX / 8, u64::MAX / 8 + 1, u64::MAX] {
            let body = [7u64.to_le_bytes(), count.to_le_bytes()].concat();
            let bytes = [&MAGIC[..], &hash([&body[..]]).to_le_bytes(), &body].concat();
            assert_eq!(read(&bytes, 7), None, "{count} keys in no bytes");
        }
    }
}
