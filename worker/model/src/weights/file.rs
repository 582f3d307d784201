//! Safetensors files: the header is read at once, tensors one at a time.
use std::borrow::Cow;
use std::fs::{File, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, Metadata, View};
use tch::{Kind, Tensor};

use crate::error::{Error, Result};

/// The library's own limit on headers.
const MAX_HEADER: u64 = 100_000_000;

/// What names of files begin with that are being written: a killed process leaves them behind.
pub const UNFINISHED: &str = ".weights-";

/// An open file whose header has been checked against its length.
#[derive(Debug)]
pub struct TensorFile {
    path: PathBuf,
    file: File,
    metadata: Metadata,
    data_start: u64,
}

/// Shape and type of a stored tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Shape.
    pub shape: Vec<i64>,
    /// Type as the file names it, for messages.
    pub dtype: String,
    /// Type, if libtorch has it.
    pub kind: Option<Kind>,
}

impl TensorFile {
    /// Opens `path` and checks its header.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().to_owned();
        let refuse = |problem: String| Error::File { path: path.clone(), problem };
        // Looked at before it is opened: opening a pipe waits for a writer.
        let metadata = std::fs::metadata(&path).map_err(|e| refuse(format!("cannot be opened: {e}")))?;
        if !metadata.is_file() {
            return Err(refuse("is not a file; give the path of a safetensors file".into()));
        }
        let file = File::open(&path).map_err(|e| refuse(format!("cannot be opened: {e}")))?;
        let length = file.metadata().map_err(|e| refuse(format!("cannot be read: {e}")))?.len();
        let mut word = [0; 8];
        file.read_exact_at(&mut word, 0)
            .map_err(|_| refuse("is not a safetensors file: shorter than its header".into()))?;
        let header_length = u64::from_le_bytes(word);
        if header_length > MAX_HEADER || header_length.saturating_add(8) > length {
            // A zip archive (today's .pth) or a bare pickle; only a length that cannot be one is looked at this way.
            let pickled = word.starts_with(b"PK") || (word[0] == 0x80 && word[1] <= 5);
            return Err(refuse(if pickled {
                "is a pickled PyTorch file, which is never read; convert it once as docs/weights.md shows"
                    .into()
            } else {
                format!(
                    "is not a safetensors file or is cut off: header of {header_length} bytes in a file of {length}"
                )
            }));
        }
        let mut header = vec![0; header_length as usize];
        file.read_exact_at(&mut header, 8).map_err(|e| refuse(format!("cannot be read: {e}")))?;
        let metadata: Metadata = serde_json::from_slice(&header)
            .map_err(|e| refuse(format!("has a damaged safetensors header: {e}")))?;
        let data_start = 8 + header_length;
        let expected = data_start + metadata.data_len() as u64;
        if expected != length {
            return Err(refuse(format!("is cut off or damaged: {length} bytes, its header says {expected}")));
        }
        Ok(Self { path, file, metadata, data_start })
    }

    /// An error about this file.
    pub(crate) fn refuse(&self, problem: String) -> Error {
        Error::File { path: self.path.clone(), problem }
    }

    /// The path as text, for messages.
    pub fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> Vec<String> {
        let mut names = self.metadata.offset_keys();
        names.sort();
        names
    }

    /// Shape and type of the tensor `name`.
    pub fn info(&self, name: &str) -> Option<TensorInfo> {
        self.metadata.info(name).map(|info| TensorInfo {
            shape: info.shape.iter().map(|&n| n as i64).collect(),
            dtype: format!("{:?}", info.dtype),
            kind: kind_of(info.dtype),
        })
    }

    /// Reads the tensor `name` to the CPU.
    pub fn read(&self, name: &str) -> Result<Tensor> {
        let refuse = |problem: String| self.refuse(problem);
        let info = self.metadata.info(name).ok_or_else(|| refuse(format!("has no tensor {name}")))?;
        let kind = kind_of(info.dtype)
            .ok_or_else(|| refuse(format!("{name}: type {:?} is not supported", info.dtype)))?;
        let (begin, end) = info.data_offsets;
        let mut bytes = vec![0; end - begin];
        self.file
            .read_exact_at(&mut bytes, self.data_start + begin as u64)
            .map_err(|e| refuse(format!("{name} cannot be read: {e}")))?;
        let shape: Vec<i64> = info.shape.iter().map(|&n| n as i64).collect();
        Ok(Tensor::f_from_data_size(&bytes, &shape, kind)?)
    }
}

