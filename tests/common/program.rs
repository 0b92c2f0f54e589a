//! Runs the program as its users do, in a folder of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dynaconv::tensor::Tensor;
use serde_json::Value;

/// A temporary folder that the program is run in.
pub struct Place {
    folder: tempfile::TempDir,
}

/// What the program left.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Place {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// A folder with the small official checkpoint, imported as `tiny.safetensors`.
    pub fn with_tiny_model() -> Self {
        let place = Self::new();
        place.import_tiny("tiny_zip.pth.tar", &[]).succeeded();
        place
    }

    pub fn import_tiny(&self, checkpoint: &str, more: &[&str]) -> Ended {
        let source = golden(checkpoint);
        let fixed = ["--output", "tiny.safetensors", "--input-size", "32", "--stem-stride", "2"];
        self.run(&[&["import", source.to_str().unwrap()], &fixed[..], more].concat())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Copies a picture of the repository.
    pub fn picture(&self, from: &str, to: &str) {
        self.write(to, fs::read(repository(from)).unwrap());
    }

    /// The program with these arguments, untouched by the tester's environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dynaconv"));
        command.args(arguments).current_dir(self.folder.path());
        for name in ["RUST_LOG", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "DYNACONV_MODELS"] {
            command.env_remove(name);
        }
        command.env("XDG_CACHE_HOME", self.path("cache"));
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ended {
        end(&mut self.command(arguments))
    }
}

/// Runs a command to its end.
pub fn end(command: &mut Command) -> Ended {
    let output = command.stdin(Stdio::null()).output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("the program prints UTF-8");
    Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

impl Ended {
    #[track_caller]
    pub fn succeeded(self) -> Self {
        self.with_code(0)
    }

    #[track_caller]
    pub fn with_code(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// The one line that says why there is no result.
    #[track_caller]
    pub fn error(self) -> String {
        let ended = self.with_code(2);
        // Drivers say things of their own.
        let mut lines =
            ended.err.lines().filter(|line| line.starts_with("error: ") && !line.contains("XDG_RUNTIME_DIR"));
        let line = lines.next().unwrap_or_else(|| panic!("no error: {ended:#?}"));
        assert_eq!(lines.next(), None, "{ended:#?}");
        assert!(!ended.err.contains("panicked"), "{ended:#?}");
        line.trim_start_matches("error: ").into()
    }

    /// The lines of output, each one JSON.
    #[track_caller]
    pub fn json(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
        self.out.lines().map(parse).collect()
    }
}

pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

pub fn golden(name: &str) -> PathBuf {
    repository("assets/golden").join(name)
}

/// A NumPy file, its header given as text.
pub fn npy_of(header: &str, values: &[f32]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

/// A NumPy file of a tensor.
pub fn npy(tensor: &Tensor) -> Vec<u8> {
    let shape: String = tensor.shape().iter().map(|length| format!("{length}, ")).collect();
    npy_of(&format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({shape}), }}\n"), tensor.data())
}

/// Header and values of a NumPy file.
pub fn read_npy(path: &Path) -> (String, Vec<f32>) {
    let bytes = fs::read(path).unwrap();
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00");
    let data = 10 + usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    assert_eq!(data % 64, 0);
    let values = bytes[data..].chunks_exact(4).map(|value| f32::from_le_bytes(value.try_into().unwrap()));
    (String::from_utf8(bytes[10..data].to_vec()).unwrap(), values.collect())
}
