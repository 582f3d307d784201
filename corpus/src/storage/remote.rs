//! An object store behind a blocking face: one small runtime for the whole process drives the requests.
use std::future::Future;
use std::ops::Range;
use std::sync::{Arc, OnceLock, mpsc};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{
    Error, GetOptions, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutPayload,
};
use tokio::runtime::{Builder, Runtime};
use url::Url;

use super::Entry;

#[derive(Debug, Clone)]
pub(super) struct Remote {
    store: Arc<dyn ObjectStore>,
    base: Path,
}

/// Bytes of one request at most. A request has a time limit (30 seconds by default) and is repeated when it fails, so a
/// shard of 100 MB in one would need a fast line and begin again from its start. Stores ask for 5 MiB at least.
pub(super) const PIECE: usize = 8 << 20;
/// Pieces of one file that are on their way at a time.
const AHEAD: usize = 4;

/// Threads that drive requests. They wait for the network; whoever asked decodes on a thread of its own.
const THREADS: usize = 2;

type Result<T> = std::result::Result<T, object_store::Error>;

impl Remote {
    /// The store that `url` names, with the settings of the environment (`AWS_…`, `GOOGLE_…`, `AZURE_…`).
    pub(super) fn open(url: &Url) -> Result<Self> {
        let settings = std::env::vars_os().filter_map(|(key, value)| {
            let key = key.into_string().ok()?;
            // Variables of other programs are none of the store's business.
            let ours = ["AWS_", "GOOGLE_", "AZURE_"].iter().any(|prefix| key.starts_with(prefix));
            ours.then(|| Some((key.to_ascii_lowercase(), value.into_string().ok()?)))?
        });
        let (store, base) = object_store::parse_url_opts(url, settings)?;
        Ok(Self { store: Arc::from(store), base })
    }

    pub(super) fn read(&self, name: &str) -> Result<Bytes> {
        let (store, path) = (self.store.clone(), self.path(name)?);
        wait(async move {
            let found = store.get(&path).await?;
            let ObjectMeta { size, e_tag, .. } = found.meta.clone();
            if size <= PIECE as u64 {
                return found.bytes().await;
            }
            drop(found);
            pieces(store, path, 0..size, e_tag).await
        })
    }

    pub(super) fn read_range(&self, name: &str, range: Range<u64>) -> Result<Bytes> {
        let (store, path) = (self.store.clone(), self.path(name)?);
        if range.end.saturating_sub(range.start) <= PIECE as u64 {
            return wait(async move { store.get_range(&path, range).await });
        }
        wait(async move {
            let ObjectMeta { size, e_tag, .. } = store.head(&path).await?;
            pieces(store, path, range.start..range.end.min(size), e_tag).await
        })
    }

    pub(super) fn size(&self, name: &str) -> Result<u64> {
        let (store, path) = (self.store.clone(), self.path(name)?);
        wait(async move { Ok(store.head(&path).await?.size) })
    }

    pub(super) fn write(&self, name: &str, bytes: Bytes) -> Result<()> {
        let (store, path) = (self.store.clone(), self.path(name)?);
        if bytes.len() <= PIECE {
            return wait(async move { store.put(&path, PutPayload::from_bytes(bytes)).await.map(drop) });
        }
        let mut parts = self.parts(name)?;
        parts.push_all(bytes)?;
        parts.finish()
    }

    /// Writes the object if there is none of that name; `false` if there is one.
    pub(super) fn write_new(&self, name: &str, bytes: Bytes) -> Result<bool> {
        let (store, path) = (self.store.clone(), self.path(name)?);
        wait(async move {
            let payload = PutPayload::from_bytes(bytes);
            match store.put_opts(&path, payload.clone(), PutMode::Create.into()).await {
                Ok(_) => Ok(true),
                Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(false),
                // A store that knows no condition: asked first, which leaves a moment in between.
                Err(Error::NotImplemented { .. } | Error::NotSupported { .. }) => {
                    match store.head(&path).await {
                        Ok(_) => Ok(false),
                        Err(Error::NotFound { .. }) => store.put(&path, payload).await.map(|_| true),
                        Err(error) => Err(error),
                    }
                }
                Err(error) => Err(error),
            }
        })
    }

    /// Begins a file that is written in parts, of which all but the last must have 5 MiB or more.
    pub(super) fn parts(&self, name: &str) -> Result<Parts> {
        let (store, path) = (self.store.clone(), self.path(name)?);
        Ok(Parts { upload: Some(wait(async move { store.put_multipart(&path).await })?) })
    }

    /// Removes all files below `folder`.
    pub(super) fn delete_folder(&self, folder: &str) -> Result<()> {
        let (store, path) = (self.store.clone(), self.path(folder)?);
        wait(async move {
            let found: Vec<Path> =
                store.list(Some(&path)).map_ok(|object| object.location).try_collect().await?;
            let deleted = store.delete_stream(stream::iter(found).map(Ok).boxed());
            let left = deleted.filter(|done| {
                // Another process may have been faster.
                let left = matches!(done, Err(error) if !matches!(error, Error::NotFound { .. }));
                async move { left }
            });
            left.try_for_each(|_| async { Ok(()) }).await
        })
    }