fn kind_of(dtype: Dtype) -> Option<Kind> {
    Some(match dtype {
        Dtype::F64 => Kind::Double,
        Dtype::F32 => Kind::Float,
        Dtype::F16 => Kind::Half,
        Dtype::BF16 => Kind::BFloat16,
        Dtype::I64 => Kind::Int64,
        Dtype::I32 => Kind::Int,
        Dtype::I16 => Kind::Int16,
        Dtype::I8 => Kind::Int8,
        Dtype::U8 => Kind::Uint8,
        Dtype::BOOL => Kind::Bool,
        _ => return None,
    })
}

/// A tensor on its way into a file; its bytes are fetched when their turn comes.
struct Stored<'a>(&'a Tensor, Dtype, Vec<usize>);

impl View for Stored<'_> {
    fn dtype(&self) -> Dtype {
        self.1
    }

    fn shape(&self) -> &[usize] {
        &self.2
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let mut bytes = vec![0; self.data_len()];
        // tch panics on a failed copy; the tensor was made contiguous and on the CPU before.
        self.0.copy_data_u8(&mut bytes, self.0.numel());
        Cow::Owned(bytes)
    }

    fn data_len(&self) -> usize {
        self.0.numel() * self.0.kind().elt_size_in_bytes()
    }
}

/// Writes `tensors` to `path`: a file beside it that is flushed to the disk and then renamed, so that neither a reader
/// nor a crash finds half a file.
pub fn write(path: impl AsRef<Path>, tensors: &[(String, Tensor)]) -> Result<()> {
    let path = path.as_ref();
    let refuse = |problem: String| Error::File { path: path.to_owned(), problem };
    if std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return Err(refuse("is not a file and is not replaced; give another path".into()));
    }
    let ready = tensors
        .iter()
        .map(|(name, tensor)| Ok((name.as_str(), tensor.f_detach()?.f_to(tch::Device::Cpu)?.f_contiguous()?)))
        .collect::<Result<Vec<_>>>()?;
    let views = ready
        .iter()
        .map(|(name, tensor)| {
            let dtype = match tensor.kind() {
                Kind::Float => Dtype::F32,
                Kind::Int64 => Dtype::I64,
                Kind::BFloat16 => Dtype::BF16,
                Kind::Half => Dtype::F16,
                Kind::Uint8 => Dtype::U8,
                other => return Err(refuse(format!("{name}: type {other:?} cannot be written"))),
            };
            let shape = tensor.size().iter().map(|&n| n as usize).collect();
            Ok((*name, Stored(tensor, dtype, shape)))
        })
        .collect::<Result<Vec<_>>>()?;
    write_beside(path, views).map_err(|e| refuse(format!("cannot be written: {e}")))
}

fn write_beside(path: &Path, views: Vec<(&str, Stored<'_>)>) -> Result<(), Box<dyn std::error::Error>> {
    // Beside the target: a rename is atomic inside one file system only.
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // Temporary files are private; weights are an ordinary file, subject to the umask.
    let ordinary = Permissions::from_mode(0o666);
    let place = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .permissions(ordinary)
        .tempfile_in(directory)?
        .into_temp_path();
    let permissions = std::fs::metadata(&place)?.permissions();
    // This replaces the file at `place` by a private one.
    safetensors::serialize_to_file(views, None, &place)?;
    let file = File::open(&place)?;
    file.set_permissions(permissions)?;
    file.sync_all()?;
    place.persist(path)?;
    File::open(directory)?.sync_all()?;
    Ok(())
}
