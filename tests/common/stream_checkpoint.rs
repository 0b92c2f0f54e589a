//! Writes checkpoints in PyTorch's older stream form by hand, right ones and wrong ones.

/// One tensor and the storage that it reads.
#[derive(Clone)]
pub struct Entry {
    pub name: String,
    pub shape: Vec<usize>,
    pub strides: Vec<usize>,
    pub offset: usize,
    /// `FloatStorage` and so on.
    pub storage: &'static str,
    /// The storage's elements, as the pickle says.
    pub elements: usize,
    /// The storage's bytes.
    pub bytes: Vec<u8>,
}

impl Entry {
    /// A dense tensor in single precision.
    pub fn dense(name: &str, shape: &[usize], values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Self::of(name, shape, "FloatStorage", values.len(), bytes)
    }

    /// A dense tensor of any type.
    pub fn of(name: &str, shape: &[usize], storage: &'static str, elements: usize, bytes: Vec<u8>) -> Self {
        let mut strides = vec![1; shape.len()];
        for axis in (1..shape.len()).rev() {
            strides[axis - 1] = strides[axis] * shape[axis];
        }
        Self { name: name.into(), shape: shape.into(), strides, offset: 0, storage, elements, bytes }
    }
}

/// The file of a bare state dict.
pub fn stream(entries: &[Entry]) -> Vec<u8> {
    let mut object = b"\x80\x02}(".to_vec();
    for (key, entry) in entries.iter().enumerate() {
        text(&mut object, &entry.name);
        object.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut object, "storage");
        object.extend(format!("ctorch\n{}\n", entry.storage).bytes());
        text(&mut object, &key.to_string());
        text(&mut object, "cuda:0");
        integer(&mut object, entry.elements);
        object.extend(b"NtQ");
        integer(&mut object, entry.offset);
        for list in [&entry.shape, &entry.strides] {
            object.push(b'(');
            list.iter().for_each(|&n| integer(&mut object, n));
            object.push(b't');
        }
        object.extend(b"\x89}tR");
    }
    object.extend(b"u.");

    let mut keys = b"\x80\x02](".to_vec();
    (0..entries.len()).for_each(|key| text(&mut keys, &key.to_string()));
    keys.extend(b"e.");

    let mut file = around(&object);
    file.extend(keys);
    for entry in entries {
        file.extend((entry.elements as u64).to_le_bytes());
        file.extend(&entry.bytes);
    }
    file
}

/// A file up to and with the pickle of its object.
pub fn around(object: &[u8]) -> Vec<u8> {
    let mut file = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}".to_vec();
    text(&mut file, "little_endian");
    file.extend(b"\x88s.");
    file.extend(object);
    file
}

fn text(pickle: &mut Vec<u8>, text: &str) {
    pickle.push(b'X');
    pickle.extend((text.len() as u32).to_le_bytes());
    pickle.extend(text.bytes());
}

fn integer(pickle: &mut Vec<u8>, value: usize) {
    pickle.extend(b"\x8a\x09");
    pickle.extend((value as u64).to_le_bytes());
    pickle.push(0);
}