    pub(super) fn delete(&self, name: &str) -> Result<()> {
        let (store, path) = (self.store.clone(), self.path(name)?);
        wait(async move {
            // Some stores answer "done" to the deletion of what never was; a storage always says it was missing.
            store.head(&path).await?;
            store.delete(&path).await
        })
    }

    /// What lies directly in `folder`.
    pub(super) fn entries(&self, folder: &str) -> Result<Vec<Entry>> {
        let (store, path) = (self.store.clone(), self.path(folder)?);
        let found = wait(async move { store.list_with_delimiter(Some(&path)).await })?;
        let entry = |path: &Path, is_folder| {
            let name = self.name(path)?;
            Some(Entry { name, is_folder, is_link: false })
        };
        let folders = found.common_prefixes.iter().filter_map(|path| entry(path, true));
        let files = found.objects.iter().filter_map(|object| entry(&object.location, false));
        Ok(folders.chain(files).collect())
    }

    /// The names of all files below `folder`.
    pub(super) fn list(&self, folder: &str) -> Result<Vec<String>> {
        let (store, path) = (self.store.clone(), self.path(folder)?);
        let found: Vec<Path> =
            wait(
                async move { store.list(Some(&path)).map_ok(|object| object.location).try_collect().await },
            )?;
        Ok(found.iter().filter_map(|path| self.name(path)).collect())
    }

    fn path(&self, name: &str) -> Result<Path> {
        let base = self.base.as_ref();
        Ok(Path::parse(super::name::join(base, name))?)
    }

    fn name(&self, path: &Path) -> Option<String> {
        let below = path.as_ref().strip_prefix(self.base.as_ref())?;
        Some(below.trim_start_matches('/').to_owned())
    }
}

/// The bytes of `range` of a file, as long as it is the one of that `tag`; fewer where it ends early.
async fn pieces(
    store: Arc<dyn ObjectStore>,
    path: Path,
    range: Range<u64>,
    tag: Option<String>,
) -> Result<Bytes> {
    let starts = (range.start..range.end).step_by(PIECE);
    let requests = starts.map(|at| {
        let piece = at..(at + PIECE as u64).min(range.end);
        let options =
            GetOptions { range: Some(piece.into()), if_match: tag.clone(), ..GetOptions::default() };
        let (store, path) = (store.clone(), path.clone());
        async move { store.get_opts(&path, options).await?.bytes().await }
    });
    let mut coming = stream::iter(requests).buffered(AHEAD);
    let mut all = Vec::new();
    while let Some(piece) = coming.try_next().await? {
        all.extend_from_slice(&piece);
    }
    Ok(all.into())
}

/// A file in the making. Dropped before it is finished, it leaves nothing under its name.
#[derive(Debug)]
pub(super) struct Parts {
    upload: Option<Box<dyn MultipartUpload>>,
}

impl Parts {
    /// Adds all of `bytes`, several parts at a time.
    fn push_all(&mut self, bytes: Bytes) -> Result<()> {
        let Some(upload) = &mut self.upload else { return Ok(()) };
        let starts = (0..bytes.len()).step_by(PIECE);
        let parts = starts.map(|at| bytes.slice(at..(at + PIECE).min(bytes.len())));
        let parts: Vec<_> = parts.map(|part| upload.put_part(PutPayload::from_bytes(part))).collect();
        wait(async move {
            let mut pushed = stream::iter(parts).buffer_unordered(AHEAD);
            while pushed.try_next().await?.is_some() {}
            Ok(())
        })
    }

    pub(super) fn push(&mut self, bytes: Bytes) -> Result<()> {
        let Some(mut upload) = self.upload.take() else { return Ok(()) };
        let (upload, pushed) = wait(async move {
            let pushed = upload.put_part(PutPayload::from_bytes(bytes)).await;
            Ok((upload, pushed))
        })?;
        self.upload = Some(upload);
        pushed
    }

    pub(super) fn finish(mut self) -> Result<()> {
        let Some(mut upload) = self.upload.take() else { return Ok(()) };
        wait(async move { upload.complete().await.map(drop) })
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        if let Some(mut upload) = self.upload.take() {
            // What it was dropped for is reported; that its parts stay with the store for a while is not worth more.
            let _ = wait(async move { upload.abort().await });
        }
    }
}

/// Runs `task` to its end on the runtime and waits for it, from any thread, one of another runtime included.
fn wait<T: Send + 'static>(task: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    static RUNTIME: OnceLock<std::result::Result<Runtime, String>> = OnceLock::new();
    let runtime = RUNTIME.get_or_init(|| {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(THREADS).thread_name("albef-storage").enable_all();
        builder.build().map_err(|error| error.to_string())
    });
    let failed = |reason: &str| object_store::Error::Generic { store: "runtime", source: reason.into() };
    let runtime = runtime.as_ref().map_err(|reason| failed(reason))?;
    let (send, receive) = mpsc::sync_channel(1);
    runtime.spawn(async move {
        // Nobody waits any more only if the waiting thread died.
        let _ = send.send(task.await);
    });
    receive.recv().unwrap_or_else(|_| Err(failed("the request was dropped")))
}
